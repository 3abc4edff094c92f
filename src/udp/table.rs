//! The table of flows: whose a datagram is, and which flows have been silent for too long. No I/O, no clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;

use crate::base::Nanos;
use crate::os::burst::Asked;

/// What all datagrams of a flow share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Number of the listening socket.
    pub listener: u64,
    pub client: SocketAddr,
    /// Which address of ours, where the socket has all of them.
    pub asked: Option<Asked>,
}

/// A flow of the table. Places are used again, ids are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    at: u32,
    nth: u32,
}

struct Place<T> {
    nth: u32,
    held: Option<Held<T>>,
}

struct Held<T> {
    key: Key,
    value: T,
    /// When one of both sides spoke last.
    last: Nanos,
    /// How long both may be silent; 0: for ever.
    patience: Nanos,
    /// With which moment it stands in the order of ends.
    queued: Nanos,
}

impl<T> Held<T> {
    fn due(&self) -> Nanos {
        if self.patience == 0 { Nanos::MAX } else { self.last.saturating_add(self.patience) }
    }
}

/// Flows by key, and in the order in which they end if nobody speaks.
pub struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    index: HashMap<Key, u32, foldhash::quality::RandomState>,
    /// A flow that spoke meanwhile is put back when its turn comes: a datagram costs no reordering.
    ends: BinaryHeap<Reverse<(Nanos, FlowId)>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { places: Vec::new(), free: Vec::new(), index: HashMap::default(), ends: BinaryHeap::new() }
    }
}

impl<T> Table<T> {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn find(&self, key: &Key) -> Option<FlowId> {
        let at = *self.index.get(key)?;
        Some(FlowId { at, nth: self.places[at as usize].nth })
    }

    fn held(&mut self, id: FlowId) -> Option<&mut Held<T>> {
        let place = self.places.get_mut(id.at as usize).filter(|place| place.nth == id.nth)?;
        place.held.as_mut()
    }

    pub fn flow(&mut self, id: FlowId) -> Option<&mut T> {
        self.held(id).map(|held| &mut held.value)
    }

    /// Every flow.
    pub fn ids(&self) -> Vec<FlowId> {
        let places = self.places.iter().zip(0..);
        places.filter(|(p, _)| p.held.is_some()).map(|(p, at)| FlowId { at, nth: p.nth }).collect()
    }

