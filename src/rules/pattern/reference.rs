//! References: the texts of ACLs and maps, from files and from lines, which the runtime API shows and changes.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::ip::Net;
use super::view::{Compiled, Reading, View};

/// One pattern, and in a map its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Unique in its reference (`0x...` of `show acl`).
    pub id: u64,
    pub key: Box<[u8]>,
    pub value: Option<Box<[u8]>>,
    /// Line of the file it came from; 0 for none.
    pub line: usize,
    generation: u32,
    /// The address that a host name stood for when the configuration was read: names are not resolved later.
    net: OnceLock<Net>,
}

impl Entry {
    /// As a network; names may be looked up only while a configuration is built.
    pub(super) fn net(&self, resolve: bool) -> Result<Net, String> {
        if let Some(net) = self.net.get() {
            return Ok(*net);
        }
        let net = Net::parse(&String::from_utf8_lossy(&self.key), resolve)?;
        Ok(*self.net.get_or_init(|| net))
    }
}

/// How a command names entries.
#[derive(Clone, Copy, Debug)]
pub enum Key<'k> {
    Id(u64),
    Text(&'k [u8]),
}

/// What `get acl` and `get map` tell of one use of a reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    pub reading: Reading,
    /// The key that matches and its value; `None` for no match.
    pub found: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The patterns of one file, or of one line, with every compiled form in use.
#[derive(Debug)]
pub struct PatternRef {
    /// Given with `-u`.
    given_id: Option<u32>,
    /// The file's name as the configuration has it; `None` for patterns of a line.
    pub file: Option<Box<str>>,
    pub is_map: bool,
    pub description: Box<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    next_id: u64,
    /// The generation in use and the newest one handed out (`prepare acl`).
    current: u32,
    newest: u32,
    views: Vec<Weak<View>>,
}

impl State {
    fn of(&self, generation: u32) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |e| e.generation == generation)
    }

    fn views(&mut self) -> Vec<Arc<View>> {
        self.views.retain(|v| v.strong_count() > 0);
        self.views.iter().filter_map(Weak::upgrade).collect()
    }

    /// Compiles every form anew from the current generation; nothing is stored unless all of them succeed.
    fn publish(&mut self) -> Result<(), String> {
        let views = self.views();
        let mut compiled = Vec::with_capacity(views.len());
        for view in &views {
            compiled.push(Compiled::new(view.reading, self.of(self.current), false)?);
        }
        for (view, compiled) in views.iter().zip(compiled) {
            view.store(compiled);
        }
        Ok(())
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>, line: usize, generation: u32) {
        self.next_id += 1;
        let value = value.map(Into::into);
        self.entries.push(Entry {
            id: self.next_id,
            key: key.into(),
            value,
            line,
            generation,
            net: OnceLock::new(),
        });
    }
}

fn is_named(entry: &Entry, key: Key<'_>) -> bool {
    match key {
        Key::Id(id) => entry.id == id,
        Key::Text(text) => *entry.key == *text,
    }
}

impl PatternRef {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a configuration lists, without compiling: [`PatternRef::view`] comes after.
    pub fn load(&self, key: &[u8], value: Option<&[u8]>, line: usize) {
        self.lock().push(key, value, line, 0);
    }

    /// The compiled form for a use.
    pub fn view(&self, reading: Reading) -> Result<Arc<View>, String> {
        let mut state = self.lock();
        if let Some(view) = state.views().into_iter().find(|v| v.reading == reading) {
            return Ok(view);
        }
        let compiled = Compiled::new(reading, state.of(state.current), reading.resolve)?;
        let view = Arc::new(View::new(reading, compiled));
        state.views.push(Arc::downgrade(&view));
        Ok(view)
    }

    /// `add acl`, `add map`; in another generation it is not used before `commit`.
    pub fn add(&self, key: &[u8], value: Option<&[u8]>, generation: Option<u32>) -> Result<(), String> {
        let mut state = self.lock();
        let generation = generation.unwrap_or(state.current);
        state.push(key, value, 0, generation);
        let result = if generation == state.current { state.publish() } else { Ok(()) };
        if result.is_err() {
            state.entries.pop();
        }
        result
    }

