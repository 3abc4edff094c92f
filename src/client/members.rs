//! The members that an agent knows, and asking one of them: the same one as long as it answers.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio::sync::watch;

use crate::conn::http::{ConnectError, Connection, Peer};
use crate::tls::Secure;

/// A member that does not take a connection in that time is not asked.
const CONNECT: Duration = Duration::from_secs(1);
/// Members that are remembered beside those of `-join`.
const LEARNED: usize = 64;
/// Bytes of an answer to this agent's own requests.
const ANSWER: usize = 64 << 20;

pub(super) struct Members {
    join: Vec<String>,
    learned: Mutex<BTreeSet<String>>,
    /// Those of `/v1/agent/join`, which no member has told of.
    told: Mutex<Vec<String>>,
    /// Who is asked now.
    current: watch::Sender<String>,
    /// The address from which a member was reached last.
    own: Mutex<Option<IpAddr>>,
    /// The connection of this agent's own requests, to be used again.
    kept: Mutex<Option<(String, Connection)>>,
    pub(super) token: Option<String>,
    /// How TLS is spoken to them, if it is.
    secure: Option<Secure>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failed {
    /// The request may have arrived.
    pub(super) was_sent: bool,
    pub(super) why: String,
}

impl Members {
    /// `join` has at least one.
    pub(super) fn new(join: Vec<String>, token: Option<String>, secure: Option<Secure>) -> Members {
        let first = join.first().cloned().unwrap_or_default();
        Members {
            join,
            learned: Mutex::default(),
            told: Mutex::default(),
            current: watch::Sender::new(first),
            own: Mutex::default(),
            kept: Mutex::default(),
            token,
            secure,
        }
    }

    pub(super) fn current(&self) -> String {
        self.current.borrow().clone()
    }

    /// Tells when another one is asked.
    pub(super) fn watch(&self) -> watch::Receiver<String> {
        self.current.subscribe()
    }

    fn learned(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are to ask.
    pub(super) fn len(&self) -> usize {
        self.all().len()
    }

    fn all(&self) -> Vec<String> {
        let learned = self.learned();
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.join.clone();
        for address in told.iter().chain(learned.iter()) {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }

    /// Somebody says where a member's API is.
    pub(super) fn tell(&self, address: String) -> Result<(), String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.contains(&address) || self.join.contains(&address) {
            return Ok(());
        }
        if told.len() >= LEARNED {
            return Err("too many members were joined".into());
        }
        told.push(address);
        Ok(())
    }

    /// A member told where the APIs of all are. Those that mean this host are of use only if it was joined so.
    pub(super) fn learn(&self, apis: &[String]) {
        let own_host = self.join.iter().any(|address| is_loopback(address));
        let of_use = |api: &&String| {
            let address = api.parse::<SocketAddr>().ok();
            address.is_some_and(|a| !a.ip().is_unspecified() && (own_host || !a.ip().is_loopback()))
        };
        *self.learned() = apis.iter().filter(of_use).take(LEARNED).cloned().collect();
    }

    /// `failed` did not answer: the next one is asked from now on, unless that is so already.
    pub(super) fn next(&self, failed: &str) {
        let all = self.all();
        let at = all.iter().position(|address| address == failed).map_or(0, |at| at + 1);
        let Some(next) = all.get(at % all.len().max(1)) else { return };
        self.current.send_if_modified(|current| {
            let moves = current == failed && current != next;
            if moves {
                current.clone_from(next);
            }
            moves
        });
    }

    /// This host's address on the way to the members.
    pub(super) fn own(&self) -> Option<IpAddr> {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to one member.
    async fn connect(&self, address: &str) -> Result<Connection, String> {
        let secure = self.secure.as_ref().map(|secure| secure.to(address)).transpose();
        let secure = secure.map_err(|e| e.to_string())?;
        let opened = Connection::open(Peer::Tcp(address), secure.as_ref(), CONNECT).await;
        let connection = opened.map_err(|e| match e {
            ConnectError::Io(e) => crate::lang::load::reason(&e),
            e => e.to_string(),
        })?;
        if connection.own.is_some() {
            *self.own.lock().unwrap_or_else(PoisonError::into_inner) = connection.own;
        }
        Ok(connection)
    }

    /// Asks one member on a connection of its own.
    pub(super) async fn ask(
        &self,
        address: &str,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failed> {
        let unsent = |why: String| Failed { was_sent: false, why: format!("{address}: {why}") };
        let answered = self.connect(address).await.map_err(unsent)?.ask(request).await;
        answered.map_err(|e| Failed { was_sent: !e.is_canceled(), why: format!("{address}: {e}") })
    }

    /// The kept connection, if it goes to that member and is open still.
    fn kept(&self, address: &str) -> Option<Connection> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|(to, kept)| to == address && kept.is_open()).map(|(_, kept)| kept)
    }

    /// Asks the current member with a JSON body, within a time. Status and body, or the next one is current.
    pub(super) async fn put(
        &self,
        path: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<(StatusCode, Bytes), String> {
        let address = self.current();
        let mut request = Request::builder().method("PUT").uri(path).header("host", &address);
        if let Some(token) = &self.token {
            request = request.header("x-consul-token", token);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| e.to_string())?;
        let exchange = async {
            let failed = |e: &dyn std::fmt::Display| format!("{address}: {e}");
            let mut connection = match self.kept(&address) {
                Some(connection) => connection,
                None => self.connect(&address).await.map_err(|e| failed(&e))?,
            };
            connection.ready().await.map_err(|e| failed(&e))?;
            let (head, body) = connection.exchange(request, ANSWER).await.map_err(|e| failed(&e))?;
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((address.clone(), connection));
            Ok((head.status, body))
        };
        let answer = match tokio::time::timeout(within, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{address}: no answer within {} ms", within.as_millis())),
        };
        if answer.is_err() {
            self.next(&address);
        }
        answer
    }
}

fn is_loopback(address: &str) -> bool {
    let ip = address.parse::<SocketAddr>().map(|a| a.ip().is_loopback());
    ip.unwrap_or_else(|_| address.starts_with("localhost:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_is_asked_when_one_fails_and_all_come_round() {
        let members = Members::new(vec!["a:1".into(), "10.0.0.2:1".into()], None, None);
        members.learn(&["10.0.0.2:1", "10.0.0.3:1", "127.0.0.1:1", "0.0.0.0:1", "x"].map(str::to_owned));
        assert_eq!(members.len(), 3, "{:?}", members.all());
        for next in ["10.0.0.2:1", "10.0.0.3:1", "a:1"] {
            members.next(&members.current());
            assert_eq!(members.current(), next);
        }
        members.next("10.0.0.3:1");
        assert_eq!(members.current(), "a:1", "who failed was not asked any more");
        let local = Members::new(vec!["127.0.0.2:1".into()], None, None);
        local.learn(&["127.0.0.3:1".to_owned()]);
        assert_eq!(local.len(), 2);
        for told in ["b:1", "127.0.0.2:1", "b:1"] {
            local.tell(told.to_owned()).unwrap();
        }
        assert_eq!(
            local.all(),
            ["127.0.0.2:1", "b:1", "127.0.0.3:1"],
            "those of the operator first, each once"
        );
        let many: Vec<_> = (0..200).map(|n| local.tell(format!("c{n}:1"))).collect();
        assert!(many.iter().any(Result::is_err), "a bounded number");
        let alone = Members::new(vec!["a:1".into()], None, None);
        alone.next("a:1");
        assert_eq!(alone.current(), "a:1");
    }
}
