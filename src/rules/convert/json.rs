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
const UTF8: i64 = 1;
/// Bad sequences are dropped, kept as they are, or replaced.
const UTF8_IGNORE: i64 = 2;
const UTF8_PASS: i64 = 3;

fn check_input(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let code = match args.as_slice().str(0) {
        b"" | b"ascii" => ASCII,
        b"utf8" => UTF8,
        b"utf8s" => UTF8_IGNORE,
        b"utf8p" | b"utf8ps" => UTF8_PASS,
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

fn push_escaped(c: char, out: &mut Vec<u8>) {
    match c {
        '"' | '\\' | '/' => out.extend_from_slice(&[b'\\', c as u8]),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if c.is_ascii() && !c.is_ascii_control() => out.push(c as u8),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

fn json<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let code = args.int(0).unwrap_or(ASCII);
    let mut out = Vec::with_capacity(value.len() + 8);
    if code == ASCII {
        value.iter().for_each(|b| push_escaped(char::from(*b), &mut out));
        return Some(Sample::Str(Cow::Owned(out)));
    }
    for chunk in value.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(c, &mut out));
        match code {
            UTF8 if !chunk.invalid().is_empty() => return None,
            UTF8_PASS => chunk.invalid().iter().for_each(|b| push_escaped(char::from(*b), &mut out)),
            _ => {}
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

fn json_query<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let text = bytes(sample);
    let document: Value = serde_json::from_slice(&text).ok()?;
    let found = at_path(&document, std::str::from_utf8(args.str(0)).ok()?)?;
    Some(match found {
        Value::Bool(b) => Sample::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(i) if args.str(1) == b"int" || n.is_i64() => Sample::Int(i),
            _ if args.str(1) == b"int" => Sample::Int(n.as_f64()? as i64),
            _ => Sample::Str(Cow::Owned(n.to_string().into_bytes())),
        },
        Value::String(s) => Sample::Str(Cow::Owned(s.clone().into_bytes())),
        Value::Array(_) => Sample::Str(Cow::Owned(found.to_string().into_bytes())),
        Value::Null | Value::Object(_) => return None,
    })
}

fn check_query(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
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
