//! RFC 9112 section 9.3: several requests on one connection, and bytes that are left over.

use super::request::*;

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{HOST}\r\n");
    let post = |fields: &str, body: &str| format!("POST /p HTTP/1.1\r\n{HOST}{fields}\r\n{body}");
    vec![
        pipeline("9112 9.3.2", "two GETs", get("/a") + &get("/b"), vec![Exact, Exact]),
        pipeline("9112 9.3.2", "twenty GETs", (0..20).map(|i| get(&format!("/{i}"))).collect::<String>(), vec![Exact; 20]),
        pipeline("9112 9.3.2", "POST, then GET", post("Content-Length: 3\r\n", "abc") + &get("/b"), vec![Exact, Exact]),
        pipeline("9112 9.3.2", "chunked POST, then GET", post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + &get("/b"), vec![Exact, Exact]),
        pipeline("9112 9.3.2", "HEAD, then HEAD", get("/a").replace("GET", "HEAD") + &get("/b").replace("GET", "HEAD"), vec![Exact, Exact]),
        pipeline("9112 9.3.2", "a good request, then a bad one", get("/a") + "GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", vec![Exact, Refused(400)]),
        pipeline("9112 9.3.2", "a good request, then bytes that are none", get("/a") + "\0\0\0\0\r\n\r\n", vec![Exact, Refused(400)]),
        pipeline("9112 6.3", "more body than the length says", post("Content-Length: 3\r\n", "abcXYZ / HTTP/1.1\r\nHost: x.test\r\n\r\n"), vec![Exact, As("the surplus is a request", b"XYZ / HTTP/1.1\r\nHost: x.test\r\n\r\n".into())]),
        pipeline("9112 6.3", "surplus that is no request", post("Content-Length: 3\r\n", "abc\x01\x02 surplus\r\n\r\n"), vec![Exact, Refused(400)]),
        pipeline("9112 9.6", "a request after Connection: close is not read", get("/a").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n") + &get("/b"), vec![As("Connection is the proxy's own", get("/a").into())]),
        pipeline("9112 9.3", "a request after HTTP/1.0 without keep-alive is not read", get("/a").replace("1.1", "1.0") + &get("/b"), vec![Any(vec![As("sent as 1.1", get("/a").into()), As("sent as 1.0", get("/a").replace("1.1", "1.0").into())])]),
        pipeline("9112 6.3", "nothing is read after both lengths", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") + &get("/b"), vec![Any(vec![Refused(400), As("Content-Length dropped", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n").into())])]),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    rows()
}

#[test]
fn persistence() {
    check(rows());
}
