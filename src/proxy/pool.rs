//! Idle connections to servers, kept by the worker that opened them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::base::Millis;
use crate::conn::Link;
use crate::model::Server;

/// Most idle connections a worker keeps to one server, whatever `pool-max-conn` allows.
const PER_SERVER: usize = 4096;
/// How many are looked at for having ended when there is no room for another one.
const LOOKED_AT: usize = 4;

struct Idle {
    link: Rc<Link>,
    since: Millis,
    /// Requests carried so far.
    uses: u32,
    /// The name that the server was asked for with TLS: 0 for none, else its hash.
    name: u64,
}

struct ServerPool {
    server: Server,
    idle: Vec<Idle>,
    /// Most connections in use at once, in the last second and in this one: more than that are not kept idle, as
    /// they would only be opened to be closed.
    peaks: [u32; 2],
    /// Of the connections in `idle`; the server may have begun another one.
    epoch: u32,
    /// Size of the last responses, to choose the buffer of the next one.
    large_responses: bool,
    /// Which of `idle` was looked at last for having ended.
    looked_at: usize,
}

impl Idle {
    /// A request met it idle before, and it was still good.
    fn is_proven(&self) -> bool {
        self.uses > 1
    }
}

impl ServerPool {
    /// So many are idle no more, and so many of them were proven.
    fn note_gone(&self, (n, proven): (u32, u32)) {
        self.server.live.idle.fetch_sub(n, Ordering::Relaxed);
        self.server.live.idle_by.mine().fetch_sub(n, Ordering::Relaxed);
        self.server.live.idle_proven.fetch_sub(proven, Ordering::Relaxed);
    }

    /// How many there are, and how many of them are proven.
    fn count(&self) -> (u32, u32) {
        (self.idle.len() as u32, self.idle.iter().filter(|i| i.is_proven()).count() as u32)
    }

    /// The connection that became idle last and still stands.
    fn take(&mut self, proven_only: bool, name: u64) -> Option<(Rc<Link>, u32)> {
        self.renew();
        let mut i = self.idle.len();
        while i > 0 {
            i -= 1;
            if (proven_only && !self.idle[i].is_proven()) || self.idle[i].name != name {
                continue;
            }
            let idle = self.idle.remove(i);
            self.note_gone((1, u32::from(idle.is_proven())));
            // Anything readable on an idle connection is its end, or something that must not be answered with.
            if idle.link.is_silent() {
                return Some((idle.link, idle.uses));
            }
        }
        None
    }

    /// Closes a connection that the server has ended, if there is one among the next few: all are looked at in turn,
    /// and a large pool costs no more than a small one.
    fn drop_ended(&mut self) -> bool {
        for _ in 0..self.idle.len().min(LOOKED_AT) {
            self.looked_at = (self.looked_at + 1) % self.idle.len();
            if !self.idle[self.looked_at].link.is_silent() {
                let ended = self.idle.remove(self.looked_at);
                self.note_gone((1, u32::from(ended.is_proven())));
                return true;
            }
        }
        false
    }

    #[cold]
    fn of(server: &Server) -> ServerPool {
        ServerPool {
            server: server.clone(),
            idle: Vec::new(),
            peaks: [0; 2],
            epoch: server.live.epoch(),
            large_responses: false,
            looked_at: 0,
        }
    }

    /// Counts one more idle connection, if there is room for it.
    fn takes_one_more(&self) -> bool {
        // One each worker may always keep: what others hold may have ended without their having looked.
        let low = self.server.spec.pool_low_conn;
        let peak = self.peaks[0].max(self.peaks[1]).max(1);
        let needed = if self.idle.is_empty() { u32::MAX } else { peak.saturating_add(low) };
        let limit = self.server.spec.pool_max_conn.unwrap_or(u32::MAX).min(needed);
        let one_more = |n| (n < limit).then_some(n + 1);
        self.idle.len() < PER_SERVER
            && self.server.live.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Closes connections that lead where the server is no longer.
    fn renew(&mut self) {
        let epoch = self.server.live.epoch();
        if self.epoch != epoch {
            self.epoch = epoch;
            self.note_gone(self.count());
            self.idle.clear();
        }
    }
}

impl Drop for ServerPool {
    fn drop(&mut self) {
        self.note_gone(self.count());
    }
}

/// Unique numbers of servers follow one another: spreading them over the table is all that is asked.
#[derive(Default)]
struct UidHasher(u64);

impl Hasher for UidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, uid: u64) {
        self.0 = uid.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }
}

