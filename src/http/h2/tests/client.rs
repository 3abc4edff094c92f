//! Cases of servers (`srv-*`): the machine is the client, the test is the server.

use super::driver::*;
use crate::http::h2::{Code, Event};
use crate::http::{Head, Method};

/// A client with one request under way.
fn asked() -> Peer {
    let mut peer = Peer::client();
    let head = h1("GET /x HTTP/1.1\r\nhost: ex.com\r\n\r\n", false);
    assert_eq!(peer.connection.request(&head, b"http", true), Ok(1));
    peer.look();
    peer.saw();
    peer
}

fn head(flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, EH | flags, 1, &block(fields))
}

fn rst(code: u8) -> Vec<u8> {
    frame(RST, 0, 1, &[0, 0, 0, code])
}

fn reset(code: u32, ours: bool) -> Event {
    Event::Reset { stream: 1, code: Code(code), ours }
}

const STATUS: (&str, &str) = (":status", "200");

/// An answer in frames, the heads that come of it as HTTP/1, and the last event.
type Row = (&'static str, Vec<Vec<u8>>, String, Event);

fn check(rows: Vec<Row>) {
    for (name, frames, heads, event) in rows {
        let mut peer = asked();
        for frame in frames {
            peer.send(&frame);
        }
        assert_eq!(peer.heads.concat(), heads, "{name}");
        assert_eq!(peer.events.last(), Some(&event), "{name}");
    }
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn with_length(n: u32) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n")
}

fn data(flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, 1, bytes)
}

const WHOLE: Event = Event::Head { stream: 1, end: true };
const MORE: Event = Event::Head { stream: 1, end: false };

#[test]
fn good_answers() {
    let ok = head(0, &[STATUS]);
    let interim = head(0, &[(":status", "103"), ("link", "</a>")]);
    let ended = |n: usize| Event::Data { stream: 1, range: 9..9 + n, end: true };
    check(vec![
        ("srv-plain", vec![ok.clone(), data(ES, b"ok")], CHUNKED.into(), ended(2)),
        (
            "srv-trailersonly",
            vec![head(ES, &[STATUS, ("grpc-status", "12")])],
            "HTTP/1.1 200 OK\r\ngrpc-status: 12\r\ncontent-length: 0\r\n\r\n".into(),
            WHOLE,
        ),
        (
            "srv-trailers",
            vec![ok.clone(), data(0, b"ok"), head(ES, &[("x-t", "v")])],
            format!("{CHUNKED}x-t: v\n"),
            Event::Trailers { stream: 1 },
        ),
        ("srv-204", vec![head(ES, &[(":status", "204")])], "HTTP/1.1 204 No Content\r\n\r\n".into(), WHOLE),
        (
            "srv-304cl",
            vec![head(ES, &[(":status", "304"), ("content-length", "55")])],
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 55\r\n\r\n".into(),
            WHOLE,
        ),
        ("srv-ping", vec![frame(PING, 0, 0, &[0; 8]), ok.clone()], CHUNKED.into(), MORE),
        ("srv-iws", vec![settings(&[(4, 10)]), ok], CHUNKED.into(), MORE),
        (
            "m-1xx",
            vec![interim, head(0, &[STATUS])],
            format!("HTTP/1.1 103 Informational\r\nlink: </a>\r\n\r\n{CHUNKED}"),
            MORE,
        ),
    ]);
}

#[test]
fn answers_that_break_off() {
    let ok = head(0, &[STATUS]);
    let none = String::new;
    let ten = head(0, &[STATUS, ("content-length", "10")]);
    check(vec![
        ("srv-refuse", vec![rst(7)], none(), reset(7, false)),
        ("srv-rstcancel", vec![rst(8)], none(), reset(8, false)),
        ("srv-rst13", vec![rst(13)], none(), reset(13, false)),
        ("srv-rstafterhdr", vec![ok, rst(2)], CHUNKED.into(), reset(2, false)),
        ("srv-rstafterdata", vec![ten, data(0, b"abc"), rst(8)], with_length(10), reset(8, false)),
        (
            "srv-204body",
            vec![head(0, &[(":status", "204")]), data(ES, b"abc")],
            "HTTP/1.1 204 No Content\r\n\r\n".into(),
            reset(1, true),
        ),
        (
            "srv-cllong",
            vec![head(0, &[STATUS, ("content-length", "3")]), data(ES, b"abcdef")],
            with_length(3),
            reset(1, true),
        ),
        ("srv-nodatahdr", vec![data(0, b"x")], none(), reset(1, true)),
    ]);
}

#[test]
fn answers_against_the_rules() {
    let bad = |name, frame| (name, vec![frame], String::new(), Event::Malformed { stream: 1 });
    let over = |name, frame| (name, vec![frame], String::new(), Event::Over(Code::PROTOCOL));
    check(vec![
        bad("srv-101", head(0, &[(":status", "101")])),
        bad("srv-cles", head(ES, &[STATUS, ("content-length", "9")])),
        bad("srv-nostatus", head(0, &[("x", "y")])),
        bad("srv-status2x", head(0, &[(":status", "2x")])),
        bad("srv-conn", head(0, &[STATUS, ("connection", "close")])),
        bad("srv-upper", head(0, &[STATUS, ("X-A", "b")])),
        bad("srv-nul", head(0, &[STATUS, ("x", "a\0")])),
        bad("srv-lf", head(0, &[STATUS, ("x", "a\nb")])),
        bad("srv-ph2", head(0, &[STATUS, STATUS])),
        bad("srv-path", head(0, &[STATUS, (":path", "/")])),
        bad("1xx that ends", head(ES, &[(":status", "103")])),
        over("srv-push", frame(PUSH, EH, 1, &[0, 0, 0, 2])),
        over("srv-dataidle", frame(DATA, 0, 3, b"x")),
        over("headers on an idle stream", frame(HEADERS, EH, 3, &block(&[STATUS]))),
    ]);
}

