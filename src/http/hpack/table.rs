//! The dynamic table (RFC 7541 sections 2.3.2 and 4): entries in the order they were added, the oldest leave first.

use std::collections::VecDeque;

/// What an entry counts beyond its name and value (RFC 7541 section 4.1).
pub const OVERHEAD: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Of its name in `bytes`; the value follows.
    at: u32,
    name: u32,
    value: u32,
}

impl Entry {
    fn len(self) -> usize {
        (self.name + self.value) as usize
    }
}

/// Where a new entry's name comes from.
#[derive(Clone, Copy)]
pub(super) enum Name<'a> {
    Bytes(&'a [u8]),
    /// The name of the entry with this place, 0 for the newest.
    Entry(usize),
}

/// Names and values of what was added, never more than `max` by the measure of RFC 7541. It owns no memory before
/// the first entry.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// The oldest first.
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
    /// Entries added so far.
    added: u32,
}

impl Table {
    pub(super) fn new(max: usize) -> Table {
        Table { bytes: Vec::new(), entries: VecDeque::new(), size: 0, max, added: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Name and value by place, 0 for the newest.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entry(place)?;
        self.bytes
            .get(entry.at as usize..entry.at as usize + entry.len())?
            .split_at_checked(entry.name as usize)
    }

    /// The place of the entry that was added when so many had been before it.
    #[inline]
    pub(super) fn place_of(&self, number: u32) -> Option<usize> {
        let place = self.added.wrapping_sub(number).wrapping_sub(1) as usize;
        (place < self.entries.len()).then_some(place)
    }

    pub(super) fn added(&self) -> u32 {
        self.added
    }

    /// Changes the limit; what does not fit any more leaves.
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict(max);
        self.pack();
    }

    /// Adds an entry; one that is larger than the table empties it and is not added (RFC 7541 section 4.4). False: it
    /// was not added.
    pub(super) fn add(&mut self, name: Name<'_>, value: &[u8]) -> bool {
        let named = match name {
            Name::Bytes(name) => name.len(),
            Name::Entry(place) => self.entry(place).map_or(0, |e| e.name as usize),
        };
        let size = named + value.len() + OVERHEAD;
        if size > self.max {
            self.evict(0);
            self.pack();
            return false;
        }
        let at = self.bytes.len();
        match name {
            Name::Bytes(name) => self.bytes.extend_from_slice(name),
            // Copied before it may leave.
            Name::Entry(place) => {
                let from = self.entry(place).map_or(0, |e| e.at as usize);
                self.bytes.extend_from_within(from..from + named);
            }
        }
        self.bytes.extend_from_slice(value);
        self.evict(self.max - size);
        self.size += size;
        self.entries.push_back(Entry { at: at as u32, name: named as u32, value: value.len() as u32 });
        self.added = self.added.wrapping_add(1);
        self.pack();
        true
    }

    fn entry(&self, place: usize) -> Option<Entry> {
        self.entries.get(self.entries.len().checked_sub(place + 1)?).copied()
    }

    fn evict(&mut self, room: usize) {
        while self.size > room
            && let Some(oldest) = self.entries.pop_front()
        {
            self.size -= oldest.len() + OVERHEAD;
        }
    }

    /// Lets go of what the entries that left had, once that is as much as the table may hold.
    fn pack(&mut self) {
        let Some(first) = self.entries.front() else { return self.bytes.clear() };
        let gone = first.at;
        if gone as usize >= self.max.max(256) {
            self.bytes.drain(..gone as usize);
            for entry in &mut self.entries {
                entry.at -= gone;
            }
        }
    }
}
