//! The connection of a check: open, write, read, each within what is left of the check's time.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::base::{Millis, clock};
use crate::model::Address;

/// Why an operation ended without a result.
#[derive(Debug)]
pub(super) enum Trouble {
    Timeout,
    Io(io::Error),
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// An open connection and the moment at which the check times out.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    pub(super) deadline: Millis,
    linger: bool,
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

async fn open(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Inet(addr) => TcpStream::connect(addr).await.map(Stream::Tcp),
        Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Address::Abstract(name) => {
            let mut path = vec![0];
            path.extend_from_slice(name);
            UnixStream::connect(Path::new(OsStr::from_bytes(&path))).await.map(Stream::Unix)
        }
        Address::Fd(_) => Err(io::ErrorKind::Unsupported.into()),
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
        let stream = within(deadline, open(address)).await?;
        Ok(Connection { stream, deadline, linger })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let stream = &mut self.stream;
        within(self.deadline, async {
            match stream {
                Stream::Tcp(s) => s.write_all(bytes).await,
                Stream::Unix(s) => s.write_all(bytes).await,
            }
        })
        .await
    }

    /// Appends what arrives, up to `max` bytes in `buf`. Returns 0 at the end.
    pub(super) async fn read(&mut self, buf: &mut Vec<u8>, max: usize) -> Result<usize, Trouble> {
        let room = max.saturating_sub(buf.len()).min(4096);
        buf.reserve(room);
        let mut buf = buf.limit(room);
        let stream = &mut self.stream;
        within(self.deadline, async {
            match stream {
                Stream::Tcp(s) => s.read_buf(&mut buf).await,
                Stream::Unix(s) => s.read_buf(&mut buf).await,
            }
        })
        .await
    }

    /// Our end and the server's, for the PROXY header.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.stream {
            Stream::Tcp(s) => Some((s.local_addr().ok()?, s.peer_addr().ok()?)),
            Stream::Unix(_) => None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Stream::Tcp(s) = &self.stream
            && !self.linger
        {
            // Failing means a normal close.
            let _ = s.set_zero_linger();
        }
    }
}

/// The PROXY header of a check: its own addresses in version 1, `LOCAL` in version 2 (PROXY protocol, 2.2).
pub(super) fn proxy_header(version: u8, ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    if version == 2 {
        return b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec();
    }
    match ends {
        Some((from, to)) if from.is_ipv4() == to.is_ipv4() => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()).into_bytes()
        }
        _ => b"PROXY UNKNOWN\r\n".to_vec(),
    }
}

/// An error in HAProxy's words: its own name for the cause and the system's text.
pub(super) fn describe(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let name = match error.kind() {
        Kind::ConnectionRefused => "ECONNREFUSED returned by OS",
        Kind::ConnectionReset => "ECONNRESET returned by OS",
        Kind::HostUnreachable => "ENETUNREACH returned by OS",
        Kind::BrokenPipe => "EPIPE returned by OS",
        Kind::NotConnected => "ENCONN returned by OS",
        Kind::OutOfMemory => "ENOMEM returned by OS",
        Kind::InvalidInput => "EINVAL returned by OS",
        Kind::AddrNotAvailable => "Out of local source ports on the system",
        _ => "General socket error",
    };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    format!("{name} ({text})")
}
