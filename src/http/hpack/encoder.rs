//! Fields to header blocks (RFC 7541 section 3).
//!
//! What is worth an entry of the dynamic table is learnt: a field gets one when it is seen a second time, so that values
//! that never come again neither cost an insertion nor push out others. Entries are few; a lookup is one probe.

use super::table::{Name, OVERHEAD, Table};
use super::{huffman, integer, known};

/// What a new connection assumes of its peer's table (`SETTINGS_HEADER_TABLE_SIZE`).
const DEFAULT: usize = 4096;
/// What we use of it: an entry that is forgotten here while the peer still has it is merely not referred to.
const MOST: usize = 1024;
/// Probes remembered.
const SLOTS: usize = 64;

/// What was seen: the hash of a field, and the number of its entry if it got one.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    hash: u32,
    entry: Option<u32>,
}

/// The encoder of one direction of a connection.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    seen: Option<Box<[Sighting; SLOTS]>>,
    /// The peer changed the size of its table: the smallest it was since the last block, and what it is.
    resized: Option<(usize, usize)>,
    /// What the peer lets its table be.
    allowed: usize,
    /// Fields that no table may hold are passed on: only names that cannot be among them are indexed.
    careful: bool,
}

impl Encoder {
    /// `careful`: fields come from many and may be secrets (requests on a shared connection).
    pub fn new(careful: bool) -> Encoder {
        Encoder { table: Table::new(MOST), seen: None, resized: None, allowed: DEFAULT, careful }
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`; the next block says that it was taken over.
    pub fn resize(&mut self, size: usize) {
        let size = size.min(DEFAULT);
        let smallest = self.resized.map_or(size, |(smallest, _)| smallest).min(size);
        if size != self.allowed || self.resized.is_some() {
            self.resized = Some((smallest, size));
        }
        self.allowed = size;
    }

    /// Begins a block.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let Some((smallest, size)) = self.resized.take() else { return };
        for size in [Some(smallest), (size != smallest).then_some(size)].into_iter().flatten() {
            integer::write(size, 5, 0x20, out);
            self.table.resize(size.min(MOST));
        }
    }

    /// A status.
    pub fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let mut digits = itoa::Buffer::new();
                return self.field(b":status", digits.format(status).as_bytes(), out);
            }
        };
        out.push(0x80 | index);
    }

    /// A field; upper-case letters of its name are written in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let index = known::name(name);
        let pair = known::pair(index, value);
        if pair != 0 {
            return integer::write(pair, 7, 0x80, out);
        }
        // Authorization, Proxy-Authorization, Cookie, Set-Cookie (RFC 7541 section 7.1.3).
        if matches!(index, 23 | 32 | 49 | 55) {
            return literal(index, name, value, 4, 0x10, out);
        }
        let worth = if self.careful { is_harmless(index) } else { index != 28 };
        if !worth || name.len() + value.len() + OVERHEAD > self.table.max() / 2 {
            return literal(index, name, value, 4, 0, out);
        }
        self.learnt(index, name, value, out);
    }

    fn learnt(&mut self, index: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        let hash = hash(name, value);
        let nothing = Sighting { hash: 0, entry: None };
        let seen = self.seen.get_or_insert_with(|| Box::new([nothing; SLOTS]));
        let slot = &mut seen[hash as usize % SLOTS];
        if slot.hash != hash {
            *slot = Sighting { hash, entry: None };
            return literal(index, name, value, 4, 0, out);
        }
        let place = slot.entry.and_then(|number| self.table.place_of(number)).filter(|place| {
            self.table.get(*place).is_some_and(|(n, v)| n.eq_ignore_ascii_case(name) && v == value)
        });
        if let Some(place) = place {
            return integer::write(known::COUNT + 1 + place, 7, 0x80, out);
        }
        slot.entry = Some(self.table.added());
        self.table.add(Name::Bytes(name), value);
        added(index, name, value, out);
    }

    /// Entries that it has.
    pub fn entries(&self) -> usize {
        self.table.len()
    }
}

/// Names whose values say nothing that a client would keep to itself: `:authority`, `accept` and its kin, `user-agent`.
fn is_harmless(index: usize) -> bool {
    matches!(index, 1 | 15..=17 | 19 | 58)
}

/// A literal that is put into no table. `bits` and `high` are the prefix of the representation.
fn literal(index: usize, name: &[u8], value: &[u8], bits: u32, high: u8, out: &mut Vec<u8>) {
    integer::write(index, bits, high, out);
    if index == 0 {
        integer::write(name.len(), 7, 0, out);
        out.extend(name.iter().map(u8::to_ascii_lowercase));
    }
    integer::write(value.len(), 7, 0, out);
    out.extend_from_slice(value);
}

/// A literal that gets an entry: it is written once, in the Huffman code where that is shorter.
fn added(index: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    integer::write(index, 6, 0x40, out);
    if index == 0 {
        shortest(&name.to_ascii_lowercase(), out);
    }
    shortest(value, out);
}

fn shortest(text: &[u8], out: &mut Vec<u8>) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        integer::write(coded, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        integer::write(text.len(), 7, 0, out);
        out.extend_from_slice(text);
    }
}

/// Of a name in whatever case, and a value; never 0.
#[inline]
fn hash(name: &[u8], value: &[u8]) -> u32 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let mut state = (name.len() as u64) << 32 | value.len() as u64;
    let mut mix = |bytes: &[u8], lower: u64| {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state = (state.rotate_left(5) ^ (u64::from_le_bytes(*word) | lower)).wrapping_mul(PRIME);
        }
        for byte in rest {
            state = (state.rotate_left(5) ^ (u64::from(*byte) | lower & 0xff)).wrapping_mul(PRIME);
        }
    };
    mix(name, LOWER);
    mix(value, 0);
    ((state >> 32) as u32).max(1)
}
