//! A table: shards that are locked one at a time, and for no longer than it takes to look at one entry or a few.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use foldhash::fast::RandomState;

use crate::base::shard::Padded;
use crate::base::sync::{Mutex, MutexGuard, PoisonError};

use super::changes::Sharing;
use super::data::Data;
use super::entry::Entry;
use super::key::{Key, KeyKind};
use super::layout::{EXPIRE, Layout, REFS};
use super::names::Names;
use super::shard::Shard;
use super::spec::{ServerKey, Spec};

/// Entries that a shard has when the table is full, on average.
const PER_SHARD: u32 = 4096;
const MOST_SHARDS: usize = 16_384;
/// Entries that are looked at or removed while a shard is locked.
const AT_ONCE: usize = 32;

/// A stick table.
#[derive(Debug)]
pub struct Table {
    pub name: Arc<str>,
    pub(super) layout: Layout,
    pub(super) names: Names,
    spec: Spec,
    size: AtomicU32,
    expire_ms: AtomicU32,
    nopurge: AtomicBool,
    by_address: AtomicBool,
    hasher: RandomState,
    shards: Box<[Padded<Mutex<Shard>>]>,
    pub(super) used: AtomicU32,
    /// The time when it was asked last.
    latest: AtomicU32,
    /// The shard that expiry looks at next.
    turn: AtomicUsize,
    /// How peers learn of changes.
    pub(super) sharing: Sharing,
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Done,
    Absent,
    /// Somebody tracks it.
    InUse,
}

impl Table {
    pub fn new(name: &str, spec: Spec) -> Table {
        let shards = (spec.size / PER_SHARD).max(1) as usize;
        let shards = shards.next_power_of_two().min(MOST_SHARDS);
        Table {
            name: name.into(),
            layout: Layout::new(
                spec.kind,
                &spec.store,
                spec.peers.is_some() || spec.cluster.is_some(),
                spec.cluster.is_some(),
            ),
            names: Names::default(),
            size: AtomicU32::new(spec.size),
            expire_ms: AtomicU32::new(spec.expire_ms),
            nopurge: AtomicBool::new(spec.nopurge),
            by_address: AtomicBool::new(spec.server_key == ServerKey::Address),
            spec,
            hasher: RandomState::default(),
            shards: (0..shards).map(|_| Padded::default()).collect(),
            used: AtomicU32::new(0),
            latest: AtomicU32::new(0),
            turn: AtomicUsize::new(0),
            sharing: Sharing::default(),
        }
    }

    /// Takes what another declaration of it says that its entries do not depend on.
    pub fn adopt(&self, spec: &Spec) {
        self.size.store(spec.size, Ordering::Relaxed);
        self.expire_ms.store(spec.expire_ms, Ordering::Relaxed);
        self.nopurge.store(spec.nopurge, Ordering::Relaxed);
        self.by_address.store(spec.server_key == ServerKey::Address, Ordering::Relaxed);
    }

    pub fn kind(&self) -> KeyKind {
        self.layout.kind
    }

