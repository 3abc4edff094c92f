//! Strings: case, cutting, joining, comparing, replacing.

use std::borrow::Cow;
use std::sync::Arc;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::{leading_int, text, write_text};
use crate::rules::fetch;
use crate::rules::regex::Regex;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::Converter;

const STR: ArgSpec = ArgSpec::new(1, &[ArgKind::Str]);
const FIELD: ArgSpec = ArgSpec::new(2, &[ArgKind::Int, ArgKind::Str, ArgKind::Int]);

/// The bytes of a string or binary sample.
pub fn bytes(sample: Sample<'_>) -> Cow<'_, [u8]> {
    text(sample)
}

/// A part of a string, borrowed if it was.
fn part(value: Cow<'_, [u8]>, start: usize, end: usize) -> Cow<'_, [u8]> {
    match value {
        Cow::Borrowed(b) => Cow::Borrowed(&b[start..end]),
        Cow::Owned(mut b) => {
            b.truncate(end);
            b.drain(..start);
            Cow::Owned(b)
        }
    }
}

fn lower<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let mut value = bytes(sample);
    if value.iter().any(u8::is_ascii_uppercase) {
        value.to_mut().make_ascii_lowercase();
    }
    Some(Sample::Str(value))
}

fn upper<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let mut value = bytes(sample);
    if value.iter().any(u8::is_ascii_lowercase) {
        value.to_mut().make_ascii_uppercase();
    }
    Some(Sample::Str(value))
}

/// An offset or length: a number, or a variable that holds one.
fn number(args: &[Arg], i: usize, ctx: Ctx<'_>) -> Option<i64> {
    match args.get(i)? {
        Arg::Int(n) => Some(*n),
        Arg::Var(id) => match crate::rules::cast::cast(fetch::variable_value(ctx, *id)?, T::Int)? {
            Sample::Int(n) => Some(n),
            _ => None,
        },
        _ => None,
    }
}

/// Makes numbers or variables of string arguments.
pub fn numbers(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    for arg in args {
        let Arg::Str(word) = &*arg else { continue };
        let (n, len) = leading_int(word);
        *arg = if len == word.len() && len > 0 {
            Arg::Int(n)
        } else {
            let name = String::from_utf8_lossy(word).into_owned();
            Arg::Var(ctx.names.var(&name).map_err(|e| format!("expects an integer or a variable name: {e}"))?)
        };
    }
    Ok(())
}

fn cut<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let start = usize::try_from(number(args, 0, ctx)?).ok()?;
    let len = match args.get(1) {
        None => usize::MAX,
        Some(_) => usize::try_from(number(args, 1, ctx)?).ok()?,
    };
    if start > value.len() {
        return Some(Sample::Bin(Cow::Borrowed(&[])));
    }
    let end = start.saturating_add(len).min(value.len());
    Some(Sample::Bin(part(value, start, end)))
}

/// `field`: every delimiter separates. From 1, or from the end when negative; `count` fields (0: all that follow).
fn field<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let (start, end) = pick(&value, args, false)?;
    Some(Sample::Str(part(value, start, end)))
}

/// `word`: runs of delimiters separate, and lead or trail without making empty words.
fn word<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let (start, end) = pick(&value, args, true)?;
    Some(Sample::Str(part(value, start, end)))
}

/// Where the pieces between delimiters that the arguments name begin and end.
fn pick(value: &[u8], args: &[Arg], skip_empty: bool) -> Option<(usize, usize)> {
    let wanted = args.int(0)?;
    let delimiters = args.str(1);
    let count = args.int(2).unwrap_or(1).max(0);
    let is_delimiter = |c: &u8| delimiters.contains(c);
    let mut pieces = smallvec::SmallVec::<[(usize, usize); 16]>::new();
    let mut at = 0;
    loop {
        let end = value[at..].iter().position(is_delimiter).map_or(value.len(), |n| at + n);
        if !skip_empty || end > at {
            pieces.push((at, end));
        }
        if end >= value.len() {
            break;
        }
        at = end + 1;
    }
    // Where fewer pieces are left than wanted, all that is left belongs to them.
    let piece = |n: i64| pieces.get(usize::try_from(n.checked_sub(1)?).ok()?);
    if wanted > 0 {
        let start = piece(wanted)?.0;
        let until = if count == 0 { None } else { piece(wanted.checked_add(count)?.checked_sub(1)?) };
        return Some((start, until.map_or(value.len(), |piece| piece.1)));
    }
    let last = i64::try_from(pieces.len()).ok()?.checked_add(wanted)?.checked_add(1)?;
    let end = piece(last)?.1;
    let from = if count == 0 { None } else { piece(last.checked_sub(count)?.checked_add(1)?) };
    Some((from.map_or(0, |piece| piece.0), end))
}

fn check_field(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    if args.as_slice().int(0) == Some(0) {
        return Err("invalid field number, must not be 0".into());
    }
    Ok(())
}

