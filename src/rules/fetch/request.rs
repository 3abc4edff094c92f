//! The request: method, target and its parts, version, captures of the request line, authentication, identity.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::head::Version;
use crate::http::token::{self, trim};
use crate::lang::{Entry, Status};
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::hash::{full_hash, sdbm_from};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::{Ctx, Endpoint, Txn};

use super::entry::{Cursor, Fetch, FetchFn, Needs};
use super::header;

const Q: Needs = Needs::RequestHead;

/// A target's path with its query: none for `*` and `host:port`, nor for an absolute URI without path.
pub fn path_of(target: &[u8]) -> Option<&[u8]> {
    match target {
        [b'/', ..] => Some(target),
        [] | [b'*', ..] => None,
        _ => {
            let rest = &target[memchr::memmem::find(target, b"://")? + 3..];
            let slash = rest.iter().position(|c| matches!(c, b'/' | b'?'))?;
            Some(&rest[slash..])
        }
    }
}

/// Scheme and authority of an absolute target (`http://host:80`), empty for any other.
pub fn origin(target: &[u8]) -> &[u8] {
    let path = path_of(target).map_or(0, <[u8]>::len);
    match target.first() {
        None | Some(b'/' | b'*') => &[],
        _ => &target[..target.len() - path],
    }
}

/// What stands before the `?`.
pub fn without_query(path: &[u8]) -> &[u8] {
    &path[..token::byte_at(path, b'?')]
}

fn str(bytes: &[u8]) -> Option<Sample<'_>> {
    Some(Sample::Str(Cow::Borrowed(bytes)))
}

fn target<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<&'a [u8]> {
    Some(header::request(ctx, cursor)?.target_bytes())
}

fn method<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    if ctx.txn.has_req {
        return Some(Sample::Method(Cow::Borrowed(ctx.txn.req.method_bytes())));
    }
    header::request(ctx, cursor).map(|_| Sample::Bool(false))
}

fn path<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    str(without_query(path_of(target(ctx, cursor)?)?))
}

fn pathq<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    str(path_of(target(ctx, cursor)?)?)
}

fn url<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    match header::request(ctx, cursor)?.whole_target() {
        Cow::Borrowed(target) => str(target),
        target => Some(Sample::Str(target)),
    }
}

/// The first element of the first `Host` field.
fn host<'a>(ctx: Ctx<'a>) -> &'a [u8] {
    header::next(&ctx.txn.req, b"host", false, &mut Cursor::default()).unwrap_or_default()
}

fn joined<'a>(ctx: Ctx<'a>, path: Option<&'a [u8]>) -> Option<Sample<'a>> {
    let host = host(ctx);
    if host.is_empty() {
        return str(path?);
    }
    match path {
        Some(path) if path.first() == Some(&b'/') => Some(Sample::Str(Cow::Owned([host, path].concat()))),
        _ => str(host),
    }
}

fn base<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    joined(ctx, path_of(target(ctx, cursor)?).map(without_query))
}

fn baseq<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    joined(ctx, path_of(target(ctx, cursor)?))
}

fn base32_of(ctx: Ctx<'_>, cursor: &mut Cursor) -> Option<u32> {
    let path = path_of(target(ctx, cursor)?).map_or(&[][..], without_query);
    let path = if path.first() == Some(&b'/') { path } else { &[] };
    Some(full_hash(sdbm_from(sdbm_from(0, host(ctx)), path)))
}

fn url32_of(ctx: Ctx<'_>, cursor: &mut Cursor) -> Option<u32> {
    let path = path_of(target(ctx, cursor)?).unwrap_or_default();
    let path = if path.first() == Some(&b'/') { path } else { &[] };
    Some(full_hash(sdbm_from(sdbm_from(0, host(ctx)), path)))
}

fn with_source<'a>(ctx: Ctx<'a>, hash: u32) -> Option<Sample<'a>> {
    let mut out = hash.to_be_bytes().to_vec();
    match ctx.txn.client {
        Endpoint::Inet(addr) => match addr.ip() {
            std::net::IpAddr::V4(a) => out.extend(a.octets()),
            std::net::IpAddr::V6(a) => out.extend(a.octets()),
        },
        _ => return None,
    }
    Some(Sample::Bin(Cow::Owned(out)))
}

/// `1.1`, of the version the message came in.
pub fn version(version: Version) -> &'static [u8] {
    match version {
        Version::Http10 => b"1.0",
        Version::Http11 => b"1.1",
        Version::Http2 => b"2.0",
    }
}

fn req_ver<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    str(version(header::request(ctx, cursor)?.version))
}

