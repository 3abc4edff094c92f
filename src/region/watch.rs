//! Who waits for a change of the map, by what they wait for. A change wakes those who wait for it and nobody else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::map::{Index, Name, Topic};

/// How many may wait at once on one node.
pub const WATCHERS: usize = 65_536;

/// Those who wait. Registered first, then the map is looked at, then one waits: so no change is missed.
#[derive(Debug)]
pub struct Watches {
    shelf: Mutex<Shelf>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Shelf {
    next: u64,
    waiting: usize,
    topics: HashMap<Topic, Crowd, RandomState>,
    /// How many prefixes that are waited for have a length: a changed key looks up no other.
    lengths: BTreeMap<usize, usize>,
}

type Crowd = BTreeMap<u64, Waiter>;

#[derive(Debug)]
struct Waiter {
    after: Index,
    notify: Arc<Notify>,
}

/// A place among those who wait, given up on drop.
#[derive(Debug)]
pub struct Watch {
    watches: Arc<Watches>,
    id: u64,
    topics: Box<[Topic]>,
    notify: Arc<Notify>,
}

impl Watches {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Watches { shelf: Mutex::default(), limit })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change of any of these after `after`. `None`: too many wait already.
    pub fn watch(self: &Arc<Self>, topics: &[Topic], after: Index) -> Option<Watch> {
        let notify = Arc::new(Notify::new());
        let mut shelf = self.shelf();
        if shelf.waiting >= self.limit {
            return None;
        }
        shelf.waiting += 1;
        shelf.next += 1;
        let id = shelf.next;
        for topic in topics {
            shelf.add(topic, id, Waiter { after, notify: notify.clone() });
        }
        Some(Watch { watches: self.clone(), id, topics: topics.into(), notify })
    }

    /// Wakes who waits for any of these after an index below `index`.
    pub fn wake(&self, touched: &[Topic], index: Index) {
        let shelf = self.shelf();
        if shelf.topics.is_empty() {
            return;
        }
        for topic in touched {
            shelf.wake(topic, index);
            if let Topic::Key(key) = topic {
                shelf.wake_prefixes(key, index);
            }
        }
    }

    /// Wakes everybody: the whole map was replaced.
    pub fn wake_all(&self) {
        for waiter in self.shelf().topics.values().flat_map(BTreeMap::values) {
            waiter.notify.notify_one();
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.shelf().waiting
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Shelf {
    fn add(&mut self, topic: &Topic, id: u64, waiter: Waiter) {
        if !self.topics.contains_key(topic)
            && let Topic::Prefix(prefix) = topic
        {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        self.topics.entry(topic.clone()).or_default().insert(id, waiter);
    }

    fn remove(&mut self, topic: &Topic, id: u64) {
        let Some(crowd) = self.topics.get_mut(topic) else { return };
        crowd.remove(&id);
        if !crowd.is_empty() {
            return;
        }
        self.topics.remove(topic);
        if let Topic::Prefix(prefix) = topic
            && let Some(count) = self.lengths.get_mut(&prefix.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    fn wake(&self, topic: &Topic, index: Index) {
        for waiter in self.topics.get(topic).into_iter().flat_map(BTreeMap::values) {
            if waiter.after < index {
                waiter.notify.notify_one();
            }
        }
    }

    fn wake_prefixes(&self, key: &Name, index: Index) {
        for length in self.lengths.range(..=key.len()).map(|(length, _)| *length) {
            if let Some(prefix) = key.get(..length) {
                self.wake(&Topic::Prefix(prefix.into()), index);
            }
        }
    }
}

impl Watch {
    /// Until something was touched; it may have been before this was called.
    pub async fn touched(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut shelf = self.watches.shelf();
        shelf.waiting -= 1;
        for topic in &self.topics {
            shelf.remove(topic, self.id);
        }
    }
}
