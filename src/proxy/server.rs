//! A stream's hold on a server: its slot, and the connection that carries the request.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::clock::MS;
use crate::model::{Cut, ProxyLive, Server};
use crate::rt::Conn;

use super::end::Cause;
use super::worker::Servers;

/// One of a server's `maxconn` slots. Dropping it lets the next stream in the queues have it.
pub struct ServerSlot {
    pub server: Server,
    set: Servers,
    index: usize,
    back: Arc<ProxyLive>,
    fullconn: u32,
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
        let own = server.live.queue.first_since();
        let common = if server.live.is_usable() { back.queue.first_since() } else { None };
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
    /// Wraps a slot that was acquired.
    pub fn hold(
        set: Servers,
        index: usize,
        server: Server,
        back: Arc<ProxyLive>,
        fullconn: u32,
        now_ms: u64,
    ) -> ServerSlot {
        set.balancer.load_changed(&set.list, index, true);
        ServerSlot { server, set, index, back, fullconn, now_ms }
    }
}

impl Drop for ServerSlot {
    fn drop(&mut self) {
        self.server.live.served.fetch_sub(1, Ordering::SeqCst);
        self.set.balancer.load_changed(&self.set.list, self.index, false);
        serve_queues(&self.server, &self.back, self.fullconn, self.now_ms);
    }
}

/// The server's side of a stream.
pub struct Upstream {
    pub slot: ServerSlot,
    pub conn: Option<Rc<Conn>>,
    /// Requests the connection carried before this one.
    pub uses: u32,
    /// Of the server when the connection was chosen.
    pub epoch: u32,
    /// What is to be sent before anything else on it (`send-proxy`).
    pub preface: Vec<u8>,
    /// The server's last responses did not fit a small buffer.
    pub large_responses: bool,
    /// The connection may be used again after this response.
    pub keep: bool,
}

impl Upstream {
    /// How a stream ends whose server's sessions were shut down.
    pub fn cut(&self) -> Option<Cause> {
        match self.slot.server.live.cut(self.epoch)? {
            Cut::Moved => None,
            Cut::Killed => Some(Cause::Killed),
            Cut::Down => Some(Cause::ServerDown),
            Cut::Up => Some(Cause::ServerUp),
        }
    }

    /// Ends the server's part: an intact connection goes back to the pool.
    pub fn release(&mut self, worker: &super::worker::Worker) {
        if let Some(conn) = self.conn.take() {
            self.slot.server.live.used.fetch_sub(1, Ordering::Relaxed);
            if self.keep && self.slot.server.live.is_up() {
                let past = (self.uses + 1, self.epoch);
                worker.pools.keep(&self.slot.server, conn, past, worker.rt.now() / MS);
            }
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if self.conn.take().is_some() {
            self.slot.server.live.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
