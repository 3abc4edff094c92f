//! Sessions that clients may go on with: one table for the process, in parts with a lock each, bounded in bytes and time.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use rustls::server::StoresServerSessions;

use crate::base::clock::{Millis, now_ms};

const PARTS: usize = 16;
/// Of one of HAProxy's blocks, in which `tune.ssl.cachesize` counts.
const BLOCK_BYTES: usize = 200;
/// What an entry costs beside its key and value.
const OVERHEAD_BYTES: usize = 120;

#[derive(Debug)]
pub struct Sessions {
    parts: Vec<Mutex<Part>>,
    hasher: RandomState,
    part_bytes: usize,
    lifetime: Millis,
    lookups: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Part {
    /// Each with the moment when it was stored, which tells it from an earlier one under its key.
    entries: HashMap<Vec<u8>, (u64, Millis, Vec<u8>)>,
    /// From the oldest.
    order: VecDeque<(u64, Vec<u8>)>,
    next: u64,
    bytes: usize,
}

impl Sessions {
    /// Room for as much as that many blocks of HAProxy's hold.
    pub fn new(blocks: usize, lifetime_s: u64) -> Arc<Sessions> {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        let part_bytes = blocks.saturating_mul(BLOCK_BYTES) / PARTS;
        let lifetime = lifetime_s.saturating_mul(1000);
        let (lookups, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Sessions { parts, hasher: RandomState::default(), part_bytes, lifetime, lookups, misses })
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).entries.len()).sum()
    }

    fn with<T>(&self, key: &[u8], act: impl FnOnce(&mut Part) -> T) -> Option<T> {
        let at = usize::try_from(self.hasher.hash_one(key)).unwrap_or_default() % PARTS;
        let part = self.parts.get(at)?;
        Some(act(&mut part.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn put(&self, key: Vec<u8>, value: Vec<u8>, now: Millis) -> bool {
        let cost = cost(&key, &value);
        if cost > self.part_bytes {
            return false;
        }
        let put = |part: &mut Part| {
            part.forget(&key);
            part.next += 1;
            let id = part.next;
            part.bytes += cost;
            part.order.push_back((id, key.clone()));
            part.entries.insert(key.clone(), (id, now, value));
            part.purge(self.part_bytes, self.lifetime, now);
            true
        };
        self.with(&key, put).unwrap_or_default()
    }

    fn find(&self, key: &[u8], now: Millis, takes: bool) -> Option<Vec<u8>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let found = self.look(key, now, takes);
        if found.is_none() {
            self.misses.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// How often sessions were looked for, and how often in vain.
    pub fn looked_up(&self) -> (u64, u64) {
        (self.lookups.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    fn look(&self, key: &[u8], now: Millis, takes: bool) -> Option<Vec<u8>> {
        self.with(key, |part| {
            let (_, stored, value) = part.entries.get(key)?;
            let found = (now.saturating_sub(*stored) <= self.lifetime).then(|| value.clone());
            if takes || found.is_none() {
                part.forget(key);
            }
            found
        })?
    }
}

fn cost(key: &[u8], value: &[u8]) -> usize {
    key.len() * 2 + value.len() + OVERHEAD_BYTES
}

impl Part {
    fn forget(&mut self, key: &[u8]) {
        if let Some((_, _, value)) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(cost(key, &value));
        }
    }

    fn purge(&mut self, room: usize, lifetime: Millis, now: Millis) {
        while let Some((id, key)) = self.order.front() {
            let is_over = match self.entries.get(key) {
                Some((of, stored, _)) if of == id => {
                    self.bytes > room || now.saturating_sub(*stored) > lifetime
                }
                // Taken, or stored anew since.
                _ => true,
            };
            if !is_over {
                break;
            }
            if let Some((id, key)) = self.order.pop_front()
                && self.entries.get(&key).is_some_and(|(of, ..)| *of == id)
            {
                self.forget(&key);
            }
        }
    }
}

/// The sessions of those who are served alike: others do not find them.
#[derive(Debug)]
pub struct Realm {
    sessions: Arc<Sessions>,
    id: u64,
}

impl Realm {
    pub fn new(sessions: Arc<Sessions>, id: u64) -> Realm {
        Realm { sessions, id }
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.id.to_be_bytes(), key].concat()
    }
}

impl StoresServerSessions for Realm {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.sessions.put(self.key(&key), value, now_ms())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.find(&self.key(key), now_ms(), false)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.find(&self.key(key), now_ms(), true)
    }

    fn can_cache(&self) -> bool {
        self.sessions.part_bytes > 0
    }
}