/// srv-goaway0, srv-goawaymax, srv-goawayerr.
#[test]
fn a_server_that_leaves() {
    for (last, code) in [(0u32, 0u32), ((1 << 31) - 1, 0), (1, 11)] {
        let mut peer = asked();
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        peer.send(&frame(GOAWAY, 0, 0, &payload));
        assert_eq!(peer.events, [Event::GoAway { last, code: Code(code) }]);
        assert!(!peer.connection.has_room() && !peer.connection.is_done());
        peer.send(&head(ES, &[STATUS]));
        assert_eq!(peer.events.last(), Some(&Event::Head { stream: 1, end: true }), "what runs is finished");
        assert!(peer.connection.is_done());
    }
}

/// srv-headbody: whatever the answer to HEAD says of its body.
#[test]
fn head_has_no_body() {
    let mut peer = Peer::client();
    let request = h1("HEAD /x HTTP/1.1\r\nhost: ex.com\r\n\r\n", false);
    assert_eq!(request.method, Method::Head);
    assert_eq!(peer.connection.request(&request, b"http", true), Ok(1));
    peer.send(&head(ES, &[STATUS, ("content-length", "9")]));
    assert_eq!(peer.heads, ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"]);
    assert_eq!(peer.connection.streams(), 0);
}

#[test]
fn no_more_streams_than_the_server_takes() {
    let mut peer = asked();
    let request = h1("GET / HTTP/1.1\r\nhost: a\r\n\r\n", false);
    peer.send(&settings(&[(3, 1)]));
    assert!(!peer.connection.has_room());
    assert!(peer.connection.request(&request, b"http", true).is_err());
    peer.send(&head(ES, &[STATUS]));
    assert_eq!(peer.connection.request(&request, b"http", true), Ok(3));
}

/// What a request of HTTP/1 is in HTTP/2.
#[test]
fn requests_from_http_1() {
    let plain = ":method: GET\n:scheme: https\n:authority: a\n:path: /p?q\n";
    let table = [
        ("GET /p?q HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n", format!("{plain}x-y: z\n")),
        (
            "GET /p?q HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nX: z\r\nKeep-Alive: 5\r\n\r\n",
            plain.into(),
        ),
        ("GET /p?q HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\n\r\n", format!("{plain}te: trailers\n")),
        (
            "GET http://a/p HTTP/1.1\r\nHost: a\r\n\r\n",
            ":method: GET\n:scheme: http\n:authority: a\n:path: /p\n".into(),
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            ":method: OPTIONS\n:scheme: https\n:authority: a\n:path: *\n".into(),
        ),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", ":method: CONNECT\n:authority: a:80\n".into()),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nCookie: b; c\r\n\r\n",
            ":method: POST\n:scheme: https\n:authority: a\n:path: /\ncookie: b; c\n".into(),
        ),
        (
            "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /chat\n".into(),
        ),
    ];
    for (text, expected) in table {
        let mut peer = Peer::client();
        peer.connection.request(&h1(text, false), b"https", false).expect("room");
        peer.look();
        assert_eq!(peer.fields.concat(), expected, "{text}");
    }
}

/// srv-big: a slow reader holds its own stream and no other.
#[test]
fn a_slow_reader_holds_nobody_else() {
    let mut peer = asked();
    peer.consumes = false;
    let request = h1("GET / HTTP/1.1\r\nhost: a\r\n\r\n", false);
    let frames = |stream, n| frame(DATA, 0, stream, &[0; 16_000]).repeat(n);
    peer.send(&head(0, &[STATUS])).send(&frames(1, 4));
    peer.consumes = true;
    for stream in [3, 5] {
        assert_eq!(peer.connection.request(&request, b"http", true), Ok(stream));
        peer.send(&frame(HEADERS, EH, stream, &block(&[STATUS])));
        for _ in 0..1000 {
            peer.send(&frames(stream, 1));
        }
    }
    assert!(!peer.connection.is_over());
    assert_eq!(peer.body.len(), 64_000 + 2 * 16_000_000);
}

/// A response head in the client's hands is one of HTTP/1 for whoever is behind it.
#[test]
fn a_head_is_reused() {
    let mut connection = asked().connection;
    let mut head = Head::default();
    let bytes = super::client::head(0, &[STATUS, ("x", "y")]);
    assert_eq!(connection.receive(0, &bytes, &mut 0, &mut head), Some(Event::Head { stream: 1, end: false }));
    let before = head.buf.written().as_ptr();
    let trailers = super::client::head(ES, &[("x-t", "v")]);
    assert_eq!(connection.receive(0, &trailers, &mut 0, &mut head), Some(Event::Trailers { stream: 1 }));
    assert_eq!(head.buf.written().as_ptr(), before, "no new arena");
}
