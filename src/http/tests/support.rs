//! Heads from bytes, and bytes from heads.

use crate::base::Buf;
use crate::http::*;

pub(super) fn buf(bytes: &[u8]) -> Buf {
    let mut buf = Buf::take(bytes.len().max(1));
    buf.push(bytes);
    buf
}

pub(super) fn request_with(bytes: &[u8], o: &H1Options) -> (Head, Parse) {
    let mut head = Head::with(buf(bytes));
    let verdict = head.parse_request(o);
    (head, verdict)
}

pub(super) fn request(bytes: &[u8]) -> (Head, Parse) {
    request_with(bytes, &H1Options::default())
}

pub(super) fn response_to(method: Method, bytes: &[u8]) -> (Head, Parse) {
    let mut head = Head::with(buf(bytes));
    let verdict = head.parse_response(method, &H1Options::default());
    (head, verdict)
}

pub(super) fn good(bytes: &[u8]) -> Head {
    let (head, verdict) = request(bytes);
    assert_eq!(verdict, Parse::Done, "{}", bytes.escape_ascii());
    head
}

pub(super) fn reason(verdict: Parse) -> Option<(Reason, u16)> {
    match verdict {
        Parse::Bad(bad) => Some((bad.reason, bad.status)),
        _ => None,
    }
}

pub(super) fn written_bytes(head: &Head, hop: Hop) -> Vec<u8> {
    let mut out = Slices::new();
    head.slices(hop, &mut out);
    out.concat()
}

pub(super) fn written(head: &Head, hop: Hop) -> String {
    String::from_utf8_lossy(&written_bytes(head, hop)).into_owned()
}
