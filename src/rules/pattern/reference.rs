//! References: the texts of ACLs and maps, from files and from lines, which rules and the runtime API change.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rules::cast::cast;
use crate::rules::sample::Sample;

use super::content::Content;
use super::entry::{Entry, Key};
use super::listing::Listing;
use super::matcher::Matcher;
use super::reading::Reading;

/// What `get acl` and `get map` tell of one use of a reference.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub reading: Reading,
    pub found: Found,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Nothing,
    /// The method needs no pattern.
    Anything,
    /// The entry that traffic finds, and whether HAProxy would keep it in a tree.
    Entry(Arc<Entry>, bool),
}

/// The patterns of one file, or of one line, with every reading in use.
#[derive(Debug)]
pub struct PatternRef {
    /// Given with `-u`.
    pub(super) given_id: Option<u32>,
    /// The file's name as the configuration has it; `None` for patterns of a line.
    pub file: Option<Box<str>>,
    pub is_map: bool,
    pub description: Box<str>,
    state: Mutex<State>,
    /// What its matchers tell of their changes.
    lines_changed: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    content: Content,
    /// Versions that were prepared and are not in use yet.
    prepared: BTreeMap<u32, Content>,
    next_id: u64,
    /// The version in use and the newest one handed out (`prepare acl`).
    current: u32,
    newest: u32,
    /// One a reading of the content, in its order.
    matchers: Vec<Arc<Matcher>>,
}

impl State {
    fn entry(&mut self, key: &[u8], value: Option<&[u8]>, line: usize) -> Arc<Entry> {
        self.next_id += 1;
        Arc::new(Entry { id: self.next_id, key: key.into(), value: value.map(Into::into), line })
    }

    fn load(&mut self, key: &[u8], value: Option<&[u8]>, line: usize) {
        if let Some(base) = self.content.base()
            && base.len() as u64 == self.next_id
            && base.push(key, value, line)
        {
            self.next_id += 1;
            return;
        }
        let entry = self.entry(key, value, line);
        // Nobody reads it yet, so it cannot be unreadable.
        let _ = self.content.insert(entry);
    }

    fn empty(&self) -> Content {
        Content::empty(self.matchers.iter().map(|m| m.reading))
    }

    /// A version's content; `None` is the current one.
    fn version(&self, version: Option<u32>) -> Option<&Content> {
        match version {
            Some(version) if version != self.current => self.prepared.get(&version),
            _ => Some(&self.content),
        }
    }

    /// Uses another content; gives the old one back, which is best dropped without the lock.
    fn publish(&mut self, content: Content) -> Content {
        for (matcher, patterns) in self.matchers.iter().zip(content.patterns()) {
            matcher.store(patterns.clone());
        }
        std::mem::replace(&mut self.content, content)
    }

    fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let mut content = self.content.clone();
        content.insert(self.entry(key, value, 0))?;
        self.publish(content);
        Ok(())
    }

    fn set(&mut self, key: Key<'_>, value: &[u8]) -> Result<usize, String> {
        let named = self.content.named(key);
        if named.is_empty() {
            return Ok(0);
        }
        let mut content = self.content.clone();
        for entry in &named {
            content.insert(Arc::new(Entry { value: Some(value.into()), ..Entry::clone(entry) }))?;
        }
        self.publish(content);
        Ok(named.len())
    }
}

