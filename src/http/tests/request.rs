//! Verdicts on requests, rule by rule.

use super::support::*;
use crate::base::Buf;
use crate::http::*;

/// Verdict of a request: `None` is accepted, else reason and status.
const REQUESTS: &[(&str, Option<(Reason, u16)>)] = {
    use Reason::*;
    &[
        // start line
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", Some((BareCr, 400))),
        (" GET / HTTP/1.1\r\n\r\n", Some((Method, 400))),
        ("G(T / HTTP/1.1\r\n\r\n", Some((Method, 400))),
        ("GET\r\n\r\n", Some((Version, 400))),
        ("GET /\r\n\r\n", Some((Version, 400))),
        ("GET / \r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/1.1 \r\n\r\n", Some((Version, 400))),
        ("GET / http/1.1\r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/1.10\r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/1\r\n\r\n", Some((Version, 400))),
        ("GET / RTSP/1.0\r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/2.0\r\n\r\n", Some((VersionUnsupported, 505))),
        ("GET / HTTP/0.9\r\n\r\n", Some((VersionUnsupported, 505))),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some((Http2Preface, 505))),
        ("GET / HTTP/1.2\r\n\r\n", None),
        // target
        ("GET /a#b HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /a\x01b HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /a\x7fb HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /a b HTTP/1.1\r\n\r\n", Some((Version, 400))),
        ("GET /\"<>[]{}|^ HTTP/1.1\r\n\r\n", None),
        ("GET a HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("GET h:80 HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("GET * HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("OPTIONS * HTTP/1.1\r\n\r\n", None),
        ("OPTIONS *x HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("CONNECT h:8443 HTTP/1.1\r\nHost: h\r\n\r\n", Some((HostMismatch, 400))),
        ("CONNECT h:8443 HTTP/1.1\r\nHost: h:8443\r\n\r\n", None),
        ("CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT http://h:80 HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("GET http://h:80/ HTTP/1.1\r\nHost: H\r\n\r\n", None),
        ("GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n", Some((HostMismatch, 400))),
        ("GET http://h:81/ HTTP/1.1\r\nHost: h\r\n\r\n", Some((HostMismatch, 400))),
        ("GET http://h,i/ HTTP/1.1\r\n\r\n", Some((Authority, 400))),
        // Host
        ("GET / HTTP/1.1\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Some((HostConflict, 400))),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Some((Authority, 400))),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Some((Authority, 400))),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Some((Authority, 400))),
        // field lines
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\nA\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\n: b\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\nA\u{e9}: b\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Some((ObsFold, 400))),
        ("GET / HTTP/1.1\r\n A: b\r\n\r\n", Some((ObsFold, 400))),
        ("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", Some((FieldValue, 400))),
        ("GET / HTTP/1.1\r\nA: b\x0bc\r\n\r\n", Some((FieldValue, 400))),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Some((BareCr, 400))),
        ("GET / HTTP/1.1\r\nA: b\tc \u{e9}\r\nB:\r\nC:d\r\n\r\n", None),
        // lengths
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 5 5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 5,\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: ,5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", Some((ContentLength, 400))),
        // codings
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", None),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Some((TransferEncoding, 400))),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Some((TransferEncoding, 400)),
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Some((TransferCoding, 422))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked,\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", Some((TransferEncoding, 400))),
        // payload where 1.0 has none
        ("GET / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", Some((PayloadUnexpected, 413))),
        ("GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", None),
        // WebSocket
        ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", Some((WebsocketKey, 400))),
        (
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            None,
        ),
    ]
};

#[test]
fn requests() {
    for (bytes, expected) in REQUESTS {
        let (_, verdict) = request(bytes.as_bytes());
        assert_ne!(verdict, Parse::More, "{}", bytes.escape_debug());
        assert_eq!(reason(verdict), *expected, "{}", bytes.escape_debug());
    }
}

fn unsafe_options() -> H1Options {
    H1Options { accept_unsafe: true, ..H1Options::default() }
}

/// What `accept-unsafe-violations-in-http-request` lets through, and what is sent on.
#[test]
fn violations_that_are_let_through() {
    let table = [
        ("GET /a#b\u{e9} HTTP/1.1\r\n\r\n", "GET /a#b\u{e9} HTTP/1.1\r\n\r\n"),
        ("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"),
        ("GET / HTTP/1.1\r\nA b: c\r\nD: e\r\n\r\n", "GET / HTTP/1.1\r\nD: e\r\n\r\n"),
        ("GET / HTTP/1.1\r\nA\0: c\r\nD: e\r\n\r\n", "GET / HTTP/1.1\r\nD: e\r\n\r\n"),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\nA: b   c\r\n\r\n"),
        ("GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n", "GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n"),
        ("CONNECT h HTTP/1.1\r\n\r\n", "CONNECT h HTTP/1.1\r\n\r\n"),
        ("GET /\r\n", "GET / HTTP/1.0\r\n\r\n"),
        ("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        ("GET / HTTP/1.10\r\n\r\n", "GET / HTTP/1.10\r\n\r\n"),
    ];
    for (bytes, expected) in table {
        let (head, verdict) = request_with(bytes.as_bytes(), &unsafe_options());
        assert_eq!(verdict, Parse::Done, "{}", bytes.escape_debug());
        assert_eq!(written(&head, Hop::AsIs), expected, "{}", bytes.escape_debug());
    }
}

#[test]
fn violations_that_are_never_let_through() {
    for bytes in [
        "POST /\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET a HTTP/1.1\r\n\r\n",
    ] {
        let (_, verdict) = request_with(bytes.as_bytes(), &unsafe_options());
        assert!(matches!(verdict, Parse::Bad(_)), "{}: {verdict:?}", bytes.escape_debug());
    }
}

/// How the body ends, and whether another request may follow.
#[test]
fn framing() {
    let table = [
        ("GET / HTTP/1.1\r\n\r\n", BodyLen::None, true),
        ("GET / HTTP/1.0\r\n\r\n", BodyLen::None, false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", BodyLen::None, true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", BodyLen::None, false),
        ("GET / HTTP/1.1\r\nConnection: foo, Close\r\n\r\n", BodyLen::None, false),
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", BodyLen::Length(0), true),
        ("POST / HTTP/1.1\r\nContent-Length: 007\r\n\r\n", BodyLen::Length(7), true),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", BodyLen::Chunked, true),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            BodyLen::Chunked,
            false,
        ),
        (
            "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
            BodyLen::Chunked,
            false,
        ),
        ("CONNECT h:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n", BodyLen::None, true),
    ];
    for (bytes, body, keep_alive) in table {
        let head = good(bytes.as_bytes());
        assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{}", bytes.escape_debug());
    }
    let o = H1Options { keep_on_insecure_te: true, payload_with_any_method: true, ..H1Options::default() };
    let both = b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(request_with(both, &o).0.keep_alive);
    assert_eq!(request_with(b"GET / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", &o).1, Parse::Done);
}

#[test]
fn expectations_are_for_http11() {
    assert!(good(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\n\r\n").expect_continue);
    assert!(!good(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expect_continue);
    assert!(!good(b"POST / HTTP/1.1\r\nExpect: x\r\n\r\n").expect_continue);
}

/// As many fields as HAProxy takes with `tune.http.maxhdr 101`: 100.
#[test]
fn limits() {
    let with_fields = |n: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(n));
    assert_eq!(request(with_fields(100).as_bytes()).1, Parse::Done);
    assert_eq!(reason(request(with_fields(101).as_bytes()).1), Some((Reason::TooManyFields, 400)));

    let o = H1Options { max_head: 64, ..H1Options::default() };
    let with_target = |n: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(n));
    assert_eq!(request_with(with_target(46).as_bytes(), &o).1, Parse::Done, "64 bytes");
    assert_eq!(reason(request_with(with_target(47).as_bytes(), &o).1), Some((Reason::HeadTooLong, 431)));
    assert_eq!(reason(request_with(with_target(64).as_bytes(), &o).1), Some((Reason::LineTooLong, 414)));
    let with_value = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(64));
    assert_eq!(reason(request_with(with_value.as_bytes(), &o).1), Some((Reason::HeadTooLong, 431)));
    assert_eq!(reason(request_with("\r\n".repeat(40).as_bytes(), &o).1), Some((Reason::LineTooLong, 414)));
}

#[test]
fn faults_say_where() {
    let at = |bytes: &[u8]| match request(bytes).1 {
        Parse::Bad(bad) => bad.at,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(at(b"GET /a\x01 HTTP/1.1\r\n\r\n"), 6);
    assert_eq!(at(b"GET / HTTP/1.1\r\nA: b\0"), 20);
    assert_eq!(at(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 31);
    assert_eq!(at(b"GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n"), 30);
}

/// A second message in the same buffer is parsed where it lies.
#[test]
fn pipelined_requests() {
    let two = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let (mut head, verdict) = request(two);
    assert_eq!((verdict, head.len), (Parse::Done, 28));
    head.buf.consume(28);
    head.reset();
    assert_eq!(head.parse_request(&H1Options::default()), Parse::Done);
    assert_eq!((head.target_bytes(), head.host(), head.len), (&b"/2"[..], Some(&b"b"[..]), two.len()));
    assert_eq!(written(&head, Hop::KeepAlive).as_bytes(), &two[28..]);
}

/// The caller may make room between two reads.
#[test]
fn moved_bytes_are_parsed_anew() {
    let mut head = Head::with(Buf::take(64));
    head.buf.push(b"xxxxGET / HTTP/1.1\r\nHo");
    head.buf.consume(4);
    let o = H1Options::default();
    assert_eq!(head.parse_request(&o), Parse::More);
    head.buf.compact();
    head.buf.push(b"st: h\r\n\r\n");
    assert_eq!(head.parse_request(&o), Parse::Done);
    assert_eq!(head.host(), Some(&b"h"[..]));
}
