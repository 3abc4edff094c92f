//! HTTP/2 connections of clients: the client is the machine's other role.

use crate::base::Buf;
use crate::http::h2::{Code, Connection, Event, Options, Role};
use crate::http::{H1Options, Head, Hop, Parse, Slices};

use super::rig::{OK, Rig, Wire};

/// A client that speaks HTTP/2.
pub struct Client {
    pub wire: Wire,
    pub machine: Connection,
    /// What was received: a line for each event.
    seen: Vec<String>,
    head: Head,
    /// Bodies are taken as they come.
    reads: bool,
}

impl Client {
    pub fn of(wire: Wire) -> Client {
        let machine = Connection::new(Options { role: Role::Client, ..Options::default() });
        let mut client = Client { wire, machine, seen: Vec::new(), head: Head::default(), reads: true };
        client.turn();
        client
    }

    /// Sends what there is, and takes what comes.
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
        let text = match event {
            Event::Head { stream, end } => {
                let mut slices = Slices::new();
                self.head.slices(Hop::AsIs, &mut slices);
                let text = String::from_utf8_lossy(&slices.concat()).replace("\r\n", " ");
                format!("{stream}: {}{}", text.trim(), if end { " END" } else { "" })
            }
            Event::Data { stream, range, end } => {
                if self.reads {
                    self.machine.consumed(stream, range.len());
                }
                let data = String::from_utf8_lossy(&bytes[range]);
                let data = if data.len() > 40 { format!("{} bytes", data.len()) } else { data.into_owned() };
                format!("{stream}> {data}{}", if end { " END" } else { "" })
            }
            Event::Trailers { stream } => {
                let fields = self.head.fields().map(|(n, v)| [n, b"=", v].concat());
                let fields: Vec<_> = fields.map(|f| String::from_utf8_lossy(&f).into_owned()).collect();
                format!("{stream}: trailers {}", fields.join(" "))
            }
            Event::Reset { stream, code, .. } => format!("{stream}: reset {code:?}"),
            Event::GoAway { last, code } => format!("goaway {last} {code:?}"),
            other => format!("{other:?}"),
        };
        self.seen.push(text);
    }

    /// Sends a request; its number.
    pub fn ask(&mut self, text: &str, end: bool) -> u32 {
        let mut head = Head::with(Buf::take(text.len()));
        head.buf.push(text.as_bytes());
        assert_eq!(head.parse_request(&H1Options::default()), Parse::Done);
        let stream = self.machine.request(&head, b"http", end).expect("room");
        self.turn();
        stream
    }

    pub fn get(&mut self, path: &str) -> u32 {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: h\r\n\r\n"), true)
    }

    pub fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        let mut sent = 0;
        while sent < bytes.len() || (end && bytes.is_empty()) {
            let n = self.machine.send_data(stream, &bytes[sent..], end).expect("live");
            self.turn();
            sent += n;
            assert!(n > 0 || bytes.is_empty(), "no window");
            if bytes.is_empty() {
                return;
            }
        }
    }

    pub fn saw(&mut self) -> Vec<String> {
        self.turn();
        std::mem::take(&mut self.seen)
    }
}

fn rig(lines: &[&str]) -> Rig {
    Rig::listen(&[lines, &["server s1 10.0.0.1:80"]].concat())
}

const LENGTH: &str = "1: HTTP/1.1 200 OK content-length: 2";

/// prior-knowledge: on an address that takes HTTP/1 as well.
#[test]
fn a_preface_makes_it_http_2() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    client.get("/a");
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "GET /a HTTP/1.1\r\nhost: h\r\n\r\n");
    server.send(OK);
    assert_eq!(client.saw(), [LENGTH, "1> ok END"]);
    assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
    client.get("/b");
    assert_eq!(server.take(), "GET /b HTTP/1.1\r\nhost: h\r\n\r\n", "the server's connection is used again");
    server.send(OK);
    assert_eq!(client.saw(), [&LENGTH.replace("1:", "3:"), "3> ok END"]);
    assert_eq!((rig.front("p").http_req, rig.front("p").conn_tot), (2, 1));
}

