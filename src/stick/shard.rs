//! A part of a table: its entries by key and by age. The records lie in a mapping of their own: to make room copies none
//! of them, and to give it back takes as long as there are pages in it.

use smallvec::SmallVec;

use crate::os::pages::Words;

use super::key::Key;
use super::layout::{CHAIN, EXPIRE, HEADER, NEWER, OLDER, REFS};

/// No entry.
const NIL: u32 = u32::MAX;
/// Buckets of a shard that has few entries.
const FEW_BUCKETS: usize = 8;

#[derive(Debug)]
pub struct Shard {
    /// First entry of each bucket.
    buckets: Vec<u32>,
    records: Words,
    /// Records made so far, and the first of those that are free again.
    made: u32,
    free: u32,
    count: u32,
    /// Ends of the list of entries that nobody tracks, in the order in which they expire.
    oldest: u32,
    newest: u32,
    /// Ends of the list of entries that were changed here, in the order of their versions; 0: none, else one more than the
    /// slot. The places in the entries are such, too.
    changed_first: u32,
    changed_last: u32,
    /// The highest version that was given to a change here, and that when somebody last looked for changes.
    latest: u64,
    looked: u64,
}

impl Default for Shard {
    fn default() -> Self {
        Shard {
            buckets: Vec::new(),
            records: Words::default(),
            made: 0,
            free: NIL,
            count: 0,
            oldest: NIL,
            newest: NIL,
            changed_first: 0,
            changed_last: 0,
            latest: 0,
            looked: 0,
        }
    }
}

/// `at` has come.
pub fn is_due(at: u32, now: u32) -> bool {
    now.wrapping_sub(at) <= i32::MAX as u32
}

impl Shard {
    pub fn record(&mut self, slot: u32, words: usize) -> &mut [u32] {
        let at = slot as usize * words;
        &mut self.records[at..at + words]
    }

    fn word(&self, slot: u32, words: usize, word: usize) -> u32 {
        self.records[slot as usize * words + word]
    }

    fn set(&mut self, slot: u32, words: usize, word: usize, value: u32) {
        self.records[slot as usize * words + word] = value;
    }

    fn key(&self, slot: u32, words: usize, len: usize) -> &[u32] {
        let at = slot as usize * words + HEADER;
        &self.records[at..at + len]
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// The entry of a key.
    pub fn find(&self, key: &Key, hash: u64, words: usize) -> Option<u32> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut slot = self.buckets[self.bucket(hash)];
        while slot != NIL {
            // The first word of a string is its length: keys of other lengths differ there.
            if self.key(slot, words, key.words().len()) == key.words() {
                return Some(slot);
            }
            slot = self.word(slot, words, CHAIN);
        }
        None
    }

    /// A new entry, which is the newest. `rehash` tells the hash of a record's key words.
    pub fn insert(&mut self, key: &Key, hash: u64, words: usize, rehash: impl Fn(&[u32]) -> u64) -> u32 {
        if self.count as usize >= self.buckets.len() {
            self.grow(words, rehash);
        }
        let slot = if self.free == NIL {
            let needed = (self.made as usize + 1) * words;
            if needed > self.records.len() {
                self.records.grow(needed.max(self.records.len() * 2));
            }
            self.made += 1;
            self.made - 1
        } else {
            let slot = self.free;
            self.free = self.word(slot, words, CHAIN);
            slot
        };
        let bucket = self.bucket(hash);
        let first = std::mem::replace(&mut self.buckets[bucket], slot);
        let record = self.record(slot, words);
        record.fill(0);
        record[CHAIN] = first;
        record[HEADER..HEADER + key.words().len()].copy_from_slice(key.words());
        self.count += 1;
        self.link(slot, words);
        slot
    }

    fn grow(&mut self, words: usize, rehash: impl Fn(&[u32]) -> u64) {
        let old = std::mem::take(&mut self.buckets);
        self.buckets = vec![NIL; (old.len() * 2).max(FEW_BUCKETS)];
        for mut slot in old {
            while slot != NIL {
                let next = self.word(slot, words, CHAIN);
                let hash = rehash(&self.record(slot, words)[HEADER..]);
                let bucket = self.bucket(hash);
                let first = std::mem::replace(&mut self.buckets[bucket], slot);
                self.set(slot, words, CHAIN, first);
                slot = next;
            }
        }
    }

    /// Takes an entry out, which nobody tracks.
    pub fn remove(&mut self, slot: u32, words: usize, rehash: impl Fn(&[u32]) -> u64) {
        self.unlink(slot, words);
        let hash = rehash(&self.record(slot, words)[HEADER..]);
        let bucket = self.bucket(hash);
        let next = self.word(slot, words, CHAIN);
        if self.buckets[bucket] == slot {
            self.buckets[bucket] = next;
        } else {
            let mut before = self.buckets[bucket];
            while before != NIL {
                let after = self.word(before, words, CHAIN);
                if after == slot {
                    self.set(before, words, CHAIN, next);
                    break;
                }
                before = after;
            }
        }
        self.count -= 1;
        self.set(slot, words, CHAIN, self.free);
        self.free = slot;
        if self.count == 0 {
            *self = Shard { latest: self.latest, looked: self.looked, ..Shard::default() };
        }
    }

    /// Puts an entry at the new end of the list.
    pub fn link(&mut self, slot: u32, words: usize) {
        let before = std::mem::replace(&mut self.newest, slot);
        self.set(slot, words, OLDER, before);
        self.set(slot, words, NEWER, NIL);
        match before {
            NIL => self.oldest = slot,
            _ => self.set(before, words, NEWER, slot),
        }
    }

