//! Stream sockets as the data path uses them: non-blocking, close-on-exec, no hidden syscalls.
//!
//! What a worker calls for every request goes to the kernel as it is: the C library makes a cancellation point of each
//! of these calls, which costs more instructions than the call itself, and no thread of ours is ever cancelled.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::epoll::{check, counted};

/// An address in the kernel's form.
#[derive(Clone, Copy)]
pub struct RawAddr {
    pub(super) storage: libc::sockaddr_storage,
    pub(super) len: libc::socklen_t,
}

/// The far end of a stream socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Inet(SocketAddr),
    Unix,
}

impl RawAddr {
    fn empty() -> RawAddr {
        // SAFETY: all-zero is a valid sockaddr_storage.
        let storage = unsafe { zeroed() };
        RawAddr { storage, len: size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    pub fn inet(addr: SocketAddr) -> RawAddr {
        let mut raw = RawAddr::empty();
        match addr {
            SocketAddr::V4(a) => {
                let sin = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: a.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(a.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_storage is larger than, and aligned for, sockaddr_in.
                unsafe { (&raw mut raw.storage).cast::<libc::sockaddr_in>().write(sin) };
                raw.len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(a) => {
                let sin6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: a.port().to_be(),
                    sin6_flowinfo: a.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: a.ip().octets() },
                    sin6_scope_id: a.scope_id(),
                };
                // SAFETY: sockaddr_storage is larger than, and aligned for, sockaddr_in6.
                unsafe { (&raw mut raw.storage).cast::<libc::sockaddr_in6>().write(sin6) };
                raw.len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        raw
    }

    /// A unix socket's path; the name of an abstract one when `abstract_name`.
    pub fn unix(name: &[u8], abstract_name: bool) -> io::Result<RawAddr> {
        let mut raw = RawAddr::empty();
        // SAFETY: all-zero is a valid sockaddr_un.
        let mut sun: libc::sockaddr_un = unsafe { zeroed() };
        sun.sun_family = libc::AF_UNIX as libc::sa_family_t;
        let skip = usize::from(abstract_name);
        if name.len() + 1 > sun.sun_path.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "unix socket name too long"));
        }
        for (to, from) in sun.sun_path[skip..].iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        // HAProxy's `abns@` names fill the whole field with zeroes.
        let used = if abstract_name { sun.sun_path.len() } else { name.len() + 1 };
        raw.len = (size_of::<libc::sa_family_t>() + used) as libc::socklen_t;
        // SAFETY: sockaddr_storage is larger than, and aligned for, sockaddr_un.
        unsafe { (&raw mut raw.storage).cast::<libc::sockaddr_un>().write(sun) };
        Ok(raw)
    }

    pub fn path(path: &Path) -> io::Result<RawAddr> {
        RawAddr::unix(path.as_os_str().as_bytes(), false)
    }

    fn family(&self) -> libc::c_int {
        libc::c_int::from(self.storage.ss_family)
    }

    pub fn is_inet6(&self) -> bool {
        self.family() == libc::AF_INET6
    }

    pub fn peer(&self) -> Peer {
        match self.family() {
            libc::AF_INET => {
                // SAFETY: the kernel wrote a sockaddr_in.
                let sin = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(sin.sin_addr.s_addr.to_ne_bytes());
                Peer::Inet(SocketAddrV4::new(ip, u16::from_be(sin.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the kernel wrote a sockaddr_in6.
                let sin6 = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in6>().read() };
                let ip = Ipv6Addr::from(sin6.sin6_addr.s6_addr);
                let port = u16::from_be(sin6.sin6_port);
                match ip.to_ipv4_mapped() {
                    Some(v4) => Peer::Inet(SocketAddrV4::new(v4, port).into()),
                    None => Peer::Inet(SocketAddrV6::new(ip, port, 0, sin6.sin6_scope_id).into()),
                }
            }
            _ => Peer::Unix,
        }
    }
}

/// recvfrom(2) without an address.
fn receive(fd: RawFd, room: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let nobody = std::ptr::null::<libc::c_void>();
    // SAFETY: `room` is writable for its length.
    counted(unsafe {
        libc::syscall(
            libc::SYS_recvfrom,
            libc::c_long::from(fd),
            room.as_mut_ptr(),
            room.len(),
            libc::c_long::from(flags),
            nobody,
            nobody,
        )
    })
}

/// A new non-blocking stream socket of the address's family.
pub fn stream(addr: &RawAddr) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers; the returned descriptor is owned by nobody else.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::socket(addr.family(), kind, 0))?)) }
}

