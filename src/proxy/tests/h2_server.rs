//! HTTP/2 connections to servers: the server is the machine's other role.

use crate::http::h2::{Code, Connection, Event, Options};
use crate::http::{BodyLen, Head};

use super::rig::{GET, Rig, Wire, answers};

/// A server that speaks HTTP/2.
pub struct Server {
    pub wire: Wire,
    pub machine: Connection,
    seen: Vec<String>,
    head: Head,
}

impl Server {
    pub fn of(wire: Wire) -> Server {
        let machine = Connection::new(Options::default());
        let mut server = Server { wire, machine, seen: Vec::new(), head: Head::default() };
        server.turn();
        server
    }

    pub fn turn(&mut self) {
        loop {
            let out = self.machine.output().to_vec();
            self.machine.advance(out.len());
            if !out.is_empty() {
                self.wire.send(&out);
            }
            let bytes = self.wire.take_bytes();
            let mut at = 0;
            while let Some(event) = self.machine.receive(0, &bytes, &mut at, &mut self.head) {
                self.note(event, &bytes);
            }
            if bytes.is_empty() && self.machine.output().is_empty() {
                return;
            }
        }
    }

    fn note(&mut self, event: Event, bytes: &[u8]) {
        self.seen.push(match event {
            Event::Head { stream, end } => {
                let head = &self.head;
                let fields: Vec<_> = head.fields().map(|(n, v)| [n, b": ", v].concat()).collect();
                let line = [head.method_bytes(), b" ", head.target_bytes(), b" "].concat();
                let text = [&line[..], &fields.join(&b", "[..])].concat();
                format!("{stream}: {}{}", String::from_utf8_lossy(&text), if end { " END" } else { "" })
            }
            Event::Data { stream, range, end } => {
                self.machine.consumed(stream, range.len());
                let data = String::from_utf8_lossy(&bytes[range]).into_owned();
                format!("{stream}> {data}{}", if end { " END" } else { "" })
            }
            Event::Trailers { stream } => format!("{stream}: trailers {}", self.head.fields.len()),
            Event::Reset { stream, code, .. } => format!("{stream}: reset {code:?}"),
            other => format!("{other:?}"),
        });
    }

    pub fn saw(&mut self) -> Vec<String> {
        self.turn();
        std::mem::take(&mut self.seen)
    }

    pub fn head(&mut self, stream: u32, status: u16, fields: &[(&str, &str)], end: bool) {
        let mut head = Head::default();
        head.begin_response(status, b"", BodyLen::Chunked);
        for (name, value) in fields {
            head.put(name.as_bytes(), value.as_bytes());
        }
        self.machine.respond(stream, &head, end).expect("live");
        self.turn();
    }

    pub fn answer(&mut self, stream: u32, body: &str) {
        self.head(stream, 200, &[], false);
        self.machine.send_data(stream, body.as_bytes(), true).expect("live");
        self.turn();
    }
}

