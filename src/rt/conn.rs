//! `Conn`: a stream socket of a worker, and `Acceptor`: a listening one.
//!
//! A read or write is tried when the socket may be ready and waits only after the kernel said no; a read that
//! was short is taken as the end of what there is, so that no read is made only to hear EAGAIN. What is moved is taken
//! off the running task's share of the turn; one that has had its share waits for the next turn as if for its peer.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::task::Poll;

use crate::os::pipe::Pipe;
use crate::os::socket::{self, Peer, RawAddr};

use super::runtime::Rt;
use super::source::Source;
use crate::base::Nanos;

/// A stream socket registered with its worker at the first wait. Closed when dropped.
pub struct Conn {
    fd: Option<OwnedFd>,
    source: &'static Source,
    rt: &'static Rt,
}

fn would_block(e: &io::Error) -> bool {
    e.kind() == ErrorKind::WouldBlock
}

impl Conn {
    /// An accepted socket: data may be there already.
    pub fn accepted(rt: &'static Rt, fd: OwnedFd) -> Conn {
        let source = rt.sources.add(true, true);
        Conn { fd: Some(fd), source, rt }
    }

    /// Starts connecting `fd`. On loopback the connection stands at once, so the first write is tried.
    pub fn connect(rt: &'static Rt, fd: OwnedFd, addr: &RawAddr) -> io::Result<Conn> {
        if let Some(dialled) = rt.told.dial(addr.peer()) {
            return dialled.map(|fd| Conn::connecting(rt, fd));
        }
        socket::connect(fd.as_raw_fd(), addr)?;
        Ok(Conn::connecting(rt, fd))
    }

    fn connecting(rt: &'static Rt, fd: OwnedFd) -> Conn {
        let source = rt.sources.add(false, true);
        Conn { fd: Some(fd), source, rt }
    }

    /// Resets the connection, or gives it up while it is being opened. The socket stays, and what epoll knows of it, for
    /// [`Conn::connect_again`].
    pub fn dissolve(&self) -> io::Result<()> {
        socket::dissolve(self.fd())
    }

    /// Nobody waits for what is still to come of this connection.
    pub fn ignore(&self) {
        self.source.forget();
    }

    /// Starts connecting a socket that has no connection any more. What epoll has yet to tell of it is looked up when it is
    /// asked, between two tasks, and so of the connection that there is then.
    pub fn connect_again(&self, addr: &RawAddr) -> io::Result<()> {
        self.source.forget();
        socket::connect(self.fd(), addr)
    }

    /// Makes it one of those that [`Rt::shut_down`] ends together.
    pub fn belong_to(&self, owner: u64) {
        self.source.set_owner(owner, self.fd());
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    pub fn rt(&self) -> &'static Rt {
        self.rt
    }

    /// Takes the socket from its worker, for another one.
    pub fn detach(mut self) -> Option<OwnedFd> {
        self.rt.unregister(self.source, self.fd());
        self.fd.take()
    }

    /// Data or an end of stream is waiting as far as is known without asking the kernel.
    pub fn is_readable(&self) -> bool {
        self.source.readable.get()
    }

    /// Whether nothing is there to be read, asking the kernel where that is not known.
    pub fn is_drained(&self) -> bool {
        if !self.is_readable() {
            return true;
        }
        let mut byte = [0];
        match socket::peek(self.fd(), &mut byte) {
            Err(e) if would_block(&e) => {
                self.source.readable.set(false);
                true
            }
            _ => false,
        }
    }

    /// The peer is known to have closed or reset.
    pub fn is_closed(&self) -> bool {
        self.source.closed.get()
    }

    /// The peer has ended the connection, or with `half` its direction of it.
    pub fn has_ended(&self, half: bool) -> bool {
        self.source.broken.get() || (half && self.source.closed.get())
    }

    /// The connection is known to be reset, or closed in both directions.
    pub fn is_broken(&self) -> bool {
        self.source.broken.get()
    }

