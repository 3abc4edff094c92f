//! Tables whose counters and rates are those of all nodes of a cluster: each node counts its own part, and the sum of
//! what the others told lies beside it in the entry. Whoever tells and adds up is outside (see `peers::cluster`).

use std::hash::Hasher;
use std::sync::atomic::Ordering;

use super::data::{Data, Shape};
use super::entry::Entry;
use super::key::{Key, KeyKind};
use super::layout::{EXPIRE, REFS};
use super::table::Table;

/// One value that is summed over nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summed {
    pub data: Data,
    pub index: usize,
    /// Of a rate.
    pub period_ms: u32,
}

impl Summed {
    pub fn is_rate(&self) -> bool {
        self.data.shape() == Shape::Rate
    }
}

/// What became of the sums of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Done,
    /// There is no such entry.
    Absent,
    /// There is none, and no room for it: entries that are counted here do not go for those of others.
    Full,
}

impl Table {
    /// Its counters are those of all nodes.
    pub fn is_cluster(&self) -> bool {
        self.spec().cluster.is_some()
    }

    /// The values that are summed, in the order of the data types.
    pub fn summed(&self) -> Vec<Summed> {
        let stored = self.spec().store.iter().filter(|stored| stored.data.is_summed());
        let elements =
            stored.flat_map(|stored| (0..usize::from(stored.count)).map(move |index| (*stored, index)));
        elements
            .map(|(stored, index)| Summed { data: stored.data, index, period_ms: stored.period_ms })
            .collect()
    }

    /// A number that tables have in common whose parts can be added up: the same keys, values and periods. It is the
    /// same in every process.
    pub fn signature(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        let (kind, len) = match self.kind() {
            KeyKind::Ip => (0, 0),
            KeyKind::Ipv6 => (1, 0),
            KeyKind::Integer => (2, 0),
            KeyKind::Str(len) => (3, len),
            KeyKind::Binary(len) => (4, len),
        };
        hash.write_u32(kind);
        hash.write_u32(len as u32);
        for one in self.summed() {
            hash.write(one.data.name().as_bytes());
            hash.write_u32(one.index as u32);
            hash.write_u32(one.period_ms);
        }
        hash.finish()
    }

    /// Puts sums of others into the entry of a key: `f` does it. With `is_used` the key was used elsewhere just now: its
    /// entry is made where there is none, if there is room, and lives on from now. None of this is a change.
    pub fn put_others(
        &self,
        key: &Key,
        now_ms: u64,
        is_used: bool,
        f: impl FnOnce(&mut Entry<'_>),
    ) -> Placed {
        let (now, hash) = (self.tick(now_ms), self.hash(key.words()));
        let shard = self.shard_of(hash);
        let mut guard = self.lock(shard);
        let slot = match self.find(&mut guard, key, hash, now) {
            Some(slot) => slot,
            None if !is_used => return Placed::Absent,
            None => {
                if self.used.fetch_add(1, Ordering::Relaxed) >= self.size() {
                    self.used.fetch_sub(1, Ordering::Relaxed);
                    return Placed::Full;
                }
                let slot = guard.insert(key, hash, self.layout.words, |words| self.rehash(words));
                guard.record(slot, self.layout.words)[EXPIRE] = now.wrapping_add(self.expire_ms());
                slot
            }
        };
        f(&mut self.entry(&mut guard, shard, slot, now));
        if is_used {
            self.touch(&mut guard, slot, now);
        }
        Placed::Done
    }

    /// No other node has this key any more: an entry that was not used here goes, too.
    pub fn leave_others(&self, key: &Key, now_ms: u64) {
        let (now, hash) = (self.tick(now_ms), self.hash(key.words()));
        let shard = self.shard_of(hash);
        let mut guard = self.lock(shard);
        let Some(slot) = self.find(&mut guard, key, hash, now) else { return };
        let (words, shared) = (self.layout.words, self.layout.shared);
        let mut entry = self.entry(&mut guard, shard, slot, now);
        self.summed().iter().for_each(|one| entry.set_others(one.data, one.index, 0));
        // What was ever changed here has a version.
        if guard.version(slot, words, shared) == 0 && guard.record(slot, words)[REFS] == 0 {
            self.remove_slot(&mut guard, slot);
        }
    }
}

impl KeyKind {
    /// A key of the bytes that [`Key::sorted`] makes of it. `None`: it is none of this type.
    pub fn of_sorted(self, bytes: &[u8]) -> Option<Key> {
        match self {
            KeyKind::Ip => Some(Key::ip(<[u8; 4]>::try_from(bytes).ok()?.into())),
            KeyKind::Integer => Some(Key::integer(u32::from_be_bytes(bytes.try_into().ok()?))),
            KeyKind::Ipv6 => Some(Key::ipv6(<[u8; 16]>::try_from(bytes).ok()?.into())),
            KeyKind::Str(len) => (bytes.len() <= len).then(|| self.bytes(bytes)).flatten(),
            KeyKind::Binary(len) => (bytes.len() == len).then(|| self.bytes(bytes)).flatten(),
        }
    }
}

/// FNV-1a.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u32(&mut self, n: u32) {
        self.write(&n.to_be_bytes());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
