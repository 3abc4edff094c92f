//! What an ACL or a map converter reads: the patterns of a reference, compiled for its matching method.

use crate::base::Live;
use crate::rules::cast::{cast, leading_int};
use crate::rules::sample::{Sample, SampleType};

use super::list::Patterns;
use super::method::Match;
use super::reference::Entry;

/// How a reference's texts are read. Users that agree share one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub method: Match,
    pub ignore_case: bool,
    /// Names may stand for addresses.
    pub resolve: bool,
    /// The type of values; `None` for lists without values.
    pub out: Option<SampleType>,
}

/// Compiled patterns, replaced whole when their reference changes.
#[derive(Debug)]
pub struct View {
    pub reading: Reading,
    live: Live<Compiled>,
}

/// The patterns, and by their numbers the values and texts.
#[derive(Debug)]
pub(super) struct Compiled {
    patterns: Patterns,
    values: Vec<Sample<'static>>,
    keys: Vec<Box<[u8]>>,
}

impl Compiled {
    /// Reads entries; the error names the entry that cannot be read.
    pub(super) fn new<'e>(
        reading: Reading,
        entries: impl Iterator<Item = &'e Entry>,
        resolve: bool,
    ) -> Result<Compiled, String> {
        let mut compiled =
            Compiled { patterns: Patterns::new(reading.method), values: Vec::new(), keys: Vec::new() };
        for entry in entries {
            let place = |e: String| match entry.line {
                0 => e,
                line => format!("{e} at line {line}"),
            };
            if let Some(out) = reading.out {
                let text = entry.value.as_deref().unwrap_or_default();
                let value = typed(text, out).ok_or_else(|| {
                    place(format!(
                        "cannot parse '{}' as the map's output type",
                        String::from_utf8_lossy(text)
                    ))
                })?;
                compiled.values.push(value);
                compiled.keys.push(entry.key.clone());
            }
            match reading.method {
                Match::Ip => compiled.patterns.add_net(entry.net(resolve).map_err(place)?),
                _ => compiled.patterns.add(&entry.key, reading.ignore_case, resolve).map_err(place)?,
            }
        }
        Ok(compiled)
    }
}

fn typed(text: &[u8], out: SampleType) -> Option<Sample<'static>> {
    let text = Sample::Str(text.to_vec().into());
    match (out, &text) {
        (SampleType::Int, Sample::Str(s)) => match leading_int(s) {
            (n, len) if len == s.len() && len > 0 => Some(Sample::Int(n)),
            _ => None,
        },
        (SampleType::Addr, _) => cast(text, SampleType::Addr),
        _ => Some(text),
    }
}

impl View {
    pub(super) fn new(reading: Reading, compiled: Compiled) -> View {
        View { reading, live: Live::new(compiled) }
    }

    pub(super) fn store(&self, compiled: Compiled) {
        self.live.store(std::sync::Arc::new(compiled));
    }

    /// Whether a pattern matches. The sample has the type that the method wants.
    pub fn matches(&self, sample: &Sample<'_>) -> bool {
        self.live.with(|c| c.patterns.find(sample).is_some())
    }

    /// The value of the first key that matches.
    pub fn value(&self, sample: &Sample<'_>) -> Option<Sample<'static>> {
        self.live.with(|c| c.patterns.find(sample).and_then(|i| c.values.get(i).cloned()))
    }

    /// The first key that matches, as it was written.
    pub fn key(&self, sample: &Sample<'_>) -> Option<Vec<u8>> {
        self.live.with(|c| c.patterns.find(sample).and_then(|i| c.keys.get(i).map(|k| k.to_vec())))
    }

    /// The value of the first expression that matches, with its `\1` filled in.
    pub fn expanded(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.live.with(|c| {
            let (index, regex) = c.patterns.find_regex(text)?;
            let Some(Sample::Str(replacement)) = c.values.get(index) else { return None };
            let mut out = Vec::new();
            regex.groups(text, 0)?.expand(text, replacement, &mut out);
            Some(out)
        })
    }
}
