//! A hierarchical timer wheel with one deadline a task, one millisecond a tick.
//!
//! Moving a deadline later costs a store: the entry stays where it is and is filed again when its slot comes up.

use std::collections::VecDeque;

use crate::base::clock::{MS, Nanos};

const LEVELS: usize = 6;
const SLOTS: usize = 64;
const BITS: u32 = 6;
const NONE: u32 = u32::MAX;
const UNFILED: u16 = u16::MAX;
/// Longest span the wheel tells apart; what lies further is filed at its end and again when that comes.
const SPAN: u64 = (1 << (BITS * LEVELS as u32)) - 1;

#[derive(Clone, Copy)]
struct Node {
    deadline: Nanos,
    filed_at: u64,
    prev: u32,
    next: u32,
    bucket: u16,
}

const IDLE: Node = Node { deadline: Nanos::MAX, filed_at: 0, prev: NONE, next: NONE, bucket: UNFILED };

/// Deadlines by task number.
pub struct Wheel {
    nodes: Vec<Node>,
    heads: [u32; LEVELS * SLOTS],
    occupied: [u64; LEVELS],
    /// Ticks that are over.
    elapsed: u64,
}

fn tick_of(deadline: Nanos) -> u64 {
    deadline.div_ceil(MS)
}

impl Wheel {
    pub fn new(now: Nanos) -> Self {
        Wheel { nodes: Vec::new(), heads: [NONE; LEVELS * SLOTS], occupied: [0; LEVELS], elapsed: now / MS }
    }

    pub fn deadline(&self, id: u32) -> Nanos {
        self.nodes.get(id as usize).map_or(Nanos::MAX, |n| n.deadline)
    }

    /// Sets the deadline of `id`; `Nanos::MAX` for none.
    pub fn set(&mut self, id: u32, deadline: Nanos) {
        let i = id as usize;
        if i >= self.nodes.len() {
            self.nodes.resize(i + 1, IDLE);
        }
        self.nodes[i].deadline = deadline;
        if deadline == Nanos::MAX {
            return;
        }
        let tick = tick_of(deadline);
        if self.nodes[i].bucket != UNFILED {
            if tick >= self.nodes[i].filed_at {
                return;
            }
            self.unfile(id);
        }
        self.file(id, tick);
    }

    /// Forgets `id`.
    pub fn clear(&mut self, id: u32) {
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.deadline = Nanos::MAX;
            if node.bucket != UNFILED {
                self.unfile(id);
            }
        }
    }

    fn file(&mut self, id: u32, tick: u64) {
        let tick = tick.clamp(self.elapsed, self.elapsed + SPAN);
        let differing = (tick ^ self.elapsed) | (SLOTS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / BITS).min(LEVELS as u32 - 1);
        let slot = (tick >> (level * BITS)) as usize % SLOTS;
        let bucket = level as usize * SLOTS + slot;
        let head = self.heads[bucket];
        let node = &mut self.nodes[id as usize];
        node.filed_at = tick;
        node.bucket = bucket as u16;
        node.prev = NONE;
        node.next = head;
        if head != NONE {
            self.nodes[head as usize].prev = id;
        }
        self.heads[bucket] = id;
        self.occupied[level as usize] |= 1 << slot;
    }

    fn unfile(&mut self, id: u32) {
        let node = self.nodes[id as usize];
        let bucket = node.bucket as usize;
        if node.prev == NONE {
            self.heads[bucket] = node.next;
            if node.next == NONE {
                self.occupied[bucket / SLOTS] &= !(1 << (bucket % SLOTS));
            }
        } else {
            self.nodes[node.prev as usize].next = node.next;
        }
        if node.next != NONE {
            self.nodes[node.next as usize].prev = node.prev;
        }
        self.nodes[id as usize].bucket = UNFILED;
    }

    /// First slot that comes up: its bucket and the tick at which it does.
    fn next_bucket(&self) -> Option<(usize, u64)> {
        for level in 0..LEVELS {
            if self.occupied[level] == 0 {
                continue;
            }
            let shift = level as u32 * BITS;
            let here = (self.elapsed >> shift) as u32 % SLOTS as u32;
            let ahead = self.occupied[level].rotate_right(here).trailing_zeros();
            let slot = (here + ahead) % SLOTS as u32;
            let range = 1u64 << (shift + BITS);
            let mut at = (self.elapsed & !(range - 1)) + (u64::from(slot) << shift);
            if at < self.elapsed && slot < here {
                at += range;
            }
            return Some((level * SLOTS + slot as usize, at));
        }
        None
    }

    /// Milliseconds from `now` until something may be due; `None` when nothing is filed.
    pub fn wait_ms(&self, now: Nanos) -> Option<u64> {
        self.next_bucket().map(|(_, at)| at.saturating_sub(now / MS))
    }

    /// Puts into `due` the tasks whose deadline is at or before `now`; each is forgotten by the wheel.
    pub fn advance(&mut self, now: Nanos, due: &mut VecDeque<u32>) {
        let now_tick = now / MS;
        while let Some((bucket, at)) = self.next_bucket() {
            if at > now_tick {
                break;
            }
            self.elapsed = self.elapsed.max(at);
            let mut id = self.heads[bucket];
            self.heads[bucket] = NONE;
            self.occupied[bucket / SLOTS] &= !(1 << (bucket % SLOTS));
            while id != NONE {
                let node = &mut self.nodes[id as usize];
                let next = node.next;
                node.bucket = UNFILED;
                if node.deadline != Nanos::MAX {
                    let tick = tick_of(node.deadline);
                    if tick <= now_tick {
                        due.push_back(id);
                    } else {
                        self.file(id, tick);
                    }
                }
                id = next;
            }
        }
        self.elapsed = self.elapsed.max(now_tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_fire_once_in_their_millisecond() {
        let mut state = 88172645463325252u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut wheel = Wheel::new(1000 * MS);
        let mut now = 1000 * MS;
        let mut model: Vec<Option<Nanos>> = vec![None; 200];
        let mut due = VecDeque::new();
        for _ in 0..20_000 {
            let id = (random() % 200) as usize;
            match random() % 4 {
                0 => {
                    wheel.clear(id as u32);
                    model[id] = None;
                }
                1 => {
                    wheel.set(id as u32, Nanos::MAX);
                    model[id] = None;
                }
                _ => {
                    let at = now + random() % [5 * MS, 900 * MS, 70_000 * MS][(random() % 3) as usize];
                    wheel.set(id as u32, at);
                    model[id] = Some(at);
                }
            }
            if random() % 3 == 0 {
                let wait = wheel.wait_ms(now);
                let earliest = model.iter().flatten().min();
                if let Some(earliest) = earliest {
                    assert!(wait.unwrap() <= tick_of(*earliest).saturating_sub(now / MS));
                }
                now += random() % (400 * MS);
                due.clear();
                wheel.advance(now, &mut due);
                for id in &due {
                    assert!(tick_of(model[*id as usize].take().unwrap()) <= now / MS);
                }
                assert!(model.iter().flatten().all(|at| tick_of(*at) > now / MS), "a deadline was missed");
            }
        }
    }
}