impl PatternRef {
    pub(super) fn new(
        given_id: Option<u32>,
        file: Option<Box<str>>,
        is_map: bool,
        description: Box<str>,
        lines_changed: Arc<AtomicBool>,
    ) -> PatternRef {
        PatternRef { given_id, file, is_map, description, state: Mutex::default(), lines_changed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a change at run time. What no use reads has not been sealed yet.
    fn lock_for_change(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.content.seal();
        state
    }

    /// Adds what a configuration lists. Uses come after: see [`PatternRef::matcher`].
    pub fn load(&self, key: &[u8], value: Option<&[u8]>, line: usize) {
        self.lock().load(key, value, line);
    }

    /// The same of a whole file of so many entries or less, and bytes: keys, values and the numbers of their lines.
    pub fn load_all<'f>(
        &self,
        most: usize,
        bytes: usize,
        entries: impl Iterator<Item = (&'f [u8], Option<&'f [u8]>, usize)>,
    ) {
        let mut state = self.lock();
        if let Some(base) = state.content.base() {
            base.reserve(most, bytes);
        }
        entries.for_each(|(key, value, line)| state.load(key, value, line));
    }

    /// What a use of the reference reads.
    pub fn matcher(&self, reading: Reading) -> Result<Arc<Matcher>, String> {
        let mut state = self.lock();
        if let Some(matcher) = state.matchers.iter().find(|m| m.reading == reading) {
            return Ok(matcher.clone());
        }
        let patterns = state.content.read(reading)?.clone();
        let matcher = Arc::new(Matcher::new(patterns, self.lines_changed.clone()));
        state.matchers.push(matcher.clone());
        Ok(matcher)
    }

    /// `add acl`, `add map`; in another version it is not used before `commit`.
    pub fn add(&self, key: &[u8], value: Option<&[u8]>, version: Option<u32>) -> Result<(), String> {
        let mut state = self.lock_for_change();
        let Some(version) = version.filter(|v| *v != state.current) else { return state.add(key, value) };
        let (entry, empty) = (state.entry(key, value, 0), state.empty());
        state.prepared.entry(version).or_insert(empty).insert(entry)
    }

    /// Adds a pattern unless it is there: `http-request add-acl`.
    pub fn add_once(&self, key: &[u8]) -> Result<(), String> {
        let mut state = self.lock_for_change();
        if state.content.has(key) { Ok(()) } else { state.add(key, None) }
    }

    /// `set map`: gives the entries another value; how many there were.
    pub fn set(&self, key: Key<'_>, value: &[u8]) -> Result<usize, String> {
        self.lock_for_change().set(key, value)
    }

    /// Gives the key a value, whether it is there or not: `http-request set-map`.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let mut state = self.lock_for_change();
        match state.set(Key::Text(key), value)? {
            0 => state.add(key, Some(value)),
            _ => Ok(()),
        }
    }

    /// `del acl`, `del map`: how many entries went.
    pub fn delete(&self, key: Key<'_>) -> usize {
        let mut state = self.lock_for_change();
        let named = state.content.named(key);
        if !named.is_empty() {
            let mut content = state.content.clone();
            named.iter().for_each(|entry| content.remove(entry));
            state.publish(content);
        }
        named.len()
    }

    /// `clear acl`, `clear map`: removes a version's entries (the current one's without).
    pub fn clear(&self, version: Option<u32>) {
        let mut state = self.lock();
        let gone = match version.filter(|v| *v != state.current) {
            Some(version) => state.prepared.remove(&version),
            None => {
                let empty = state.empty();
                Some(state.publish(empty))
            }
        };
        drop(state);
        drop(gone);
    }

    /// `prepare acl`: a new version to fill.
    pub fn prepare(&self) -> u32 {
        let mut state = self.lock();
        state.newest += 1;
        state.newest
    }

    /// `commit acl`: uses a prepared version and forgets older ones.
    pub fn commit(&self, version: u32) -> Result<(), String> {
        let mut state = self.lock();
        if version <= state.current || version > state.newest {
            return Err("Version number out of range.".into());
        }
        let newer = state.prepared.split_off(&(version + 1));
        let mut older = std::mem::replace(&mut state.prepared, newer);
        let content = older.remove(&version).unwrap_or_else(|| state.empty());
        let gone = (state.publish(content), older);
        state.current = version;
        drop(state);
        drop(gone);
        Ok(())
    }

    /// Version in use, newest version, number of entries in use.
    pub fn versions(&self) -> (u32, u32, usize) {
        let state = self.lock();
        (state.current, state.newest, state.content.len())
    }

    /// `show acl <ref>`: a version's entries in order (the current one's without).
    pub fn entries(&self, version: Option<u32>) -> Listing {
        self.lock().version(version).map(Content::listing).unwrap_or_default()
    }

