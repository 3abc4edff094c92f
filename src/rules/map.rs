//! A map: patterns, each with a value.

use std::borrow::Cow;

use super::build::BuildCtx;
use super::cast::{cast, leading_int};
use super::pattern::{self, Match, Patterns};
use super::sample::{Sample, SampleType};

/// The keys of a map file as patterns, and their values already of the output type.
#[derive(Debug)]
pub struct Map {
    pub patterns: Patterns,
    keys: Vec<Box<[u8]>>,
    values: Vec<Sample<'static>>,
}

impl Map {
    /// Reads `<key> <value>` lines.
    pub fn load(name: &str, method: Match, out: SampleType, ctx: &mut BuildCtx<'_>) -> Result<Map, String> {
        let bytes = pattern::read(name, ctx)?;
        let mut map = Map { patterns: Patterns::new(method), keys: Vec::new(), values: Vec::new() };
        for (number, line) in pattern::lines(&bytes) {
            let key_len = line.iter().position(|c| matches!(c, b' ' | b'\t')).unwrap_or(line.len());
            let (key, value) = (&line[..key_len], line[key_len..].trim_ascii());
            let place = || format!(" at line {number} of file <{name}>");
            let value = typed(value, out).ok_or_else(|| {
                format!(
                    "cannot parse '{}' as the map's output type{}",
                    String::from_utf8_lossy(value),
                    place()
                )
            })?;
            map.patterns.add(key, false, false).map_err(|e| e + &place())?;
            map.keys.push(key.into());
            map.values.push(value);
        }
        Ok(map)
    }

    /// The number of the first entry that matches. The sample has the type that the method wants.
    pub fn find(&self, sample: &Sample<'_>) -> Option<usize> {
        self.patterns.find(sample)
    }

    pub fn value(&self, index: usize) -> Sample<'_> {
        self.values[index].borrow()
    }

    pub fn key(&self, index: usize) -> &[u8] {
        &self.keys[index]
    }
}

fn typed(text: &[u8], out: SampleType) -> Option<Sample<'static>> {
    match out {
        SampleType::Int => match leading_int(text) {
            (n, len) if len == text.len() && len > 0 => Some(Sample::Int(n)),
            _ => None,
        },
        SampleType::Addr => cast(Sample::Str(Cow::Borrowed(text)), SampleType::Addr).map(Sample::into_owned),
        _ => Some(Sample::Str(Cow::Owned(text.to_vec()))),
    }
}
