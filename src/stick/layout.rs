//! Where what an entry holds lies in it.

use super::data::{Data, TYPES};
use super::key::KeyKind;
use super::spec::Stored;

/// Words before the key.
pub const EXPIRE: usize = 0;
pub const REFS: usize = 1;
/// The next entry of the same bucket, or the next free one.
pub const CHAIN: usize = 2;
/// Neighbours in the order of age.
pub const OLDER: usize = 3;
pub const NEWER: usize = 4;
pub const HEADER: usize = 5;
/// Words behind all others in a table that is told to peers: the version of the entry (two words), and its neighbours in
/// the order of changes.
pub const SHARED: usize = 4;

/// Where one data type lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Word in the record; 0: not stored.
    pub at: u16,
    /// Elements.
    pub count: u8,
    pub period: u32,
}

#[derive(Clone, Debug)]
pub struct Layout {
    pub kind: KeyKind,
    pub places: [Place; TYPES],
    /// Words of an entry.
    pub words: usize,
    /// Where the words of a table lie that is told to peers (see [`SHARED`]); 0: it is told to nobody.
    pub shared: usize,
}

impl Layout {
    pub fn new(kind: KeyKind, store: &[Stored], is_shared: bool) -> Layout {
        let mut places = [Place::default(); TYPES];
        let mut words = HEADER + kind.words();
        for stored in store {
            let place = &mut places[stored.data as usize];
            *place = Place { at: words as u16, count: stored.count, period: stored.period_ms };
            words += stored.data.shape().words() * usize::from(stored.count);
        }
        let shared = if is_shared { words } else { 0 };
        words += if is_shared { SHARED } else { 0 };
        Layout { kind, places, words, shared }
    }

    /// Where element `index` of a data type lies, and its period. A value of its own may lie in an array.
    pub fn find(&self, data: Data, index: usize) -> Option<(Data, usize, u32)> {
        let place = &self.places[data as usize];
        if place.at == 0 {
            let (array, index) = data.element()?;
            return if self.places[array as usize].at == 0 { None } else { self.find(array, index) };
        }
        let is_there = index < usize::from(place.count);
        let at = usize::from(place.at) + index * data.shape().words();
        is_there.then_some((data, at, place.period))
    }
}
