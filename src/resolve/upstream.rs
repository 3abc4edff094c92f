//! One server that is asked: over UDP from a port of its own each time, over TCP when the answer did not fit; or over TLS
//! alone.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::line::Lines;
use super::response::{Shape, examine};
use crate::base::Millis;
use crate::tls::Secure;

/// How long one try takes at most, and one that may have to shake hands first.
pub(super) const TRY: Duration = Duration::from_millis(800);
const TRY_TLS: Duration = Duration::from_millis(2000);
/// How long a server that did not answer is asked last.
const SHUNNED_MS: Millis = 10_000;
/// Octets of a datagram that we take (DNS Flag Day 2020).
const UDP_SIZE: u16 = 1232;

pub struct Upstream {
    pub address: SocketAddr,
    tls: Option<Lines>,
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
        Upstream { tls: Some(Lines::new(secure)), ..Upstream::new(address) }
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
        if let Some(lines) = &self.tls {
            let response = timeout(TRY_TLS, lines.ask(self.address, &query)).await??;
            let shape = examine(&response, id, question).ok_or(io::ErrorKind::InvalidData)?;
            return Ok((response, shape));
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
