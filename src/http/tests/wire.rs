//! What goes out: untouched bytes as they came, edits, and the fields of one hop as HAProxy 2.6 was seen to send them.

use super::support::*;
use crate::http::*;

pub(super) const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n";

#[test]
fn an_untouched_head_is_one_slice() {
    let head = good(GET);
    let mut out = Slices::new();
    head.slices(Hop::KeepAlive, &mut out);
    assert_eq!((out.as_slice().len(), out.concat()), (1, GET.to_vec()));
    assert_eq!(out.len(), GET.len());
    assert_eq!((head.len, head.body, head.keep_alive), (GET.len(), BodyLen::None, true));
}

#[test]
fn edits_cost_a_slice_each() {
    let mut head = good(GET);
    head.add(b"X-A", b"1");
    head.add(b"X-B", b"2");
    let mut out = Slices::new();
    head.slices(Hop::KeepAlive, &mut out);
    assert_eq!(out.as_slice().len(), 3, "head, both edits, the empty line");
    drop(out);
    head.remove(b"user-agent");
    let mut out = Slices::new();
    head.slices(Hop::KeepAlive, &mut out);
    assert_eq!(out.concat(), b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
}

/// Request bytes, hop, what the server gets. Checked against HAProxy 2.6 (which lowers the names of all fields)
/// where no comment says otherwise.
#[test]
fn requests_to_servers() {
    use Hop::*;
    let table = [
        ("Host: h\r\n", "", KeepAlive, "Host: h\r\n"),
        ("Connection: keep-alive\r\nHost: h\r\n", "", KeepAlive, "Host: h\r\n"),
        ("Connection: close\r\nHost: h\r\n", "", KeepAlive, "Host: h\r\n"),
        ("Host: h\r\n", "", Close, "Host: h\r\nconnection: close\r\n"),
        ("Connection: close\r\nHost: h\r\n", "", Close, "Host: h\r\nconnection: close\r\n"),
        ("Connection: keep-alive\r\nHost: h\r\n", "", AsIs, "Connection: keep-alive\r\nHost: h\r\n"),
        // HAProxy passes Keep-Alive, Proxy-Connection and the fields that Connection names; RFC 9110 7.6.1 does not.
        ("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        ("Connection: keep-alive, Foo\r\nfoo: x\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        (
            "Connection: X-Real-IP, host\r\nHost: h\r\nX-Real-Ip: 1\r\n",
            "",
            KeepAlive,
            "Host: h\r\nX-Real-Ip: 1\r\n",
        ),
        ("TE: gzip\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        ("TE: trailers, gzip\r\nA: b\r\n", "", KeepAlive, "te: trailers\r\nA: b\r\n"),
        ("TE: trailers;q=0.5\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        ("Connection: TE, close\r\nTE: trailers\r\n", "", KeepAlive, "connection: TE\r\nTE: trailers\r\n"),
        ("Connection: TE\r\nTE: gzip\r\n", "", KeepAlive, ""),
        // HAProxy 3.4: an upgrade needs both fields, and HTTP/2 is not upgraded to.
        ("Upgrade: foo\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        ("Connection: Upgrade\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        ("Connection: Upgrade\r\nUpgrade: foo\r\n", "", KeepAlive, "Connection: Upgrade\r\nUpgrade: foo\r\n"),
        ("Connection: Upgrade\r\nUpgrade: foo\r\n", "", Close, "Connection: Upgrade\r\nUpgrade: foo\r\n"),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\nA: b\r\n", "", KeepAlive, "A: b\r\n"),
        (
            "Connection: keep-alive, Upgrade\r\nUpgrade: foo, h2c, bar\r\n",
            "",
            KeepAlive,
            "connection: Upgrade\r\nupgrade: foo,bar\r\n",
        ),
        // 1.0 stays 1.0, and says what it wants.
        ("Host: h\r\n", "1.0", KeepAlive, "Host: h\r\nconnection: keep-alive\r\n"),
        ("Connection: keep-alive\r\nHost: h\r\n", "1.0", KeepAlive, "Host: h\r\nconnection: keep-alive\r\n"),
        ("Connection: keep-alive\r\nHost: h\r\n", "1.0", Close, "Host: h\r\n"),
        // RFC 9110 7.8: an upgrade in HTTP/1.0 is ignored.
        ("Connection: upgrade\r\nUpgrade: foo\r\n", "1.0", KeepAlive, "connection: keep-alive\r\n"),
        // framing that could be read in two ways is said once
        ("Content-Length: 2, 2\r\nA: b\r\n", "", KeepAlive, "Content-Length: 2\r\nA: b\r\n"),
        ("Content-Length: 2\r\ncontent-length: 2\r\n", "", KeepAlive, "Content-Length: 2\r\n"),
        ("Content-Length: 02\r\n", "", KeepAlive, "Content-Length: 2\r\n"),
        (
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "",
            KeepAlive,
            "Transfer-Encoding: chunked\r\n",
        ),
        ("Transfer-Encoding: CHUNKED\r\n", "", KeepAlive, "Transfer-Encoding: chunked\r\n"),
        ("Transfer-Encoding: chunked\r\n", "1.0", KeepAlive, "Transfer-Encoding: chunked\r\n"),
        ("Host: a\r\nHost: A\r\n", "", KeepAlive, "Host: a\r\n"),
        // line ends are CRLF behind us
        ("A: b\nB:c\r\n", "", KeepAlive, "A: b\r\nB:c\r\n"),
    ];
    for (fields, version, hop, expected) in table {
        let version = if version.is_empty() { "1.1" } else { version };
        let head = good(format!("PUT / HTTP/{version}\r\n{fields}\r\n").as_bytes());
        let expected = format!("PUT / HTTP/{version}\r\n{expected}\r\n");
        assert_eq!(written(&head, hop), expected, "{}", fields.escape_debug());
    }
}

#[test]
fn start_lines_are_written_in_one_form() {
    for bytes in [
        "GET  /  HTTP/1.1\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "\r\n\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.7\r\n\r\n",
    ] {
        assert_eq!(written(&good(bytes.as_bytes()), Hop::KeepAlive), "GET / HTTP/1.1\r\n\r\n", "{bytes:?}");
    }
}

/// Scheme-based normalization, as HAProxy's `h1_host_normalization` test expects it; a Host that was missing is added.
#[test]
fn absolute_targets() {
    let table = [
        ("GET http://h:80/a", "Host: h:80", "GET http://h/a", "Host: h"),
        ("GET http://u:p@h:80/a", "Host: h:80", "GET http://u:p@h/a", "Host: h"),
        ("GET https://h:80/a", "Host: h:80", "GET https://h:80/a", "Host: h:80"),
        ("GET http://h:8080", "Host: h:8080", "GET http://h:8080/", "Host: h:8080"),
        ("GET http://h?a=b", "Host: h", "GET http://h?a=b", "Host: h"),
        ("OPTIONS http://h:80", "Host: h", "OPTIONS http://h", "Host: h"),
        ("GET http://h/a", "A: b", "GET http://h/a", "A: b\r\nhost: h"),
        ("CONNECT h:80", "Host: h:80", "CONNECT h:80", "Host: h"),
        ("CONNECT h:81", "Host: h:81", "CONNECT h:81", "Host: h:81"),
    ];
    for (target, host, expected, expected_host) in table {
        let head = good(format!("{target} HTTP/1.1\r\n{host}\r\n\r\n").as_bytes());
        assert_eq!(written(&head, Hop::KeepAlive), format!("{expected} HTTP/1.1\r\n{expected_host}\r\n\r\n"));
    }
}

#[test]
fn target_and_host_stay_together() {
    let mut head = good(b"GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n");
    head.set(b"host", b"other:81");
    assert_eq!(written(&head, Hop::KeepAlive), "GET http://other:81/a HTTP/1.1\r\nhost: other:81\r\n\r\n");
    head.set_uri(b"http://third/b");
    assert_eq!(written(&head, Hop::KeepAlive), "GET http://third/b HTTP/1.1\r\nhost: third\r\n\r\n");
}

/// No value and no target that a rule computed can add a line.
#[test]
fn edits_cannot_inject() {
    let mut head = good(GET);
    head.add(b"X", b"a\r\nEvil: 1\0");
    head.set_value(0, b"h\nEvil: 2");
    head.set_path(b"/x HTTP/1.1\r\nEvil: 3");
    head.set_method(b"PUT /\r\n");
    let out = written(&head, Hop::KeepAlive);
    assert_eq!(out.lines().filter(|l| l.starts_with("Evil")).count(), 0, "{out}");
    assert!(out.starts_with("PUT /x%20HTTP/1.1%0D%0AEvil:%203?b HTTP/1.1\r\nHost: h Evil: 2\r\n"), "{out}");
    assert!(out.ends_with("X: a  Evil: 1 \r\n\r\n"), "{out}");
}

/// Rules that touch `Connection`, `Upgrade` and framing count as if the peer had said it.
#[test]
fn edits_of_what_the_proxy_understands() {
    let mut head = good(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
    assert!(!head.asks_close());
    head.set(b"Connection", b"close");
    assert!(head.asks_close());
    head.remove(b"connection");
    assert!(!head.asks_close());
    head.add(b"Connection", b"upgrade");
    assert!(!head.upgrade);
    head.add(b"Upgrade", b"websocket");
    assert!(head.upgrade && head.is_websocket());
    head.remove(b"upgrade");
    assert!(!head.upgrade);
    head.remove(b"connection");
    // A rule cannot make the length a lie.
    head.set(b"content-length", b"4");
    assert_eq!(written(&head, Hop::KeepAlive), "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n");
    head.remove(b"content-length");
    assert_eq!(written(&head, Hop::KeepAlive), "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n");
    head.set_body(BodyLen::Chunked);
    assert_eq!(written(&head, Hop::KeepAlive), "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
    head.set_body(BodyLen::Length(17));
    assert_eq!(written(&head, Hop::KeepAlive), "POST / HTTP/1.1\r\ncontent-length: 17\r\n\r\n");
}

/// A field is replaced at its place with one line.
#[test]
fn values_are_replaced_in_place() {
    let mut head = good(GET);
    head.set_value(1, b"y");
    head.remove_at(2);
    head.remove_at(9);
    assert_eq!(written(&head, Hop::KeepAlive), "GET /a?b HTTP/1.1\r\nHost: h\r\nUser-Agent: y\r\n\r\n");
}