/// The pools of one worker, by server.
#[derive(Default)]
pub struct Pools {
    by_server: RefCell<HashMap<u64, ServerPool, BuildHasherDefault<UidHasher>>>,
}

impl Pools {
    fn with<R>(&self, server: &Server, f: impl FnOnce(&mut ServerPool) -> R) -> R {
        let mut map = self.by_server.borrow_mut();
        match map.get_mut(&server.live.uid) {
            Some(pool) => f(pool),
            None => f(map.entry(server.live.uid).or_insert_with(|| ServerPool::of(server))),
        }
    }

    /// The connection that became idle last and still stands, with the number of requests it carried.
    /// `proven_only`: one that has proven to survive reuse (`http-reuse aggressive`).
    /// `name`: the server was asked for that with TLS.
    pub fn take(&self, server: &Server, proven_only: bool, name: u64) -> Option<(Rc<Link>, u32)> {
        self.with(server, |pool| pool.take(proven_only, name))
    }

    /// Takes a connection out of this worker for another one.
    pub fn give(&self, server: &Server, proven_only: bool, name: u64) -> Option<(OwnedFd, u32)> {
        let (link, uses) = self.take(server, proven_only, name)?;
        let fd = Rc::into_inner(link)?.detach()?;
        Some((fd, uses))
    }

    /// Keeps a connection whose last response is complete; closes it when the server's pool is full, or the
    /// connection of an earlier epoch.
    pub fn keep(
        &self,
        server: &Server,
        (link, name): (Rc<Link>, u64),
        (uses, epoch): (u32, u32),
        now: Millis,
    ) {
        let (spec, live) = (&server.spec, &server.live);
        if spec.pool_purge_delay_ms == 0 || live.epoch() != epoch || !link.is_drained() {
            return;
        }
        // Registered, so that its end becomes known while it is idle.
        if link.watch().is_err() {
            return;
        }
        self.with(server, |pool| {
            pool.renew();
            if pool.takes_one_more() || (pool.drop_ended() && pool.takes_one_more()) {
                live.idle_by.mine().fetch_add(1, Ordering::Relaxed);
                let idle = Idle { link, since: now, uses, name };
                live.idle_proven.fetch_add(u32::from(idle.is_proven()), Ordering::Relaxed);
                pool.idle.push(idle);
            } else {
                // Nothing is under way on it: a farewell would only hold its port for a minute.
                link.set_no_linger();
            }
        });
    }

    /// Told how many connections to a server are in use. Tells whether its last responses were large.
    #[inline]
    pub fn note_use(&self, server: &Server, used: u32) -> bool {
        self.with(server, |pool| {
            if used > pool.peaks[1] {
                pool.peaks[1] = used;
                server.live.need.note(used);
            }
            pool.large_responses
        })
    }

    pub fn note_size(&self, server: &Server, large: bool) {
        self.with(server, |pool| pool.large_responses = large);
    }

    /// Closes what has ended, what was idle for longer than `pool-purge-delay`, and forgets servers that are gone.
    pub fn purge(&self, now: Millis) {
        self.by_server.borrow_mut().retain(|_, pool| {
            let delay = pool.server.spec.pool_purge_delay_ms;
            let before = pool.count();
            let used = pool.server.live.used.load(Ordering::Relaxed);
            pool.server.live.need.round(used, now, delay.max(1000));
            // Not in use now: whoever takes one next notes it.
            pool.peaks = [pool.peaks[1], used];
            pool.idle.retain(|idle| {
                let silent = idle.link.is_silent();
                let kept = silent && now.saturating_sub(idle.since) < delay;
                if !kept && silent {
                    idle.link.set_no_linger();
                }
                kept
            });
            let left = pool.count();
            pool.note_gone((before.0 - left.0, before.1 - left.1));
            !pool.idle.is_empty() || std::sync::Arc::strong_count(&pool.server.live) > 1
        });
    }

    /// Closes all idle connections to a server (it went down, or into maintenance).
    pub fn forget(&self, uid: u64) {
        self.by_server.borrow_mut().remove(&uid);
    }
}
