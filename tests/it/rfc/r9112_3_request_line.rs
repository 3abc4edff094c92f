//! RFC 9112 section 3: method, target and version.

use super::request::*;

fn line(text: &str) -> String {
    format!("{text}\r\n{HOST}\r\n")
}

#[rustfmt::skip]
fn blanks() -> Vec<Row> {
    let one = line("GET /row HTTP/1.1");
    let lenient = || Any(vec![Refused(400), As("one space between the words", one.clone().into())]);
    vec![
        row("9112 3", "two spaces after the method", line("GET  /row HTTP/1.1"), lenient()),
        row("9112 3", "two spaces before the version", line("GET /row  HTTP/1.1"), lenient()),
        row("9112 3", "a tab after the method", line("GET\t/row HTTP/1.1"), lenient()),
        row("9112 3", "a tab before the version", line("GET /row\tHTTP/1.1"), lenient()),
        row("9112 3", "a vertical tab after the method", line("GET\x0b/row HTTP/1.1"), Refused(400)),
        row("9112 3", "a space after the version", line("GET /row HTTP/1.1 "), Any(vec![Refused(400), As("trailing space dropped", one.clone().into())])),
        row("9112 3", "a space within the target", line("GET /r ow HTTP/1.1"), Refused(400)),
        row("9112 3", "a second version", line("GET /row HTTP/1.1 HTTP/1.1"), Refused(400)),
        row("9112 3", "no target", line("GET HTTP/1.1"), Refused(400)),
        row("9112 3", "an empty target", line("GET  HTTP/1.1"), Refused(400)),
        row("9112 3", "only a method", line("GET"), Refused(400)),
    ]
}

#[rustfmt::skip]
fn methods() -> Vec<Row> {
    vec![
        row("9110 9.1", "an unknown method", line("BREW /row HTTP/1.1"), Exact),
        row("9110 9.1", "methods are case-sensitive", line("get /row HTTP/1.1"), Exact),
        row("9110 9.1", "every kind of token character", line("M!#$%&'*+-.^_`|~9 /row HTTP/1.1"), Exact),
        row("9110 9.1", "a slash in the method", line("GE/T /row HTTP/1.1"), Refused(400)),
        row("9110 9.1", "a colon in the method", line("GET: /row HTTP/1.1"), Refused(400)),
        row("9110 9.1", "parentheses in the method", line("G(E)T /row HTTP/1.1"), Refused(400)),
        row("9110 9.1", "a quote in the method", line("\"GET\" /row HTTP/1.1"), Refused(400)),
        row("9110 9.1", "an empty method", line(" /row HTTP/1.1"), Refused(400)),
        row("9110 9.1", "a byte above 127 in the method", b"G\xc9T /row HTTP/1.1\r\nHost: example.test\r\n\r\n", Refused(400)),
        row("9110 9.1", "a NUL in the method", line("GE\0T /row HTTP/1.1"), Refused(400)),
        row("9110 9.1", "a very long method", line(&format!("{} /row HTTP/1.1", "M".repeat(500))), Any(vec![Exact, Refused(400), Refused(501)])),
    ]
}

