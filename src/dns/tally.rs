//! Answers from the map since the start, by record and region, for who looks: those of the present records alone, so that it
//! is bounded as they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::{Record, Told};

/// Of one record in one region.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    pub total: u64,
    pub per_second: f64,
}

/// A record as it was written: it is the same after a reload.
type Key = (Arc<[u8]>, Arc<Told>);
type Regions = HashMap<Arc<str>, Count>;

/// Filled by who publishes counters, read by who shows them.
#[derive(Default)]
pub struct Tally(Mutex<HashMap<Key, Regions>>);

fn key(record: &Record) -> Key {
    (record.owner.clone(), record.told.clone())
}

impl Tally {
    fn held(&self) -> MutexGuard<'_, HashMap<Key, Regions>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn of so many seconds is over: rates are those of the answers that are added next.
    pub fn turn<'r>(&self, records: impl Iterator<Item = &'r Record>) {
        let mut all = self.held();
        let mut before = std::mem::take(&mut *all);
        for record in records {
            let key = key(record);
            let mut regions = before.remove(&key).or_else(|| all.remove(&key)).unwrap_or_default();
            regions.values_mut().for_each(|count| count.per_second = 0.0);
            all.insert(key, regions);
        }
    }

    /// Adds answers of the last so many seconds.
    pub fn add(&self, record: &Record, region: &Arc<str>, answers: u64, seconds: f64) {
        if let Some(regions) = self.held().get_mut(&key(record)) {
            let count = regions.entry(region.clone()).or_default();
            count.total += answers;
            count.per_second += answers as f64 / seconds.max(0.001);
        }
    }

    pub fn of(&self, record: &Record) -> HashMap<Arc<str>, Count> {
        self.held().get(&key(record)).cloned().unwrap_or_default()
    }
}
