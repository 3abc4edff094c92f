//! The connection of a check: open, write, read, each within what is left of the check's time.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;

use rustls::ClientConnection;

use crate::base::Millis;
use crate::base::clock::{MS, Nanos};
use crate::conn::{address, proxy_protocol, socks4};
use crate::model::Address;
use crate::os::socket::{self, Peer, RawAddr};
use crate::rt::{Conn, Rt};
use crate::tls::server_name;

use super::lane;
use super::rule::Connect;
use super::spec::CheckTls;

/// Most bytes of one read.
const MOST_READ: usize = 4096;
/// Pauses in which an answer is expected, together with others' ([`Rt::pause`]); one that takes longer is told of by epoll.
const PAUSES: usize = 8;

/// Why an operation ended without a result.
#[derive(Debug)]
pub(super) enum Trouble {
    Timeout,
    Io(io::Error),
    /// The proxy on the way would not.
    Refused(&'static str),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        // The system's own has a number.
        match error.kind() {
            ErrorKind::TimedOut if error.raw_os_error().is_none() => Trouble::Timeout,
            _ => Trouble::Io(error),
        }
    }
}

/// How a connection is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    /// It only knows where to send.
    pub(super) datagram: bool,
    /// It is closed properly, not by a reset.
    pub(super) linger: bool,
    /// The server waits for us to speak, or nobody is going to.
    pub(super) speaks_first: bool,
    /// What is written first goes out with the connection: whether that stands shows as it is sent.
    pub(super) sends: bool,
    /// It goes through this proxy.
    pub(super) socks4: Option<SocketAddr>,
}

/// An open connection and the moment at which the check times out.
pub(super) struct Connection {
    /// Until it ends.
    conn: Option<Conn>,
    /// Where it goes first, and how.
    to: RawAddr,
    way: Way,
    remote: Option<SocketAddr>,
    /// Nothing was written to it yet.
    is_fresh: bool,
    /// Until when it may take to be opened, while it is not known to stand.
    opening: Option<Millis>,
    /// How long the check may take once it stands, where that is not told by `deadline`.
    pub(super) answer_ms: Option<Millis>,
    pub(super) deadline: Millis,
    /// Once hands are shaken, or being shaken.
    tls: Option<Box<ClientConnection>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take()
            && !self.way.datagram
            && !self.way.linger
        {
            lane::end(conn, &self.to, self.way.speaks_first, !self.is_fresh || !self.way.speaks_first);
        }
    }
}

impl Connection {
    /// Connects until `deadline`. Unless it lingers it will be closed by a reset.
    pub(super) async fn open(address: &Address, deadline: Millis, way: Way) -> Result<Connection, Trouble> {
        let rt = Rt::current().ok_or(ErrorKind::Unsupported).map_err(io::Error::from)?;
        let first = way.socks4.map(Address::Inet);
        let to = address::raw(first.as_ref().unwrap_or(address))?;
        let conn = match way.datagram {
            true => Conn::accepted(rt, socket::datagram(&to)?),
            false => lane::connect(rt, &to, way.speaks_first)?,
        };
        let (conn, remote) = (Some(conn), address.inet());
        let opening = (way.sends && !way.datagram).then_some(deadline);
        let (is_fresh, answer_ms, tls) = (true, None, None);
        let mut connection =
            Connection { conn, to, way, remote, is_fresh, opening, answer_ms, deadline, tls };
        if !way.datagram && opening.is_none() {
            connection.conn()?.connected(&to, connection.until()).await?;
        }
        if way.socks4.is_some() {
            connection.pass_socks4(address).await?;
        }
        Ok(connection)
    }

