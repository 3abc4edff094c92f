//! The table of keys and their values, and of locks that may not be taken yet.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::record::*;
use super::shelf::{Kept, Own, Shelf};
use super::tombstone::Tombstones;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kv {
    pub(super) entries: Shelf<Own<Entry>>,
    pub(super) gone: Tombstones,
    pub(super) delays: Delays,
    /// Of the last change of any key.
    pub(super) index: Index,
}

impl Kept for Entry {
    fn kept_as(&self) -> &Name {
        &self.key
    }
}

impl Kv {
    pub(super) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.entries.from(prefix).take_while(move |entry| entry.key.starts_with(prefix))
    }

    pub(super) fn index_of(&self, key: &str) -> Index {
        self.entries.get(key).map_or_else(|| self.gone.index_of(key), |entry| entry.modify_index)
    }

    /// Costs a walk over what is there, except for all keys.
    pub(super) fn index_under(&self, prefix: &str) -> Index {
        if prefix.is_empty() {
            return self.index;
        }
        self.under(prefix).map(|entry| entry.modify_index).fold(self.gone.index_under(prefix), Index::max)
    }
}

/// Until when a lock that its holder lost may not be taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Delays {
    pub(super) by_key: OrdMap<Name, WallMs>,
    by_end: OrdSet<(WallMs, Name)>,
}

impl Delays {
    pub(super) fn set(&mut self, key: Name, until: WallMs) {
        self.lift(&key);
        self.by_end.insert((until, key.clone()));
        self.by_key.insert(key, until);
    }

    fn lift(&mut self, key: &Name) {
        if let Some(old) = self.by_key.remove(key) {
            self.by_end.remove(&(old, key.clone()));
        }
    }

    /// Those that are over go, so that what is kept is bounded by the locks lost within one delay.
    pub(super) fn expire(&mut self, now: WallMs) {
        while let Some(oldest) = self.by_end.get_min().filter(|oldest| oldest.0 <= now).cloned() {
            self.by_key.remove(&oldest.1);
            self.by_end.remove(&oldest);
        }
    }
}
