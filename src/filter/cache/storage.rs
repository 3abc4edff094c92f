//! `Cache`: the entries of one `cache` section, in shards that a worker locks for a moment each.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::fast::FixedState;

use super::entry::{Entry, Share, Used};
use super::vary::{Asked, Secondary};
use crate::base::Nanos;

const SHARDS: usize = 16;
/// Most entries that make room for one piece of another one.
const MOST_EVICTED: usize = 256;

/// A `cache` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub name: Arc<str>,
    /// In bytes.
    pub total: u64,
    pub max_object: u64,
    pub max_age_s: u64,
    pub process_vary: bool,
    pub max_secondary: usize,
}

/// The caches of a configuration by name.
pub type Caches = HashMap<Arc<str>, Arc<Cache>>;

#[derive(Default)]
struct Shard {
    /// By hash of their keys.
    entries: HashMap<u64, Vec<Arc<Entry>>, FixedState>,
    count: usize,
    /// When they were used last when they were put here. Who was used since gets another place when its turn comes.
    order: VecDeque<(u64, Weak<Entry>)>,
    /// What is being stored.
    coming: Vec<(u64, Secondary)>,
}

impl Shard {
    /// Takes entries out; tells whether there were any.
    fn remove(&mut self, hash: u64, is_gone: impl Fn(&Entry) -> bool) -> bool {
        let Some(list) = self.entries.get_mut(&hash) else { return false };
        let before = list.len();
        list.retain(|entry| !is_gone(entry));
        let removed = before - list.len();
        if list.is_empty() {
            self.entries.remove(&hash);
        }
        self.count -= removed;
        removed > 0
    }

    fn add(&mut self, entry: Arc<Entry>) {
        self.order.push_back((entry.used_at.load(Ordering::Relaxed), Arc::downgrade(&entry)));
        if self.order.len() > 2 * self.count + 64 {
            self.order.retain(|(_, entry)| entry.strong_count() > 0);
        }
        self.entries.entry(entry.hash).or_default().push(entry);
        self.count += 1;
    }

    /// When the entry that was not used for longest was used. It is the first one in the order then.
    fn oldest(&mut self) -> Option<u64> {
        while let Some((place, weak)) = self.order.pop_front() {
            let Some(entry) = weak.upgrade() else { continue };
            let used_at = entry.used_at.load(Ordering::Relaxed);
            if used_at <= place {
                self.order.push_front((place, weak));
                return Some(place);
            }
            let at = self.order.partition_point(|(other, _)| *other < used_at);
            self.order.insert(at, (used_at, weak));
        }
        None
    }

    /// Takes out the entry that was not used for longest. False: there is none.
    fn evict(&mut self) -> bool {
        while self.oldest().is_some() {
            let first = self.order.pop_front().and_then(|(_, entry)| entry.upgrade());
            // Who sends one may hold it when it is stored no more.
            if first.is_some_and(|entry| self.remove(entry.hash, |other| std::ptr::eq(other, &*entry))) {
                return true;
            }
        }
        false
    }
}

/// The entries of a `cache` section.
pub struct Cache {
    pub settings: Settings,
    used: Used,
    /// Counts uses: what was used last has the highest number.
    uses: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cache").field(&self.settings).finish()
    }
}

impl Cache {
    pub fn new(settings: Settings) -> Cache {
        Cache {
            settings,
            used: Used::default(),
            uses: AtomicU64::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.shards[(hash >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that entries take, those included that are being sent and stored no more.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The entry for a request that asks for this key.
    pub fn find(&self, hash: u64, key: &[u8], asked: Asked, now: Nanos) -> Option<Arc<Entry>> {
        let mut shard = self.shard(hash);
        let fits = |e: &Entry| *e.key == *key && e.secondary.fits(asked);
        let list = shard.entries.get(&hash)?;
        let found = list.iter().find(|e| fits(e) && e.is_fresh(now)).cloned();
        if let Some(entry) = &found {
            entry.used_at.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        } else {
            shard.remove(hash, |e| !e.is_fresh(now));
        }
        found
    }

    /// Nothing that is stored for this key is good any more.
    pub fn invalidate(&self, hash: u64, key: &[u8]) {
        self.shard(hash).remove(hash, |e| *e.key == *key);
    }

    /// Something is to be stored. False: it is being stored already, or there is too much beside it.
    pub(super) fn announce(&self, (hash, key): (u64, &[u8]), secondary: Secondary, now: Nanos) -> bool {
        let mut shard = self.shard(hash);
        if shard.coming.contains(&(hash, secondary)) {
            return false;
        }
        shard.remove(hash, |e| !e.is_fresh(now));
        if secondary.varies.any() {
            let list = shard.entries.get(&hash).map_or(&[][..], |list| &list[..]);
            let beside = list.iter().filter(|e| *e.key == *key && e.secondary != secondary).count();
            if beside >= self.settings.max_secondary {
                return false;
            }
        }
        shard.coming.push((hash, secondary));
        true
    }

    /// What was announced does not come any more, or has come.
    pub(super) fn withdraw(&self, hash: u64, secondary: Secondary) {
        self.shard(hash).coming.retain(|coming| *coming != (hash, secondary));
    }

    /// Memory for so many bytes in all. False: there is none, as far as it was looked for.
    pub(super) fn make_room(&self, share: &mut Share, bytes: u64) -> bool {
        let lacks = share.lacks(bytes);
        for _ in 0..MOST_EVICTED {
            if share.grow(lacks, self.settings.total) {
                return true;
            }
            if !self.evict() {
                return false;
            }
        }
        false
    }

    /// Takes out one entry: the oldest of the shard whose oldest is oldest.
    fn evict(&self) -> bool {
        let oldest = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).oldest();
        let ages = self.shards.iter().filter_map(|shard| Some((oldest(shard)?, shard)));
        let mut by_age: Vec<_> = ages.collect();
        by_age.sort_by_key(|(place, _)| *place);
        by_age.into_iter().any(|(_, shard)| shard.lock().unwrap_or_else(PoisonError::into_inner).evict())
    }

    pub(super) fn share(&self) -> Share {
        Share::of(&self.used)
    }

    /// Stores an entry in the place of another one for the same requests.
    pub(super) fn store(&self, entry: Entry) {
        entry.used_at.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut shard = self.shard(entry.hash);
        shard.remove(entry.hash, |e| e.key == entry.key && e.secondary == entry.secondary);
        shard.add(Arc::new(entry));
    }

    /// All entries, by hash.
    pub fn list(&self) -> Vec<Arc<Entry>> {
        let mut list = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            list.extend(shard.entries.values().flatten().cloned());
        }
        list.sort_by_key(|entry| entry.hash);
        list
    }
}
