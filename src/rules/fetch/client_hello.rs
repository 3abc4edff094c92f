//! TLS ClientHello in the request buffer of a TCP proxy: SNI, ALPN, version (RFC 8446 section 4.1.2, RFC 6066).

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::Arg;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, FetchFn, Needs};

/// What a ClientHello says, as far as fetches ask.
struct Hello<'a> {
    version: u16,
    ciphers: &'a [u8],
    extensions: &'a [u8],
}

/// Cuts a vector whose length is written in `size` bytes before it; returns it and what follows.
fn vector(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_at_checked(size)?;
    let len = len.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    rest.split_at_checked(len)
}

/// The hello in the buffer. `Ok(None)`: it is not complete; `Err`: it is no ClientHello.
fn hello(data: &[u8]) -> Result<Option<Hello<'_>>, ()> {
    match data {
        [] => return Ok(None),
        [0x16, ..] => {}
        _ => return Err(()),
    }
    let Some(record) = data.get(5..) else { return Ok(None) };
    if data[1] != 3 {
        return Err(());
    }
    let len = usize::from(data[3]) << 8 | usize::from(data[4]);
    if record.first().is_some_and(|kind| *kind != 1) {
        return Err(());
    }
    let Some(record) = record.get(..len) else { return Ok(None) };
    let (body, _) = vector(record.get(1..).ok_or(())?, 3).ok_or(())?;
    parse(body).ok_or(()).map(Some)
}

fn parse(body: &[u8]) -> Option<Hello<'_>> {
    let version = u16::from_be_bytes([*body.first()?, *body.get(1)?]);
    let (_, rest) = vector(body.get(34..)?, 1)?;
    let (ciphers, rest) = vector(rest, 2)?;
    let (_, rest) = vector(rest, 1)?;
    let extensions = vector(rest, 2).map_or(&[][..], |(e, _)| e);
    Some(Hello { version, ciphers, extensions })
}

impl<'a> Hello<'a> {
    fn extension(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.extensions;
        while let Some((kind, tail)) = rest.split_at_checked(2) {
            let (body, next) = vector(tail, 2)?;
            if kind == wanted.to_be_bytes() {
                return Some(body);
            }
            rest = next;
        }
        None
    }

    /// The host name of `server_name`.
    fn sni(&self) -> Option<&'a [u8]> {
        let (names, _) = vector(self.extension(0)?, 2)?;
        match names.split_first()? {
            (0, rest) => vector(rest, 2).map(|(name, _)| name),
            _ => None,
        }
    }

    /// The first protocol of ALPN.
    fn alpn(&self) -> Option<&'a [u8]> {
        let (list, _) = vector(self.extension(16)?, 2)?;
        vector(list, 1).map(|(name, _)| name)
    }
}

fn read<'a>(ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Hello<'a>> {
    if ctx.txn.has_req {
        return None;
    }
    match hello(&ctx.txn.req_body) {
        Ok(None) => {
            cursor.may_change = true;
            None
        }
        Ok(hello) => hello,
        Err(()) => None,
    }
}

fn sni<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    read(ctx, cursor)?.sni().map(|name| Sample::Str(Cow::Borrowed(name)))
}

fn alpn<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    read(ctx, cursor)?.alpn().map(|name| Sample::Str(Cow::Borrowed(name)))
}

/// 1 for a ClientHello, as HAProxy numbers the handshake's messages.
fn hello_type<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    read(ctx, cursor).map(|_| Sample::Int(1))
}

fn bin(bytes: &[u8]) -> Option<Sample<'_>> {
    Some(Sample::Bin(Cow::Borrowed(bytes)))
}

/// The groups that the client has made shares for.
fn shares(hello: &Hello<'_>) -> Option<Vec<u8>> {
    let (mut rest, _) = vector(hello.extension(51)?, 2)?;
    let mut groups = Vec::new();
    while let Some((group, tail)) = rest.split_at_checked(2) {
        groups.extend_from_slice(group);
        rest = vector(tail, 2)?.1;
    }
    Some(groups)
}

/// 2 for a whole ServerHello in what the server said.
fn server_hello<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let data = &ctx.txn.res_body;
    let record = match data.get(..5) {
        Some([0x16, 3, _, high, low]) => data.get(5..5 + (usize::from(*high) << 8 | usize::from(*low))),
        Some(_) => return None,
        None => None,
    };
    let message = record.and_then(|record| vector(record.get(1..)?, 3).map(|_| record[0]));
    cursor.may_change = message.is_none() && !ctx.txn.inspect_over;
    message.filter(|kind| *kind == 2).map(|kind| Sample::Int(kind.into()))
}

const fn extension(
    name: &'static str,
    doc: &'static str,
    since: &'static str,
    out: T,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, name, since), out, L6, run)
}

fn version<'a>(_: &'a [Arg], ctx: Ctx<'a>, cursor: &mut Cursor) -> Option<Sample<'a>> {
    let version = read(ctx, cursor)?.version;
    Some(Sample::Int(i64::from(version >> 8) << 16 | i64::from(version & 0xff)))
}

