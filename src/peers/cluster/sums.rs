//! What the other nodes told of a table, and its sum in the entries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::base::Millis;
use crate::stick::{Key, Summed, Table, rate};

/// A rate begins to fade so long after it was told, at most: the next word is there by then, if there is one.
const GRACE_MS: u64 = 200;
/// How often sums of rates are made anew, and those of entries that came since.
const SOONEST_MS: u64 = 50;
const LATEST_MS: u64 = 1000;

/// What a node told of a key.
struct Part {
    node: u64,
    at: Millis,
    values: Box<[u64]>,
}

/// A key that other nodes count.
#[derive(Default)]
struct Known {
    parts: SmallVec<[Part; 2]>,
    /// When its sum is made anew.
    due: (Millis, u64),
}

/// What the other nodes told of a table.
pub struct Sums {
    table: Arc<Table>,
    signature: u64,
    summed: Vec<Summed>,
    keys: HashMap<Key, Known>,
    due: BTreeMap<(Millis, u64), Key>,
    next: u64,
}

impl Sums {
    pub fn new(table: Arc<Table>) -> Sums {
        Sums {
            signature: table.signature(),
            summed: table.summed(),
            table,
            keys: HashMap::new(),
            due: BTreeMap::new(),
            next: 0,
        }
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Keys that others count.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes what a node tells of a key, in the form of [`Word`](super::Word). Values of a table of another form are none.
    pub fn hear(&mut self, node: u64, key: &[u8], values: Option<&[u64]>, now: Millis) {
        let Some(key) = self.table.kind().of_sorted(key) else { return };
        let width: usize = self.summed.iter().map(|one| if one.is_rate() { 3 } else { 1 }).sum();
        let values = values.and_then(|values| match values.split_first() {
            Some((signature, rest)) if *signature == self.signature && rest.len() == width => Some(rest),
            _ => None,
        });
        if values.is_none() && !self.keys.contains_key(&key) {
            return;
        }
        let known = self.keys.entry(key.clone()).or_default();
        known.parts.retain(|part| part.node != node);
        if let Some(values) = values {
            known.parts.push(Part { node, at: now, values: values.into() });
        }
        if known.parts.is_empty() {
            self.due.remove(&known.due);
            self.keys.remove(&key);
            return self.table.leave_others(&key, now);
        }
        self.place(&key, now, values.is_some());
    }

    /// Makes anew the sums whose time has come.
    pub fn turn(&mut self, now: Millis) {
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) {
            let key = first.remove();
            self.place(&key, now, false);
        }
    }

    /// When [`Sums::turn`] has something to do.
    pub fn next(&self) -> Option<Millis> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// No other node is heard any more.
    pub fn end(&mut self, now: Millis) {
        self.due.clear();
        for (key, _) in self.keys.drain() {
            self.table.leave_others(&key, now);
        }
    }

    /// Puts the sum of a key into its entry.
    fn place(&mut self, key: &Key, now: Millis, is_used: bool) {
        let Some(known) = self.keys.get_mut(key) else { return };
        let sums = add_up(&self.summed, &known.parts, now);
        self.table.put_others(key, now, is_used, |entry| {
            for (one, sum) in self.summed.iter().zip(&sums) {
                entry.set_others(one.data, one.index, *sum);
            }
        });
        let fading = self.summed.iter().zip(&sums).filter(|(one, sum)| one.is_rate() && **sum > 0);
        let shortest = fading.map(|(one, _)| u64::from(one.period_ms)).min();
        let wait = shortest.map_or(LATEST_MS, |period| (period / 16).clamp(SOONEST_MS, LATEST_MS));
        self.due.remove(&known.due);
        self.next += 1;
        known.due = (now + wait, self.next);
        self.due.insert(known.due, key.clone());
    }
}

fn add_up(summed: &[Summed], parts: &[Part], now: Millis) -> SmallVec<[u64; 8]> {
    let mut sums: SmallVec<[u64; 8]> = SmallVec::from_elem(0, summed.len());
    for part in parts {
        let mut rest = part.values.iter().copied();
        for (one, sum) in summed.iter().zip(&mut sums) {
            let mut next = || rest.next().unwrap_or_default();
            let value = match one.is_rate() {
                false => next(),
                true => fade([next(), next(), next()], one.period_ms, now.saturating_sub(part.at)),
            };
            *sum = sum.saturating_add(value);
        }
    }
    sums
}

/// A rate so long after it was told: of its age, its events and those of the period before it.
fn fade([age_ms, current, before]: [u64; 3], period_ms: u32, since_ms: u64) -> u64 {
    let since_ms = since_ms.saturating_sub(GRACE_MS.min(u64::from(period_ms) / 4));
    let elapsed = age_ms.saturating_add(since_ms).min(i32::MAX as u64) as u32;
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    u64::from(rate::read(&[1, count(current), count(before)], period_ms, elapsed.saturating_add(1)))
}