fn regsub<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let Some(Arg::Regex(regex)) = args.first() else { return None };
    let subject = bytes(sample);
    let all = args.str(2).contains(&b'g');
    let mut out = Vec::with_capacity(subject.len());
    let mut at = 0;
    while let Some(groups) = regex.groups(&subject, at) {
        let Some((start, end)) = groups.range(0) else { break };
        out.extend_from_slice(&subject[at..start]);
        groups.expand(&subject, args.str(1), &mut out);
        if end > start {
            at = end;
        } else {
            // An empty match: go on behind the next byte, which is kept.
            out.extend(subject.get(end));
            at = end + 1;
        }
        if !all || at > subject.len() {
            break;
        }
    }
    out.extend_from_slice(subject.get(at..).unwrap_or_default());
    Some(Sample::Str(Cow::Owned(out)))
}

fn check_regsub(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let flags = args.as_slice().str(2);
    if let Some(flag) = flags.iter().find(|c| !matches!(c, b'g' | b'i')) {
        return Err(format!("invalid regex flag '{}', only 'i' and 'g' are supported", char::from(*flag)));
    }
    let ignore_case = flags.contains(&b'i');
    let pattern = String::from_utf8_lossy(args.as_slice().str(0)).into_owned();
    args[0] = Arg::Regex(Arc::new(Regex::new(&pattern, ignore_case)?));
    Ok(())
}

fn concat<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let mut out = bytes(sample).into_owned();
    out.extend_from_slice(args.str(0));
    if let Some(Arg::Var(id)) = args.get(1)
        && let Some(value) = fetch::variable_value(ctx, *id)
    {
        write_text(&value, &mut out);
    }
    out.extend_from_slice(args.str(2));
    Some(Sample::Str(Cow::Owned(out)))
}

/// Argument 1 names a variable, or is empty.
fn check_concat(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    if Args::str(args, 1).is_empty() {
        return Ok(());
    }
    fetch::check_variable(args, 1, ctx)
}

fn add_item<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let mut out = bytes(sample).into_owned();
    let mut item = Vec::new();
    if let Some(Arg::Var(id)) = args.get(1)
        && let Some(value) = fetch::variable_value(ctx, *id)
    {
        write_text(&value, &mut item);
    }
    item.extend_from_slice(args.str(2));
    if !item.is_empty() {
        if !out.is_empty() {
            out.extend_from_slice(args.str(0));
        }
        out.extend_from_slice(&item);
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn strcmp<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let Some(Arg::Var(id)) = args.first() else { return None };
    let other = text(fetch::variable_value(ctx, *id)?);
    let value = bytes(sample);
    let common = value.len().min(other.len());
    let difference = value[..common].iter().zip(&other[..common]).find(|(a, b)| a != b);
    Some(Sample::Int(match difference {
        Some((a, b)) => i64::from(*a) - i64::from(*b),
        // The shorter one is the lesser.
        None => value.len().cmp(&other.len()) as i64,
    }))
}

fn secure_memcmp<'a>(sample: Sample<'a>, args: &'a [Arg], ctx: Ctx<'a>) -> Option<Sample<'a>> {
    let Some(Arg::Var(id)) = args.first() else { return None };
    let other = text(fetch::variable_value(ctx, *id)?);
    let value = bytes(sample);
    // Time depends on the length alone.
    let difference = value.iter().zip(other.iter()).fold(0u8, |d, (a, b)| d | (a ^ b));
    Some(Sample::Bool(value.len() == other.len() && std::hint::black_box(difference) == 0))
}

fn check_variable(args: &mut [Arg], ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    fetch::check_variable(args, 0, ctx)
}

fn ltrim<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let start = value.iter().position(|c| !args.str(0).contains(c)).unwrap_or(value.len());
    let end = value.len();
    Some(Sample::Str(part(value, start, end)))
}

fn rtrim<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let end = value.iter().rposition(|c| !args.str(0).contains(c)).map_or(0, |n| n + 1);
    Some(Sample::Str(part(value, 0, end)))
}

fn cut_crlf<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let end = value.iter().position(|c| matches!(c, b'\r' | b'\n')).unwrap_or(value.len());
    Some(Sample::Str(part(value, 0, end)))
}

fn reverse<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let mut value = bytes(sample).into_owned();
    value.reverse();
    Some(Sample::Str(Cow::Owned(value)))
}

fn reverse_dom<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let value = bytes(sample);
    let name = value.strip_suffix(b".").unwrap_or(&value);
    let labels: Vec<&[u8]> = name.split(|c| *c == b'.').rev().collect();
    if labels.iter().any(|label| label.is_empty()) {
        return None;
    }
    Some(Sample::Str(Cow::Owned(labels.join(&b'.'))))
}

fn iif<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let i = usize::from(sample != Sample::Bool(true));
    Some(Sample::Str(Cow::Borrowed(args.str(i))))
}

