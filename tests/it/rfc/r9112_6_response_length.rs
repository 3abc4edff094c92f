//! RFC 9112 section 6.3 and RFC 9110 section 15 for responses: where they end, and what comes after them.

use super::response::*;

fn with(fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nX-Row: 1\r\n{fields}\r\n{body}").into_bytes()
}

#[rustfmt::skip]
fn framing() -> Vec<Row> {
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    let chunked = || with("Transfer-Encoding: chunked\r\n", chunks);
    let length = |value: &str| with(&format!("Content-Length: {value}\r\n"), "abc");
    let merged = || Any(vec![Gateway(502), As("one of several equal lengths", length("3"))]);
    let coding = |value: &str| with(&format!("Transfer-Encoding: {value}\r\n"), chunks);
    let unknown = || Any(vec![Gateway(502)]);
    vec![
        row("9112 6.3", "until the end", with("", "abc"), Any(vec![Exact, As("sent in chunks", chunked())])).close(),
        row("9112 6.3", "until the end, HTTP/1.0 client", with("", "abc"), Exact).close().version_10(),
        row("9112 6.3", "chunked", chunked(), Exact),
        row("9112 6.1", "chunked for an HTTP/1.0 client", chunked(), As("until the end", with("", "abc"))).version_10().haproxy(Exact),
        row("9112 6.3", "two lengths that differ", with("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), Gateway(502)),
        row("9110 8.6", "two equal lengths", with("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), merged()),
        row("9110 8.6", "a list of equal lengths", length("3, 3"), merged()),
        row("9112 6.3", "a list of different lengths", length("3, 4"), Gateway(502)),
        row("9110 8.6", "a signed length", length("+3"), Gateway(502)),
        row("9110 8.6", "a negative length", length("-1"), Gateway(502)),
        row("9110 8.6", "an empty length", length(""), Gateway(502)),
        row("9110 8.6", "hexadecimal", length("0x3"), Gateway(502)),
        row("9110 8.6", "2^64 + 3", length("18446744073709551619"), Gateway(502)).haproxy(Loose),
        row("9112 6.3", "length, then chunked", with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", chunks), Any(vec![Gateway(502), As("Content-Length dropped", chunked())])),
        row("9112 6.3", "chunked, then length", with("Transfer-Encoding: chunked\r\nContent-Length: 30\r\n", chunks), Any(vec![Gateway(502), As("Content-Length dropped", chunked())])),
        row("9112 6.1", "chunked twice", coding("chunked, chunked"), Gateway(502)),
        row("9112 6.1", "chunked is not last", coding("chunked, gzip"), Gateway(502)).close(),
        row("9112 6.1", "gzip, chunked", coding("gzip, chunked"), unknown()),
        row("9112 6.1", "xchunked", coding("xchunked"), unknown()).close(),
        row("9112 6.1", "empty", coding(""), Gateway(502)).close().haproxy(Loose),
        row("9112 6.1", "chunked in HTTP/1.0", [b"HTTP/1.0 200 OK\r\nX-Row: 1\r\nTransfer-Encoding: chunked\r\n\r\n", chunks.as_bytes()].concat(), Any(vec![Gateway(502), As("sent as 1.1", chunked())])).haproxy(Loose),
    ]
}

#[rustfmt::skip]
fn bodies() -> Vec<Row> {
    let chunk = |body: &str| with("Transfer-Encoding: chunked\r\n", body);
    let broken = || Any(vec![Cut, Gateway(502)]);
    vec![
        row("9112 8", "shorter than its length", with("Content-Length: 9\r\n", "abc"), broken()).close(),
        row("9112 8", "shorter than its length, then silence", with("Content-Length: 9\r\n", "abc"), Any(vec![Cut, Gateway(504)])),
        row("9112 8", "no last chunk", chunk("3\r\nabc\r\n"), broken()).close(),
        row("9112 8", "an end within a chunk", chunk("9\r\nabc"), broken()).close(),
        row("9112 8", "an end within the trailers", chunk("3\r\nabc\r\n0\r\nA: b\r\n"), broken()).close(),
        row("9112 7.1", "a chunk size that is none", chunk("3\r\nabc\r\nxyz\r\n0\r\n\r\n"), broken()),
        row("9112 7.1", "a chunk size with a sign", chunk("+3\r\nabc\r\n0\r\n\r\n"), broken()),
        row("9112 7.1", "2^64 + 3 as size", chunk("10000000000000003\r\nabc\r\n0\r\n\r\n"), broken()),
        row("9112 7.1", "no CRLF after the data", chunk("3\r\nabcd\r\n0\r\n\r\n"), broken()),
        row("9112 7.1", "bare LF after the size", chunk("3\nabc\r\n0\r\n\r\n"), broken()).haproxy(As("LF read as CRLF", chunk("3\r\nabc\r\n0\r\n\r\n"))),
        row("9112 7.1.1", "an extension", chunk("3;a=b\r\nabc\r\n0\r\n\r\n"), As("extension dropped", chunk("3\r\nabc\r\n0\r\n\r\n"))),
        row("9112 7.1.2", "a trailer", chunk("3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"), Any(vec![Exact, As("trailer dropped", chunk("3\r\nabc\r\n0\r\n\r\n"))])),
        row("9110 6.5.1", "Content-Length as a trailer", chunk("3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n"), Any(vec![Cut, Gateway(502), As("trailer dropped", chunk("3\r\nabc\r\n0\r\n\r\n"))])).haproxy(Loose),
    ]
}

#[rustfmt::skip]
fn bodyless() -> Vec<Row> {
    let none = |status: &str, fields: &str| format!("HTTP/1.1 {status}\r\nX-Row: 1\r\n{fields}\r\n").into_bytes();
    let and = |mut head: Vec<u8>, more: &str| {
        head.extend_from_slice(more.as_bytes());
        head
    };
    vec![
        row("9110 15.3.5", "204", none("204 No Content", ""), Exact),
        row("9110 15.3.5", "204 with a body", and(none("204 No Content", ""), "abc"), As("nothing after the head", none("204 No Content", ""))),
        row("9110 8.6", "204 with a length and a body", and(none("204 No Content", "Content-Length: 3\r\n"), "abc"), Any(vec![Gateway(502), As("no length with 204", none("204 No Content", ""))])),
        row("9112 6.1", "204 with a coding", and(none("204 No Content", "Transfer-Encoding: chunked\r\n"), "0\r\n\r\n"), Any(vec![Gateway(502), As("no coding with 204", none("204 No Content", ""))])),
        row("9110 15.4.5", "304 with the length of what it stands for", none("304 Not Modified", "Content-Length: 3\r\n"), Exact),
        row("9110 15.4.5", "304 with a body", and(none("304 Not Modified", "Content-Length: 3\r\n"), "abc"), As("nothing after the head", none("304 Not Modified", "Content-Length: 3\r\n"))),
        row("9110 9.3.2", "HEAD", none("200 OK", "Content-Length: 3\r\n"), Exact).method("HEAD"),
        row("9110 9.3.2", "HEAD with a body", and(none("200 OK", "Content-Length: 3\r\n"), "abc"), As("nothing after the head", none("200 OK", "Content-Length: 3\r\n"))).method("HEAD"),
        row("9110 9.3.2", "HEAD, chunked", none("200 OK", "Transfer-Encoding: chunked\r\n"), Exact).method("HEAD"),
        row("9110 9.3.2", "HEAD with a second response as body", and(none("200 OK", "Content-Length: 40\r\n"), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!"), As("nothing after the head", none("200 OK", "Content-Length: 40\r\n"))).method("HEAD"),
    ]
}

#[rustfmt::skip]
fn surplus() -> Vec<Row> {
    let good = || with("Content-Length: 3\r\n", "abc");
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!";
    let and = |more: &str| [good(), more.as_bytes().to_vec()].concat();
    let chunked = || with("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n");
    vec![
        row("9112 9.2", "bytes after a response", and("surplus"), As("surplus dropped", good())),
        row("9112 9.2", "a whole response after a response", and(evil), As("surplus dropped", good())),
        row("9112 9.2", "a whole response a little later", good(), Exact).later(evil),
        row("9112 9.2", "bytes a little later", good(), Exact).later("\r\n\r\n"),
        row("9112 9.2", "a whole response after the last chunk", [chunked(), evil.into()].concat(), As("surplus dropped", chunked())),
        row("9112 9.2", "a 408 on an idle connection", good(), Exact).later("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
        row("9112 9.6", "Connection: close, then a second response", [with("Connection: close\r\nContent-Length: 3\r\n", "abc"), evil.into()].concat(), As("surplus dropped", good())),
    ]
}

#[rustfmt::skip]
fn interim() -> Vec<Row> {
    let good = "HTTP/1.1 200 OK\r\nX-Row: 1\r\nContent-Length: 3\r\n\r\nabc";
    let early = "HTTP/1.1 103 Early Hints\r\nX-Row: 1\r\nLink: </a>\r\n\r\n";
    let processing = "HTTP/1.1 102 Processing\r\n\r\n";
    let after = |interim: &str| format!("{interim}{good}");
    vec![
        row("9110 15.2", "103 before the final response", after(early), Exact),
        row("9110 15.2", "three 102", after(&processing.repeat(3)), Exact),
        row("9110 15.2.1", "a 100 nobody asked for", after("HTTP/1.1 100 Continue\r\n\r\n"), Any(vec![Exact, As("100 dropped", good.into())])),
        row("9110 15.2", "1,000 of 102", after(&processing.repeat(1000)), Any(vec![Exact, Gateway(502), Gateway(504)])),
        row("9110 15.2", "1xx with a length", after("HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n"), Any(vec![Gateway(502), As("no length with 1xx", after("HTTP/1.1 103 Early Hints\r\n\r\n").into())])),
        row("9110 15.2", "1xx with a coding", after("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"), Any(vec![Gateway(502), As("no coding with 1xx", after("HTTP/1.1 103 Early Hints\r\n\r\n").into())])),
        row("9110 15.2", "an unknown 1xx", after("HTTP/1.1 199 Odd\r\n\r\n"), Exact),
        row("9110 15.2", "1xx and then an end", early, Any(vec![Gateway(502), Cut])).close(),
        row("9110 15.2.2", "101 nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nX-Row: 1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Gateway(502)),
        row("9110 15.2", "1xx for an HTTP/1.0 client", after(early), As("no 1xx for HTTP/1.0", good.into())).version_10().haproxy(Exact),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [framing(), bodies(), bodyless(), surplus(), interim()].into_iter().flatten().collect()
}

#[test]
fn response_framing() {
    check(framing());
}

#[test]
fn response_body() {
    check(bodies());
}

#[test]
fn response_without_body() {
    check(bodyless());
}

#[test]
fn bytes_after_a_response() {
    check(surplus());
}

#[test]
fn interim_response() {
    check(interim());
}
