//! URL encoding, parameters, languages.

use std::borrow::Cow;

use crate::base::hex::hex;
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
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
                match hex(*a) << 4 | hex(*b) {
                    // It would end the text.
                    0 => out.push(c),
                    code => {
                        out.push(code);
                        at += 2;
                    }
                }
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
    let delimiter = args.as_slice().str(1);
    match delimiter {
        [] | [_] => Ok(()),
        [b'0', b'x', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            args[1] = Arg::Str(Box::new([hex(*a) << 4 | hex(*b)]));
            Ok(())
        }
        _ => Err("Delimiter must be a single character or its code as 0xHH.".into()),
    }
}

/// Picks from `Accept-Language` the offered language with the highest weight, the first of equals (RFC 9110 section
/// 12.5.4). Names are compared as they are written.
fn language<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let mut best: Option<(u32, &'a [u8])> = None;
    let mut elements = value.split(|c| *c == b',');
    while let Some(element) = elements.next() {
        let end = element.iter().position(|c| *c == b';').unwrap_or(element.len());
        let tag = element[..end].trim_ascii();
        let tag = tag.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        // `en` serves who asks for `en-US`.
        let serves = |offered: &&[u8]| match tag.strip_prefix(*offered) {
            Some(rest) => !offered.is_empty() && matches!(rest, [] | [b'-', ..]),
            None => false,
        };
        let Some(offered) = args.str(0).split(|c| *c == b';').find(serves) else {
            continue;
        };
        let (weight, takes_next) = weight_of(element[end..].strip_prefix(b";").unwrap_or_default());
        if best.is_none_or(|(most, _)| weight > most) && weight > 0 {
            best = Some((weight, offered));
        }
        if takes_next {
            elements.next();
        }
    }
    let default = Some(args.str(1)).filter(|d| !d.is_empty());
    best.map(|(_, l)| l).or(default).map(|l| Sample::Str(Cow::Borrowed(l)))
}

/// `q=0.7` as 700. HAProxy takes the byte behind a whole number for the point, whatever it is: a comma, too, and with it
/// the next element.
fn weight_of(parameter: &[u8]) -> (u32, bool) {
    let Some(rest) = parameter.trim_ascii_start().strip_prefix(b"q") else { return (1000, false) };
    let Some(rest) = rest.trim_ascii_start().strip_prefix(b"=") else { return (1000, false) };
    let digit = |c: Option<&u8>| c.filter(|c| c.is_ascii_digit()).map(|c| u32::from(c - b'0'));
    let rest = rest.trim_ascii_start();
    let Some(whole) = digit(rest.first()) else { return (1000, false) };
    if rest.get(1).is_none() {
        return ((whole * 1000).min(1000), true);
    }
    let mut weight = whole * 1000;
    for (i, unit) in [100, 10, 1].into_iter().enumerate() {
        let Some(n) = digit(rest.get(2 + i)) else { break };
        weight += n * unit;
    }
    (weight.min(1000), false)
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
