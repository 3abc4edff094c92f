//! Bytes that are not the head: buffered bodies in HTTP mode, the raw buffer in TCP mode, the end of waiting.

use std::borrow::Cow;

use crate::http::{BodyLen, Chunks, Head};
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::cast::leading_int;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, FetchFn, Needs};
use super::header::{request, response};
use super::url::next_param;

const L6: Needs = Needs::RequestData;
const OFFSET_LEN: ArgSpec = ArgSpec::new(2, &[ArgKind::Int, ArgKind::Int]);
const LV: ArgSpec = ArgSpec::new(2, &[ArgKind::Int, ArgKind::Int, ArgKind::Str]);

fn bin(bytes: &[u8]) -> Option<Sample<'_>> {
    Some(Sample::Bin(Cow::Borrowed(bytes)))
}

/// The body's size as announced, or as far as it is known.
fn size(head: &Head, kept: &[u8]) -> i64 {
    match head.body {
        BodyLen::Length(n) => i64::try_from(n).unwrap_or(i64::MAX),
        _ => kept.len() as i64,
    }
}

/// Bytes of a message as HAProxy counts them in HTTP mode: a start line takes 20 and its words, a field its name and
/// value, the end of the head 1.
fn kept(head: &Head, aside: &[u8]) -> i64 {
    let line = if head.is_response {
        "HTTP/1.1200".len() + head.bytes(head.reason).len()
    } else {
        head.method_bytes().len() + head.target_bytes().len() + "HTTP/1.1".len()
    };
    let fields: usize = head.fields().map(|(name, value)| name.len() + value.len()).sum();
    (20 + line + fields + 1 + body(head, aside).len()) as i64
}

/// What was received in TCP mode and not forwarded, and whether more may come.
fn buffer<'a>(ctx: Ctx<'a>, is_response: bool) -> (&'a [u8], bool) {
    let data = if is_response { &ctx.txn.res_body } else { &ctx.txn.req_body };
    (data, !ctx.txn.inspect_over)
}

/// A body as far as it is in memory: kept aside, or behind its head in the head's buffer.
fn body<'a>(head: &'a Head, aside: &'a [u8]) -> Cow<'a, [u8]> {
    if !aside.is_empty() {
        return Cow::Borrowed(aside);
    }
    let raw = head.buf.written().get(head.len..).unwrap_or_default();
    match head.body {
        BodyLen::Length(n) => Cow::Borrowed(&raw[..raw.len().min(usize::try_from(n).unwrap_or(usize::MAX))]),
        BodyLen::UntilClose => Cow::Borrowed(raw),
        BodyLen::Chunked => {
            let mut out = Vec::new();
            // What cannot be decoded ends the body.
            let _ = Chunks::new(head.is_response).decode(raw, |part| out.extend_from_slice(part));
            Cow::Owned(out)
        }
        BodyLen::None | BodyLen::Tunnel => Cow::Borrowed(&[]),
    }
}

fn req_body<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Cow<'a, [u8]>> {
    request(ctx, cursor).map(|head| body(head, &ctx.txn.req_body))
}

fn res_body<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Cow<'a, [u8]>> {
    response(ctx, cursor).map(|head| body(head, &ctx.txn.res_body))
}

fn payload<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor, is_response: bool) -> Option<Sample<'a>> {
    if ctx.txn.has_req {
        return None;
    }
    let (data, more) = buffer(ctx, is_response);
    let offset = usize::try_from(args.int(0)?).ok()?;
    let len = usize::try_from(args.int(1)?).ok()?;
    match data.get(offset..offset.checked_add(len)?) {
        None => {
            cursor.may_change = more;
            None
        }
        Some(_) if len == 0 => {
            cursor.may_change = more;
            bin(&data[offset..])
        }
        Some(bytes) => bin(bytes),
    }
}

