//! Integers of the protocol: one octet below 240, else four bits in the first and seven in each that follows.

pub use crate::base::varint::put;

/// What became of reading an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The integer, and how many octets it took.
    Whole(u64, usize),
    /// More octets are needed.
    Short,
    /// No integer of 64 bits has so many octets.
    Long,
}

/// Most octets of an integer.
const MOST: usize = 10;

/// Reads the integer at the beginning.
pub fn take(bytes: &[u8]) -> Taken {
    let Some(first) = bytes.first() else { return Taken::Short };
    let mut value = u64::from(*first);
    if value < 240 {
        return Taken::Whole(value, 1);
    }
    let mut shift = 4;
    for (i, byte) in bytes.iter().enumerate().skip(1) {
        if i >= MOST {
            return Taken::Long;
        }
        value = value.wrapping_add(u64::from(*byte) << shift);
        if *byte < 128 {
            return Taken::Whole(value, i + 1);
        }
        shift += 7;
    }
    if bytes.len() >= MOST { Taken::Long } else { Taken::Short }
}

/// The fields of a message, one after the other. `None`: it ends too early.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn integer(&mut self) -> Option<u64> {
        match take(self.rest) {
            Taken::Whole(value, len) => {
                self.rest = self.rest.get(len..)?;
                Some(value)
            }
            Taken::Short | Taken::Long => None,
        }
    }

    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// 32 bits, the highest first.
    pub fn word(&mut self) -> Option<u32> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*taken))
    }

    /// Octets whose number stands before them.
    pub fn counted(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.integer()?).ok()?;
        self.bytes(len)
    }
}
