//! RFC 9112 sections 6.1 to 6.3 for requests: Content-Length, Transfer-Encoding, and both.

use super::request::*;

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /row HTTP/1.1\r\n{HOST}{fields}\r\n{body}").into_bytes()
}

#[rustfmt::skip]
fn lengths() -> Vec<Row> {
    let merged = || Any(vec![Refused(400), As("one of several equal lengths", post("Content-Length: 3\r\n", "abc"))]);
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "abc");
    vec![
        row("9112 6.2", "a length", length("3"), Exact),
        row("9112 6.3", "no length means no body", post("", ""), Exact),
        row("9112 6.2", "zero", post("Content-Length: 0\r\n", ""), Exact),
        row("9112 6.2", "GET with a body", format!("GET /row HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabc"), Exact),
        row("9112 6.3", "two lengths that differ", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), Refused(400)),
        row("9110 8.6", "two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), merged()),
        row("9110 8.6", "a list of equal lengths", length("3, 3"), merged()),
        row("9112 6.3", "a list of different lengths", length("3, 4"), Refused(400)),
        row("9112 6.3", "a list with an empty member", length("3,"), Refused(400)),
        row("9112 6.3", "a list that begins empty", length(", 3"), Refused(400)),
        row("9110 8.6", "a plus sign", length("+3"), Refused(400)),
        row("9110 8.6", "a minus sign", length("-3"), Refused(400)),
        row("9110 8.6", "minus zero", length("-0"), Refused(400)),
        row("9110 8.6", "hexadecimal", length("0x3"), Refused(400)),
        row("9110 8.6", "hexadecimal without prefix", length("a"), Refused(400)),
        row("9110 8.6", "a fraction", length("3.0"), Refused(400)),
        row("9110 8.6", "an exponent", length("3e0"), Refused(400)),
        row("9110 8.6", "a unit", length("3 bytes"), Refused(400)),
        row("9110 8.6", "digits with a space", length("3 3"), Refused(400)),
        row("9110 8.6", "an underscore", length("1_0"), Refused(400)),
        row("9110 8.6", "quotes", length("\"3\""), Refused(400)),
        row("9110 8.6", "empty", length(""), Refused(400)),
        row("9110 8.6", "only spaces", length("   "), Refused(400)),
        row("9110 8.6", "leading zeros", length("003"), Any(vec![Refused(400), Exact, As("zeros trimmed", length("3"))])),
        row("9110 8.6", "2^64 + 3", length("18446744073709551619"), Refused(400)).haproxy(Loose),
        row("9110 8.6", "40 digits", length(&"9".repeat(40)), Refused(400)),
        row("9110 8.6", "a full-width digit", length("\u{ff13}"), Refused(400)),
        row("9110 8.6", "a NUL after the digits", length("3\0"), Refused(400)),
        row("9112 6.3", "a good length and then a bad one", post("Content-Length: 3\r\nContent-Length: x\r\n", "abc"), Refused(400)),
        row("9112 6.3", "a body shorter than its length, then the end", length("9"), Any(vec![Refused(400), Refused(408), Closed])).half_close(),
        row("9112 6.3", "a body shorter than its length, then silence", length("9"), Any(vec![Refused(400), Refused(408), Refused(504), Closed])),
    ]
}

