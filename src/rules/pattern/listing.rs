//! `Listing`: the entries of a version as they were at a moment, in order.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::base::Base;
use super::entry::Entry;

/// One entry of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'l> {
    pub id: u64,
    pub key: &'l [u8],
    pub value: Option<&'l [u8]>,
}

/// Entries in order. It holds what it lists, whatever is changed meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub(super) base: Arc<Base>,
    pub(super) gone: OrdSet<u64>,
    pub(super) entries: OrdMap<u64, Arc<Entry>>,
}

impl Listing {
    pub fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        let packed =
            (1..=self.base.len() as u64).filter(|id| self.gone.is_empty() || !self.gone.contains(id));
        let mut packed = packed.peekable();
        let mut loose = self.entries.values().peekable();
        std::iter::from_fn(move || {
            if let Some(id) = packed.next_if(|id| loose.peek().is_none_or(|entry| *id < entry.id)) {
                let at = id as usize - 1;
                return Some(Listed { id, key: self.base.key(at), value: self.base.value(at) });
            }
            let entry = loose.next()?;
            Some(Listed { id: entry.id, key: &entry.key, value: entry.value.as_deref() })
        })
    }
}
