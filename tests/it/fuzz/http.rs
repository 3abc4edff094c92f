//! HTTP/1 heads and chunked bodies: no panic, the same verdict however the bytes are cut, and what is accepted and
//! written again has one reading only, by a reader that shares no code with the parser.

use isobar::base::Buf;
use isobar::http::{BodyLen, Chunks, H1Options, Head, Hop, Method, Parse, Slices};

use super::mutate::{Random, drive};
use crate::rfc;
use crate::support::message::{self, Reader};

/// Parses what `bytes` begin with, given in pieces of `step` bytes.
fn parse(bytes: &[u8], response: bool, step: usize) -> Option<Head> {
    let mut head = Head::default();
    head.buf = Buf::take(bytes.len().max(1));
    let options = H1Options::default();
    for piece in bytes.chunks(step.max(1)) {
        head.buf.push(piece);
        let verdict =
            if response { head.parse_response(Method::Get, &options) } else { head.parse_request(&options) };
        match verdict {
            Parse::Done => return Some(head),
            Parse::More => {}
            Parse::Bad(bad) => {
                assert!(bad.at <= bytes.len(), "the fault at {} lies behind the bytes", bad.at);
                return None;
            }
        }
    }
    None
}

fn written(head: &Head) -> Vec<u8> {
    let mut out = Slices::new();
    head.slices(Hop::AsIs, &mut out);
    out.concat()
}

fn one_reading(bytes: &[u8], response: bool, random: &mut Random) {
    let whole = parse(bytes, response, bytes.len());
    let pieces = parse(bytes, response, 1 + random.below(7));
    assert_eq!(whole.is_some(), pieces.is_some(), "another verdict when the bytes come in pieces");
    let (Some(head), Some(pieces)) = (whole, pieces) else { return };
    let out = written(&head);
    assert_eq!(out, written(&pieces), "other bytes when they come in pieces");
    // A message of HTTP/1.0 with a coding is accepted and then closes; the strict reader has no word for that.
    if out.windows(8).any(|w| w == b"HTTP/1.0") {
        return;
    }
    let read = message::parse_head(&out).unwrap_or_else(|why| panic!("accepted, and then written as {why}"));
    assert_eq!(read.fields.len(), head.fields().count(), "the number of fields");
    let mut reader = Reader::of(&out);
    if response {
        assert!((100..=999).contains(&read.status()), "the status {}", read.status());
        return;
    }
    let read = reader.request_head().unwrap_or_else(|why| panic!("accepted, and then written as {why:?}"));
    let length = read.field("content-length").map(|l| l.parse::<u64>().expect("a strict length"));
    let chunked = read.field("transfer-encoding").is_some();
    match head.body {
        BodyLen::None => assert!(!chunked && length.unwrap_or(0) == 0, "no body, but written with one"),
        BodyLen::Length(n) => {
            assert!(!chunked && length == Some(n), "a body of {n} bytes, written as {length:?}")
        }
        BodyLen::Chunked => assert!(chunked && length.is_none(), "chunked, written with {length:?}"),
        BodyLen::Tunnel => {}
        BodyLen::UntilClose => panic!("a request does not end with its connection"),
    }
}

#[test]
fn request_heads() {
    drive("request heads", &rfc::requests(), |bytes, random| one_reading(bytes, false, random));
}

#[test]
fn response_heads() {
    drive("response heads", &rfc::responses(), |bytes, random| one_reading(bytes, true, random));
}

/// The data that the scanner finds; None where it refuses or the end is missing.
fn scan(bytes: &[u8], response: bool, step: usize) -> Option<(Vec<u8>, usize)> {
    let mut chunks = Chunks::new(response);
    let (mut data, mut consumed) = (Vec::new(), 0);
    for piece in bytes.chunks(step.max(1)) {
        let scan = chunks.decode(piece, |some| data.extend_from_slice(some)).ok()?;
        consumed += scan.consumed;
        if scan.done {
            return Some((data, consumed));
        }
        assert_eq!(scan.consumed, piece.len(), "bytes before the end were left over");
    }
    None
}

fn chunked_body(bytes: &[u8], random: &mut Random) {
    for response in [false, true] {
        let whole = scan(bytes, response, bytes.len());
        assert_eq!(
            whole,
            scan(bytes, response, 1 + random.below(5)),
            "other data when the bytes come in pieces"
        );
        let Some((data, consumed)) = whole else { continue };
        assert!(consumed <= bytes.len());
        if response {
            continue;
        }
        // A request's body reaches the server as it came: the strict reader must find the same data and end.
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut reader = Reader::of(&[head, &bytes[..consumed]].concat());
        let read = reader.request().unwrap_or_else(|why| panic!("accepted, but {why:?}"));
        assert_eq!(read.body, data, "other data");
        assert!(reader.ahead.is_empty(), "another end");
    }
}

#[test]
fn chunked_bodies() {
    let body = |bytes: Vec<u8>| {
        let at = message::find(&bytes, b"\r\n\r\n").map_or(0, |n| n + 4);
        bytes[at..].to_vec()
    };
    let mut examples: Vec<Vec<u8>> = rfc::requests().into_iter().chain(rfc::responses()).map(body).collect();
    examples.retain(|example| !example.is_empty());
    drive("chunked bodies", &examples, chunked_body);
}
