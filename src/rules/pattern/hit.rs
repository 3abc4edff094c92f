//! `Hit`: the pattern that a lookup found, packed or not.

use std::sync::Arc;

use crate::rules::regex::Regex;
use crate::rules::sample::Sample;

use super::base::Base;
use super::entry::Entry;
use super::ranges::NetIndex;
use super::reading::{Pattern, Reading};
use super::record::Record;
use super::spans::Span;

/// A pattern that counts.
#[derive(Clone, Copy, Debug)]
pub enum Hit<'p> {
    Packed(&'p Base, Record<'p>),
    /// A network of a base, as its index has it.
    Net(&'p Base, &'p NetIndex, Span<'p>),
    Loose(&'p Arc<Pattern>),
}

impl<'p> Hit<'p> {
    pub fn id(self) -> u64 {
        match self {
            Hit::Packed(_, record) => record.id(),
            Hit::Net(.., span) => u64::from(*span.owner) + 1,
            Hit::Loose(pattern) => pattern.entry.id,
        }
    }

    /// The key as it was written.
    pub fn key(self) -> &'p [u8] {
        match self {
            Hit::Packed(_, record) => record.key,
            Hit::Net(base, _, span) => base.key(*span.owner as usize),
            Hit::Loose(pattern) => &pattern.entry.key,
        }
    }

    pub fn entry(self) -> Arc<Entry> {
        match self {
            Hit::Packed(base, record) => Arc::new(base.entry(record.at)),
            Hit::Net(base, _, span) => Arc::new(base.entry(*span.owner as usize)),
            Hit::Loose(pattern) => pattern.entry.clone(),
        }
    }

    /// A map's value.
    pub fn value(self, reading: Reading) -> Option<Sample<'static>> {
        match self {
            Hit::Packed(..) | Hit::Net(..) => {
                let written = self.written();
                reading.value(written).ok()?.or_else(|| written.map(text))
            }
            Hit::Loose(pattern) => pattern.value().or_else(|| pattern.entry.value.as_deref().map(text)),
        }
    }

    /// A map's value as it was written.
    pub fn written(self) -> Option<&'p [u8]> {
        match self {
            Hit::Packed(_, record) => record.value,
            Hit::Net(base, index, span) => index.value(span).or_else(|| base.value(*span.owner as usize)),
            Hit::Loose(pattern) => pattern.entry.value.as_deref(),
        }
    }

    pub fn regex(self) -> Option<&'p Regex> {
        match self {
            Hit::Packed(..) | Hit::Net(..) => None,
            Hit::Loose(pattern) => pattern.regex(),
        }
    }
}

fn text(value: &[u8]) -> Sample<'static> {
    Sample::Str(value.to_vec().into())
}
