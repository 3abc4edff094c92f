//! Listening sockets of a worker: accept loops and the limits that hold them back.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::clock::MS;
use crate::model::{ProxyId, ProxyLive};
use crate::os::socket::Peer;
use crate::rt::TaskId;
use crate::rt::conn::Acceptor;

use super::session;
use super::worker::{Shared, Worker};

/// How long a listener without a free slot waits before it looks again, when nobody woke it.
const PARKED_NS: u64 = 5 * MS;
/// After `accept` failed for want of descriptors or memory.
const EXHAUSTED_NS: u64 = 100 * MS;

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
    /// Connections of this listener over all workers.
    pub current: Arc<AtomicU32>,
}

/// What an accept loop and its sessions know of their listener; moved to a new configuration in place.
pub struct ListenerCell {
    pub id: u64,
    pub proxy: Cell<ProxyId>,
    pub bind: Cell<usize>,
    pub stopped: Cell<bool>,
    task: Cell<TaskId>,
    current: Arc<AtomicU32>,
}

/// The listeners of one worker.
pub type Listeners = Vec<Rc<ListenerCell>>;

/// Counts one client connection in the process, its frontend and its listener for as long as it lives.
pub struct ClientSlot {
    shared: Arc<Shared>,
    front: Arc<ProxyLive>,
    listener: Arc<AtomicU32>,
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

    fn take(
        shared: &Arc<Shared>,
        front: &Arc<ProxyLive>,
        listener: &Arc<AtomicU32>,
        limits: (u32, u32),
    ) -> Option<Self> {
        let total = acquire(&shared.current, shared.maxconn.load(Ordering::Relaxed))?;
        let Some(in_front) = acquire(&front.front.cur, limits.0) else {
            shared.current.fetch_sub(1, Ordering::AcqRel);
            return None;
        };
        if acquire(listener, limits.1).is_none() {
            shared.current.fetch_sub(1, Ordering::AcqRel);
            front.front.cur.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        shared.current_max.raise(u64::from(total));
        front.front.max.raise(u64::from(in_front));
        Some(ClientSlot { shared: shared.clone(), front: front.clone(), listener: listener.clone() })
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        self.listener.fetch_sub(1, Ordering::AcqRel);
        self.front.front.cur.fetch_sub(1, Ordering::AcqRel);
        self.shared.current.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Worker {
    /// Opens, keeps or closes accept loops so that exactly those of `list` run. Called after [`Worker::replace`].
    pub fn listen(&'static self, list: &[Listen]) {
        let mut running = self.listeners.borrow_mut();
        running.retain(|cell| {
            let kept = list.iter().find(|l| l.id == cell.id);
            match kept {
                Some(listen) => {
                    cell.proxy.set(listen.proxy);
                    cell.bind.set(listen.bind);
                }
                None => {
                    cell.stopped.set(true);
                    self.rt.wake(cell.task.get());
                }
            }
            kept.is_some()
        });
        for listen in list {
            if running.iter().any(|cell| cell.id == listen.id) {
                continue;
            }
            let Ok(acceptor) = Acceptor::new(self.rt, listen.fd.clone(), listen.shared) else { continue };
            let cell = Rc::new(ListenerCell {
                id: listen.id,
                proxy: Cell::new(listen.proxy),
                bind: Cell::new(listen.bind),
                stopped: Cell::new(false),
                task: Cell::new(0),
                current: listen.current.clone(),
            });
            cell.task.set(self.rt.spawn(self.accept_loop(cell.clone(), acceptor)));
            running.push(cell);
        }
    }

    async fn accept_loop(&'static self, cell: Rc<ListenerCell>, acceptor: Acceptor) {
        loop {
            acceptor.readable(|| cell.stopped.get()).await;
            if cell.stopped.get() {
                return;
            }
            let Some(slot) = self.client_slot(&cell) else {
                self.shared.parked.store(true, Ordering::Relaxed);
                self.rt.sleep_until(self.rt.now() + PARKED_NS).await;
                if cell.stopped.get() {
                    return;
                }
                continue;
            };
            match acceptor.try_accept() {
                None => drop(slot),
                Some(Ok((fd, peer))) => self.accepted(&cell, fd, peer, slot),
                Some(Err(e)) => {
                    drop(slot);
                    if is_exhausted(&e) {
                        self.rt.sleep_until(self.rt.now() + EXHAUSTED_NS).await;
                    }
                }
            }
        }
    }

    fn client_slot(&self, cell: &ListenerCell) -> Option<ClientSlot> {
        let view = self.view();
        let proxy = view.config().proxy(cell.proxy.get());
        if proxy.live.paused.load(Ordering::Relaxed) {
            return None;
        }
        let forced = proxy.live.maxconn_override.load(Ordering::Relaxed);
        let front = if forced > 0 { forced } else { proxy.maxconn };
        let bind = proxy.front.as_ref().and_then(|f| f.binds.get(cell.bind.get())).map_or(0, |b| b.maxconn);
        let limit = proxy.front.as_ref().map_or(0, |f| f.rate_limit_sessions);
        let now_ms = self.rt.now() / MS;
        if limit > 0 && proxy.live.front.sess_rate.read(now_ms) >= limit {
            return None;
        }
        let global = &view.config().global;
        if (global.maxconnrate > 0 && self.shared.conn_rate.read(now_ms) >= global.maxconnrate)
            || (global.maxsessrate > 0 && self.shared.sess_rate.read(now_ms) >= global.maxsessrate)
        {
            return None;
        }
        ClientSlot::take(&self.shared, &proxy.live, &cell.current, (front, bind))
    }

    fn accepted(&'static self, cell: &Rc<ListenerCell>, fd: OwnedFd, peer: Peer, slot: ClientSlot) {
        let now_ms = self.rt.now() / MS;
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        self.shared.conn_rate.add(now_ms, 1);
        self.shared.conn_rate_max.raise(u64::from(self.shared.conn_rate.read(now_ms)));
        let live = &slot.front.front;
        live.counters.mine().conn_tot.inc();
        live.conn_rate.add(now_ms, 1);
        live.conn_rate_max.raise(u64::from(live.conn_rate.read(now_ms)));
        self.rt.spawn(session::run(self, cell.clone(), fd, peer, slot));
    }
}

fn is_exhausted(e: &std::io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
