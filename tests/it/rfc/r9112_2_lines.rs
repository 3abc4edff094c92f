//! RFC 9112 section 2.2: line ends, NUL, and what may stand before a request line.

use super::request::*;

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let good = "GET /row HTTP/1.1\r\nHost: example.test\r\n\r\n";
    let lf = |bytes: &str| Any(vec![Refused(400), As("LF read as CRLF", bytes.into())]);
    vec![
        row("9112 2.1", "a plain request", good, Exact),
        row("9112 2.2", "one empty line before the request line", format!("\r\n{good}"), As("empty line dropped", good.into())),
        row("9112 2.2", "a bare LF before the request line", format!("\n{good}"), lf(good)),
        row("9112 2.2", "a bare CR before the request line", format!("\r{good}"), Refused(400)),
        row("9112 2.2", "a space before the request line", format!(" {good}"), Refused(400)),
        row("9112 2.2", "a tab before the request line", format!("\t{good}"), Refused(400)),
        row("9112 2.2", "a NUL before the request line", format!("\0{good}"), Refused(400)),
        row("9112 2.2", "bare LF after the request line", "GET /row HTTP/1.1\nHost: example.test\r\n\r\n", lf(good)),
        row("9112 2.2", "bare LF after a field", "GET /row HTTP/1.1\r\nHost: example.test\n\r\n", lf(good)),
        row("9112 2.2", "bare LF as the empty line", "GET /row HTTP/1.1\r\nHost: example.test\r\n\n", lf(good)),
        row("9112 2.2", "bare LF everywhere", "GET /row HTTP/1.1\nHost: example.test\n\n", lf(good)),
        row("9112 2.2", "CR CR LF after the request line", "GET /row HTTP/1.1\r\r\nHost: example.test\r\n\r\n", Refused(400)),
        row("9112 2.2", "CR CR LF after a field", "GET /row HTTP/1.1\r\nHost: example.test\r\r\n\r\n", Refused(400)),
        row("9112 2.2", "bare CR after the request line", "GET /row HTTP/1.1\rHost: example.test\r\n\r\n", Refused(400)),
        row("9112 2.2", "bare CR within a value", "GET /row HTTP/1.1\r\nHost: example.test\r\nA: b\rc\r\n\r\n", Refused(400)),
        row("9112 2.2", "bare CR that hides a field", "GET /row HTTP/1.1\r\nHost: example.test\r\nA: b\rContent-Length: 5\r\n\r\n", Refused(400)),
        row("9112 2.2", "bare CR within a name", "GET /row HTTP/1.1\r\nHost: example.test\r\nA\rB: c\r\n\r\n", Refused(400)),
        row("9112 2.2", "whitespace between request line and first field", "GET /row HTTP/1.1\r\n Host: example.test\r\n\r\n", Refused(400)),
        row("9112 2.2", "a folded line before the first field", "GET /row HTTP/1.1\r\n\tX: y\r\nHost: example.test\r\n\r\n", Refused(400)),
        row("9112 2.2", "a TLS client hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", Refused(400)),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    rows()
}

#[test]
fn lines() {
    check(rows());
}