#[rustfmt::skip]
fn codings() -> Vec<Row> {
    let coding = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), "3\r\nabc\r\n0\r\n\r\n");
    let chunked = || coding("chunked");
    let unknown = || Any(vec![Refused(400), Refused(422), Refused(501)]);
    vec![
        row("9112 7.1", "chunked", chunked(), Exact),
        row("9112 7", "codings are case-insensitive", coding("CHUNKED"), Any(vec![Exact, As("lower case", chunked())])),
        row("9112 6.1", "chunked twice", coding("chunked, chunked"), Refused(400)),
        row("9112 6.1", "chunked twice, in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), Refused(400)),
        row("9112 6.1", "chunked is not last", coding("chunked, gzip"), Refused(400)),
        row("9112 6.1", "chunked is not last, in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "0\r\n\r\n"), Refused(400)),
        row("9112 6.1", "gzip, chunked", coding("gzip, chunked"), unknown()),
        row("9112 6.3", "only gzip", coding("gzip"), Refused(400)),
        row("9112 6.3", "identity", coding("identity"), Any(vec![Refused(400), Refused(422), Refused(501)])),
        row("9112 6.3", "identity, chunked", coding("identity, chunked"), unknown()),
        row("9112 6.1", "xchunked", coding("xchunked"), Refused(400)),
        row("9112 6.1", "chunkedx", coding("chunkedx"), Refused(400)),
        row("9112 6.1", "a leading space within quotes", coding("\" chunked\""), Refused(400)),
        row("9112 6.1", "quoted", coding("\"chunked\""), Refused(400)),
        row("9112 6.1", "a parameter", coding("chunked;q=1"), Refused(400)),
        row("9112 6.1", "a dangling semicolon", coding("chunked;"), Refused(400)),
        row("9112 6.1", "a dangling comma", coding("chunked,"), Refused(400)).haproxy(Loose),
        row("9112 6.1", "a leading comma", coding(", chunked"), Any(vec![Refused(400), Refused(422), Refused(501), As("empty member dropped", chunked())])),
        row("9112 6.1", "empty", coding(""), Refused(400)),
        row("9112 6.1", "a vertical tab before", coding("\x0bchunked"), Refused(400)),
        row("9112 6.1", "a form feed after", coding("chunked\x0c"), Refused(400)),
        row("9112 6.1", "a NUL after", coding("chunked\0"), Refused(400)),
        row("9112 6.1", "a DEL before", coding("\x7fchunked"), Refused(400)),
        row("9112 6.1", "a byte above 127 after", b"POST /row HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n", Refused(400)),
        row("9112 6.1", "a tab around", coding("\tchunked\t"), Any(vec![Exact, As("blanks dropped", chunked())])),
        row("9112 6.1", "a name that only looks like it", post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"), Exact),
    ]
}

#[rustfmt::skip]
fn conflicts() -> Vec<Row> {
    let both = |first: &str, second: &str| post(&format!("{first}\r\n{second}\r\n"), "3\r\nabc\r\n0\r\n\r\n");
    let alone = || {
        let chunked = post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n");
        Any(vec![Refused(400), As("Content-Length dropped", chunked)])
    };
    let te = "Transfer-Encoding: chunked";
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n";
    let old = |bytes: &str| {
        let v11 = bytes.replace("HTTP/1.0", "HTTP/1.1").into_bytes();
        Any(vec![Refused(400), As("sent as 1.1", v11)])
    };
    let old_chunked = format!("POST /row HTTP/1.0\r\n{HOST}{te}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    let old_get = format!("GET /row HTTP/1.0\r\n{HOST}Content-Length: 3\r\n\r\nabc");
    vec![
        row("9112 6.3", "Content-Length, then chunked", both("Content-Length: 3", te), alone()),
        row("9112 6.3", "chunked, then Content-Length", both(te, "Content-Length: 3"), alone()),
        row("9112 6.3", "a bad Content-Length with chunked", both("Content-Length: x", te), Refused(400)),
        row("9112 6.3", "two lengths with chunked", both("Content-Length: 3\r\nContent-Length: 4", te), Refused(400)),
        row("9112 6.3", "CL.TE: the length covers a second request", post(&format!("Content-Length: {}\r\n{te}\r\n", smuggled.len()), smuggled), Any(vec![Refused(400), As("Content-Length dropped", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"))])),
        row("9112 6.3", "TE.CL: a coding that only we might know", both("Transfer-Encoding: xchunked", "Content-Length: 3"), Refused(400)),
        row("9112 6.3", "identity with a length", post("Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc"), Any(vec![Refused(400), Refused(422), Refused(501)])),
        row("9112 6.1", "chunked in HTTP/1.0", &old_chunked, old(&old_chunked)).haproxy(Loose),
        row("9112 6.1", "chunked in HTTP/1.0 with keep-alive", old_chunked.replace(te, "Connection: keep-alive\r\nTransfer-Encoding: chunked"), old(&old_chunked)).haproxy(Loose),
        row("9112 6.1", "a body with GET in HTTP/1.0", &old_get, Any(vec![Exact, Refused(400), Refused(413), As("sent as 1.1", old_get.replace("1.0", "1.1").into())])),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [lengths(), codings(), conflicts()].into_iter().flatten().collect()
}

#[test]
fn content_length() {
    check(lengths());
}

#[test]
fn transfer_encoding() {
    check(codings());
}

#[test]
fn both_or_old() {
    check(conflicts());
}