const fn string(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: super::ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, "", doc, example, since), T::Str, T::Str, run)
}

pub static CONVERTERS: &[Converter] = &[
    string("lower", "ASCII letters in lower case.", "req.hdr(host),lower", "1.5", lower),
    string("upper", "ASCII letters in upper case.", "method,upper", "1.5", upper),
    string("cut_crlf", "What stands before the first CR or LF.", "req.hdr(x),cut_crlf", "2.6", cut_crlf),
    string("reverse", "The bytes from last to first.", "path,reverse", "3.2", reverse),
    string(
        "reverse_dom",
        "The labels of a domain name from last to first.",
        "req.hdr(host),reverse_dom",
        "3.2",
        reverse_dom,
    ),
    Converter::new(
        Entry::full("length", "", "The number of bytes.", "path,length", "1.8"),
        T::Str,
        T::Int,
        |s, _, _| Some(Sample::Int(bytes(s).len() as i64)),
    ),
    Converter::new(
        Entry::full(
            "bytes",
            "<offset>[,<length>]",
            "A part of the sample; both may be names of variables.",
            "path,bytes(1,3)",
            "1.6",
        ),
        T::Bin,
        T::Bin,
        cut,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str]))
    .check(|args, ctx| numbers(args, ctx)),
    Converter::new(
        Entry::full(
            "field",
            "<index>,<delimiters>[,<count>]",
            "The field at <index> (from 1, negative from the end), and the <count>-1 that follow (0: all).",
            "path,field(2,/)",
            "1.6",
        ),
        T::Str,
        T::Str,
        field,
    )
    .args(FIELD)
    .check(check_field),
    Converter::new(
        Entry::full(
            "word",
            "<index>,<delimiters>[,<count>]",
            "Like field, but several delimiters in a row separate once.",
            "path,word(1,/)",
            "1.6",
        ),
        T::Str,
        T::Str,
        word,
    )
    .args(FIELD)
    .check(check_field),
    Converter::new(
        Entry::full(
            "regsub",
            "<regex>,<subst>[,<flags>]",
            "Replaces the first match (all with flag g; flag i ignores case); \\1 stands for a group.",
            "path,regsub(/,_,g)",
            "1.6",
        ),
        T::Str,
        T::Str,
        regsub,
    )
    .args(ArgSpec::new(2, &[ArgKind::Regex, ArgKind::Str, ArgKind::Str]))
    .check(check_regsub),
    Converter::new(
        Entry::full(
            "concat",
            "[<start>],[<var>],[<end>]",
            "Appends a string, a variable's value and a string.",
            "path,concat(-,txn.x,!)",
            "1.9",
        ),
        T::Str,
        T::Str,
        concat,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str, ArgKind::Str, ArgKind::Str]))
    .check(|args, ctx| check_concat(args, ctx)),
    Converter::new(
        Entry::full(
            "add_item",
            "<delim>,[<var>][,<suffix>]",
            "Appends a variable's value and a suffix, behind a delimiter if there is something before.",
            "path,add_item(;,txn.x)",
            "2.5",
        ),
        T::Str,
        T::Str,
        add_item,
    )
    .args(ArgSpec::new(2, &[ArgKind::Str, ArgKind::Str, ArgKind::Str]))
    .check(|args, ctx| check_concat(args, ctx)),
    Converter::new(
        Entry::full(
            "strcmp",
            "<var>",
            "Compares with a variable: 0 when equal, else the sign of the order.",
            "req.hdr(host),strcmp(txn.host)",
            "1.8",
        ),
        T::Str,
        T::Int,
        strcmp,
    )
    .args(STR)
    .check(|args, ctx| check_variable(args, ctx)),
    Converter::new(
        Entry::full(
            "secure_memcmp",
            "<var>",
            "Whether it equals a variable, in a time that tells nothing.",
            "req.hdr(token),secure_memcmp(txn.token)",
            "2.2",
        ),
        T::Bin,
        T::Bool,
        secure_memcmp,
    )
    .args(STR)
    .check(|args, ctx| check_variable(args, ctx)),
    Converter::new(
        Entry::full(
            "ltrim",
            "<chars>",
            "Without the given characters at its beginning.",
            "path,ltrim(/)",
            "2.6",
        ),
        T::Str,
        T::Str,
        ltrim,
    )
    .args(STR),
    Converter::new(
        Entry::full("rtrim", "<chars>", "Without the given characters at its end.", "path,rtrim(/)", "2.6"),
        T::Str,
        T::Str,
        rtrim,
    )
    .args(STR),
    Converter::new(
        Entry::full(
            "iif",
            "<true>,<false>",
            "One string for true, the other for false.",
            "ssl_fc,iif(https,http)",
            "2.3",
        ),
        T::Bool,
        T::Str,
        iif,
    )
    .args(ArgSpec::new(2, &[ArgKind::Str, ArgKind::Str])),
];