#[rustfmt::skip]
fn versions() -> Vec<Row> {
    let v11 = || line("GET /row HTTP/1.1").into_bytes();
    let newer = || Any(vec![Refused(400), Refused(505), As("the highest version we speak", v11())]);
    let other = || Any(vec![Refused(400), Refused(505)]);
    vec![
        row("9112 2.3", "HTTP/1.0", line("GET /row HTTP/1.0"), Any(vec![Exact, As("sent as 1.1", v11())])),
        row("9110 2.5", "HTTP/1.2", line("GET /row HTTP/1.2"), newer()),
        row("9110 2.5", "HTTP/1.9", line("GET /row HTTP/1.9"), newer()),
        row("9110 2.5", "HTTP/2.0", line("GET /row HTTP/2.0"), other()).haproxy(As("sent as 1.1", v11())),
        row("9110 2.5", "HTTP/3.0", line("GET /row HTTP/3.0"), other()).haproxy(As("sent as 1.1", v11())),
        row("9110 2.5", "HTTP/0.9 with a version", line("GET /row HTTP/0.9"), other()).haproxy(Loose),
        row("9110 2.5", "HTTP/9.9", line("GET /row HTTP/9.9"), other()).haproxy(As("sent as 1.1", v11())),
        row("1945 4.1", "a simple request (HTTP/0.9)", "GET /row\r\n", other()),
        row("1945 4.1", "a simple request with fields", line("GET /row"), other()),
        row("9112 2.3", "lower case", line("GET /row http/1.1"), Refused(400)),
        row("9112 2.3", "mixed case", line("GET /row Http/1.1"), Refused(400)),
        row("9112 2.3", "a two-digit minor", line("GET /row HTTP/1.10"), Refused(400)),
        row("9112 2.3", "a two-digit major", line("GET /row HTTP/01.1"), Refused(400)),
        row("9112 2.3", "no minor", line("GET /row HTTP/1"), Refused(400)),
        row("9112 2.3", "no dot", line("GET /row HTTP/11"), Refused(400)),
        row("9112 2.3", "a comma for the dot", line("GET /row HTTP/1,1"), Refused(400)),
        row("9112 2.3", "letters", line("GET /row HTTP/x.y"), Refused(400)),
        row("9112 2.3", "another name", line("GET /row HTTPS/1.1"), Refused(400)),
        row("9112 2.3", "another protocol", line("GET /row RTSP/1.0"), Refused(400)),
        row("9112 2.3", "a full-width digit", line("GET /row HTTP/1.\u{ff11}"), Refused(400)),
    ]
}

#[rustfmt::skip]
fn targets() -> Vec<Row> {
    let long = format!("/{}", "a".repeat(8000));
    let huge = format!("/{}", "a".repeat(70_000));
    vec![
        row("9112 3.2.1", "a query", line("GET /row?a=b&c=%00 HTTP/1.1"), Exact),
        row("9112 3.2.1", "dot segments are the origin's affair", line("GET /a/../../row HTTP/1.1"), Exact),
        row("9112 3.2.1", "double slashes too", line("GET //row//x HTTP/1.1"), Exact),
        row("9112 3.2", "a fragment", line("GET /row#x HTTP/1.1"), Refused(400)),
        row("9112 3.2", "a byte above 127", b"GET /r\xf6w HTTP/1.1\r\nHost: example.test\r\n\r\n", Refused(400)),
        row("9112 3.2", "a control character", line("GET /r\x01w HTTP/1.1"), Refused(400)),
        row("9112 3.2", "a NUL", line("GET /r\0w HTTP/1.1"), Refused(400)),
        row("9112 3.2", "a DEL", line("GET /r\x7fw HTTP/1.1"), Refused(400)).haproxy(Any(vec![Loose, Refused(400)])),
        row("9112 3.2", "no leading slash", line("GET row HTTP/1.1"), Refused(400)),
        row("9112 3.2", "a backslash for the slash", line("GET \\row HTTP/1.1"), Refused(400)),
        row("9112 3.2.4", "the asterisk with OPTIONS", line("OPTIONS * HTTP/1.1"), Exact),
        row("9112 3.2.4", "the asterisk with GET", line("GET * HTTP/1.1"), Refused(400)).haproxy(Exact),
        row("9112 3.2.4", "an asterisk and more", line("OPTIONS *x HTTP/1.1"), Refused(400)).haproxy(Exact),
        row("9112 3.2.3", "authority form with GET", line("GET example.test:80 HTTP/1.1"), Refused(400)),
        row("9112 3.2.3", "CONNECT with a path", line("CONNECT /row HTTP/1.1"), Refused(400)),
        row("9112 3.2.3", "CONNECT without a port", line("CONNECT example.test HTTP/1.1"), Refused(400)),
        row("9112 3", "a target of 8,000 bytes", line(&format!("GET {long} HTTP/1.1")), Exact),
        row("9112 3", "a target of 70,000 bytes", line(&format!("GET {huge} HTTP/1.1")), Any(vec![Refused(400), Refused(414), Refused(431)])),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [blanks(), methods(), versions(), targets()].into_iter().flatten().collect()
}

#[test]
fn blanks_in_the_request_line() {
    check(blanks());
}

#[test]
fn method() {
    check(methods());
}

#[test]
fn version() {
    check(versions());
}

#[test]
fn target() {
    check(targets());
}
