//! This node's own records: each change has a version, and what changed between two versions can be told.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::message::{Gone, Put};
use super::record::{Key, Limits, Record, SoftError, Weight, size};

/// Removals that are remembered. Who has not heard of one before these is told all there is.
const REMOVALS: usize = 4096;
/// Of a record in a message, beside its name and its bytes.
const OVERHEAD: usize = 16;

#[derive(Debug)]
pub(super) struct Own {
    limits: Limits,
    /// Of the last change.
    head: u64,
    by_key: BTreeMap<Key, (u64, Bytes)>,
    /// What changed at each version. Where the key does not stand at that version it was removed.
    by_version: BTreeMap<u64, Key>,
    removals: VecDeque<u64>,
    /// Removals up to here are forgotten.
    floor: u64,
    weight: Weight,
}

/// What changed between two versions, as far as it fits in a message.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub(super) puts: Vec<Put>,
    pub(super) gone: Vec<Gone>,
    pub(super) upto: u64,
    pub(super) last: bool,
    pub(super) bytes: usize,
}

impl Own {
    pub(super) fn new(limits: Limits) -> Own {
        Own {
            limits,
            head: 0,
            by_key: BTreeMap::new(),
            by_version: BTreeMap::new(),
            removals: VecDeque::new(),
            floor: 0,
            weight: Weight::default(),
        }
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Whether all that was removed after this version is remembered.
    pub(super) fn reaches(&self, version: u64) -> bool {
        version >= self.floor
    }

    /// The version and the size of a record that was put, or nothing if it stands like that already.
    pub(super) fn put(&mut self, key: &Key, record: &Record) -> Result<Option<(u64, usize)>, SoftError> {
        let body = record.encode();
        let standing = self.by_key.get(key);
        if standing.is_some_and(|(_, old)| *old == body) {
            return Ok(None);
        }
        let (old, bytes) = (standing.map(|(_, old)| size(&key.1, old)), size(&key.1, &body));
        self.weight.replace(old, bytes, &self.limits)?;
        self.head += 1;
        if let Some((version, _)) = self.by_key.insert(key.clone(), (self.head, body)) {
            self.by_version.remove(&version);
        }
        self.by_version.insert(self.head, key.clone());
        Ok(Some((self.head, bytes)))
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        let Some((version, body)) = self.by_key.remove(key) else { return false };
        self.weight.remove(size(&key.1, &body));
        self.by_version.remove(&version);
        self.head += 1;
        self.by_version.insert(self.head, key.clone());
        self.removals.push_back(self.head);
        if self.removals.len() > REMOVALS
            && let Some(version) = self.removals.pop_front()
        {
            self.by_version.remove(&version);
            self.floor = version;
        }
        true
    }

    /// What changed after `from` up to `ready`, or as much of it as a message may have.
    pub(super) fn stretch(&self, from: u64, ready: u64) -> Stretch {
        let mut stretch = Stretch { upto: ready, last: true, ..Stretch::default() };
        if from >= ready {
            stretch.upto = from;
            return stretch;
        }
        for (version, key) in self.by_version.range(from + 1..=ready) {
            let (kind, name) = (key.0.number(), key.1.clone());
            match self.by_key.get(key) {
                Some((at, body)) if at == version => {
                    stretch.bytes += size(&name, body) + OVERHEAD;
                    stretch.puts.push(Put { kind, name, version: *version, body: body.clone() });
                }
                // Put again since: told as what it is now.
                Some(_) => {}
                None => {
                    stretch.bytes += name.len() + OVERHEAD;
                    stretch.gone.push(Gone { kind, name });
                }
            }
            if stretch.bytes >= self.limits.message_bytes {
                (stretch.upto, stretch.last) = (*version, *version == ready);
                break;
            }
        }
        stretch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::soft::record::{Kind, Progress};

    fn key(name: &str) -> Key {
        (Kind::Progress, name.into())
    }

    fn record(done_bytes: u64) -> Record {
        Record::Progress(Progress { done_bytes, ..Progress::default() })
    }

    fn names(stretch: &Stretch) -> (Vec<&str>, Vec<&str>) {
        let puts = stretch.puts.iter().map(|put| &*put.name).collect();
        (puts, stretch.gone.iter().map(|gone| &*gone.name).collect())
    }

    #[test]
    fn only_what_changed_is_told_and_each_once() {
        let mut own = Own::new(Limits::default());
        for name in ["a", "b", "c"] {
            assert!(own.put(&key(name), &record(1)).expect("room").is_some());
        }
        assert!(own.put(&key("b"), &record(1)).expect("room").is_none(), "it stands like that");
        assert_eq!(names(&own.stretch(0, own.head())), (vec!["a", "b", "c"], vec![]));
        let before = own.head();
        own.put(&key("a"), &record(2)).expect("room");
        own.put(&key("a"), &record(3)).expect("room");
        assert!(own.remove(&key("b")) && !own.remove(&key("b")));
        assert_eq!(names(&own.stretch(before, own.head())), (vec!["a"], vec!["b"]));
        own.put(&key("b"), &record(1)).expect("room");
        assert_eq!(names(&own.stretch(before, own.head())), (vec!["a", "b"], vec![]));
        assert_eq!(names(&own.stretch(own.head(), own.head())), (vec![], vec![]));
    }

    #[test]
    fn a_message_is_bounded_and_the_rest_follows() {
        let limits = Limits { message_bytes: 100, ..Limits::default() };
        let mut own = Own::new(limits);
        for n in 0..50 {
            own.put(&key(&format!("record-{n:02}")), &record(n)).expect("room");
        }
        let (mut from, mut seen) = (0, 0);
        while from < own.head() {
            let stretch = own.stretch(from, own.head());
            assert!(
                stretch.bytes < 200 && stretch.upto > from && stretch.last == (stretch.upto == own.head())
            );
            (from, seen) = (stretch.upto, seen + stretch.puts.len());
        }
        assert_eq!(seen, 50);
    }

    #[test]
    fn what_exceeds_a_limit_is_refused_and_changes_nothing() {
        let limits = Limits { records: 2, record_bytes: 40, node_bytes: 60, ..Limits::default() };
        let mut own = Own::new(limits);
        let refused =
            |own: &mut Own, name: &str| own.put(&key(name), &record(1)).expect_err("too much").to_string();
        assert_eq!(refused(&mut own, &"x".repeat(60)), "a soft record of 64 bytes: at most 40");
        own.put(&key(&"a".repeat(30)), &record(1)).expect("room");
        assert_eq!(
            refused(&mut own, &"b".repeat(30)),
            "the soft records of a node have at most 60 bytes together"
        );
        own.put(&key("b"), &record(1)).expect("room");
        assert_eq!(refused(&mut own, "c"), "a node has at most 2 soft records");
        assert_eq!(own.head(), 2);
        own.remove(&key("b"));
        own.put(&key("c"), &record(1)).expect("room again");
    }

    #[test]
    fn removals_are_remembered_up_to_a_bound() {
        let mut own = Own::new(Limits::default());
        for n in 0..=REMOVALS as u64 {
            own.put(&key("x"), &record(n)).expect("room");
            own.remove(&key("x"));
        }
        assert!(!own.reaches(0) && own.reaches(2));
        assert!(own.removals.len() == REMOVALS && own.by_version.len() == REMOVALS);
    }
}
