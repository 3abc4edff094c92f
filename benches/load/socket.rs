//! Non-blocking TCP with one syscall a step: connect, send, receive, discard, and the epoll set.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// How a read ended.
pub enum Got {
    Bytes(usize),
    /// The peer closed its side.
    End,
    /// Nothing to read now.
    Later,
    Failed(Errno),
}

/// Starts a connection; on loopback it is often established by the time this returns.
pub fn connect(target: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
        _ => Ok(socket),
    }
}

/// A listener whose connections inherit NODELAY.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(8192)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Reads at most `buffer.len()` bytes without waiting.
pub fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> Got {
    received(recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT))
}

/// Reads like [`receive`] but drops the bytes in the kernel; the buffer only says how many.
pub fn discard(socket: &impl AsRawFd, buffer: &mut [u8]) -> Got {
    received(recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC))
}

fn received(result: nix::Result<usize>) -> Got {
    match result {
        Ok(0) => Got::End,
        Ok(count) => Got::Bytes(count),
        Err(Errno::EAGAIN | Errno::EINTR) => Got::Later,
        Err(errno) => Got::Failed(errno),
    }
}

/// Sends without waiting: `Ok(0)` when nothing fits now.
pub fn transmit(socket: &impl AsRawFd, bytes: &[u8]) -> Result<usize, Errno> {
    match send(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        other => other,
    }
}

/// The error a socket holds after a failed connect, or none.
pub fn pending_error(socket: &impl AsFd) -> Option<std::io::Error> {
    SockRef::from(socket).take_error().unwrap_or_else(Some)
}

/// A level-triggered epoll set whose wait has nanosecond resolution.
pub struct Set {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Set {
    pub fn new() -> Result<Self, String> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| errno.to_string())?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); 256] })
    }

    /// Watches a descriptor for input, and for room to write if asked.
    pub fn add(&self, fd: impl AsFd, token: u64, writable: bool) {
        let _ = self.epoll.add(fd, EpollEvent::new(interest(writable), token));
    }

    pub fn change(&self, fd: impl AsFd, token: u64, writable: bool) {
        let _ = self.epoll.modify(fd, &mut EpollEvent::new(interest(writable), token));
    }

    /// Waits for at most this long and returns how many events [`Self::event`] can read.
    pub fn wait(&mut self, at_most: Duration) -> usize {
        if at_most.is_zero() || at_most >= Duration::from_millis(10) {
            let millis = u16::try_from(at_most.as_millis()).unwrap_or(u16::MAX);
            return self.epoll.wait(&mut self.events, EpollTimeout::from(millis)).unwrap_or(0);
        }
        let mut set = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut set, Some(TimeSpec::from_duration(at_most)), None) {
            Ok(1..) => self.epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0),
            _ => 0,
        }
    }

    /// The token of an event, and whether it says "room to write".
    pub fn event(&self, index: usize) -> (u64, bool) {
        let event = self.events[index];
        (event.data(), event.events().intersects(EpollFlags::EPOLLOUT))
    }
}

fn interest(writable: bool) -> EpollFlags {
    if writable { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN }
}

/// Nanoseconds since the program's start.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
