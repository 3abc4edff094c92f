//! The patterns of one reading, indexed where that pays. What is found never depends on how many there are.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;

use crate::rules::sample::Sample;

use super::entry::Entry;
use super::method::Match;
use super::nets::{self, Nets};
use super::reading::{Pattern, Reading};
use super::texts::{Keyed, Texts};

/// Up to this many patterns a scan is faster than an index.
const FEW: usize = 8;

/// Patterns in the order of their ids. A copy shares its structure: it costs next to nothing, a change its own size.
#[derive(Clone, Debug)]
pub struct Patterns {
    pub reading: Reading,
    store: Store,
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

impl Patterns {
    pub fn new(reading: Reading) -> Patterns {
        Patterns { reading, store: Store::Few(Vec::new()) }
    }

    /// Too few for an index.
    pub fn are_few(&self) -> bool {
        matches!(self.store, Store::Few(_))
    }

    /// Whether HAProxy keeps such patterns in a tree (`idx=` of `get map`).
    pub fn is_tree(&self, pattern: &Pattern) -> bool {
        match self.reading.method {
            Match::Str | Match::Beg => !self.reading.ignore_case,
            Match::Ip => pattern.net().is_some_and(|net| net.prefix().is_some()),
            _ => false,
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
            (_, Store::Few(list), Sample::Str(text) | Sample::Bin(text) | Sample::Method(text)) => {
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
    pub fn find(&self, sample: &Sample<'_>) -> Option<&Arc<Pattern>> {
        match (self.reading.method, sample) {
            (Match::Ip, sample) => self.find_net(sample),
            (Match::Int, Sample::Int(n)) => self.first(|p| p.matches_int(*n)),
            (Match::Int, _) => None,
            (_, Sample::Str(text) | Sample::Bin(text) | Sample::Method(text)) => self.find_text(text),
            _ => None,
        }
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

    fn find_net(&self, sample: &Sample<'_>) -> Option<&Arc<Pattern>> {
        let list = match &self.store {
            Store::Few(list) => list,
            Store::Nets(nets) => return nets.find(sample),
            Store::Ordered(_) | Store::Texts(_) => return None,
        };
        let containing = |addr: IpAddr, is_prefix: bool| {
            let matches = move |p: &&Arc<Pattern>| {
                p.net().is_some_and(|n| n.prefix().is_some() == is_prefix && n.contains(addr))
            };
            list.iter().filter(matches).min_by_key(|p| Reverse(p.net().and_then(|n| n.prefix())))
        };
        nets::find(sample, |addr| containing(addr, true), |addr| containing(addr, false))
    }
}
