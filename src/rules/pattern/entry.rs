//! Entries of a reference: the texts as they were written, and how commands name them.

use super::texts::Keyed;

use std::sync::Arc;

/// One pattern, and in a map its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique in its reference (`0x...` of `show acl`); those that come later have higher ones.
    pub id: u64,
    pub key: Box<[u8]>,
    pub value: Option<Box<[u8]>>,
    /// Line of the file it came from; 0 for none.
    pub line: usize,
}

impl Keyed for Arc<Entry> {
    fn id(&self) -> u64 {
        self.id
    }

    fn text(&self) -> &[u8] {
        &self.key
    }
}

/// How a command names entries.
#[derive(Clone, Copy, Debug)]
pub enum Key<'k> {
    Id(u64),
    Text(&'k [u8]),
}
