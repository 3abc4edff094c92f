//! RFC 9110 section 7.2 and RFC 9112 section 3.2: Host and the authority of the target.

use super::request::*;

fn host(value: &str) -> String {
    format!("GET /row HTTP/1.1\r\nHost: {value}\r\n\r\n")
}

#[rustfmt::skip]
fn hosts() -> Vec<Row> {
    vec![
        row("9112 3.2", "no Host in HTTP/1.1", "GET /row HTTP/1.1\r\nAccept: */*\r\n\r\n", Exact)
            .deviation("the RFC says 400; HAProxy forwards, and its own test suite (http_wait_for_body) relies on it"),
        row("9112 3.2", "no Host in HTTP/1.0", "GET /row HTTP/1.0\r\nAccept: */*\r\n\r\n", Any(vec![Exact, As("sent as 1.1", b"GET /row HTTP/1.1\r\nAccept: */*\r\n\r\n".into())])),
        row("9112 3.2", "an empty Host", host(""), Exact),
        row("9110 7.2", "a port", host("example.test:8080"), Exact),
        row("9110 7.2", "an IPv6 address", host("[2001:db8::1]:80"), Exact),
        row("9112 3.2", "two Hosts that differ", "GET /row HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", Refused(400)),
        row("9112 3.2", "two Hosts with others between", "GET /row HTTP/1.1\r\nHost: a.test\r\nX: y\r\nhost: b.test\r\n\r\n", Refused(400)),
        row("9112 3.2", "two equal Hosts", "GET /row HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
            As("the second dropped", host("a.test").into())),
        row("9112 3.2", "a list in Host", host("a.test, b.test"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a space within Host", host("a b.test"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "user information in Host", host("user@a.test"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a path in Host", host("a.test/x"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a query in Host", host("a.test?x"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a fragment in Host", host("a.test#x"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a scheme in Host", host("http://a.test"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a port that is no number", host("a.test:8o"), Exact),
        row("9112 3.2", "a bracket that does not close", host("[::1"), Refused(400)).haproxy(Exact),
        row("9112 3.2", "a byte above 127 in Host", b"GET /row HTTP/1.1\r\nHost: \xe4.test\r\n\r\n", Refused(400)).haproxy(Exact),
    ]
}

#[rustfmt::skip]
fn authorities() -> Vec<Row> {
    let abs = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let replaced = |target: &str, host: &str| {
        Any(vec![Refused(400), As("Host set from the target", abs(target, host).into())])
    };
    vec![
        row("9112 3.2.2", "absolute form that agrees", abs("http://a.test/row", "a.test"), Exact),
        row("9112 3.2.2", "absolute form in another case", abs("http://A.test/row", "a.test"), Any(vec![Exact, As("Host set from the target", abs("http://A.test/row", "A.test").into())])),
        row("9112 3.2.2", "absolute form that differs", abs("http://a.test/row", "b.test"), replaced("http://a.test/row", "a.test")),
        row("9112 3.2.2", "absolute form with another port", abs("http://a.test:81/row", "a.test"), replaced("http://a.test:81/row", "a.test:81")),
        row("9112 3.2.2", "absolute form, Host with another port", abs("http://a.test/row", "a.test:81"), replaced("http://a.test/row", "a.test")),
        row("9110 4.2.4", "user information in the target that Host lacks", abs("http://u@a.test/row", "a.test"), Any(vec![Refused(400), Exact, As("user information dropped", abs("http://a.test/row", "a.test").into())]))
            .haproxy(As("scheme-based normalisation", abs("http://u@a.test/row", "a.test").into())),
        row("9112 3.2.2", "absolute form without authority", abs("http:///row", ""), Exact),
        row("9112 3.2.2", "a scheme without slashes", abs("http:row", "a.test"), Refused(400)),
        row("9112 3.2.2", "a list as authority", abs("http://a.test,b.test/row", "a.test"), Refused(400)),
        row("9112 3.2.2", "a backslash in the authority", abs("http://a.test\\@b.test/row", "a.test"), Refused(400)),
    ]
}

#[rustfmt::skip]
fn hop_by_hop() -> Vec<Row> {
    let with = |fields: &str| format!("GET /row HTTP/1.1\r\n{HOST}{fields}\r\n");
    vec![
        row("9110 7.6.1", "Upgrade without Connection", with("Upgrade: foo\r\n"), As("Upgrade dropped", with("").into())).haproxy(Exact),
        row("9110 10.1.4", "TE is hop-by-hop", with("TE: gzip\r\n"), As("TE dropped", with("").into())),
        row("9110 7.6.1", "Connection names Host", with("Connection: host\r\n"), Any(vec![Refused(400), As("Host kept", with("").into())])),
        row("9110 7.6.1", "Connection names Content-Length", "POST /row HTTP/1.1\r\nHost: example.test\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc", Any(vec![Refused(400), As("Content-Length kept", b"POST /row HTTP/1.1\r\nHost: example.test\r\nContent-Length: 3\r\n\r\nabc".into())])),
        row("9110 7.6.1", "Connection: close as one of many", with("Connection: x, close, y\r\n"), Any(vec![As("Connection is the proxy's own", with("").into())])),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    [hosts(), authorities(), hop_by_hop()].into_iter().flatten().collect()
}

#[test]
fn host_field() {
    check(hosts());
}

#[test]
fn authority() {
    check(authorities());
}

#[test]
fn connection_fields() {
    check(hop_by_hop());
}
