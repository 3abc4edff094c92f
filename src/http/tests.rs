//! Verdicts of the parser, rule by rule, and what is written again.

use super::*;
use crate::base::Buf;

pub(super) fn buf(bytes: &[u8]) -> Buf {
    let mut buf = Buf::take(bytes.len().max(1));
    buf.push(bytes);
    buf
}

pub(super) fn request_with(bytes: &[u8], o: &H1Options) -> (Head, Parse) {
    let mut head = Head { buf: buf(bytes), ..Head::default() };
    let verdict = head.parse_request(o);
    (head, verdict)
}

pub(super) fn request(bytes: &[u8]) -> (Head, Parse) {
    request_with(bytes, &H1Options::default())
}

pub(super) fn response_to(method: Method, bytes: &[u8]) -> (Head, Parse) {
    let mut head = Head { buf: buf(bytes), ..Head::default() };
    let verdict = head.parse_response(method, &H1Options::default());
    (head, verdict)
}

pub(super) fn good(bytes: &[u8]) -> Head {
    let (head, verdict) = request(bytes);
    assert_eq!(verdict, Parse::Done, "{}", bytes.escape_ascii());
    head
}

fn reason(verdict: Parse) -> Option<(Reason, u16)> {
    match verdict {
        Parse::Bad(bad) => Some((bad.reason, bad.status)),
        _ => None,
    }
}

pub(super) fn written(head: &Head, hop: Hop) -> String {
    let mut out = Slices::new();
    head.slices(hop, &mut out);
    String::from_utf8_lossy(&out.concat()).into_owned()
}

const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: h\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n";

#[test]
fn an_untouched_head_is_one_slice() {
    let head = good(GET);
    let mut out = Slices::new();
    head.slices(Hop::KeepAlive, &mut out);
    assert_eq!(out.as_slice(), [GET]);
    assert_eq!(out.len(), GET.len());
    assert_eq!((head.len, head.body, head.keep_alive), (GET.len(), BodyLen::None, true));
}

#[test]
fn edits_cost_a_slice_each() {
    let mut head = good(GET);
    head.add(b"X-A", b"1");
    head.add(b"X-B", b"2");
    let mut out = Slices::new();
    head.slices(Hop::KeepAlive, &mut out);
    assert_eq!(out.as_slice().len(), 3, "head, both edits, the empty line");
    drop(out);
    head.remove(b"user-agent");
    let mut out = Slices::new();
    head.slices(Hop::KeepAlive, &mut out);
    assert_eq!(out.concat(), b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
}

/// Verdict of a request: `None` is accepted, else reason and status.
#[test]
fn requests() {
    use Reason::*;
    let table: &[(&str, Option<(Reason, u16)>)] = &[
        // start line
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", Some((BareCr, 400))),
        (" GET / HTTP/1.1\r\n\r\n", Some((Method, 400))),
        ("G(T / HTTP/1.1\r\n\r\n", Some((Method, 400))),
        ("GET\r\n\r\n", Some((Version, 400))),
        ("GET /\r\n\r\n", Some((Version, 400))),
        ("GET / \r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/1.1 \r\n\r\n", Some((Version, 400))),
        ("GET / http/1.1\r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/1.10\r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/1\r\n\r\n", Some((Version, 400))),
        ("GET / RTSP/1.0\r\n\r\n", Some((Version, 400))),
        ("GET / HTTP/2.0\r\n\r\n", Some((VersionUnsupported, 505))),
        ("GET / HTTP/0.9\r\n\r\n", Some((VersionUnsupported, 505))),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some((Http2Preface, 505))),
        ("GET / HTTP/1.2\r\n\r\n", None),
        // target
        ("GET /a#b HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /a\x01b HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /a\x7fb HTTP/1.1\r\n\r\n", Some((Target, 400))),
        ("GET /a b HTTP/1.1\r\n\r\n", Some((Version, 400))),
        ("GET /\"<>[]{}|^ HTTP/1.1\r\n\r\n", None),
        ("GET a HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("GET h:80 HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("GET * HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("OPTIONS * HTTP/1.1\r\n\r\n", None),
        ("OPTIONS *x HTTP/1.1\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("CONNECT h:8443 HTTP/1.1\r\nHost: h\r\n\r\n", Some((HostMismatch, 400))),
        ("CONNECT h:8443 HTTP/1.1\r\nHost: h:8443\r\n\r\n", None),
        ("CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("CONNECT http://h:80 HTTP/1.1\r\nHost: h\r\n\r\n", Some((TargetForm, 400))),
        ("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", None),
        ("GET http://h:80/ HTTP/1.1\r\nHost: H\r\n\r\n", None),
        ("GET http://h/ HTTP/1.1\r\nHost: i\r\n\r\n", Some((HostMismatch, 400))),
        ("GET http://h:81/ HTTP/1.1\r\nHost: h\r\n\r\n", Some((HostMismatch, 400))),
        ("GET http://h,i/ HTTP/1.1\r\n\r\n", Some((Authority, 400))),
        // Host
        ("GET / HTTP/1.1\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Some((HostConflict, 400))),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Some((Authority, 400))),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Some((Authority, 400))),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Some((Authority, 400))),
        // field lines
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\nA\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\n: b\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\nA\u{e9}: b\r\n\r\n", Some((FieldName, 400))),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Some((ObsFold, 400))),
        ("GET / HTTP/1.1\r\n A: b\r\n\r\n", Some((ObsFold, 400))),
        ("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", Some((FieldValue, 400))),
        ("GET / HTTP/1.1\r\nA: b\x0bc\r\n\r\n", Some((FieldValue, 400))),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Some((BareCr, 400))),
        ("GET / HTTP/1.1\r\nA: b\tc \u{e9}\r\nB:\r\nC:d\r\n\r\n", None),
        // lengths
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 5 5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 5,\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: ,5\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Some((ContentLength, 400))),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n", Some((ContentLength, 400))),
        // codings
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", None),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Some((TransferEncoding, 400))),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Some((TransferEncoding, 400)),
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Some((TransferCoding, 422))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked,\r\n\r\n", Some((TransferEncoding, 400))),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", Some((TransferEncoding, 400))),
        // payload where 1.0 has none
        ("GET / HTTP/1.0\r\nContent-Length: 5\r\n\r\n", Some((PayloadUnexpected, 413))),
        ("GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", None),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", None),
        // WebSocket
        ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", Some((WebsocketKey, 400))),
        (
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            None,
        ),
    ];
    for (bytes, expected) in table {
        let (_, verdict) = request(bytes.as_bytes());
        assert_ne!(verdict, Parse::More, "{}", bytes.escape_debug());
        assert_eq!(reason(verdict), *expected, "{}", bytes.escape_debug());
    }
}