const L6: Needs = Needs::RequestData;

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full(
            "req.ssl_sni",
            "",
            "The host name in the client's TLS hello (TCP mode, wait with inspect-delay).",
            "req.ssl_sni",
            "1.5",
        ),
        T::Str,
        L6,
        sni,
    ),
    Fetch::new(
        Entry::full("req_ssl_sni", "", "The same as req.ssl_sni.", "req_ssl_sni", "1.3"),
        T::Str,
        L6,
        sni,
    ),
    Fetch::new(
        Entry::full(
            "req.ssl_alpn",
            "",
            "The first protocol that the client's TLS hello offers.",
            "req.ssl_alpn",
            "1.8",
        ),
        T::Str,
        L6,
        alpn,
    ),
    Fetch::new(
        Entry::full(
            "req.ssl_hello_type",
            "",
            "1 when the buffer begins with a whole TLS ClientHello.",
            "req.ssl_hello_type",
            "1.5",
        ),
        T::Int,
        L6,
        hello_type,
    ),
    Fetch::new(
        Entry::full("req_ssl_hello_type", "", "The same as req.ssl_hello_type.", "req_ssl_hello_type", "1.3"),
        T::Int,
        L6,
        hello_type,
    ),
    Fetch::new(
        Entry::full(
            "req.ssl_ver",
            "",
            "The version in the client's TLS hello, major in the high 16 bits.",
            "req.ssl_ver",
            "1.5",
        ),
        T::Int,
        L6,
        version,
    )
    .partial("patterns with a dot (3.1) are not read as versions"),
    Fetch::new(
        Entry::full("req_ssl_ver", "", "The same as req.ssl_ver.", "req_ssl_ver", "1.3"),
        T::Int,
        L6,
        version,
    )
    .partial("patterns with a dot (3.1) are not read as versions"),
    extension(
        "req.ssl_ec_ext",
        "Whether the client's TLS hello names groups.",
        "1.7",
        T::Bool,
        |_, ctx, c| Some(Sample::Bool(read(ctx, c)?.extension(10).is_some())),
    ),
    extension(
        "req.ssl_st_ext",
        "Whether the client's TLS hello takes tickets: 0 no, 1 yes, 2 it brings one.",
        "1.6",
        T::Int,
        |_, ctx, c| {
            let ticket = read(ctx, c)?.extension(35);
            Some(Sample::Int(ticket.map_or(0, |ticket| 1 + i64::from(!ticket.is_empty()))))
        },
    ),
    extension(
        "req.ssl_cipherlist",
        "The suites that the client's TLS hello offers.",
        "3.2",
        T::Bin,
        |_, ctx, c| bin(read(ctx, c)?.ciphers),
    ),
    extension(
        "req.ssl_supported_groups",
        "The groups that the client's TLS hello offers.",
        "3.2",
        T::Bin,
        |_, ctx, c| bin(vector(read(ctx, c)?.extension(10)?, 2)?.0),
    ),
    extension(
        "req.ssl_sigalgs",
        "The signatures that the client's TLS hello takes.",
        "3.2",
        T::Bin,
        |_, ctx, c| bin(vector(read(ctx, c)?.extension(13)?, 2)?.0),
    ),
    extension(
        "req.ssl_keyshare_groups",
        "The groups that the client's TLS hello brings shares of.",
        "3.2",
        T::Bin,
        |_, ctx, c| Some(Sample::Bin(Cow::Owned(shares(&read(ctx, c)?)?))),
    ),
    Fetch::new(
        Entry::full(
            "res.ssl_hello_type",
            "",
            "2 when the response's buffer begins with a whole TLS ServerHello.",
            "res.ssl_hello_type",
            "1.5",
        ),
        T::Int,
        Needs::ResponseData,
        server_hello,
    ),
    Fetch::new(
        Entry::full("rep_ssl_hello_type", "", "The same as res.ssl_hello_type.", "rep_ssl_hello_type", "1.3"),
        T::Int,
        Needs::ResponseData,
        server_hello,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_hello() -> Vec<u8> {
        let sni = [&[0, 0, 0, 16, 0, 14, 0, 0, 11][..], b"example.com"].concat();
        let alpn = [&[0, 16, 0, 5, 0, 3, 2][..], b"h2"].concat();
        let extensions = [sni, alpn].concat();
        let mut body = vec![3, 3];
        body.extend([0; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut record = vec![0x16, 3, 1];
        record.extend(((body.len() + 4) as u16).to_be_bytes());
        record.extend([1, 0]);
        record.extend((body.len() as u16).to_be_bytes());
        record.extend(body);
        record
    }

    #[test]
    fn hello_is_read_when_whole() {
        let data = sample_hello();
        for cut in 0..data.len() {
            assert!(matches!(hello(&data[..cut]), Ok(None)), "{cut}");
        }
        let found = hello(&data).unwrap().unwrap();
        assert_eq!(found.sni(), Some(&b"example.com"[..]));
        assert_eq!(found.alpn(), Some(&b"h2"[..]));
        assert_eq!(found.version, 0x0303);
        assert!(hello(b"GET / HTTP/1.1").is_err());
    }
}
