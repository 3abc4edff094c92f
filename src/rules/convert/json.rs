//! JSON: escaping and queries.

use std::borrow::Cow;

use serde_json::Value;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;
use super::text::bytes;

const ASCII: i64 = 0;
/// UTF-8, and what is done with what is wrong in it: it is left out, overlong sequences are read.
const UTF8: i64 = 1;
const LEAVES_OUT: i64 = 2;
const PERMITS: i64 = 4;

fn check_input(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let code = match args.as_slice().str(0) {
        b"" | b"ascii" => ASCII,
        b"utf8" => UTF8,
        b"utf8s" => UTF8 | LEAVES_OUT,
        b"utf8p" => UTF8 | PERMITS,
        b"utf8ps" => UTF8 | LEAVES_OUT | PERMITS,
        other => {
            return Err(format!(
                "Unexpected input code type '{}'. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps'",
                String::from_utf8_lossy(other)
            ));
        }
    };
    args[0] = Arg::Int(code);
    Ok(())
}

/// Appends a character of at most 16 bits.
fn push_escaped(c: u32, out: &mut Vec<u8>) {
    match u8::try_from(c) {
        Ok(c @ (b'"' | b'\\' | b'/')) => out.extend_from_slice(&[b'\\', c]),
        Ok(8) => out.extend_from_slice(b"\\b"),
        Ok(12) => out.extend_from_slice(b"\\f"),
        Ok(b'\r') => out.extend_from_slice(b"\\r"),
        Ok(b'\n') => out.extend_from_slice(b"\\n"),
        Ok(b'\t') => out.extend_from_slice(b"\\t"),
        Ok(c @ 0x20..=0x7e) => out.push(c),
        _ => out.extend_from_slice(format!("\\u{c:04x}").as_bytes()),
    }
}

/// What a sequence of UTF-8 stands for.
enum Read {
    Char(u32),
    /// A character in more bytes than it needs.
    Overlong(u32),
    Wrong,
}

/// The sequence at the beginning of `text`, which is not empty, and its length. One that breaks off ends there.
fn sequence(text: &[u8]) -> (Read, usize) {
    let first = text[0];
    let len = match first {
        0..0x80 => return (Read::Char(first.into()), 1),
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        0xf8..0xfc => 5,
        0xfc..0xfe => 6,
        _ => return (Read::Wrong, 1),
    };
    let mut code = u32::from(first) & (0x7f >> len);
    for at in 1..len {
        match text.get(at) {
            Some(c @ 0x80..0xc0) => code = code << 6 | u32::from(c & 0x3f),
            _ => return (Read::Wrong, at),
        }
    }
    let least = [0, 0, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][len];
    let read = match code {
        // Halves of pairs, and what the escape has no room for.
        0xd800..0xe000 | 0xfffe | 0xffff | 0x1_0000.. => Read::Wrong,
        code if code < least => Read::Overlong(code),
        code => Read::Char(code),
    };
    (read, len)
}

fn json<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let code = args.int(0).unwrap_or(ASCII);
    let mut out = Vec::with_capacity(value.len() + 8);
    if code == ASCII {
        value.iter().for_each(|b| push_escaped((*b).into(), &mut out));
        return Some(Sample::Str(Cow::Owned(out)));
    }
    let mut rest = &*value;
    while !rest.is_empty() {
        let (read, len) = sequence(rest);
        rest = &rest[len..];
        match read {
            Read::Char(c) => push_escaped(c, &mut out),
            Read::Overlong(c) if code & PERMITS != 0 => push_escaped(c, &mut out),
            _ if code & LEAVES_OUT != 0 => {}
            _ => return None,
        }
    }
    Some(Sample::Str(Cow::Owned(out)))
}

/// The value at `$.a.b[0]`.
fn at_path<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = value;
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (index, tail) = tail.split_once(']')?;
            let index = index.trim_matches(['\'', '"']);
            value = match index.parse::<usize>() {
                Ok(n) => value.get(n)?,
                Err(_) => value.get(index)?,
            };
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.')?;
            // A backslash keeps a dot in a key.
            let mut key = String::new();
            let mut chars = tail.char_indices();
            let mut end = tail.len();
            while let Some((i, c)) = chars.next() {
                match c {
                    '\\' => key.extend(chars.next().map(|(_, c)| c)),
                    '.' | '[' => {
                        end = i;
                        break;
                    }
                    c => key.push(c),
                }
            }
            value = value.get(&key)?;
            rest = &tail[end..];
        }
    }
    Some(value)
}

/// Whole numbers up to this one are exact in a document.
const MOST_INT: u64 = (1 << 53) - 1;

/// A number in six digits, as `%g` of printf writes it.
fn general(n: f64) -> String {
    if n == 0.0 {
        return "0".into();
    }
    let text = format!("{n:.5e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        return trim(&format!("{n:.*}", (5 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

fn json_query<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    query(&bytes(sample), args)
}

/// The value of a document at the path of argument 0.
pub fn query(text: &[u8], args: &[Arg]) -> Option<Sample<'static>> {
    let document: Value = serde_json::from_slice(text).ok()?;
    let found = at_path(&document, std::str::from_utf8(args.str(0)).ok()?)?;
    Some(match found {
        Value::Bool(b) => Sample::Bool(*b),
        Value::Number(n) if args.str(1) == b"int" => {
            let n = n.as_f64()? as i64;
            (n.unsigned_abs() <= MOST_INT).then_some(Sample::Int(n))?
        }
        Value::Number(n) => Sample::Str(Cow::Owned(general(n.as_f64()?).into_bytes())),
        Value::String(s) => Sample::Str(Cow::Owned(s.clone().into_bytes())),
        Value::Array(_) => Sample::Str(Cow::Owned(found.to_string().into_bytes())),
        Value::Null | Value::Object(_) => return None,
    })
}

pub fn check_query(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    if args.as_slice().str(0).first() != Some(&b'$') {
        return Err("Must not be null".into());
    }
    match args.as_slice().str(1) {
        b"" | b"int" => Ok(()),
        _ => Err("Output type not supported".into()),
    }
}

pub static CONVERTERS: &[Converter] = &[
    Converter::new(
        Entry::full(
            "json",
            "[<input-code>]",
            "Escapes a string for JSON; <input-code>: ascii, utf8, utf8s, utf8p or utf8ps.",
            "req.hdr(user-agent),json(utf8s)",
            "1.6",
        ),
        T::Str,
        T::Str,
        json,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str]))
    .check(check_input),
    Converter::new(
        Entry::full(
            "json_query",
            "<path>[,int]",
            "The value at a path such as $.a.b[0] of a JSON document.",
            "req.body,json_query('$.id',int)",
            "2.4",
        ),
        T::Str,
        T::Any,
        json_query,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str]))
    .check(check_query)
    .changes_type(),
];
