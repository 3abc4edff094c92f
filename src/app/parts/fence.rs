//! Leases of the region map under which fenced virtual routers hold their addresses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::region::Seat;
use crate::region::lease::{HeldLease, LeaseError, acquire};
use crate::vip::agent::Asker;
use crate::vip::spec::Spec;

use super::super::documents::Documents;

/// Fewer voters than this agree with themselves.
const VOTERS: usize = 3;
/// How often the agent is told until when it holds a lease, and how often it is looked whether there are enough voters.
const TURN: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(1);
/// How long a process that ends waits for its leases to be given back.
const SETTLE: Duration = Duration::from_secs(1);
const PEEK: Duration = Duration::from_millis(5);

/// Takes a line and whether it is a warning.
pub type Say = Arc<dyn Fn(bool, &str) + Send + Sync>;

/// What is asked for or held, by the name of the instance. Dropping a sender gives the lease back.
type Held = HashMap<String, oneshot::Sender<()>>;

/// Asks for leases, renews them and gives them back.
#[derive(Clone)]
pub struct Fences {
    runtime: Handle,
    documents: Documents,
    asker: Arc<Mutex<Option<Asker>>>,
    say: Say,
    lengths: Arc<Mutex<HashMap<String, Duration>>>,
    held: Arc<Mutex<Held>>,
    /// Leases that are asked for, held or about to be given back.
    busy: Arc<AtomicUsize>,
}

/// Counts itself for as long as it lives.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn new(count: &Arc<AtomicUsize>) -> Busy {
        count.fetch_add(1, Ordering::AcqRel);
        Busy(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Fences {
    pub fn new(runtime: Handle, documents: Documents, asker: Arc<Mutex<Option<Asker>>>, say: Say) -> Fences {
        Fences {
            runtime,
            documents,
            asker,
            say,
            lengths: Arc::default(),
            held: Arc::default(),
            busy: Arc::default(),
        }
    }

    /// Learns how long leases are.
    pub fn follow(&self, spec: &Spec) {
        let lengths = spec.instances.iter().filter_map(|one| Some((one.name.to_string(), one.fence?)));
        *self.lengths.lock().unwrap_or_else(PoisonError::into_inner) = lengths.collect();
    }

    /// An instance wants its lease, or gives it back.
    pub fn wish(&self, instance: &str, wanted: bool) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted {
            held.remove(instance);
            return;
        }
        let lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(length) = lengths.get(instance).copied() else { return };
        let (given_back, end) = oneshot::channel();
        held.insert(instance.to_owned(), given_back);
        self.runtime.spawn(self.clone().keep(instance.to_owned(), length, end));
    }

    /// The agent is gone, and its addresses too: gives everything back.
    pub fn give_back(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn tell(&self, instance: &str, until: Option<u64>) {
        if let Some(asker) = &*self.asker.lock().unwrap_or_else(PoisonError::into_inner) {
            asker.lease(instance, until);
        }
    }

    /// Gets the lease and holds it until it is given back. One that is lost is asked for again: the agent gives it back if it
    /// is not wanted any more.
    async fn keep(self, instance: String, length: Duration, mut end: oneshot::Receiver<()>) {
        let _busy = Busy::new(&self.busy);
        loop {
            let lease = tokio::select! {
                _ = &mut end => return,
                lease = self.get(&instance, length) => lease,
            };
            loop {
                // Given back and claimed anew meanwhile: this one's time is not the new one's.
                if !matches!(end.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                    return lease.release().await;
                }
                self.tell(&instance, Some(lease.held_until()));
                tokio::select! {
                    biased;
                    _ = &mut end => return lease.release().await,
                    () = lease.lost() => break,
                    () = tokio::time::sleep(TURN) => {}
                }
            }
            self.tell(&instance, None);
        }
    }

    /// Waits until all that was given back is free for others, or for a second.
    pub fn settle(&self) {
        let turns = SETTLE.as_millis() / PEEK.as_millis();
        for _ in (0..turns).take_while(|_| self.busy.load(Ordering::Acquire) > 0) {
            std::thread::sleep(PEEK);
        }
    }

    async fn get(&self, instance: &str, length: Duration) -> HeldLease {
        loop {
            let seat = self.voters(instance).await;
            match acquire(&seat, &format!("vip/{instance}"), length).await {
                Ok(lease) => return lease,
                Err(LeaseError::Shutdown) => std::future::pending().await,
                Err(e) => (self.say)(true, &format!("{instance}: its lease: {e}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for a seat among enough voters, and says once what is missing.
    async fn voters(&self, instance: &str) -> Seat {
        let mut told = false;
        loop {
            let (seat, mut voters) = (self.documents.seat(), 0);
            if let Some(seat) = seat {
                voters = seat.status().voters.len();
                if voters >= VOTERS {
                    return seat;
                }
            }
            if !std::mem::replace(&mut told, true) {
                let text = format!(
                    "{instance}: a fenced address needs a region map of {VOTERS} voters, there are {voters}: it stays away"
                );
                (self.say)(true, &text);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