/// Method, target and version of the request line as it was received.
pub fn line_parts(txn: &Txn) -> (&[u8], Option<&[u8]>, Option<&[u8]>) {
    let mut parts = txn.uri_line.splitn(3, |c| *c == b' ');
    (parts.next().unwrap_or_default(), parts.next(), parts.next())
}

/// User and password of `Authorization: Basic`, decoded.
fn basic(ctx: Ctx<'_>, cursor: &mut Cursor) -> Option<(Vec<u8>, Vec<u8>)> {
    let value = header::request(ctx, cursor)?.field(b"authorization")?;
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let plain = STANDARD.decode(trim(token)).ok()?;
    let colon = memchr::memchr(b':', &plain)?;
    Some((plain[..colon].to_vec(), plain[colon + 1..].to_vec()))
}

/// The groups of the user in a userlist; `None` when nobody there has this name and password.
fn member<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<&'a [Box<str>]> {
    let Some(Arg::Accounts(accounts)) = args.first() else { return None };
    let (user, password) = basic(ctx, cursor)?;
    accounts.groups(&user, &password)
}

/// Each group of the user in turn.
fn auth_group<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let group = member(args, ctx, cursor)?.get(cursor.byte)?;
    cursor.byte += 1;
    cursor.more = cursor.iterate;
    str(group.as_bytes())
}

fn find_accounts(args: &mut Vec<Arg>, ctx: &mut BuildCtx<'_>) -> Result<(), String> {
    let name = String::from_utf8_lossy(args.str(0)).into_owned();
    let found = ctx.userlists.find(&name);
    let accounts = found.ok_or_else(|| format!("unable to find userlist '{name}' referenced in arg 1"))?;
    *args = vec![Arg::Accounts(accounts)];
    Ok(())
}

fn auth_type<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let value = header::request(ctx, cursor)?.field(b"authorization")?;
    let scheme = &value[..memchr::memchr(b' ', value)?];
    match scheme {
        s if s.eq_ignore_ascii_case(b"basic") => str(b"Basic"),
        s if s.eq_ignore_ascii_case(b"bearer") => str(b"Bearer"),
        _ => None,
    }
}

fn auth_bearer<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let name = match args.str(0) {
        b"" => b"authorization",
        name => name,
    };
    let value = header::request(ctx, cursor)?.field(name)?;
    let at = memchr::memchr(b' ', value)?;
    let (scheme, token) = value.split_at(at);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| trim(token)).and_then(str)
}

fn unique_id<'a>(_: &'a [Arg], ctx: Ctx<'a>, _: &mut Cursor) -> Option<Sample<'a>> {
    str(ctx.txn.unique_id.as_deref()?)
}

const fn text(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, example, since), T::Str, Q, run)
}

const fn int(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, example, since), T::Int, Q, run)
}

