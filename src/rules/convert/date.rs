//! Dates: formatting in local time and UTC, HTTP dates.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::clock;
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::fetch::check_unit;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};
use super::text::bytes;

/// Formats `value` (in `per_second` parts of a second) with strftime directives and `%N` for the fraction.
fn format<'a>(sample: Sample<'a>, args: &'a [Arg], per_second: i64, local: bool) -> Option<Sample<'a>> {
    let Sample::Int(value) = sample else { return None };
    let seconds = value.div_euclid(per_second).checked_add(args.int(1).unwrap_or(0))?;
    let micros = value.rem_euclid(per_second) * (1_000_000 / per_second);
    let stamp = Timestamp::new(seconds, i32::try_from(micros * 1000).ok()?).ok()?;
    let zone = if local { clock::zone() } else { TimeZone::UTC };
    let pattern = fraction(args.str(0), micros);
    let pattern = std::str::from_utf8(&pattern).ok()?;
    let text = jiff::fmt::strtime::format(pattern, &stamp.to_zoned(zone)).ok()?;
    Some(Sample::Str(Cow::Owned(text.into_bytes())))
}

/// Replaces `%N` and `%<digits>N` by the fraction of the second (nanoseconds unless fewer digits are asked for).
fn fraction(pattern: &[u8], micros: i64) -> Cow<'_, [u8]> {
    if !pattern.contains(&b'N') {
        return Cow::Borrowed(pattern);
    }
    let digits = format!("{micros:06}000");
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match rest {
            [b'%', b'N', tail @ ..] => {
                out.extend_from_slice(digits.as_bytes());
                rest = tail;
            }
            [b'%', n @ b'1'..=b'9', b'N', tail @ ..] => {
                out.extend_from_slice(&digits.as_bytes()[..usize::from(n - b'0')]);
                rest = tail;
            }
            _ => {
                let len = rest.len().min(2);
                out.extend_from_slice(&rest[..len]);
                rest = &rest[len..];
            }
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

fn check_format(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let pattern = fraction(args.as_slice().str(0), 0).into_owned();
    let pattern = std::str::from_utf8(&pattern).map_err(|_| "the format must be text".to_owned())?;
    jiff::fmt::strtime::format(pattern, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC))
        .map(drop)
        .map_err(|e| format!("bad date format: {e}"))
}

/// A fraction of a second is written behind the seconds, in as many digits as it has.
fn http_date<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let Sample::Int(value) = sample else { return None };
    let value = value.checked_add(args.int(0).unwrap_or(0))?;
    let per_second = match args.int(1) {
        Some(1) => 1000,
        Some(2) => 1_000_000,
        _ => 1,
    };
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let date =
        std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(u64::try_from(seconds).ok()?))?;
    // Beyond the year 9999 there is no such date.
    (seconds < 253_402_300_800).then_some(())?;
    let text = httpdate::fmt_http_date(date);
    Some(Sample::Str(Cow::Owned(match text.strip_suffix(" GMT") {
        Some(text) if per_second > 1 => format!("{text}.{fraction} GMT").into_bytes(),
        _ => text.into_bytes(),
    })))
}

fn parse_date<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let text = bytes(sample);
    let date = httpdate::parse_http_date(std::str::from_utf8(&text).ok()?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Sample::Int(i64::try_from(since.as_secs()).ok()?))
}

const fn time(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, "<format>[,<offset>]", doc, example, since), T::Int, T::Str, run)
        .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Int]))
        .check(check_format)
}

pub static CONVERTERS: &[Converter] = &[
    time(
        "ltime",
        "Formats seconds since the epoch in local time (strftime).",
        "date,ltime(%Y-%m-%d)",
        "1.6",
        |s, a, _| format(s, a, 1, true),
    ),
    time(
        "utime",
        "Formats seconds since the epoch in UTC (strftime).",
        "date,utime(%H:%M:%S)",
        "1.6",
        |s, a, _| format(s, a, 1, false),
    ),
    time(
        "ms_ltime",
        "Formats milliseconds since the epoch in local time; %N is the fraction.",
        "date(0,ms),ms_ltime(%S.%3N)",
        "2.8",
        |s, a, _| format(s, a, 1000, true),
    ),
    time(
        "ms_utime",
        "Formats milliseconds since the epoch in UTC; %N is the fraction.",
        "date(0,ms),ms_utime(%S.%3N)",
        "2.8",
        |s, a, _| format(s, a, 1000, false),
    ),
    time(
        "us_ltime",
        "Formats microseconds since the epoch in local time; %N is the fraction.",
        "date(0,us),us_ltime(%S.%N)",
        "2.8",
        |s, a, _| format(s, a, 1_000_000, true),
    ),
    time(
        "us_utime",
        "Formats microseconds since the epoch in UTC; %N is the fraction.",
        "date(0,us),us_utime(%S.%N)",
        "2.8",
        |s, a, _| format(s, a, 1_000_000, false),
    ),
    Converter::new(
        Entry::full(
            "http_date",
            "[<offset>[,<unit>]]",
            "Formats seconds (or ms, us) since the epoch as HTTP does.",
            "date,http_date(3600)",
            "1.5",
        ),
        T::Int,
        T::Str,
        http_date,
    )
    .args(ArgSpec::new(0, &[ArgKind::Int, ArgKind::Str]))
    .check(|args, _| check_unit(args, 1)),
    Converter::new(
        Entry::full(
            "date",
            "",
            "The seconds since the epoch that an HTTP date stands for.",
            "req.fhdr(if-modified-since),date",
            "2.9",
        ),
        T::Str,
        T::Int,
        parse_date,
    ),
];
