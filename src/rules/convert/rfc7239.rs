//! The `Forwarded` field (RFC 7239): its parameters, and the nodes that they name.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::http::token::token_end;
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};
use super::text::bytes;

const FIELDS: [&str; 4] = ["proto", "host", "for", "by"];

/// A node's name.
#[derive(Debug, PartialEq, Eq)]
enum Name<'n> {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Unknown,
    /// With its underscore.
    Obscured(&'n [u8]),
}

#[derive(Debug, PartialEq, Eq)]
enum Port<'n> {
    None,
    Number(u16),
    Obscured(&'n [u8]),
}

fn is_obscured(text: &[u8]) -> bool {
    text.len() > 1
        && text[0] == b'_'
        && text[1..].iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}

fn parsed<V: std::str::FromStr>(text: &[u8]) -> Option<V> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `name[:port]`.
fn node(text: &[u8]) -> Option<(Name<'_>, Port<'_>)> {
    let (name, rest) = if let Some(inside) = text.strip_prefix(b"[") {
        let end = memchr::memchr(b']', inside)?;
        (Name::V6(parsed(&inside[..end])?), &inside[end + 1..])
    } else {
        let end = memchr::memchr(b':', text).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let name = match parsed(name) {
            Some(v4) => Name::V4(v4),
            None if name.eq_ignore_ascii_case(b"unknown") => Name::Unknown,
            None if is_obscured(name) => Name::Obscured(name),
            None => return None,
        };
        (name, rest)
    };
    let port = match rest {
        [] => Port::None,
        [b':', port @ ..] if is_obscured(port) => Port::Obscured(port),
        [b':', port @ ..] if (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit) => {
            Port::Number(parsed(port)?)
        }
        _ => return None,
    };
    Some((name, port))
}

/// A value without its quotes, whether it had them, and what follows.
type Value<'a> = (Cow<'a, [u8]>, bool, &'a [u8]);

/// The value at the beginning of `text`.
fn value(text: &[u8]) -> Option<Value<'_>> {
    let Some(inside) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let is_token = !value.is_empty() && token_end(value, 0) == value.len();
        return is_token.then_some((Cow::Borrowed(value), false, rest));
    };
    let mut out = Vec::new();
    let mut chars = inside.iter().enumerate();
    while let Some((i, c)) = chars.next() {
        match c {
            b'"' => return Some((Cow::Owned(out), true, &inside[i + 1..])),
            b'\\' => out.push(*chars.next()?.1),
            c => out.push(*c),
        }
    }
    None
}

fn is_host(text: &[u8]) -> bool {
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(c);
    !text.is_empty() && text.iter().all(allowed)
}

/// Tells the parameters of a field's value to `see`; `None` where it is wrong.
fn read(text: &[u8], mut see: impl FnMut(usize, &[u8])) -> Option<()> {
    let mut seen = [false; FIELDS.len()];
    let mut rest = text;
    loop {
        let (name, after) = rest.split_at_checked(memchr::memchr(b'=', rest)?)?;
        let at = FIELDS.iter().position(|f| f.as_bytes().eq_ignore_ascii_case(name)).filter(|i| !seen[*i])?;
        seen[at] = true;
        let (value, _, after) = value(&after[1..])?;
        let is_right = match FIELDS[at] {
            "proto" => value.eq_ignore_ascii_case(b"http") || value.eq_ignore_ascii_case(b"https"),
            "host" => is_host(&value),
            _ => node(&value).is_some(),
        };
        is_right.then_some(())?;
        see(at, &value);
        match after {
            [] => return Some(()),
            [b';'] => return Some(()),
            [b';', more @ ..] => rest = more,
            _ => return None,
        }
    }
}

fn is_valid<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    Some(Sample::Bool(read(&bytes(sample), |_, _| {}).is_some()))
}

