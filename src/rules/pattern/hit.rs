//! `Hit`: the pattern that a lookup found, packed or not.

use std::sync::Arc;

use crate::rules::regex::Regex;
use crate::rules::sample::Sample;

use super::base::Base;
use super::entry::Entry;
use super::reading::{Pattern, Reading};

/// A pattern that counts.
#[derive(Clone, Copy, Debug)]
pub enum Hit<'p> {
    Packed(&'p Base, usize),
    Loose(&'p Arc<Pattern>),
}

impl<'p> Hit<'p> {
    pub fn id(self) -> u64 {
        match self {
            Hit::Packed(_, at) => at as u64 + 1,
            Hit::Loose(pattern) => pattern.entry.id,
        }
    }

    /// The key as it was written.
    pub fn key(self) -> &'p [u8] {
        match self {
            Hit::Packed(base, at) => base.key(at),
            Hit::Loose(pattern) => &pattern.entry.key,
        }
    }

    pub fn entry(self) -> Arc<Entry> {
        match self {
            Hit::Packed(base, at) => Arc::new(base.entry(at)),
            Hit::Loose(pattern) => pattern.entry.clone(),
        }
    }

    /// A map's value.
    pub fn value(self, reading: Reading) -> Option<Sample<'static>> {
        match self {
            Hit::Packed(base, at) => reading.value(base.value(at)).ok()?.or_else(|| base.value(at).map(text)),
            Hit::Loose(pattern) => pattern.value().or_else(|| pattern.entry.value.as_deref().map(text)),
        }
    }

    /// A map's value as it was written.
    pub fn written(self) -> Option<&'p [u8]> {
        match self {
            Hit::Packed(base, at) => base.value(at),
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
