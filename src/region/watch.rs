//! Who waits for a change of the map, by what they wait for. A change wakes those who wait for it and nobody else.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::map::{Index, Name, Topic};

/// How many may wait at once on one node.
pub const WATCHERS: usize = 65_536;

/// Those who wait. Registered first, then the map is looked at, then one waits: so no change is missed.
#[derive(Debug)]
pub struct Watches {
    waiters: Mutex<Waiters>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Waiters {
    next: u64,
    waiting: usize,
    topics: HashMap<Topic, Crowd, RandomState>,
    prefixes: HashMap<Name, Crowd, RandomState>,
    /// How many prefixes that are waited for have a length: a changed key looks up no other.
    lengths: BTreeMap<usize, usize>,
}

type Crowd = BTreeMap<u64, Waiter>;

#[derive(Debug)]
struct Waiter {
    after: Index,
    notify: Arc<Notify>,
}

/// A place among those who wait for one change, given up on drop.
#[derive(Debug)]
pub struct Watch {
    watches: Arc<Watches>,
    id: u64,
    topics: Box<[Topic]>,
    notify: Arc<Notify>,
}

impl Watches {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Watches { waiters: Mutex::default(), limit })
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change of any of these after `after`. `None`: too many wait already.
    pub fn watch(self: &Arc<Self>, topics: &[Topic], after: Index) -> Option<Watch> {
        let notify = Arc::new(Notify::new());
        let mut waiters = self.waiters();
        if waiters.waiting >= self.limit {
            return None;
        }
        waiters.waiting += 1;
        waiters.next += 1;
        let id = waiters.next;
        for topic in topics {
            waiters.add(topic, id, Waiter { after, notify: notify.clone() });
        }
        Some(Watch { watches: self.clone(), id, topics: topics.into(), notify })
    }

    /// Wakes who waits for any of these after an index below `index`.
    pub fn wake(&self, touched: &[Topic], index: Index) {
        let mut waiters = self.waiters();
        if waiters.waiting == 0 {
            return;
        }
        for topic in touched {
            waiters.wake(topic, index);
        }
        if !touched.is_empty() {
            waiters.wake(&Topic::Any, index);
        }
    }

    /// Wakes everybody: the whole map was replaced.
    pub fn wake_all(&self) {
        let waiters = self.waiters();
        for waiter in waiters.topics.values().chain(waiters.prefixes.values()).flat_map(BTreeMap::values) {
            waiter.notify.notify_one();
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters().waiting
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing is left of those who waited.
    #[cfg(test)]
    pub(crate) fn is_forgotten(&self) -> bool {
        let waiters = self.waiters();
        waiters.topics.is_empty() && waiters.prefixes.is_empty() && waiters.lengths.is_empty()
    }
}

impl Waiters {
    fn add(&mut self, topic: &Topic, id: u64, waiter: Waiter) {
        let crowd = match topic {
            Topic::Prefix(prefix) => {
                let crowd = self.prefixes.entry(prefix.clone()).or_default();
                if crowd.is_empty() {
                    *self.lengths.entry(prefix.len()).or_default() += 1;
                }
                crowd
            }
            _ => self.topics.entry(topic.clone()).or_default(),
        };
        crowd.insert(id, waiter);
    }

    fn remove(&mut self, topic: &Topic, id: u64) {
        let leave = |crowd: &mut Crowd| crowd.remove(&id).is_some() && crowd.is_empty();
        match topic {
            Topic::Prefix(prefix) => {
                if self.prefixes.get_mut(prefix).is_some_and(leave) {
                    self.forget_prefix(prefix);
                }
            }
            _ => {
                if self.topics.get_mut(topic).is_some_and(leave) {
                    self.topics.remove(topic);
                }
            }
        }
    }

    fn forget_prefix(&mut self, prefix: &str) {
        self.prefixes.remove(prefix);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    fn wake(&mut self, topic: &Topic, index: Index) {
        if self.topics.get_mut(topic).is_some_and(|crowd| wake(crowd, index)) {
            self.topics.remove(topic);
        }
        let Topic::Key(key) = topic else { return };
        let lengths: SmallVec<[usize; 16]> = self.lengths.range(..=key.len()).map(|(n, _)| *n).collect();
        for prefix in lengths.into_iter().filter_map(|length| key.get(..length)) {
            if self.prefixes.get_mut(prefix).is_some_and(|crowd| wake(crowd, index)) {
                self.forget_prefix(prefix);
            }
        }
    }
}

/// Whoever is woken leaves the crowd, so that a batch that touches a topic often wakes nobody twice. Tells whether
/// nobody is left.
fn wake(crowd: &mut Crowd, index: Index) -> bool {
    crowd.retain(|_, waiter| {
        let stays = waiter.after >= index;
        if !stays {
            waiter.notify.notify_one();
        }
        stays
    });
    crowd.is_empty()
}

impl Watch {
    /// Until something was touched; it may have been before this was called.
    pub async fn touched(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiters = self.watches.waiters();
        waiters.waiting -= 1;
        for topic in &self.topics {
            waiters.remove(topic, self.id);
        }
    }
}