    /// Puts an entry into the list where its time is in order. Who would be far from the new end stands nearer to it: that
    /// costs an early place at the most.
    pub fn link_in_order(&mut self, slot: u32, words: usize) {
        const FAR: usize = 2;
        let at = self.word(slot, words, EXPIRE);
        let (mut newer, mut older) = (NIL, self.newest);
        for _ in 0..FAR {
            if older == NIL || is_due(self.word(older, words, EXPIRE), at) {
                break;
            }
            (newer, older) = (older, self.word(older, words, OLDER));
        }
        self.set(slot, words, OLDER, older);
        self.set(slot, words, NEWER, newer);
        match older {
            NIL => self.oldest = slot,
            _ => self.set(older, words, NEWER, slot),
        }
        match newer {
            NIL => self.newest = slot,
            _ => self.set(newer, words, OLDER, slot),
        }
    }

    /// Takes it out of the list.
    pub fn unlink(&mut self, slot: u32, words: usize) {
        let (older, newer) = (self.word(slot, words, OLDER), self.word(slot, words, NEWER));
        match older {
            NIL => self.oldest = newer,
            _ => self.set(older, words, NEWER, newer),
        }
        match newer {
            NIL => self.newest = older,
            _ => self.set(newer, words, OLDER, older),
        }
    }

    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    pub fn is_newest(&self, slot: u32) -> bool {
        self.newest == slot
    }

    /// The oldest entry, if its time is over.
    pub fn due(&self, now: u32, words: usize) -> Option<u32> {
        self.oldest().filter(|slot| is_due(self.word(*slot, words, EXPIRE), now))
    }

    /// The entries of a bucket.
    pub fn in_bucket(&self, bucket: usize, words: usize) -> SmallVec<[u32; 8]> {
        let mut slots = SmallVec::new();
        let mut slot = self.buckets[bucket];
        while slot != NIL {
            slots.push(slot);
            slot = self.word(slot, words, CHAIN);
        }
        slots
    }

    pub fn buckets(&self) -> usize {
        self.buckets.len()
    }

    pub fn refs(&self, slot: u32, words: usize) -> u32 {
        self.word(slot, words, REFS)
    }

    /// The highest version that was given to a change here.
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// The entry was changed here: it is the last of the changes, by this version.
    pub fn change(&mut self, slot: u32, words: usize, shared: usize, version: u64) {
        self.latest = version;
        self.set(slot, words, shared, (version >> 32) as u32);
        self.set(slot, words, shared + 1, version as u32);
        if self.changed_last == slot + 1 {
            return;
        }
        self.forget_change(slot, words, shared);
        let before = std::mem::replace(&mut self.changed_last, slot + 1);
        self.set(slot, words, shared + 2, before);
        self.set(slot, words, shared + 3, 0);
        match before {
            0 => self.changed_first = slot + 1,
            _ => self.set(before - 1, words, shared + 3, slot + 1),
        }
    }

    /// Somebody looks for changes.
    pub fn look(&mut self) {
        self.looked = self.latest;
    }

    /// The entry was changed since somebody looked: whoever looks next finds it as it is then.
    pub fn awaits_look(&self, slot: u32, words: usize, shared: usize) -> bool {
        self.is_changed(slot, words, shared) && self.version(slot, words, shared) > self.looked
    }

    /// Takes an entry out of the list of changes, if it is in it.
    pub fn forget_change(&mut self, slot: u32, words: usize, shared: usize) {
        if !self.is_changed(slot, words, shared) {
            return;
        }
        let (before, after) = (self.word(slot, words, shared + 2), self.word(slot, words, shared + 3));
        match before {
            0 => self.changed_first = after,
            _ => self.set(before - 1, words, shared + 3, after),
        }
        match after {
            0 => self.changed_last = before,
            _ => self.set(after - 1, words, shared + 2, before),
        }
        self.set(slot, words, shared + 2, 0);
        self.set(slot, words, shared + 3, 0);
    }

    fn is_changed(&self, slot: u32, words: usize, shared: usize) -> bool {
        self.changed_first == slot + 1 || self.word(slot, words, shared + 2) != 0
    }

    pub fn version(&self, slot: u32, words: usize, shared: usize) -> u64 {
        u64::from(self.word(slot, words, shared)) << 32 | u64::from(self.word(slot, words, shared + 1))
    }

    /// The first change after a version. `hint`: the slot that may have it.
    pub fn change_after(&self, seen: u64, hint: u32, words: usize, shared: usize) -> Option<u32> {
        if self.latest <= seen {
            return None;
        }
        let is_it = hint < self.made
            && self.is_changed(hint, words, shared)
            && self.version(hint, words, shared) == seen;
        if is_it {
            return self.word(hint, words, shared + 3).checked_sub(1);
        }
        let mut found = None;
        let mut at = self.changed_last;
        while let Some(slot) = at.checked_sub(1) {
            if self.version(slot, words, shared) <= seen {
                break;
            }
            found = Some(slot);
            at = self.word(slot, words, shared + 2);
        }
        found
    }

    /// The change after this one.
    pub fn next_change(&self, slot: u32, words: usize, shared: usize) -> Option<u32> {
        self.word(slot, words, shared + 3).checked_sub(1)
    }

    /// Bytes that it takes. Room that no record was ever made in is none yet.
    pub fn bytes(&self, words: usize) -> usize {
        (self.made as usize * words + self.buckets.capacity()) * size_of::<u32>()
    }
}
