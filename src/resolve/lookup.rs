//! A name that a stream wants to know the address of, and who is told of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::notation::Family;

/// What the stream that waits holds.
pub struct Ticket {
    is_done: AtomicBool,
    found: Mutex<Option<IpAddr>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Ticket {
    /// The answer, once there is one: an address or none.
    pub fn answer(&self) -> Option<Option<IpAddr>> {
        let is_done = self.is_done.load(Ordering::Acquire);
        is_done.then(|| *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("answer", &self.answer()).finish_non_exhaustive()
    }
}

/// What the resolver holds. Whoever waits is told that nothing was found when it is dropped.
#[derive(Debug)]
pub struct Lookup {
    pub name: Box<str>,
    pub prefer: Family,
    ticket: Arc<Ticket>,
}

impl Lookup {
    /// `wake` is called once, when there is an answer.
    pub fn new(
        name: Box<str>,
        prefer: Family,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Lookup, Arc<Ticket>) {
        let ticket = Arc::new(Ticket {
            is_done: AtomicBool::new(false),
            found: Mutex::new(None),
            wake: Box::new(wake),
        });
        (Lookup { name, prefer, ticket: ticket.clone() }, ticket)
    }

    pub fn found(self, ip: Option<IpAddr>) {
        *self.ticket.found.lock().unwrap_or_else(PoisonError::into_inner) = ip;
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.ticket.is_done.store(true, Ordering::Release);
        (self.ticket.wake)();
    }
}
