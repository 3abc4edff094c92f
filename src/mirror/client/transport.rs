//! Connections to the hosts of one registry, used again while they stand: its own, that of its tokens, and those where
//! it keeps its blobs.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::{Request, Uri};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::fault::Fault;
use super::payload::Payload;
use crate::conn::http::{Bounds, ConnectError, Connection, Peer, read};
use crate::tls::Secure;

/// Idle connections to one host.
const IDLE: usize = 16;
/// Hosts.
const HOSTS: usize = 16;
const CONNECT: Duration = Duration::from_secs(10);
/// Nothing of a body for so long is its end.
pub const STALL: Duration = Duration::from_secs(30);
/// Nothing of a request's body taken for so long is its end. What streams is waited for at its source as well.
const SENDING: Duration = Duration::from_secs(60);

/// A host by scheme, name and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub is_secure: bool,
    /// `host:port`.
    pub address: String,
    /// As it stands in `Host`.
    pub host: String,
}

impl Origin {
    pub fn of(uri: &Uri) -> Option<Origin> {
        let is_secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let address = format!("{}:{port}", authority.host());
        Some(Origin { is_secure, address, host: authority.as_str().to_owned() })
    }
}

pub struct Transport {
    client: Arc<ClientConfig>,
    idle: Mutex<HashMap<Origin, Vec<Connection<Payload>>>>,
}

/// An answer whose body is still to be read.
pub struct Answer {
    pub head: Parts,
    pub body: Incoming,
    home: Home,
}

/// Where a connection goes back to once its answer is read.
pub struct Home {
    transport: Arc<Transport>,
    origin: Origin,
    connection: Connection<Payload>,
    /// Of the request: an answer may come before that was sent to its end.
    due: Arc<AtomicU64>,
}

impl Home {
    /// The answer was read to its end.
    pub fn keep(self) {
        if !self.connection.is_open() || self.due.load(Ordering::Relaxed) > 0 {
            return;
        }
        let mut idle = self.transport.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= HOSTS && !idle.contains_key(&self.origin) {
            idle.clear();
        }
        let of_host = idle.entry(self.origin).or_default();
        if of_host.len() < IDLE {
            of_host.push(self.connection);
        }
    }
}

impl Answer {
    /// Who answered.
    pub fn origin(&self) -> &Origin {
        &self.home.origin
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The whole body, within a bound.
    pub async fn whole(self, most: usize) -> Result<(Parts, Bytes), Fault> {
        let host = || self.home.origin.host.clone();
        match timeout(STALL, read(self.body, Bounds::of(most))).await {
            Ok(Ok(body)) => {
                self.home.keep();
                Ok((self.head, body))
            }
            Ok(Err(e)) => Err(Fault::Io { host: host(), why: e.to_string() }),
            Err(_) => Err(Fault::Slow { host: host() }),
        }
    }

    pub fn parts(self) -> (Parts, Incoming, Home) {
        (self.head, self.body, self.home)
    }
}

impl Transport {
    pub fn new(client: Arc<ClientConfig>) -> Arc<Transport> {
        Arc::new(Transport { client, idle: Mutex::default() })
    }

    fn take(&self, origin: &Origin) -> Option<Connection<Payload>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(origin)?.pop()
    }

    async fn open(&self, origin: &Origin) -> Result<Connection<Payload>, Fault> {
        let io = |why: String| Fault::Io { host: origin.host.clone(), why };
        let secure = || Secure::new(self.client.clone(), &origin.address).map_err(|e| io(e.to_string()));
        let secure = origin.is_secure.then(secure).transpose()?;
        Connection::open(Peer::Tcp(&origin.address), secure.as_ref(), CONNECT).await.map_err(|e| match e {
            ConnectError::Slow | ConnectError::SlowHandshake => Fault::Slow { host: origin.host.clone() },
            other => io(reasons(&other)),
        })
    }

    /// Sends a request that `make` makes, on a connection that stands already if one does: it may end just then, which
    /// says nothing of the host, so that another one is taken for the same request. `patience`: for the answer, once
    /// the request was sent.
    pub async fn send(
        self: &Arc<Self>,
        origin: &Origin,
        patience: Duration,
        mut make: impl FnMut() -> Result<Request<Payload>, Fault>,
    ) -> Result<Answer, Fault> {
        let io = |e: hyper::Error| Fault::Io { host: origin.host.clone(), why: reasons(&e) };
        let slow = || Fault::Slow { host: origin.host.clone() };
        loop {
            let (mut connection, is_used) = match self.take(origin) {
                Some(connection) => (connection, true),
                None => (self.open(origin).await?, false),
            };
            if is_used && !matches!(timeout(STALL, connection.ready()).await, Ok(Ok(()))) {
                continue;
            }
            let request = make()?;
            let due = request.body().due();
            match in_time(connection.ask(request), &due, [SENDING, patience]).await.ok_or_else(slow)? {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let home = Home { transport: self.clone(), origin: origin.clone(), connection, due };
                    return Ok(Answer { head, body, home });
                }
                // Not sent, or the other side had ended it.
                Err(e) if is_used && (e.is_canceled() || e.is_incomplete_message() || e.is_closed()) => {}
                Err(e) => return Err(io(e)),
            }
        }
    }
}

/// What is asked for, unless nothing moves: while there is something to send (`due`) a connection takes some of it within
/// the first of these times, however slow it is, and when all is sent there is an answer within the second.
async fn in_time<T>(
    asking: impl Future<Output = T>,
    due: &AtomicU64,
    [sending, patience]: [Duration; 2],
) -> Option<T> {
    let mut asking = pin!(asking);
    loop {
        let before = due.load(Ordering::Relaxed);
        let wait = if before > 0 { sending } else { patience };
        if let Ok(answer) = timeout(wait, &mut asking).await {
            return Some(answer);
        }
        if due.load(Ordering::Relaxed) == before {
            return None;
        }
    }
}

/// An error with what caused it.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(20);
    const TIMES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(300)];

    /// A connection that takes so many bytes, one at a time, and answers then or never.
    fn asked(bytes: u64, taken: u64, answers: bool) -> Option<u64> {
        let due = AtomicU64::new(bytes);
        let asking = async {
            for _ in 0..taken {
                tokio::time::sleep(TURN).await;
                due.fetch_sub(1, Ordering::Relaxed);
            }
            match answers {
                true => taken,
                false => std::future::pending().await,
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(in_time(asking, &due, TIMES))
    }

    #[test]
    fn what_moves_is_waited_for_and_what_stands_still_is_not() {
        assert_eq!(asked(20, 20, true), Some(20), "longer than either time, but it moves");
        assert_eq!(asked(20, 5, false), None, "half open");
        assert_eq!(asked(5, 5, false), None, "all is sent, and no answer comes");
        assert_eq!(asked(0, 0, false), None);
    }
}