fn field<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    let wanted = usize::try_from(args.int(0)?).ok()?;
    let mut found = None;
    // What is wrong behind it does not matter.
    let _ = read(&bytes(sample), |at, value| {
        if at == wanted {
            found = Some(value.to_vec());
        }
    });
    found.map(|v| Sample::Str(Cow::Owned(v)))
}

fn check_field(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let name = args.as_slice().str(0);
    let at = FIELDS
        .iter()
        .position(|f| f.as_bytes() == name)
        .ok_or("invalid field name, must be one of proto, host, for, by")?;
    args[0] = Arg::Int(at as i64);
    Ok(())
}

fn name_of<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    Some(match node(&bytes(sample))?.0 {
        Name::V4(a) => Sample::Ipv4(a),
        Name::V6(a) => Sample::Ipv6(a),
        Name::Unknown => Sample::Str(Cow::Borrowed(b"unknown")),
        Name::Obscured(text) => Sample::Str(Cow::Owned(text.to_vec())),
    })
}

fn port_of<'a>(sample: Sample<'a>, _: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    match node(&bytes(sample))?.1 {
        Port::None => None,
        Port::Number(n) => Some(Sample::Int(n.into())),
        Port::Obscured(text) => Some(Sample::Str(Cow::Owned(text.to_vec()))),
    }
}

fn obscured(text: &[u8]) -> Option<Vec<u8>> {
    let name = [b"_", text].concat();
    is_obscured(&name).then_some(name)
}

/// A sample as the name of a node; `None` where it cannot be one.
pub fn node_name(sample: Sample<'_>) -> Option<Vec<u8>> {
    match sample {
        Sample::Ipv4(a) => Some(a.to_string().into_bytes()),
        Sample::Ipv6(a) => Some(format!("[{a}]").into_bytes()),
        Sample::Str(s) if s.is_empty() => Some(b"unknown".to_vec()),
        Sample::Str(s) => obscured(&s),
        _ => None,
    }
}

/// A sample as the port of a node.
pub fn node_port(sample: Sample<'_>) -> Option<Vec<u8>> {
    match sample {
        Sample::Int(n) => u16::try_from(n).ok().map(|n| n.to_string().into_bytes()),
        Sample::Str(s) => obscured(&s),
        _ => None,
    }
}

const fn row(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    types: (T, T),
    run: ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, "", doc, example, "2.8"), types.0, types.1, run)
}

pub static CONVERTERS: &[Converter] = &[
    row(
        "rfc7239_is_valid",
        "Whether it is a right value of the Forwarded field.",
        "req.hdr(forwarded),rfc7239_is_valid",
        (T::Str, T::Bool),
        is_valid,
    ),
    row(
        "rfc7239_field",
        "A parameter of the Forwarded field: proto, host, for or by.",
        "req.hdr(forwarded),rfc7239_field(for)",
        (T::Str, T::Str),
        field,
    )
    .args(ArgSpec::new(1, &[ArgKind::Str]))
    .check(check_field),
    row(
        "rfc7239_n2nn",
        "The name of a node: an address, 'unknown' or what begins with an underscore.",
        "req.hdr(forwarded),rfc7239_field(for),rfc7239_n2nn",
        (T::Str, T::Any),
        name_of,
    )
    .changes_type(),
    row(
        "rfc7239_n2np",
        "The port of a node: a number or what begins with an underscore.",
        "req.hdr(forwarded),rfc7239_field(for),rfc7239_n2np",
        (T::Str, T::Any),
        port_of,
    )
    .changes_type(),
    row(
        "rfc7239_nn",
        "An address or a string as the name of a node.",
        "src,rfc7239_nn",
        (T::Any, T::Str),
        |sample, _, _| node_name(sample).map(|name| Sample::Str(Cow::Owned(name))),
    ),
    row(
        "rfc7239_np",
        "A number or a string as the port of a node.",
        "src_port,rfc7239_np",
        (T::Any, T::Str),
        |sample, _, _| node_port(sample).map(|port| Sample::Str(Cow::Owned(port))),
    ),
];
