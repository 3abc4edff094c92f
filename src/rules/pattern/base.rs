//! The entries that a configuration lists, packed: their texts one behind the other, and an index of few bytes an entry.
//! Once it is sealed it never changes; what is changed at run time lies beside it ([`super::content`]).

use std::collections::{BTreeSet, HashMap};

use crate::http::token;
use crate::os::pages::prefer_large;

use super::cells::Cells;
use super::entry::Entry;
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
    index: Index,
    /// Where texts are looked up in it, and they are many.
    cells: Option<Cells>,
    /// The different lengths of keys, the longest first.
    lengths: Vec<u32>,
}

/// Keys by their hash, which knows no case.
#[derive(Debug, Default)]
struct Index {
    /// Half a hash and the entry's number from 1; 0 is a free slot.
    slots: Vec<u64>,
    /// Further entries with the key of this one, case apart.
    twins: HashMap<u32, Vec<u32>>,
}

/// ASCII letters in lower case, eight bytes at once.
fn lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = word & (0x7f * ONES);
    let from_a = low + (0x80 - u64::from(b'A')) * ONES;
    let behind_z = low + (0x7f - u64::from(b'Z')) * ONES;
    let is_upper = from_a & !behind_z & !word & (0x80 * ONES);
    word | is_upper >> 2
}

fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    wide as u64 ^ (wide >> 64) as u64
}

/// Of a text without its case. Whoever fills a base is trusted, so it needs no secret.
fn hash(text: &[u8]) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = STEP ^ text.len() as u64;
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        state = mix(state ^ lower(u64::from_le_bytes(*word)), STEP).wrapping_add(STEP);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ lower(u64::from_le_bytes(last)), 0xd6e8_feb8_6659_fd93)
}

impl Index {
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    /// Entries in slots from the hash's own on, up to a free one.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> {
        let home = self.home(hash);
        let (before, from) = self.slots.split_at(home);
        let taken = from.iter().chain(before).take_while(|slot| **slot != 0);
        taken.filter(move |slot| **slot >> 32 == hash & 0xffff_ffff).map(|slot| *slot as u32 as usize - 1)
    }

    /// Puts an entry into the slot that it tells.
    fn put(&mut self, hash: u64, at: u32) -> usize {
        let mut slot = self.home(hash);
        while self.slots[slot] != 0 {
            slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 };
        }
        self.slots[slot] = hash << 32 | u64::from(at + 1);
        slot
    }
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

    /// Makes the index; nothing is added any more. Where it `serves_texts`, lookups of texts wait for memory as little as
    /// they can.
    pub fn seal(&mut self, serves_texts: bool) {
        if self.is_sealed {
            return;
        }
        self.is_sealed = true;
        self.text.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.lines.shrink_to_fit();
        if self.len() <= FEW {
            return;
        }
        let mut index = Index { slots: vec![0; self.len() + self.len() / 4 + 1], twins: HashMap::new() };
        prefer_large(&index.slots);
        let mut cells = serves_texts.then(|| Cells::new(index.slots.len(), self.has_values));
        let mut lengths = BTreeSet::new();
        let mut last = usize::MAX;
        for at in 0..self.len() {
            let record = self.record(at);
            if record.key.len() != last {
                last = record.key.len();
                lengths.insert(last as u32);
            }
            let hash = hash(record.key);
            let twin = index.probe(hash).find(|other| token::same(self.key(*other), record.key));
            if let Some(twin) = twin {
                index.twins.entry(twin as u32).or_default().push(at as u32);
                continue;
            }
            let slot = index.put(hash, at as u32);
            if let Some(cells) = &mut cells {
                cells.put(slot, hash, record);
            }
        }
        self.index = index;
        self.cells = cells;
        self.lengths = lengths.into_iter().rev().collect();
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

    /// Entries with this key, in order.
    pub fn named(&self, text: &[u8], ignore_case: bool) -> impl Iterator<Item = Record<'_>> {
        let few = if self.index.slots.is_empty() { 0..self.len() } else { 0..0 };
        let first = if few.is_empty() { self.first(text) } else { None };
        let twins = first.and_then(|first| self.index.twins.get(&(first.at as u32)));
        let twins = twins.into_iter().flatten().map(|at| *at as usize);
        let found =
            few.map(move |at| self.record(at)).chain(first).chain(twins.map(move |at| self.record(at)));
        found.filter(
            move |record| if ignore_case { token::same(record.key, text) } else { record.key == text },
        )
    }

    /// The first entry with a key, case apart, by the index.
    fn first(&self, text: &[u8]) -> Option<Record<'_>> {
        if self.index.slots.is_empty() {
            return None;
        }
        let hash = hash(text);
        let is_it = |record: &Record<'_>| token::same(record.key, text);
        match &self.cells {
            Some(cells) => {
                let found = cells.probe(self.index.home(hash), hash);
                found.map(|found| found.unwrap_or_else(|at| self.record(at))).find(is_it)
            }
            None => self.index.probe(hash).map(|at| self.record(at)).find(is_it),
        }
    }

    /// The lengths of keys that this text may begin or end with, the longest first. Known once it is sealed, of more than
    /// few.
    pub fn lengths(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let fitting = self.lengths.partition_point(|len| *len as usize > text.len());
        self.lengths[fitting..].iter().map(|len| *len as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_letters_at_once() {
        for byte in 0..=255u8 {
            let word = u64::from_le_bytes([byte; 8]);
            assert_eq!(lower(word), u64::from_le_bytes([byte.to_ascii_lowercase(); 8]), "{byte}");
        }
        assert_eq!(hash(b"Www.Example.COM"), hash(b"www.example.com"));
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }

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
            base.seal(serves_texts);
            assert!(!base.push(b"late", Some(b""), 0));
            assert_eq!(base.cells.is_some(), serves_texts);
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
