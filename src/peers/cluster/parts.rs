//! What this node tells of its part of a table: keys that changed, and those that are there no more.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::base::Millis;
use crate::stick::{Cursor, Entry, Key, Summed, Table};

/// Most keys that a node has others keep for it, of all its tables: those that changed last.
pub const MOST_KEYS: usize = 8192;
/// Most keys that are told at once, the newest first; the others follow.
const AT_ONCE: usize = 2048;
/// Most that wait to be told.
const WAITING: usize = 16_384;
/// Most changes that are read at once.
const READ: usize = 65_536;
/// Longest key in bytes: what is longer counts on its own node alone.
const MOST_KEY: usize = 1024;
/// Entries of keys that were told are looked at again, this part of them at a time.
const REVIEWED: usize = 16;

/// What is to be told of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub key: Vec<u8>,
    /// The table's signature and this node's part. `None`: it has none any more.
    pub values: Option<Vec<u64>>,
}

/// A key that was told.
struct Told {
    /// Of what was told.
    print: u64,
    at: Millis,
    place: Place,
}

/// The version of a key's change, and a number that tells it from others.
type Place = (u64, u64);

/// This node's part of a table.
pub struct Parts {
    table: Arc<Table>,
    summed: Vec<Summed>,
    cursor: Cursor,
    /// Keys that changed, and the versions that the changes have.
    waiting: HashMap<Key, u64>,
    told: HashMap<Key, Told>,
    /// The keys that were told, in the order of their changes.
    places: BTreeMap<Place, Key>,
    next: u64,
    review_from: Place,
    most: usize,
}

impl Parts {
    /// `most`: keys that others may have to keep.
    pub fn new(table: Arc<Table>, most: usize) -> Parts {
        Parts {
            summed: table.summed(),
            cursor: table.cursor(),
            table,
            waiting: HashMap::new(),
            told: HashMap::new(),
            places: BTreeMap::new(),
            next: 0,
            review_from: (0, 0),
            most,
        }
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Others may have to keep so many keys from now on.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether keys are left that were not told yet.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What is to be told now.
    pub fn turn(&mut self, now: Millis) -> Vec<Word> {
        let (mut read, waiting) = (0, &mut self.waiting);
        self.table.changes(&mut self.cursor, now, |entry| {
            waiting.insert(entry.key(), entry.version());
            read += 1;
            read < READ
        });
        let mut words = Vec::new();
        for (version, key) in self.newest() {
            self.tell((version, &key), now, &mut words);
        }
        self.review(now, &mut words);
        while self.told.len() > self.most {
            let Some(key) = self.places.first_key_value().map(|(_, key)| key.clone()) else { break };
            self.withdraw(&key, &mut words);
        }
        words
    }

    /// Everything that was told is taken back.
    pub fn end(&mut self) -> Vec<Word> {
        let mut words = Vec::new();
        let keys: Vec<Key> = self.told.keys().cloned().collect();
        keys.iter().for_each(|key| self.withdraw(key, &mut words));
        words
    }

    /// Takes the keys that changed last from those that wait.
    fn newest(&mut self) -> Vec<(u64, Key)> {
        let mut all: Vec<(u64, Key)> =
            std::mem::take(&mut self.waiting).into_iter().map(|(key, version)| (version, key)).collect();
        if all.len() <= AT_ONCE {
            return all;
        }
        all.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
        all.truncate(AT_ONCE + WAITING);
        let late = all.split_off(AT_ONCE);
        self.waiting = late.into_iter().map(|(version, key)| (key, version)).collect();
        all
    }

    fn tell(&mut self, (version, key): (u64, &Key), now: Millis, words: &mut Vec<Word>) {
        let is_told = self.told.contains_key(key);
        let is_old = self.places.first_key_value().is_some_and(|(place, _)| version < place.0);
        if !is_told && is_old && self.told.len() >= self.most {
            return;
        }
        let Some(values) = self.values(key, now) else { return self.withdraw(key, words) };
        let bytes = key.sorted(self.table.kind());
        if bytes.len() > MOST_KEY {
            return;
        }
        let print = self.print(&values, now);
        // A key that is used and counts nothing is told now and then, so that it lives on elsewhere.
        let again_ms = u64::from(self.table.expire_ms() / 4);
        if let Some(told) = self.told.get(key)
            && told.print == print
            && (again_ms == 0 || now < told.at + again_ms)
        {
            return;
        }
        self.next += 1;
        let place = (version, self.next);
        if let Some(before) = self.told.insert(key.clone(), Told { print, at: now, place }) {
            self.places.remove(&before.place);
        }
        self.places.insert(place, key.clone());
        words.push(Word { key: bytes, values: Some(values) });
    }

    /// What this node counted of a key, behind the table's signature. `None`: nothing.
    fn values(&self, key: &Key, now: Millis) -> Option<Vec<u64>> {
        let read = |entry: &mut Entry<'_>| {
            let mut values = vec![self.table.signature()];
            for one in &self.summed {
                let part = entry.part(one.data, one.index).unwrap_or_default();
                values.extend(&part[..if one.is_rate() { 3 } else { 1 }]);
            }
            values
        };
        let values = self.table.look(key, now, read)?;
        values.iter().skip(1).any(|value| *value > 0).then_some(values)
    }

    /// Of values: the same for as long as nothing is counted, whatever the time.
    fn print(&self, values: &[u64], now: Millis) -> u64 {
        let mut hash = FixedState::default().build_hasher();
        let mut rest = values.get(1..).unwrap_or_default().iter();
        for one in &self.summed {
            let value = rest.next().copied().unwrap_or_default();
            if !one.is_rate() {
                value.hash(&mut hash);
                continue;
            }
            u64::from((now as u32).wrapping_sub(value as u32)).hash(&mut hash);
            rest.by_ref().take(2).for_each(|count| count.hash(&mut hash));
        }
        hash.finish()
    }

    fn withdraw(&mut self, key: &Key, words: &mut Vec<Word>) {
        if let Some(told) = self.told.remove(key) {
            self.places.remove(&told.place);
            words.push(Word { key: key.sorted(self.table.kind()), values: None });
        }
    }

    /// Looks at some of the keys that were told: what has expired, or counts nothing any more, is taken back.
    fn review(&mut self, now: Millis, words: &mut Vec<Word>) {
        let most = self.told.len().div_ceil(REVIEWED);
        let from = self.places.range(self.review_from..).take(most);
        let some: Vec<(Place, Key)> = from.map(|(place, key)| (*place, key.clone())).collect();
        self.review_from =
            some.last().filter(|_| some.len() == most).map_or((0, 0), |((version, n), _)| (*version, n + 1));
        for (_, key) in some {
            if self.values(&key, now).is_none() {
                self.withdraw(&key, words);
            }
        }
    }
}
