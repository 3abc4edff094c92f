//! What is told of a table to others, and taken from them: changes in the order in which they were made, all entries, and
//! entries that others have changed.
//!
//! Every change made here gives its entry a version: milliseconds of the wall clock, a counter, and who made it. A version
//! is higher than any that the entry had and than those of all changes of its shard before, so that versions are both the
//! order of changes and what decides between two of one key: the higher one stays, whoever compares them. In a table of
//! a cluster, where nobody compares them, changes of an entry that nobody has looked at between them are one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::base::sync::{Mutex, PoisonError};

use super::entry::Entry;
use super::key::Key;
use super::layout::{EXPIRE, REFS};
use super::shard::Shard;
use super::table::Table;

/// Entries that are told while a shard is locked.
const AT_ONCE: usize = 64;
/// Bits of a version below the milliseconds: 14 of the counter, 8 of who made it.
const BELOW_MS: u32 = 22;
const WHO: u32 = 8;
/// How far versions of others may be ahead of the clock, in milliseconds: a day.
const MOST_AHEAD_MS: u64 = 24 * 3600 * 1000;

type Wake = Arc<dyn Fn() + Send + Sync>;

/// How peers learn of changes.
#[derive(Default)]
pub(super) struct Sharing {
    /// Something was changed since peers looked.
    is_changed: AtomicBool,
    /// What is called then.
    wake: Mutex<Option<Wake>>,
    /// What the wall clock is ahead of the time that is given, in milliseconds.
    wall_ms: AtomicU64,
    who: AtomicU8,
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sharing({})", self.who.load(Ordering::Relaxed))
    }
}

/// How far somebody is who is told the changes of a table.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// By shard: the version up to which all changes were told.
    seen: Box<[u64]>,
    /// Where the reading goes on, and the slot that was told last there.
    shard: usize,
    hint: u32,
}

impl Cursor {
    /// Knows what either of them knows.
    pub fn join(&mut self, other: &Cursor) {
        for (own, theirs) in self.seen.iter_mut().zip(&other.seen) {
            *own = (*own).max(*theirs);
        }
    }
}

/// How far somebody is who is told all entries of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walk {
    shard: usize,
    bucket: usize,
}

/// How an entry came that somebody else has changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learning {
    /// Milliseconds that it has left; without that all that the table gives.
    pub remaining_ms: Option<u32>,
    /// Its version, if who told it has versions.
    pub version: Option<u64>,
}

/// What became of an entry that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    Taken,
    /// The entry here is newer.
    Older,
    /// There is no room for it.
    Full,
}

impl Table {
    /// Whether it has what it takes to be told to peers.
    pub fn is_shared(&self) -> bool {
        self.layout.shared > 0
    }

    /// From now on `wake` is called when something is changed, once until [`take_changed`](Table::take_changed). `who`
    /// tells this process from those that it shares the table with.
    pub fn share(&self, who: u8, wake: Option<Wake>) {
        self.sharing.who.store(who, Ordering::Relaxed);
        *self.sharing.wake.lock().unwrap_or_else(PoisonError::into_inner) = wake;
        self.sharing.is_changed.store(false, Ordering::SeqCst);
    }

    /// Says what the wall clock shows; to be called now and then, as time is given to a table in few bits.
    pub fn set_wall(&self, now_ms: u64, wall_ms: u64) {
        let ahead = wall_ms.saturating_sub(u64::from(now_ms as u32));
        self.sharing.wall_ms.store(ahead, Ordering::Relaxed);
    }

    /// Whether something was changed since the last call.
    pub fn take_changed(&self) -> bool {
        self.sharing.is_changed.swap(false, Ordering::SeqCst)
    }

    /// Whether something was changed that [`take_changed`](Table::take_changed) has not told yet.
    pub fn has_changed(&self) -> bool {
        self.sharing.is_changed.load(Ordering::Relaxed)
    }

    /// The version of a change made now, of an entry that has this one.
    fn next_version(&self, now: u32, before: u64) -> u64 {
        let wall = self.sharing.wall_ms.load(Ordering::Relaxed) + u64::from(now);
        let next = (wall << (BELOW_MS - WHO)).max((before >> WHO) + 1);
        next << WHO | u64::from(self.sharing.who.load(Ordering::Relaxed))
    }

    /// The entry was changed here. The shard is locked: who is told next sees the change, or is woken after it.
    pub(super) fn note_change(&self, guard: &mut Shard, slot: u32, now: u32) {
        if self.spec().recv_only {
            return;
        }
        let (words, shared) = (self.layout.words, self.layout.shared);
        // Peers compare versions: theirs is that of the last change, however long nobody was there to look.
        if self.spec().peers.is_none() && guard.awaits_look(slot, words, shared) {
            return;
        }
        let before = guard.latest().max(guard.version(slot, words, shared));
        let version = self.next_version(now, before);
        guard.change(slot, words, shared, version);
        let sharing = &self.sharing;
        if !sharing.is_changed.load(Ordering::Relaxed) && !sharing.is_changed.swap(true, Ordering::SeqCst) {
            let wake = sharing.wake.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(wake) = wake {
                wake();
            }
        }
    }

