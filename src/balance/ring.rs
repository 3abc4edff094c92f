//! Algorithms over a ring of hashes: `random`, and the keyed ones with `hash-type consistent`.
//!
//! Every server has as many points on the ring as parts of weight (16 a unit). A key belongs to the nearest point, so
//! that a server that comes or goes moves no keys but its own. Points are HAProxy's for the same ids.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh32::xxh32;

use crate::base::{Live, Millis};
use crate::model::server::HashKey;
use crate::model::{Balancer, Pick, Server};

use super::hash::avalanche;
use super::spec::{Affinity, Method, Spec};
use super::usable::{self, Serving, WEIGHT_MAX};

/// The number from which a server's points are made.
pub(super) fn seed(server: &Server) -> u32 {
    let by_id = server.spec.id.wrapping_mul(WEIGHT_MAX);
    match server.spec.hash_key {
        HashKey::Id => by_id,
        HashKey::Id32 => avalanche(server.spec.id.to_be()),
        HashKey::Addr | HashKey::AddrPort => {
            let Some(address) = server.address().inet() else { return by_id };
            let port = match server.spec.hash_key {
                HashKey::AddrPort => avalanche(u32::from(address.port())),
                _ => 0,
            };
            match address.ip() {
                IpAddr::V4(ip) => avalanche(port.wrapping_add(u32::from_ne_bytes(ip.octets()))),
                IpAddr::V6(ip) => xxh32(&ip.octets(), port),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Ring {
    serving: Serving,
    /// Point and server, by point.
    points: Vec<(u32, u32)>,
    /// By server: weight in parts, and that of the servers before it.
    weights: Vec<(u32, u32)>,
    total: u32,
}

impl Ring {
    fn new(list: &[Server], all_backups: bool, now: Millis) -> Ring {
        let serving = Serving::now(list, all_backups);
        let mut ring = Ring { serving, ..Ring::default() };
        for (i, server) in list.iter().enumerate() {
            let weight = if serving.has(i, server) { usable::effective_weight(server, now) } else { 0 };
            ring.weights.push((weight, ring.total));
            ring.total += weight;
            if weight > 0 {
                let seed = seed(server);
                ring.points.extend((0..weight).map(|n| (avalanche(seed.wrapping_add(n)), i as u32)));
            }
        }
        // Stable: servers that share a point keep file order.
        ring.points.sort_by_key(|p| p.0);
        ring
    }

    /// The position of the point nearest to `hash`.
    fn nearest(&self, hash: u32) -> usize {
        let n = self.points.len();
        let next = self.points.partition_point(|p| p.0 < hash) % n;
        let previous = (next + n - 1) % n;
        let before = hash.wrapping_sub(self.points[previous].0);
        let after = self.points[next].0.wrapping_sub(hash);
        if before <= after { previous } else { next }
    }

    fn server(&self, at: usize) -> usize {
        self.points[at % self.points.len()].1 as usize
    }
}

#[derive(Debug)]
pub struct RingBalancer {
    spec: Spec,
    ring: Live<Ring>,
    /// The point of the last turn, for keyed algorithms without a key.
    turn: Mutex<Option<usize>>,
}

impl RingBalancer {
    pub fn new(spec: &Spec, list: &[Server], now: Millis) -> RingBalancer {
        RingBalancer {
            spec: spec.clone(),
            ring: Live::new(Ring::new(list, spec.all_backups, now)),
            turn: Mutex::new(None),
        }
    }

    /// The server of `hash`, passing over those that `hash-balance-factor` or `hash-preserve-affinity` exclude.
    fn by_hash(&self, ring: &Ring, list: &[Server], pick: &Pick, hash: u32) -> usize {
        let start = ring.nearest(hash);
        let share = self.share(ring, list);
        for at in start..start + ring.points.len() {
            let i = ring.server(at);
            if Some(i) != pick.avoid && share.accepts(ring, list, i) && self.keeps(&list[i], pick) {
                return i;
            }
        }
        ring.server(start + ring.points.len() - 1)
    }

    /// The streams to share out under `hash-balance-factor`, the next one included.
    fn share(&self, ring: &Ring, list: &[Server]) -> Share {
        if self.spec.balance_factor == 0 {
            return Share(None);
        }
        let served: u64 = list.iter().map(|s| u64::from(s.live.served.load(Ordering::Relaxed))).sum();
        let slots = ((served + 1) * u64::from(self.spec.balance_factor)).div_ceil(100);
        let total = u64::from(ring.total.max(1));
        Share(Some((slots / total, slots % total)))
    }

    /// Whether the key's server is kept although it is busy.
    fn keeps(&self, server: &Server, pick: &Pick) -> bool {
        let limit = || usable::effective_maxconn(server, pick.backend_cur, self.spec.fullconn, pick.now);
        let served = server.live.served.load(Ordering::Relaxed);
        match self.spec.affinity {
            Affinity::Always => true,
            Affinity::MaxConn => {
                let limit = limit();
                limit == 0 || served < limit
            }
            Affinity::MaxQueue => {
                let limit = limit();
                let queued = server.live.queue.len();
                limit == 0 || server.spec.maxqueue == 0 || served + queued < limit + server.spec.maxqueue
            }
        }
    }

    /// `random`: the least loaded for its weight of several draws.
    fn draw(&self, ring: &Ring, list: &[Server], pick: &Pick, draws: u32) -> Option<usize> {
        let mut random = pick.random;
        let mut best: Option<usize> = None;
        for _ in 0..draws.clamp(1, 1024) {
            random = mix(random);
            let i = self.by_hash(ring, list, pick, (random >> 32) as u32);
            best = Some(match best {
                Some(b) if b != i && self.is_lighter(ring, list, pick, b, i) => b,
                _ => i,
            });
        }
        // A full server stands for none, so that the stream waits for the whole backend.
        best.filter(|&i| usable::has_room(&list[i], pick, self.spec.fullconn))
    }

    /// `a` has less load for its weight than `b`, or as much and fewer new sessions.
    fn is_lighter(&self, ring: &Ring, list: &[Server], pick: &Pick, a: usize, b: usize) -> bool {
        let (weight_a, weight_b) = (u64::from(ring.weights[a].0), u64::from(ring.weights[b].0));
        let load = |i: usize| u64::from(list[i].live.served.load(Ordering::Relaxed));
        if self.spec.method == Method::PeakEwma {
            // A server of which nothing is known yet is as fast as can be.
            // Draws go by weight already: only what there is to do is shared by it.
            let cost = |i: usize, weight: u64| {
                let work = weight + load(i) * u64::from(usable::WEIGHT_SCALE);
                u128::from(list[i].live.latency.read(pick.now).max(1)) * u128::from(work)
            };
            return cost(a, weight_a) * u128::from(weight_b) < cost(b, weight_b) * u128::from(weight_a);
        }
        let (load_a, load_b) = (load(a) * weight_b, load(b) * weight_a);
        if load_a != load_b || pick.now == 0 {
            return load_a < load_b;
        }
        let rate = |i: usize| u64::from(list[i].live.sess_rate.read(pick.now));
        rate(a) * weight_b < rate(b) * weight_a
    }

    /// A keyed algorithm without a key: the next point's server that has room.
    fn next(&self, ring: &Ring, list: &[Server], pick: &Pick) -> Option<usize> {
        let mut turn = super::lock(&self.turn);
        let n = ring.points.len();
        let start = turn.map_or(0, |t| t + 1);
        let mut avoided = None;
        for step in 0..n {
            let at = (start + step) % n;
            let i = ring.server(at);
            if usable::has_room(&list[i], pick, self.spec.fullconn) {
                if Some(i) != pick.avoid {
                    *turn = Some(at);
                    return Some(i);
                }
                avoided = Some((at, i));
            }
        }
        let (at, i) = avoided?;
        *turn = Some(at);
        Some(i)
    }
}

/// Slots a part of weight may fill, and those left over.
struct Share(Option<(u64, u64)>);

impl Share {
    fn accepts(&self, ring: &Ring, list: &[Server], i: usize) -> bool {
        let Some((slots, rest)) = self.0 else { return true };
        let (weight, before) = ring.weights[i];
        let (weight, before, total) = (u64::from(weight), u64::from(before), u64::from(ring.total.max(1)));
        let slots = weight * slots + (before + weight) * rest / total - before * rest / total;
        u64::from(list[i].live.served.load(Ordering::Relaxed)) < slots.max(1)
    }
}

/// The next of a sequence of random words (splitmix64).
fn mix(word: u64) -> u64 {
    let z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Balancer for RingBalancer {
    fn refresh(&self, list: &[Server], now: Millis) {
        self.ring.store(Ring::new(list, self.spec.all_backups, now).into());
    }

    fn pick(&self, list: &[Server], pick: &Pick) -> Option<usize> {
        // Nothing is drawn for a lone server.
        if let ([only], Method::Random { .. } | Method::PeakEwma) = (list, &self.spec.method) {
            let fits = only.live.is_usable() && usable::has_room(only, pick, self.spec.fullconn);
            return fits.then_some(0);
        }
        self.ring.with(|ring| match (ring.serving, &self.spec.method) {
            _ if ring.points.is_empty() => None,
            (_, Method::Random { draws }) => self.draw(ring, list, pick, *draws),
            (_, Method::PeakEwma) => self.draw(ring, list, pick, 2),
            (Serving::OneBackup(i), _) => Some(i),
            _ => match pick.hash {
                Some(hash) => Some(self.by_hash(ring, list, pick, hash)),
                None => self.next(ring, list, pick),
            },
        })
    }

    fn is_keyed(&self) -> bool {
        self.spec.is_keyed()
    }
}
