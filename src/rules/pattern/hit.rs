//! `Hit`: the pattern that a lookup found, packed or not.

use std::sync::Arc;

use crate::rules::regex::Regex;
use crate::rules::sample::Sample;

use super::base::Base;
use super::entry::Entry;
use super::reading::{Pattern, Reading};
use super::record::Record;

/// A pattern that counts.
#[derive(Clone, Copy, Debug)]
pub enum Hit<'p> {
    Packed(&'p Base, Record<'p>),
    Loose(&'p Arc<Pattern>),
}

impl<'p> Hit<'p> {
    pub fn id(self) -> u64 {
        match self {
            Hit::Packed(_, record) => record.id(),
            Hit::Loose(pattern) => pattern.entry.id,
        }
    }

    /// The key as it was written.
    pub fn key(self) -> &'p [u8] {
        match self {
            Hit::Packed(_, record) => record.key,
            Hit::Loose(pattern) => &pattern.entry.key,
        }
    }

    pub fn entry(self) -> Arc<Entry> {
        match self {
            Hit::Packed(base, record) => Arc::new(base.entry(record.at)),
            Hit::Loose(pattern) => pattern.entry.clone(),
        }
    }

    /// A map's value.
    pub fn value(self, reading: Reading) -> Option<Sample<'static>> {
        match self {
            Hit::Packed(_, record) => reading.value(record.value).ok()?.or_else(|| record.value.map(text)),
            Hit::Loose(pattern) => pattern.value().or_else(|| pattern.entry.value.as_deref().map(text)),
        }
    }

    /// A map's value as it was written.
    pub fn written(self) -> Option<&'p [u8]> {
        match self {
            Hit::Packed(_, record) => record.value,
            Hit::Loose(pattern) => pattern.entry.value.as_deref(),
        }
    }

    pub fn regex(self) -> Option<&'p Regex> {
        match self {
            Hit::Packed(..) => None,
            Hit::Loose(pattern) => pattern.regex(),
        }
    }
}

fn text(value: &[u8]) -> Sample<'static> {
    Sample::Str(value.to_vec().into())
}
