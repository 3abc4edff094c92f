//! The table of `hash-type maglev` (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", 2016).
//!
//! Every server has an order of its own of all slots. They take turns, as often as their weights say, and each takes the
//! first slot in its order that is free. So each has its share to a slot, and where one goes, slots of others hardly
//! move. One look finds a key's server.

use crate::base::Millis;
use crate::model::Server;

use super::hash::avalanche;
use super::ring::seed;
use super::usable::{self, Serving};

/// A prime, so that every step goes through all of them.
const SLOTS: usize = 65_537;

/// A server that fills slots.
struct Filler {
    index: u32,
    weight: u64,
    /// Its turn comes when the rounds times its weight are so many.
    due: u64,
    at: usize,
    step: usize,
}

/// The slots, each with the index of a server; none while nobody serves.
pub fn slots(list: &[Server], serving: Serving, now: Millis) -> Vec<u32> {
    let mut fillers: Vec<Filler> = Vec::new();
    for (i, server) in list.iter().enumerate().filter(|(i, server)| serving.has(*i, server)) {
        let (seed, weight) = (seed(server), usable::effective_weight(server, now));
        if weight > 0 {
            let at = avalanche(seed) as usize % SLOTS;
            let step = avalanche(!seed) as usize % (SLOTS - 1) + 1;
            fillers.push(Filler { index: i as u32, weight: weight.into(), due: 0, at, step });
        }
    }
    let Some(most) = fillers.iter().map(|filler| filler.weight).max() else { return Vec::new() };
    let (mut slots, mut free) = (vec![u32::MAX; SLOTS], SLOTS);
    for round in 1.. {
        for filler in &mut fillers {
            if round * filler.weight <= filler.due {
                continue;
            }
            filler.due += most;
            while slots[filler.at] != u32::MAX {
                filler.at = (filler.at + filler.step) % SLOTS;
            }
            slots[filler.at] = filler.index;
            free -= 1;
            if free == 0 {
                return slots;
            }
        }
    }
    slots
}
