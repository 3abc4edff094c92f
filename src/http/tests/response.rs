//! Verdicts on responses, their bodies, and how they go to clients of either version.

use super::support::*;
use crate::http::*;

#[test]
fn responses() {
    use Reason::*;
    let table: &[(&str, Option<(Reason, u16)>)] = &[
        ("HTTP/1.1 200 OK\r\n\r\n", None),
        ("HTTP/1.1 200\r\n\r\n", None),
        ("HTTP/1.1 200 \r\n\r\n", None),
        ("HTTP/1.1 200 Tr\u{e8}s bien\r\n\r\n", None),
        ("HTTP/1.3 200 OK\r\n\r\n", None),
        ("HTTP/1.1 999 OK\r\n\r\n", None),
        ("HTTP/1.1 20 OK\r\n\r\n", Some((StatusLine, 502))),
        ("HTTP/1.1 2000 OK\r\n\r\n", Some((StatusLine, 502))),
        ("HTTP/1.1 099 OK\r\n\r\n", Some((StatusLine, 502))),
        ("HTTP/1.1 2x0 OK\r\n\r\n", Some((StatusLine, 502))),
        ("HTTP/1.1 200 O\x01K\r\n\r\n", Some((StatusLine, 502))),
        ("HTTP/1.1\r\n\r\n", Some((StatusLine, 502))),
        ("HTTP/2.0 200 OK\r\n\r\n", Some((VersionUnsupported, 502))),
        ("ICY 200 OK\r\n\r\n", Some((Version, 502))),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Some((ObsFold, 502))),
        ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", Some((FieldName, 502))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Some((ContentLength, 502))),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Some((TransferCoding, 502))),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Some((TransferCoding, 502))),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Some((TransferEncoding, 502))),
        ("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", Some((WebsocketKey, 502))),
    ];
    for (bytes, expected) in table {
        let (_, verdict) = response_to(crate::http::Method::Get, bytes.as_bytes());
        assert_ne!(verdict, Parse::More, "{}", bytes.escape_debug());
        assert_eq!(reason(verdict), *expected, "{}", bytes.escape_debug());
    }
}

/// RFC 9112 section 6.3, in its order.
#[test]
fn bodies() {
    use Method::{Connect, Get, Head};
    const BOTH: &str = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    let table = [
        (Get, "1.1 200", "Content-Length: 3\r\n", BodyLen::Length(3), true),
        (Get, "1.1 200", "Transfer-Encoding: chunked\r\n", BodyLen::Chunked, true),
        (Get, "1.1 200", BOTH, BodyLen::Chunked, false),
        (Get, "1.0 200", "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", BodyLen::Chunked, false),
        (Get, "1.1 200", "", BodyLen::UntilClose, false),
        (Get, "1.1 200", "Connection: close\r\nContent-Length: 3\r\n", BodyLen::Length(3), false),
        (Get, "1.0 200", "Content-Length: 3\r\n", BodyLen::Length(3), false),
        (Get, "1.0 200", "Content-Length: 3\r\nConnection: keep-alive\r\n", BodyLen::Length(3), true),
        (Head, "1.1 200", "Content-Length: 3\r\n", BodyLen::None, true),
        (Head, "1.1 200", "Transfer-Encoding: chunked\r\n", BodyLen::None, true),
        (Head, "1.1 200", "", BodyLen::None, true),
        (Get, "1.1 204", "Content-Length: 3\r\n", BodyLen::None, true),
        (Get, "1.1 304", "Content-Length: 3\r\n", BodyLen::None, true),
        (Get, "1.1 100", "", BodyLen::None, true),
        (Get, "1.1 103", BOTH, BodyLen::None, false),
        (Get, "1.1 101", "Connection: upgrade\r\nUpgrade: x\r\n", BodyLen::Tunnel, false),
        (Connect, "1.1 200", BOTH, BodyLen::Tunnel, false),
        (Connect, "1.1 407", "Content-Length: 3\r\n", BodyLen::Length(3), true),
    ];
    for (method, line, fields, body, keep_alive) in table {
        let (head, verdict) = response_to(method, format!("HTTP/{line} X\r\n{fields}\r\n").as_bytes());
        assert_eq!(verdict, Parse::Done);
        assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{method:?} {line} {fields:?}");
    }
}