#[test]
fn a_preface_may_come_in_pieces_and_may_be_unwanted() {
    let one = rig(&[]);
    let mut wire = one.client();
    for byte in crate::http::h2::PREFACE {
        wire.send([*byte]);
    }
    wire.send([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(wire.take_bytes()[3], 4, "SETTINGS");
    let none = rig(&["option disable-h2-upgrade"]);
    let mut wire = none.client();
    wire.send(crate::http::h2::PREFACE);
    assert!(wire.take().starts_with("HTTP/1.1 505 "));
}

/// `proto h1`: no preface makes it anything else.
#[test]
fn an_address_that_takes_http_1_alone() {
    let rig = Rig::new("listen p\n bind :80 proto h1\n server s1 10.0.0.1:80\n");
    let mut wire = rig.client();
    wire.send(crate::http::h2::PREFACE);
    assert!(wire.take().starts_with("HTTP/1.1 505 "));
    let mut wire = rig.client();
    wire.send(super::rig::GET);
    assert_eq!(rig.server("s1").take(), super::rig::GET);
}

/// `proto h2`: nothing else is understood.
#[test]
fn an_address_that_takes_http_2_alone() {
    let text = "listen p\n bind :80 proto h2\n server s1 10.0.0.1:80\n";
    let rig = Rig::new(text);
    let mut client = Client::of(rig.client());
    client.get("/");
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), [LENGTH, "1> ok END"]);
    let mut wire = rig.client();
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let bytes = wire.take_bytes();
    assert_eq!(bytes[bytes.len() - 4..], [0, 0, 0, 1], "GOAWAY PROTOCOL_ERROR");
}

#[test]
fn streams_run_beside_each_other() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    for path in ["/1", "/3", "/5"] {
        client.get(path);
    }
    let mut servers: Vec<_> = (0..3).map(|_| rig.server("s1")).collect();
    for (server, path) in servers.iter_mut().zip(["/1", "/3", "/5"]) {
        assert!(server.take().starts_with(&format!("GET {path} ")));
    }
    servers[2].send(OK);
    servers[0].send(OK);
    let saw = client.saw();
    assert_eq!(saw, [&LENGTH.replace("1:", "5:"), "5> ok END", LENGTH, "1> ok END"]);
}

#[test]
fn bodies_of_requests() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    let post = |length: &str| format!("POST / HTTP/1.1\r\nhost: h\r\n{length}\r\n");
    let stream = client.ask(&post("content-length: 6\r\n"), false);
    client.data(stream, b"abc", false);
    let mut server = rig.server("s1");
    client.data(stream, b"def", true);
    assert_eq!(server.take(), "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\nabcdef");
    server.send(OK);
    client.saw();
    let stream = client.ask(&post("transfer-encoding: chunked\r\n"), false);
    client.data(stream, b"abc", false);
    client.machine.send_trailers(stream, [(&b"x-t"[..], &b"v"[..])].into_iter()).expect("live");
    client.turn();
    let expected =
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-t: v\r\n\r\n";
    assert_eq!(server.take(), expected);
    server.send(OK);
    assert_eq!(client.saw(), ["3: HTTP/1.1 200 OK content-length: 2", "3> ok END"]);
    assert_eq!(rig.idle("s1"), 1);
}

#[test]
fn a_large_body_goes_up_and_comes_down() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    let size = 3_000_000;
    let stream = client.ask(&format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {size}\r\n\r\n"), false);
    let mut server = rig.server("s1");
    let mut received = server.take().split_once("\r\n\r\n").expect("a head").1.len();
    for part in 0..300 {
        client.data(stream, &[b'u'; 10_000], part == 299);
        received += server.take().len();
    }
    received += server.take().len();
    assert_eq!(received, size);
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
    let mut got = 0;
    let mut sent = 0;
    while got < size {
        if sent < size {
            sent += server.offer(vec![b'd'; (size - sent).min(100_000)]);
        }
        for line in client.saw() {
            got += line.strip_prefix("1> ").map_or(0, |rest| match rest.split_once(" bytes") {
                Some((n, _)) => n.parse().expect("a number"),
                None => rest.trim_end_matches(" END").len(),
            });
        }
    }
    assert_eq!((got, sent), (size, size));
    assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
}