    /// `get acl`, `get map`: what every use of the reference finds for a text, as traffic does.
    pub fn lookup(&self, text: &[u8]) -> Vec<Lookup> {
        let content = self.lock().content.clone();
        let look = |patterns: &super::list::Patterns| {
            let reading = patterns.reading;
            let sample = cast(Sample::Str(text.into()), reading.method.wants());
            let found = sample.map_or(Found::Nothing, |sample| match patterns.find(&sample) {
                Some(found) => Found::Entry(found.entry(), patterns.is_tree(found)),
                None if patterns.matches(&sample) => Found::Anything,
                None => Found::Nothing,
            });
            Lookup { reading, found }
        };
        content.patterns().iter().map(look).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::rules::pattern::{Match, PatternRefs};
    use crate::rules::sample::SampleType;

    fn text(s: &str) -> Sample<'_> {
        Sample::Str(Cow::Borrowed(s.as_bytes()))
    }

    const MAP: Reading =
        Reading { method: Match::Str, ignore_case: false, resolve: false, out: Some(SampleType::Str) };

    #[test]
    fn changes_are_seen_by_every_use() {
        let mut refs = PatternRefs::default();
        let (map, is_new) = refs.file("hosts.map", true, "line 1");
        assert!(is_new && !refs.file("hosts.map", true, "line 2").1);
        map.load(b"a", Some(b"1"), 1);
        let whole = map.matcher(MAP).unwrap();
        let begins = map.matcher(Reading { method: Match::Beg, ..MAP }).unwrap();
        assert!(Arc::ptr_eq(&whole, &map.matcher(MAP).unwrap()));
        map.add(b"b", Some(b"2"), None).unwrap();
        assert_eq!(whole.value(&text("b")), Some(Sample::Str(Cow::Borrowed(b"2"))));
        assert_eq!(begins.key(&text("bcd")), Some(b"b".to_vec()));
        assert_eq!(map.set(Key::Text(b"b"), b"3"), Ok(1));
        assert_eq!(whole.value(&text("b")), Some(Sample::Str(Cow::Borrowed(b"3"))));
        let Found::Entry(found, is_tree) = &map.lookup(b"b")[0].found else { panic!() };
        assert_eq!((&*found.key, found.value.as_deref(), *is_tree), (&b"b"[..], Some(&b"3"[..]), true));
        let id = map.entries(None).iter().next().unwrap().id;
        assert_eq!(map.delete(Key::Id(id)), 1);
        assert!(!whole.matches(&text("a")));
        map.clear(None);
        assert_eq!(map.versions(), (0, 0, 0));
    }

    #[test]
    fn a_pattern_that_cannot_be_read_changes_nothing() {
        let mut refs = PatternRefs::default();
        let list = refs.inline(None, "test".into()).unwrap();
        let reading = Reading { method: Match::Ip, ignore_case: false, resolve: false, out: None };
        let matcher = list.matcher(reading).unwrap();
        list.add(b"10.0.0.0/8", None, None).unwrap();
        assert!(list.add(b"nonsense", None, None).is_err());
        assert!(matcher.matches(&Sample::Ipv4([10, 1, 1, 1].into())));
        assert_eq!(list.versions().2, 1);
    }

    #[test]
    fn generations_are_prepared_aside() {
        let mut refs = PatternRefs::default();
        let map = refs.file("m", true, "").0;
        map.load(b"a", Some(b"1"), 1);
        let matcher = map.matcher(MAP).unwrap();
        let next = map.prepare();
        map.add(b"z", Some(b"9"), Some(next)).unwrap();
        assert!(matcher.matches(&text("a")) && !matcher.matches(&text("z")));
        assert_eq!(map.commit(next), Ok(()));
        assert!(!matcher.matches(&text("a")) && matcher.matches(&text("z")));
        assert!(map.commit(next + 1).is_err() && map.commit(next).is_err() && map.commit(0).is_err());
    }
}