const fn boolean(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, example, since), T::Bool, Q, run)
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(Entry::full("method", "", "The request's method.", "method", "1.3"), T::Method, Q, method),
    text("path", "The target's path, without query.", "path", "1.3", path),
    text("pathq", "The target's path with its query.", "pathq", "2.2", pathq),
    text("url", "The target as it will be sent.", "url", "1.3", url),
    text("base", "Host and path, without query.", "base", "1.5", base),
    text("baseq", "Host and path with its query.", "baseq", "3.1", baseq),
    int("base32", "A 32-bit hash of `base`.", "base32", "1.5", |_, ctx, cursor| {
        base32_of(ctx, cursor).map(|h| Sample::Int(i64::from(h)))
    }),
    int("url32", "A 32-bit hash of host and whole target.", "url32", "1.5", |_, ctx, cursor| {
        url32_of(ctx, cursor).map(|h| Sample::Int(i64::from(h)))
    }),
    Fetch::new(
        Entry::full("base32+src", "", "`base32` followed by the client's address.", "base32+src", "1.5"),
        T::Bin,
        Q,
        |_, ctx, cursor| base32_of(ctx, cursor).and_then(|h| with_source(ctx, h)),
    ),
    Fetch::new(
        Entry::full("url32+src", "", "`url32` followed by the client's address.", "url32+src", "1.5"),
        T::Bin,
        Q,
        |_, ctx, cursor| url32_of(ctx, cursor).and_then(|h| with_source(ctx, h)),
    ),
    text("req.ver", "The request's version, such as 1.1.", "req.ver", "1.3", req_ver),
    text("req_ver", "The request's version, such as 1.1.", "req_ver", "1.3", req_ver),
    boolean(
        "req.proto_http",
        "Whether a complete HTTP request was received.",
        "req.proto_http",
        "1.5",
        proto_http,
    ),
    boolean(
        "req_proto_http",
        "Whether a complete HTTP request was received.",
        "req_proto_http",
        "1.3",
        proto_http,
    ),
    boolean(
        "http_first_req",
        "Whether this is the first request of its connection.",
        "http_first_req",
        "1.5",
        |_, ctx, _| Some(Sample::Bool(ctx.txn.session_requests == 0)),
    ),
    text(
        "capture.req.method",
        "The method as received, before rules changed it.",
        "capture.req.method",
        "1.6",
        |_, ctx, _| (!ctx.txn.uri_line.is_empty()).then(|| line_parts(ctx.txn).0).and_then(str),
    ),
    text("capture.req.uri", "The path and query as received.", "capture.req.uri", "1.6", |_, ctx, _| {
        path_of(line_parts(ctx.txn).1?).and_then(str)
    }),
    text(
        "capture.req.ver",
        "The version as received: HTTP/1.0 or HTTP/1.1.",
        "capture.req.ver",
        "1.6",
        |_, ctx, _| {
            let (_, _, version) = line_parts(ctx.txn);
            str(if version? == b"HTTP/1.0" { b"HTTP/1.0" } else { b"HTTP/1.1" })
        },
    ),
    Fetch::new(
        Entry::full(
            "capture.req.hdr",
            "<idx>",
            "What request capture slot <idx> holds.",
            "capture.req.hdr(0)",
            "1.6",
        ),
        T::Str,
        Needs::RequestHead,
        |a, ctx, _| str(ctx.txn.req_captures.get(usize::try_from(a.int(0)?).ok()?)?),
    )
    .args(ArgSpec::new(1, &[ArgKind::Int])),
    Fetch::new(
        Entry::full(
            "capture.res.hdr",
            "<idx>",
            "What response capture slot <idx> holds.",
            "capture.res.hdr(0)",
            "1.6",
        ),
        T::Str,
        Needs::ResponseHead,
        |a, ctx, _| str(ctx.txn.res_captures.get(usize::try_from(a.int(0)?).ok()?)?),
    )
    .args(ArgSpec::new(1, &[ArgKind::Int])),
    Fetch::new(
        Entry::full(
            "http_auth",
            "<userlist>",
            "Whether Basic authorization names a user of the list with the right password.",
            "http_auth(people)",
            "1.4",
        ),
        T::Bool,
        Q,
        |args, ctx, cursor| Some(Sample::Bool(member(args, ctx, cursor).is_some())),
    )
    .args(ArgSpec::new(1, &[ArgKind::UserList]))
    .check(find_accounts),
    Fetch::new(
        Entry::full(
            "http_auth_group",
            "<userlist>",
            "The groups of the user of Basic authorization, if the password is right.",
            "http_auth_group(people)",
            "1.4",
        ),
        T::Str,
        Q,
        auth_group,
    )
    .args(ArgSpec::new(1, &[ArgKind::UserList]))
    .check(find_accounts),
    text(
        "http_auth_type",
        "Basic or Bearer: the scheme of Authorization.",
        "http_auth_type",
        "2.5",
        auth_type,
    ),
    text("http_auth_user", "The user of Basic authorization.", "http_auth_user", "2.5", |_, ctx, cursor| {
        basic(ctx, cursor).map(|(user, _)| Sample::Str(Cow::Owned(user)))
    }),
    text(
        "http_auth_pass",
        "The password of Basic authorization.",
        "http_auth_pass",
        "2.5",
        |_, ctx, cursor| basic(ctx, cursor).map(|(_, password)| Sample::Str(Cow::Owned(password))),
    ),
    Fetch::new(
        Entry::full(
            "http_auth_bearer",
            "[<header>]",
            "The token of Bearer authorization, from Authorization or the header given.",
            "http_auth_bearer",
            "2.5",
        ),
        T::Str,
        Q,
        auth_bearer,
    )
    .args(ArgSpec::new(0, &[ArgKind::Str])),
    Fetch::new(
        Entry::full("unique-id", "", "What unique-id-format made for this request.", "unique-id", "2.2")
            .with(Status::Partial("made when the request's rules begin, not by the first use")),
        T::Str,
        Needs::Nothing,
        unique_id,
    ),
];

fn proto_http<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    if ctx.txn.is_http2 {
        return Some(Sample::Bool(true));
    }
    header::request(ctx, cursor).map(|_| Sample::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_paths_or_not() {
        for (target, path, prefix) in [
            ("/a/b?c", Some("/a/b?c"), ""),
            ("http://h:80/a?b", Some("/a?b"), "http://h:80"),
            ("http://h?b", Some("?b"), "http://h"),
            ("http://h", None, "http://h"),
            ("*", None, ""),
            ("h:443", None, "h:443"),
        ] {
            assert_eq!(path_of(target.as_bytes()), path.map(str::as_bytes), "{target}");
            assert_eq!(origin(target.as_bytes()), prefix.as_bytes(), "{target}");
        }
    }
}