/// o-cut, o-cutch, and what is whole.
#[test]
fn responses_of_every_framing() {
    let rows = [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "1> abc;1>  END"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: v\r\n\r\n",
            "1> abc;1: trailers x-t=v",
        ),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", "1> abc;1>  END"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "1> abc;1: reset CANCEL"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "1> abc;1: reset CANCEL"),
    ];
    for (response, expected) in rows {
        let rig = rig(&[]);
        let mut client = Client::of(rig.client());
        client.get("/");
        let mut server = rig.server("s1");
        server.send(response);
        server.finish();
        let saw = client.saw();
        assert!(saw[0].starts_with("1: HTTP/1.1 200 OK"), "{saw:?}");
        assert_eq!(saw[1..].join(";"), expected, "{response:?}");
    }
}

#[test]
fn responses_without_a_body() {
    for (request, response, expected) in [
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 55\r\n\r\n",
            "304 Not Modified content-length: 55 END",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 No Content END"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 OK content-length: 0 END"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "200 OK content-length: 7 END"),
    ] {
        let rig = rig(&[]);
        let mut client = Client::of(rig.client());
        client.ask(&format!("{request} / HTTP/1.1\r\nhost: h\r\n\r\n"), true);
        rig.server("s1").send(response);
        assert_eq!(client.saw(), [format!("1: HTTP/1.1 {expected}")], "{response}");
    }
}

#[test]
fn interim_responses_and_expectations() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    client.get("/");
    let mut server = rig.server("s1");
    server.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    assert_eq!(client.saw(), ["1: HTTP/1.1 103 Informational link: </a>"]);
    server.send(OK);
    assert_eq!(client.saw(), [LENGTH, "1> ok END"]);
}

/// to-server, st-deny, act-reject, and what rules say.
#[test]
fn answers_of_our_own() {
    let rig = rig(&[
        "http-request deny if { path /deny }",
        "http-request return status 200 content-type text/plain string hi if { path /return }",
        "http-request reject if { path /reject }",
    ]);
    let mut client = Client::of(rig.client());
    client.get("/return");
    let text = "HTTP/1.1 200 OK content-length: 2 content-type: text/plain";
    assert_eq!(client.saw(), [format!("1: {text}"), "1> hi END".into()]);
    let post = "POST /deny HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n";
    client.ask(post, false);
    let saw = client.saw();
    assert!(saw[0].starts_with("3: HTTP/1.1 403 "), "{saw:?}");
    assert_eq!(saw.last().map(|s| &s[..]), Some("3: reset NO_ERROR"));
    client.get("/slow");
    rig.pass(20_000);
    let saw = client.saw();
    assert!(saw[0].starts_with("5: HTTP/1.1 504 "), "{saw:?}");
    assert_eq!(rig.log(), ["p/<NOSRV> 200 LR 0", "p/<NOSRV> 403 PR 0", "p/s1 504 sH 0"]);
    client.get("/reject");
    assert_eq!(client.saw().last().map(|s| &s[..]), Some("goaway 7 ENHANCE_YOUR_CALM"));
}

/// sz-*, h-*: what is refused has its status, and what is malformed is counted.
#[test]
fn what_cannot_be_served() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    let mut large = Head::with(Buf::take(64));
    large.buf.push(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(large.parse_request(&H1Options::default()), Parse::Done);
    for n in 0..20u8 {
        large.add(b"x-large", &[b'a' + n; 1000]);
    }
    client.machine.request(&large, b"http", true).expect("room");
    let saw = client.saw();
    assert!(saw[0].starts_with("1: HTTP/1.1 431 "), "{saw:?}");
    client.get("/");
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), ["3: HTTP/1.1 200 OK content-length: 2", "3> ok END"], "the connection lives");
    assert_eq!(rig.front("p").err_req, 1);
    assert_eq!(rig.log(), ["p/<NOSRV> 431 PR 0", "p/s1 200 -- 0"]);
    // HEADERS of stream 5 without a field.
    client.wire.send([0, 0, 0, 1, 5, 0, 0, 0, 5]);
    assert_eq!(rig.log(), ["p/<NOSRV> 0 PR 0"]);
    assert_eq!(rig.front("p").err_req, 2);
}

