//! FIX (Financial Information eXchange): fields of a message.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;
use super::text::bytes;

const END: u8 = 1;
const BEGIN_STRING: i64 = 8;
const BODY_LENGTH: i64 = 9;
const CHECK_SUM: i64 = 10;
const MSG_TYPE: i64 = 35;

const NAMES: [(&str, i64); 6] = [
    ("BeginString", BEGIN_STRING),
    ("BodyLength", BODY_LENGTH),
    ("CheckSum", CHECK_SUM),
    ("MsgType", MSG_TYPE),
    ("SenderCompID", 49),
    ("TargetCompID", 56),
];

const VERSIONS: [&[u8]; 7] =
    [b"FIXT.1.1", b"FIX.4.0", b"FIX.4.1", b"FIX.4.2", b"FIX.4.3", b"FIX.4.4", b"FIX.5.0"];

/// Why a message cannot be told to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// More of it is to come.
    Short,
    Wrong,
}

/// A field: its tag, its value, and how many bytes it takes.
fn field(data: &[u8]) -> Result<(i64, &[u8], usize), Fault> {
    let len = memchr::memchr(END, data).ok_or(Fault::Short)?;
    let equals = memchr::memchr(b'=', &data[..len]).ok_or(Fault::Wrong)?;
    let (tag, value) = (&data[..equals], &data[equals + 1..len]);
    match number(tag) {
        Some(tag) if !value.is_empty() => Ok((tag as i64, value, len + 1)),
        _ => Err(Fault::Wrong),
    }
}

fn number(text: &[u8]) -> Option<usize> {
    let is_number = (1..10).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

fn wanted(is_so: bool) -> Result<(), Fault> {
    if is_so { Ok(()) } else { Err(Fault::Wrong) }
}

/// Whether `data` begins with a whole message whose length and sum are right.
fn validate(data: &[u8]) -> Result<(), Fault> {
    let (tag, version, first) = field(data)?;
    wanted(tag == BEGIN_STRING && VERSIONS.contains(&version))?;
    let (tag, length, second) = field(&data[first..])?;
    wanted(tag == BODY_LENGTH)?;
    let start = first + second;
    let end = number(length).and_then(|len| start.checked_add(len)).ok_or(Fault::Wrong)?;
    let body = data.get(start..end).ok_or(Fault::Short)?;
    let mut at = 0;
    while at < body.len() {
        // A field that goes on behind the body makes its length wrong.
        let (tag, _, len) = field(&body[at..]).map_err(|_| Fault::Wrong)?;
        wanted(at > 0 || tag == MSG_TYPE)?;
        at += len;
    }
    wanted(at > 0)?;
    let (tag, sum, _) = field(&data[end..])?;
    let expected = data[..end].iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
    wanted(tag == CHECK_SUM && number(sum) == Some(usize::from(expected)))
}

fn is_valid<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    match validate(&bytes(sample)) {
        Ok(()) => Some(Sample::Bool(true)),
        Err(Fault::Wrong) => Some(Sample::Bool(false)),
        Err(Fault::Short) => None,
    }
}

fn value<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let data = bytes(sample);
    let wanted = args.int(0)?;
    let mut rest = &*data;
    loop {
        let (tag, value, len) = field(rest).ok()?;
        if tag == wanted {
            return Some(Sample::Bin(Cow::Owned(value.to_vec())));
        }
        rest = &rest[len..];
    }
}

fn check_tag(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let word = String::from_utf8_lossy(args.as_slice().str(0)).into_owned();
    let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word));
    let tag = match known {
        Some((_, tag)) => *tag,
        None => word.parse::<u32>().map_err(|_| format!("invalid FIX tag '{word}'"))?.into(),
    };
    args[0] = Arg::Int(tag);
    Ok(())
}

pub static CONVERTERS: &[Converter] = &[
    Converter::new(
        Entry::full(
            "fix_is_valid",
            "",
            "Whether it begins with a FIX message whose length and checksum are right.",
            "req.payload(0,0),fix_is_valid",
            "2.4",
        ),
        T::Bin,
        T::Bool,
        is_valid,
    )
    .decides(),
    Converter::new(
        Entry::full(
            "fix_tag_value",
            "<tag>",
            "The value of a tag (a number or a name such as MsgType) of a FIX message.",
            "req.payload(0,0),fix_tag_value(MsgType)",
            "2.4",
        ),
        T::Bin,
        T::Bin,
        value,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str]))
    .check(check_tag),
];
