//! The patterns of one reading, indexed where that pays. What is found never depends on how many there are.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::rules::sample::Sample;

use super::base::{Base, FEW};
use super::entry::Entry;
use super::hit::Hit;
use super::method::Match;
use super::nets::{self, Nets};
use super::ranges::NetIndex;
use super::reading::{Pattern, Reading};
use super::record::Record;
use super::texts::{Keyed, Texts};

/// Patterns in the order of their ids. A copy shares its structure: it costs next to nothing, a change its own size.
#[derive(Clone, Debug)]
pub struct Patterns {
    pub reading: Reading,
    /// Those of a long list in a file.
    packed: Option<Packed>,
    store: Store,
}

/// The patterns of a base.
#[derive(Clone, Debug)]
struct Packed {
    base: Arc<Base>,
    /// For addresses.
    nets: Option<Arc<NetIndex>>,
    gone: OrdSet<u64>,
}

#[derive(Clone, Debug)]
enum Store {
    Few(Vec<Arc<Pattern>>),
    /// Methods that must try one pattern after the other.
    Ordered(OrdMap<u64, Arc<Pattern>>),
    Texts(Texts<Arc<Pattern>>),
    Nets(Nets),
}

impl Store {
    fn many(method: Match) -> Store {
        match method {
            Match::Str | Match::Bin | Match::Beg | Match::End => Store::Texts(Texts::default()),
            Match::Ip => Store::Nets(Nets::default()),
            _ => Store::Ordered(OrdMap::default()),
        }
    }
}

impl Packed {
    fn is_there(&self, at: usize) -> bool {
        self.gone.is_empty() || !self.gone.contains(&(at as u64 + 1))
    }

    fn first(&self, text: &[u8], ignore_case: bool) -> Option<Record<'_>> {
        self.base.named(text, ignore_case).find(|record| self.is_there(record.at))
    }

    fn find_text(&self, reading: Reading, text: &[u8]) -> Option<Record<'_>> {
        let ignore_case = reading.ignore_case;
        let beginnings = || self.base.lengths(text).filter_map(|len| self.first(&text[..len], ignore_case));
        match reading.method {
            Match::Beg if reading.prefers_longest() => beginnings().next(),
            Match::Beg => beginnings().min_by_key(Record::id),
            Match::End => {
                let ends = self.base.lengths(text);
                ends.filter_map(|len| self.first(&text[text.len() - len..], ignore_case))
                    .min_by_key(Record::id)
            }
            _ => self.first(text, ignore_case),
        }
    }

    fn hit(&self, at: usize) -> Hit<'_> {
        Hit::Packed(&self.base, self.base.record(at))
    }

    fn prefix(&self, addr: IpAddr) -> Option<Hit<'_>> {
        let nets = self.nets.as_ref()?;
        let span = nets.find(addr)?;
        if self.gone.is_empty() {
            return Some(Hit::Net(&self.base, nets, span));
        }
        Some(self.hit(nets.outwards(span).find(|at| self.is_there(*at))?))
    }

    fn masked(&self, addr: IpAddr) -> Option<Hit<'_>> {
        Some(self.hit(self.nets.as_ref()?.find_masked(addr, |at| self.is_there(at))?))
    }

    fn bits(&self, at: usize) -> Option<u32> {
        self.nets.as_ref()?.prefix(at)
    }
}

impl Patterns {
    pub fn new(reading: Reading) -> Patterns {
        Patterns { reading, packed: None, store: Store::Few(Vec::new()) }
    }

    /// Those of a base, which stay there where they are many and can be found by an index.
    pub fn of(reading: Reading, base: &Arc<Base>) -> Result<Patterns, String> {
        let mut patterns = Patterns::new(reading);
        if base.len() <= FEW || !(reading.finds_texts() || reading.method == Match::Ip) {
            for at in 0..base.len() {
                patterns.insert(Arc::new(reading.read(&Arc::new(base.entry(at)), reading.resolve)?));
            }
            return Ok(patterns);
        }
        let placed = |(at, e): (usize, String)| match base.line(at) {
            0 => e,
            line => format!("{e} at line {line}"),
        };
        if reading.has_typed_values() {
            (0..base.len())
                .try_for_each(|at| reading.value(base.value(at)).map(drop).map_err(|e| (at, e)))
                .map_err(placed)?;
        }
        let mut nets = None;
        if reading.finds_texts() {
            base.serve_texts();
        } else {
            nets = Some(Arc::new(NetIndex::build(base, reading.resolve).map_err(placed)?));
        }
        patterns.packed = Some(Packed { base: base.clone(), nets, gone: OrdSet::new() });
        Ok(patterns)
    }

