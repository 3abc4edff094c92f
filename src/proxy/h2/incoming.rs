//! `Incoming`: what a stream received and nobody has read yet, as the bytes of an HTTP/1 body.

use crate::http::{CHUNK_END, ChunkHead};

/// How a stream's receiving direction stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    #[default]
    No,
    /// By the peer, in good order.
    Whole,
    /// The stream was reset, or the connection is lost.
    Reset,
    /// The server did not look at the request.
    Refused,
}

/// Received bytes, and their framing where the head says that there are chunks. What is kept is bounded by the
/// stream's window.
#[derive(Debug, Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    at: usize,
    /// The length is not known: bytes are read as chunks.
    chunked: bool,
    /// Data of the current chunk that was not read yet.
    left: usize,
    /// Framing that is to be read first.
    framing: Vec<u8>,
    framing_at: usize,
    pub ended: Ended,
    /// Lines of fields behind the body.
    trailers: Vec<u8>,
    finished: bool,
}

impl Incoming {
    /// `chunked`: the length of the body is not known.
    pub fn of(chunked: bool, ended: Ended) -> Incoming {
        Incoming { chunked, ended, ..Incoming::default() }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The head of a response, which is read before its body. `end`: nothing follows.
    pub fn begin(&mut self, head: &[u8], chunked: bool, end: bool) {
        if self.framing_at == self.framing.len() {
            self.frame(&[]);
        }
        self.framing.extend_from_slice(head);
        self.chunked = chunked;
        if end {
            self.ended = Ended::Whole;
        }
    }

    /// The fields behind the body.
    pub fn end_with<'f>(&mut self, fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) {
        for (name, value) in fields {
            for part in [name, b": ", value, b"\r\n"] {
                self.trailers.extend_from_slice(part);
            }
        }
        self.ended = Ended::Whole;
    }

    /// Something, or the end, can be read.
    pub fn is_readable(&self) -> bool {
        self.ended != Ended::No || self.at < self.bytes.len() || self.framing_at < self.framing.len()
    }

    /// Reads into `room`; tells how many bytes that were, and how many of them were data. Nothing read is the end if
    /// there was room.
    pub fn read(&mut self, room: &mut [u8]) -> (usize, usize) {
        let (mut filled, mut data) = (0, 0);
        while filled < room.len() {
            let rest = &mut room[filled..];
            if self.framing_at < self.framing.len() {
                let n = copy(&self.framing[self.framing_at..], rest);
                (self.framing_at, filled) = (self.framing_at + n, filled + n);
                continue;
            }
            let here = &self.bytes[self.at..];
            let here = if self.chunked { &here[..here.len().min(self.left)] } else { here };
            if !here.is_empty() {
                let n = copy(here, rest);
                (self.at, filled, data) = (self.at + n, filled + n, data + n);
                self.left = self.left.saturating_sub(n);
                if self.chunked && self.left == 0 {
                    self.frame(&[CHUNK_END]);
                }
                self.tidy();
                continue;
            }
            if !self.chunked || !self.next_chunk() {
                break;
            }
        }
        (filled, data)
    }

    /// The framing of what comes next. False: there is nothing.
    fn next_chunk(&mut self) -> bool {
        let here = self.bytes.len() - self.at;
        if here > 0 {
            self.left = here;
            let head = ChunkHead::of(here as u64);
            self.frame(&[&head]);
        } else if self.ended == Ended::Whole && !std::mem::replace(&mut self.finished, true) {
            let trailers = std::mem::take(&mut self.trailers);
            self.frame(&[b"0\r\n", &trailers, b"\r\n"]);
        } else {
            return false;
        }
        true
    }

    fn frame(&mut self, parts: &[&[u8]]) {
        self.framing.clear();
        self.framing_at = 0;
        parts.iter().for_each(|part| self.framing.extend_from_slice(part));
    }

    /// What was read goes; an idle stream keeps no room.
    fn tidy(&mut self) {
        if self.at == self.bytes.len() {
            self.at = 0;
            if self.bytes.capacity() > 64 * 1024 { self.bytes = Vec::new() } else { self.bytes.clear() }
        } else if self.at > 64 * 1024 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Chunks;

    fn all(incoming: &mut Incoming, step: usize) -> (Vec<u8>, usize) {
        let (mut read, mut data) = (Vec::new(), 0);
        loop {
            let mut room = vec![0; step];
            let (n, d) = incoming.read(&mut room);
            read.extend_from_slice(&room[..n]);
            data += d;
            if n == 0 {
                return (read, data);
            }
        }
    }

    #[test]
    fn a_body_of_known_length_is_read_as_it_came() {
        let mut incoming = Incoming::default();
        incoming.push(b"abc");
        incoming.push(b"def");
        assert_eq!(all(&mut incoming, 4), (b"abcdef".to_vec(), 6));
        assert!(!incoming.is_readable());
        incoming.ended = Ended::Whole;
        assert!(incoming.is_readable());
        assert_eq!(all(&mut incoming, 4).0, b"");
    }

    #[test]
    fn a_body_of_unknown_length_becomes_chunks_and_trailers() {
        for step in [1, 2, 3, 7, 100] {
            let mut incoming = Incoming { chunked: true, ..Incoming::default() };
            incoming.push(b"abc");
            let (mut read, mut data) = all(&mut incoming, step);
            incoming.push(&[b'x'; 20]);
            incoming.end_with([(&b"x-t"[..], &b"v"[..])].into_iter());
            let (more, of_it) = all(&mut incoming, step);
            read.extend(more);
            data += of_it;
            let expected = format!("3\r\nabc\r\n14\r\n{}\r\n0\r\nx-t: v\r\n\r\n", "x".repeat(20));
            assert_eq!(String::from_utf8_lossy(&read), expected, "by {step}");
            assert_eq!(data, 23);
            let mut chunks = Chunks::new(false);
            assert!(chunks.scan(&read).is_ok() && chunks.is_done());
        }
    }

    #[test]
    fn a_stream_that_is_reset_does_not_end_its_chunks() {
        let mut incoming = Incoming { chunked: true, ..Incoming::default() };
        incoming.push(b"abc");
        incoming.ended = Ended::Reset;
        assert_eq!(all(&mut incoming, 100).0, b"3\r\nabc\r\n");
    }
}
