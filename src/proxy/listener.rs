//! Listening sockets of a worker, and the slots that their clients take.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::Millis;
use crate::model::{ListenerLive, ProxyCounters, ProxyId, ProxyLive};
use crate::rt::TaskId;

use super::shared::Shared;

/// A listening socket as the control thread hands it to a worker. `id` stays the same while the socket does.
#[derive(Clone)]
pub struct Listen {
    pub id: u64,
    pub proxy: ProxyId,
    /// Index in the frontend's binds.
    pub bind: usize,
    pub fd: Arc<OwnedFd>,
    /// One socket for all workers.
    pub shared: bool,
    /// It takes datagrams.
    pub datagram: bool,
    /// What is true of it over all workers.
    pub live: Arc<ListenerLive>,
}

/// What an accept loop and its sessions know of their listener; moved to a new configuration in place.
pub struct ListenerCell {
    pub id: u64,
    pub proxy: Cell<ProxyId>,
    pub bind: Cell<usize>,
    pub stopped: Cell<bool>,
    pub task: Cell<TaskId>,
    pub(super) live: RefCell<Arc<ListenerLive>>,
}

impl ListenerCell {
    pub fn of(listen: &Listen) -> ListenerCell {
        ListenerCell {
            id: listen.id,
            proxy: Cell::new(listen.proxy),
            bind: Cell::new(listen.bind),
            stopped: Cell::new(false),
            task: Cell::new(0),
            live: RefCell::new(listen.live.clone()),
        }
    }

    /// The same socket in a new configuration.
    pub fn moved(&self, listen: &Listen) {
        self.proxy.set(listen.proxy);
        self.bind.set(listen.bind);
        *self.live.borrow_mut() = listen.live.clone();
    }
}

/// The listeners of one worker.
pub type Listeners = Vec<Rc<ListenerCell>>;

/// What a client has of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connection,
    /// A connection that is to speak TLS, as so many may.
    Tls(u32),
    /// A flow of datagrams. As many may be as connections, beside them: who sends datagrams from many ports keeps nobody
    /// from connecting.
    Flow,
}

impl Kind {
    fn count(self, shared: &Shared) -> &AtomicU32 {
        if self == Kind::Flow { &shared.flows } else { &shared.current }
    }
}

/// Counts one client in the process, its frontend and its listener for as long as it lives.
pub struct ClientSlot {
    shared: Arc<Shared>,
    pub(super) front: Arc<ProxyLive>,
    pub(super) listener: Arc<ListenerLive>,
    kind: Kind,
}

/// Adds one unless that would exceed `limit` (0: none). Tells the new value.
fn acquire(count: &AtomicU32, limit: u32) -> Option<u32> {
    if limit == 0 {
        return Some(count.fetch_add(1, Ordering::AcqRel) + 1);
    }
    count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < limit).then_some(n + 1))
        .ok()
        .map(|n| n + 1)
}

impl ClientSlot {
    /// Whether it counts in this frontend.
    pub fn is_of(&self, front: &Arc<ProxyLive>) -> bool {
        Arc::ptr_eq(&self.front, front)
    }

    /// What its listener counts apart.
    pub fn counters(&self) -> Option<&ProxyCounters> {
        self.listener.counters()
    }

    /// A client has it: now it counts towards the peaks.
    pub(super) fn note_client(&self, now_ms: Millis) {
        if let Kind::Tls(_) = self.kind {
            self.shared.tls_total.fetch_add(1, Ordering::Relaxed);
            self.shared.tls_rate_max.raise(u64::from(self.shared.tls_rate.add(now_ms, 1)));
        }
        self.shared.current_max.raise(u64::from(self.shared.current.load(Ordering::Relaxed)));
        self.front.front.max.raise(u64::from(self.front.front.cur.load(Ordering::Relaxed)));
        self.listener.max.raise(u64::from(self.listener.cur.load(Ordering::Relaxed)));
    }

    /// `limits`: of the frontend and of the listener.
    pub(super) fn take(
        shared: &Arc<Shared>,
        front: &Arc<ProxyLive>,
        listener: &Arc<ListenerLive>,
        limits: (u32, u32),
        kind: Kind,
    ) -> Option<Self> {
        let whole = kind.count(shared);
        if acquire(whole, shared.maxconn.load(Ordering::Relaxed)).is_none() {
            if kind != Kind::Flow && !shared.is_full.swap(true, Ordering::Relaxed) {
                shared.maxconn_reached.fetch_add(1, Ordering::Relaxed);
            }
            return None;
        }
        if acquire(&front.front.cur, limits.0).is_none() {
            whole.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        if acquire(&listener.cur, limits.1).is_none() {
            whole.fetch_sub(1, Ordering::AcqRel);
            front.front.cur.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let (front, listener) = (front.clone(), listener.clone());
        let mut slot = ClientSlot { shared: shared.clone(), front, listener, kind: Kind::Connection };
        if let Kind::Tls(most) = kind {
            // Dropped here, it gives back what it has.
            acquire(&shared.tls, most)?;
        }
        slot.kind = kind;
        Some(slot)
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        if let Kind::Tls(_) = self.kind {
            self.shared.tls.fetch_sub(1, Ordering::AcqRel);
        }
        self.listener.cur.fetch_sub(1, Ordering::AcqRel);
        self.front.front.cur.fetch_sub(1, Ordering::AcqRel);
        self.kind.count(&self.shared).fetch_sub(1, Ordering::AcqRel);
        if self.kind != Kind::Flow && self.shared.is_full.load(Ordering::Relaxed) {
            self.shared.is_full.store(false, Ordering::Relaxed);
        }
    }
}