    /// The networks of a base, where its entries are read as such.
    pub fn nets(&self) -> Option<&NetIndex> {
        self.packed.as_ref()?.nets.as_deref()
    }

    /// Too few for an index.
    pub fn are_few(&self) -> bool {
        self.packed.is_none() && matches!(self.store, Store::Few(_))
    }

    /// Whether HAProxy keeps such patterns in a tree (`idx=` of `get map`).
    pub fn is_tree(&self, hit: Hit<'_>) -> bool {
        match self.reading.method {
            Match::Str | Match::Beg => !self.reading.ignore_case,
            Match::Ip => self.bits(hit).is_some(),
            _ => false,
        }
    }

    fn bits(&self, hit: Hit<'_>) -> Option<u32> {
        match hit {
            Hit::Packed(_, record) => self.packed.as_ref()?.bits(record.at),
            Hit::Net(_, index, span) => index.prefix(*span.owner as usize),
            Hit::Loose(pattern) => pattern.net()?.prefix(),
        }
    }

    /// Tells each pattern of a configuration that nobody has changed yet.
    pub fn each(&self, mut tell: impl FnMut(&Pattern)) {
        match &self.store {
            Store::Few(list) => list.iter().for_each(|p| tell(p)),
            Store::Ordered(list) => list.values().for_each(|p| tell(p)),
            // Only changes make these.
            Store::Texts(_) | Store::Nets(_) => {}
        }
        let Some(packed) = &self.packed else { return };
        for at in 0..packed.base.len() {
            if let Ok(pattern) = self.reading.read(&Arc::new(packed.base.entry(at)), false) {
                tell(&pattern);
            }
        }
    }

    /// Adds a pattern, or replaces the one with its id.
    pub fn insert(&mut self, pattern: Arc<Pattern>) {
        match &mut self.store {
            Store::Few(list) => {
                let at = list.partition_point(|p| p.id() < pattern.id());
                match list.get_mut(at) {
                    Some(old) if old.id() == pattern.id() => *old = pattern,
                    _ => list.insert(at, pattern),
                }
                if list.len() > FEW {
                    let list = std::mem::take(list);
                    self.store = Store::many(self.reading.method);
                    list.into_iter().for_each(|p| self.insert(p));
                }
            }
            Store::Ordered(list) => {
                list.insert(pattern.id(), pattern);
            }
            Store::Texts(texts) => texts.insert(pattern),
            Store::Nets(nets) => nets.insert(pattern),
        }
    }

    /// An entry of the base is no more as it was listed.
    pub fn forget(&mut self, entry: &Entry) {
        match &mut self.packed {
            Some(packed) => {
                packed.gone.insert(entry.id);
            }
            None => self.remove(entry),
        }
    }

    /// Removes what was read from this entry.
    pub fn remove(&mut self, entry: &Entry) {
        match &mut self.store {
            Store::Few(list) => list.retain(|p| p.id() != entry.id),
            Store::Ordered(list) => {
                list.remove(&entry.id);
            }
            Store::Texts(texts) => {
                // It was read before, so it can be read again.
                let folded = self.reading.fold(&entry.key).unwrap_or_default();
                texts.remove(folded.as_deref().unwrap_or(&entry.key), entry.id);
            }
            Store::Nets(nets) => nets.remove(entry),
        }
    }

    /// Whether a pattern matches the sample, which has the type that [`Match::wants`]. `found` and `bool` need none.
    pub fn matches(&self, sample: &Sample<'_>) -> bool {
        match (self.reading.method, &self.store, sample) {
            (Match::Found, ..) => true,
            (Match::Bool, ..) => matches!(sample, Sample::Bool(true)),
            (Match::Int | Match::Ip, ..) => self.find(sample).is_some(),
            // Which one counts is not asked.
            (_, Store::Few(list), Sample::Str(text) | Sample::Bin(text) | Sample::Method(text))
                if self.packed.is_none() =>
            {
                let ignore_case = self.reading.ignore_case;
                match self.reading.method {
                    Match::Beg => list.iter().any(|p| p.begins(text, ignore_case)),
                    _ => list.iter().any(|p| p.matches_text(text, self.reading)),
                }
            }
            _ => self.find(sample).is_some(),
        }
    }

