//! Header blocks to fields (RFC 7541 section 3).

use std::cell::RefCell;

use super::table::{Name, Table};
use super::{huffman, integer, known};

/// What makes a block, and with it the connection, unreadable (RFC 9113 section 4.3: COMPRESSION_ERROR).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// An integer that is not whole or too large.
    Integer,
    /// An index of no entry.
    Index,
    /// A string that is longer than its block.
    Length,
    /// A code that stands for nothing, or wrong padding.
    Huffman,
    /// A change of the table's size that is not allowed, or not at the start of a block.
    Resize,
}

/// The strings of one field that were in the Huffman code, decoded.
#[derive(Default)]
struct Scratch {
    name: Vec<u8>,
    value: Vec<u8>,
}

thread_local! {
    /// Of a thread and not of each connection, most of which are idle.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The decoder of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What we let the table be (`SETTINGS_HEADER_TABLE_SIZE`).
    most: usize,
}

/// A string of a block: where it stands, or that it was decoded.
enum Text<'a> {
    Here(&'a [u8]),
    Decoded,
}

impl Decoder {
    /// `most`: the `SETTINGS_HEADER_TABLE_SIZE` that the peer was told.
    pub fn new(most: usize) -> Decoder {
        Decoder { table: Table::new(most), most }
    }

    /// Hands each field of a whole block to `sink`: name, value, and whether it must never be put into a table
    /// (section 6.2.3). Nothing is said about what names and values may hold.
    pub fn decode(&mut self, block: &[u8], mut sink: impl FnMut(&[u8], &[u8], bool)) -> Result<(), Invalid> {
        SCRATCH.with(|scratch| {
            let Ok(mut scratch) = scratch.try_borrow_mut() else { return Err(Invalid::Length) };
            let mut at = 0;
            let mut begun = false;
            while let Some(first) = block.get(at).copied() {
                if first & 0xe0 == 0x20 {
                    let size = integer::read(block, &mut at, 5).ok_or(Invalid::Integer)?;
                    if begun || size > self.most {
                        return Err(Invalid::Resize);
                    }
                    self.table.resize(size);
                    continue;
                }
                begun = true;
                if first & 0x80 != 0 {
                    let index = integer::read(block, &mut at, 7).ok_or(Invalid::Integer)?;
                    let (name, value) = self.entry(index)?;
                    sink(name, value, false);
                } else {
                    self.literal(block, &mut at, &mut scratch, &mut sink)?;
                }
            }
            Ok(())
        })
    }

    #[inline]
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Invalid> {
        match index.checked_sub(1).ok_or(Invalid::Index)? {
            place if place < known::COUNT => Ok(known::ENTRIES[place]),
            place => self.table.get(place - known::COUNT).ok_or(Invalid::Index),
        }
    }

    fn literal(
        &mut self,
        block: &[u8],
        at: &mut usize,
        scratch: &mut Scratch,
        sink: &mut impl FnMut(&[u8], &[u8], bool),
    ) -> Result<(), Invalid> {
        let first = block[*at];
        let added = first & 0x40 != 0;
        let index = integer::read(block, at, if added { 6 } else { 4 }).ok_or(Invalid::Integer)?;
        let named = match index {
            0 => Some(text(block, at, &mut scratch.name)?),
            _ => None,
        };
        let value = match text(block, at, &mut scratch.value)? {
            Text::Here(value) => value,
            Text::Decoded => &scratch.value[..],
        };
        let name = match &named {
            None => self.entry(index)?.0,
            Some(Text::Here(name)) => name,
            Some(Text::Decoded) => &scratch.name[..],
        };
        sink(name, value, first & 0x10 != 0 && !added);
        if added {
            let name = match (named, index) {
                (Some(Text::Here(name)), _) => Name::Bytes(name),
                (Some(Text::Decoded), _) => Name::Bytes(&scratch.name),
                (None, index) if index <= known::COUNT => Name::Bytes(known::ENTRIES[index - 1].0),
                (None, index) => Name::Entry(index - 1 - known::COUNT),
            };
            self.table.add(name, value);
        }
        Ok(())
    }
}

/// The string at `at` (section 5.2), decoded into `decoded` if it is in the Huffman code.
#[inline]
fn text<'a>(block: &'a [u8], at: &mut usize, decoded: &mut Vec<u8>) -> Result<Text<'a>, Invalid> {
    let coded = block.get(*at).ok_or(Invalid::Length)? & 0x80 != 0;
    let len = integer::read(block, at, 7).ok_or(Invalid::Integer)?;
    let bytes = block.get(*at..*at + len).ok_or(Invalid::Length)?;
    *at += len;
    if !coded {
        return Ok(Text::Here(bytes));
    }
    decoded.clear();
    if huffman::decode(bytes, decoded) { Ok(Text::Decoded) } else { Err(Invalid::Huffman) }
}
