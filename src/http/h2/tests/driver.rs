//! A peer that speaks in raw frames, and what it sees, in the words of the cases: `H(1,200)`, `D(1,ES)`, `RST(1,CODE)`,
//! `GOAWAY(1,CODE)`, `PONG`.

use crate::base::Buf;
use crate::http::h2::{Code, Connection, Event, Options, PREFACE, Role};
use crate::http::hpack::Decoder;
use crate::http::{BodyLen, H1Options, Head, Hop, Parse, Slices};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// END_STREAM, END_HEADERS, PADDED, PRIORITY.
pub(super) const ES: u8 = 1;
pub(super) const EH: u8 = 4;
pub(super) const PAD: u8 = 8;
pub(super) const PRIO: u8 = 0x20;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let mut out = vec![len[1], len[2], len[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A literal that is not put into a table.
pub(super) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        length(text.len(), &mut out);
        out.extend(text);
    }
    out
}

pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(n, v)| field(n.as_bytes(), v.as_bytes())).collect()
}

pub(super) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "ex.com")];

/// The fields of a plain GET, and these.
pub(super) fn get_with(extra: &[(&str, &str)]) -> Vec<u8> {
    block(&[&GET[..], extra].concat())
}

/// A request without a body.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, EH | ES, stream, &get_with(&[]))
}

/// The head of a POST, and these.
pub(super) fn post(stream: u32, extra: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&[(":method", "POST")], &GET[1..], extra].concat();
    frame(HEADERS, EH, stream, &block(&fields))
}

pub(super) fn settings(list: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        list.iter().flat_map(|(id, v)| [&id.to_be_bytes()[..], &v.to_be_bytes()[..]].concat()).collect();
    frame(SETTINGS, 0, 0, &payload)
}

pub(super) fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(UPDATE, 0, stream, &by.to_be_bytes())
}

/// What the far end does with requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Answers `ok` as soon as the request is whole.
    Answers,
    /// Answers with so many bytes.
    Sends(usize),
    Silent,
}

pub(super) struct Peer {
    pub connection: Connection,
    pub origin: Origin,
    /// What was seen on the wire, frame by frame.
    pub seen: Vec<String>,
    /// WINDOW_UPDATEs seen: stream and increment.
    pub updates: Vec<(u32, u32)>,
    /// The requests or responses that came out, as HTTP/1.
    pub heads: Vec<String>,
    pub events: Vec<Event>,
    pub body: Vec<u8>,
    /// Fields of the heads that were sent to us.
    pub fields: Vec<String>,
    /// Takes what comes of bodies.
    pub consumes: bool,
    pub now_ms: u64,
    decoder: Decoder,
    wire: Vec<u8>,
    pub unsent: Vec<(u32, usize)>,
}

