//! The entries that a configuration lists, packed: their texts one behind the other, and an index of few bytes an entry.
//! Once it is sealed it never changes; what is changed at run time lies beside it ([`super::content`]).

use std::sync::OnceLock;

use crate::http::token;
use crate::os::pages::prefer_large;

use super::entry::Entry;
use super::index::Index;
use super::record::Record;

/// Up to this many entries a scan is faster than an index.
pub const FEW: usize = 8;

/// Where an entry's key begins and ends; its value ends where the next entry begins.
#[derive(Clone, Copy, Debug)]
struct Mark {
    start: u32,
    key_end: u32,
}

/// Entries with the ids 1, 2, 3 and so on.
#[derive(Debug, Default)]
pub struct Base {
    text: Vec<u8>,
    marks: Vec<Mark>,
    lines: Vec<u32>,
    has_values: bool,
    is_sealed: bool,
    /// Made when somebody asks for keys.
    index: OnceLock<Index>,
}

impl Base {
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Makes room for so many entries, of so many bytes together.
    pub fn reserve(&mut self, entries: usize, bytes: usize) {
        self.text.reserve(bytes);
        self.marks.reserve(entries);
        self.lines.reserve(entries);
        prefer_large(&self.text);
        prefer_large(&self.marks);
    }

    /// Adds an entry. False: there is no room for it, or no more may be added.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>, line: usize) -> bool {
        let start = self.text.len();
        let end = start + key.len() + value.map_or(0, <[u8]>::len);
        let fits = end < u32::MAX as usize && self.len() < u32::MAX as usize - 1;
        if self.is_sealed || !fits || (self.len() > 0 && self.has_values != value.is_some()) {
            return false;
        }
        self.has_values = value.is_some();
        self.text.extend_from_slice(key);
        self.text.extend_from_slice(value.unwrap_or_default());
        self.marks.push(Mark { start: start as u32, key_end: (start + key.len()) as u32 });
        self.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        true
    }

    pub fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Nothing is added any more.
    pub fn seal(&mut self) {
        self.is_sealed = true;
        self.text.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.lines.shrink_to_fit();
    }

    /// Makes ready for lookups of texts, which wait for memory as little as they can.
    pub fn serve_texts(&self) {
        if self.is_sealed && self.len() > FEW {
            self.index.get_or_init(|| Index::of(self, true));
        }
    }

    /// Makes the index, unless there is one.
    pub fn make_index(&self) {
        self.index();
    }

    /// The index of a sealed base of more than few.
    fn index(&self) -> Option<&Index> {
        (self.is_sealed && self.len() > FEW).then(|| self.index.get_or_init(|| Index::of(self, false)))
    }

    pub fn record(&self, at: usize) -> Record<'_> {
        Record { at, key: self.key(at), value: self.value(at) }
    }

    pub fn key(&self, at: usize) -> &[u8] {
        let mark = self.marks[at];
        &self.text[mark.start as usize..mark.key_end as usize]
    }

    pub fn value(&self, at: usize) -> Option<&[u8]> {
        let end = self.marks.get(at + 1).map_or(self.text.len(), |next| next.start as usize);
        self.has_values.then(|| &self.text[self.marks[at].key_end as usize..end])
    }

    pub fn line(&self, at: usize) -> usize {
        self.lines[at] as usize
    }

    /// The place of an id.
    pub fn place(&self, id: u64) -> Option<usize> {
        let at = usize::try_from(id).ok()?.checked_sub(1)?;
        (at < self.len()).then_some(at)
    }

    pub fn entry(&self, at: usize) -> Entry {
        Entry {
            id: at as u64 + 1,
            key: self.key(at).into(),
            value: self.value(at).map(Into::into),
            line: self.line(at),
        }
    }

    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).map(|at| self.record(at))
    }

    pub fn has_values(&self) -> bool {
        self.has_values
    }

    /// Entries with this key, in order.
    pub fn named(&self, text: &[u8], ignore_case: bool) -> impl Iterator<Item = Record<'_>> {
        let index = self.index();
        let few = if index.is_none() { 0..self.len() } else { 0..0 };
        let found = index.into_iter().flat_map(move |index| index.find(self, text));
        few.map(move |at| self.record(at)).chain(found).filter(move |record| {
            if ignore_case { token::same(record.key, text) } else { record.key == text }
        })
    }

    /// The lengths of keys that this text may begin or end with, the longest first. Known once it is sealed, of more than
    /// few.
    pub fn lengths(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let most = text.len();
        self.index().into_iter().flat_map(move |index| index.lengths(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        for serves_texts in [false, true] {
            let mut base = Base::default();
            // Some have no room in a cell, some are just as long as that is.
            let key_of = |i: usize| format!("Key{i}{}", "-".repeat(i % 80));
            let value_of = |i: usize| "v".repeat(i % 7) + &i.to_string();
            for i in 0..5000 {
                assert!(base.push(key_of(i % 4000).as_bytes(), Some(value_of(i).as_bytes()), i));
            }
            base.seal();
            if serves_texts {
                base.serve_texts();
            }
            assert!(!base.push(b"late", Some(b""), 0));
            assert_eq!(base.index().is_some_and(Index::has_cells), serves_texts);
            for i in 0..4000 {
                let key = key_of(i);
                let found: Vec<Record<'_>> = base.named(key.as_bytes(), false).collect();
                let of = |at| Record { at, key: key.as_bytes(), value: base.value(at) };
                let expected: Vec<Record<'_>> =
                    [i, i + 4000].into_iter().filter(|at| *at < 5000).map(of).collect();
                assert_eq!(found, expected);
                assert!(base.named(key.to_lowercase().as_bytes(), false).next().is_none());
                assert_eq!(base.named(key.to_lowercase().as_bytes(), true).next(), Some(of(i)));
                assert_eq!(base.value(i), Some(value_of(i).as_bytes()));
            }
            assert!(base.named(b"Key4000", true).next().is_none());
        }
    }
}