#[test]
fn a_client_that_gives_up_frees_the_server() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    let stream = client.get("/");
    let mut server = rig.server("s1");
    server.take();
    client.machine.reset(stream, Code::CANCEL);
    client.turn();
    assert!(server.has_ended());
    assert_eq!(rig.served("s1"), 0);
    assert_eq!(rig.log().len(), 1);
    client.get("/");
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), ["3: HTTP/1.1 200 OK content-length: 2", "3> ok END"]);
}

#[test]
fn a_client_that_leaves_frees_everything() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    client.get("/");
    client.get("/");
    let (mut a, mut b) = (rig.server("s1"), rig.server("s1"));
    assert!(a.take().starts_with("GET ") && b.take().starts_with("GET "));
    client.wire.leave();
    rig.pass(200);
    assert!(a.has_ended() && b.has_ended());
    assert_eq!((rig.served("s1"), rig.log().len()), (0, 2));
    assert_eq!(rig.worker.current_connections(), 0);
}

/// A stream whose reader is slow does not hold the others.
#[test]
fn a_slow_reader_holds_nobody() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    client.reads = false;
    client.get("/large");
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while server.offer([b'x'; 50_000]) == 50_000 {}
    client.reads = true;
    client.saw();
    client.get("/small");
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), ["3: HTTP/1.1 200 OK content-length: 2", "3> ok END"]);
}

#[test]
fn a_websocket_over_http_2() {
    let rig = rig(&["timeout tunnel 60s"]);
    let mut client = Client::of(rig.client());
    let text = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n";
    let stream = client.ask(text, false);
    let mut server = rig.server("s1");
    let asked = server.take();
    assert!(asked.starts_with("GET /chat HTTP/1.1\r\nhost: h\r\n"), "{asked}");
    assert!(asked.contains("upgrade: websocket\r\n") && asked.contains("sec-websocket-key: "), "{asked}");
    let opened = |accept: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\nhello"
        )
    };
    server.send(opened(&accept_of(&asked)));
    assert_eq!(client.saw(), ["1: HTTP/1.1 200 OK", "1> hello"]);
    client.data(stream, b"ping", false);
    assert_eq!(server.take(), "ping");
    server.send("pong");
    assert_eq!(client.saw(), ["1> pong"]);
    client.data(stream, b"", true);
    assert!(server.has_ended());
    client.ask(text, false);
    let mut server = rig.server("s1");
    server.take();
    server.send(opened("of another key"));
    assert!(client.saw()[0].starts_with("3: HTTP/1.1 502 "));
}

/// What has to be answered to the key in a request for a WebSocket.
fn accept_of(asked: &str) -> String {
    let key = asked.split("sec-websocket-key: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut head = Head::default();
    head.add(b"sec-websocket-key", key.expect("a key").as_bytes());
    crate::proxy::h2::websocket::accept(&head)
}

/// to-idle-new, to-client, to-idle-ping.
#[test]
fn an_idle_connection_ends_in_good_order() {
    let rig = rig(&["timeout http-request 2s", "timeout http-keep-alive 1s"]);
    let mut client = Client::of(rig.client());
    rig.pass(1_900);
    assert_eq!(client.saw(), [""; 0]);
    rig.pass(200);
    assert_eq!(client.saw(), ["goaway 0 NO_ERROR"]);
    assert!(client.wire.has_ended());
    let mut client = Client::of(rig.client());
    client.get("/");
    rig.server("s1").send(OK);
    client.saw();
    for _ in 0..3 {
        rig.pass(300);
        client.machine.send_ping([1; 8]);
        client.turn();
    }
    assert!(client.seen.is_empty());
    rig.pass(200);
    client.turn();
    assert!(client.seen.contains(&"goaway 1 NO_ERROR".to_owned()), "{:?}", client.seen);
}

#[test]
fn a_process_that_stops_lets_streams_finish() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    client.get("/");
    let mut server = rig.server("s1");
    server.take();
    rig.stop();
    assert_eq!(client.saw(), ["goaway 2147483647 NO_ERROR"]);
    server.send(OK);
    assert_eq!(client.saw(), [LENGTH, "1> ok END", "goaway 1 NO_ERROR"]);
    assert!(client.wire.has_ended());
}

