//! Parts of the target: query, parameters, address and port of an absolute URI.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::leading_int;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, Needs};
use super::header;

const Q: Needs = Needs::RequestHead;
const PARAM: ArgSpec = ArgSpec::new(0, &[ArgKind::Str, ArgKind::Str, ArgKind::Str]);

/// The next value of parameter `name` (`""`: any) of `name=value` pairs, from byte `*at` on.
pub fn next_param<'a>(
    pairs: &'a [u8],
    name: &[u8],
    delimiter: u8,
    ignore_case: bool,
    at: &mut usize,
) -> Option<&'a [u8]> {
    let ends = |c: &u8| *c == b'&' || *c == b';' || *c == delimiter;
    while *at < pairs.len() {
        let rest = &pairs[*at..];
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        *at += end + 1;
        let pair = &rest[..end];
        let Some(equals) = memchr::memchr(b'=', pair) else { continue };
        let (key, value) = (&pair[..equals], &pair[equals + 1..]);
        if name.is_empty() || key == name || ignore_case && key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
    }
    None
}

/// What follows the first `?` (or the delimiter given) of a target.
fn after(target: &[u8], delimiter: u8) -> Option<&[u8]> {
    memchr::memchr(delimiter, target).map(|at| &target[at + 1..])
}

fn query<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let target = header::request(ctx, cursor)?.target_bytes();
    let at = memchr::memchr(b'?', target)?;
    let with_mark = args.int(0) == Some(1) && at + 1 < target.len();
    Some(Sample::Str(Cow::Borrowed(&target[at + usize::from(!with_mark)..])))
}

/// `with_qm` becomes 1.
fn check_query(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    match args.as_slice().str(0) {
        b"" => args.clear(),
        b"with_qm" => args[0] = Arg::Int(1),
        _ => return Err("'with_qm' is the only supported argument".into()),
    }
    Ok(())
}

fn param<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<&'a [u8]> {
    let target = header::request(ctx, cursor)?.target_bytes();
    let delimiter = args.str(1).first().copied().unwrap_or(b'?');
    let pairs = after(target, delimiter)?;
    let value = next_param(pairs, args.str(0), b'&', args.str(2) == b"i", &mut cursor.byte);
    cursor.more = cursor.iterate && value.is_some();
    value
}

fn url_param<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    param(args, ctx, cursor).map(|v| Sample::Str(Cow::Borrowed(v)))
}

fn check_param(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    if args.as_slice().str(1).len() > 1 {
        return Err("invalid url param delimiter, use a single character".into());
    }
    match args.as_slice().str(2) {
        b"" | b"i" => Ok(()),
        _ => Err("invalid case-insensitive flag, use 'i'".into()),
    }
}

/// Host and port of an absolute target.
fn authority<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let target = header::request(ctx, cursor)?.target_bytes();
    let rest = &target[memchr::memmem::find(target, b"://")? + 3..];
    let end = rest.iter().position(|c| matches!(c, b'/' | b'?')).unwrap_or(rest.len());
    let authority = &rest[..end];
    match memchr::memrchr(b':', authority) {
        Some(colon) => Some((&authority[..colon], Some(&authority[colon + 1..]))),
        None => Some((authority, None)),
    }
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full("query", "[with_qm]", "The target's query, with its `?` when asked for.", "query", "2.2"),
        T::Str,
        Q,
        query,
    )
    .args(ArgSpec::new(0, &[ArgKind::Str]))
    .check(check_query),
    Fetch::new(
        Entry::full(
            "url_param",
            "[<name>[,<delim>[,i]]]",
            "The value of a parameter of the query (any without a name); <delim> stands for `?`, `i` ignores case.",
            "url_param(id)",
            "1.3",
        ),
        T::Str,
        Q,
        url_param,
    )
    .args(PARAM)
    .check(check_param),
    Fetch::new(
        Entry::full("urlp", "[<name>[,<delim>[,i]]]", "The same as url_param.", "urlp(id,?,i)", "1.5"),
        T::Str,
        Q,
        url_param,
    )
    .args(PARAM)
    .check(check_param),
    Fetch::new(
        Entry::full(
            "urlp_val",
            "[<name>[,<delim>[,i]]]",
            "The number that a parameter's value begins with.",
            "urlp_val(page)",
            "1.5",
        ),
        T::Int,
        Q,
        |args, ctx, cursor| param(args, ctx, cursor).map(|v| Sample::Int(leading_int(v).0)),
    )
    .args(PARAM)
    .check(check_param),
    Fetch::new(
        Entry::full("url_ip", "", "The IPv4 address in an absolute target.", "url_ip", "1.3"),
        T::Ipv4,
        Q,
        |_, ctx, cursor| {
            let (host, _) = authority(ctx, cursor)?;
            std::str::from_utf8(host).ok()?.parse().ok().map(Sample::Ipv4)
        },
    ),
    Fetch::new(
        Entry::full("url_port", "", "The port in an absolute target, 80 or 443 by its scheme when none.", "url_port", "1.3"),
        T::Int,
        Q,
        |_, ctx, cursor| {
            let (_, port) = authority(ctx, cursor)?;
            let is_https = ctx.txn.req.target_bytes().get(..6).is_some_and(|s| s.eq_ignore_ascii_case(b"https:"));
            Some(Sample::Int(match port {
                Some(port) => leading_int(port).0,
                None if is_https => 443,
                None => 80,
            }))
        },
    ),
];