    /// `set map`: gives the entries another value; how many there were.
    pub fn set(&self, key: Key<'_>, value: &[u8]) -> Result<usize, String> {
        let mut state = self.lock();
        let before = state.entries.clone();
        let current = state.current;
        let mut changed = 0;
        for entry in state.entries.iter_mut().filter(|e| e.generation == current && is_named(e, key)) {
            entry.value = Some(value.into());
            changed += 1;
        }
        let result = state.publish();
        if result.is_err() {
            state.entries = before;
        }
        result.map(|()| changed)
    }

    /// `del acl`, `del map`: how many entries went.
    pub fn delete(&self, key: Key<'_>) -> usize {
        let mut state = self.lock();
        let (before, current) = (state.entries.len(), state.current);
        state.entries.retain(|e| e.generation != current || !is_named(e, key));
        // Fewer of the same patterns compile as well as before.
        let _ = state.publish();
        before - state.entries.len()
    }

    /// `clear acl`, `clear map`: removes a generation's entries (the current one's without).
    pub fn clear(&self, generation: Option<u32>) {
        let mut state = self.lock();
        let generation = generation.unwrap_or(state.current);
        state.entries.retain(|e| e.generation != generation);
        let _ = state.publish();
    }

    /// `prepare acl`: a new generation to fill.
    pub fn prepare(&self) -> u32 {
        let mut state = self.lock();
        state.newest += 1;
        state.newest
    }

    /// `commit acl`: uses a prepared generation and forgets older ones.
    pub fn commit(&self, generation: u32) -> Result<(), String> {
        let mut state = self.lock();
        if generation < state.current || generation > state.newest {
            return Err("Version number out of range.".into());
        }
        let before = std::mem::replace(&mut state.current, generation);
        if let Err(e) = state.publish() {
            state.current = before;
            return Err(e);
        }
        state.entries.retain(|e| e.generation >= generation);
        Ok(())
    }

    /// Generation in use, newest generation, number of entries in use.
    pub fn versions(&self) -> (u32, u32, usize) {
        let state = self.lock();
        (state.current, state.newest, state.of(state.current).count())
    }

    /// `show acl <ref>`: a generation's entries in order (the current one's without).
    pub fn entries(&self, generation: Option<u32>) -> Vec<Entry> {
        let state = self.lock();
        state.of(generation.unwrap_or(state.current)).cloned().collect()
    }

    /// `get acl`, `get map`: what every use of the reference finds for a text.
    pub fn lookup(&self, text: &[u8]) -> Vec<Lookup> {
        let mut state = self.lock();
        let views = state.views();
        let mut found = Vec::with_capacity(views.len());
        for view in views {
            let sample = crate::rules::sample::Sample::Str(text.into());
            let sample = crate::rules::cast::cast(sample, view.reading.method.wants());
            // Views of plain lists keep no texts: the entry is found again one by one.
            let entry = sample.filter(|s| view.matches(s)).and_then(|sample| {
                state.of(state.current).find(|e| {
                    Compiled::new(view.reading, std::iter::once(*e), false)
                        .is_ok_and(|one| View::new(view.reading, one).matches(&sample))
                })
            });
            let found_entry = entry.map(|e| (e.key.to_vec(), e.value.as_ref().map(|v| v.to_vec())));
            found.push(Lookup { reading: view.reading, found: found_entry });
        }
        found
    }
}

/// The references of one configuration, in the order of their first use.
#[derive(Debug, Default)]
pub struct PatternRefs {
    list: Vec<Arc<PatternRef>>,
}

impl PatternRefs {
    /// The reference of a file; `true` when it is new and has to be loaded.
    pub fn file(&mut self, name: &str, is_map: bool, user: &str) -> (Arc<PatternRef>, bool) {
        if let Some(found) = self.list.iter().find(|r| r.file.as_deref() == Some(name)) {
            return (found.clone(), false);
        }
        let kind = if is_map { "map" } else { "acl" };
        let description = format!("pattern loaded from file '{name}' used by {kind} at {user}");
        (self.push(None, Some(name.into()), is_map, description), true)
    }

    /// A reference for the patterns of a line. `id` is that of `-u`.
    pub fn inline(&mut self, id: Option<u32>, description: String) -> Result<Arc<PatternRef>, String> {
        if id.is_some() && self.list.iter().any(|r| r.given_id == id) {
            return Err("the id is already used".into());
        }
        Ok(self.push(id, None, false, description))
    }