    /// The pattern that counts: the longest for `beg` (unless case is ignored) and `ip`, else the first.
    pub fn find(&self, sample: &Sample<'_>) -> Option<Hit<'_>> {
        match (self.reading.method, sample) {
            (Match::Ip, sample) => nets::find(sample, |addr| self.prefix(addr), |addr| self.masked(addr)),
            (Match::Int, Sample::Int(n)) => self.first(|p| p.matches_int(*n)).map(Hit::Loose),
            (Match::Int, _) => None,
            (_, Sample::Str(text) | Sample::Bin(text) | Sample::Method(text)) => {
                let loose = self.find_text(text).map(Hit::Loose);
                match &self.packed {
                    None => loose,
                    Some(packed) => {
                        let found = packed.find_text(self.reading, text);
                        self.better(found.map(|record| Hit::Packed(&packed.base, record)), loose)
                    }
                }
            }
            _ => None,
        }
    }

    /// Which of two counts.
    fn better<'p>(&self, one: Option<Hit<'p>>, other: Option<Hit<'p>>) -> Option<Hit<'p>> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        let width = |hit: Hit<'p>| match self.reading.method {
            Match::Ip => Reverse(self.bits(hit).unwrap_or_default()),
            _ if self.reading.prefers_longest() => Reverse(hit.key().len() as u32),
            _ => Reverse(0),
        };
        Some(if (width(one), one.id()) <= (width(other), other.id()) { one } else { other })
    }

    fn first(&self, matches: impl Fn(&Pattern) -> bool) -> Option<&Arc<Pattern>> {
        match &self.store {
            Store::Few(list) => list.iter().find(|p| matches(p)),
            Store::Ordered(list) => list.values().find(|p| matches(p)),
            Store::Texts(_) | Store::Nets(_) => None,
        }
    }

    fn find_text(&self, text: &[u8]) -> Option<&Arc<Pattern>> {
        match &self.store {
            Store::Few(list) if self.reading.prefers_longest() => list
                .iter()
                .filter(|p| p.matches_text(text, self.reading))
                .min_by_key(|p| Reverse(p.text().len())),
            Store::Texts(texts) if self.reading.ignore_case && text.iter().any(u8::is_ascii_uppercase) => {
                self.find_in(texts, &text.to_ascii_lowercase())
            }
            Store::Texts(texts) => self.find_in(texts, text),
            _ => self.first(|p| p.matches_text(text, self.reading)),
        }
    }

    fn find_in<'p>(&'p self, texts: &'p Texts<Arc<Pattern>>, text: &[u8]) -> Option<&'p Arc<Pattern>> {
        match self.reading.method {
            Match::Beg if self.reading.prefers_longest() => texts.beginnings(text).next(),
            Match::Beg => texts.beginnings(text).min_by_key(|p| p.id()),
            Match::End => texts.endings(text).min_by_key(|p| p.id()),
            _ => texts.get(text).map(|bucket| bucket.first()),
        }
    }

    /// The narrowest prefix around an address.
    fn prefix(&self, addr: IpAddr) -> Option<Hit<'_>> {
        let loose = match &self.store {
            Store::Nets(nets) => nets.prefix(addr),
            _ => self.narrowest(addr, true),
        };
        self.beside_packed(loose, |packed| packed.prefix(addr))
    }

    /// The first network around it whose mask is no prefix.
    fn masked(&self, addr: IpAddr) -> Option<Hit<'_>> {
        let loose = match &self.store {
            Store::Nets(nets) => nets.masked(addr),
            _ => self.narrowest(addr, false),
        };
        self.beside_packed(loose, |packed| packed.masked(addr))
    }

    fn beside_packed<'p>(
        &'p self,
        loose: Option<&'p Arc<Pattern>>,
        find: impl FnOnce(&'p Packed) -> Option<Hit<'p>>,
    ) -> Option<Hit<'p>> {
        let loose = loose.map(Hit::Loose);
        let Some(packed) = &self.packed else { return loose };
        self.better(find(packed), loose)
    }

    fn narrowest(&self, addr: IpAddr, is_prefix: bool) -> Option<&Arc<Pattern>> {
        let Store::Few(list) = &self.store else { return None };
        let matches = |p: &&Arc<Pattern>| {
            p.net().is_some_and(|n| n.prefix().is_some() == is_prefix && n.contains(addr))
        };
        list.iter().filter(matches).min_by_key(|p| Reverse(p.net().and_then(|n| n.prefix())))
    }
}
