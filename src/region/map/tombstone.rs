//! What remains of a name that is gone: the index at which it went, so that who waits for it does not miss its end.

use std::ops::Bound;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::record::{Index, Name};

/// How many names of one kind are remembered.
pub(super) const TOMBSTONES: usize = 16_384;

/// Names that are gone, the newest [`TOMBSTONES`] of them. Of what was forgotten, the greatest index remains as a
/// floor: what is reported of an unknown name never goes back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tombstones {
    by_name: OrdMap<Name, Index>,
    by_age: OrdSet<(Index, Name)>,
    floor: Index,
}

impl Tombstones {
    /// The name went at that index.
    pub(super) fn add(&mut self, name: Name, index: Index) {
        if let Some(old) = self.by_name.insert(name.clone(), index) {
            self.by_age.remove(&(old, name.clone()));
        }
        self.by_age.insert((index, name));
        if self.by_name.len() > TOMBSTONES {
            self.prune(TOMBSTONES / 4);
        }
    }

    /// The name is back.
    pub(super) fn lift(&mut self, name: &str) {
        if let Some((name, index)) = self.by_name.remove_with_key(name) {
            self.by_age.remove(&(index, name));
        }
    }

    /// When it went, or when anything went of which nothing is known any more; 0 when neither is so.
    pub(super) fn index_of(&self, name: &str) -> Index {
        self.by_name.get(name).copied().unwrap_or(self.floor)
    }

    /// When the last name that begins so went.
    pub(super) fn index_under(&self, prefix: &str) -> Index {
        let from = self.by_name.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
        let under = from.take_while(|(name, _)| name.starts_with(prefix));
        under.map(|(_, index)| *index).fold(self.floor, Index::max)
    }

    /// Many at once, so that the floor rises seldom.
    fn prune(&mut self, count: usize) {
        let old: Vec<(Index, Name)> = self.by_age.iter().take(count).cloned().collect();
        for (index, name) in old {
            self.floor = self.floor.max(index);
            self.by_name.remove(&name);
            self.by_age.remove(&(index, name));
        }
    }

    pub(super) fn floor(&self) -> Index {
        self.floor
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Tombstone> {
        self.by_age.iter().map(|(index, name)| Tombstone { name: name.clone(), index: *index })
    }

    pub(super) fn restore(&mut self, floor: Index) {
        self.floor = self.floor.max(floor);
    }
}

/// One of them, as it stands in a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pub(super) name: Name,
    pub(super) index: Index,
}