#[test]
fn a_flood_is_cut_off() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], b"12345678"].concat();
    client.wire.send(ping.repeat(3000));
    let told = client.wire.take_bytes();
    assert_eq!(told[told.len() - 4..], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
    assert!(client.wire.has_ended());
    let limits = Rig::listen_in(
        " tune.h2.fe.glitches-threshold 10\n tune.h2.fe.max-concurrent-streams 2",
        &["server s1 10.0.0.1:80"],
    );
    let mut client = Client::of(limits.client());
    client.get("/");
    client.get("/");
    assert!(!client.machine.has_room(), "it was told how many");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    client.wire.send(settings.repeat(12));
    assert_eq!(client.saw().last().map(|s| &s[..]), Some("goaway 3 ENHANCE_YOUR_CALM"));
}

/// The server's first SETTINGS, with this line in `global`.
fn told(word: &str) -> Vec<(u16, u32)> {
    let rig = Rig::listen_in(&format!(" {word}"), &["server s1 10.0.0.1:80"]);
    let mut wire = rig.client();
    wire.send([&crate::http::h2::PREFACE[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat());
    let bytes = wire.take_bytes();
    let pairs = bytes[9..9 + usize::from(bytes[2])].chunks(6);
    pairs.map(|p| (u16::from_be_bytes([p[0], p[1]]), u32::from_be_bytes([p[2], p[3], p[4], p[5]]))).collect()
}

#[test]
fn clients_are_told_what_is_tuned() {
    for (word, id, value) in [
        ("tune.h2.header-table-size 1000", 1, 1000),
        ("tune.h2.max-concurrent-streams 7", 3, 7),
        ("tune.h2.fe.max-concurrent-streams 8", 3, 8),
        ("tune.h2.initial-window-size 70000", 4, 70_000),
        ("tune.h2.fe.initial-window-size 80000", 4, 80_000),
    ] {
        assert!(told(word).contains(&(id, value)), "{word}: {:?}", told(word));
    }
    assert_eq!(told("quiet"), [(8, 1), (3, 100)]);
}

/// to-body, fin-idle, o-bad.
#[test]
fn streams_that_come_to_nothing() {
    let rig = rig(&[]);
    let mut client = Client::of(rig.client());
    let stream = client.ask("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n", false);
    client.data(stream, b"abc", false);
    let mut server = rig.server("s1");
    assert!(server.take().ends_with("abc"));
    rig.pass(10_000);
    let saw = client.saw();
    assert!(saw[0].starts_with("1: HTTP/1.1 408 "), "{saw:?}");
    assert_eq!(saw.last().map(|s| &s[..]), Some("1: reset NO_ERROR"));
    client.get("/");
    rig.server("s1").send("nonsense\r\n\r\n");
    let saw = client.saw();
    assert!(saw[0].starts_with("3: HTTP/1.1 502 "), "{saw:?}");
    client.get("/");
    let mut server = rig.server("s1");
    server.take();
    client.wire.finish();
    rig.pass(200);
    assert!(server.has_ended(), "nobody waits for the answer");
}

/// act-tarpit, act-httpclose.
#[test]
fn actions_touch_their_stream_alone() {
    let rig = rig(&["option httpclose", "timeout tarpit 300ms", "http-request tarpit if { path /t }"]);
    let mut client = Client::of(rig.client());
    client.get("/t");
    client.get("/");
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), ["3: HTTP/1.1 200 OK content-length: 2", "3> ok END"]);
    rig.pass(400);
    let saw = client.saw();
    assert!(saw[0].starts_with("1: HTTP/1.1 500 "), "{saw:?}");
    client.get("/");
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), ["5: HTTP/1.1 200 OK content-length: 2", "5> ok END"], "no GOAWAY");
}

/// cont-stall, h2c-upgrade.
#[test]
fn blocks_that_stall_and_upgrades_that_are_not() {
    let rig = rig(&["timeout http-request 2s"]);
    let mut client = Client::of(rig.client());
    client.wire.send([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]);
    rig.pass(2_100);
    assert_eq!(client.saw().last().map(|s| &s[..]), Some("goaway 1 NO_ERROR"));
    let mut wire = rig.client();
    wire.send(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    server.send(OK);
    assert_eq!(wire.take(), OK);
}
