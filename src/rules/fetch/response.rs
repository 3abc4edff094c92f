//! The response's status and version.

use std::borrow::Cow;

use crate::filter::cache::Hit;
use crate::lang::Entry;
use crate::rules::args::Arg;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, Needs};
use super::header::response;
use super::request::version;

const R: Needs = Needs::ResponseHead;

fn res_ver<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    Some(Sample::Str(Cow::Borrowed(version(response(ctx, cursor)?.version))))
}

fn status<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    Some(Sample::Int(i64::from(response(ctx, cursor)?.status)))
}

fn hit(ctx: Ctx<'_>) -> Option<&Hit> {
    ctx.txn.cache.as_ref()?.hit.as_ref()
}

fn capture_ver<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let name: &[u8] = match version(response(ctx, cursor)?.version) {
        b"1.0" => b"HTTP/1.0",
        _ => b"HTTP/1.1",
    };
    Some(Sample::Str(Cow::Borrowed(name)))
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(Entry::full("status", "", "The response's status.", "status", "1.3"), T::Int, R, status),
    Fetch::new(
        Entry::full("server_status", "", "The status that the server sent.", "server_status", "2.9"),
        T::Int,
        R,
        |_, ctx, cursor| Some(Sample::Int(i64::from(response(ctx, cursor)?.status))),
    )
    .partial("the status that rules set, once they changed it"),
    Fetch::new(
        Entry::full("txn.status", "", "The status that the client gets.", "txn.status", "3.0"),
        T::Int,
        R,
        |_, ctx, _| (ctx.txn.status != 0).then(|| Sample::Int(i64::from(ctx.txn.status))),
    ),
    Fetch::new(
        Entry::full("res.cache_hit", "", "The response comes from the cache.", "res.cache_hit", "2.6"),
        T::Bool,
        R,
        |_, ctx, _| Some(Sample::Bool(hit(ctx).is_some())),
    ),
    Fetch::new(
        Entry::full("res.cache_name", "", "The cache that the response comes from.", "res.cache_name", "2.6"),
        T::Str,
        R,
        |_, ctx, _| Some(Sample::Str(Cow::Borrowed(hit(ctx)?.cache.settings.name.as_bytes()))),
    ),
    Fetch::new(
        Entry::full("res.comp", "", "The response is compressed on its way.", "res.comp", "1.6"),
        T::Bool,
        R,
        |_, ctx, _| Some(Sample::Bool(ctx.txn.compressed.is_some())),
    ),
    Fetch::new(
        Entry::full(
            "res.comp_algo",
            "",
            "How the response is compressed on its way.",
            "res.comp_algo",
            "1.6",
        ),
        T::Str,
        R,
        |_, ctx, _| Some(Sample::Str(Cow::Borrowed(ctx.txn.compressed?.name().as_bytes()))),
    ),
    Fetch::new(
        Entry::full("res.ver", "", "The response's version, such as 1.1.", "res.ver", "1.3"),
        T::Str,
        R,
        res_ver,
    ),
    Fetch::new(
        Entry::full("resp_ver", "", "The response's version, such as 1.1.", "resp_ver", "1.3"),
        T::Str,
        R,
        res_ver,
    ),
    Fetch::new(
        Entry::full(
            "capture.res.ver",
            "",
            "The response's version: HTTP/1.0 or HTTP/1.1.",
            "capture.res.ver",
            "1.6",
        ),
        T::Str,
        R,
        capture_ver,
    ),
];
