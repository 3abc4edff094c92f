//! A client that speaks in frames of its own making, and what it sees.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
/// END_STREAM, END_HEADERS.
pub const ES: u8 = 1;
pub const EH: u8 = 4;

pub const CANCEL: u32 = 8;
pub const CALM: u32 = 11;

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&[len[1], len[2], len[3], kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// A request's fields, none of which goes into a table.
pub fn block(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "ex.com")];
    let mut out = Vec::new();
    for (name, value) in own.iter().chain(more) {
        out.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "one octet says the length");
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, ES | EH, stream, &block("GET", path, &[]))
}

pub fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, EH, stream, &block("POST", path, &[]))
}

/// Preface and SETTINGS.
pub fn hello(settings: &[u8]) -> Vec<u8> {
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, settings)].concat()
}

/// A frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Seen {
    /// The code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST => 0,
            GOAWAY => 4,
            _ => return None,
        };
        self.payload.get(at..at + 4).map(|b| u32::from_be_bytes(b.try_into().expect("four")))
    }
}

/// A connection.
pub struct Raw {
    pub stream: TcpStream,
    bytes: Vec<u8>,
    pub seen: Vec<Seen>,
    pub has_ended: bool,
}

impl Raw {
    /// Connects and greets, with these settings.
    pub fn connect(addr: SocketAddr, settings: &[u8]) -> Raw {
        let stream = TcpStream::connect(addr).expect("connect");
        stream.set_nodelay(true).expect("an option");
        let mut raw = Raw { stream, bytes: Vec::new(), seen: Vec::new(), has_ended: false };
        assert!(raw.send(&hello(settings)));
        raw
    }

    /// False: the connection has ended.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Reads what there is within a time.
    pub fn read(&mut self, at_most: Duration) {
        let _ = self.stream.set_read_timeout(Some(at_most.max(Duration::from_millis(1))));
        let mut room = [0; 65536];
        match self.stream.read(&mut room) {
            Ok(n @ 1..) => self.bytes.extend_from_slice(&room[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => self.has_ended = true,
        }
        let mut at = 0;
        while let Some(&[a, b, c, kind, flags, d, e, f, g]) = self.bytes.get(at..at + 9) {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(payload) = self.bytes.get(at + 9..at + 9 + len) else { break };
            let stream = u32::from_be_bytes([d, e, f, g]);
            self.seen.push(Seen { kind, flags, stream, payload: payload.to_vec() });
            at += 9 + len;
        }
        self.bytes.drain(..at);
    }

    /// Reads until `done` or the end of the connection, but no longer than this. Tells whether it is done.
    pub fn until(&mut self, at_most: Duration, done: impl Fn(&[Seen]) -> bool) -> bool {
        let end = Instant::now() + at_most;
        loop {
            if done(&self.seen) {
                return true;
            }
            let now = Instant::now();
            if self.has_ended || now >= end {
                return false;
            }
            self.read(end - now);
        }
    }

    /// Waits for the end of a stream.
    pub fn answered(&mut self, stream: u32) -> bool {
        let ends = |s: &Seen| s.stream == stream && s.kind <= HEADERS && s.flags & ES != 0;
        self.until(Duration::from_secs(5), |seen| seen.iter().any(ends))
    }

    /// The code that the connection was ended with.
    pub fn goaway(&self) -> Option<u32> {
        self.seen.iter().rev().find(|s| s.kind == GOAWAY).and_then(Seen::code)
    }
}