/// Starts connecting; `Ok` too while it goes on (EINPROGRESS).
pub fn connect(fd: RawFd, addr: &RawAddr) -> io::Result<()> {
    // SAFETY: `addr` lives through the call and `len` is its length.
    match counted(unsafe {
        libc::syscall(
            libc::SYS_connect,
            libc::c_long::from(fd),
            &raw const addr.storage,
            libc::c_long::from(addr.len),
        )
    }) {
        Ok(_) => Ok(()),
        Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Takes the connection from a TCP socket, with a reset if it stands; the socket can be connected again.
pub fn dissolve(fd: RawFd) -> io::Result<()> {
    // All zeroes: an address of AF_UNSPEC.
    connect(fd, &RawAddr::empty())
}

pub fn bind(fd: RawFd, addr: &RawAddr) -> io::Result<()> {
    // SAFETY: `addr` lives through the call and `len` is its length.
    check(unsafe { libc::bind(fd, (&raw const addr.storage).cast(), addr.len) }).map(|_| ())
}

pub fn listen(fd: RawFd, backlog: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd, backlog.min(i32::MAX as u32) as i32) }).map(|_| ())
}

/// Makes a listening TCP socket refuse whoever connects, until [`listen`] is called again. It keeps its address. One that
/// does not listen is left alone: it would take note that nothing more is to be read, and what it accepts later would
/// inherit that.
pub fn stop_listening(fd: RawFd) {
    if is_listening(fd) {
        // SAFETY: no pointers.
        unsafe { libc::shutdown(fd, libc::SHUT_RD) };
    }
}

fn is_listening(fd: RawFd) -> bool {
    let mut listens: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `listens` is writable for its size.
    let ret = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN, (&raw mut listens).cast(), &mut len)
    };
    ret == 0 && listens != 0
}

/// Accepts a connection with the peer's address.
pub fn accept(fd: RawFd) -> io::Result<(OwnedFd, Peer)> {
    let mut addr = RawAddr::empty();
    // SAFETY: address and length are writable; the returned descriptor is owned by nobody else.
    unsafe {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let new = counted(libc::syscall(
            libc::SYS_accept4,
            libc::c_long::from(fd),
            &raw mut addr.storage,
            &raw mut addr.len,
            libc::c_long::from(flags),
        ))?;
        Ok((OwnedFd::from_raw_fd(new as RawFd), addr.peer()))
    }
}

/// Our own end of a socket.
pub fn local(fd: RawFd) -> io::Result<Peer> {
    let mut addr = RawAddr::empty();
    // SAFETY: address and length are writable.
    check(unsafe { libc::getsockname(fd, (&raw mut addr.storage).cast(), &mut addr.len) })?;
    Ok(addr.peer())
}

pub fn recv(fd: RawFd, room: &mut [u8]) -> io::Result<usize> {
    receive(fd, room, 0)
}

/// Looks at what can be read without taking it.
pub fn peek(fd: RawFd, room: &mut [u8]) -> io::Result<usize> {
    receive(fd, room, libc::MSG_PEEK)
}

/// Sends one slice; `more`: further bytes follow at once (MSG_MORE). Never raises SIGPIPE.
pub fn send(fd: RawFd, bytes: &[u8], more: bool) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    let nobody = std::ptr::null::<libc::c_void>();
    // SAFETY: `bytes` is readable for its length.
    counted(unsafe {
        libc::syscall(
            libc::SYS_sendto,
            libc::c_long::from(fd),
            bytes.as_ptr(),
            bytes.len(),
            libc::c_long::from(flags),
            nobody,
            0 as libc::c_long,
        )
    })
}

/// Sends several slices in one call.
pub fn send_slices(fd: RawFd, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: IoSlice has iovec's layout, and the header lives through the call.
    counted(unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = slices.as_ptr().cast_mut().cast();
        header.msg_iovlen = slices.len();
        libc::syscall(libc::SYS_sendmsg, libc::c_long::from(fd), &raw const header, libc::c_long::from(flags))
    })
}

