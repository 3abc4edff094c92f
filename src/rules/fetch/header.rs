//! Header fields of requests and responses: values (split at commas or whole), counts, names, addresses, numbers.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::http::Head;
use crate::http::list::element_end;
use crate::http::token::{same, trim};
use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::binary;
use crate::rules::cast::leading_int;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, FetchFn, Needs};

const NAME_OCC: ArgSpec = ArgSpec::new(0, &[ArgKind::Str, ArgKind::Int]);
const NAME: ArgSpec = ArgSpec::new(0, &[ArgKind::Str]);

/// The request head, if it is there.
pub fn request<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<&'a Head> {
    if !ctx.txn.req.is_complete() {
        cursor.may_change = !ctx.txn.is_not_http;
        return None;
    }
    Some(&ctx.txn.req)
}

/// The response head, if it is there.
pub fn response<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<&'a Head> {
    if ctx.txn.res.status == 0 {
        cursor.may_change = true;
        return None;
    }
    Some(&ctx.txn.res)
}

/// The next value of the fields with this name (`""`: of all fields) from the cursor on.
pub fn next<'a>(head: &'a Head, name: &[u8], whole: bool, cursor: &mut Cursor) -> Option<&'a [u8]> {
    while let Some(field) = head.fields.get(cursor.field) {
        let is_named = field.name.len() == name.len() && same(head.bytes(field.name), name);
        if !is_named && !name.is_empty() {
            cursor.field += 1;
            cursor.byte = 0;
            continue;
        }
        let value = head.bytes(field.value);
        if whole {
            cursor.field += 1;
            return Some(trim(value));
        }
        let from = cursor.byte.min(value.len());
        let end = from + element_end(&value[from..]);
        if end < value.len() {
            cursor.byte = end + 1;
        } else {
            cursor.field += 1;
            cursor.byte = 0;
        }
        return Some(trim(&value[from..end]));
    }
    None
}

/// Value `occurrence` of a field: from 1, negative from the end, 0 by iteration or the last one.
fn occurrence<'a>(head: &'a Head, args: &'a [Arg], whole: bool, cursor: &mut Cursor) -> Option<&'a [u8]> {
    let name = args.str(0);
    let wanted = match args.int(1).unwrap_or(0) {
        0 if cursor.iterate => {
            let value = next(head, name, whole, cursor);
            cursor.more = value.is_some();
            return value;
        }
        0 => -1,
        n => n,
    };
    let mut scan = Cursor::default();
    if wanted > 0 {
        for _ in 1..wanted {
            next(head, name, whole, &mut scan)?;
        }
        return next(head, name, whole, &mut scan);
    }
    if wanted == -1 {
        let mut last = None;
        while let Some(value) = next(head, name, whole, &mut scan) {
            last = Some(value);
        }
        return last;
    }
    let mut count = 0;
    while next(head, name, whole, &mut scan).is_some() {
        count += 1;
    }
    let mut skip = i64::checked_add(count, wanted).filter(|n| *n >= 0)?;
    scan = Cursor::default();
    while skip > 0 {
        next(head, name, whole, &mut scan)?;
        skip -= 1;
    }
    next(head, name, whole, &mut scan)
}

fn count(head: &Head, args: &[Arg], whole: bool) -> Option<Sample<'static>> {
    let mut scan = Cursor::default();
    let mut n = 0;
    while next(head, args.str(0), whole, &mut scan).is_some() {
        n += 1;
    }
    Some(Sample::Int(n))
}

fn borrowed(value: &[u8]) -> Sample<'_> {
    Sample::Str(Cow::Borrowed(value))
}

