//! The entries of one version of a reference, with what its uses read from them: those that a configuration lists are
//! packed, and what changed since lies beside them.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use smallvec::SmallVec;

use super::base::Base;
use super::entry::{Entry, Key};
use super::list::Patterns;
use super::listing::Listing;
use super::ranges::NetIndex;
use super::reading::Reading;
use super::texts::{Bucket, Keyed, Texts};

/// Entries in order. A copy shares its structure: it costs next to nothing, a change its own size.
#[derive(Clone, Debug, Default)]
pub struct Content {
    base: Arc<Base>,
    /// Entries of the base that were removed, or replaced by others of their id.
    gone: OrdSet<u64>,
    entries: OrdMap<u64, Arc<Entry>>,
    by_text: Texts<Arc<Entry>>,
    /// One a reading, in the order of [`Content::read`].
    patterns: SmallVec<[Patterns; 1]>,
}

impl Content {
    /// Nothing, for these readings.
    pub fn empty(readings: impl Iterator<Item = Reading>) -> Content {
        Content { patterns: readings.map(Patterns::new).collect(), ..Content::default() }
    }

    pub fn listing(&self) -> Listing {
        Listing { base: self.base.clone(), gone: self.gone.clone(), entries: self.entries.clone() }
    }

    pub fn len(&self) -> usize {
        self.base.len() - self.gone.len() + self.entries.len()
    }

    pub fn patterns(&self) -> &[Patterns] {
        &self.patterns
    }

    /// What is loaded goes here, before anything reads it or changes.
    pub fn base(&mut self) -> Option<&mut Base> {
        Arc::get_mut(&mut self.base).filter(|base| !base.is_sealed())
    }

    /// Nothing is loaded any more.
    pub fn seal(&mut self) {
        if let Some(base) = self.base() {
            base.seal();
        }
    }

    /// Adds a reading of all entries. Names may be looked up if it says so: a configuration is being built.
    pub fn read(&mut self, reading: Reading) -> Result<&Patterns, String> {
        self.seal();
        let mut patterns = Patterns::of(reading, &self.base)?;
        let gone = self.gone.iter().filter_map(|id| self.base.place(*id));
        gone.for_each(|at| patterns.forget(&self.base.entry(at)));
        for entry in self.entries.values() {
            patterns.insert(Arc::new(reading.read(entry, reading.resolve)?));
        }
        self.patterns.push(patterns);
        // Changes find entries by their keys, and none shall wait for an index.
        if self.nets().is_none() {
            self.base.make_index();
        }
        Ok(&self.patterns[self.patterns.len() - 1])
    }

    /// The place of an entry that is still as it was listed.
    fn packed(&self, id: u64) -> Option<usize> {
        self.base.place(id).filter(|_| self.gone.is_empty() || !self.gone.contains(&id))
    }

    fn nets(&self) -> Option<&NetIndex> {
        self.patterns.iter().find_map(Patterns::nets)
    }

    /// The ids of those with this key.
    fn packed_named(&self, text: &[u8]) -> Vec<u64> {
        let found: Vec<usize> = match self.nets() {
            Some(nets) => nets.named(&self.base, text),
            None => self.base.named(text, false).map(|record| record.at).collect(),
        };
        let ids = found.into_iter().map(|at| at as u64 + 1);
        ids.filter(|id| self.packed(*id).is_some()).collect()
    }

    fn entry(&self, id: u64) -> Option<Arc<Entry>> {
        match self.packed(id) {
            Some(at) => Some(Arc::new(self.base.entry(at))),
            None => self.entries.get(&id).cloned(),
        }
    }

    /// The entries that a command names.
    pub fn named(&self, key: Key<'_>) -> Vec<Arc<Entry>> {
        let mut ids = match key {
            Key::Id(id) => vec![id],
            Key::Text(text) => {
                let loose = self.by_text.get(text).map(Bucket::ids).unwrap_or_default();
                self.packed_named(text).into_iter().chain(loose).collect()
            }
        };
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.entry(*id)).collect()
    }

    pub fn has(&self, text: &[u8]) -> bool {
        self.by_text.get(text).is_some() || !self.packed_named(text).is_empty()
    }

    /// Adds an entry, or replaces the one with its id and text. One that a use cannot read changes nothing.
    pub fn insert(&mut self, entry: Arc<Entry>) -> Result<(), String> {
        let read = |p: &Patterns| Ok(Arc::new(p.reading.read(&entry, false)?));
        let read: Vec<_> = self.patterns.iter().map(read).collect::<Result<_, String>>()?;
        if let Some(at) = self.packed(entry.id()) {
            self.forget(&self.base.entry(at));
        }
        for (patterns, pattern) in self.patterns.iter_mut().zip(read) {
            patterns.insert(pattern);
        }
        self.by_text.insert(entry.clone());
        self.entries.insert(entry.id(), entry);
        Ok(())
    }

    /// An entry of the base is no more as it was listed.
    fn forget(&mut self, entry: &Entry) {
        self.gone.insert(entry.id);
        self.patterns.iter_mut().for_each(|patterns| patterns.forget(entry));
    }

    pub fn remove(&mut self, entry: &Entry) {
        if self.packed(entry.id).is_some() {
            return self.forget(entry);
        }
        for patterns in &mut self.patterns {
            patterns.remove(entry);
        }
        self.by_text.remove(&entry.key, entry.id);
        self.entries.remove(&entry.id);
    }
}
