//! Responses that are remembered, bounded in number and size (RFC 2308, RFC 8767).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::response::Shape;

/// Parts, each behind a lock of its own.
const SHARDS: usize = 64;
/// How long an answer is kept after its time, for when nobody upstream answers, and what TTL it has then.
const STALE_S: u32 = 86_400;
pub const STALE_TTL_S: u32 = 30;
/// An answer holds no longer, positive or negative (RFC 8767, 4; RFC 2308, 5).
const MOST_S: u32 = 86_400;
const MOST_NEGATIVE_S: u32 = 3600;
/// What an entry costs beside its octets.
const OVERHEAD: usize = 200;

/// Name in lower case, type, class and what was asked for with it.
pub type Key = Box<[u8]>;

/// A response without its OPT record.
#[derive(Debug)]
pub struct Entry {
    pub octets: Box<[u8]>,
    /// Where its TTLs stand.
    pub ttls: SmallVec<[u16; 4]>,
    pub rcode: u8,
    stored_s: u32,
    ttl_s: u32,
}

/// What an entry is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// So many seconds old.
    Fresh(u32),
    /// So many seconds old, and soon to be asked for again.
    Ending(u32),
    /// Only good for when nobody answers.
    Stale,
}

impl Entry {
    pub fn new(response: &[u8], shape: &Shape, now_s: u32) -> Entry {
        let mut octets: Box<[u8]> = response[..shape.len].into();
        octets[10..12].copy_from_slice(&shape.additional.to_be_bytes());
        let is_negative = shape.rcode != 0 || octets[6..8] == [0, 0];
        let most = if is_negative { MOST_NEGATIVE_S } else { MOST_S };
        let ttl_s = shape.ttl_s.unwrap_or(0).min(most);
        Entry { octets, ttls: SmallVec::from_slice(&shape.ttls), rcode: shape.rcode, stored_s: now_s, ttl_s }
    }

    pub fn freshness(&self, now_s: u32) -> Freshness {
        let age = now_s.saturating_sub(self.stored_s);
        if age >= self.ttl_s {
            Freshness::Stale
        } else if self.ttl_s >= 10 && age >= self.ttl_s / 10 * 9 {
            Freshness::Ending(age)
        } else {
            Freshness::Fresh(age)
        }
    }

    /// Writes it with TTLs as they are now, as far as there is room; the length, or `None`.
    pub fn write(&self, now_s: u32, out: &mut [u8]) -> Option<usize> {
        let to = out.get_mut(..self.octets.len())?;
        to.copy_from_slice(&self.octets);
        for at in &self.ttls {
            let at = usize::from(*at);
            let ttl = to.get_mut(at..at + 4)?;
            let left = match self.freshness(now_s) {
                Freshness::Fresh(age) | Freshness::Ending(age) => {
                    let whole = u32::from_be_bytes([ttl[0], ttl[1], ttl[2], ttl[3]]);
                    whole.min(MOST_S).saturating_sub(age)
                }
                Freshness::Stale => STALE_TTL_S,
            };
            ttl.copy_from_slice(&left.to_be_bytes());
        }
        Some(self.octets.len())
    }
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Arc<Entry>, RandomState>,
    /// The oldest first; a key may stand here that is no more.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Shard {
    fn live(&self, key: &[u8], now_s: u32) -> Option<&Arc<Entry>> {
        let entry = self.entries.get(key)?;
        let until = u64::from(entry.stored_s) + u64::from(entry.ttl_s) + u64::from(STALE_S);
        (u64::from(now_s) < until).then_some(entry)
    }
}

pub struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Of a shard.
    most: usize,
}

impl Cache {
    /// `bytes`: of all that it keeps.
    pub fn new(bytes: usize) -> Cache {
        Cache { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), most: bytes / SHARDS }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        self.shards[xxh3_64(key) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered, also when its time is over but not long ago.
    pub fn get(&self, key: &[u8], now_s: u32) -> Option<Arc<Entry>> {
        self.shard(key).live(key, now_s).cloned()
    }

    /// What `f` makes of the same, which is held meanwhile.
    pub fn with<T>(&self, key: &[u8], now_s: u32, f: impl FnOnce(&Entry) -> T) -> Option<T> {
        self.shard(key).live(key, now_s).map(|entry| f(entry))
    }

    pub fn put(&self, key: Key, entry: Arc<Entry>) {
        let cost =
            |key: &[u8], entry: &Entry| 2 * key.len() + entry.octets.len() + entry.ttls.len() * 2 + OVERHEAD;
        let mut shard = self.shard(&key);
        let shard = &mut *shard;
        let new = cost(&key, &entry);
        match shard.entries.insert(key.clone(), entry) {
            Some(old) => shard.bytes -= cost(&key, &old),
            None => shard.order.push_back(key.clone()),
        }
        shard.bytes += new;
        while shard.bytes > self.most {
            let Some(oldest) = shard.order.pop_front() else { break };
            if let Some(entry) = shard.entries.remove(&oldest) {
                shard.bytes -= cost(&oldest, &entry);
            }
        }
    }

    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).entries.len();
        self.shards.iter().map(count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::response::examine;
    use super::super::response::tests::{QUESTION, positive};
    use super::*;

    fn entry(ttl: u32, now_s: u32) -> Arc<Entry> {
        let response = positive(7, ttl);
        let shape = examine(&response, 7, QUESTION).expect("an answer");
        Arc::new(Entry::new(&response, &shape, now_s))
    }

    fn ttl_of(entry: &Entry, now_s: u32) -> u32 {
        let mut out = [0; 512];
        let size = entry.write(now_s, &mut out).expect("room");
        assert_eq!(out[10..12], [0, 0], "no OPT");
        u32::from_be_bytes(out[size - 10..size - 6].try_into().expect("four octets"))
    }

    #[test]
    fn an_entry_ages() {
        let entry = entry(100, 1000);
        assert_eq!((entry.freshness(1000), ttl_of(&entry, 1000)), (Freshness::Fresh(0), 100));
        assert_eq!((entry.freshness(1089), ttl_of(&entry, 1089)), (Freshness::Fresh(89), 11));
        assert_eq!(entry.freshness(1090), Freshness::Ending(90));
        assert_eq!((entry.freshness(1100), ttl_of(&entry, 1100)), (Freshness::Stale, STALE_TTL_S));
        assert!(entry.write(1000, &mut [0; 20]).is_none());
    }

    #[test]
    fn what_is_old_goes_and_the_size_is_bounded() {
        let cache = Cache::new(64 * 4000);
        let key = |n: u32| -> Key { n.to_be_bytes().into() };
        cache.put(key(1), entry(100, 1000));
        assert!(cache.get(&key(1), 1000 + 100 + 86_399).is_some(), "stale, but there");
        assert!(cache.get(&key(1), 1000 + 100 + 86_400).is_none() && cache.get(&key(2), 1000).is_none());
        for n in 0..10_000 {
            cache.put(key(n), entry(100, 1000));
            cache.put(key(n), entry(100, 1001));
        }
        assert!(cache.len() > 200 && cache.len() < 1100, "{}", cache.len());
        let held = (9000..10_000).filter(|n| cache.get(&key(*n), 1002).is_some()).count();
        assert!(held > 500, "the newest stay: {held}");
    }
}
