//! Copies of a base's entries in the order of their hashes, each in one line of the processor's cache. Among a million
//! entries a lookup's time is that of the lines it waits for, one after the other: here that is one.

use crate::os::pages::prefer_large;

use super::record::Record;

/// Bytes of a key and its value that a cell has room for.
const ROOM: usize = 52;
/// The length of a key whose entry has no room here.
const ELSEWHERE: u32 = u32::MAX;

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Cell {
    at: u32,
    key_len: u32,
    value_len: u32,
    text: [u8; ROOM],
}

const FREE: Cell = Cell { at: 0, key_len: ELSEWHERE, value_len: 0, text: [0; ROOM] };

impl Cell {
    fn of(record: Record<'_>) -> Cell {
        let mut cell = Cell { at: record.at as u32, ..FREE };
        let (key, value) = (record.key, record.value.unwrap_or_default());
        if let Some(room) = cell.text.get_mut(..key.len() + value.len()) {
            let (first, second) = room.split_at_mut(key.len());
            first.copy_from_slice(key);
            second.copy_from_slice(value);
            (cell.key_len, cell.value_len) = (key.len() as u32, value.len() as u32);
        }
        cell
    }
}

/// The cells of a base.
#[derive(Debug)]
pub struct Cells {
    /// A byte of the hash of each cell's key; 0 is a free one.
    tags: Vec<u8>,
    cells: Vec<Cell>,
    has_values: bool,
}

/// The byte of a hash that tells most keys apart before they are looked at.
fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

impl Cells {
    /// Room for so many.
    pub fn new(count: usize, has_values: bool) -> Cells {
        let (tags, cells) = (Vec::with_capacity(count), Vec::with_capacity(count));
        prefer_large(&cells);
        Cells { tags, cells, has_values }
    }

    /// The next one: a key's hash and its entry, or nothing.
    pub fn push(&mut self, taken: Option<(u64, Record<'_>)>) {
        self.tags.push(taken.map_or(0, |(hash, _)| tag(hash)));
        self.cells.push(taken.map_or(FREE, |(_, record)| Cell::of(record)));
    }

    /// Entries whose keys may have this hash, from its home on: the record of each, or its place where that is
    /// elsewhere.
    pub fn probe(&self, home: usize, hash: u64) -> impl Iterator<Item = Result<Record<'_>, usize>> {
        let (before, from) = self.tags.split_at(home);
        let (cells_before, cells) = self.cells.split_at(home);
        let tags = from.iter().chain(before).take_while(|tag| **tag != 0);
        let cells = cells.iter().chain(cells_before);
        tags.zip(cells).filter(move |(found, _)| **found == tag(hash)).map(move |(_, cell)| self.record(cell))
    }

    fn record<'c>(&self, cell: &'c Cell) -> Result<Record<'c>, usize> {
        let at = cell.at as usize;
        let (key_len, value_len) = (cell.key_len as usize, cell.value_len as usize);
        let key = cell.text.get(..key_len).ok_or(at)?;
        let value = cell.text.get(key_len..key_len + value_len).filter(|_| self.has_values);
        Ok(Record { at, key, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_line() {
        assert_eq!(size_of::<Cell>(), 64);
        assert_eq!(align_of::<Cell>(), 64);
    }

    /// What has no room is told by its place, what has is whole; the search goes around the end and stops where it is
    /// free.
    #[test]
    fn room_for_what_fits() {
        let long = "k".repeat(ROOM);
        let keys = ["short", &long, &long[1..], ""];
        let record = |at: usize| Record { at, key: keys[at].as_bytes(), value: Some(&b"v"[..]) };
        let mut cells = Cells::new(5, true);
        for taken in [Some((7, 0)), Some((7, 1)), None, Some((7, 2)), Some((8, 3))] {
            cells.push(taken.map(|(hash, entry)| (hash, record(entry))));
        }
        let found: Vec<_> = cells.probe(3, 7).collect();
        assert_eq!(found, [Ok(record(2)), Ok(record(0)), Err(1)]);
        assert_eq!(cells.probe(4, 8).collect::<Vec<_>>(), [Ok(record(3))]);
        assert_eq!(cells.probe(2, 7).count(), 0);
        let mut bare = Cells::new(2, false);
        bare.push(Some((0, record(0))));
        bare.push(None);
        assert_eq!(bare.probe(0, 0).collect::<Vec<_>>(), [Ok(Record { value: None, ..record(0) })]);
    }
}
