//! A value of the statistics with what its consumers must know to aggregate it (management manual 9.2).

use std::borrow::Cow;
use std::fmt::Write;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Metric,
    Status,
    Key,
    Config,
    Product,
}

/// What it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Gauge,
    Limit,
    Max,
    Rate,
    Counter,
    Duration,
    Age,
    Name,
    Output,
    Average,
}

/// How far it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Process,
    Service,
}

impl Origin {
    /// Its letter in typed output and its word in JSON; the same below.
    pub fn names(self) -> (char, &'static str) {
        match self {
            Origin::Metric => ('M', "Metric"),
            Origin::Status => ('S', "Status"),
            Origin::Key => ('K', "Key"),
            Origin::Config => ('C', "Config"),
            Origin::Product => ('P', "Product"),
        }
    }
}

impl Nature {
    pub fn names(self) -> (char, &'static str) {
        match self {
            Nature::Gauge => ('G', "Gauge"),
            Nature::Limit => ('L', "Limit"),
            Nature::Max => ('M', "Max"),
            Nature::Rate => ('R', "Rate"),
            Nature::Counter => ('C', "Counter"),
            Nature::Duration => ('D', "Duration"),
            Nature::Age => ('A', "Age"),
            Nature::Name => ('N', "Name"),
            Nature::Output => ('O', "Output"),
            Nature::Average => ('a', "Avg"),
        }
    }
}

impl Scope {
    pub fn names(self) -> (char, &'static str) {
        match self {
            Scope::Process => ('P', "Process"),
            Scope::Service => ('S', "Service"),
        }
    }
}

/// The value itself, in the type that typed output names.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    S32(i32),
    U32(u32),
    U64(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// A value and its tags; `None` where an object has no such value.
#[derive(Clone, Debug, PartialEq)]
pub struct Datum<'a> {
    pub value: Value<'a>,
    pub origin: Origin,
    pub nature: Nature,
    pub scope: Scope,
}

pub type Field<'a> = Option<Datum<'a>>;

/// A metric of the process; the other constructors name what differs.
pub fn metric<'a>(nature: Nature, value: Value<'a>) -> Field<'a> {
    Some(Datum { value, origin: Origin::Metric, nature, scope: Scope::Process })
}

pub fn counter<'a>(n: u64) -> Field<'a> {
    metric(Nature::Counter, Value::U64(n))
}

pub fn gauge<'a>(n: u32) -> Field<'a> {
    metric(Nature::Gauge, Value::U32(n))
}

pub fn highest<'a>(n: u64) -> Field<'a> {
    metric(Nature::Max, small(n))
}

pub fn rate<'a>(n: u32) -> Field<'a> {
    metric(Nature::Rate, Value::U32(n))
}

pub fn average<'a>(n: u64) -> Field<'a> {
    metric(Nature::Average, small(n))
}

pub fn output<'a>(text: impl Into<Cow<'a, str>>) -> Field<'a> {
    metric(Nature::Output, Value::Text(text.into()))
}

pub fn limit<'a>(n: u32) -> Field<'a> {
    Some(Datum { value: Value::U32(n), origin: Origin::Config, nature: Nature::Limit, scope: Scope::Process })
}

pub fn status<'a>(value: Value<'a>) -> Field<'a> {
    Some(Datum { value, origin: Origin::Status, nature: Nature::Gauge, scope: Scope::Process })
}

pub fn config<'a>(nature: Nature, value: Value<'a>) -> Field<'a> {
    Some(Datum { value, origin: Origin::Config, nature, scope: Scope::Service })
}

pub fn key<'a>(nature: Nature, value: Value<'a>) -> Field<'a> {
    Some(Datum { value, origin: Origin::Key, nature, scope: Scope::Service })
}

pub fn text<'a>(text: impl Into<Cow<'a, str>>) -> Value<'a> {
    Value::Text(text.into())
}

/// A number that HAProxy shows in 32 bits.
pub fn small<'a>(n: u64) -> Value<'a> {
    Value::U32(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Value<'_> {
    /// `s32`, `u64`, `str`...
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::S32(_) => "s32",
            Value::U32(_) => "u32",
            Value::U64(_) => "u64",
            Value::Float(_) => "flt",
            Value::Text(_) => "str",
        }
    }

    /// As plain text.
    pub fn write(&self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Value::S32(n) => write!(out, "{n}"),
            Value::U32(n) => write!(out, "{n}"),
            Value::U64(n) => write!(out, "{n}"),
            Value::Float(n) => {
                let digits = format!("{n:.6}");
                let short = digits.trim_end_matches('0').trim_end_matches('.');
                out.push_str(short);
                Ok(())
            }
            Value::Text(t) => {
                out.push_str(t);
                Ok(())
            }
        };
    }
}
