//! The cookie of a remote desktop's first packet (TPKT, X.224, then `Cookie: name=value`).

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, FetchFn, Needs};

/// Headers before the cookie.
const HEADERS: usize = 11;

/// The cookie's value. `Ok(None)`: more bytes may show one; `Err`: there is none.
fn cookie<'d>(data: &'d [u8], wanted: &[u8]) -> Result<Option<&'d [u8]>, ()> {
    let Some(text) = data.get(HEADERS..) else { return Ok(None) };
    // A connection request.
    if data[..2] != [3, 0] || data[5] & 0xf0 != 0xe0 {
        return Err(());
    }
    const NAME: &[u8] = b"Cookie:";
    if text.len() < NAME.len() {
        return Ok(None);
    }
    if !text[..NAME.len()].eq_ignore_ascii_case(NAME) {
        return Err(());
    }
    let Some(end) = memchr::memchr(b'\r', text) else { return Ok(None) };
    let pair = text[NAME.len()..end].trim_ascii_start();
    let at = memchr::memchr(b'=', pair).ok_or(())?;
    let is_it = wanted.is_empty() || pair[..at].eq_ignore_ascii_case(wanted);
    if is_it { Ok(Some(&pair[at + 1..])) } else { Err(()) }
}

/// The value of this cookie, if the first bytes of a connection are those of a remote desktop and have it.
pub fn desktop_cookie<'d>(data: &'d [u8], name: &[u8]) -> Option<&'d [u8]> {
    cookie(data, name).ok().flatten()
}

fn found<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<&'a [u8]> {
    if ctx.txn.has_req {
        return None;
    }
    let value = cookie(&ctx.txn.req_body, args.str(0));
    cursor.may_change = value == Ok(None) && !ctx.txn.inspect_over;
    value.ok().flatten()
}

fn value<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    found(args, ctx, cursor).map(|v| Sample::Str(Cow::Borrowed(v)))
}

fn count<'a>(args: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    Some(Sample::Int(found(args, ctx, cursor).is_some().into()))
}

const fn row(name: &'static str, doc: &'static str, since: &'static str, out: T, run: FetchFn) -> Fetch {
    Fetch::new(Entry::full(name, "[<name>]", doc, name, since), out, Needs::RequestData, run)
        .args(ArgSpec::new(0, &[ArgKind::Str]))
}

const VALUE: &str = "The cookie of this name (or any) in the first packet of a remote desktop.";
const COUNT: &str = "Whether there is such a cookie: 1 or 0.";

pub static FETCHES: &[Fetch] = &[
    row("req.rdp_cookie", VALUE, "1.5", T::Str, value),
    row("rdp_cookie", VALUE, "1.3", T::Str, value),
    row("req.rdp_cookie_cnt", COUNT, "1.5", T::Int, count),
    row("rdp_cookie_cnt", COUNT, "1.3", T::Int, count),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_when_whole() {
        let packet = b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: mstshash=ann\r\n\x01\x00";
        for cut in 0..31 {
            assert_eq!(cookie(&packet[..cut], b""), Ok(None), "{cut}");
        }
        assert_eq!(cookie(packet, b""), Ok(Some(&b"ann"[..])));
        assert_eq!(cookie(packet, b"MSTShash"), Ok(Some(&b"ann"[..])));
        assert_eq!(cookie(packet, b"other"), Err(()));
        assert_eq!(cookie(b"GET / HTTP/1.1\r\n", b""), Err(()));
    }
}
