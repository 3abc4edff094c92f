//! An ordered set that shares structure between versions and is made for large maps: a change of one item touches as few
//! others as it can.
//!
//! What makes a change dear in a large map is memory that no cache holds. A copied node counts one more reference to all
//! that hangs on it, each a line of memory, so nodes are small here: leaves of up to [`LEAF`] items, which are kept without
//! spare room, under a binary tree that is balanced by height. A fork holds the bound between its sides and no item, so no
//! old version of an item stays because of it. And counting is atomic, so that one waits for each line in turn; who only
//! looks at the counts before waits for all of them together ([`Shelf::warm`]).

use std::cmp::Ordering;
use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Arc;

use smallvec::SmallVec;

use super::record::Name;

/// Items of a leaf, at most.
const LEAF: usize = 16;
/// Two leaves under one fork that have so many together become one.
const MERGE: usize = 10;

/// What items are, and how they are ordered: by a key that each holds.
pub(super) trait Order {
    type Item: Clone;
    type Key<'a>: Copy;
    /// A key kept beside the items.
    type Bound: Clone;

    fn key(item: &Self::Item) -> Self::Key<'_>;
    fn bound(item: &Self::Item) -> Self::Bound;
    fn of(bound: &Self::Bound) -> Self::Key<'_>;
    fn compare(one: Self::Key<'_>, other: Self::Key<'_>) -> Ordering;
    /// Looks at the counts that a copy of the item counts up.
    fn count(item: &Self::Item) -> usize;
    /// Looks at where its key is.
    fn peek(_item: &Self::Item) -> usize {
        0
    }
    /// Looks at where a bound is.
    fn look(bound: &Self::Bound) -> usize;
}

pub(super) struct Shelf<O: Order> {
    root: Part<O>,
    len: usize,
}

enum Part<O: Order> {
    Leaf(Arc<[O::Item]>),
    Fork(Arc<Fork<O>>),
}

/// Everything on the left is below the bound, nothing on the right is.
struct Fork<O: Order> {
    left: Part<O>,
    right: Part<O>,
    bound: O::Bound,
    height: u32,
}

impl<O: Order> Clone for Part<O> {
    fn clone(&self) -> Self {
        match self {
            Part::Leaf(leaf) => Part::Leaf(leaf.clone()),
            Part::Fork(fork) => Part::Fork(fork.clone()),
        }
    }
}

impl<O: Order> Clone for Fork<O> {
    fn clone(&self) -> Self {
        let (left, right) = (self.left.clone(), self.right.clone());
        Fork { left, right, bound: self.bound.clone(), height: self.height }
    }
}

impl<O: Order> Fork<O> {
    /// Where a key belongs.
    fn side(&mut self, key: O::Key<'_>) -> &mut Part<O> {
        match O::compare(key, O::of(&self.bound)) {
            Ordering::Less => &mut self.left,
            _ => &mut self.right,
        }
    }
}

fn find<O: Order>(leaf: &[O::Item], key: O::Key<'_>) -> Result<usize, usize> {
    leaf.binary_search_by(|have| O::compare(O::key(have), key))
}

impl<O: Order> Default for Part<O> {
    fn default() -> Self {
        Part::Leaf(Arc::default())
    }
}

impl<O: Order> Part<O> {
    fn height(&self) -> u32 {
        match self {
            Part::Leaf(_) => 0,
            Part::Fork(fork) => fork.height,
        }
    }

    fn count(&self) -> usize {
        match self {
            Part::Leaf(leaf) => Arc::strong_count(leaf),
            Part::Fork(fork) => Arc::strong_count(fork) + O::look(&fork.bound),
        }
    }

    fn fork(left: Part<O>, bound: O::Bound, right: Part<O>) -> Part<O> {
        let height = 1 + left.height().max(right.height());
        Part::Fork(Arc::new(Fork { left, right, bound, height }))
    }