/// An address with an optional port (IPv4) or brackets (IPv6), as `hdr_ip` accepts it.
pub fn address(text: &[u8]) -> Option<Sample<'static>> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(ip) = text.parse() {
        return Some(Sample::Ipv4(ip));
    }
    if let Some((ip, port)) = text.rsplit_once(':')
        && let (Ok(ip), Ok(_)) = (ip.parse(), port.parse::<u16>())
    {
        return Some(Sample::Ipv4(ip));
    }
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    inner.parse::<Ipv6Addr>().ok().map(Sample::Ipv6)
}

fn next_address<'a>(head: &'a Head, args: &'a [Arg], cursor: &mut Cursor) -> Option<Sample<'a>> {
    loop {
        let value = occurrence(head, args, false, cursor)?;
        if let Some(sample) = address(value) {
            return Some(sample);
        }
        if !cursor.more {
            return None;
        }
    }
}

fn names<'a>(head: &Head, args: &[Arg]) -> Option<Sample<'a>> {
    let delimiter = args.str(0).first().copied().unwrap_or(b',');
    let mut out = Vec::new();
    for (i, (name, _)) in head.fields().enumerate() {
        if i > 0 {
            out.push(delimiter);
        }
        out.extend(name.iter().map(u8::to_ascii_lowercase));
    }
    Some(Sample::Str(Cow::Owned(out)))
}