    /// What it was made of; size and expiry may be others by now.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    pub fn expire_ms(&self) -> u32 {
        self.expire_ms.load(Ordering::Relaxed)
    }

    /// Entries, those that have expired and were not removed yet included.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Servers are known by address (`srvkey addr`), not by name.
    pub fn is_by_address(&self) -> bool {
        self.by_address.load(Ordering::Relaxed)
    }

    /// The period of a rate in milliseconds.
    pub fn period(&self, data: Data) -> u32 {
        self.layout.places[data as usize].period
    }

    pub fn stores(&self, data: Data) -> bool {
        self.layout.find(data, 0).is_some()
    }

    pub(super) fn hash(&self, words: &[u32]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        words.iter().for_each(|word| hasher.write_u32(*word));
        hasher.finish()
    }

    /// The hash of the key that begins a record's words.
    pub(super) fn rehash(&self, words: &[u32]) -> u64 {
        let kind = self.layout.kind;
        let len = match kind {
            KeyKind::Str(_) => 1 + (words[0] as usize).div_ceil(4),
            _ => kind.words(),
        };
        self.hash(&words[..len])
    }

    pub(super) fn shard_of(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.shards.len() - 1)
    }

    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tick(&self, now_ms: u64) -> u32 {
        let now = now_ms as u32;
        if self.latest.load(Ordering::Relaxed) != now {
            self.latest.store(now, Ordering::Relaxed);
        }
        now
    }

    pub(super) fn entry<'e>(&'e self, guard: &'e mut Shard, shard: usize, slot: u32, now: u32) -> Entry<'e> {
        let number = (shard as u64) << 32 | u64::from(slot);
        Entry { table: self, record: guard.record(slot, self.layout.words), now, number, is_changed: false }
    }

    /// Looks at an entry; peers are told of it if it was changed, or anyway with `is_used`.
    fn visit<R>(
        &self,
        guard: &mut Shard,
        at: (usize, u32, u32),
        is_used: bool,
        f: impl FnOnce(&mut Entry<'_>) -> R,
    ) -> R {
        let (shard, slot, now) = at;
        let mut entry = self.entry(guard, shard, slot, now);
        let made = f(&mut entry);
        if (entry.is_changed || is_used) && self.layout.shared > 0 {
            self.note_change(guard, slot, now);
        }
        made
    }

    pub(super) fn remove_slot(&self, guard: &mut Shard, slot: u32) {
        if self.layout.shared > 0 {
            guard.forget_change(slot, self.layout.words, self.layout.shared);
        }
        guard.remove(slot, self.layout.words, |words| self.rehash(words));
        self.used.fetch_sub(1, Ordering::Relaxed);
    }

    /// The slot of a key whose time is not over.
    pub(super) fn find(&self, guard: &mut Shard, key: &Key, hash: u64, now: u32) -> Option<u32> {
        let words = self.layout.words;
        let slot = guard.find(key, hash, words)?;
        if self.is_over(guard, slot, now) {
            self.remove_slot(guard, slot);
            return None;
        }
        Some(slot)
    }

    /// Its time is over, and nobody tracks it.
    pub(super) fn is_over(&self, guard: &mut Shard, slot: u32, now: u32) -> bool {
        let words = self.layout.words;
        self.expire_ms() > 0
            && guard.refs(slot, words) == 0
            && super::shard::is_due(guard.record(slot, words)[EXPIRE], now)
    }

    /// The entry was used: it lives on from now.
    pub(super) fn touch(&self, guard: &mut Shard, slot: u32, now: u32) {
        let (words, expire) = (self.layout.words, self.expire_ms());
        if expire == 0 {
            return;
        }
        let record = guard.record(slot, words);
        record[EXPIRE] = now.wrapping_add(expire);
        if record[REFS] == 0 && !guard.is_newest(slot) {
            guard.unlink(slot, words);
            guard.link(slot, words);
        }
    }

    /// Looks at the entry of a key, which lives on no longer for that. `None`: there is none.
    pub fn look<R>(&self, key: &Key, now_ms: u64, f: impl FnOnce(&mut Entry<'_>) -> R) -> Option<R> {
        let (now, hash) = (self.tick(now_ms), self.hash(key.words()));
        let shard = self.shard_of(hash);
        let mut guard = self.lock(shard);
        let slot = self.find(&mut guard, key, hash, now)?;
        Some(self.visit(&mut guard, (shard, slot, now), false, f))
    }

    /// Uses the entry of a key. `None`: there is none.
    pub fn touched<R>(&self, key: &Key, now_ms: u64, f: impl FnOnce(&mut Entry<'_>) -> R) -> Option<R> {
        let (now, hash) = (self.tick(now_ms), self.hash(key.words()));
        let shard = self.shard_of(hash);
        let mut guard = self.lock(shard);
        let slot = self.find(&mut guard, key, hash, now)?;
        self.touch(&mut guard, slot, now);
        Some(self.visit(&mut guard, (shard, slot, now), true, f))
    }

    /// Uses the entry of a key, which is made where there is none. `None`: the table is full.
    pub fn update<R>(&self, key: &Key, now_ms: u64, f: impl FnOnce(&mut Entry<'_>) -> R) -> Option<R> {
        self.obtain(key, now_ms, |guard, shard, slot, now| {
            self.touch(guard, slot, now);
            self.visit(guard, (shard, slot, now), true, f)
        })
    }

    /// Tracks the entry of a key, which is made where there is none and stays for as long as it is tracked.
    pub fn track(
        self: &Arc<Self>,
        key: &Key,
        now_ms: u64,
        f: impl FnOnce(&mut Entry<'_>),
    ) -> Option<Tracked> {
        self.obtain(key, now_ms, |guard, shard, slot, now| {
            let words = self.layout.words;
            if guard.refs(slot, words) == 0 {
                guard.unlink(slot, words);
            }
            let record = guard.record(slot, words);
            record[REFS] += 1;
            record[EXPIRE] = now.wrapping_add(self.expire_ms());
            self.visit(guard, (shard, slot, now), true, f);
            Tracked { table: self.clone(), shard: shard as u32, slot, counts: false }
        })
    }

    pub(super) fn obtain<R>(
        &self,
        key: &Key,
        now_ms: u64,
        f: impl FnOnce(&mut Shard, usize, u32, u32) -> R,
    ) -> Option<R> {
        let (now, hash) = (self.tick(now_ms), self.hash(key.words()));
        let shard = self.shard_of(hash);
        let mut tries = 0;
        loop {
            let mut guard = self.lock(shard);
            if let Some(slot) = self.find(&mut guard, key, hash, now) {
                return Some(f(&mut guard, shard, slot, now));
            }
            let expire = self.expire_ms();
            for _ in 0..2 {
                let Some(slot) = guard.due(now, self.layout.words).filter(|_| expire > 0) else { break };
                self.remove_slot(&mut guard, slot);
            }
            if self.used.fetch_add(1, Ordering::Relaxed) < self.size() {
                let slot = guard.insert(key, hash, self.layout.words, |words| self.rehash(words));
                guard.record(slot, self.layout.words)[EXPIRE] = now.wrapping_add(expire);
                return Some(f(&mut guard, shard, slot, now));
            }
            self.used.fetch_sub(1, Ordering::Relaxed);
            drop(guard);
            // Somebody else may take the room that was made.
            tries += 1;
            if tries > 8 || !self.make_room(shard, now) {
                return None;
            }
        }
    }

    /// Removes the oldest entry, of this shard if it has one that nobody tracks. False: there is none, or none may go
    /// before its time.
    fn make_room(&self, shard: usize, now: u32) -> bool {
        let only_due = self.nopurge.load(Ordering::Relaxed);
        for i in 0..self.shards.len() {
            let mut guard = self.lock((shard + i) & (self.shards.len() - 1));
            let found = match only_due {
                true => guard.due(now, self.layout.words).filter(|_| self.expire_ms() > 0),
                false => guard.oldest(),
            };
            if let Some(slot) = found {
                self.remove_slot(&mut guard, slot);
                return true;
            }
        }
        false
    }

    /// Removes the entry of a key, unless it is tracked.
    pub fn remove(&self, key: &Key, now_ms: u64) -> Removal {
        let (now, hash) = (self.tick(now_ms), self.hash(key.words()));
        let mut guard = self.lock(self.shard_of(hash));
        let Some(slot) = self.find(&mut guard, key, hash, now) else { return Removal::Absent };
        if guard.refs(slot, self.layout.words) > 0 {
            return Removal::InUse;
        }
        self.remove_slot(&mut guard, slot);
        Removal::Done
    }

    /// Removes what has expired, of a few shards and so many entries at most. Returns how many were removed.
    pub fn expire(&self, now_ms: u64, most: usize) -> usize {
        if self.expire_ms() == 0 || self.used() == 0 {
            return 0;
        }
        let (now, mut removed) = (self.tick(now_ms), 0);
        for _ in 0..self.shards.len() {
            let shard = self.turn.fetch_add(1, Ordering::Relaxed) & (self.shards.len() - 1);
            loop {
                let n = self.expire_of(shard, now);
                removed += n;
                if removed >= most {
                    return removed;
                }
                if n < AT_ONCE {
                    break;
                }
            }
        }
        removed
    }

    /// Removes expired entries of a shard, a few while it is locked.
    fn expire_of(&self, shard: usize, now: u32) -> usize {
        let mut guard = self.lock(shard);
        for removed in 0..AT_ONCE {
            let Some(slot) = guard.due(now, self.layout.words) else { return removed };
            self.remove_slot(&mut guard, slot);
        }
        AT_ONCE
    }

    /// Looks at every entry, bucket by bucket; those for which `f` is true are removed unless they are tracked. Entries
    /// that come or go meanwhile may be seen or not.
    pub fn walk(&self, now_ms: u64, mut f: impl FnMut(&mut Entry<'_>) -> bool) {
        while self.expire(now_ms, usize::MAX) > 0 {}
        let now = self.tick(now_ms);
        for shard in 0..self.shards.len() {
            let mut bucket = 0;
            loop {
                let mut guard = self.lock(shard);
                for _ in 0..AT_ONCE {
                    if bucket >= guard.buckets() {
                        break;
                    }
                    for slot in guard.in_bucket(bucket, self.layout.words) {
                        if self.is_over(&mut guard, slot, now) {
                            self.remove_slot(&mut guard, slot);
                            continue;
                        }
                        let goes = self.visit(&mut guard, (shard, slot, now), false, &mut f);
                        if goes && guard.refs(slot, self.layout.words) == 0 {
                            self.remove_slot(&mut guard, slot);
                        }
                    }
                    bucket += 1;
                }
                if bucket >= guard.buckets() {
                    break;
                }
            }
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let shards: usize =
            (0..self.shards.len()).map(|shard| self.lock(shard).bytes(self.layout.words)).sum();
        size_of::<Table>() + self.shards.len() * size_of::<Padded<Mutex<Shard>>>() + shards
    }
}

/// An entry that is tracked: it neither expires nor is it purged.
#[derive(Debug)]
pub struct Tracked {
    table: Arc<Table>,
    shard: u32,
    slot: u32,
    /// It counts in `conn_cur`.
    counts: bool,
}

impl Tracked {
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// It counts in `conn_cur` for as long as it is tracked: its maker has counted it.
    pub fn counting(self) -> Tracked {
        let mut tracked = self;
        tracked.counts = true;
        tracked
    }

    pub fn with<R>(&self, now_ms: u64, f: impl FnOnce(&mut Entry<'_>) -> R) -> R {
        let now = self.table.tick(now_ms);
        let mut guard = self.table.lock(self.shard as usize);
        self.table.visit(&mut guard, (self.shard as usize, self.slot, now), false, f)
    }

    /// Lets go of it; it lives on from now.
    pub fn release(self, now_ms: u64) {
        self.table.tick(now_ms);
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let table = &*self.table;
        let now = table.latest.load(Ordering::Relaxed);
        let mut guard = table.lock(self.shard as usize);
        if self.counts {
            table.entry(&mut guard, self.shard as usize, self.slot, now).take_one(Data::ConnCur);
        }
        let record = guard.record(self.slot, table.layout.words);
        record[REFS] = record[REFS].saturating_sub(1);
        record[EXPIRE] = now.wrapping_add(table.expire_ms());
        if record[REFS] == 0 {
            guard.link(self.slot, table.layout.words);
        }
        if table.layout.shared > 0 {
            table.note_change(&mut guard, self.slot, now);
        }
    }
}
