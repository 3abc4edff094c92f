//! RFC 9112 section 5.2: obsolete line folding. A proxy rejects it or replaces it with spaces.

use super::request::*;

fn with(field: &str) -> String {
    format!("GET /row HTTP/1.1\r\n{HOST}{field}\r\n\r\n")
}

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    let fold = |folded: &str| Any(vec![Refused(400), As("fold replaced by spaces", with(folded).into())]);
    vec![
        row("9112 5.2", "a folded value", with("X-A: b\r\n c"), fold("X-A: b   c")),
        row("9112 5.2", "folded with a tab", with("X-A: b\r\n\tc"), Any(vec![Refused(400), As("fold replaced", with("X-A: b   c").into()), As("fold replaced, tab kept", with("X-A: b  \tc").into())])),
        row("9112 5.2", "folded before the value", with("X-A:\r\n b"), fold("X-A: b")),
        row("9112 5.2", "folded to an empty line", with("X-A: b\r\n "), fold("X-A: b")),
        row("9112 5.2", "a folded Content-Length", "POST /row HTTP/1.1\r\nHost: example.test\r\nContent-Length:\r\n 3\r\n\r\nabc", Any(vec![Refused(400), As("fold replaced", b"POST /row HTTP/1.1\r\nHost: example.test\r\nContent-Length: 3\r\n\r\nabc".into())])),
        row("9112 5.2", "a Content-Length hidden in a fold", with("X-A: b\r\n Content-Length: 3"), fold("X-A: b   Content-Length: 3")),
        row("9112 5.2", "a folded Transfer-Encoding", "POST /row HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Any(vec![Refused(400), As("fold replaced", b"POST /row HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into())])),
        row("9112 5.2", "a folded Host", "GET /row HTTP/1.1\r\nHost:\r\n example.test\r\n\r\n", Any(vec![Refused(400), As("fold replaced", with("").replace("\r\n\r\n\r\n", "\r\n\r\n").into())])),
    ]
}

/// Every row of this file.
pub fn all() -> Vec<Row> {
    rows()
}

#[test]
fn folding() {
    check(rows());
}