fn block<'a>(head: &Head) -> Option<Sample<'a>> {
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        out.extend(name.iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Some(Sample::Bin(Cow::Owned(out)))
}

fn binary_block<'a>(head: &Head) -> Option<Sample<'a>> {
    let mut out = Vec::new();
    for (name, value) in head.fields() {
        binary::push(&name.to_ascii_lowercase(), &mut out);
        binary::push(value, &mut out);
    }
    out.extend_from_slice(&[0, 0]);
    Some(Sample::Bin(Cow::Owned(out)))
}

macro_rules! pair {
    ($req:ident, $res:ident, |$head:ident, $args:ident, $cursor:ident| $body:expr) => {
        fn $req<'a>($args: &'a [Arg], ctx: Ctx<'a>, $cursor: &mut Cursor) -> Option<Sample<'a>> {
            let $head = request(ctx, $cursor)?;
            $body
        }
        fn $res<'a>($args: &'a [Arg], ctx: Ctx<'a>, $cursor: &mut Cursor) -> Option<Sample<'a>> {
            let $head = response(ctx, $cursor)?;
            $body
        }
    };
}

pair!(req_hdr, res_hdr, |head, args, cursor| occurrence(head, args, false, cursor).map(borrowed));
pair!(req_fhdr, res_fhdr, |head, args, cursor| occurrence(head, args, true, cursor).map(borrowed));
pair!(req_cnt, res_cnt, |head, args, _cursor| count(head, args, false));
pair!(req_fcnt, res_fcnt, |head, args, _cursor| count(head, args, true));
pair!(req_ip, res_ip, |head, args, cursor| next_address(head, args, cursor));
pair!(req_val, res_val, |head, args, cursor| occurrence(head, args, false, cursor)
    .map(|v| Sample::Int(leading_int(v).0)));
pair!(req_names, res_names, |head, args, _cursor| names(head, args));
pair!(req_hdrs, res_hdrs, |head, _args, _cursor| block(head));
pair!(req_hdrs_bin, res_hdrs_bin, |head, _args, _cursor| binary_block(head));

const Q: Needs = Needs::RequestHead;
const R: Needs = Needs::ResponseHead;

const fn hdr(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc = "The value of a field, split at commas: occurrence <occ> (from 1, or from the end when negative); else the last, and in an ACL each.";
    Fetch::new(Entry::full(name, "[<name>[,<occ>]]", doc, example, "1.3"), T::Str, needs, run).args(NAME_OCC)
}

const fn fhdr(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc =
        "The whole value of a field, commas included: occurrence <occ>, else the last, and in an ACL each.";
    Fetch::new(Entry::full(name, "[<name>[,<occ>]]", doc, example, "1.5"), T::Str, needs, run).args(NAME_OCC)
}

const fn cnt(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc =
        "How many values (separated by commas) the fields of this name have, or all fields without a name.";
    Fetch::new(Entry::full(name, "[<name>]", doc, example, "1.3"), T::Int, needs, run).args(NAME)
}

const fn fcnt(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc = "How many fields of this name there are.";
    Fetch::new(Entry::full(name, "[<name>]", doc, example, "1.5"), T::Int, needs, run).args(NAME)
}

const fn ip(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc = "The address in a field's value, like `hdr`; a port or brackets around it are ignored.";
    Fetch::new(Entry::full(name, "[<name>[,<occ>]]", doc, example, "1.3"), T::Addr, needs, run).args(NAME_OCC)
}

const fn val(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc = "The number that a field's value begins with, like `hdr`.";
    Fetch::new(Entry::full(name, "[<name>[,<occ>]]", doc, example, "1.3"), T::Int, needs, run).args(NAME_OCC)
}

const fn list(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc =
        "The names of all fields in order, in lower case, with commas (or the character given) between them.";
    Fetch::new(Entry::full(name, "[<delim>]", doc, example, "1.5"), T::Str, needs, run).args(NAME)
}

const fn hdrs(name: &'static str, example: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc = "The whole header block with its empty line.";
    Fetch::new(Entry::full(name, "", doc, example, "1.5"), T::Bin, needs, run)
}

const fn hdrs_bin(name: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    let doc = "All fields as bytes: names and values behind their lengths, and an empty pair.";
    Fetch::new(Entry::full(name, "", doc, name, "2.0"), T::Bin, needs, run)
}

pub static FETCHES: &[Fetch] = &[
    hdr("req.hdr", "req.hdr(host)", Q, req_hdr),
    hdr("hdr", "hdr(x-forwarded-for,1)", Q, req_hdr).or_response(res_hdr),
    fhdr("req.fhdr", "req.fhdr(user-agent)", Q, req_fhdr),
    cnt("req.hdr_cnt", "req.hdr_cnt(cookie)", Q, req_cnt),
    cnt("hdr_cnt", "hdr_cnt(host)", Q, req_cnt),
    fcnt("req.fhdr_cnt", "req.fhdr_cnt(host)", Q, req_fcnt),
    ip("req.hdr_ip", "req.hdr_ip(x-forwarded-for,-1)", Q, req_ip),
    ip("hdr_ip", "hdr_ip(x-real-ip)", Q, req_ip),
    val("req.hdr_val", "req.hdr_val(content-length)", Q, req_val),
    val("hdr_val", "hdr_val(content-length)", Q, req_val),
    list("req.hdr_names", "req.hdr_names(|)", Q, req_names),
    hdrs("req.hdrs", "req.hdrs", Q, req_hdrs),
    hdrs_bin("req.hdrs_bin", Q, req_hdrs_bin),
    hdrs_bin("res.hdrs_bin", R, res_hdrs_bin),
    hdr("res.hdr", "res.hdr(server)", R, res_hdr),
    hdr("shdr", "shdr(server)", R, res_hdr),
    fhdr("res.fhdr", "res.fhdr(date)", R, res_fhdr),
    cnt("res.hdr_cnt", "res.hdr_cnt(set-cookie)", R, res_cnt),
    cnt("shdr_cnt", "shdr_cnt(via)", R, res_cnt),
    fcnt("res.fhdr_cnt", "res.fhdr_cnt(set-cookie)", R, res_fcnt),
    ip("res.hdr_ip", "res.hdr_ip(x-server)", R, res_ip),
    ip("shdr_ip", "shdr_ip(x-server)", R, res_ip),
    val("res.hdr_val", "res.hdr_val(content-length)", R, res_val),
    val("shdr_val", "shdr_val(age)", R, res_val),
    list("res.hdr_names", "res.hdr_names", R, res_names),
    hdrs("res.hdrs", "res.hdrs", R, res_hdrs),
];