    /// The same of two whose heights differ by two at most.
    fn balanced(left: Part<O>, bound: O::Bound, right: Part<O>) -> Part<O> {
        let (low, high) = (left.height(), right.height());
        match (left, right) {
            (Part::Fork(tall), right) if low > high + 1 => {
                let tall = Arc::unwrap_or_clone(tall);
                match tall.right {
                    Part::Fork(inner) if inner.height > tall.left.height() => {
                        let inner = Arc::unwrap_or_clone(inner);
                        let left = Part::fork(tall.left, tall.bound, inner.left);
                        Part::fork(left, inner.bound, Part::fork(inner.right, bound, right))
                    }
                    inner => Part::fork(tall.left, tall.bound, Part::fork(inner, bound, right)),
                }
            }
            (left, Part::Fork(tall)) if high > low + 1 => {
                let tall = Arc::unwrap_or_clone(tall);
                match tall.left {
                    Part::Fork(inner) if inner.height > tall.right.height() => {
                        let inner = Arc::unwrap_or_clone(inner);
                        let right = Part::fork(inner.right, tall.bound, tall.right);
                        Part::fork(Part::fork(left, bound, inner.left), inner.bound, right)
                    }
                    inner => Part::fork(Part::fork(left, bound, inner), tall.bound, tall.right),
                }
            }
            (left, right) => Part::fork(left, bound, right),
        }
    }

    /// After a side of this fork grew or shrank.
    fn settle(&mut self) {
        let Part::Fork(fork) = self else { return };
        let (low, high) = (fork.left.height(), fork.right.height());
        if low.abs_diff(high) > 1 {
            if let Part::Fork(fork) = std::mem::take(self) {
                let Fork { left, right, bound, .. } = Arc::unwrap_or_clone(fork);
                *self = Part::balanced(left, bound, right);
            }
        } else if fork.height != 1 + low.max(high) {
            Arc::make_mut(fork).height = 1 + low.max(high);
        }
    }

    /// What stood in its place.
    fn insert(&mut self, item: &O::Item) -> Option<O::Item> {
        match self {
            Part::Leaf(leaf) => match find::<O>(leaf, O::key(item)) {
                Ok(at) => {
                    let place = Arc::make_mut(leaf).get_mut(at)?;
                    Some(std::mem::replace(place, item.clone()))
                }
                Err(at) => {
                    *self = grown(leaf, at, item);
                    None
                }
            },
            Part::Fork(fork) => {
                let fork = Arc::make_mut(fork);
                let side = fork.side(O::key(item));
                let old = side.insert(item);
                if old.is_none() {
                    self.settle();
                }
                old
            }
        }
    }

    fn remove(&mut self, key: O::Key<'_>) -> Option<O::Item> {
        match self {
            Part::Leaf(leaf) => {
                let at = find::<O>(leaf, key).ok()?;
                let gone = leaf.get(at).cloned();
                let (before, after) = leaf.split_at_checked(at)?;
                *leaf = before.iter().chain(after.iter().skip(1)).cloned().collect();
                gone
            }
            Part::Fork(fork) => {
                let fork = Arc::make_mut(fork);
                let side = fork.side(key);
                let gone = side.remove(key);
                if let (Part::Leaf(left), Part::Leaf(right)) = (&fork.left, &fork.right)
                    && left.len() + right.len() <= MERGE
                {
                    *self = Part::Leaf(left.iter().chain(right.iter()).cloned().collect());
                } else if matches!(&fork.left, Part::Leaf(left) if left.is_empty()) {
                    *self = fork.right.clone();
                } else if matches!(&fork.right, Part::Leaf(right) if right.is_empty()) {
                    *self = fork.left.clone();
                } else {
                    self.settle();
                }
                gone
            }
        }
    }

    fn get_mut(&mut self, key: O::Key<'_>) -> Option<&mut O::Item> {
        match self {
            Part::Leaf(leaf) => {
                let at = find::<O>(leaf, key).ok()?;
                Arc::make_mut(leaf).get_mut(at)
            }
            Part::Fork(fork) => Arc::make_mut(fork).side(key).get_mut(key),
        }
    }
}

