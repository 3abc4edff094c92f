//! A `resolvers` section that runs: its name servers are asked all at once, and the first good answer counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::lookup::Lookup;
use super::record::{Answer, Kind, Record, answer, question};
use super::section::Spec;
use super::upstream::Upstream;

/// Names that streams may ask for at once.
const LOOKUPS: usize = 1024;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such name.
    Nx,
    Refused,
    Timeout,
    /// Everything else: no record of this kind, trouble of the name server's own.
    Other,
}

/// A good answer, and who gave it.
#[derive(Clone, Debug)]
pub struct Answered {
    pub answer: Answer,
    pub nameserver: Arc<str>,
    /// Its place among those of the section.
    pub place: usize,
}

/// Figures of a name server, as `show resolvers` tells them.
#[derive(Debug, Default)]
pub struct Counters {
    pub sent: AtomicU64,
    pub send_error: AtomicU64,
    pub valid: AtomicU64,
    /// Servers whose address its answers changed.
    pub update: AtomicU64,
    pub cname_error: AtomicU64,
    pub nx: AtomicU64,
    pub timeout: AtomicU64,
    pub refused: AtomicU64,
    pub other: AtomicU64,
    pub invalid: AtomicU64,
    /// Asked again over TCP.
    pub truncated: AtomicU64,
    pub outdated: AtomicU64,
}

pub struct Resolvers {
    pub spec: Spec,
    /// Of its name servers, in their order.
    pub counters: Vec<Arc<Counters>>,
    upstreams: Vec<Arc<Upstream>>,
    /// Where streams ask while somebody answers.
    desk: Mutex<Option<mpsc::Sender<Lookup>>>,
}

impl std::fmt::Debug for Resolvers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolvers").field("spec", &self.spec).finish_non_exhaustive()
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Resolvers {
    pub fn new(spec: Spec) -> Resolvers {
        let patience = Duration::from_millis(spec.retry_ms);
        let upstream = |of: &super::Nameserver| {
            Arc::new(Upstream::of_section(of.address, of.is_tcp, spec.payload, patience))
        };
        Resolvers {
            counters: spec.nameservers.iter().map(|_| Arc::default()).collect(),
            upstreams: spec.nameservers.iter().map(upstream).collect(),
            desk: Mutex::default(),
            spec,
        }
    }

    /// What streams ask for comes out here from now on.
    pub fn open(&self) -> mpsc::Receiver<Lookup> {
        let (desk, asked) = mpsc::channel(LOOKUPS);
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(desk);
        asked
    }

    /// Asks for a name; who waits is told at once when nobody answers here, or too many ask.
    pub fn look_up(&self, lookup: Lookup) {
        if let Some(desk) = &*self.desk.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = desk.try_send(lookup);
        }
    }

    /// Resolves a name: as often as the section says, and for the other family when there is nothing of `kind`.
    pub async fn resolve(&self, name: &str, kind: Kind) -> Result<Answered, Refusal> {
        let mut left = self.spec.retries;
        loop {
            // It runs from here on, whatever the name servers take.
            let period = tokio::time::sleep(Duration::from_millis(self.spec.retry_ms));
            let mut refusal = match self.ask_all(name, kind).await {
                Ok(answered) => return Ok(answered),
                Err(refusal) => refusal,
            };
            if let Some(other) = kind.other().filter(|_| refusal != Refusal::Timeout) {
                refusal = match self.ask_all(name, other).await {
                    Ok(answered) => return Ok(answered),
                    Err(refusal) => refusal,
                };
            }
            left -= 1;
            if left == 0 {
                return Err(refusal);
            }
            period.await;
        }
    }

    /// Asks all name servers once. Of several errors the last counts.
    async fn ask_all(&self, name: &str, kind: Kind) -> Result<Answered, Refusal> {
        let question: Arc<[u8]> = question(name, kind).ok_or(Refusal::Other)?.into();
        let mut asking = JoinSet::new();
        for (place, upstream) in self.upstreams.iter().enumerate() {
            let (upstream, question) = (upstream.clone(), question.clone());
            let counters = self.counters[place].clone();
            asking.spawn(async move { (place, ask(&upstream, &question, kind, &counters).await) });
        }
        // Without a name server nobody answers, after the time that this takes.
        if asking.is_empty() {
            tokio::time::sleep(Duration::from_millis(self.spec.retry_ms)).await;
        }
        let mut refusal = Refusal::Timeout;
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok((place, Ok(answer))) => {
                    let nameserver = self.spec.nameservers[place].name.clone();
                    return Ok(Answered { answer, nameserver, place });
                }
                Ok((_, Err(other))) => refusal = other,
                Err(_) => refusal = Refusal::Other,
            }
        }
        Err(refusal)
    }
}

async fn ask(upstream: &Upstream, asked: &[u8], kind: Kind, counters: &Counters) -> Result<Answer, Refusal> {
    add(&counters.sent);
    let (response, shape) = match upstream.ask(asked, 0, false).await {
        Ok(answered) => answered,
        Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
            add(&counters.timeout);
            return Err(Refusal::Timeout);
        }
        Err(e) => {
            tracing::debug!("resolve: {} does not answer: {e}", upstream.address);
            add(&counters.send_error);
            return Err(Refusal::Timeout);
        }
    };
    let refused = |counter: &AtomicU64, refusal| {
        add(counter);
        Err(refusal)
    };
    match shape.rcode {
        0 => {}
        3 => return refused(&counters.nx, Refusal::Nx),
        5 => return refused(&counters.refused, Refusal::Refused),
        _ => return refused(&counters.other, Refusal::Other),
    }
    let Some(answer) = answer(&response, asked, kind) else {
        return refused(&counters.invalid, Refusal::Other);
    };
    if answer.is_dangling {
        return refused(&counters.cname_error, Refusal::Other);
    }
    let fits = |record: &Record| matches!(record, Record::Service { .. }) == (kind == Kind::Srv);
    if answer.records.is_empty() || !answer.records.iter().all(fits) {
        return refused(&counters.other, Refusal::Other);
    }
    add(&counters.valid);
    Ok(answer)
}
