//! Properties that hold for any bytes.

use super::support::*;
use crate::base::Buf;
use crate::http::*;
use proptest::prelude::*;

/// Feeds the bytes in pieces; the verdict of the last call.
fn parse_in_pieces(bytes: &[u8], step: usize, response: bool, o: &H1Options) -> (Head, Parse) {
    let mut head = Head::with(Buf::take(bytes.len().max(1)));
    let mut verdict = Parse::More;
    for piece in bytes.chunks(step) {
        head.buf.push(piece);
        verdict = if response { head.parse_response(Method::Get, o) } else { head.parse_request(o) };
        if verdict != Parse::More {
            break;
        }
    }
    (head, verdict)
}

fn fields(head: &Head) -> Vec<(Vec<u8>, Vec<u8>)> {
    head.fields().map(|(n, v)| (n.to_ascii_lowercase(), v.to_vec())).collect()
}

/// Lines that are likely to meet one rule or another.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /a?b#c HTTP/1.1",
        "GET  http://h:80/x HTTP/1.0",
        "CONNECT h:443 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "HTTP/1.1 200 OK",
        "HTTP/1.0 304",
        "HTTP/1.1 101 Up",
        "GET /",
        "GET / HTTP/2.0",
        "HTTP/1.1 2000 X",
        "",
    ]);
    let line = prop_oneof![
        prop::sample::select(vec![
            "Host: h",
            "host: H",
            "Host: x:80",
            "Content-Length: 5",
            "content-length: 5, 5",
            "Content-Length: 6",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Connection: close, TE, foo",
            "Connection: keep-alive",
            "Connection: upgrade",
            "Upgrade: h2c, x",
            "TE: trailers, gzip",
            "foo: bar",
            "Keep-Alive: 5",
            "A : b",
            " folded",
            "\tfolded too",
            "Expect: 100-continue",
            "A: \u{e9}\t x ",
            "B: \x01",
            "C",
            ": d",
            "",
            "E: \0f",
        ])
        .prop_map(String::from),
        "[A-Za-z-]{1,20}: ?[ -~]{0,40}",
        "[ -~\\x00\t]{0,12}",
    ];
    let end = || prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"]);
    (start, end(), prop::collection::vec((line, end()), 0..7), end(), "[ -~\r\n]{0,20}").prop_map(
        |(start, start_end, lines, last, body)| {
            let mut bytes = [start, start_end].concat();
            for (line, end) in lines {
                bytes.push_str(&line);
                bytes.push_str(end);
            }
            bytes.push_str(last);
            bytes.push_str(&body);
            bytes.into_bytes()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 200_000, ..ProptestConfig::default() })]

    /// In one go or byte by byte: the same verdict, and the same head.
    #[test]
    fn pieces_do_not_matter(bytes in messages(), step in 1usize..9, response: bool, accept_unsafe: bool,
                            max_head in prop_oneof![Just(15_360usize), 20usize..120]) {
        let o = H1Options { accept_unsafe, max_head, max_fields: 6, ..H1Options::default() };
        let (whole, expected) = parse_in_pieces(&bytes, bytes.len().max(1), response, &o);
        let (pieces, verdict) = parse_in_pieces(&bytes, step, response, &o);
        if expected == Parse::Done {
            prop_assert_eq!(verdict, expected);
            prop_assert_eq!(fields(&pieces), fields(&whole));
            prop_assert_eq!((pieces.len, pieces.body, pieces.keep_alive), (whole.len, whole.body, whole.keep_alive));
            prop_assert_eq!(written(&pieces, Hop::KeepAlive), written(&whole, Hop::KeepAlive));
        } else if verdict != Parse::More {
            // Of an unfinished line, one go may see a fault that pieces wait for.
            prop_assert_eq!(verdict, expected);
        }
    }

    /// What is sent on is accepted again and says the same.
    #[test]
    fn what_is_written_reads_the_same(bytes in messages(), response: bool) {
        let o = H1Options::default();
        let (head, verdict) = parse_in_pieces(&bytes, bytes.len().max(1), response, &o);
        prop_assume!(verdict == Parse::Done);
        for hop in [Hop::AsIs, Hop::KeepAlive, Hop::Close, Hop::KeepAliveSaid] {
            let out = written_bytes(&head, hop);
            let (again, verdict) = parse_in_pieces(&out, out.len(), response, &o);
            prop_assert_eq!(verdict, Parse::Done, "{}", out.escape_ascii());
            prop_assert_eq!(again.len, out.len());
            prop_assert_eq!((again.body, again.status, again.method), (head.body, head.status, head.method));
            prop_assert_eq!(again.target_bytes(), head.target_bytes());
            let expected = fields(&head);
            let seen = fields(&again);
            if hop == Hop::AsIs {
                prop_assert_eq!(&seen, &expected);
            }
            // Written a second time, nothing changes any more.
            prop_assert_eq!(written_bytes(&again, hop), out);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..50, response: bool) {
        fuzz::parse(&bytes, response, step);
        fuzz::scan(&bytes, response, step);
    }
}