/// A leaf with one item more, or two leaves: those that come in order leave full ones behind.
fn grown<O: Order>(leaf: &[O::Item], at: usize, item: &O::Item) -> Part<O> {
    let (before, after) = leaf.split_at_checked(at).unwrap_or((leaf, &[]));
    let all: SmallVec<[&O::Item; LEAF + 1]> = before.iter().chain([item]).chain(after).collect();
    let left = match at {
        _ if all.len() <= LEAF => all.len(),
        at if at == leaf.len() => LEAF - LEAF / 4,
        0 => LEAF / 4,
        _ => all.len() / 2,
    };
    let part = |items: &[&O::Item]| Part::Leaf(items.iter().copied().cloned().collect());
    match all.split_at_checked(left) {
        Some((left, right)) => match right.first() {
            Some(first) => Part::fork(part(left), O::bound(first), part(right)),
            None => part(left),
        },
        None => part(&all),
    }
}

impl<O: Order> Shelf<O> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, key: O::Key<'_>) -> Option<&O::Item> {
        let mut part = &self.root;
        loop {
            match part {
                Part::Fork(fork) if O::compare(key, O::of(&fork.bound)).is_lt() => part = &fork.left,
                Part::Fork(fork) => part = &fork.right,
                Part::Leaf(leaf) => {
                    let at = find::<O>(leaf, key).ok()?;
                    return leaf.get(at);
                }
            }
        }
    }

    /// Fetches what a copy of the way to a key counts up.
    fn warm(&self, key: O::Key<'_>) {
        let (mut part, mut seen) = (&self.root, 0);
        while let Part::Fork(fork) = part {
            seen += fork.left.count() + fork.right.count();
            part = if O::compare(key, O::of(&fork.bound)).is_lt() { &fork.left } else { &fork.right };
        }
        if let Part::Leaf(leaf) = part {
            seen += leaf.iter().map(O::count).sum::<usize>();
            seen += leaf.iter().map(O::peek).sum::<usize>();
        }
        black_box(seen);
    }

    /// Fetches what a copy of the whole counts up.
    pub(super) fn root_count(&self) -> usize {
        self.root.count()
    }

    pub(super) fn contains(&self, key: O::Key<'_>) -> bool {
        self.get(key).is_some()
    }

    /// The item must keep its key.
    pub(super) fn get_mut(&mut self, key: O::Key<'_>) -> Option<&mut O::Item> {
        self.warm(key);
        // What is not there copies nothing.
        self.get(key)?;
        self.root.get_mut(key)
    }

    /// Puts an item in the place of the one with its key, which is returned.
    pub(super) fn insert(&mut self, item: O::Item) -> Option<O::Item> {
        self.warm(O::key(&item));
        let old = self.root.insert(&item);
        self.len += usize::from(old.is_none());
        old
    }

    pub(super) fn remove(&mut self, key: O::Key<'_>) -> Option<O::Item> {
        self.warm(key);
        self.get(key)?;
        let gone = self.root.remove(key);
        self.len -= usize::from(gone.is_some());
        gone
    }

    pub(super) fn iter(&self) -> Iter<'_, O> {
        let mut all = Iter { ahead: SmallVec::new(), leaf: [].iter() };
        all.descend(&self.root, |_| Ordering::Greater);
        all
    }

    /// Those whose key is not below this one.
    pub(super) fn from(&self, key: O::Key<'_>) -> Iter<'_, O> {
        let mut rest = Iter { ahead: SmallVec::new(), leaf: [].iter() };
        rest.descend(&self.root, |have| O::compare(have, key));
        rest
    }
}

/// A record that has its key in it.
pub(super) trait Kept {
    fn kept_as(&self) -> &Name;
}

/// Records by the key in them.
pub(super) struct Own<T>(PhantomData<T>);

impl<T: Kept> Order for Own<T> {
    type Item = Arc<T>;
    type Key<'a> = &'a str;
    type Bound = Name;

    fn key(item: &Arc<T>) -> &str {
        item.kept_as()
    }

    fn bound(item: &Arc<T>) -> Name {
        item.kept_as().clone()
    }

    fn of(bound: &Name) -> &str {
        bound
    }

    fn compare(one: &str, other: &str) -> Ordering {
        one.cmp(other)
    }

    fn count(item: &Arc<T>) -> usize {
        Arc::strong_count(item)
    }

    fn peek(item: &Arc<T>) -> usize {
        first(item.kept_as())
    }

