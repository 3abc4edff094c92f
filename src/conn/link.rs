//! `Link`: one connection of a data worker, whatever its bytes are wrapped in.
//!
//! A link reads, writes and splices with a deadline, and is shared by the two directions that use it. It is a plain
//! socket, one that speaks TLS, or one of many streams that a connection carries in frames. Only a plain socket can be
//! spliced.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{OwnedFd, RawFd};
use std::task::Poll;

use crate::base::Nanos;
use crate::os::pipe::Pipe;
use crate::os::socket::{self, Peer};
use crate::rt::{Conn, Rt};

use super::tls::Tls;

/// A connection to a client or to a server.
pub enum Link {
    Plain(Conn),
    /// Boxed: a plain one is not to grow by it.
    Tls(Box<Tls>),
    /// A stream of a connection that carries many.
    Carried(Box<dyn Carried>),
}

/// A stream of bytes that is no socket of its own. What wakes the task that made it is up to it: a wait has nothing to
/// arm but its deadline.
pub trait Carried {
    /// See [`Link::poll_recv`].
    fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>>;
    /// See [`Link::poll_send`].
    fn poll_send(&self, bytes: &[u8], until: Nanos) -> Poll<io::Result<usize>>;
    /// See [`Link::is_readable`].
    fn is_readable(&self) -> bool;
    /// See [`Link::window`].
    fn window(&self) -> usize;
    /// See [`Link::has_ended`].
    fn has_ended(&self, half: bool) -> bool;
    /// See [`Link::shutdown_write`].
    fn shutdown_write(&self);
    /// The connection that carries it.
    fn carrier(&self) -> &Link;
    /// How that stands.
    fn carriage(&self) -> Carriage;
}

/// How a connection stands that carries streams; one of HTTP/1 carries one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriage {
    pub is_http2: bool,
    /// Live ones.
    pub streams: u32,
    /// Live ones that there may be.
    pub limit: u32,
    /// Faults of the peer.
    pub glitches: u32,
}

impl Default for Carriage {
    fn default() -> Carriage {
        Carriage { is_http2: false, streams: 1, limit: 1, glitches: 0 }
    }
}

/// The errors of a write that stopped halfway: the bytes that went before it, and why.
pub type Stopped = (usize, io::Error);

impl Link {
    /// A connection that a listener accepted.
    pub fn accepted(rt: &'static Rt, fd: OwnedFd) -> Link {
        Link::Plain(Conn::accepted(rt, fd))
    }

    /// A connection that a listener accepted, and that is to speak TLS.
    pub fn accepted_tls(rt: &'static Rt, fd: OwnedFd) -> Link {
        Link::Tls(Box::new(Tls::new(Conn::accepted(rt, fd))))
    }

    /// The TLS that it speaks, or is to speak; beneath the stream it is, too.
    pub fn tls(&self) -> Option<&Tls> {
        match self {
            Link::Plain(_) => None,
            Link::Tls(tls) => Some(tls),
            Link::Carried(stream) => stream.carrier().tls(),
        }
    }

    /// How the connection stands that carries it.
    pub fn carriage(&self) -> Carriage {
        match self {
            Link::Plain(_) | Link::Tls(_) => Carriage::default(),
            Link::Carried(stream) => stream.carriage(),
        }
    }