fn rig(lines: &[&str]) -> Rig {
    Rig::listen(&[lines, &["server s1 10.0.0.1:80 proto h2"]].concat())
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

#[test]
fn a_request_and_its_response() {
    let rig = rig(&[]);
    let mut client = rig.client();
    client.send("GET /a?b HTTP/1.1\r\nHost: h\r\nX-Y: z\r\nConnection: close\r\n\r\n");
    let mut server = server_of(&rig);
    assert_eq!(server.saw(), ["1: GET /a?b host: h, x-y: z END"]);
    server.answer(1, "ok");
    let answer = client.take();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"), "{answer}");
    assert!(answer.ends_with("2\r\nok\r\n0\r\n\r\n"), "{answer}");
    assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
}

/// The next connection to the rig's server.
pub fn server_of(rig: &Rig) -> Server {
    Server::of(rig.server("s1"))
}

/// Streams of several clients share a connection; the second one finds it.
#[test]
fn clients_share_a_connection() {
    let rig = rig(&["http-reuse always"]);
    let (mut a, mut b) = (rig.client(), rig.client());
    a.send(GET);
    let mut server = server_of(&rig);
    server.turn();
    b.send(GET);
    assert_eq!(server.saw(), ["1: GET / host: h END", "3: GET / host: h END"]);
    server.answer(3, "ok");
    server.answer(1, "ok");
    assert_eq!((a.take(), b.take()), (CHUNKED.into(), CHUNKED.into()));
    a.send(GET);
    server.saw();
    server.answer(5, "ok");
    assert_eq!(a.take(), CHUNKED);
    assert_eq!(rig.opened("s1"), 1);
    assert_eq!(rig.count("s1").reuse, 2);
}

/// A session's first request goes on a connection of its own with `safe`; `never` gives one to each.
#[test]
fn reuse_is_as_safe_as_asked() {
    for (line, opened) in [("http-reuse safe", 2), ("http-reuse never", 3), ("http-reuse always", 1)] {
        let rig = rig(&[line]);
        let (mut a, mut b) = (rig.client(), rig.client());
        let mut servers: Vec<Server> = Vec::new();
        for client in [&mut a, &mut b] {
            client.send(GET);
            answer_all(&rig, &mut servers);
            assert_eq!(client.take(), CHUNKED, "{line}");
        }
        a.send(GET);
        answer_all(&rig, &mut servers);
        assert_eq!(a.take(), CHUNKED, "{line}");
        assert_eq!(rig.opened("s1"), opened, "{line}");
    }
}

/// Every request that has come by any connection is answered.
fn answer_all(rig: &Rig, servers: &mut Vec<Server>) {
    rig.settle();
    while let Some(wire) = rig.try_server("s1") {
        servers.push(Server::of(wire));
    }
    for server in servers {
        for line in server.saw() {
            let stream = line.split(':').next().and_then(|n| n.parse().ok());
            if let Some(stream) = stream.filter(|_| line.ends_with(" END")) {
                server.answer(stream, "ok");
            }
        }
    }
}

#[test]
fn bodies_and_trailers() {
    let rig = rig(&[]);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    let mut server = server_of(&rig);
    client.send("def");
    assert_eq!(server.saw(), ["1: POST / host: h, content-length: 6", "1> abc", "1> def END"]);
    server.head(1, 200, &[("x-a", "b")], false);
    server.machine.send_data(1, b"ok", false).expect("live");
    server.machine.send_trailers(1, [(&b"x-t"[..], &b"v"[..])].into_iter()).expect("live");
    server.turn();
    let text =
        "HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: v\r\n\r\n";
    assert_eq!(client.take(), text);
    client.send(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n",
    );
    let saw = server.saw();
    assert_eq!(saw, ["3: POST / host: h, transfer-encoding: chunked", "3> abc", "3: trailers 1"]);
    server.head(3, 204, &[], true);
    assert_eq!(client.take(), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(rig.log(), ["p/s1 200 -- 0", "p/s1 204 -- 0"]);
}

/// srv-refuse, srv-goaway0, srv-refuse-always.
#[test]
fn what_was_not_looked_at_is_asked_again() {
    let one = rig(&[]);
    let mut client = one.client();
    client.send(GET);
    let mut server = server_of(&one);
    server.turn();
    server.machine.reset(1, Code::REFUSED_STREAM);
    server.turn();
    one.pass(1_000);
    let mut other = server_of(&one);
    assert_eq!(other.saw(), ["1: GET / host: h END"]);
    other.answer(1, "ok");
    assert_eq!(client.take(), CHUNKED);
    assert_eq!(one.log(), ["p/s1 200 -- 1"]);
    let two = rig(&[]);
    let mut client = two.client();
    client.send(GET);
    let mut server = server_of(&two);
    server.turn();
    // GOAWAY, last stream 0.
    server.wire.send([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    two.pass(1_000);
    let mut other = server_of(&two);
    assert_eq!(other.saw(), ["1: GET / host: h END"]);
    other.answer(1, "ok");
    assert_eq!(client.take(), CHUNKED);
    let three = rig(&["retries 2"]);
    let mut client = three.client();
    client.send(GET);
    for _ in 0..3 {
        let mut server = server_of(&three);
        server.turn();
        server.machine.reset(1, Code::REFUSED_STREAM);
        server.turn();
        three.pass(1_000);
    }
    assert!(three.try_server("s1").is_none());
    assert_eq!(answers(&client.take()), [503]);
}

/// srv-rstcancel, srv-rstproto, srv-rst13, srv-close: a bad gateway, or a response that is cut.
#[test]
fn a_stream_that_breaks() {
    for code in [Code::CANCEL, Code::PROTOCOL, Code::HTTP_1_1_REQUIRED] {
        let rig = rig(&[]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = server_of(&rig);
        server.turn();
        server.machine.reset(1, code);
        server.turn();
        assert_eq!(answers(&client.take()), [502], "{code:?}");
    }
    let rig = rig(&[]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = server_of(&rig);
    server.head(1, 200, &[("content-length", "10")], false);
    server.machine.send_data(1, b"abc", false).expect("live");
    server.machine.reset(1, Code::CANCEL);
    server.turn();
    let answer = client.take();
    assert!(answer.ends_with("abc"), "{answer}");
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 200 SD 0"]);
}

#[test]
fn a_client_that_leaves_resets_its_stream_alone() {
    let rig = rig(&["http-reuse always"]);
    let (mut a, mut b) = (rig.client(), rig.client());
    a.send(GET);
    let mut server = server_of(&rig);
    server.turn();
    b.send(GET);
    server.saw();
    a.leave();
    rig.settle();
    assert_eq!(server.saw(), ["1: reset CANCEL"]);
    server.answer(3, "ok");
    assert_eq!(b.take(), CHUNKED);
}

/// An idle connection is closed after `pool-purge-delay`, and a server that cannot be reached is an error.
#[test]
fn connections_come_and_go() {
    let rig = rig(&[]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = server_of(&rig);
    server.turn();
    server.answer(1, "ok");
    assert_eq!(client.take(), CHUNKED);
    server.saw();
    rig.pass(6_000);
    let saw = server.saw();
    assert_eq!(saw, ["GoAway { last: 0, code: NO_ERROR }"]);
    assert!(server.wire.has_ended());
    rig.receive("s1", super::rig::Reception::Fails(std::io::ErrorKind::ConnectionRefused));
    client.send(GET);
    rig.pass(5_000);
    assert_eq!(answers(&client.take()), [503]);
}

/// HTTP/2 on both sides.
#[test]
fn from_http_2_to_http_2() {
    let rig = rig(&[]);
    let mut client = super::h2::Client::of(rig.client());
    client.get("/x");
    let mut server = server_of(&rig);
    assert_eq!(server.saw(), ["1: GET /x host: h END"]);
    server.head(1, 103, &[("link", "</a>")], false);
    server.head(1, 200, &[("grpc-status", "0")], true);
    let expected = [
        "1: HTTP/1.1 103 Informational link: </a>",
        "1: HTTP/1.1 200 OK grpc-status: 0 content-length: 0 END",
    ];
    assert_eq!(client.saw(), expected);
}

/// `send-proxy` goes before the preface, on a connection that nobody else uses.
#[test]
fn a_proxy_header_comes_first() {
    let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80 proto h2 send-proxy"]);
    let (mut a, mut b) = (rig.client(), rig.client());
    a.send(GET);
    let mut wire = rig.server("s1");
    let first = wire.take();
    assert!(first.starts_with("PROXY ") && first.contains("\r\nPRI * HTTP/2.0\r\n"), "{first}");
    b.send(GET);
    assert_eq!(rig.opened("s1"), 2);
}
