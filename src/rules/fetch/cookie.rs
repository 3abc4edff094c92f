//! Cookies of requests (`Cookie`) and responses (`Set-Cookie`).

use std::borrow::Cow;

use crate::http::Head;
use crate::http::cookie::Cookies;
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::cast::leading_int;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, FetchFn, Needs};
use super::header;

/// The next cookie of this name (`""`: any) from the cursor on, with its name.
pub fn next<'a>(
    head: &'a Head,
    name: &[u8],
    is_response: bool,
    cursor: &mut Cursor,
) -> Option<(&'a [u8], &'a [u8])> {
    let field_name: &[u8] = if is_response { b"set-cookie" } else { b"cookie" };
    while let Some(field) = head.fields.get(cursor.field) {
        let is_named =
            field.name.len() == field_name.len() && head.bytes(field.name).eq_ignore_ascii_case(field_name);
        if is_named {
            let value = head.bytes(field.value);
            let mut cookies = Cookies::of(value, !is_response).from(cursor.byte);
            for cookie in &mut cookies {
                // HAProxy does not look at the end of a value that is too short for this name and a value behind it.
                let fits = cookie.whole.start + name.len() + 1 < value.len();
                if fits && (name.is_empty() || value[cookie.name.clone()] == *name) {
                    cursor.byte = cookies.at;
                    return Some((&value[cookie.name], &value[cookie.value]));
                }
            }
        }
        cursor.field += 1;
        cursor.byte = 0;
    }
    None
}

fn value<'a>(head: &'a Head, args: &'a [Arg], is_response: bool, cursor: &mut Cursor) -> Option<&'a [u8]> {
    let name = args.str(0);
    if cursor.iterate || name.is_empty() {
        let value = next(head, name, is_response, cursor).map(|(_, v)| v);
        cursor.more = cursor.iterate && value.is_some();
        return value;
    }
    let mut scan = Cursor::default();
    let mut last = None;
    while let Some((_, v)) = next(head, name, is_response, &mut scan) {
        last = Some(v);
    }
    last
}

fn count(head: &Head, args: &[Arg], is_response: bool) -> Option<Sample<'static>> {
    let mut scan = Cursor::default();
    let mut n = 0;
    while next(head, args.str(0), is_response, &mut scan).is_some() {
        n += 1;
    }
    Some(Sample::Int(n))
}

fn names<'a>(head: &Head, args: &[Arg], is_response: bool) -> Option<Sample<'a>> {
    let delimiter = args.str(0).first().copied().unwrap_or(b',');
    let mut scan = Cursor::default();
    let mut out = Vec::new();
    while let Some((name, _)) = next(head, b"", is_response, &mut scan) {
        if !out.is_empty() {
            out.push(delimiter);
        }
        out.extend_from_slice(name);
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn req_cook<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    value(header::request(ctx, c)?, a, false, c).map(|v| Sample::Str(Cow::Borrowed(v)))
}

fn res_cook<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    value(header::response(ctx, c)?, a, true, c).map(|v| Sample::Str(Cow::Borrowed(v)))
}

fn req_val<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    value(header::request(ctx, c)?, a, false, c).map(|v| Sample::Int(leading_int(v).0))
}

fn res_val<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    value(header::response(ctx, c)?, a, true, c).map(|v| Sample::Int(leading_int(v).0))
}

fn req_cnt<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    count(header::request(ctx, c)?, a, false)
}

fn res_cnt<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    count(header::response(ctx, c)?, a, true)
}

fn req_names<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    names(header::request(ctx, c)?, a, false)
}

fn res_names<'a>(a: &'a [Arg], ctx: Ctx<'a>, c: &mut Cursor) -> Option<Sample<'a>> {
    names(header::response(ctx, c)?, a, true)
}

const Q: Needs = Needs::RequestHead;
const R: Needs = Needs::ResponseHead;
const VALUE: &str = "The value of a cookie: the last of this name, in an ACL each; without a name the first.";
const NUMBER: &str = "The number that a cookie's value begins with.";
const COUNT: &str = "How many cookies of this name there are, or all without a name.";
const NAMES: &str = "The names of all cookies, with commas (or the character given) between them.";

const fn cookie(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    needs: Needs,
    out: T,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "[<name>]", doc, example, "1.5"), out, needs, run)
        .args(ArgSpec::new(0, &[ArgKind::Str]))
}

pub static FETCHES: &[Fetch] = &[
    cookie("req.cook", VALUE, "req.cook(JSESSIONID)", Q, T::Str, req_cook),
    cookie("cook", VALUE, "cook(JSESSIONID)", Q, T::Str, req_cook),
    cookie("cookie", VALUE, "cookie(JSESSIONID)", Q, T::Str, req_cook).or_response(res_cook),
    cookie("req.cook_cnt", COUNT, "req.cook_cnt(id)", Q, T::Int, req_cnt),
    cookie("cook_cnt", COUNT, "cook_cnt(id)", Q, T::Int, req_cnt),
    cookie("req.cook_val", NUMBER, "req.cook_val(id)", Q, T::Int, req_val),
    cookie("cook_val", NUMBER, "cook_val(id)", Q, T::Int, req_val),
    cookie("req.cook_names", NAMES, "req.cook_names(;)", Q, T::Str, req_names),
    cookie("res.cook", VALUE, "res.cook(JSESSIONID)", R, T::Str, res_cook),
    cookie("scook", VALUE, "scook(JSESSIONID)", R, T::Str, res_cook),
    cookie("res.cook_cnt", COUNT, "res.cook_cnt(id)", R, T::Int, res_cnt),
    cookie("scook_cnt", COUNT, "scook_cnt(id)", R, T::Int, res_cnt),
    cookie("res.cook_val", NUMBER, "res.cook_val(id)", R, T::Int, res_val),
    cookie("scook_val", NUMBER, "scook_val(id)", R, T::Int, res_val),
    cookie("res.cook_names", NAMES, "res.cook_names", R, T::Str, res_names),
];