    /// Somebody who knows of no change yet.
    pub fn cursor(&self) -> Cursor {
        Cursor { seen: vec![0; self.shards()].into(), shard: 0, hint: u32::MAX }
    }

    /// Tells changes that are not known yet to `f`, in their order, until it answers false: then the last was told, too.
    /// True: all were told.
    pub fn changes(&self, cursor: &mut Cursor, now_ms: u64, mut f: impl FnMut(&Entry<'_>) -> bool) -> bool {
        let now = self.tick(now_ms);
        if self.layout.shared == 0 || cursor.seen.len() != self.shards() {
            return true;
        }
        while cursor.shard < self.shards() {
            match self.changes_of(cursor, now, &mut f) {
                Told::All => (cursor.shard, cursor.hint) = (cursor.shard + 1, u32::MAX),
                Told::Some => {}
                Told::Enough => return false,
            }
        }
        cursor.shard = 0;
        true
    }

    fn changes_of(&self, cursor: &mut Cursor, now: u32, f: &mut impl FnMut(&Entry<'_>) -> bool) -> Told {
        let (words, shared, shard) = (self.layout.words, self.layout.shared, cursor.shard);
        let mut guard = self.lock(shard);
        guard.look();
        let mut next = guard.change_after(cursor.seen[shard], cursor.hint, words, shared);
        for _ in 0..AT_ONCE {
            let Some(slot) = next else {
                cursor.seen[shard] = cursor.seen[shard].max(guard.latest());
                return Told::All;
            };
            next = guard.next_change(slot, words, shared);
            (cursor.seen[shard], cursor.hint) = (guard.version(slot, words, shared), slot);
            if !self.is_over(&mut guard, slot, now) && !f(&self.entry(&mut guard, shard, slot, now)) {
                return Told::Enough;
            }
        }
        Told::Some
    }

    /// Tells all entries to `f` until it answers false: then the last was told, too. True: all were told. Changes from before
    /// are known then to whom the cursor belongs. Entries that come or go meanwhile may be told or not.
    pub fn teach(
        &self,
        walk: &mut Walk,
        cursor: &mut Cursor,
        now_ms: u64,
        mut f: impl FnMut(&Entry<'_>) -> bool,
    ) -> bool {
        let now = self.tick(now_ms);
        while walk.shard < self.shards() {
            let mut guard = self.lock(walk.shard);
            if walk.bucket == 0
                && let Some(seen) = cursor.seen.get_mut(walk.shard)
            {
                *seen = guard.latest();
                guard.look();
            }
            let mut told = 0;
            while walk.bucket < guard.buckets() && told < AT_ONCE {
                let mut has_room = true;
                for slot in guard.in_bucket(walk.bucket, self.layout.words) {
                    told += 1;
                    if !self.is_over(&mut guard, slot, now) {
                        has_room &= f(&self.entry(&mut guard, walk.shard, slot, now));
                    }
                }
                walk.bucket += 1;
                told += 1;
                if !has_room {
                    return false;
                }
            }
            if walk.bucket >= guard.buckets() {
                *walk = Walk { shard: walk.shard + 1, bucket: 0 };
            }
        }
        true
    }

    /// Takes an entry that somebody else has changed; `f` puts its values into it. It is told to nobody.
    pub fn learn(&self, key: &Key, now_ms: u64, how: Learning, f: impl FnOnce(&mut Entry<'_>)) -> Learned {
        let most = (self.sharing.wall_ms.load(Ordering::Relaxed) + u64::from(now_ms as u32) + MOST_AHEAD_MS)
            << BELOW_MS;
        let how = Learning {
            version: how.version.filter(|version| *version > 0).map(|version| version.min(most)),
            ..how
        };
        let taken = self.obtain(key, now_ms, |guard, shard, slot, now| {
            let (words, shared) = (self.layout.words, self.layout.shared);
            if shared > 0 {
                let before = guard.version(slot, words, shared);
                if how.version.is_some_and(|version| version <= before) {
                    return Learned::Older;
                }
                guard.forget_change(slot, words, shared);
                let version = how.version.unwrap_or_else(|| self.next_version(now, before));
                let record = guard.record(slot, words);
                (record[shared], record[shared + 1]) = ((version >> 32) as u32, version as u32);
            }
            f(&mut self.entry(guard, shard, slot, now));
            let expire = self.expire_ms();
            let record = guard.record(slot, words);
            record[EXPIRE] = now.wrapping_add(how.remaining_ms.unwrap_or(expire).min(i32::MAX as u32));
            if record[REFS] == 0 {
                guard.unlink(slot, words);
                guard.link_in_order(slot, words);
            }
            Learned::Taken
        });
        taken.unwrap_or(Learned::Full)
    }
}

/// How much of a shard was told.
enum Told {
    All,
    Some,
    Enough,
}