fn payload_lv<'a>(
    args: &'a [Arg],
    ctx: Ctx<'a>,
    cursor: &mut Cursor,
    is_response: bool,
) -> Option<Sample<'a>> {
    if ctx.txn.has_req {
        return None;
    }
    let (data, more) = buffer(ctx, is_response);
    let (at, len) = (usize::try_from(args.int(0)?).ok()?, usize::try_from(args.int(1)?).ok()?);
    let Some(digits) = data.get(at..at.checked_add(len)?) else {
        cursor.may_change = more;
        return None;
    };
    let size = digits.iter().fold(0usize, |n, c| n.wrapping_shl(8) | usize::from(*c));
    let base = at.checked_add(len)?;
    let second = args.int(2).unwrap_or(0);
    // The lowest bit tells a relative offset from an absolute one (see `check_lv`).
    let start = match args.int(2) {
        None => base,
        Some(n) if n & 1 == 1 => usize::try_from(base as i64 + (second >> 1)).ok()?,
        Some(n) => usize::try_from(n >> 1).ok()?,
    };
    if size == 0 {
        return None;
    }
    let found = data.get(start..start.checked_add(size)?);
    cursor.may_change = found.is_none() && more;
    bin(found?)
}

fn check_payload(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    match (args.as_slice().int(0), args.as_slice().int(1)) {
        (Some(0..), Some(0..)) => Ok(()),
        (Some(0..), _) => Err("payload length must be positive".into()),
        _ => Err("payload offset must be positive".into()),
    }
}

fn check_lv(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let offset = args.as_slice().int(0).unwrap_or(0);
    let len = args.as_slice().int(1).unwrap_or(0);
    if offset < 0 {
        return Err("payload offset1 must be positive".into());
    }
    if len <= 0 {
        return Err("payload length must be > 0".into());
    }
    let text = args.as_slice().str(2).to_vec();
    if text.is_empty() {
        args.truncate(2);
        return Ok(());
    }
    let digits = text.strip_prefix(b"+").unwrap_or(&text);
    let (second, taken) = leading_int(digits);
    if taken != digits.len() {
        return Err("payload offset2 is not a number".into());
    }
    if offset.saturating_add(len).saturating_add(second) < 0 {
        return Err("payload offset2 too negative".into());
    }
    let is_relative = matches!(text.first(), Some(b'+' | b'-'));
    args[2] = Arg::Int((second << 1) | i64::from(is_relative));
    Ok(())
}

fn body_param<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let ignore_case = args.str(1).first() == Some(&b'i');
    let found = match req_body(ctx, cursor)? {
        Cow::Borrowed(pairs) => {
            next_param(pairs, args.str(0), b'&', ignore_case, &mut cursor.byte).map(Cow::Borrowed)
        }
        Cow::Owned(pairs) => next_param(&pairs, args.str(0), b'&', ignore_case, &mut cursor.byte)
            .map(|v| Cow::Owned(v.to_vec())),
    };
    cursor.more = cursor.iterate && found.is_some();
    found.map(Sample::Bin)
}

fn req_payload<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    payload(a, ctx, c, false)
}

fn res_payload<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    payload(a, ctx, c, true)
}

fn req_payload_lv<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    payload_lv(a, ctx, c, false)
}

fn res_payload_lv<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    payload_lv(a, ctx, c, true)
}

fn req_len<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    if ctx.txn.has_req {
        return Some(Sample::Int(kept(&ctx.txn.req, &ctx.txn.req_body)));
    }
    let (data, more) = buffer(ctx, false);
    cursor.may_change = more;
    Some(Sample::Int(data.len() as i64))
}

fn res_len<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    if ctx.txn.has_req {
        return Some(Sample::Int(kept(&ctx.txn.res, &ctx.txn.res_body)));
    }
    let (data, more) = buffer(ctx, true);
    cursor.may_change = more;
    Some(Sample::Int(data.len() as i64))
}

fn wait_end<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    if ctx.txn.inspect_over {
        return Some(Sample::Bool(true));
    }
    cursor.may_change = true;
    None
}

const fn raw(name: &'static str, example: &'static str, run: FetchFn, needs: Needs) -> Fetch {
    let doc = "Bytes of the buffer in TCP mode: <length> (0: all) from <offset> on.";
    Fetch::new(Entry::full(name, "<offset>,<length>", doc, example, "1.4"), T::Bin, needs, run)
        .args(OFFSET_LEN)
        .check(check_payload)
}

