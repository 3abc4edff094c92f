//! RFC 9110 section 5 and RFC 9112 section 5.1: field names and values, and how many of them.

use super::request::*;

fn with(field: &str) -> String {
    format!("GET /row HTTP/1.1\r\n{HOST}{field}\r\n\r\n")
}

fn bytes(field: &[u8]) -> Vec<u8> {
    [b"GET /row HTTP/1.1\r\nHost: example.test\r\n", field, b"\r\n\r\n"].concat()
}

#[rustfmt::skip]
fn names() -> Vec<Row> {
    vec![
        row("9110 5.1", "every kind of token character", with("a!#$%&'*+-.^_`|~09Z: x"), Exact),
        row("9112 5.1", "a space before the colon", with("X-A : b"), Refused(400)),
        row("9112 5.1", "a tab before the colon", with("X-A\t: b"), Refused(400)),
        row("9112 5.1", "a space before the colon of Content-Length", "POST /row HTTP/1.1\r\nHost: example.test\r\nContent-Length : 3\r\n\r\nabc", Refused(400)),
        row("9112 5.1", "a space before the colon of Transfer-Encoding", "POST /row HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refused(400)),
        row("9112 5.1", "a space before the colon of Host", "GET /row HTTP/1.1\r\nHost : example.test\r\n\r\n", Refused(400)),
        row("9110 5.1", "an empty name", with(": b"), Refused(400)),
        row("9110 5.1", "no colon", with("just words"), Refused(400)),
        row("9110 5.1", "no colon, one word", with("word"), Refused(400)),
        row("9110 5.1", "a space within the name", with("X A: b"), Refused(400)),
        row("9110 5.1", "parentheses in the name", with("X(A): b"), Refused(400)),
        row("9110 5.1", "a slash in the name", with("X/A: b"), Refused(400)),
        row("9110 5.1", "an at sign in the name", with("X@A: b"), Refused(400)),
        row("9110 5.1", "a bracket in the name", with("X[A]: b"), Refused(400)),
        row("9110 5.1", "a quote in the name", with("\"X\": b"), Refused(400)),
        row("9110 5.1", "a comma in the name", with("X,A: b"), Refused(400)),
        row("9110 5.1", "a semicolon in the name", with("X;A: b"), Refused(400)),
        row("9110 5.1", "an equals sign in the name", with("X=A: b"), Refused(400)),
        row("9110 5.1", "a brace in the name", with("X{A}: b"), Refused(400)),
        row("9110 5.1", "a NUL in the name", with("X\0A: b"), Refused(400)),
        row("9110 5.1", "a control character in the name", with("X\x02A: b"), Refused(400)),
        row("9110 5.1", "a DEL in the name", with("X\x7fA: b"), Refused(400)),
        row("9110 5.1", "a byte above 127 in the name", bytes(b"X\xe9A: b"), Refused(400)),
        row("9110 5.1", "a NUL before the colon of Content-Length", "POST /row HTTP/1.1\r\nHost: example.test\r\nContent-Length\0: 3\r\n\r\nabc", Refused(400)),
        row("9110 5.1", "a vertical tab before Transfer-Encoding", "POST /row HTTP/1.1\r\nHost: example.test\r\n\x0bTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ]
}

#[rustfmt::skip]
fn values() -> Vec<Row> {
    vec![
        row("9110 5.5", "an empty value", with("X-A:"), Exact),
        row("9110 5.5", "no space after the colon", with("X-A:b"), Exact),
        row("9110 5.5", "spaces and tabs around the value", with("X-A: \t b c \t "), Exact),
        row("9110 5.5", "colons in the value", with("X-A: b: c:"), Exact),
        row("9110 5.5", "bytes above 127", bytes(b"X-A: \xc3\xa4\xff"), Exact),
        row("9110 5.5", "a tab within the value", with("X-A: b\tc"), Exact),
        row("9110 5.5", "a NUL in the value", with("X-A: b\0c"), Refused(400)).haproxy(Loose),
        row("9110 5.5", "a NUL at the end of the value", with("X-A: b\0"), Refused(400)).haproxy(Loose),
        row("9110 5.5", "a backspace in the value", with("X-A: b\x08c"), Refused(400)).haproxy(Loose),
        row("9110 5.5", "a vertical tab in the value", with("X-A: b\x0bc"), Refused(400)).haproxy(Loose),
        row("9110 5.5", "an escape in the value", with("X-A: b\x1b[2Jc"), Refused(400)).haproxy(Loose),
        row("9110 5.5", "a DEL in the value", with("X-A: b\x7fc"), Refused(400)).haproxy(Loose),
        row("9110 5.3", "a field twice keeps its order", with("X-A: 1\r\nX-B: 2\r\nX-A: 3"), Exact),
    ]
}

#[rustfmt::skip]
fn sizes() -> Vec<Row> {
    let many = |n: usize| with(&(0..n).map(|i| format!("X-{i}: {i}")).collect::<Vec<_>>().join("\r\n"));
    let long = |n: usize| with(&format!("X-A: {}", "b".repeat(n)));
    let too_much = || Any(vec![Refused(400), Refused(431)]);
    vec![
        row("9110 5.4", "90 fields", many(90), Exact),
        row("9110 5.4", "300 fields (tune.http.maxhdr is 101)", many(300), too_much()),
        row("9110 5.4", "5,000 fields", many(5000), too_much()),
        row("9110 5.4", "a value of 8,000 bytes", long(8000), Exact),
        row("9110 5.4", "a value of 20,000 bytes (tune.bufsize is 16384)", long(20_000), too_much()),
        row("9110 5.4", "a value of 1 MB", long(1_000_000), too_much()),
        row("9110 5.4", "a name of 20,000 bytes", with(&format!("{}: b", "x".repeat(20_000))), too_much()),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [names(), values(), sizes()].into_iter().flatten().collect()
}

#[test]
fn field_names() {
    check(names());
}

#[test]
fn field_values() {
    check(values());
}

#[test]
fn field_limits() {
    check(sizes());
}
