//! RFC 9112 sections 2.2, 4 and 5 for responses: the status line and the fields.

use super::response::*;

fn ok(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nX-Row: 1\r\nContent-Length: 3\r\n{fields}\r\nabc")
}

fn line(text: &str) -> String {
    format!("{text}\r\nX-Row: 1\r\nContent-Length: 3\r\n\r\nabc")
}

#[rustfmt::skip]
fn lines() -> Vec<Row> {
    let lf = |bytes: &str| Any(vec![Gateway(502), As("LF read as CRLF", bytes.into())]);
    vec![
        row("9112 4", "a plain response", ok(""), Exact),
        row("9112 4", "no reason", line("HTTP/1.1 200 "), Any(vec![Exact, As("the space dropped", line("HTTP/1.1 200").into()), As("the usual reason", line("HTTP/1.1 200 OK").into())])),
        row("9112 4", "no reason and no space", line("HTTP/1.1 200"), Any(vec![Exact, As("the space added", line("HTTP/1.1 200 ").into()), As("the usual reason", line("HTTP/1.1 200 OK").into())])),
        row("9112 4", "an unknown code", line("HTTP/1.1 799 Odd"), Any(vec![Exact, Gateway(502)])),
        row("9110 15", "a code of two digits", line("HTTP/1.1 20 OK"), Gateway(502)).haproxy(Loose),
        row("9110 15", "a code of four digits", line("HTTP/1.1 2000 OK"), Gateway(502)).haproxy(Loose),
        row("9110 15", "code 000", line("HTTP/1.1 000 OK"), Gateway(502)).haproxy(Loose),
        row("9110 15", "code 099", line("HTTP/1.1 099 OK"), Gateway(502)).haproxy(Loose),
        row("9110 15", "a code of letters", line("HTTP/1.1 2xx OK"), Gateway(502)),
        row("9110 15", "a signed code", line("HTTP/1.1 +20 OK"), Gateway(502)),
        row("9110 15", "no code", line("HTTP/1.1"), Gateway(502)),
        row("9112 4", "two spaces before the code", line("HTTP/1.1  200 OK"), Any(vec![Gateway(502), As("one space", line("HTTP/1.1 200 OK").into())])),
        row("9112 4", "a tab before the code", line("HTTP/1.1\t200 OK"), Any(vec![Gateway(502), As("one space", line("HTTP/1.1 200 OK").into())])),
        row("9112 2.3", "HTTP/2.0", line("HTTP/2.0 200 OK"), Gateway(502)).haproxy(As("sent as 1.1", line("HTTP/1.1 200 OK").into())),
        row("9112 2.3", "lower case", line("http/1.1 200 OK"), Gateway(502)),
        row("9112 2.3", "another protocol", line("ICY 200 OK"), Gateway(502)),
        row("9112 2.3", "two-digit minor", line("HTTP/1.10 200 OK"), Gateway(502)),
        row("9112 2.2", "no status line", "X-Row: 1\r\nContent-Length: 3\r\n\r\nabc", Gateway(502)),
        row("9112 2.2", "not HTTP at all", "SSH-2.0-OpenSSH_9.2\r\n", Gateway(502)).close(),
        row("9112 2.2", "an empty line first", format!("\r\n{}", ok("")), Any(vec![Gateway(502), As("empty line dropped", ok("").into())])),
        row("9112 2.2", "bare LF everywhere", ok("").replace("\r\n", "\n"), lf(&ok(""))),
        row("9112 2.2", "bare CR after the status line", "HTTP/1.1 200 OK\rX-Row: 1\r\nContent-Length: 3\r\n\r\nabc", Gateway(502)),
        row("9112 4", "a NUL in the reason", line("HTTP/1.1 200 O\0K"), Gateway(502)).haproxy(Loose),
        row("9112 8", "an end within the head", "HTTP/1.1 200 OK\r\nX-Row: 1\r\n", Gateway(502)).close(),
        row("9112 8", "an end before any byte", "", Gateway(502)).close(),
        row("9112 8", "silence within the head", "HTTP/1.1 200 OK\r\nX-Row: 1\r\n", Gateway(504)),
        row("9112 8", "silence", "", Gateway(504)),
    ]
}

#[rustfmt::skip]
fn fields() -> Vec<Row> {
    let many = |n: usize| ok(&(0..n).map(|i| format!("X-{i}: {i}\r\n")).collect::<String>());
    vec![
        row("9110 5.5", "bytes above 127", [b"HTTP/1.1 200 OK\r\nX-Row: \xff\r\nContent-Length: 3\r\n\r\nabc".as_slice()].concat(), Exact),
        row("9112 5.1", "a space before the colon", ok("X-A : b\r\n"), Any(vec![Gateway(502), As("space dropped", ok("X-A: b\r\n").into())])),
        row("9112 5.2", "a folded value", ok("X-A: b\r\n c\r\n"), Any(vec![Gateway(502), As("fold replaced", ok("X-A: b   c\r\n").into())])),
        row("9110 5.1", "an empty name", ok(": b\r\n"), Gateway(502)),
        row("9110 5.1", "no colon", ok("just words\r\n"), Gateway(502)),
        row("9110 5.1", "a control character in the name", ok("X\x01: b\r\n"), Gateway(502)),
        row("9110 5.5", "a NUL in the value", ok("X-A: b\0c\r\n"), Gateway(502)).haproxy(Loose),
        row("9110 5.5", "bare CR in the value", ok("X-A: b\rSet-Cookie: x\r\n"), Gateway(502)),
        row("9110 5.4", "90 fields", many(90), Exact),
        row("9110 5.4", "300 fields", many(300), Gateway(502)),
        row("9110 5.4", "5,000 fields", many(5000), Gateway(502)),
        row("9110 5.4", "a value of 100,000 bytes", ok(&format!("X-A: {}\r\n", "b".repeat(100_000))), Gateway(502)),
        row("6265 4.1", "many Set-Cookie fields stay apart", ok("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), Exact),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [lines(), fields()].into_iter().flatten().collect()
}

#[test]
fn status_line() {
    check(lines());
}

#[test]
fn response_fields() {
    check(fields());
}