    /// The socket that the bytes go through in the end.
    #[inline]
    fn socket(&self) -> &Conn {
        match self {
            Link::Plain(conn) => conn,
            Link::Tls(tls) => tls.conn(),
            Link::Carried(stream) => stream.carrier().socket(),
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
        match self {
            Link::Plain(conn) => conn.is_readable(),
            Link::Tls(tls) => tls.is_readable(),
            Link::Carried(stream) => stream.is_readable(),
        }
    }

    /// Whether nothing is there to be read, asking the kernel where that is not known.
    pub fn is_drained(&self) -> bool {
        match self {
            Link::Plain(conn) => conn.is_drained(),
            Link::Tls(tls) => tls.is_drained(),
            Link::Carried(stream) => !stream.is_readable(),
        }
    }

    /// Whether the peer has said nothing, as far as is known without asking the kernel: what TLS says beside data does not
    /// count.
    #[inline]
    pub fn is_silent(&self) -> bool {
        match self {
            Link::Tls(tls) => tls.is_drained(),
            _ => !self.is_readable(),
        }
    }

    /// Bytes that the peer takes now, where it says so: no use in having more at hand.
    #[inline]
    pub fn window(&self) -> usize {
        match self {
            Link::Plain(_) | Link::Tls(_) => usize::MAX,
            Link::Carried(stream) => stream.window(),
        }
    }

    /// The peer is known to have ended its direction, or the connection.
    pub fn is_closed(&self) -> bool {
        match self {
            Link::Plain(conn) => conn.is_closed(),
            Link::Tls(tls) => tls.conn().is_closed(),
            Link::Carried(stream) => stream.has_ended(true),
        }
    }

    /// The peer has ended the connection, or with `half` its direction of it.
    pub fn has_ended(&self, half: bool) -> bool {
        match self {
            Link::Plain(conn) => conn.has_ended(half),
            Link::Tls(tls) => tls.conn().has_ended(half),
            Link::Carried(stream) => stream.has_ended(half),
        }
    }

    /// The connection is known to be reset, or closed in both directions.
    pub fn is_broken(&self) -> bool {
        match self {
            Link::Plain(conn) => conn.is_broken(),
            Link::Tls(tls) => tls.conn().is_broken(),
            Link::Carried(stream) => stream.has_ended(false),
        }
    }

    /// Reads into `room`; 0 is the end of the stream. `TimedOut` when nothing came before `until`.
    #[inline]
    pub fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_recv(room, until),
            Link::Tls(tls) => tls.poll_recv(room, until),
            Link::Carried(stream) => stream.poll_recv(room, until),
        }
    }

    /// Writes what the peer takes now.
    #[inline]
    pub fn poll_send(&self, bytes: &[u8], more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_send(bytes, more, until),
            Link::Tls(tls) => tls.poll_send(bytes, more, until),
            Link::Carried(stream) => stream.poll_send(bytes, until),
        }
    }

    fn poll_send_slices(&self, slices: &[IoSlice<'_>], until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_send_slices(slices, false, until),
            Link::Tls(tls) => tls.poll_send_slices(slices, until),
            Link::Carried(stream) => match slices.iter().find(|s| !s.is_empty()) {
                Some(slice) => stream.poll_send(slice, until),
                None => Poll::Ready(Ok(0)),
            },
        }
    }

    /// From the link into the pipe.
    pub fn poll_splice_in(&self, pipe: &mut Pipe, max: usize, until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_splice_in(pipe, max, until),
            Link::Tls(_) | Link::Carried(_) => Poll::Ready(Err(io::Error::from_raw_os_error(libc::EINVAL))),
        }
    }

    /// From the pipe into the link.
    pub fn poll_splice_out(&self, pipe: &mut Pipe, more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.poll_splice_out(pipe, more, until),
            Link::Tls(_) | Link::Carried(_) => Poll::Ready(Err(io::Error::from_raw_os_error(libc::EINVAL))),
        }
    }

    /// Looks at what can be read without taking it, once it is more than `seen` bytes, or the end (`seen` again). The
    /// bytes of the socket itself: what stands before any wrapping (PROXY protocol).
    pub async fn peek_more(&self, room: &mut [u8], seen: usize, until: Nanos) -> io::Result<usize> {
        self.socket().peek_more(room, seen, until).await
    }

    /// Reads from the socket itself, what stands before any wrapping.
    pub async fn recv_unwrapped(&self, room: &mut [u8], until: Nanos) -> io::Result<usize> {
        self.socket().recv(room, until).await
    }

    /// Reads what is there; `None` when that is nothing yet.
    #[inline]
    pub fn try_recv(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        match self {
            Link::Plain(conn) => conn.try_recv(room),
            Link::Tls(tls) => tls.try_recv(room),
            Link::Carried(stream) if !stream.is_readable() => None,
            Link::Carried(stream) => match stream.poll_recv(room, Nanos::MAX) {
                Poll::Ready(done) => Some(done),
                Poll::Pending => None,
            },
        }
    }

    pub async fn recv(&self, room: &mut [u8], until: Nanos) -> io::Result<usize> {
        poll_fn(|_| self.poll_recv(room, until)).await
    }

    /// Waits until something can be read, without a buffer.
    pub async fn readable(&self, until: Nanos) -> io::Result<()> {
        match self {
            Link::Plain(conn) => conn.readable(until).await,
            Link::Tls(tls) if tls.is_readable() => Ok(()),
            Link::Tls(tls) => tls.conn().readable(until).await,
            Link::Carried(stream) => {
                poll_fn(|_| match stream.is_readable() {
                    true => Poll::Ready(Ok(())),
                    false => stream.poll_recv(&mut [], until).map_ok(|_| ()),
                })
                .await
            }
        }
    }

    /// Makes the task run again when the peer's end becomes known, if that costs nothing: whether it does.
    pub fn goes_on_watching(&self) -> bool {
        match self {
            Link::Plain(conn) => conn.goes_on_watching(),
            Link::Tls(tls) => tls.conn().goes_on_watching(),
            Link::Carried(_) => true,
        }
    }

    /// Makes the task run again when the peer's end becomes known, without waiting or reading.
    pub fn watch(&self) -> io::Result<()> {
        match self {
            Link::Plain(conn) => conn.watch(),
            Link::Tls(tls) => tls.conn().watch(),
            Link::Carried(_) => Ok(()),
        }
    }

    /// Takes the socket from its worker, for another one.
    pub fn detach(self) -> Option<OwnedFd> {
        match self {
            Link::Plain(conn) => conn.detach(),
            Link::Tls(_) | Link::Carried(_) => None,
        }
    }

    /// Waits until a connection in progress has succeeded or failed.
    pub async fn established(&self, until: Nanos) -> io::Result<()> {
        if let Link::Tls(tls) = self {
            return poll_fn(|_| tls.poll_established(until)).await;
        }
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
        match self {
            Link::Plain(conn) => conn.shutdown_write(),
            Link::Tls(tls) => tls.shutdown_write(),
            Link::Carried(stream) => stream.shutdown_write(),
        }
    }

    /// Lets the close throw away what is not sent, without a FIN.
    pub fn set_no_linger(&self) {
        match self {
            Link::Tls(tls) => tls.set_no_linger(),
            _ => socket::set_no_linger(self.fd()),
        }
    }

    pub fn set_keepalive(&self) {
        socket::set_keepalive(self.fd());
    }

    /// Our end of it.
    pub fn local(&self) -> io::Result<Peer> {
        self.socket().local()
    }
}
