//! The keys of a base by their hash.

use std::collections::{BTreeSet, HashMap};
use std::hint::black_box;

use crate::http::token;
use crate::os::pages::prefer_large;

use super::base::Base;
use super::cells::Cells;
use super::hash::hash;
use super::record::Record;

/// Entries whose memory is asked for together: the processor waits for all of them at once.
const TOGETHER: usize = 64;

/// Keys by their hash, which knows no case.
#[derive(Debug)]
pub struct Index {
    /// Half a hash and the entry's number from 1; 0 is a free slot.
    slots: Vec<u64>,
    /// Further entries with the key of this one, case apart.
    twins: HashMap<u32, Vec<u32>>,
    /// Where texts are looked up.
    cells: Option<Cells>,
    /// The different lengths of keys, the longest first.
    lengths: Vec<u32>,
}

impl Index {
    /// Of all entries. Where it `serves_texts`, lookups wait for memory as little as they can.
    pub fn of(base: &Base, serves_texts: bool) -> Index {
        let slots = vec![0; base.len() + base.len() / 4 + 1];
        prefer_large(&slots);
        let mut index = Index { slots, twins: HashMap::new(), cells: None, lengths: Vec::new() };
        let mut lengths = BTreeSet::new();
        let (mut last, mut hashes) = (usize::MAX, [0; TOGETHER]);
        for from in (0..base.len()).step_by(TOGETHER) {
            let some = from..base.len().min(from + TOGETHER);
            for (hashed, at) in hashes.iter_mut().zip(some.clone()) {
                let key = base.key(at);
                *hashed = hash(key);
                if key.len() != last {
                    last = key.len();
                    lengths.insert(last as u32);
                }
            }
            let homes = hashes[..some.len()].iter().map(|hash| index.slots[index.home(*hash)]);
            black_box(homes.fold(0, |all, slot| all ^ slot));
            some.zip(hashes).for_each(|(at, hash)| index.put(base, hash, at));
        }
        index.lengths = lengths.into_iter().rev().collect();
        index.cells = serves_texts.then(|| index.cells_of(base));
        index
    }

    /// Copies of the entries in the order of their slots.
    fn cells_of(&self, base: &Base) -> Cells {
        let mut cells = Cells::new(self.slots.len(), base.has_values());
        for slots in self.slots.chunks(TOGETHER) {
            let taken = || slots.iter().filter(|slot| **slot != 0).map(|slot| entry(*slot));
            black_box(taken().fold(0, |all, at| all ^ base.key(at).len()));
            black_box(taken().fold(0, |all, at| all ^ base.key(at).first().copied().unwrap_or_default()));
            for slot in slots {
                let taken = (*slot != 0).then(|| (*slot >> 32, base.record(entry(*slot))));
                cells.push(taken);
            }
        }
        cells
    }

    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    /// Entries in slots from the hash's own on, up to a free one.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> {
        let home = self.home(hash);
        let (before, from) = self.slots.split_at(home);
        let taken = from.iter().chain(before).take_while(|slot| **slot != 0);
        taken.filter(move |slot| **slot >> 32 == hash & 0xffff_ffff).map(|slot| entry(*slot))
    }

    /// Puts an entry into a slot, or beside the first of its key.
    fn put(&mut self, base: &Base, hash: u64, at: usize) {
        let mut slot = self.home(hash);
        while self.slots[slot] != 0 {
            let (found, other) = (self.slots[slot], entry(self.slots[slot]));
            if found >> 32 == hash & 0xffff_ffff && token::same(base.key(other), base.key(at)) {
                self.twins.entry(other as u32).or_default().push(at as u32);
                return;
            }
            slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 };
        }
        self.slots[slot] = hash << 32 | (at as u64 + 1);
    }

    /// Entries with a key, case apart, in order.
    pub fn find<'b>(&'b self, base: &'b Base, text: &[u8]) -> impl Iterator<Item = Record<'b>> + use<'b> {
        let hash = hash(text);
        let is_it = |record: &Record<'_>| token::same(record.key, text);
        let first = match &self.cells {
            Some(cells) => {
                let found = cells.probe(self.home(hash), hash);
                found.map(|found| found.unwrap_or_else(|at| base.record(at))).find(is_it)
            }
            None => self.probe(hash).map(|at| base.record(at)).find(is_it),
        };
        let twins = first.and_then(|first| self.twins.get(&(first.at as u32)));
        first.into_iter().chain(twins.into_iter().flatten().map(|at| base.record(*at as usize)))
    }

    /// Lengths of keys that are not longer than this, the longest first.
    pub fn lengths(&self, most: usize) -> impl Iterator<Item = usize> {
        let fitting = self.lengths.partition_point(|len| *len as usize > most);
        self.lengths[fitting..].iter().map(|len| *len as usize)
    }

    #[cfg(test)]
    pub fn has_cells(&self) -> bool {
        self.cells.is_some()
    }
}

/// The entry in a slot that is not free.
fn entry(slot: u64) -> usize {
    (slot as u32 as usize).saturating_sub(1)
}