/// What the client gets, as HAProxy 2.6 was seen to write it (but for the case of names).
#[test]
fn responses_to_clients() {
    use Hop::*;
    let table = [
        ("1.1 200 OK", "Content-Length: 2\r\n", KeepAlive, "1.1 200 OK", "Content-Length: 2\r\n"),
        (
            "1.1 200 OK",
            "Content-Length: 2\r\n",
            Close,
            "1.1 200 OK",
            "Content-Length: 2\r\nconnection: close\r\n",
        ),
        (
            "1.1 200 OK",
            "Content-Length: 2\r\n",
            KeepAliveSaid,
            "1.1 200 OK",
            "Content-Length: 2\r\nconnection: keep-alive\r\n",
        ),
        (
            "1.0 200 OK",
            "Content-Length: 2\r\n",
            KeepAlive,
            "1.0 200 OK",
            "Content-Length: 2\r\nconnection: keep-alive\r\n",
        ),
        ("1.0 200 OK", "Connection: keep-alive\r\n", Close, "1.0 200 OK", ""),
        ("1.1 200 OK", "Connection: close\r\nA: b\r\n", KeepAlive, "1.1 200 OK", "A: b\r\n"),
        // RFC 9110 7.6.1; HAProxy passes it
        ("1.1 200 OK", "Keep-Alive: timeout=3\r\nA: b\r\n", KeepAlive, "1.1 200 OK", "A: b\r\n"),
        ("1.1 204 No", "Content-Length: 2\r\nA: b\r\n", KeepAlive, "1.1 204 No", "A: b\r\n"),
        ("1.1 304 No", "Content-Length: 2\r\n", KeepAlive, "1.1 304 No", "Content-Length: 2\r\n"),
        ("1.1 100 Go", "A: b\r\n", Close, "1.1 100 Go", "A: b\r\n"),
        (
            "1.1 426 Up",
            "Connection: Upgrade\r\nUpgrade: foo\r\n",
            KeepAlive,
            "1.1 426 Up",
            "Connection: Upgrade\r\nUpgrade: foo\r\n",
        ),
        ("1.1 200 OK", "Connection: Upgrade, close\r\nUpgrade: h2,h2c\r\n", KeepAlive, "1.1 200 OK", ""),
        (
            "1.1 101 Up",
            "Connection: keep-alive, Upgrade\r\nUpgrade: foo\r\nContent-Length: 0\r\n",
            Upgrade,
            "1.1 101 Up",
            "connection: Upgrade\r\nUpgrade: foo\r\n",
        ),
        // HAProxy 3.4 fills in a missing reason
        ("1.1 404", "", KeepAlive, "1.1 404 Not Found", ""),
        ("1.1 404 ", "", KeepAlive, "1.1 404 Not Found", ""),
        ("1.1  200\tOK", "", KeepAlive, "1.1 200 OK", ""),
        ("1.1 200 OK", "A : b\r\nB: c\r\n  d\r\n", KeepAlive, "1.1 200 OK", "A: b\r\nB: c    d\r\n"),
    ];
    for (line, fields, hop, expected_line, expected) in table {
        let (head, verdict) = response_to(Method::Get, format!("HTTP/{line}\r\n{fields}\r\n").as_bytes());
        assert_eq!(verdict, Parse::Done, "{line} {fields:?}");
        assert_eq!(written(&head, hop), format!("HTTP/{expected_line}\r\n{expected}\r\n"));
    }
}

/// Folds are taken out of the head and nothing of the body.
#[test]
fn unfolding_stops_at_the_body() {
    let (head, verdict) = response_to(
        Method::Get,
        b"HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n d\r\nB: e\r\n\r\nbody\r\n not a fold\r\n",
    );
    assert_eq!(verdict, Parse::Done);
    assert_eq!(head.field(b"a"), Some(&b"b  \tc   d"[..]));
    assert_eq!(&head.buf.written()[head.len..], b"body\r\n not a fold\r\n");
}

#[test]
fn violations_that_are_let_through() {
    let o = H1Options { accept_unsafe: true, ..H1Options::default() };
    let table = [
        ("HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n"),
        ("ICY 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
    ];
    for (bytes, expected) in table {
        let mut head = Head::with(buf(bytes.as_bytes()));
        assert_eq!(head.parse_response(Method::Get, &o), Parse::Done, "{}", bytes.escape_debug());
        assert_eq!(written(&head, Hop::AsIs), expected, "{}", bytes.escape_debug());
    }
}
