//! One server that is asked: over UDP from a port of its own each time, over TCP when the answer did not fit; or over TLS
//! alone (RFC 7858), on connections that are used again.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::response::{Shape, examine};
use crate::base::{Millis, clock};
use crate::tls::Secure;

/// How long one try takes at most, and one that may have to shake hands first.
pub(super) const TRY: Duration = Duration::from_millis(800);
const TRY_TLS: Duration = Duration::from_millis(2000);
/// Connections over TLS to one server at once: questions beyond wait for one.
const CONNECTIONS: usize = 16;
/// One that was not used for longer may be closed by the server, and is not used again.
const KEPT_MS: Millis = 8_000;
/// How long a server that did not answer is asked last.
const SHUNNED_MS: Millis = 10_000;
/// Octets of a datagram that we take (DNS Flag Day 2020).
const UDP_SIZE: u16 = 1232;

pub struct Upstream {
    pub address: SocketAddr,
    tls: Option<Pool>,
    /// It is never asked over UDP.
    is_tcp: bool,
    /// Octets of a datagram that are taken.
    payload: u16,
    patience: Duration,
    /// Until then others are asked first.
    shunned_until_ms: AtomicU64,
}

impl Upstream {
    pub fn new(address: SocketAddr) -> Upstream {
        Upstream {
            address,
            tls: None,
            is_tcp: false,
            payload: UDP_SIZE,
            patience: TRY,
            shunned_until_ms: AtomicU64::new(0),
        }
    }

    /// One of a `resolvers` section: asked for `patience`, which takes answers of so many octets.
    pub fn of_section(address: SocketAddr, is_tcp: bool, payload: u16, patience: Duration) -> Upstream {
        Upstream { is_tcp, payload, patience, ..Upstream::new(address) }
    }

    /// One that is asked over TLS and no other way.
    pub fn over_tls(address: SocketAddr, secure: Secure) -> Upstream {
        Upstream { tls: Some(Pool::new(secure)), ..Upstream::new(address) }
    }

    pub(super) fn is_shunned(&self, now_ms: Millis) -> bool {
        self.shunned_until_ms.load(Ordering::Relaxed) > now_ms
    }

    pub(super) fn note(&self, answered: bool, now_ms: Millis) {
        let until = if answered { 0 } else { now_ms + SHUNNED_MS };
        self.shunned_until_ms.store(until, Ordering::Relaxed);
    }

    /// Asks once. `flags`: of the header, beside RD.
    pub(super) async fn ask(
        &self,
        question: &[u8],
        flags: u16,
        dnssec_ok: bool,
    ) -> io::Result<(Vec<u8>, Shape)> {
        let random = uuid::Uuid::new_v4();
        let id = u16::from_be_bytes([random.as_bytes()[0], random.as_bytes()[1]]);
        let query = query(id, question, flags, dnssec_ok, self.payload);
        if let Some(pool) = &self.tls {
            let asked = timeout(TRY_TLS, pool.ask(self.address, &query, id, question)).await;
            // What failed on one connection would on the others: they are as old.
            return asked.map_err(io::Error::from).flatten().inspect_err(|_| pool.clear());
        }
        if !self.is_tcp {
            let (response, shape) = timeout(self.patience, self.datagram(&query, id, question)).await??;
            if !shape.truncated {
                return Ok((response, shape));
            }
        }
        timeout(self.patience, self.stream(&query, id, question)).await?
    }

    async fn datagram(&self, query: &[u8], id: u16, question: &[u8]) -> io::Result<(Vec<u8>, Shape)> {
        let any: SocketAddr = match self.address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(self.address).await?;
        socket.send(query).await?;
        let mut room = vec![0; usize::from(self.payload).max(4096)];
        loop {
            let size = socket.recv(&mut room).await?;
            // What does not fit the question was sent by somebody else.
            if let Some(shape) = examine(&room[..size], id, question) {
                room.truncate(size);
                return Ok((room, shape));
            }
        }
    }

    async fn stream(&self, query: &[u8], id: u16, question: &[u8]) -> io::Result<(Vec<u8>, Shape)> {
        let mut stream = TcpStream::connect(self.address).await?;
        exchange(&mut stream, query, id, question).await
    }
}

/// Asks on a connection.
async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    query: &[u8],
    id: u16,
    question: &[u8],
) -> io::Result<(Vec<u8>, Shape)> {
    let framed = [&(query.len() as u16).to_be_bytes()[..], query].concat();
    stream.write_all(&framed).await?;
    stream.flush().await?;
    let size = stream.read_u16().await?;
    let mut response = vec![0; usize::from(size)];
    stream.read_exact(&mut response).await?;
    let shape = examine(&response, id, question).ok_or(io::ErrorKind::InvalidData)?;
    Ok((response, shape))
}

/// Connections over TLS to a server, each for one question at a time.
struct Pool {
    secure: Secure,
    /// With when they were used last, the latest at the end.
    idle: Mutex<Vec<(Millis, TlsStream<TcpStream>)>>,
    open: Semaphore,
}

impl Pool {
    fn new(secure: Secure) -> Pool {
        Pool { secure, idle: Mutex::default(), open: Semaphore::new(CONNECTIONS) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Millis, TlsStream<TcpStream>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<TlsStream<TcpStream>> {
        let after = clock::now_ms().saturating_sub(KEPT_MS);
        let mut idle = self.idle();
        idle.retain(|(used, _)| *used >= after);
        idle.pop().map(|(_, stream)| stream)
    }

    fn clear(&self) {
        self.idle().clear();
    }

    async fn ask(
        &self,
        to: SocketAddr,
        query: &[u8],
        id: u16,
        question: &[u8],
    ) -> io::Result<(Vec<u8>, Shape)> {
        let _place = self.open.acquire().await.map_err(io::Error::other)?;
        while let Some(mut stream) = self.take() {
            // The server may have closed it meanwhile.
            if let Ok(answered) = exchange(&mut stream, query, id, question).await {
                self.idle().push((clock::now_ms(), stream));
                return Ok(answered);
            }
        }
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let mut stream = self.secure.over(stream).await?;
        let answered = exchange(&mut stream, query, id, question).await?;
        self.idle().push((clock::now_ms(), stream));
        Ok(answered)
    }
}

fn query(id: u16, question: &[u8], flags: u16, dnssec_ok: bool, payload: u16) -> Vec<u8> {
    let mut query = Vec::with_capacity(12 + question.len() + 11);
    for word in [id, 0x0100 | flags, 1, 0, 0, 1] {
        query.extend(word.to_be_bytes());
    }
    query.extend(question);
    query.extend([0, 0, 41]);
    query.extend(payload.to_be_bytes());
    query.extend([0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    query
}
