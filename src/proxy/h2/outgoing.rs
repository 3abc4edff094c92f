//! `Outgoing`: what a stream sends, which the data plane hands over as the bytes of an HTTP/1 body.

use crate::http::body::trailers;
use crate::http::h2::{Connection, Gone};
use crate::http::{BodyLen, Chunks};

/// How the bytes that are handed over are to be understood.
#[derive(Debug, Default)]
enum Framing {
    /// No final head was sent yet.
    #[default]
    None,
    /// So many bytes are to come.
    Length(u64),
    Chunks(Box<Unchunk>),
    /// Until someone says that it ends.
    Raw,
    /// All of it was handed over.
    Done,
}

#[derive(Debug)]
struct Unchunk {
    chunks: Chunks,
    /// What came behind the last data: line ends, sizes, trailers. The scanner bounds it.
    tail: Vec<u8>,
}

/// The sending direction of a stream.
#[derive(Debug, Default)]
pub struct Outgoing {
    framing: Framing,
    /// Data for which no window was open; never more than one buffer of the data plane.
    pending: Vec<u8>,
    pending_at: usize,
    /// Nothing follows `pending`, but for these lines.
    ends: Option<Vec<u8>>,
    /// The end was said.
    said: bool,
}

impl Outgoing {
    /// The final head says how the body comes. `end`: there is none.
    pub fn begin(&mut self, body: BodyLen, end: bool) {
        self.framing = match body {
            _ if end => Framing::Done,
            BodyLen::None | BodyLen::Length(0) => Framing::Done,
            BodyLen::Length(n) => Framing::Length(n),
            BodyLen::Chunked => {
                Framing::Chunks(Box::new(Unchunk { chunks: Chunks::new(true), tail: Vec::new() }))
            }
            BodyLen::UntilClose | BodyLen::Tunnel => Framing::Raw,
        };
        self.said = end;
    }

    /// A final head was sent.
    pub fn has_begun(&self) -> bool {
        !matches!(self.framing, Framing::None)
    }

    /// The body ends where the sender stops.
    pub fn is_raw(&self) -> bool {
        matches!(self.framing, Framing::Raw)
    }

    /// The stream's end was said to the client.
    pub fn has_ended(&self) -> bool {
        self.said
    }

    /// Sends what had to wait. False: some of it still has to.
    pub fn flush(&mut self, stream: u32, machine: &mut Connection) -> Result<bool, Gone> {
        if self.pending_at < self.pending.len() {
            let end = self.ends.as_ref().is_some_and(Vec::is_empty);
            let rest = &self.pending[self.pending_at..];
            let sent = machine.send_data(stream, rest, end)?;
            self.pending_at += sent;
            if self.pending_at < self.pending.len() {
                return Ok(false);
            }
            (self.pending, self.pending_at) = (Vec::new(), 0);
            self.said |= end;
        }
        if !self.said
            && let Some(lines) = self.ends.take()
        {
            self.said = true;
            if lines.is_empty() {
                machine.send_data(stream, b"", true)?;
            } else {
                machine.send_trailers(stream, fields(&lines))?;
            }
        }
        Ok(true)
    }

    /// Takes bytes of the body; tells how many. 0: the client has to read first.
    pub fn send(&mut self, stream: u32, bytes: &[u8], machine: &mut Connection) -> Result<usize, Gone> {
        if !self.flush(stream, machine)? {
            return Ok(0);
        }
        match &mut self.framing {
            Framing::None | Framing::Done => Err(Gone),
            Framing::Raw => machine.send_data(stream, bytes, false),
            Framing::Length(left) => {
                let n = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let end = n as u64 == *left;
                let sent = machine.send_data(stream, &bytes[..n], end)?;
                *left -= sent as u64;
                if *left == 0 {
                    (self.framing, self.said) = (Framing::Done, true);
                }
                Ok(sent)
            }
            Framing::Chunks(_) => self.send_chunks(stream, bytes, machine),
        }
    }

    /// The framing goes; what no window is open for waits, so that no byte is looked at twice.
    fn send_chunks(&mut self, stream: u32, bytes: &[u8], machine: &mut Connection) -> Result<usize, Gone> {
        let Framing::Chunks(unchunk) = &mut self.framing else { return Err(Gone) };
        let Unchunk { chunks, tail } = &mut **unchunk;
        let (mut gone, mut behind) = (false, None);
        let pending = &mut self.pending;
        let scan = chunks
            .decode(bytes, |part| {
                behind = Some(part.as_ptr() as usize - bytes.as_ptr() as usize + part.len());
                let sent = if pending.is_empty() { machine.send_data(stream, part, false) } else { Ok(0) };
                match sent {
                    Ok(n) => pending.extend_from_slice(&part[n..]),
                    Err(Gone) => gone = true,
                }
            })
            .map_err(|_| Gone)?;
        if behind.is_some() {
            tail.clear();
        }
        tail.extend_from_slice(&bytes[behind.unwrap_or(0)..scan.consumed]);
        if scan.done {
            self.ends = Some(trailers(tail).to_vec());
            self.framing = Framing::Done;
        }
        if gone {
            return Err(Gone);
        }
        self.flush(stream, machine)?;
        Ok(bytes.len())
    }

    /// Nothing more follows.
    pub fn end(&mut self, stream: u32, machine: &mut Connection) -> Result<bool, Gone> {
        if matches!(self.framing, Framing::Raw) {
            self.framing = Framing::Done;
            self.ends = Some(Vec::new());
        }
        self.flush(stream, machine)
    }
}

fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|b| *b == b'\n').filter_map(|line| {
        let at = memchr::memchr(b':', line)?;
        Some((&line[..at], line[at + 1..].trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_found_behind_the_last_data() {
        for (tail, expected) in [
            (&b"\r\n0\r\n\r\n"[..], &b""[..]),
            (b"0\r\n\r\n", b""),
            (b"\r\n0;ext=1\r\nX-T: v\r\n\r\n", b"X-T: v\r\n"),
            (b"\r\n0\r\na:b\r\nc: d \r\n\r\n", b"a:b\r\nc: d \r\n"),
        ] {
            assert_eq!(trailers(tail), expected);
        }
        let list: Vec<_> = fields(b"a:b\r\nc: d \r\n").collect();
        assert_eq!(list, [(&b"a"[..], &b"b"[..]), (b"c", b"d")]);
    }
}