    fn look(bound: &Name) -> usize {
        Arc::strong_count(bound)
    }
}

/// Reads where a name is.
pub(super) fn first(name: &str) -> usize {
    name.as_bytes().first().copied().unwrap_or_default().into()
}

/// What a copy of a value counts up.
pub(super) trait Counted: Clone {
    fn count(&self) -> usize;
}

impl<T> Counted for Arc<T> {
    fn count(&self) -> usize {
        Arc::strong_count(self)
    }
}

impl Counted for u32 {
    fn count(&self) -> usize {
        0
    }
}

/// Pairs of names, by both.
pub(super) struct Pair;

impl Order for Pair {
    type Item = (Name, Name);
    type Key<'a> = (&'a str, &'a str);
    type Bound = (Name, Name);

    fn key(item: &(Name, Name)) -> (&str, &str) {
        (&item.0, &item.1)
    }

    fn bound(item: &(Name, Name)) -> (Name, Name) {
        item.clone()
    }

    fn of(bound: &(Name, Name)) -> (&str, &str) {
        (&bound.0, &bound.1)
    }

    fn compare(one: (&str, &str), other: (&str, &str)) -> Ordering {
        one.cmp(&other)
    }

    fn count(item: &(Name, Name)) -> usize {
        Arc::strong_count(&item.0) + Arc::strong_count(&item.1)
    }

    fn look(bound: &(Name, Name)) -> usize {
        Arc::strong_count(&bound.0) + Arc::strong_count(&bound.1)
    }
}

/// Values by a name beside each.
pub(super) struct Named<V>(PhantomData<V>);

impl<V: Counted> Order for Named<V> {
    type Item = (Name, V);
    type Key<'a> = &'a str;
    type Bound = Name;

    fn key(item: &(Name, V)) -> &str {
        &item.0
    }

    fn bound(item: &(Name, V)) -> Name {
        item.0.clone()
    }

    fn of(bound: &Name) -> &str {
        bound
    }

    fn compare(one: &str, other: &str) -> Ordering {
        one.cmp(other)
    }

    fn count(item: &(Name, V)) -> usize {
        Arc::strong_count(&item.0) + item.1.count()
    }

    fn look(bound: &Name) -> usize {
        Arc::strong_count(bound)
    }
}

impl<V: Counted> Shelf<Named<V>> {
    pub(super) fn value(&self, name: &str) -> Option<&V> {
        self.get(name).map(|item| &item.1)
    }

    pub(super) fn value_mut(&mut self, name: &str) -> Option<&mut V> {
        self.get_mut(name).map(|item| &mut item.1)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|item| &item.1)
    }

    /// Changes a value, or one made for the purpose.
    pub(super) fn change(&mut self, name: &Name, work: impl FnOnce(&mut V))
    where
        V: Default,
    {
        if let Some(value) = self.value_mut(name) {
            return work(value);
        }
        let mut value = V::default();
        work(&mut value);
        self.insert((name.clone(), value));
    }
}

pub(super) struct Iter<'a, O: Order> {
    /// What comes after the leaf, the next last.
    ahead: SmallVec<[&'a Part<O>; 16]>,
    leaf: std::slice::Iter<'a, O::Item>,
}

impl<'a, O: Order> Iter<'a, O> {
    /// To the first item that does not lie before what is looked for.
    fn descend(&mut self, mut part: &'a Part<O>, place: impl Fn(O::Key<'_>) -> Ordering) {
        loop {
            match part {
                Part::Fork(fork) if place(O::of(&fork.bound)) == Ordering::Greater => {
                    self.ahead.push(&fork.right);
                    part = &fork.left;
                }
                Part::Fork(fork) => part = &fork.right,
                Part::Leaf(leaf) => {
                    let at = leaf.partition_point(|have| place(O::key(have)) == Ordering::Less);
                    self.leaf = leaf.get(at..).unwrap_or_default().iter();
                    return;
                }
            }
        }
    }
}

impl<'a, O: Order> Iterator for Iter<'a, O> {
    type Item = &'a O::Item;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.leaf.next() {
                return Some(item);
            }
            let part = self.ahead.pop()?;
            self.descend(part, |_| Ordering::Greater);
        }
    }
}

