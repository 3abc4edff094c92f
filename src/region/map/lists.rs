//! Small lists as records hold them. They take no room when they are empty, and records that say the same share them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::record::Name;

/// Names in an order of their own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names(Option<Arc<[Name]>>);

impl Names {
    /// The same, shared with one of these that is equal; else every name that `known` has.
    pub(super) fn share<'a>(
        &mut self,
        mut others: impl Iterator<Item = &'a Names>,
        known: impl Fn(&Name) -> Option<Name>,
    ) {
        match others.find(|other| *other == self) {
            Some(other) => *self = other.clone(),
            None if self.is_empty() => {}
            None => *self = self.iter().map(|name| known(name).unwrap_or_else(|| name.clone())).collect(),
        }
    }
}

impl Deref for Names {
    type Target = [Name];

    fn deref(&self) -> &[Name] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl FromIterator<Name> for Names {
    fn from_iter<I: IntoIterator<Item = Name>>(names: I) -> Self {
        names.into_iter().collect::<Vec<Name>>().into()
    }
}

impl From<Vec<Name>> for Names {
    fn from(names: Vec<Name>) -> Self {
        Names((!names.is_empty()).then(|| names.into()))
    }
}

impl<'a> IntoIterator for &'a Names {
    type Item = &'a Name;
    type IntoIter = std::slice::Iter<'a, Name>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.deref().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Names::from)
    }
}

/// Values by name, in the order of the names.
#[derive(Clone, PartialEq, Eq)]
pub struct Table<V>(Option<Arc<[(Name, V)]>>);

impl<V> Table<V> {
    fn pairs(&self) -> &[(Name, V)] {
        self.0.as_deref().unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<&V> {
        let pairs = self.pairs();
        let at = pairs.binary_search_by(|pair| (*pair.0).cmp(name)).ok()?;
        pairs.get(at).map(|pair| &pair.1)
    }

    pub fn iter(&self) -> Pairwise<'_, V> {
        self.into_iter()
    }

    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<V: Clone> Table<V> {
    pub fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            *self = self.pairs().iter().filter(|pair| *pair.0 != *name).cloned().collect();
        }
    }
}

impl Table<Name> {
    /// The same, shared with one of these that is equal; else names and values that one of them has.
    pub(super) fn share<'a>(&mut self, others: impl Iterator<Item = &'a Table<Name>> + Clone) {
        if self.is_empty() {
            return;
        }
        if let Some(other) = others.clone().find(|other| *other == self) {
            *self = other.clone();
            return;
        }
        let pairs = self.pairs().iter().map(|(name, value)| {
            let like = others.clone().flat_map(Table::pairs).filter(|pair| pair.0 == *name);
            let same = like.clone().find(|pair| pair.1 == *value);
            let name = like.clone().next().map_or(name, |pair| &pair.0);
            (name.clone(), same.map_or(value, |pair| &pair.1).clone())
        });
        *self = Table(Some(pairs.collect()));
    }
}

impl<V: Clone> Extend<(Name, V)> for Table<V> {
    fn extend<I: IntoIterator<Item = (Name, V)>>(&mut self, more: I) {
        *self = self.pairs().iter().cloned().chain(more).collect();
    }
}

/// Of two with one name the latter counts.
impl<V> FromIterator<(Name, V)> for Table<V> {
    fn from_iter<I: IntoIterator<Item = (Name, V)>>(pairs: I) -> Self {
        let sorted: BTreeMap<Name, V> = pairs.into_iter().collect();
        Table((!sorted.is_empty()).then(|| sorted.into_iter().collect()))
    }
}

impl<V, const N: usize> From<[(Name, V); N]> for Table<V> {
    fn from(pairs: [(Name, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

type Pairwise<'a, V> =
    std::iter::Map<std::slice::Iter<'a, (Name, V)>, fn(&'a (Name, V)) -> (&'a Name, &'a V)>;

impl<'a, V> IntoIterator for &'a Table<V> {
    type Item = (&'a Name, &'a V);
    type IntoIter = Pairwise<'a, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs().iter().map(|pair| (&pair.0, &pair.1))
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Table(None)
    }
}

impl<V: fmt::Debug> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<V: Serialize> Serialize for Table<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self)
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::<Name, V>::deserialize(from)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::map::Pairs;

    #[test]
    fn a_table_is_read_and_written_as_an_ordered_map() {
        let name = |text: &str| Name::from(text);
        let mut table = Pairs::from([(name("b"), name("1")), (name("a"), name("2")), (name("b"), name("3"))]);
        let map = BTreeMap::from([(name("a"), name("2")), (name("b"), name("3"))]);
        assert!(table.iter().eq(&map));
        let bytes = postcard::to_stdvec(&map).expect("bytes");
        assert_eq!(postcard::to_stdvec(&table).expect("bytes"), bytes);
        assert_eq!(postcard::from_bytes::<Pairs>(&bytes).expect("a table"), table);
        assert_eq!(table.get("b"), Some(&name("3")));
        table.remove("b");
        table.extend([(name("a"), name("4"))]);
        table.remove("c");
        assert_eq!(format!("{table:?}"), r#"{"a": "4"}"#);
        table.remove("a");
        assert_eq!((table.len(), table), (0, Pairs::default()));
    }

    #[test]
    fn names_are_read_and_written_as_a_list() {
        let list: Vec<Name> = ["b".into(), "a".into()].into();
        let bytes = postcard::to_stdvec(&list).expect("bytes");
        let names = postcard::from_bytes::<Names>(&bytes).expect("names");
        assert_eq!(names[..], list[..]);
        assert_eq!(postcard::to_stdvec(&names).expect("bytes"), bytes);
        assert_eq!(postcard::from_bytes::<Names>(&[0]).expect("none"), Names::default());
    }
}
