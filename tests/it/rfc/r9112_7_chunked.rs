//! RFC 9112 section 7.1: the chunked coding, its extensions and trailers.

use super::request::*;

fn post(body: &str) -> Vec<u8> {
    format!("POST /row HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
}

#[rustfmt::skip]
fn sizes() -> Vec<Row> {
    vec![
        row("9112 7.1", "two chunks", post("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), Exact),
        row("9112 7.1", "no chunk but the last", post("0\r\n\r\n"), Exact),
        row("9112 7.1", "upper and lower case digits", post("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), Exact),
        row("9112 7.1", "leading zeros", post("0003\r\nabc\r\n000\r\n\r\n"), Exact),
        row("9112 7.1", "very many leading zeros", post(&format!("{}3\r\nabc\r\n0\r\n\r\n", "0".repeat(100))), Any(vec![Refused(400), As("zeros trimmed", post("3\r\nabc\r\n0\r\n\r\n"))])),
        row("9112 7.1", "an empty size", post("\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "only an extension", post(";a=b\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a prefix 0x", post("0x3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a plus sign", post("+3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a minus sign", post("-3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a letter that is no digit", post("3g\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a space before the size", post(" 3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a tab before the size", post("\t3\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a space within the size", post("1 0\r\n0123456789abcdef\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "an underscore", post("1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "a space after the size", post("3 \r\nabc\r\n0\r\n\r\n"), Any(vec![Refused(400), As("space dropped", post("3\r\nabc\r\n0\r\n\r\n"))])),
        row("9112 7.1", "a NUL after the size", post("3\0\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "2^64 + 3 as size", post("10000000000000003\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "2^64 - 1 as size", post("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "2^63 as size", post("8000000000000000\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "2^32 + 3 as size, then the end", post("100000003\r\nabc\r\n0\r\n\r\n"), Any(vec![Refused(400), Refused(408), Closed])).half_close(),
        row("9112 7.1", "no CRLF after the data", post("3\r\nabcd\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "data shorter than its size", post("5\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "bare LF after the size", post("3\nabc\r\n0\r\n\r\n"), Refused(400)).haproxy(As("LF read as CRLF", post("3\r\nabc\r\n0\r\n\r\n"))),
        row("9112 7.1", "bare CR after the size", post("3\rabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "CR CR LF after the size", post("3\r\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "bare LF after the data", post("3\r\nabc\n0\r\n\r\n"), Refused(400)).haproxy(As("LF read as CRLF", post("3\r\nabc\r\n0\r\n\r\n"))),
        row("9112 7.1", "bare CR after the data", post("3\r\nabc\r0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "two CRLF after the data", post("3\r\nabc\r\n\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1", "bare LF after the last chunk's size", post("0\n\r\n"), Refused(400)).haproxy(As("LF read as CRLF", post("0\r\n\r\n"))),
        row("9112 8", "the end before the last chunk", post("3\r\nabc\r\n"), Any(vec![Refused(400), Refused(408), Closed])).half_close(),
        row("9112 8", "the end within the trailers", post("3\r\nabc\r\n0\r\nA: b\r\n"), Any(vec![Refused(400), Refused(408), Closed])).half_close(),
    ]
}

#[rustfmt::skip]
fn extensions() -> Vec<Row> {
    let plain = || As("extension dropped", post("3\r\nabc\r\n0\r\n\r\n"));
    let may = || Any(vec![plain(), Refused(400)]);
    let ext = |text: &str| post(&format!("3{text}\r\nabc\r\n0\r\n\r\n"));
    vec![
        row("9112 7.1.1", "an extension", ext(";a=b"), plain()),
        row("9112 7.1.1", "an extension without value", ext(";a"), plain()),
        row("9112 7.1.1", "a quoted value", ext(";a=\"b c\""), plain()),
        row("9112 7.1.1", "blanks around the semicolon", ext(" ; a=b"), plain()),
        row("9112 7.1.1", "on the last chunk", post("3\r\nabc\r\n0;a=b\r\n\r\n"), plain()),
        row("9112 7.1.1", "several", ext(";a=b;c=d;e"), plain()),
        row("9112 7.1.1", "a dangling semicolon", ext(";"), may()),
        row("9112 7.1.1", "bare LF ends the extension", post("3;a\nabc\r\n0\r\n\r\n"), Refused(400)).haproxy(As("LF read as CRLF", post("3\r\nabc\r\n0\r\n\r\n"))),
        row("9112 7.1.1", "a bare LF and a size within the extension", post("3;\n5\r\nabc\r\n0\r\n\r\n"), Refused(400)),
        row("9112 7.1.1", "a bare CR within the extension", ext(";a=\rb"), Refused(400)),
        row("9112 7.1.1", "a NUL within the extension", ext(";a=\0b"), Refused(400)).haproxy(plain()),
        row("9112 7.1.1", "a control character within the extension", ext(";a=\x01b"), Refused(400)).haproxy(plain()),
        row("9112 7.1.1", "a quote that does not close", ext(";a=\"b"), Refused(400)).haproxy(plain()),
        row("9112 7.1.1", "a quoted CRLF", post("3;a=\"\r\nabc\r\n0\r\n\r\n"), Refused(400)).haproxy(plain()),
        row("9112 7.1.1", "an extension of 60,000 bytes", ext(&format!(";a={}", "b".repeat(60_000))), Any(vec![Refused(400), Refused(413), Refused(408)])),
    ]
}

#[rustfmt::skip]
fn trailers() -> Vec<Row> {
    let with = |trailer: &str| post(&format!("3\r\nabc\r\n0\r\n{trailer}\r\n"));
    let dropped = || As("trailer dropped", with(""));
    let not_passed = || Any(vec![Refused(400), dropped()]);
    vec![
        row("9112 7.1.2", "a trailer", with("X-Sum: 1\r\n"), Any(vec![Exact, dropped()])),
        row("9110 6.5.1", "Content-Length as a trailer", with("Content-Length: 5\r\n"), not_passed()).haproxy(Loose),
        row("9110 6.5.1", "Transfer-Encoding as a trailer", with("Transfer-Encoding: chunked\r\n"), not_passed()).haproxy(Loose),
        row("9110 6.5.1", "Host as a trailer", with("Host: other.test\r\n"), not_passed()).haproxy(Loose),
        row("9110 6.5.1", "TE as a trailer", with("TE: gzip\r\n"), not_passed()).haproxy(Loose),
        row("9112 7.1.2", "a space before the trailer's colon", with("X-A : b\r\n"), Refused(400)).haproxy(Any(vec![Refused(400), Refused(502)])),
        row("9112 7.1.2", "a trailer without a colon", with("just words\r\n"), Refused(400)),
        row("9112 7.1.2", "a trailer with an empty name", with(": b\r\n"), Refused(400)),
        row("9112 7.1.2", "a folded trailer", with("X-A: b\r\n c\r\n"), Any(vec![Refused(400), dropped(), As("fold replaced", with("X-A: b   c\r\n"))])),
        row("9112 7.1.2", "bare LF after a trailer", post("0\r\nX-A: b\n\r\n"), Any(vec![Refused(400), As("LF read as CRLF", post("0\r\nX-A: b\r\n\r\n")), As("dropped", post("0\r\n\r\n"))])),
        row("9112 7.1.2", "bare CR in a trailer", post("0\r\nX-A: b\rc\r\n\r\n"), Refused(400)),
        row("9112 7.1.2", "a NUL in a trailer", with("X-A: b\0c\r\n"), not_passed()).haproxy(Loose),
        row("9112 7.1.2", "5,000 trailers", with(&(0..5000).map(|i| format!("X-{i}: {i}\r\n")).collect::<String>()), Any(vec![Refused(400), Refused(413), Refused(431), dropped()])),
        row("9112 7.1.2", "a trailer of 100,000 bytes", with(&format!("X-A: {}\r\n", "b".repeat(100_000))), Any(vec![Refused(400), Refused(413), Refused(431), dropped()])),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [sizes(), extensions(), trailers()].into_iter().flatten().collect()
}

#[test]
fn chunk_sizes() {
    check(sizes());
}

#[test]
fn chunk_extensions() {
    check(extensions());
}

#[test]
fn trailer_fields() {
    check(trailers());
}
