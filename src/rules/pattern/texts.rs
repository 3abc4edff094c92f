//! An index by text that shares its structure between versions: a copy costs next to nothing, a change its own size.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use imbl::{GenericHashMap, OrdMap};

/// What can be found by its text; of several with the same one, the lowest id counts.
pub trait Keyed: Clone {
    fn id(&self) -> u64;
    fn text(&self) -> &[u8];
}

/// A hash map that shares its structure between versions.
pub type Shared<K, V> = GenericHashMap<K, V, foldhash::fast::RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// Items with the same text (or network), in the order of their ids.
#[derive(Clone, Debug)]
pub enum Bucket<T: Clone> {
    One(T),
    /// Boxed because it is rare.
    More(Box<OrdMap<u64, T>>),
}

impl<T: Keyed> Bucket<T> {
    /// The one that counts.
    pub fn first(&self) -> &T {
        match self {
            Bucket::One(item) => item,
            // A bucket is never empty: see `without`.
            Bucket::More(items) => &items.get_min().expect("an item").1,
        }
    }

    pub fn ids(&self) -> Vec<u64> {
        match self {
            Bucket::One(item) => vec![item.id()],
            Bucket::More(items) => items.keys().copied().collect(),
        }
    }

    /// With another item, or with the one of the same id replaced.
    pub fn with(self, item: T) -> Bucket<T> {
        match self {
            Bucket::One(old) if old.id() == item.id() => Bucket::One(item),
            Bucket::One(old) => {
                Bucket::More(Box::new(OrdMap::from_iter([(old.id(), old), (item.id(), item)])))
            }
            Bucket::More(mut items) => {
                items.insert(item.id(), item);
                Bucket::More(items)
            }
        }
    }

    /// Without an item; `None` when it was the last.
    pub fn without(self, id: u64) -> Option<Bucket<T>> {
        match self {
            Bucket::One(item) => (item.id() != id).then_some(Bucket::One(item)),
            Bucket::More(mut items) => {
                items.remove(&id);
                (!items.is_empty()).then_some(Bucket::More(items))
            }
        }
    }
}

/// An item as a key.
#[derive(Clone, Debug)]
struct Text<T>(T);

impl<T: Keyed> Borrow<[u8]> for Text<T> {
    fn borrow(&self) -> &[u8] {
        self.0.text()
    }
}

impl<T: Keyed> Hash for Text<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text().hash(state);
    }
}

impl<T: Keyed> PartialEq for Text<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.text() == other.0.text()
    }
}

impl<T: Keyed> Eq for Text<T> {}

/// Items by their text.
#[derive(Clone, Debug)]
pub struct Texts<T: Keyed> {
    index: Shared<Text<T>, Bucket<T>>,
    /// Every length with the number of texts that have it, the longest first.
    lengths: Vec<(usize, usize)>,
}

impl<T: Keyed> Default for Texts<T> {
    fn default() -> Self {
        Texts { index: Shared::default(), lengths: Vec::new() }
    }
}

impl<T: Keyed> Texts<T> {
    pub fn get(&self, text: &[u8]) -> Option<&Bucket<T>> {
        self.index.get(text)
    }

    /// What is found under the beginnings of a text, the longest first.
    pub fn beginnings(&self, text: &[u8]) -> impl Iterator<Item = &T> {
        self.lengths(text).filter_map(|len| Some(self.get(&text[..len])?.first()))
    }

    /// What is found under the ends of a text, the longest first.
    pub fn endings(&self, text: &[u8]) -> impl Iterator<Item = &T> {
        self.lengths(text).filter_map(|len| Some(self.get(&text[text.len() - len..])?.first()))
    }

    /// The lengths of texts that this one may begin or end with.
    fn lengths(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let fitting = self.lengths.partition_point(|(len, _)| *len > text.len());
        self.lengths[fitting..].iter().map(|(len, _)| *len)
    }

    /// Adds an item, or replaces the one of the same text and id.
    pub fn insert(&mut self, item: T) {
        let len = item.text().len();
        let bucket = match self.index.get(item.text()) {
            Some(bucket) => bucket.clone().with(item.clone()),
            None => {
                let at = self.lengths.partition_point(|(l, _)| *l > len);
                match self.lengths.get_mut(at) {
                    Some((l, count)) if *l == len => *count += 1,
                    _ => self.lengths.insert(at, (len, 1)),
                }
                Bucket::One(item.clone())
            }
        };
        self.index.insert(Text(item), bucket);
    }

    pub fn remove(&mut self, text: &[u8], id: u64) {
        let Some((key, bucket)) = self.index.remove_with_key(text) else { return };
        if let Some(rest) = bucket.without(id) {
            // The key may be the item that goes.
            let key = if key.0.id() == id { Text(rest.first().clone()) } else { key };
            self.index.insert(key, rest);
            return;
        }
        let at = self.lengths.partition_point(|(l, _)| *l > text.len());
        if let Some((_, count)) = self.lengths.get_mut(at) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(at);
            }
        }
    }
}
