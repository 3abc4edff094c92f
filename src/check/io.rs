//! The connection of a check: open, write, read, each within what is left of the check's time.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use crate::base::{Millis, clock};
use crate::conn::proxy_protocol;
use crate::model::Address;
use crate::os::socket::{self, Peer};

/// Why an operation ended without a result.
#[derive(Debug)]
pub(super) enum Trouble {
    Timeout,
    Io(io::Error),
}

/// A socket, registered with the runtime only once it has to be waited for: most checks connect at once, send what
/// fits, and close.
#[derive(Debug)]
enum Socket {
    Plain(OwnedFd),
    Watched(AsyncFd<OwnedFd>),
    /// Registering failed.
    Lost,
}

/// An open connection and the moment at which the check times out.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    remote: Option<SocketAddr>,
    pub(super) deadline: Millis,
}

/// Waits for `work` until `deadline`.
async fn within<T>(deadline: Millis, work: impl Future<Output = io::Result<T>>) -> Result<T, Trouble> {
    let left = Duration::from_millis(deadline.saturating_sub(clock::now_ms()));
    match tokio::time::timeout(left, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Trouble::Io(e)),
        Err(_) => Err(Trouble::Timeout),
    }
}

impl Socket {
    fn fd(&self) -> RawFd {
        match self {
            Socket::Plain(fd) => fd.as_raw_fd(),
            Socket::Watched(fd) => fd.as_raw_fd(),
            Socket::Lost => -1,
        }
    }

    /// Starts connecting; the socket is `Plain` when that is done already.
    fn open(address: &Address, linger: bool) -> io::Result<Socket> {
        let address = crate::conn::address::raw(address)?;
        let fd = socket::stream(&address)?;
        if !linger {
            socket::set_no_linger(fd.as_raw_fd());
        }
        socket::connect(fd.as_raw_fd(), &address)?;
        // Asked again, connect(2) tells how far it is.
        match socket::connect(fd.as_raw_fd(), &address) {
            Ok(()) => Ok(Socket::Plain(fd)),
            Err(e) if e.raw_os_error() == Some(libc::EISCONN) => Ok(Socket::Plain(fd)),
            Err(e) if e.raw_os_error() == Some(libc::EALREADY) => socket::watch(fd).map(Socket::Watched),
            Err(e) => Err(e),
        }
    }

    fn watch(&mut self) -> io::Result<&AsyncFd<OwnedFd>> {
        if let Socket::Plain(_) = self
            && let Socket::Plain(fd) = std::mem::replace(self, Socket::Lost)
        {
            *self = Socket::Watched(socket::watch(fd)?);
        }
        match self {
            Socket::Watched(fd) => Ok(fd),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Connection {
    /// Connects until `deadline`. Unless `linger`, it will be closed by a reset, which leaves no TIME-WAIT behind:
    /// thousands of checks a minute would use up the local ports.
    pub(super) async fn open(
        address: &Address,
        deadline: Millis,
        linger: bool,
    ) -> Result<Connection, Trouble> {
        let socket = Socket::open(address, linger).map_err(Trouble::Io)?;
        if let Socket::Watched(fd) = &socket {
            within(deadline, async {
                let _ = fd.writable().await?;
                socket::take_error(fd.as_raw_fd()).map_or(Ok(()), Err)
            })
            .await?;
        }
        Ok(Connection { socket, remote: address.inet(), deadline })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let mut sent = 0;
        while sent < bytes.len() {
            match socket::send(self.socket.fd(), &bytes[sent..], false) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let fd = self.socket.watch().map_err(Trouble::Io)?;
                    within(self.deadline, async { fd.writable().await.map(|mut ready| ready.clear_ready()) })
                        .await?;
                }
                Err(e) => return Err(Trouble::Io(e)),
            }
        }
        Ok(())
    }

    /// Appends what arrives, up to `max` bytes in `buf`. Returns 0 at the end.
    pub(super) async fn read(&mut self, buf: &mut Vec<u8>, max: usize) -> Result<usize, Trouble> {
        let start = buf.len();
        let room = max.saturating_sub(start).min(4096);
        let fd = self.socket.watch().map_err(Trouble::Io)?;
        within(self.deadline, async {
            loop {
                let mut ready = fd.readable().await?;
                buf.resize(start + room, 0);
                let result = ready.try_io(|fd| socket::recv(fd.as_raw_fd(), &mut buf[start..]));
                buf.truncate(
                    start + result.as_ref().ok().and_then(|r| r.as_ref().ok()).copied().unwrap_or(0),
                );
                if let Ok(result) = result {
                    return result;
                }
            }
        })
        .await
    }

    /// Our end and the server's, for the PROXY header.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match socket::local(self.socket.fd()) {
            Ok(Peer::Inet(local)) => Some((local, self.remote?)),
            _ => None,
        }
    }
}

/// The PROXY header of a check: its own addresses in version 1, `LOCAL` in version 2 (PROXY protocol, 2.2).
pub(super) fn proxy_header(version: u8, ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = Vec::new();
    if version == 2 {
        proxy_protocol::write_local(&mut header);
    } else {
        proxy_protocol::write(version, ends, &mut header);
    }
    header
}

/// An error in HAProxy's words: its own name for the cause and the system's text.
pub(super) fn describe(error: &io::Error) -> String {
    let name = match error.kind() {
        ErrorKind::ConnectionRefused => "ECONNREFUSED returned by OS",
        ErrorKind::ConnectionReset => "ECONNRESET returned by OS",
        ErrorKind::HostUnreachable => "ENETUNREACH returned by OS",
        ErrorKind::BrokenPipe => "EPIPE returned by OS",
        ErrorKind::NotConnected => "ENCONN returned by OS",
        ErrorKind::OutOfMemory => "ENOMEM returned by OS",
        ErrorKind::InvalidInput => "EINVAL returned by OS",
        ErrorKind::AddrNotAvailable => "Out of local source ports on the system",
        _ => "General socket error",
    };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    format!("{name} ({text})")
}
