//! Cases of bodies: Content-Length, trailers, Expect.

use super::driver::*;
use crate::http::h2::Event;

fn body(extra: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    [post(1, extra), frame(DATA, ES, 1, data)].concat()
}

#[test]
fn lengths() {
    let length = |value: &str, n: usize| body(&[("content-length", value)], &vec![b'x'; n]);
    let at_once = |value: &str| {
        let fields = [&[(":method", "POST")], &GET[1..], &[("content-length", value)]].concat();
        frame(HEADERS, EH | ES, 1, &block(&fields))
    };
    let two = |a, b| body(&[("content-length", a), ("content-length", b)], b"xyz");
    const RESET: &str = "RST(1,PROTOCOL)";
    table(&[
        ("cl-ok", length("3", 3), OK),
        ("cl-es", at_once("10"), RESET),
        ("cl0-es", at_once("0"), OK),
        ("cl-long", length("3", 5), RESET),
        ("cl-short", length("3", 2), RESET),
        ("cl-2same", two("3", "3"), OK),
        ("cl-2diff", two("3", "4"), RESET),
        ("cl-list", length("3, 3", 3), RESET),
        ("cl-abc", length("abc", 3), RESET),
        ("cl-plus", length("+3", 3), RESET),
        ("cl-zeros", length("0003", 3), OK),
        ("cl-huge", length("18446744073709551616", 3), RESET),
        ("cl-empty", length("", 3), RESET),
        ("cl-none-0", body(&[], b""), OK),
        ("expect", body(&[("expect", "100-continue"), ("content-length", "3")], b"xyz"), OK),
    ]);
}

#[test]
fn bodies_become_http_1() {
    let get = frame(HEADERS, EH, 1, &get_with(&[]));
    let table = [
        ("cl-get-body", get, "GET /x HTTP/1.1\r\nhost: ex.com\r\ntransfer-encoding: chunked\r\n\r\n"),
        (
            "cl-zeros",
            post(1, &[("content-length", "0003")]),
            "POST /x HTTP/1.1\r\nhost: ex.com\r\ncontent-length: 3\r\n\r\n",
        ),
        (
            "cl-2same",
            post(1, &[("content-length", "3"), ("content-length", "3")]),
            "POST /x HTTP/1.1\r\nhost: ex.com\r\ncontent-length: 3\r\n\r\n",
        ),
    ];
    for (name, bytes, expected) in table {
        let mut peer = Peer::server();
        peer.send(&bytes);
        assert_eq!(peer.heads, [expected], "{name}");
    }
}

/// A body that is too long gets no further than its length.
#[test]
fn what_is_too_long_is_not_handed_on() {
    let mut peer = Peer::server();
    peer.send(&body(&[("content-length", "3")], b"12345"));
    assert_eq!(peer.body, b"");
    assert!(matches!(peer.events.last(), Some(Event::Reset { stream: 1, ours: true, .. })));
}

#[test]
fn trailers() {
    let open = |bytes: &[u8], flags: u8| {
        [post(1, &[]), frame(DATA, 0, 1, b"abc"), frame(HEADERS, EH | flags, 1, bytes)].concat()
    };
    let with = |n: &str, v: &str| open(&field(n.as_bytes(), v.as_bytes()), ES);
    const RESET: &str = "RST(1,PROTOCOL)";
    let large = block(&[("x", &"a".repeat(12_000)), ("y", &"a".repeat(12_000))]);
    let (first, second) = large.split_at(16_000);
    let in_two = [post(1, &[]), frame(HEADERS, ES, 1, first), frame(CONTINUATION, EH, 1, second), get(3)];
    table(&[
        ("tr-ok", with("x-t", "v"), OK),
        ("tr-noes", open(&block(&[("x-t", "v")]), 0), RESET),
        ("tr-pseudo", with(":path", "/"), RESET),
        ("tr-conn", with("connection", "close"), RESET),
        ("tr-cl", with("content-length", "3"), RESET),
        ("tr-host", with("host", "a"), RESET),
        ("tr-lf", with("x-t", "a\nb"), RESET),
        (
            "tr-withcl",
            [
                post(1, &[("content-length", "3")]),
                frame(DATA, 0, 1, b"abc"),
                frame(HEADERS, EH | ES, 1, &block(&[("x-t", "v")])),
            ]
            .concat(),
            OK,
        ),
        (
            "tr-clshort",
            [post(1, &[("content-length", "3")]), frame(HEADERS, EH | ES, 1, &block(&[("x-t", "v")]))]
                .concat(),
            RESET,
        ),
        ("tr-empty", open(b"", ES), OK),
        ("tr-nodata", [post(1, &[]), frame(HEADERS, EH | ES, 1, &block(&[("x-t", "v")]))].concat(), OK),
        ("tr-24k", in_two.concat(), "RST(1,PROTOCOL) H(3,200) D(3,ES)"),
    ]);
    let mut peer = Peer::server();
    peer.send(&with("x-t", "v"));
    assert_eq!((&peer.body[..], &peer.heads[1][..]), (&b"abc"[..], "x-t: v\n"));
}
