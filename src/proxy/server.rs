//! A stream's place on a server: one of its slots, taken, freed and passed on to who waits.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::model::{ProxyId, ProxyLive, Server};

use super::view::{Servers, View};

/// One of a server's `maxconn` slots. Dropping it lets the next stream in the queues have it. It holds worker-local
/// counts only: streams of different workers must not fight for the counters of what they share.
pub struct ServerSlot {
    set: Servers,
    index: usize,
    view: Rc<View>,
    back: ProxyId,
    now_ms: u64,
}

/// Takes a slot of `server` unless it is at its limit.
pub fn acquire(server: &Server, back: &ProxyLive, fullconn: u32, now_ms: u64) -> bool {
    let cur = back.back.cur.load(Ordering::Relaxed);
    let limit = crate::balance::effective_maxconn(server, cur, fullconn, now_ms);
    let live = &server.live;
    let served = if limit == 0 {
        live.served.fetch_add(1, Ordering::SeqCst)
    } else {
        match live.served.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < limit).then_some(n + 1)) {
            Ok(n) => n,
            Err(_) => return false,
        }
    };
    live.served_max.raise(u64::from(served) + 1);
    true
}

/// Gives slots that are free to those who wait: the server's own queue and the backend's, by age.
pub fn serve_queues(server: &Server, back: &ProxyLive, fullconn: u32, now_ms: u64) {
    if server.live.queue.is_empty() && back.queue.is_empty() {
        return;
    }
    loop {
        let take = || acquire(server, back, fullconn, now_ms).then(|| server.clone());
        let own = server.live.queue.first_rank();
        let common = if server.live.is_usable() { back.queue.first_rank() } else { None };
        let granted = match (own, common) {
            (None, None) => return,
            (Some(a), Some(b)) if b < a => back.queue.grant(take),
            (Some(_), _) => server.live.queue.grant(take),
            (None, Some(_)) => back.queue.grant(take),
        };
        if !granted {
            return;
        }
    }
}

impl ServerSlot {
    /// Wraps a slot that was acquired, of the server at this place of the set.
    pub fn hold(set: Servers, index: usize, view: Rc<View>, back: ProxyId, now_ms: u64) -> ServerSlot {
        set.balancer.load_changed(&set.list, index, true);
        ServerSlot { set, index, view, back, now_ms }
    }

    pub fn server(&self) -> &Server {
        &self.set.list[self.index]
    }
}

impl Drop for ServerSlot {
    fn drop(&mut self) {
        let back = self.view.config().proxy(self.back);
        let fullconn = back.back.as_ref().map_or(0, |b| b.fullconn);
        self.server().live.served.fetch_sub(1, Ordering::SeqCst);
        self.set.balancer.load_changed(&self.set.list, self.index, false);
        serve_queues(self.server(), &back.live, fullconn, self.now_ms);
    }
}