/// Ends our direction of a stream.
pub fn shutdown_write(fd: RawFd) {
    // SAFETY: no pointers. A peer that is gone already is no news.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) };
}

/// Ends both directions of a stream: whoever waits for it is woken.
pub fn shutdown_both(fd: RawFd) {
    // SAFETY: no pointers.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

pub fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` is readable for its size.
    check(unsafe {
        libc::setsockopt(fd, level, name, (&raw const value).cast(), size_of::<i32>() as libc::socklen_t)
    })
    .map(|_| ())
}

pub fn set_nodelay(fd: RawFd) {
    let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
}

pub fn set_keepalive(fd: RawFd) {
    let _ = set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1);
}

/// Gives a TCP connection up when its peer takes or acknowledges nothing for so long (TCP_USER_TIMEOUT), and finds out
/// about a silent peer that is gone within twice that.
pub fn set_patience(fd: RawFd, ms: u32) {
    set_keepalive(fd);
    let seconds = (ms / 1000).max(1) as i32;
    let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds);
    let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, (seconds / 4).max(1));
    let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, ms as i32);
}

/// At most so many bytes of what was not sent yet are taken from this end; what is on its way is the peer's to bound.
pub fn bound_unsent(fd: RawFd, bytes: usize) {
    let _ =
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, i32::try_from(bytes).unwrap_or(i32::MAX));
}

/// Makes the next close reset the connection instead of lingering in TIME_WAIT.
pub fn set_no_linger(fd: RawFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: `linger` is readable for its size.
    unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
}

/// What comes is acknowledged at once, whatever is to be sent next (TCP_QUICKACK).
pub fn set_quick_ack(fd: RawFd) {
    let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1);
}

/// The last packet of the handshakes that this end begins waits for what is sent next, or for the reset in its place. Unlike
/// what [`set_quick_ack`] says it outlives a connection (TCP_DEFER_ACCEPT, which is as good for whoever connects).
pub fn set_speaks_first(fd: RawFd) {
    let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 1);
}

/// Sends are not paced (TCP_CONGESTION), whatever the system does elsewhere: for who sends little and seldom.
pub fn set_unpaced(fd: RawFd) {
    const RENO: &[u8] = b"reno";
    // SAFETY: `RENO` is readable for its length.
    let _ = unsafe {
        libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_CONGESTION, RENO.as_ptr().cast(), RENO.len() as u32)
    };
}

/// The pending error of a socket, as after a failed connect.
pub fn take_error(fd: RawFd) -> Option<io::Error> {
    let mut code: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `code` is writable for its size.
    let ret =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut code).cast(), &mut len) };
    (ret == 0 && code != 0).then(|| io::Error::from_raw_os_error(code))
}

/// A datagram socket that speaks to one address alone.
pub fn datagram(addr: &RawAddr) -> io::Result<OwnedFd> {
    let fd = unconnected(addr)?;
    connect(fd.as_raw_fd(), addr)?;
    Ok(fd)
}

/// A datagram socket of the address's family.
pub fn unconnected(addr: &RawAddr) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers; the returned descriptor is owned by nobody else.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::socket(addr.family(), kind, 0))?)) }
}

/// Writes to a descriptor that may be a pipe, file or terminal; false when not everything was taken.
pub fn write_fd(fd: RawFd, bytes: &[u8]) -> bool {
    // SAFETY: `bytes` is readable for its length.
    let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    n == bytes.len() as isize
}

/// Leaves the choice of a source port to connect(2), which knows the destination and so has more of them.
pub fn set_bind_late(fd: RawFd) {
    let _ = set_option(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);
    let _ = set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
}

/// Only routes through this network interface.
pub fn bind_to_device(fd: RawFd, interface: &str) -> io::Result<()> {
    let name = interface.as_bytes();
    // SAFETY: `name` is readable for its length; the kernel wants no terminator.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// A descriptor of our own for one that was inherited by number.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the returned descriptor is owned by nobody else.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?)) }
}

pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    unsafe {
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// Registers a socket with the tokio runtime of the calling task (control plane only).
pub fn watch(fd: OwnedFd) -> io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open, and owned by the result until it is deregistered.
    unsafe { Ok(tokio::io::unix::AsyncFd::register(fd)?) }
}
