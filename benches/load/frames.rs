//! HTTP/2 on a connection, as cheap as can be: requests are one block of bytes each, and of responses only their frames
//! are looked at, the status as far as it is the first byte, and the length of bodies.

use crate::web::Told;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LARGEST: u32 = (1 << 31) - 1;
/// Requests under way are told apart by their numbers, modulo this.
const RING: usize = 8192;
/// Credit that is given back at once.
const CREDIT: u64 = 1 << 29;

pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const UPDATE: u8 = 8;
}

/// The head of a frame.
pub fn head(len: usize, kind: u8, flags: u8, stream: u32, out: &mut Vec<u8>) {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags, d, e, f, g]);
}

/// A field that goes into no table.
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127, "one octet says the length");
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
    out
}

#[derive(Clone, Copy, Default)]
struct Stream {
    id: u32,
    due: u64,
    bytes: u64,
}

/// A frame under way.
#[derive(Clone, Copy, Default)]
struct Current {
    kind: u8,
    flags: u8,
    stream: u32,
    left: usize,
    first: bool,
}

/// One connection's streams.
pub struct Frames {
    block: Vec<u8>,
    size: u64,
    at_once: usize,
    next: u32,
    live: usize,
    ring: Vec<Stream>,
    partial: Vec<u8>,
    current: Option<Current>,
    uncredited: u64,
}

impl Frames {
    pub fn new(path: &str, size: u64, at_once: usize) -> Frames {
        let mut block = vec![0x82, 0x86];
        for (name, value) in
            [(":path", path), (":authority", "bench.test"), ("user-agent", "load"), ("accept", "*/*")]
        {
            block.extend(literal(name.as_bytes(), value.as_bytes()));
        }
        Frames {
            block,
            size,
            at_once,
            next: 1,
            live: 0,
            ring: vec![Stream::default(); RING],
            partial: Vec::new(),
            current: None,
            uncredited: 0,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.live == 0
    }

    /// Another request; the first call asks for as many as there are to be at once.
    pub fn ask(&mut self, now: u64, out: &mut Vec<u8>) {
        let mut count = 1;
        if self.next == 1 {
            out.extend_from_slice(PREFACE);
            head(12, kind::SETTINGS, 0, 0, out);
            out.extend_from_slice(&[0, 2, 0, 0, 0, 0, 0, 4]);
            out.extend_from_slice(&LARGEST.to_be_bytes());
            head(4, kind::UPDATE, 0, 0, out);
            out.extend_from_slice(&(LARGEST - 65_535).to_be_bytes());
            count = self.at_once;
        }
        for _ in 0..count {
            self.ring[self.next as usize / 2 % RING] = Stream { id: self.next, due: now, bytes: 0 };
            head(self.block.len(), kind::HEADERS, 5, self.next, out);
            out.extend_from_slice(&self.block);
            self.next += 2;
            self.live += 1;
        }
    }

    pub fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>, told: &mut Told) {
        while !bytes.is_empty() && told.failed.is_none() {
            let Some(mut frame) = self.current else {
                let n = (9 - self.partial.len()).min(bytes.len());
                self.partial.extend_from_slice(&bytes[..n]);
                bytes = &bytes[n..];
                if let &[a, b, c, kind, flags, d, e, f, g] = &self.partial[..] {
                    let left = u32::from_be_bytes([0, a, b, c]) as usize;
                    let stream = u32::from_be_bytes([d & 0x7f, e, f, g]);
                    self.partial.clear();
                    self.current = Some(Current { kind, flags, stream, left, first: true });
                    if left == 0 {
                        self.piece(&[], out, told);
                    }
                }
                continue;
            };
            let n = frame.left.min(bytes.len());
            let (piece, rest) = bytes.split_at(n);
            bytes = rest;
            frame.left -= n;
            self.current = Some(frame);
            self.piece(piece, out, told);
        }
    }

    /// A part of the current frame; its end, if nothing is left.
    fn piece(&mut self, piece: &[u8], out: &mut Vec<u8>, told: &mut Told) {
        let Some(mut frame) = self.current else { return };
        let is_end = frame.left == 0;
        match frame.kind {
            kind::DATA => {
                told.body_bytes += piece.len() as u64;
                self.ring[frame.stream as usize / 2 % RING].bytes += piece.len() as u64;
                self.credit(piece.len() as u64, out);
            }
            kind::HEADERS if frame.first => {
                let status = piece.iter().find(|b| !(0x20..0x3f).contains(*b));
                if status != Some(&0x88) {
                    told.failed = Some("not 200".to_owned());
                }
            }
            kind::RST => told.failed = Some("reset".to_owned()),
            kind::GOAWAY => told.failed = Some("goaway".to_owned()),
            kind::SETTINGS if is_end && frame.flags & 1 == 0 => head(0, kind::SETTINGS, 1, 0, out),
            kind::PING if is_end && frame.flags & 1 == 0 && piece.len() == 8 => {
                head(8, kind::PING, 1, 0, out);
                out.extend_from_slice(piece);
            }
            _ => {}
        }
        frame.first = false;
        self.current = (!is_end).then_some(frame);
        if is_end && frame.flags & 1 != 0 && matches!(frame.kind, kind::DATA | kind::HEADERS) {
            let stream = self.ring[frame.stream as usize / 2 % RING];
            if stream.id != frame.stream {
                told.failed = Some(format!("overtaken by {RING} others"));
            } else if stream.bytes != self.size {
                told.failed = Some("another length".to_owned());
            }
            self.live -= 1;
            told.done.push(stream.due);
        }
    }

    fn credit(&mut self, bytes: u64, out: &mut Vec<u8>) {
        self.uncredited += bytes;
        if self.uncredited > CREDIT {
            head(4, kind::UPDATE, 0, 0, out);
            out.extend_from_slice(&(self.uncredited as u32).to_be_bytes());
            self.uncredited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_frame_by_frame() {
        let mut frames = Frames::new("/3", 3, 2);
        let mut out = Vec::new();
        frames.ask(7, &mut out);
        assert!(out.starts_with(PREFACE) && frames.live == 2);
        let mut answer = Vec::new();
        head(1, kind::HEADERS, 4, 3, &mut answer);
        answer.push(0x88);
        head(3, kind::DATA, 1, 3, &mut answer);
        answer.extend_from_slice(b"abc");
        let mut told = Told::default();
        for byte in answer {
            frames.take(&[byte], &mut out, &mut told);
        }
        assert_eq!((told.done, told.failed, told.body_bytes, frames.live), (vec![7], None, 3, 1));
    }
}
