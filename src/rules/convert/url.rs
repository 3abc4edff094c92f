//! URL encoding, parameters, languages.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::hex::hex;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;
use super::text::bytes;

/// `+` is a space inside a form (argument not 0), or behind a `?`.
fn url_dec<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let mut in_query = args.int(0).unwrap_or(0) != 0;
    if !value.iter().any(|c| matches!(c, b'%' | b'+')) {
        return Some(Sample::Str(value));
    }
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&c) = value.get(at) {
        match (c, value.get(at + 1), value.get(at + 2)) {
            (b'%', Some(a), Some(b)) => {
                if !a.is_ascii_hexdigit() || !b.is_ascii_hexdigit() {
                    return None;
                }
                out.push(hex(*a) << 4 | hex(*b));
                at += 2;
            }
            (b'%', ..) => return None,
            (b'+', ..) if in_query => out.push(b' '),
            (b'?', ..) => {
                in_query = true;
                out.push(c);
            }
            _ => out.push(c),
        }
        at += 1;
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn url_enc<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let is_plain = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~');
    if value.iter().all(is_plain) {
        return Some(Sample::Str(value));
    }
    let mut out = Vec::with_capacity(value.len() + 16);
    for c in value.iter() {
        if is_plain(c) {
            out.push(*c);
        } else {
            out.extend_from_slice(&[
                b'%',
                b"0123456789ABCDEF"[usize::from(c >> 4)],
                b"0123456789ABCDEF"[usize::from(c & 15)],
            ]);
        }
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn check_enc(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    match args.as_slice().str(0) {
        b"" | b"query" => Ok(()),
        _ => Err("supported encoding types are 'query'".into()),
    }
}

fn param<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let delimiter = args.str(1).first().copied().unwrap_or(b'&');
    for pair in value.split(|c| *c == delimiter) {
        let (name, rest) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        if name == args.str(0) {
            return Some(Sample::Str(Cow::Owned(rest.to_vec())));
        }
    }
    None
}

fn check_param(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    if args.as_slice().str(1).len() > 1 {
        return Err("Delimiter must be a single character.".into());
    }
    Ok(())
}

/// Picks from `Accept-Language` the offered language with the highest weight (RFC 9110 section 12.5.4).
fn language<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let mut best: Option<(u32, &'a [u8])> = None;
    for element in value.split(|c| *c == b',') {
        let mut parts = element.split(|c| *c == b';').map(<[u8]>::trim_ascii);
        let tag = parts.next()?;
        let weight = parts.next().and_then(|q| q.strip_prefix(b"q=")).map_or(1000, weight_of);
        let offered = args.str(0).split(|c| *c == b';').find(|l| l.eq_ignore_ascii_case(tag));
        if let Some(language) = offered
            && best.is_none_or(|(w, _)| weight > w)
        {
            best = Some((weight, language));
        }
    }
    let default = Some(args.str(1)).filter(|d| !d.is_empty());
    best.map(|(_, l)| l).or(default).map(|l| Sample::Str(Cow::Borrowed(l)))
}

/// `0.7` as 700.
fn weight_of(text: &[u8]) -> u32 {
    let mut digits = text.iter().filter(|c| c.is_ascii_digit()).map(|c| u32::from(c - b'0'));
    (0..4).fold(0, |n, _| n * 10 + digits.next().unwrap_or(0))
}

pub static CONVERTERS: &[Converter] = &[
    Converter::new(
        Entry::full(
            "url_dec",
            "[<in_form>]",
            "Decodes %XX, and + behind a ? (or anywhere when <in_form> is not 0); nothing for a bad code.",
            "query,url_dec(1)",
            "1.5",
        ),
        T::Str,
        T::Str,
        url_dec,
    )
    .args(ArgSpec::new(0, &[ArgKind::Int])),
    Converter::new(
        Entry::full(
            "url_enc",
            "[query]",
            "Encodes all but unreserved characters as %XX.",
            "req.hdr(host),url_enc",
            "2.5",
        ),
        T::Str,
        T::Str,
        url_enc,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str]))
    .check(check_enc),
    Converter::new(
        Entry::full(
            "param",
            "<name>[,<delim>]",
            "The value of a parameter in a string of name=value pairs.",
            "query,param(id)",
            "3.1",
        ),
        T::Str,
        T::Str,
        param,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str]))
    .check(check_param),
    Converter::new(
        Entry::full(
            "language",
            "<value[;value[...]]>[,<default>]",
            "The offered language that Accept-Language prefers.",
            "req.fhdr(accept-language),language(es;fr;en,fr)",
            "1.5",
        ),
        T::Str,
        T::Str,
        language,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str])),
];
