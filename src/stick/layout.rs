//! Where what an entry holds lies in it.

use super::data::{Data, Shape, TYPES};
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
    /// Word of what other nodes counted, in a table of a cluster; 0: there is none.
    pub others: u16,
}

/// Words of a sum: it has no periods of its own.
pub fn sum_words(data: Data) -> usize {
    if data.shape() == Shape::Long { 2 } else { 1 }
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
    /// `is_shared`: it is told to others. `is_cluster`: what other nodes counted lies beside what is counted here.
    pub fn new(kind: KeyKind, store: &[Stored], is_shared: bool, is_cluster: bool) -> Layout {
        let mut places = [Place::default(); TYPES];
        let mut words = HEADER + kind.words();
        for stored in store {
            let place = &mut places[stored.data as usize];
            *place = Place { at: words as u16, count: stored.count, period: stored.period_ms, others: 0 };
            words += stored.data.shape().words() * usize::from(stored.count);
        }
        for stored in store.iter().filter(|stored| is_cluster && stored.data.is_summed()) {
            places[stored.data as usize].others = words as u16;
            words += sum_words(stored.data) * usize::from(stored.count);
        }
        let shared = if is_shared { words } else { 0 };
        words += if is_shared { SHARED } else { 0 };
        Layout { kind, places, words, shared }
    }

    /// Where the sum of other nodes lies for a value that lies at word `at`. `None`: other nodes are not summed.
    pub fn others(&self, data: Data, at: usize) -> Option<usize> {
        let place = &self.places[data as usize];
        let index = (at - usize::from(place.at)) / data.shape().words();
        (place.others > 0).then(|| usize::from(place.others) + index * sum_words(data))
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
