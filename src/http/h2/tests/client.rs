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

/// What comes out of each answer: the heads as HTTP/1, then the last event.
#[test]
fn answers() {
    let ok = head(0, &[STATUS]);
    let data = |flags, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let bad = || Event::Malformed { stream: 1 };
    let ended = |n: usize| Event::Data { stream: 1, range: 9..9 + n, end: true };
    let whole = Event::Head { stream: 1, end: true };
    let more = Event::Head { stream: 1, end: false };
    let interim = head(0, &[(":status", "103"), ("link", "</a>")]);
    let protocol = || Event::Over(Code::PROTOCOL);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let length = |n| format!("HTTP/1.1 200 OK\r\ncontent-length: {n}\r\n\r\n");
    let none = String::new;
    let rows: Vec<(&str, Vec<Vec<u8>>, String, Event)> = vec![
        ("srv-plain", vec![ok.clone(), data(ES, b"ok")], chunked.into(), ended(2)),
        ("srv-refuse", vec![rst(7)], none(), reset(7, false)),
        ("srv-rstcancel", vec![rst(8)], none(), reset(8, false)),
        ("srv-rst13", vec![rst(13)], none(), reset(13, false)),
        ("srv-rstafterhdr", vec![ok.clone(), rst(2)], chunked.into(), reset(2, false)),
        (
            "srv-rstafterdata",
            vec![head(0, &[STATUS, ("content-length", "10")]), data(0, b"abc"), rst(8)],
            length(10),
            reset(8, false),
        ),
        (
            "srv-trailersonly",
            vec![head(ES, &[STATUS, ("grpc-status", "12")])],
            "HTTP/1.1 200 OK\r\ngrpc-status: 12\r\ncontent-length: 0\r\n\r\n".into(),
            whole.clone(),
        ),
        (
            "srv-trailers",
            vec![ok.clone(), data(0, b"ok"), head(ES, &[("x-t", "v")])],
            format!("{chunked}x-t: v\n"),
            Event::Trailers { stream: 1 },
        ),
        ("srv-101", vec![head(0, &[(":status", "101")])], none(), bad()),
        (
            "srv-204",
            vec![head(ES, &[(":status", "204")])],
            "HTTP/1.1 204 No Content\r\n\r\n".into(),
            whole.clone(),
        ),
        (
            "srv-204body",
            vec![head(0, &[(":status", "204")]), data(ES, b"abc")],
            "HTTP/1.1 204 No Content\r\n\r\n".into(),
            reset(1, true),
        ),
        (
            "srv-304cl",
            vec![head(ES, &[(":status", "304"), ("content-length", "55")])],
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 55\r\n\r\n".into(),
            whole,
        ),
        (
            "srv-cllong",
            vec![head(0, &[STATUS, ("content-length", "3")]), data(ES, b"abcdef")],
            length(3),
            reset(1, true),
        ),
        ("srv-cles", vec![head(ES, &[STATUS, ("content-length", "9")])], none(), bad()),
        ("srv-nostatus", vec![head(0, &[("x", "y")])], none(), bad()),
        ("srv-status2x", vec![head(0, &[(":status", "2x")])], none(), bad()),
        ("srv-conn", vec![head(0, &[STATUS, ("connection", "close")])], none(), bad()),
        ("srv-upper", vec![head(0, &[STATUS, ("X-A", "b")])], none(), bad()),
        ("srv-nul", vec![head(0, &[STATUS, ("x", "a\0")])], none(), bad()),
        ("srv-lf", vec![head(0, &[STATUS, ("x", "a\nb")])], none(), bad()),
        ("srv-ph2", vec![head(0, &[STATUS, STATUS])], none(), bad()),
        ("srv-path", vec![head(0, &[STATUS, (":path", "/")])], none(), bad()),
        ("srv-push", vec![frame(PUSH, EH, 1, &[0, 0, 0, 2])], none(), protocol()),
        ("srv-ping", vec![frame(PING, 0, 0, &[0; 8]), ok.clone()], chunked.into(), more.clone()),
        ("srv-dataidle", vec![frame(DATA, 0, 3, b"x")], none(), protocol()),
        ("headers on an idle stream", vec![frame(HEADERS, EH, 3, &block(&[STATUS]))], none(), protocol()),
        ("srv-nodatahdr", vec![data(0, b"x")], none(), reset(1, true)),
        ("srv-iws", vec![settings(&[(4, 10)]), ok], chunked.into(), more.clone()),
        (
            "m-1xx",
            vec![interim, head(0, &[STATUS])],
            format!("HTTP/1.1 103 Informational\r\nlink: </a>\r\n\r\n{chunked}"),
            more,
        ),
        ("1xx that ends", vec![head(ES, &[(":status", "103")])], none(), bad()),
    ];
    for (name, frames, heads, event) in rows {
        let mut peer = asked();
        for frame in frames {
            peer.send(&frame);
        }
        assert_eq!(peer.heads.concat(), heads, "{name}");
        assert_eq!(peer.events.last(), Some(&event), "{name}");
    }
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