impl<O: Order> Clone for Shelf<O> {
    fn clone(&self) -> Self {
        Shelf { root: self.root.clone(), len: self.len }
    }
}

impl<O: Order> Default for Shelf<O> {
    fn default() -> Self {
        Shelf { root: Part::default(), len: 0 }
    }
}

impl<O: Order<Item: PartialEq>> PartialEq for Shelf<O> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<O: Order<Item: fmt::Debug>> fmt::Debug for Shelf<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, O: Order> IntoIterator for &'a Shelf<O> {
    type Item = &'a O::Item;
    type IntoIter = Iter<'a, O>;

    fn into_iter(self) -> Iter<'a, O> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    struct Numbers;

    impl Order for Numbers {
        type Item = (u16, u32);
        type Key<'a> = u16;
        type Bound = u16;

        fn key(item: &Self::Item) -> u16 {
            item.0
        }

        fn bound(item: &Self::Item) -> u16 {
            item.0
        }

        fn of(bound: &u16) -> u16 {
            *bound
        }

        fn compare(one: u16, other: u16) -> Ordering {
            one.cmp(&other)
        }

        fn count(_: &Self::Item) -> usize {
            0
        }

        fn look(_: &u16) -> usize {
            0
        }
    }

    /// How high it is, if everything is where it has to be.
    fn sound(part: &Part<Numbers>, range: std::ops::Range<u32>) -> Option<u32> {
        match part {
            Part::Leaf(leaf) => {
                let fits = leaf.len() <= LEAF && leaf.iter().all(|item| range.contains(&item.0.into()));
                (fits && leaf.is_sorted_by(|a, b| a.0 < b.0)).then_some(0)
            }
            Part::Fork(fork) => {
                let left = sound(&fork.left, range.start..fork.bound.into())?;
                let right = sound(&fork.right, fork.bound.into()..range.end)?;
                let height = 1 + left.max(right);
                (left.abs_diff(right) <= 1 && fork.height == height).then_some(height)
            }
        }
    }

    fn equal(shelf: &Shelf<Numbers>, model: &BTreeMap<u16, u32>) {
        assert!(sound(&shelf.root, 0..1 << 16).is_some(), "{shelf:?}");
        assert!(shelf.iter().copied().eq(model.iter().map(|(key, value)| (*key, *value))));
        assert_eq!(shelf.len(), model.len());
    }

    proptest! {
        #[test]
        fn it_holds_what_an_ordered_map_holds(
            changes in prop::collection::vec((any::<bool>(), 0u16..300, any::<u32>()), 0..1200),
        ) {
            let (mut shelf, mut model) = (Shelf::<Numbers>::default(), BTreeMap::new());
            let mut former = None;
            for (turn, (put, key, value)) in changes.into_iter().enumerate() {
                if turn % 100 == 50 {
                    former = Some((shelf.clone(), model.clone()));
                }
                if put {
                    let old = shelf.insert((key, value)).map(|item| item.1);
                    prop_assert_eq!(old, model.insert(key, value));
                } else {
                    prop_assert_eq!(shelf.remove(key).map(|item| item.1), model.remove(&key));
                }
                prop_assert_eq!(shelf.get(key).map(|item| item.1), model.get(&key).copied());
                prop_assert!(shelf.from(key).map(|item| item.0).eq(model.range(key..).map(|(key, _)| *key)));
            }
            equal(&shelf, &model);
            if let Some((shelf, model)) = former {
                equal(&shelf, &model);
            }
        }
    }

    #[test]
    fn what_comes_in_order_leaves_it_low_and_full() {
        let mut shelf = Shelf::<Numbers>::default();
        (0..10_000).for_each(|n| assert_eq!(shelf.insert((n, 0)), None));
        let height = sound(&shelf.root, 0..1 << 16).expect("sound");
        assert!(height <= 16, "{height}");
        (0..10_000).rev().for_each(|n| assert_eq!(shelf.remove(n), Some((n, 0))));
        assert_eq!((shelf.len(), shelf.root.height()), (0, 0));
        assert!(shelf.get_mut(1).is_none());
    }
}
