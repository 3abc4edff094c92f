//! A list of patterns of one method, indexed where that pays.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::rules::fetch::from_hex;
use crate::rules::regex::Regex;
use crate::rules::sample::Sample;

use super::ip::{Net, Nets};
use super::method::Match;
use super::number::Range;
use super::word;

type Index = HashMap<Box<[u8]>, usize, foldhash::fast::FixedState>;

/// Up to this many string patterns a scan is faster than hashing.
const SCAN: usize = 8;

/// Patterns of one method. Each has a number, in the order of insertion.
#[derive(Debug)]
pub struct Patterns {
    method: Match,
    len: usize,
    /// Strings in order, those to compare without regard to case marked (and in lower case).
    strings: Vec<(Box<[u8]>, bool)>,
    /// The strings with regard to case, once there are many: for `str`, `beg` and `end`.
    index: Index,
    /// Lengths in `index`, longest first.
    lengths: Vec<usize>,
    /// Whether any string ignores case: those are not in `index`.
    any_ignoring: bool,
    ranges: Vec<Range>,
    nets: Nets,
    regexes: Vec<Regex>,
}

impl Patterns {
    pub fn new(method: Match) -> Patterns {
        Patterns {
            method,
            len: 0,
            strings: Vec::new(),
            index: Index::default(),
            lengths: Vec::new(),
            any_ignoring: false,
            ranges: Vec::new(),
            nets: Nets::default(),
            regexes: Vec::new(),
        }
    }

