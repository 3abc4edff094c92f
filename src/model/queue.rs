//! Queues of streams that wait for a server slot.
//!
//! A slot is granted under the queue's lock, in order of arrival. Who frees a slot first gives it back and then looks
//! whether somebody waits; who queues first announces that it waits and then looks for a free slot: with both pairs
//! in sequential consistency one of the two sees the other, and no wake-up is lost. `tests/loom` tries every order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::base::sync::{Mutex, MutexGuard, PoisonError};

use super::counters::Peak;
use super::server::Server;

/// Most streams one queue holds; `timeout queue` keeps real queues far below.
pub const LIMIT: usize = 1 << 20;

/// An order among tickets: the class, then the moment at which a ticket counts as issued.
pub type Rank = (i16, i64);

/// A place in a queue, shared between the stream that waits and whoever grants.
pub struct Ticket {
    granted: Mutex<Option<Server>>,
    ready: AtomicBool,
    /// Orders tickets, those of different queues too: the lowest is granted first.
    rank: Rank,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("rank", &self.rank).finish_non_exhaustive()
    }
}

impl Ticket {
    /// `wake` is called once, when the ticket is granted or sent back.
    pub fn new(rank: Rank, wake: impl Fn() + Send + Sync + 'static) -> Arc<Ticket> {
        let (granted, ready) = (Mutex::new(None), AtomicBool::new(false));
        Arc::new(Ticket { granted, ready, rank, wake: Box::new(wake) })
    }

    /// Something happened: a slot was granted ([`Ticket::take`]), or the stream is to choose again.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The server whose slot was granted; the taker owns the slot.
    pub fn take(&self) -> Option<Server> {
        lock(&self.granted).take()
    }

    fn resolve(&self, server: Option<Server>) {
        *lock(&self.granted) = server;
        self.ready.store(true, Ordering::Release);
        (self.wake)();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tickets in order of arrival.
#[derive(Debug, Default)]
pub struct WaitQueue {
    list: Mutex<VecDeque<Arc<Ticket>>>,
    waiting: AtomicU32,
    pub max: Peak,
}

impl WaitQueue {
    /// How many wait.
    pub fn len(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rank of the first ticket.
    pub fn first_rank(&self) -> Option<Rank> {
        if self.is_empty() { None } else { lock(&self.list).front().map(|t| t.rank) }
    }

    /// Queues a ticket; tells how many were before it, or `None` when the queue is full.
    pub fn push(&self, ticket: Arc<Ticket>) -> Option<u32> {
        let mut list = lock(&self.list);
        if list.len() >= LIMIT {
            return None;
        }
        // Almost always the last one.
        let behind = list.iter().rev().take_while(|t| t.rank > ticket.rank).count();
        let before = list.len() - behind;
        list.insert(before, ticket);
        let all = list.len() as u32;
        self.waiting.store(all, Ordering::SeqCst);
        self.max.raise(u64::from(all));
        Some(before as u32)
    }

    /// Takes a ticket out; false when it was not there any more (granted or sent back).
    pub fn cancel(&self, ticket: &Arc<Ticket>) -> bool {
        let mut list = lock(&self.list);
        let found = list.iter().position(|t| Arc::ptr_eq(t, ticket));
        if let Some(i) = found {
            list.remove(i);
            self.waiting.store(list.len() as u32, Ordering::SeqCst);
        }
        found.is_some()
    }

    /// Grants the first ticket the slot that `acquire` gets, under the lock. False when nobody waits or no slot is free.
    pub fn grant(&self, acquire: impl FnOnce() -> Option<Server>) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut list = lock(&self.list);
        if list.is_empty() {
            return false;
        }
        let Some(server) = acquire() else { return false };
        if let Some(ticket) = list.pop_front() {
            self.waiting.store(list.len() as u32, Ordering::SeqCst);
            ticket.resolve(Some(server));
        }
        true
    }

    /// Sends everybody back to choose again, as when a server went down.
    pub fn send_back(&self) {
        let mut list = lock(&self.list);
        self.waiting.store(0, Ordering::SeqCst);
        for ticket in list.drain(..) {
            ticket.resolve(None);
        }
    }
}