impl Peer {
    pub(super) fn with(options: Options) -> Peer {
        Peer {
            connection: Connection::new(options),
            origin: Origin::Answers,
            seen: Vec::new(),
            updates: Vec::new(),
            heads: Vec::new(),
            events: Vec::new(),
            body: Vec::new(),
            fields: Vec::new(),
            consumes: true,
            now_ms: 0,
            decoder: Decoder::new(4096),
            wire: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// A server that was greeted.
    pub(super) fn server_with(options: Options) -> Peer {
        let mut peer = Peer::with(options);
        peer.send(&[&PREFACE[..], &settings(&[])].concat());
        peer.seen.clear();
        peer
    }

    pub(super) fn server() -> Peer {
        Peer::server_with(Options::default())
    }

    /// A client that was greeted.
    pub(super) fn client() -> Peer {
        let mut peer = Peer::with(Options { role: Role::Client, ..Options::default() });
        peer.send(&settings(&[]));
        peer.seen.clear();
        peer
    }

    /// Hands bytes in, answers what comes of them, and looks at what is sent.
    pub(super) fn send(&mut self, bytes: &[u8]) -> &mut Peer {
        let mut head = Head::default();
        let mut at = 0;
        while let Some(event) = self.connection.receive(self.now_ms, bytes, &mut at, &mut head) {
            self.react(&event, bytes, &mut head);
            self.events.push(event);
        }
        assert_eq!(at, bytes.len());
        loop {
            let mut free = Vec::new();
            self.connection.released(|stream| free.push(stream));
            if free.is_empty() && self.connection.output().is_empty() {
                return self;
            }
            for stream in free {
                self.go_on(stream);
            }
            self.look();
        }
    }

    fn react(&mut self, event: &Event, bytes: &[u8], head: &mut Head) {
        match event {
            Event::Head { stream, end } => {
                let mut slices = Slices::new();
                head.slices(Hop::AsIs, &mut slices);
                self.heads.push(String::from_utf8_lossy(&slices.concat()).into_owned());
                let tunnel = head.upgrade || head.method_bytes() == b"CONNECT";
                if !head.is_response && (*end || tunnel) {
                    self.answer(*stream, head.upgrade, tunnel);
                }
            }
            Event::Refused { stream, status, .. } => self.answer_with(*stream, *status, b"no"),
            Event::Data { stream, range, end } => {
                self.body.extend(&bytes[range.clone()]);
                if self.consumes {
                    self.connection.consumed(*stream, range.len());
                }
                if *end {
                    self.answer(*stream, false, false);
                }
            }
            Event::Trailers { stream } => {
                self.heads.push(head.fields().map(|(n, v)| line(n, v)).collect());
                self.answer(*stream, false, false);
            }
            _ => {}
        }
    }

    fn answer(&mut self, stream: u32, upgrade: bool, tunnel: bool) {
        if self.connection.output().starts_with(PREFACE) || !self.connection.is_live(stream) {
            return;
        }
        match self.origin {
            Origin::Silent => {}
            Origin::Answers if tunnel => {
                let head = response(if upgrade { 101 } else { 200 }, BodyLen::Tunnel);
                self.connection.respond(stream, &head, false).expect("live");
                self.connection.send_data(stream, b"tunnel", false).expect("live");
            }
            Origin::Answers => self.answer_with(stream, 200, b"ok"),
            Origin::Sends(n) => {
                let head = response(200, BodyLen::Length(n as u64));
                self.connection.respond(stream, &head, false).expect("live");
                self.unsent.push((stream, n));
                self.go_on(stream);
            }
        }
    }

    fn answer_with(&mut self, stream: u32, status: u16, body: &[u8]) {
        let head = response(status, BodyLen::Length(body.len() as u64));
        self.connection.respond(stream, &head, false).expect("live");
        self.connection.send_data(stream, body, true).expect("live");
        self.connection.finish(stream);
    }

    fn go_on(&mut self, stream: u32) {
        let Some(at) = self.unsent.iter().position(|(s, _)| *s == stream) else { return };
        let left = self.unsent[at].1;
        let sent = self.connection.send_data(stream, &vec![b'x'; left], true).unwrap_or(left);
        self.unsent[at].1 -= sent;
        if sent == left {
            self.unsent.remove(at);
        }
    }

    /// Takes the output, and notes its frames.
    pub(super) fn look(&mut self) {
        self.wire.extend(self.connection.output());
        let n = self.connection.output().len();
        self.connection.advance(n);
        if self.wire.starts_with(PREFACE) {
            self.wire.drain(..PREFACE.len());
        }
        while self.wire.len() >= 9 {
            let len = u32::from_be_bytes([0, self.wire[0], self.wire[1], self.wire[2]]) as usize;
            if self.wire.len() < 9 + len {
                break;
            }
            let frame: Vec<u8> = self.wire.drain(..9 + len).collect();
            self.note(&frame);
        }
    }

    fn note(&mut self, frame: &[u8]) {
        let (kind, flags, payload) = (frame[3], frame[4], &frame[9..]);
        let number = |b: &[u8]| u32::from_be_bytes(b[..4].try_into().expect("four"));
        let stream = number(&frame[5..9]);
        let code = |b: &[u8]| {
            let name = format!("{:?}", Code(number(b)));
            name.trim_end_matches("_ERROR").replace("_STREAM", "").replace("NO", "NO_ERROR")
        };
        let es = if flags & ES != 0 { ",ES" } else { "" };
        let text = match kind {
            HEADERS => {
                assert!(flags & EH != 0, "one frame is enough here");
                let mut fields = Vec::new();
                let noted = |n: &[u8], v: &[u8], _| fields.push(line(n, v));
                self.decoder.decode(payload, noted).expect("a block");
                let status =
                    fields.iter().find_map(|f| f.strip_prefix(":status: ")).unwrap_or("trl").to_owned();
                self.fields.extend(fields);
                format!("H({stream},{}{es})", status.trim())
            }
            DATA if es.is_empty() => format!("D({stream})[{}]", payload.len()),
            DATA => format!("D({stream},ES)"),
            RST => format!("RST({stream},{})", code(payload)),
            GOAWAY => format!("GOAWAY({},{})", number(payload), code(&payload[4..])),
            PING => "PONG".to_owned(),
            // The octet that a first window is short of.
            UPDATE if payload == [0, 0, 0, 1] => return,
            UPDATE => return self.updates.push((stream, number(payload))),
            SETTINGS => return,
            _ => format!("frame {kind}"),
        };
        self.seen.push(text);
    }

    /// What was seen since the last time.
    pub(super) fn saw(&mut self) -> String {
        std::mem::take(&mut self.seen).join(" ")
    }
}

fn line(name: &[u8], value: &[u8]) -> String {
    format!("{}: {}\n", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
}

pub(super) fn response(status: u16, body: BodyLen) -> Head {
    let mut head = Head::default();
    head.begin_response(status, b"", body);
    head
}

/// A head of HTTP/1.
pub(super) fn h1(text: &str, response: bool) -> Head {
    let mut head = Head::with(Buf::take(text.len()));
    head.buf.push(text.as_bytes());
    let o = H1Options::default();
    let verdict =
        if response { head.parse_response(crate::http::Method::Get, &o) } else { head.parse_request(&o) };
    assert_eq!(verdict, Parse::Done, "{text}");
    head
}

pub(super) const OK: &str = "H(1,200) D(1,ES)";

/// Each case: what is sent to a fresh server behind preface and SETTINGS, and what it sees.
pub(super) fn table(rows: &[(&str, Vec<u8>, &str)]) {
    let mut wrong = String::new();
    for (name, bytes, expected) in rows {
        for step in [bytes.len().max(1), 1] {
            let mut peer = Peer::server();
            for piece in bytes.chunks(step) {
                peer.send(piece);
            }
            let saw = peer.saw();
            if saw != *expected {
                wrong += &format!("{name} by {step}: saw {saw}, expected {expected}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The length of a string that is not in the Huffman code.
fn length(n: usize, out: &mut Vec<u8>) {
    if n < 127 {
        return out.push(n as u8);
    }
    out.push(127);
    let mut rest = n - 127;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}