    pub fn method(&self) -> Match {
        self.method
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a pattern. `resolve`: names may stand for addresses.
    pub fn add(&mut self, text: &[u8], ignore_case: bool, resolve: bool) -> Result<(), String> {
        match self.method {
            Match::Found | Match::Bool => {}
            Match::Int | Match::Len => self.ranges.push(Range::parse(text)?),
            Match::Ip => {
                return Net::parse(&String::from_utf8_lossy(text), resolve).map(|net| self.add_net(net));
            }
            Match::Reg => {
                let pattern =
                    std::str::from_utf8(text).map_err(|_| "a regex must be UTF-8 text".to_owned())?;
                self.regexes.push(Regex::new(pattern, ignore_case)?);
            }
            Match::Bin => {
                let bytes = from_hex(text).ok_or_else(|| {
                    format!("an hex string is expected, got '{}'", String::from_utf8_lossy(text))
                })?;
                self.add_string(bytes, false);
            }
            Match::Str | Match::Beg | Match::Sub | Match::Dir | Match::Dom | Match::End => {
                let mut bytes = text.to_vec();
                if ignore_case {
                    bytes.make_ascii_lowercase();
                }
                self.add_string(bytes, ignore_case);
            }
        }
        self.len += 1;
        Ok(())
    }

    /// Adds a network, to a list of networks.
    pub fn add_net(&mut self, net: Net) {
        self.nets.insert(net, self.len);
        self.len += 1;
    }

    fn add_string(&mut self, bytes: Vec<u8>, ignore_case: bool) {
        let bytes = bytes.into_boxed_slice();
        self.any_ignoring |= ignore_case;
        if !ignore_case {
            let len = bytes.len();
            let at = self.lengths.partition_point(|l| *l > len);
            if self.lengths.get(at) != Some(&len) {
                self.lengths.insert(at, len);
            }
            self.index.entry(bytes.clone()).or_insert(self.len);
        }
        self.strings.push((bytes, ignore_case));
    }

    /// The number of a pattern that matches the sample (which has the type [`Match::wants`]). `found` and `bool` need
    /// no pattern and answer 0.
    pub fn find(&self, sample: &Sample<'_>) -> Option<usize> {
        match (self.method, sample) {
            (Match::Found, _) | (Match::Bool, Sample::Bool(true)) => Some(0),
            (Match::Int, Sample::Int(n)) => self.ranges.iter().position(|r| r.contains(*n)),
            (Match::Ip, sample) => self.nets.find(sample),
            (_, Sample::Str(text) | Sample::Bin(text) | Sample::Method(text)) => self.find_text(text),
            _ => None,
        }
    }

    /// Its number and the regular expression that matched, for `map_regm`.
    pub fn find_regex(&self, text: &[u8]) -> Option<(usize, &Regex)> {
        self.regexes.iter().enumerate().find(|(_, r)| r.is_match(text))
    }

    fn find_text(&self, text: &[u8]) -> Option<usize> {
        match self.method {
            Match::Len => self.ranges.iter().position(|r| r.contains(text.len() as i64)),
            Match::Reg => self.regexes.iter().position(|r| r.is_match(text)),
            Match::Str | Match::Bin => self.find_whole(text),
            Match::Beg => self.find_edge(text, |text, len| text.get(..len)),
            Match::End => self.find_edge(text, |text, len| text.get(text.len().checked_sub(len)?..)),
            Match::Sub => self.scan(|pattern, ignore_case| {
                if ignore_case {
                    word::contains_ignoring_case(text, pattern)
                } else {
                    memchr::memmem::find(text, pattern).is_some()
                }
            }),
            Match::Dir => self.scan(|p, ignore_case| word::contains(text, p, word::DIR, ignore_case)),
            Match::Dom => self.scan(|p, ignore_case| word::contains(text, p, word::DOM, ignore_case)),
            _ => None,
        }
    }

    fn scan(&self, matches: impl Fn(&[u8], bool) -> bool) -> Option<usize> {
        self.strings.iter().position(|(pattern, ignore_case)| matches(pattern, *ignore_case))
    }

    fn find_whole(&self, text: &[u8]) -> Option<usize> {
        if self.strings.len() <= SCAN {
            return self.scan(|pattern, ignore_case| word::same(text, pattern, ignore_case));
        }
        let exact = self.index.get(text).copied();
        if exact.is_some() || !self.any_ignoring {
            return exact;
        }
        self.strings.iter().position(|(p, ignore_case)| *ignore_case && p.eq_ignore_ascii_case(text))
    }

    /// `edge` cuts that many bytes from the beginning or the end.
    fn find_edge(&self, text: &[u8], edge: fn(&[u8], usize) -> Option<&[u8]>) -> Option<usize> {
        let at_edge = |pattern: &[u8], ignore_case| {
            edge(text, pattern.len()).is_some_and(|part| word::same(part, pattern, ignore_case))
        };
        if self.strings.len() <= SCAN {
            return self.scan(at_edge);
        }
        let exact = self.lengths.iter().find_map(|len| self.index.get(edge(text, *len)?).copied());
        if exact.is_some() || !self.any_ignoring {
            return exact;
        }
        self.strings.iter().position(|(p, ignore_case)| *ignore_case && at_edge(p, true))
    }

    /// Text of all string patterns, for listings.
    pub fn strings(&self) -> SmallVec<[&[u8]; 4]> {
        self.strings.iter().map(|(s, _)| &**s).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn list(method: Match, ignore_case: bool, patterns: &[&str]) -> Patterns {
        let mut list = Patterns::new(method);
        for p in patterns {
            list.add(p.as_bytes(), ignore_case, false).unwrap();
        }
        list
    }

    fn text(s: &str) -> Sample<'_> {
        Sample::Str(Cow::Borrowed(s.as_bytes()))
    }

    #[test]
    fn short_and_long_lists_agree() {
        let many: Vec<String> = (0..50).map(|i| format!("/p{i}/")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for ignore_case in [false, true] {
            let beg = list(Match::Beg, ignore_case, &many);
            assert_eq!(beg.find(&text("/p49/x")), Some(49));
            assert_eq!(beg.find(&text("/p50/x")), None);
            assert_eq!(beg.find(&text("/P7/x")), ignore_case.then_some(7));
            let end = list(Match::End, ignore_case, &many);
            assert_eq!(end.find(&text("x/p3/")), Some(3));
            let whole = list(Match::Str, ignore_case, &many);
            assert_eq!(whole.find(&text("/p3/")), Some(3));
            assert_eq!(whole.find(&text("/p3")), None);
        }
    }

    #[test]
    fn methods() {
        for (method, pattern, value, expected) in [
            (Match::Sub, "b", "abc", true),
            (Match::Sub, "x", "abc", false),
            (Match::Len, "2:4", "abc", true),
            (Match::Reg, "^a.c$", "abc", true),
            (Match::End, ".css", "a.css", true),
            (Match::End, "long.css", ".css", false),
            (Match::Bin, "616263", "abc", true),
            (Match::Found, "", "abc", true),
        ] {
            let found = list(method, false, &[pattern]).find(&text(value)).is_some();
            assert_eq!(found, expected, "{method:?} {pattern} {value}");
        }
        assert!(Patterns::new(Match::Bin).add(b"zz", false, false).is_err());
        assert!(Patterns::new(Match::Reg).add(b"(", false, false).is_err());
    }
}