const fn lv(name: &'static str, example: &'static str, run: FetchFn, needs: Needs) -> Fetch {
    let doc = "Bytes of the buffer in TCP mode whose length is the <length>-byte number at <offset1>; <offset2> says where they begin.";
    Fetch::new(Entry::full(name, "<offset1>,<length>[,<offset2>]", doc, example, "1.4"), T::Bin, needs, run)
        .args(LV)
        .check(check_lv)
}

const RQ: Needs = Needs::RequestBody;
const RS: Needs = Needs::ResponseBody;

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full(
            "req.body",
            "",
            "The request's body as far as it was buffered (wait-for-body).",
            "req.body",
            "1.6",
        ),
        T::Bin,
        RQ,
        |_, ctx, c| req_body(ctx, c).map(Sample::Bin),
    ),
    Fetch::new(
        Entry::full(
            "req.body_len",
            "",
            "Bytes of the request's body that are buffered.",
            "req.body_len",
            "1.6",
        ),
        T::Int,
        RQ,
        |_, ctx, c| req_body(ctx, c).map(|b| Sample::Int(b.len() as i64)),
    ),
    Fetch::new(
        Entry::full(
            "req.body_size",
            "",
            "The announced size of the request's body, or what is buffered.",
            "req.body_size",
            "1.6",
        ),
        T::Int,
        RQ,
        |_, ctx, c| request(ctx, c).map(|head| Sample::Int(size(head, &body(head, &ctx.txn.req_body)))),
    ),
    Fetch::new(
        Entry::full(
            "req.body_param",
            "[<name>[,i]]",
            "The value of a form parameter in the buffered body.",
            "req.body_param(id)",
            "1.6",
        ),
        T::Bin,
        RQ,
        body_param,
    )
    .args(ArgSpec::new(0, &[ArgKind::Str, ArgKind::Str])),
    Fetch::new(
        Entry::full(
            "res.body",
            "",
            "The response's body as far as it was buffered (wait-for-body).",
            "res.body",
            "2.4",
        ),
        T::Bin,
        RS,
        |_, ctx, c| res_body(ctx, c).map(Sample::Bin),
    ),
    Fetch::new(
        Entry::full(
            "res.body_len",
            "",
            "Bytes of the response's body that are buffered.",
            "res.body_len",
            "2.4",
        ),
        T::Int,
        RS,
        |_, ctx, c| res_body(ctx, c).map(|b| Sample::Int(b.len() as i64)),
    ),
    Fetch::new(
        Entry::full(
            "res.body_size",
            "",
            "The announced size of the response's body, or what is buffered.",
            "res.body_size",
            "2.4",
        ),
        T::Int,
        RS,
        |_, ctx, c| response(ctx, c).map(|head| Sample::Int(size(head, &body(head, &ctx.txn.res_body)))),
    ),
    Fetch::new(
        Entry::full("req.len", "", "Bytes in the request buffer.", "req.len", "1.5"),
        T::Int,
        L6,
        req_len,
    ),
    Fetch::new(
        Entry::full("req_len", "", "Bytes in the request buffer.", "req_len", "1.3"),
        T::Int,
        L6,
        req_len,
    ),
    Fetch::new(
        Entry::full("res.len", "", "Bytes in the response buffer.", "res.len", "1.5"),
        T::Int,
        Needs::ResponseData,
        res_len,
    ),
    raw("req.payload", "req.payload(0,6)", req_payload, L6),
    raw("payload", "payload(0,6)", req_payload, L6).or_response(res_payload),
    raw("res.payload", "res.payload(0,6)", res_payload, Needs::ResponseData),
    lv("req.payload_lv", "req.payload_lv(43,1)", req_payload_lv, L6),
    lv("payload_lv", "payload_lv(43,1)", req_payload_lv, L6).or_response(res_payload_lv),
    lv("res.payload_lv", "res.payload_lv(43,1)", res_payload_lv, Needs::ResponseData),
    Fetch::new(
        Entry::full(
            "wait_end",
            "",
            "True once nothing more is waited for (the end of inspect-delay).",
            "wait_end",
            "1.3",
        ),
        T::Bool,
        Needs::Nothing,
        wait_end,
    ),
];
