//! The accept loops of a worker, and the limits that hold them back.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::base::clock::MS;
use crate::model::Mode;
use crate::os::socket::Peer;
use crate::rt::conn::Acceptor;

use super::connection;
use super::listener::{ClientSlot, Kind, Listen, ListenerCell};
use super::worker::Worker;

/// How long a listener without a free slot waits before it looks again, when nobody woke it.
const PARKED_NS: u64 = 5 * MS;
/// One new connection to so many requests on those that stand.
const NEWCOMERS: u32 = 8;
/// After `accept` failed for want of descriptors or memory, or on a socket that was paused at this moment.
const EXHAUSTED_NS: u64 = 100 * MS;

impl Worker {
    /// Opens, keeps or closes accept loops so that exactly those of `list` run. Called after [`Worker::replace`].
    pub fn listen(&'static self, list: &[Listen]) {
        let mut running = self.listeners.borrow_mut();
        let before = running.len();
        running.retain(|cell| {
            let kept = list.iter().find(|l| l.id == cell.id);
            match kept {
                Some(listen) => cell.moved(listen),
                None => cell.stopped.set(true),
            }
            kept.is_some()
        });
        if running.len() < before {
            // Accept loops end, and clients that wait for nothing are told that nothing more is taken from them.
            self.rt.wake_all();
        }
        for listen in list {
            if running.iter().any(|cell| cell.id == listen.id) {
                continue;
            }
            let Ok(acceptor) = Acceptor::new(self.rt, listen.fd.clone(), listen.shared) else { continue };
            let cell = Rc::new(ListenerCell::of(listen));
            cell.task.set(self.rt.spawn(self.accept_loop(cell.clone(), acceptor)));
            running.push(cell);
        }
    }

    async fn accept_loop(&'static self, cell: Rc<ListenerCell>, acceptor: Acceptor) {
        let mut in_a_row = 0;
        let mut gate = Gate { seen: self.resumed.get(), credit: 0 };
        let mut allowed = 1;
        loop {
            acceptor.readable(|| cell.stopped.get()).await;
            if cell.stopped.get() {
                return;
            }
            if in_a_row == 0 {
                allowed = gate.admits(self.view().config().global.tune.maxaccept, self.resumed.get());
            }
            if in_a_row >= allowed {
                // The new ones speak, and those before them are answered, ere more are let in: otherwise many clients
                // go through accept, request and answer in step, and one of the two ends always waits.
                in_a_row = 0;
                self.rt.yield_now().await;
                continue;
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
                None => {
                    in_a_row = 0;
                    drop(slot);
                }
                Some(Ok((fd, peer))) => {
                    in_a_row += 1;
                    self.accepted(&cell, fd, peer, slot);
                }
                Some(Err(e)) => {
                    drop(slot);
                    if is_exhausted(&e) {
                        self.rt.sleep_until(self.rt.now() + EXHAUSTED_NS).await;
                    }
                }
            }
        }
    }

    /// A slot for one more client of the listener. `None`: some limit is reached.
    pub fn client_slot(&self, cell: &ListenerCell) -> Option<ClientSlot> {
        let view = self.view();
        let proxy = view.config().proxy(cell.proxy.get());
        if proxy.live.paused.load(Ordering::Relaxed) {
            return None;
        }
        let forced = proxy.live.maxconn_override.load(Ordering::Relaxed);
        let front = if forced > 0 { forced } else { proxy.maxconn };
        let line = proxy.front.as_ref().and_then(|f| f.binds.get(cell.bind.get()));
        let bind = line.map_or(0, |b| b.maxconn);
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
        let kind = match line {
            _ if proxy.mode == Mode::Udp => Kind::Flow,
            Some(line) if line.tls.is_on => Kind::Tls(global.tls.maxsslconn),
            _ => Kind::Connection,
        };
        let of_tls = global.tls.maxsslrate;
        if matches!(kind, Kind::Tls(_)) && of_tls > 0 && self.shared.tls_rate.read(now_ms) >= of_tls {
            return None;
        }
        ClientSlot::take(&self.shared, &proxy.live, &cell.live.borrow(), (front, bind), kind)
    }

    /// Serves a connection that was accepted.
    pub(super) fn accepted(
        &'static self,
        cell: &Rc<ListenerCell>,
        fd: OwnedFd,
        peer: Peer,
        slot: ClientSlot,
    ) {
        self.note_client(&slot);
        self.rt.spawn(connection::run(self, cell.clone(), fd, peer, slot));
    }

    /// Counts a client that has come.
    pub fn note_client(&self, slot: &ClientSlot) {
        let now_ms = self.rt.now() / MS;
        slot.note_client(now_ms);
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        self.shared.conn_rate_max.raise(u64::from(self.shared.conn_rate.add(now_ms, 1)));
        let live = &slot.front.front;
        live.counters.mine().conn_tot.inc();
        live.conn_rate_max.raise(u64::from(live.conn_rate.add(now_ms, 1)));
    }
}

/// How many connections are let in at a time, beside the requests of those who are connected.
struct Gate {
    /// Requests that had come on connections that carried others, when the gate was asked last.
    seen: u32,
    /// Such requests that nobody was let in for yet.
    credit: u32,
}

impl Gate {
    /// How many connections may be accepted in this turn, `most` (`tune.maxaccept`) at most. While clients that are
    /// connected ask on, one is let in to [`NEWCOMERS`] of their requests: they go before those who arrive, however many
    /// do at once, and hold nobody off.
    fn admits(&mut self, most: u32, resumed: u32) -> u32 {
        let since = resumed.wrapping_sub(std::mem::replace(&mut self.seen, resumed));
        if since == 0 {
            return most.max(1);
        }
        self.credit = self.credit.saturating_add(since).min(NEWCOMERS * most.max(1));
        let admitted = self.credit / NEWCOMERS;
        self.credit %= NEWCOMERS;
        admitted
    }
}

fn is_exhausted(e: &std::io::Error) -> bool {
    // EINVAL: it does not listen now.
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL];
    e.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_connected_goes_before_who_arrives() {
        let mut gate = Gate { seen: u32::MAX - 2, credit: 0 };
        let mut asked = u32::MAX - 2;
        // Requests since the turn before, and who is let in.
        for (since, admitted) in
            [(0, 4), (7, 0), (1, 1), (0, 4), (4, 0), (4, 1), (17, 2), (7, 1), (1000, 4), (7, 0)]
        {
            asked = asked.wrapping_add(since);
            assert_eq!(gate.admits(4, asked), admitted, "{since} requests");
        }
        assert_eq!(Gate { seen: 0, credit: 0 }.admits(0, 0), 1, "tune.maxaccept 0");
    }
}
