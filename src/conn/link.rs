//! `Link`: one connection of a data worker, whatever its bytes are wrapped in.
//!
//! A link reads, writes and splices with a deadline, and is shared by the two directions that use it. Today it is a
//! plain socket; TLS becomes its second variant, which cannot be spliced.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{OwnedFd, RawFd};
use std::task::Poll;

use crate::base::Nanos;
use crate::os::pipe::Pipe;
use crate::os::socket::{self, Peer};
use crate::rt::{Conn, Rt};

/// A connection to a client or to a server.
pub enum Link {
    Plain(Conn),
}

/// The errors of a write that stopped halfway: the bytes that went before it, and why.
pub type Stopped = (usize, io::Error);

impl Link {
    /// A connection that a listener accepted.
    pub fn accepted(rt: &'static Rt, fd: OwnedFd) -> Link {
        Link::Plain(Conn::accepted(rt, fd))
    }

    #[inline]
    fn socket(&self) -> &Conn {
        match self {
            Link::Plain(conn) => conn,
        }
    }

    /// Whether its bytes may go through a pipe inside the kernel.
    pub fn can_splice(&self) -> bool {
        matches!(self, Link::Plain(_))
    }

    /// The owner's connections are ended together ([`Rt::shut_down`]).
    pub fn belong_to(&self, owner: u64) {
        self.socket().belong_to(owner);
    }

    pub fn rt(&self) -> &'static Rt {
        self.socket().rt()
    }

    pub fn fd(&self) -> RawFd {
        self.socket().fd()
    }

    /// Data or an end of stream is waiting as far as is known without asking the kernel.
    #[inline]
    pub fn is_readable(&self) -> bool {
        self.socket().is_readable()
    }

    /// Whether nothing is there to be read, asking the kernel where that is not known.
    pub fn is_drained(&self) -> bool {
        self.socket().is_drained()
    }

    /// The peer is known to have ended its direction, or the connection.
    pub fn is_closed(&self) -> bool {
        self.socket().is_closed()
    }

    /// The peer has ended the connection, or with `half` its direction of it.
    pub fn has_ended(&self, half: bool) -> bool {
        self.socket().has_ended(half)
    }

    /// The connection is known to be reset, or closed in both directions.
    pub fn is_broken(&self) -> bool {
        self.socket().is_broken()
    }

    /// Reads into `room`; 0 is the end of the stream. `TimedOut` when nothing came before `until`.
    #[inline]
    pub fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_recv(room, until),
        }
    }

    /// Writes what the peer takes now.
    #[inline]
    pub fn poll_send(&self, bytes: &[u8], more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_send(bytes, more, until),
        }
    }

    fn poll_send_slices(&self, slices: &[IoSlice<'_>], until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_send_slices(slices, false, until),
        }
    }

    /// From the link into the pipe.
    pub fn poll_splice_in(&self, pipe: &mut Pipe, max: usize, until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_splice_in(pipe, max, until),
        }
    }

    /// From the pipe into the link.
    pub fn poll_splice_out(&self, pipe: &mut Pipe, more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_splice_out(pipe, more, until),
        }
    }

    /// Looks at what can be read without taking it, once it is more than `seen` bytes, or the end (`seen` again). The
    /// bytes of the socket itself: what stands before any wrapping (PROXY protocol).
    pub async fn peek_more(&self, room: &mut [u8], seen: usize, until: Nanos) -> io::Result<usize> {
        self.socket().peek_more(room, seen, until).await
    }

    /// Reads what is there; `None` when that is nothing yet.
    #[inline]
    pub fn try_recv(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.try_recv(room),
        }
    }

    pub async fn recv(&self, room: &mut [u8], until: Nanos) -> io::Result<usize> {
        poll_fn(|_| self.poll_recv(room, until)).await
    }

    /// Waits until something can be read, without a buffer.
    pub async fn readable(&self, until: Nanos) -> io::Result<()> {
        self.socket().readable(until).await
    }

    /// Makes the task run again when the peer's end becomes known, without waiting or reading.
    pub fn watch(&self) -> io::Result<()> {
        self.socket().watch()
    }

    /// Takes the socket from its worker, for another one.
    pub fn detach(self) -> Option<OwnedFd> {
        match self {
            Link::Plain(conn) => conn.detach(),
        }
    }

    /// Waits until a connection in progress has succeeded or failed.
    pub async fn established(&self, until: Nanos) -> io::Result<()> {
        self.socket().writable(until).await?;
        self.socket().take_error().map_or(Ok(()), Err)
    }

    /// Writes everything.
    pub async fn send_all(&self, bytes: &[u8], more: bool, until: Nanos) -> Result<(), Stopped> {
        let mut written = 0;
        while written < bytes.len() {
            match poll_fn(|_| self.poll_send(&bytes[written..], more, until)).await {
                Ok(n) => written += n,
                Err(e) => return Err((written, e)),
            }
        }
        Ok(())
    }

    /// Writes all slices, in one call while the kernel takes them. `slices` is used up.
    pub async fn send_slices(&self, slices: &mut [IoSlice<'_>], until: Nanos) -> Result<(), Stopped> {
        let mut rest = slices;
        let mut written = 0;
        while !rest.is_empty() {
            match poll_fn(|_| self.poll_send_slices(rest, until)).await {
                Ok(n) => {
                    written += n;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(e) => return Err((written, e)),
            }
        }
        Ok(())
    }

    /// Ends our direction.
    pub fn shutdown_write(&self) {
        self.socket().shutdown_write();
    }

    /// Lets the close throw away what is not sent, without a FIN.
    pub fn set_no_linger(&self) {
        socket::set_no_linger(self.fd());
    }

    pub fn set_keepalive(&self) {
        socket::set_keepalive(self.fd());
    }

    /// Our end of it.
    pub fn local(&self) -> io::Result<Peer> {
        self.socket().local()
    }
}
