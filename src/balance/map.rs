//! Map-based algorithms: `static-rr`, and the keyed ones with `hash-type map-based` or `hash-type maglev`.
//!
//! The map has one slot for each unit of weight (weights divided by their greatest common divisor), servers spread
//! evenly over it. A key takes slot `hash % slots`; turns go through the slots one by one. It is made anew when a
//! server comes or goes, and is the same as HAProxy's for the same servers.

use std::sync::Mutex;

use crate::base::{Live, Millis};
use crate::model::{Balancer, Pick, Server};

use super::maglev;
use super::spec::Spec;
use super::usable::{self, Serving};

/// The largest common divisor of all weights that are not null.
fn divisor(list: &[Server]) -> u32 {
    let gcd = list.iter().map(|s| s.spec.weight).fold(0, |a, b| {
        let (mut a, mut b) = (a, b);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    });
    gcd.max(1)
}

/// The slots, each with the index of a server.
fn slots(list: &[Server], serving: Serving) -> Vec<u32> {
    let divisor = divisor(list);
    let servers: Vec<(usize, i64)> = list
        .iter()
        .enumerate()
        .filter(|(i, s)| serving.has(*i, s))
        .map(|(i, s)| (i, i64::from(s.spec.weight.div_ceil(divisor))))
        .filter(|(_, weight)| *weight > 0)
        .collect();
    if let [(only, _)] = servers[..] {
        return vec![only as u32];
    }
    let total: i64 = servers.iter().map(|(_, weight)| weight).sum();
    let mut scores = vec![0i64; servers.len()];
    let mut map = Vec::with_capacity(total as usize);
    for _ in 0..total {
        // Every server earns its weight; the first of those that have earned most pays for the slot. Earnings count
        // in whole slots, so that file order decides between near equals.
        let (mut best, mut most) = (0, i64::MIN);
        for (s, (_, weight)) in servers.iter().enumerate() {
            scores[s] += weight;
            let earned = (scores[s] + total) / total;
            if earned > most {
                (best, most) = (s, earned);
            }
        }
        scores[best] -= total;
        map.push(servers[best].0 as u32);
    }
    map
}

#[derive(Debug)]
pub struct Map {
    keyed: bool,
    /// The slots are those of `hash-type maglev`.
    is_maglev: bool,
    all_backups: bool,
    fullconn: u32,
    slots: Live<Vec<u32>>,
    /// The slot of the next turn.
    turn: Mutex<usize>,
}

impl Map {
    pub fn new(spec: &Spec, list: &[Server], now: Millis) -> Map {
        let map = Map {
            keyed: spec.is_keyed(),
            is_maglev: spec.is_keyed() && spec.hash.maglev,
            all_backups: spec.all_backups,
            fullconn: spec.fullconn,
            slots: Live::default(),
            turn: Mutex::new(0),
        };
        map.refresh(list, now);
        map
    }

    /// The next server in turn that has room.
    fn next(&self, slots: &[u32], list: &[Server], pick: &Pick) -> Option<usize> {
        let mut turn = super::lock(&self.turn);
        let start = if *turn < slots.len() { *turn } else { 0 };
        let mut avoided = None;
        for step in 0..slots.len() {
            let at = (start + step) % slots.len();
            let i = slots[at] as usize;
            if usable::has_room(&list[i], pick, self.fullconn) {
                if Some(i) != pick.avoid {
                    *turn = at + 1;
                    return Some(i);
                }
                avoided = Some((at, i));
            }
        }
        let (at, i) = avoided?;
        *turn = at + 1;
        Some(i)
    }
}

impl Balancer for Map {
    fn refresh(&self, list: &[Server], now: Millis) {
        let serving = Serving::now(list, self.all_backups);
        let slots = match self.is_maglev {
            true => maglev::slots(list, serving, now),
            false => slots(list, serving),
        };
        if self.slots.with(|old| *old != slots) {
            self.slots.store(slots.into());
        }
    }

    fn pick(&self, list: &[Server], pick: &Pick) -> Option<usize> {
        self.slots.with(|slots| match pick.hash {
            _ if slots.is_empty() => None,
            Some(hash) if self.keyed => {
                let at = hash as usize % slots.len();
                let from_there = slots[at..].iter().chain(&slots[..at]).map(|i| *i as usize);
                let other = from_there.clone().find(|i| !self.is_maglev || Some(*i) != pick.avoid);
                other.or_else(|| from_there.clone().next())
            }
            _ => self.next(slots, list, pick),
        })
    }

    fn is_keyed(&self) -> bool {
        self.keyed
    }
}