    fn wait<T>(&self, write: bool, until: Nanos) -> Poll<io::Result<T>> {
        if self.rt.now() >= until {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        self.rt.arm(until);
        match self.rt.wait_for(self.source, self.fd(), write) {
            Err(e) => Poll::Ready(Err(e)),
            Ok(()) => Poll::Pending,
        }
    }

    /// After `n` of `room` bytes: a short read emptied the socket, unless the end of the stream is to be read yet.
    fn note_read(&self, n: usize, room: usize) {
        if n < room && n > 0 {
            self.source.readable.set(self.source.closed.get());
        }
    }

    fn blocked<T>(&self, write: bool, until: Nanos) -> Poll<io::Result<T>> {
        if write {
            self.source.writable.set(false)
        } else {
            self.source.readable.set(false)
        }
        self.wait(write, until)
    }

    /// Reads into `room`; 0 is the end of the stream. `TimedOut` when nothing came before `until`.
    pub fn poll_recv(&self, room: &mut [u8], until: Nanos) -> Poll<io::Result<usize>> {
        if !self.is_readable() {
            return self.wait(false, until);
        }
        if self.rt.has_had_its_share() {
            return Poll::Pending;
        }
        match socket::recv(self.fd(), room) {
            Ok(n) => {
                self.rt.charge(n);
                self.note_read(n, room.len());
                Poll::Ready(Ok(n))
            }
            Err(e) if would_block(&e) => self.blocked(false, until),
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    pub fn poll_send(&self, bytes: &[u8], more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        self.poll_write(until, |fd| socket::send(fd, bytes, more))
    }

    pub fn poll_send_slices(
        &self,
        slices: &[IoSlice<'_>],
        more: bool,
        until: Nanos,
    ) -> Poll<io::Result<usize>> {
        self.poll_write(until, |fd| socket::send_slices(fd, slices, more))
    }

    /// From the socket into the pipe.
    pub fn poll_splice_in(&self, pipe: &mut Pipe, max: usize, until: Nanos) -> Poll<io::Result<usize>> {
        if !self.is_readable() {
            return self.wait(false, until);
        }
        if self.rt.has_had_its_share() {
            return Poll::Pending;
        }
        match pipe.fill(self.fd(), max) {
            Ok(n) => {
                self.rt.charge(n);
                Poll::Ready(Ok(n))
            }
            // A full pipe blocks as well; the caller never asks with one.
            Err(e) if would_block(&e) => self.blocked(false, until),
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    /// From the pipe into the socket.
    pub fn poll_splice_out(&self, pipe: &mut Pipe, more: bool, until: Nanos) -> Poll<io::Result<usize>> {
        self.poll_write(until, |fd| pipe.drain(fd, more))
    }

    fn poll_write(
        &self,
        until: Nanos,
        op: impl FnOnce(RawFd) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if !self.source.writable.get() {
            return self.wait(true, until);
        }
        if self.rt.has_had_its_share() {
            return Poll::Pending;
        }
        match op(self.fd()) {
            Ok(n) => {
                self.rt.charge(n);
                Poll::Ready(Ok(n))
            }
            Err(e) if would_block(&e) => self.blocked(true, until),
            // Not connected yet: the same answer in another word.
            Err(e) if e.raw_os_error() == Some(libc::ENOTCONN) => self.blocked(true, until),
            Err(e) => Poll::Ready(Err(e)),
        }
    }

    /// Looks at what can be read without taking it, once it is more than `seen` bytes, or the end (`seen` again).
    pub async fn peek_more(&self, room: &mut [u8], seen: usize, until: Nanos) -> io::Result<usize> {
        poll_fn(|context| {
            self.rt.assert_own(context);
            if !self.is_readable() {
                return self.wait(false, until);
            }
            match socket::peek(self.fd(), room) {
                Ok(n) if n == seen && n > 0 && !self.is_closed() => self.blocked(false, until),
                Err(e) if would_block(&e) => self.blocked(false, until),
                other => Poll::Ready(other),
            }
        })
        .await
    }

    /// Reads what is there; `None` when that is nothing yet.
    pub fn try_recv(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        if !self.is_readable() {
            return None;
        }
        match socket::recv(self.fd(), room) {
            Ok(n) => {
                self.rt.charge(n);
                self.note_read(n, room.len());
                Some(Ok(n))
            }
            Err(e) if would_block(&e) => {
                self.source.readable.set(false);
                None
            }
            Err(e) => Some(Err(e)),
        }
    }

    /// The same of a socket of which epoll was not asked.
    pub fn look(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        self.source.readable.set(true);
        self.try_recv(room)
    }

    pub async fn recv(&self, room: &mut [u8], until: Nanos) -> io::Result<usize> {
        poll_fn(|context| {
            self.rt.assert_own(context);
            self.poll_recv(room, until)
        })
        .await
    }

    /// Waits until something can be read, without a buffer.
    pub async fn readable(&self, until: Nanos) -> io::Result<()> {
        poll_fn(|context| {
            self.rt.assert_own(context);
            if self.is_readable() { Poll::Ready(Ok(())) } else { self.wait(false, until) }
        })
        .await
    }

    /// Makes the running task that which hears of an end of stream, if the socket is registered: whether it is.
    pub fn goes_on_watching(&self) -> bool {
        self.rt.goes_on_watching(self.source)
    }

    /// Registers for reading without waiting, so that an end of stream becomes known.
    pub fn watch(&self) -> io::Result<()> {
        self.rt.wait_for(self.source, self.fd(), false)
    }

    /// Waits until the connection to `addr`, which is being opened, stands.
    pub async fn connected(&self, addr: &RawAddr, until: Nanos) -> io::Result<()> {
        loop {
            // Asked again, connect(2) tells how far it is.
            match socket::connect(self.fd(), addr) {
                Err(e) if e.raw_os_error() == Some(libc::EISCONN) => return Ok(()),
                Err(e) if e.raw_os_error() == Some(libc::EALREADY) => self.writable(until).await?,
                other => return other,
            }
        }
    }

    /// Waits until the socket can be written: a connection in progress has succeeded or failed.
    pub async fn writable(&self, until: Nanos) -> io::Result<()> {
        self.source.writable.set(false);
        poll_fn(|context| {
            self.rt.assert_own(context);
            if self.source.writable.get() { Poll::Ready(Ok(())) } else { self.wait(true, until) }
        })
        .await
    }

    /// Writes everything.
    pub async fn send_all(&self, mut bytes: &[u8], more: bool, until: Nanos) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = poll_fn(|context| {
                self.rt.assert_own(context);
                self.poll_send(bytes, more, until)
            })
            .await?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Writes all slices in order. `slices` is used up.
    pub async fn send_slices(&self, slices: &mut [IoSlice<'_>], more: bool, until: Nanos) -> io::Result<()> {
        let mut rest = slices;
        while !rest.is_empty() {
            let n = poll_fn(|context| {
                self.rt.assert_own(context);
                self.poll_send_slices(rest, more, until)
            })
            .await?;
            IoSlice::advance_slices(&mut rest, n);
        }
        Ok(())
    }

    pub fn shutdown_write(&self) {
        socket::shutdown_write(self.fd());
    }

    pub fn local(&self) -> io::Result<Peer> {
        socket::local(self.fd())
    }

    pub fn take_error(&self) -> Option<io::Error> {
        socket::take_error(self.fd())
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // Closing takes the descriptor out of epoll by itself.
        self.rt.sources.end(self.source);
    }
}

/// A listening socket of a worker.
pub struct Acceptor {
    fd: std::sync::Arc<OwnedFd>,
    source: &'static Source,
    rt: &'static Rt,
}

impl Acceptor {
    /// `exclusive`: the socket is shared by all workers.
    pub fn new(rt: &'static Rt, fd: std::sync::Arc<OwnedFd>, exclusive: bool) -> io::Result<Acceptor> {
        let source = rt.sources.add(false, false);
        let acceptor = Acceptor { fd, source, rt };
        rt.add_listener(source, acceptor.fd.as_raw_fd(), exclusive)?;
        Ok(acceptor)
    }

    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Waits until a connection may be pending, or until `is_over` says so when the task is woken. The registration
    /// is edge-triggered: it stays readable until [`Acceptor::try_accept`] finds none.
    pub async fn readable(&self, is_over: impl Fn() -> bool) {
        poll_fn(|context| {
            self.rt.assert_own(context);
            if is_over() || self.source.readable.get() {
                return Poll::Ready(());
            }
            self.rt.note_listener(self.source);
            Poll::Pending
        })
        .await;
    }

    /// Accepts a connection with the peer's address; `None` when there is none.
    pub fn try_accept(&self) -> Option<io::Result<(OwnedFd, Peer)>> {
        match socket::accept(self.fd()) {
            Err(e) if would_block(&e) => {
                self.source.readable.set(false);
                None
            }
            other => Some(other),
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.rt.unregister(self.source, self.fd());
        self.rt.sources.end(self.source);
    }
}
