//! The entries of one version of a reference, with what its uses read from them.

use std::sync::Arc;

use imbl::OrdMap;
use smallvec::SmallVec;

use super::entry::{Entry, Key};
use super::list::Patterns;
use super::reading::Reading;
use super::texts::{Bucket, Keyed, Texts};

/// Entries in order. A copy shares its structure: it costs next to nothing, a change its own size.
#[derive(Clone, Debug, Default)]
pub struct Content {
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

    pub fn entries(&self) -> &OrdMap<u64, Arc<Entry>> {
        &self.entries
    }

    pub fn patterns(&self) -> &[Patterns] {
        &self.patterns
    }

    /// Adds a reading of all entries. Names may be looked up if it says so: a configuration is being built.
    pub fn read(&mut self, reading: Reading) -> Result<&Patterns, String> {
        let mut patterns = Patterns::new(reading);
        for entry in self.entries.values() {
            patterns.insert(Arc::new(reading.read(entry, reading.resolve)?));
        }
        self.patterns.push(patterns);
        Ok(&self.patterns[self.patterns.len() - 1])
    }

    /// The entries that a command names.
    pub fn named(&self, key: Key<'_>) -> Vec<Arc<Entry>> {
        let ids = match key {
            Key::Id(id) => vec![id],
            Key::Text(text) => self.by_text.get(text).map(Bucket::ids).unwrap_or_default(),
        };
        ids.iter().filter_map(|id| self.entries.get(id).cloned()).collect()
    }

    pub fn has(&self, text: &[u8]) -> bool {
        self.by_text.get(text).is_some()
    }

    /// Adds an entry, or replaces the one with its id and text. One that a use cannot read changes nothing.
    pub fn insert(&mut self, entry: Arc<Entry>) -> Result<(), String> {
        let read = |p: &Patterns| Ok(Arc::new(p.reading.read(&entry, false)?));
        let read: Vec<_> = self.patterns.iter().map(read).collect::<Result<_, String>>()?;
        for (patterns, pattern) in self.patterns.iter_mut().zip(read) {
            patterns.insert(pattern);
        }
        self.by_text.insert(entry.clone());
        self.entries.insert(entry.id(), entry);
        Ok(())
    }

    pub fn remove(&mut self, entry: &Entry) {
        for patterns in &mut self.patterns {
            patterns.remove(entry);
        }
        self.by_text.remove(&entry.key, entry.id);
        self.entries.remove(&entry.id);
    }
}