    /// Adds a flow that speaks now. One of the same key is no more found by it: callers look first.
    pub fn open(&mut self, key: Key, patience: Nanos, now: Nanos, value: T) -> FlowId {
        let held = Held { key, value, last: now, patience, queued: Nanos::MAX };
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.places.push(Place { nth: 0, held: None });
                (self.places.len() - 1) as u32
            }
        };
        let place = &mut self.places[at as usize];
        place.nth = place.nth.wrapping_add(1);
        place.held = Some(held);
        self.index.insert(key, at);
        let id = FlowId { at, nth: place.nth };
        self.queue(id);
        id
    }

    /// Puts a flow into the order of ends, unless it stands there early enough.
    fn queue(&mut self, id: FlowId) {
        let Some(held) = self.held(id) else { return };
        let due = held.due();
        if due < held.queued {
            held.queued = due;
            self.ends.push(Reverse((due, id)));
        }
    }

    /// One of both sides spoke.
    pub fn touch(&mut self, id: FlowId, now: Nanos) {
        if let Some(held) = self.held(id) {
            held.last = now;
        }
    }

    /// From now on both sides may be silent for so long.
    pub fn set_patience(&mut self, id: FlowId, patience: Nanos) {
        if let Some(held) = self.held(id) {
            held.patience = patience;
            self.queue(id);
        }
    }

    pub fn close(&mut self, id: FlowId) -> Option<T> {
        let place = self.places.get_mut(id.at as usize).filter(|place| place.nth == id.nth)?;
        let held = place.held.take()?;
        self.index.remove(&held.key);
        self.free.push(id.at);
        // Flows that end at once leave their times behind.
        if self.ends.len() > 2 * self.index.len() + 1024 {
            let places = &self.places;
            self.ends.retain(|Reverse((due, id))| {
                let place = places.get(id.at as usize).filter(|place| place.nth == id.nth);
                place.and_then(|place| place.held.as_ref()).is_some_and(|held| held.queued == *due)
            });
        }
        Some(held.value)
    }

    /// A flow whose time is over. It is the caller's to close it.
    pub fn expired(&mut self, now: Nanos) -> Option<FlowId> {
        while let Some(Reverse((due, id))) = self.ends.peek().copied() {
            if due > now {
                return None;
            }
            self.ends.pop();
            // Else it has ended, or stands elsewhere in the order too.
            let Some(held) = self.held(id).filter(|held| held.queued == due) else { continue };
            held.queued = Nanos::MAX;
            if held.due() <= now {
                return Some(id);
            }
            self.queue(id);
        }
        None
    }

    /// When to look for flows that are over again.
    pub fn next_due(&self) -> Option<Nanos> {
        self.ends.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        Key { listener: 1, client: SocketAddr::from(([127, 0, 0, 1], port)), asked: None }
    }

    #[test]
    fn flows_are_found_by_all_four_numbers() {
        let mut table = Table::default();
        let asked = |n| Some(Asked { ip: [127, 0, 0, n].into(), interface: 0 });
        let keys = [
            key(1),
            key(2),
            Key { listener: 2, ..key(1) },
            Key { asked: asked(1), ..key(1) },
            Key { asked: asked(2), ..key(1) },
        ];
        for (n, key) in keys.into_iter().enumerate() {
            assert_eq!(table.find(&key), None);
            table.open(key, 10, 0, n);
        }
        assert_eq!(table.len(), keys.len());
        for (n, key) in keys.into_iter().enumerate() {
            let id = table.find(&key).expect("there");
            assert_eq!(table.flow(id).copied(), Some(n));
            assert_eq!(table.close(id), Some(n));
            assert_eq!(table.find(&key), None);
            assert!(table.flow(id).is_none() && table.close(id).is_none());
        }
        assert!(table.is_empty());
    }

    #[test]
    fn who_speaks_lives_on() {
        let mut table = Table::default();
        let [a, b] = [key(1), key(2)].map(|key| table.open(key, 10, 0, ()));
        let forever = table.open(key(3), 0, 0, ());
        assert_eq!(table.next_due(), Some(10));
        table.touch(a, 5);
        assert_eq!(table.expired(9), None);
        assert_eq!(table.expired(10), Some(b));
        table.close(b);
        assert_eq!(table.expired(14), None);
        assert_eq!(table.next_due(), Some(15));
        table.touch(a, 14);
        assert_eq!(table.expired(23), None);
        assert_eq!(table.expired(24), Some(a));
        table.close(a);
        assert_eq!((table.expired(Nanos::MAX - 1), table.next_due()), (None, None));
        assert!(table.flow(forever).is_some());
    }

    #[test]
    fn patience_may_change() {
        let mut table = Table::default();
        let id = table.open(key(1), 100, 0, ());
        table.set_patience(id, 10);
        assert_eq!(table.next_due(), Some(10));
        table.set_patience(id, 50);
        assert_eq!(table.expired(10), None);
        assert_eq!(table.expired(49), None);
        assert_eq!(table.expired(50), Some(id));
        table.close(id);
        assert_eq!(table.expired(1000), None);
        // The place is used again: what is left in the order is of the flow before.
        let next = table.open(key(1), 5000, 1000, ());
        assert_ne!(next, id);
        assert_eq!(table.expired(2000), None);
    }

    #[test]
    fn ends_come_in_order_whatever_is_said() {
        let mut seed = 7_u64;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % n
        };
        let mut table = Table::default();
        let mut model: HashMap<FlowId, (Nanos, Nanos)> = HashMap::new();
        for now in 0..20_000 {
            match draw(4) {
                0 => {
                    let (key, patience) = (key(draw(500) as u16), draw(300));
                    if table.find(&key).is_none() {
                        model.insert(table.open(key, patience, now, ()), (now, patience));
                    }
                }
                1 => {
                    if let Some(id) = table.find(&key(draw(500) as u16)) {
                        table.touch(id, now);
                        model.get_mut(&id).expect("known").0 = now;
                    }
                }
                2 if draw(10) == 0 => {
                    if let Some(id) = table.find(&key(draw(500) as u16)) {
                        let patience = draw(300);
                        table.set_patience(id, patience);
                        model.get_mut(&id).expect("known").1 = patience;
                    }
                }
                _ => {}
            }
            while let Some(id) = table.expired(now) {
                let (last, patience) = model.remove(&id).expect("known");
                assert!(patience > 0 && last + patience <= now);
                table.close(id);
            }
            assert!(model.values().all(|(last, patience)| *patience == 0 || last + patience > now));
            assert_eq!(table.len(), model.len());
        }
    }
}
