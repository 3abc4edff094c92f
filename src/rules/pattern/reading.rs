//! How the texts of a reference are read: one pattern for one use.

use std::sync::Arc;

use crate::base::hex::from_hex;
use crate::rules::cast::{cast, leading_int};
use crate::rules::regex::Regex;
use crate::rules::sample::{Sample, SampleType};

use super::entry::Entry;
use super::method::Match;
use super::net::Net;
use super::number::Range;
use super::texts::Keyed;
use super::word;

/// How a reference's texts are read. Users that agree share one matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub method: Match,
    pub ignore_case: bool,
    /// Names may stand for addresses.
    pub resolve: bool,
    /// The type of values; `None` for lists without values.
    pub out: Option<SampleType>,
}

impl Reading {
    /// Of several patterns that match, the longest counts; else the first.
    pub fn prefers_longest(self) -> bool {
        self.method == Match::Beg && !self.ignore_case
    }

    /// Patterns are found by the text that they are, or its beginning or end.
    pub fn finds_texts(self) -> bool {
        matches!(self.method, Match::Str | Match::Beg | Match::End)
    }

    /// The bytes that are compared, when they are not those of the text itself.
    pub fn fold(self, text: &[u8]) -> Result<Option<Box<[u8]>>, String> {
        match self.method {
            Match::Bin => from_hex(text)
                .map(|bytes| Some(bytes.into()))
                .ok_or_else(|| format!("an hex string is expected, got '{}'", String::from_utf8_lossy(text))),
            _ if self.ignore_case && text.iter().any(u8::is_ascii_uppercase) => {
                Ok(Some(text.to_ascii_lowercase().into()))
            }
            _ => Ok(None),
        }
    }

    /// Reads an entry; the error says what is wrong with it and where it is. `resolve`: names may be looked up now.
    pub fn read(self, entry: &Arc<Entry>, resolve: bool) -> Result<Pattern, String> {
        let read = || {
            Ok(Pattern {
                value: self.value(entry.value.as_deref())?,
                form: self.form(&entry.key, resolve)?,
                entry: entry.clone(),
            })
        };
        read().map_err(|e: String| match entry.line {
            0 => e,
            line => format!("{e} at line {line}"),
        })
    }

    fn form(self, text: &[u8], resolve: bool) -> Result<Form, String> {
        Ok(match self.method {
            Match::Int | Match::Len => Form::Range(Range::parse(text)?),
            Match::Ip => Form::Net(Net::read(text, resolve)?),
            Match::Reg => {
                let text = std::str::from_utf8(text).map_err(|_| "a regex must be UTF-8 text".to_owned())?;
                Form::Regex(Regex::new(text, self.ignore_case)?)
            }
            _ => self.fold(text)?.map_or(Form::Text, Form::Folded),
        })
    }

    /// Whether values are anything but texts.
    pub fn has_typed_values(self) -> bool {
        matches!(self.out, Some(SampleType::Int | SampleType::Addr))
    }

    /// A value, unless it is a text.
    pub fn value(self, text: Option<&[u8]>) -> Result<Option<Sample<'static>>, String> {
        let (Some(out), text) = (self.out, text.unwrap_or_default()) else {
            return Ok(None);
        };
        let value = match out {
            SampleType::Int => match leading_int(text) {
                (n, len) if len == text.len() && len > 0 => Some(Sample::Int(n)),
                _ => None,
            },
            SampleType::Addr => cast(Sample::Str(text.to_vec().into()), SampleType::Addr),
            // Texts stay where they are.
            _ => return Ok(None),
        };
        value.map(Some).ok_or_else(|| format!("unable to parse '{}'", String::from_utf8_lossy(text)))
    }
}

/// One entry as a use of its reference reads it.
#[derive(Debug)]
pub struct Pattern {
    pub entry: Arc<Entry>,
    /// The entry's value, unless it is a text.
    value: Option<Sample<'static>>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The entry's text.
    Text,
    Folded(Box<[u8]>),
    Range(Range),
    Net(Net),
    Regex(Regex),
}

impl Keyed for Arc<Pattern> {
    fn id(&self) -> u64 {
        self.entry.id
    }

    fn text(&self) -> &[u8] {
        Pattern::text(self)
    }
}

impl Pattern {
    /// The bytes to compare.
    pub fn text(&self) -> &[u8] {
        match &self.form {
            Form::Folded(text) => text,
            _ => &self.entry.key,
        }
    }

    pub fn net(&self) -> Option<Net> {
        match self.form {
            Form::Net(net) => Some(net),
            _ => None,
        }
    }

    pub fn regex(&self) -> Option<&Regex> {
        match &self.form {
            Form::Regex(regex) => Some(regex),
            _ => None,
        }
    }

    /// The numbers that it covers.
    pub fn range(&self) -> Option<Range> {
        match self.form {
            Form::Range(range) => Some(range),
            _ => None,
        }
    }

    /// A map's value, unless that is a text.
    pub fn value(&self) -> Option<Sample<'static>> {
        self.value.clone()
    }

    pub fn matches_int(&self, n: i64) -> bool {
        matches!(self.form, Form::Range(range) if range.contains(n))
    }

    /// Whether the text begins with this one.
    #[inline]
    pub fn begins(&self, text: &[u8], ignore_case: bool) -> bool {
        let ours = self.text();
        text.get(..ours.len()).is_some_and(|part| word::same(part, ours, ignore_case))
    }

    pub fn matches_text(&self, text: &[u8], reading: Reading) -> bool {
        let (ours, ignore_case) = (self.text(), reading.ignore_case);
        match reading.method {
            Match::Str => word::same(text, ours, ignore_case),
            Match::Bin => text == ours,
            Match::Beg => self.begins(text, ignore_case),
            Match::End => {
                let at = text.len().checked_sub(ours.len());
                at.is_some_and(|at| word::same(&text[at..], ours, ignore_case))
            }
            Match::Sub if ignore_case => word::contains_ignoring_case(text, ours),
            Match::Sub => memchr::memmem::find(text, ours).is_some(),
            Match::Dir => word::contains(text, ours, word::DIR, ignore_case),
            Match::Dom => word::contains(text, ours, word::DOM, ignore_case),
            Match::Len => self.matches_int(text.len() as i64),
            Match::Reg => self.regex().is_some_and(|r| r.is_match(text)),
            Match::Found | Match::Bool | Match::Int | Match::Ip => false,
        }
    }
}