    fn push(
        &mut self,
        given_id: Option<u32>,
        file: Option<Box<str>>,
        is_map: bool,
        description: String,
    ) -> Arc<PatternRef> {
        let description = description.into();
        let state = Mutex::default();
        let made = Arc::new(PatternRef { given_id, file, is_map, description, state });
        self.list.push(made.clone());
        made
    }

    /// Every reference with its number: the one given with `-u`, else the next free one.
    pub fn numbered(&self) -> Vec<(u32, &Arc<PatternRef>)> {
        let given: Vec<u32> = self.list.iter().filter_map(|r| r.given_id).collect();
        let mut free = (0..).filter(|n| !given.contains(n));
        self.list.iter().map(|r| (r.given_id.or_else(|| free.next()).unwrap_or(u32::MAX), r)).collect()
    }

    /// A reference by `#<id>` or by its file's name.
    pub fn find(&self, name: &str) -> Option<&Arc<PatternRef>> {
        match name.strip_prefix('#').map(str::parse::<u32>) {
            Some(Ok(id)) => self.numbered().into_iter().find(|(n, _)| *n == id).map(|(_, r)| r),
            Some(Err(_)) => None,
            None => self.list.iter().find(|r| r.file.as_deref() == Some(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::rules::pattern::Match;
    use crate::rules::sample::{Sample, SampleType};

    fn text(s: &str) -> Sample<'_> {
        Sample::Str(Cow::Borrowed(s.as_bytes()))
    }

    const MAP: Reading =
        Reading { method: Match::Str, ignore_case: false, resolve: false, out: Some(SampleType::Str) };

    #[test]
    fn changes_are_seen_by_every_view() {
        let mut refs = PatternRefs::default();
        let (map, is_new) = refs.file("hosts.map", true, "line 1");
        assert!(is_new && !refs.file("hosts.map", true, "line 2").1);
        map.load(b"a", Some(b"1"), 1);
        let whole = map.view(MAP).unwrap();
        let begins = map.view(Reading { method: Match::Beg, ..MAP }).unwrap();
        assert!(Arc::ptr_eq(&whole, &map.view(MAP).unwrap()));
        map.add(b"b", Some(b"2"), None).unwrap();
        assert_eq!(whole.value(&text("b")), Some(Sample::Str(Cow::Borrowed(b"2"))));
        assert_eq!(begins.key(&text("bcd")), Some(b"b".to_vec()));
        assert_eq!(map.set(Key::Text(b"b"), b"3"), Ok(1));
        assert_eq!(whole.value(&text("b")), Some(Sample::Str(Cow::Borrowed(b"3"))));
        assert_eq!(map.lookup(b"b")[0].found, Some((b"b".to_vec(), Some(b"3".to_vec()))));
        let id = map.entries(None)[0].id;
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
        let view = list.view(reading).unwrap();
        list.add(b"10.0.0.0/8", None, None).unwrap();
        assert!(list.add(b"nonsense", None, None).is_err());
        assert!(view.matches(&Sample::Ipv4([10, 1, 1, 1].into())));
        assert_eq!(list.versions().2, 1);
    }

    #[test]
    fn generations_are_prepared_aside() {
        let mut refs = PatternRefs::default();
        let map = refs.file("m", true, "").0;
        map.load(b"a", Some(b"1"), 1);
        let view = map.view(MAP).unwrap();
        let next = map.prepare();
        map.add(b"z", Some(b"9"), Some(next)).unwrap();
        assert!(view.matches(&text("a")) && !view.matches(&text("z")));
        assert_eq!(map.commit(next), Ok(()));
        assert!(!view.matches(&text("a")) && view.matches(&text("z")));
        assert!(map.commit(next + 1).is_err() && map.commit(0).is_err());
    }

    #[test]
    fn numbers_leave_out_those_that_were_given() {
        let mut refs = PatternRefs::default();
        refs.inline(None, "first".into()).unwrap();
        refs.inline(Some(1), "given".into()).unwrap();
        refs.file("f", false, "");
        assert!(refs.inline(Some(1), "again".into()).is_err());
        let numbers: Vec<u32> = refs.numbered().iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(refs.find("#1").map(|r| &*r.description), Some("given"));
        assert!(refs.find("f").is_some() && refs.find("#9").is_none() && refs.find("g").is_none());
    }
}
