//! Asks the upstream servers of a domain, each question once however many want to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::cache::{Cache, Entry, Key};
use super::upstream::Upstream;
use crate::base::clock;

/// Questions that wait for an answer at once.
const PENDING: usize = 4096;
/// Servers that are tried for a question.
const TRIES: usize = 3;

/// Who is asked for names below a domain.
#[derive(Clone)]
pub struct Route {
    /// In wire form and lower case.
    pub domain: Box<[u8]>,
    pub servers: Vec<Arc<Upstream>>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("nobody is to be asked for this name")]
    NoRoute,
    #[error("too many questions wait")]
    Busy,
    #[error("no server answered")]
    NoAnswer,
}

type Answered = Option<Result<Arc<Entry>, Failure>>;

pub struct Client {
    pub cache: Cache,
    /// The longest domain first.
    routes: Vec<Route>,
    pending: Mutex<HashMap<Key, watch::Receiver<Answered>>>,
}

impl Client {
    pub fn new(mut routes: Vec<Route>, cache_bytes: usize) -> Client {
        routes.sort_by_key(|route| std::cmp::Reverse(route.domain.len()));
        Client { cache: Cache::new(cache_bytes), routes, pending: Mutex::default() }
    }

    /// `name`: in lower case.
    fn route(&self, name: &[u8]) -> Option<&Route> {
        self.routes.iter().find(|route| {
            let mut rest = name;
            while rest.len() > route.domain.len() {
                let size = usize::from(rest[0]) + 1;
                match rest.get(size..) {
                    Some(up) => rest = up,
                    None => return false,
                }
            }
            *rest == *route.domain
        })
    }

    /// Asks, or waits for who asks the same already. `question`: name, type and class as they are to be sent. What is
    /// answered is in the cache as well, unless it may not be kept.
    pub async fn ask(
        self: &Arc<Self>,
        key: &[u8],
        question: &[u8],
        flags: u16,
        dnssec_ok: bool,
    ) -> Result<Arc<Entry>, Failure> {
        let mut waiting = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            match pending.get(key) {
                Some(waiting) => waiting.clone(),
                None if pending.len() >= PENDING => return Err(Failure::Busy),
                None => {
                    let (told, waiting) = watch::channel(None);
                    pending.insert(key.into(), waiting.clone());
                    let (client, key) = (self.clone(), Key::from(key));
                    let question = question.to_vec();
                    // It goes on when who asked first has gone: others may wait.
                    tokio::spawn(async move {
                        let _place = Pending { client: &client, key: &key };
                        let answered = client.fetch(&key, &question, flags, dnssec_ok).await;
                        let _ = told.send(Some(answered));
                    });
                    waiting
                }
            }
        };
        let answered = waiting.wait_for(Option::is_some).await.map_err(|_| Failure::NoAnswer)?;
        answered.clone().unwrap_or(Err(Failure::NoAnswer))
    }

    async fn fetch(
        &self,
        key: &Key,
        question: &[u8],
        flags: u16,
        dnssec_ok: bool,
    ) -> Result<Arc<Entry>, Failure> {
        let name = key.get(..key.len().saturating_sub(5)).unwrap_or_default();
        let route = self.route(name).ok_or(Failure::NoRoute)?;
        let now_ms = clock::now_ms();
        let (shunned, well): (Vec<_>, Vec<_>) =
            route.servers.iter().partition(|server| server.is_shunned(now_ms));
        for server in well.into_iter().chain(shunned).take(TRIES) {
            match server.ask(question, flags, dnssec_ok).await {
                // What a server says of its own troubles is no answer: another may do better (RFC 9520).
                Ok((response, shape)) if matches!(shape.rcode, 0 | 3) => {
                    server.note(true, clock::now_ms());
                    let entry = Arc::new(Entry::new(&response, &shape, clock::wall().as_secs() as u32));
                    if shape.ttl_s.is_some_and(|ttl| ttl > 0) && !shape.truncated {
                        self.cache.put(key.clone(), entry.clone());
                    }
                    return Ok(entry);
                }
                Ok((_, shape)) => tracing::debug!("resolve: {} answers code {}", server.address, shape.rcode),
                Err(e) => {
                    server.note(false, clock::now_ms());
                    tracing::debug!("resolve: {} does not answer: {e}", server.address);
                }
            }
        }
        Err(Failure::NoAnswer)
    }
}

/// A question that waits; it is forgotten whatever becomes of it.
struct Pending<'p> {
    client: &'p Client,
    key: &'p Key,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.client.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(self.key);
    }
}