    fn conn(&self) -> io::Result<&Conn> {
        self.conn.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// It was not opened yet: what failed did so for that.
    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Sends what it can with the connection, or else waits until that stands. Returns how much was sent.
    async fn send_first(&mut self, bytes: &[u8], until: Millis) -> io::Result<usize> {
        let sent = match socket::send(self.conn()?.fd(), bytes, false) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.conn()?.connected(&self.to, until * MS).await?;
                if let Some(ms) = self.answer_ms {
                    self.deadline = lane::now_ms() + ms;
                }
                0
            }
            // It stood, and was ended since.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                self.opening = None;
                return Err(e);
            }
            sent => sent?,
        };
        self.opening = None;
        Ok(sent)
    }

    fn until(&self) -> Nanos {
        self.deadline * MS
    }

    /// Asks the proxy to connect to the server.
    async fn pass_socks4(&mut self, address: &Address) -> Result<(), Trouble> {
        const ABORTED: Trouble = Trouble::Refused("SOCKS4 Proxy handshake aborted by server");
        let ask = address.inet().and_then(socks4::request).ok_or(ABORTED)?;
        self.write_raw(&ask).await?;
        let mut answer = Vec::new();
        while answer.len() < socks4::ANSWER {
            if self.read_raw(&mut answer, socks4::ANSWER).await? == 0 {
                return Err(ABORTED);
            }
        }
        if socks4::is_granted(&answer) {
            Ok(())
        } else {
            Err(Trouble::Refused("SOCKS4 Proxy deny the request"))
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The server agreed on HTTP/2.
    pub(super) fn agreed_on_h2(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.alpn_protocol() == Some(b"h2"))
    }

    /// Speaks TLS from here on. The error of a handshake that failed is of kind `InvalidData`.
    pub(super) async fn secure(&mut self, how: &CheckTls, step: &Connect) -> Result<(), Trouble> {
        let ip = self.remote.map_or(IpAddr::from(Ipv4Addr::UNSPECIFIED), |remote| remote.ip());
        let bad = |e: rustls::Error| Trouble::Io(io::Error::new(ErrorKind::InvalidData, e));
        let sni = step.sni.as_deref().or(how.sni.as_deref());
        let alpn = if step.alpn.is_empty() { &how.alpn } else { &step.alpn };
        let name = server_name(sni, ip);
        let name = name.ok_or_else(|| Trouble::Io(ErrorKind::InvalidData.into()))?;
        let mut tls = Box::new(ClientConnection::new(how.upstream.speaking(alpn), name).map_err(bad)?);
        let mut come = Vec::new();
        loop {
            self.flush(&mut tls).await?;
            if !tls.is_handshaking() {
                break;
            }
            come.clear();
            if self.read_raw(&mut come, MOST_READ).await? == 0 {
                return Err(Trouble::Io(ErrorKind::InvalidData.into()));
            }
            let taken = take(&mut tls, &come);
            // Its alert goes out if it can.
            if taken.is_err() {
                let _ = self.flush(&mut tls).await;
            }
            taken.map_err(Trouble::Io)?;
        }
        self.tls = Some(tls);
        Ok(())
    }

    async fn flush(&mut self, tls: &mut ClientConnection) -> Result<(), Trouble> {
        while tls.wants_write() {
            let mut out = Vec::new();
            tls.write_tls(&mut out).map_err(Trouble::Io)?;
            self.write_raw(&out).await?;
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let Some(mut tls) = self.tls.take() else { return self.write_raw(bytes).await };
        let written = self.write_through(&mut tls, bytes).await;
        // Also after an error: an answer may lie there.
        self.tls = Some(tls);
        written
    }

    async fn write_through(&mut self, tls: &mut ClientConnection, bytes: &[u8]) -> Result<(), Trouble> {
        let mut left = bytes;
        while !left.is_empty() {
            let n = tls.writer().write(left).map_err(Trouble::Io)?;
            left = left.get(n..).unwrap_or_default();
            self.flush(tls).await?;
        }
        Ok(())
    }

    /// Appends what arrives, up to `max` bytes in `buf`. Returns 0 at the end.
    pub(super) async fn read(&mut self, buf: &mut Vec<u8>, max: usize) -> Result<usize, Trouble> {
        let Some(mut tls) = self.tls.take() else { return self.read_raw(buf, max).await };
        let start = buf.len();
        let room = max.saturating_sub(start).min(MOST_READ);
        let n = loop {
            buf.resize(start + room, 0);
            let read = tls.reader().read(buf.get_mut(start..).unwrap_or_default());
            buf.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(n) => break n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                // The end, whether it was announced or not.
                Err(_) => break 0,
            }
            let mut come = Vec::new();
            if self.read_raw(&mut come, MOST_READ).await? == 0 {
                break 0;
            }
            take(&mut tls, &come).map_err(Trouble::Io)?;
        };
        self.tls = Some(tls);
        Ok(n)
    }

    async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if std::mem::take(&mut self.is_fresh) {
            // Others that are due connect first, and all speak together: a server that is woken once answers them all.
            self.conn()?.rt().yield_now().await;
        }
        let sent = match self.opening {
            Some(until) => self.send_first(bytes, until).await?,
            None => 0,
        };
        // The server is awake for what was sent.
        lane::reset(2);
        let rest = bytes.get(sent..).unwrap_or_default();
        Ok(self.conn()?.send_all(rest, false, self.until()).await?)
    }

    async fn read_raw(&mut self, buf: &mut Vec<u8>, max: usize) -> Result<usize, Trouble> {
        let conn = self.conn()?;
        let room = max.saturating_sub(buf.len()).min(MOST_READ);
        if !buf.is_empty() {
            // The server may hold back the rest until it knows that the beginning came.
            socket::set_quick_ack(conn.fd());
        }
        let until = self.until();
        for n in 0..PAUSES {
            // The rest is there as a rule where the beginning was.
            if n > 0 || buf.is_empty() {
                conn.rt().pause().await;
            }
            if let Some(n) = come(conn, buf, room)? {
                return Ok(n);
            }
            if conn.rt().now() >= until {
                break;
            }
        }
        let told = poll_fn(|context| {
            conn.rt().assert_own(context);
            match conn.is_readable().then(|| come(conn, buf, room)).transpose()?.flatten() {
                Some(n) => Poll::Ready(Ok(n)),
                None => conn.poll_recv(&mut [], until),
            }
        });
        Ok(told.await?)
    }

    /// Our end and the server's, for the PROXY header.
    pub(super) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        match socket::local(self.conn().ok()?.fd()) {
            Ok(Peer::Inet(local)) => Some((local, self.remote?)),
            _ => None,
        }
    }
}

/// Appends what has come, if anything has.
fn come(conn: &Conn, buf: &mut Vec<u8>, room: usize) -> io::Result<Option<usize>> {
    // Here alone: it is no part of what every waiting check holds.
    let mut piece = [0; MOST_READ];
    let come = conn.look(piece.get_mut(..room).unwrap_or_default()).transpose()?;
    buf.extend_from_slice(&piece[..come.unwrap_or_default()]);
    Ok(come)
}

/// Hands what came to TLS.
fn take(tls: &mut ClientConnection, mut come: &[u8]) -> io::Result<()> {
    while !come.is_empty() {
        tls.read_tls(&mut come)?;
        tls.process_new_packets().map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
    }
    Ok(())
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

/// An error in HAProxy's words: the system's text, behind the kind of error where it has a name for that.
pub(super) fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::HostUnreachable
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => text.to_owned(),
        ErrorKind::AddrNotAvailable => format!("Out of local source ports on the system ({text})"),
        _ => format!("General socket error ({text})"),
    }
}
