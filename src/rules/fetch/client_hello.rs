//! TLS ClientHello in the request buffer of a TCP proxy: SNI, ALPN, version (RFC 8446 section 4.1.2, RFC 6066).

use std::borrow::Cow;

use crate::lang::Entry;
use crate::rules::args::Arg;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Cursor, Fetch, Needs};

/// What a ClientHello says, as far as fetches ask.
struct Hello<'a> {
    version: u16,
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
    let (_, rest) = vector(rest, 2)?;
    let (_, rest) = vector(rest, 1)?;
    let extensions = vector(rest, 2).map_or(&[][..], |(e, _)| e);
    Some(Hello { version, extensions })
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
