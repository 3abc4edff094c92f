//! One request over HTTP/2, and its answer as HTTP/1 would have it: checks judge both alike. No I/O.

use crate::http::hpack::{Decoder, Encoder};

use super::request::Filled;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// Their flags.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// Longest frame that is read: what we announce, which is the default.
const FRAME_MAX: usize = 16_384;
/// Longest head, in frames one after the other.
const BLOCK_MAX: usize = 64 << 10;
/// What a server may send of a body: more is never asked for.
const WINDOW: usize = 65_535;

/// The exchange of a check on its connection.
pub(super) struct Exchange {
    decoder: Decoder,
    /// What was received and is no whole frame yet.
    rest: Vec<u8>,
    /// Pieces of a head.
    block: Vec<u8>,
    /// The head as HTTP/1, once it is there.
    head: Vec<u8>,
    body: Vec<u8>,
    ends: bool,
    /// Nothing more will come.
    pub(super) is_done: bool,
}

/// What came is not HTTP/2.
#[derive(Debug)]
pub(super) struct Broken;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The first bytes of a connection, with the request on stream 1.
pub(super) fn request(request: &Filled, state: Option<&str>, is_secure: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(false);
    let mut block = Vec::new();
    encoder.begin(&mut block);
    let host = request.headers.iter().find(|(name, _)| name == "host").map(|(_, value)| &value[..]);
    let mut field = |name: &[u8], value: &[u8]| encoder.field(name, value, &mut block);
    field(b":method", request.method.as_bytes());
    field(b":scheme", if is_secure { &b"https"[..] } else { b"http" });
    if let Some(host) = host.filter(|host| !host.is_empty()) {
        field(b":authority", host);
    }
    field(b":path", request.uri.as_bytes());
    let of_one_hop = |name: &str| {
        matches!(name, "host" | "connection" | "upgrade" | "keep-alive" | "proxy-connection" | "te")
    };
    for (name, value) in request.headers.iter().filter(|(name, value)| !value.is_empty() && !of_one_hop(name))
    {
        field(name.as_bytes(), value);
    }
    if let Some(state) = state {
        field(b"x-haproxy-server-state", state.as_bytes());
    }
    if !request.body.is_empty() {
        field(b"content-length", request.body.len().to_string().as_bytes());
    }
    let mut out = PREFACE.to_vec();
    // No pushes.
    frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0], &mut out);
    let last = if request.body.is_empty() { END_STREAM } else { 0 };
    frame(HEADERS, END_HEADERS | last, 1, &block, &mut out);
    let mut pieces = request.body.chunks(FRAME_MAX).peekable();
    while let Some(piece) = pieces.next() {
        frame(DATA, if pieces.peek().is_none() { END_STREAM } else { 0 }, 1, piece, &mut out);
    }
    out
}

impl Exchange {
    pub(super) fn new() -> Exchange {
        Exchange {
            decoder: Decoder::new(4096),
            rest: Vec::new(),
            block: Vec::new(),
            head: Vec::new(),
            body: Vec::new(),
            ends: false,
            is_done: false,
        }
    }

    /// Takes what came; returns what is to be sent for it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Broken> {
        self.rest.extend_from_slice(bytes);
        let mut replies = Vec::new();
        while let Some((head, behind)) = self.rest.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            if len > FRAME_MAX {
                return Err(Broken);
            }
            let Some(payload) = behind.get(..len).map(<[u8]>::to_vec) else { break };
            self.rest.drain(..9 + len);
            let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
            self.one(kind, flags, stream, &payload, &mut replies)?;
        }
        Ok(replies)
    }

    fn one(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        replies: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        match (kind, stream) {
            (SETTINGS, 0) if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[], replies),
            (PING, 0) if flags & ACK == 0 => frame(PING, ACK, 0, payload, replies),
            (HEADERS, 1) => {
                self.ends = flags & END_STREAM != 0;
                let mut piece = unpadded(flags, payload).ok_or(Broken)?;
                if flags & PRIORITY != 0 {
                    piece = piece.get(5..).ok_or(Broken)?;
                }
                self.piece(piece, flags)?;
            }
            (CONTINUATION, 1) => self.piece(payload, flags)?,
            (DATA, 1) => {
                self.body.extend_from_slice(unpadded(flags, payload).ok_or(Broken)?);
                if self.body.len() > WINDOW {
                    return Err(Broken);
                }
                self.is_done |= flags & END_STREAM != 0;
            }
            (RESET, 1) | (GOAWAY, 0) => self.is_done = true,
            _ => {}
        }
        Ok(())
    }

    fn piece(&mut self, piece: &[u8], flags: u8) -> Result<(), Broken> {
        self.block.extend_from_slice(piece);
        if self.block.len() > BLOCK_MAX {
            return Err(Broken);
        }
        if flags & END_HEADERS == 0 {
            return Ok(());
        }
        let (mut status, mut fields) = (Vec::new(), Vec::new());
        let block = std::mem::take(&mut self.block);
        let decoded = self.decoder.decode(&block, |name, value, _| match name {
            b":status" => status = value.to_vec(),
            name if name.starts_with(b":") => {}
            name => fields.extend_from_slice(&[name, b": ", value, b"\r\n"].concat()),
        });
        decoded.map_err(|_| Broken)?;
        // Interim responses and trailers tell nothing that is checked.
        if self.head.is_empty() && !status.starts_with(b"1") {
            self.head = [&b"HTTP/1.1 "[..], &status, b" \r\n", &fields, b"\r\n"].concat();
        }
        self.is_done |= self.ends && !self.head.is_empty();
        Ok(())
    }

    /// What has come of the answer.
    pub(super) fn answer(&self) -> Vec<u8> {
        [&self.head[..], &self.body[..]].concat()
    }

    pub(super) fn has_head(&self) -> bool {
        !self.head.is_empty()
    }
}

/// The payload of a frame without what pads it.
fn unpadded(flags: u8, payload: &[u8]) -> Option<&[u8]> {
    if flags & PADDED == 0 {
        return Some(payload);
    }
    let (len, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*len))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_as_one_of_http_1() {
        let mut encoder = Encoder::new(false);
        let mut block = Vec::new();
        encoder.begin(&mut block);
        encoder.field(b":status", b"200", &mut block);
        encoder.field(b"x-test", b"a", &mut block);
        let mut wire = Vec::new();
        frame(SETTINGS, 0, 0, &[], &mut wire);
        frame(HEADERS, END_HEADERS | PADDED, 1, &[&[2_u8][..], &block[..], &[0, 0]].concat(), &mut wire);
        frame(PING, 0, 0, &[7; 8], &mut wire);
        frame(DATA, END_STREAM, 1, b"hello", &mut wire);
        let mut exchange = Exchange::new();
        let mut replies = Vec::new();
        // However it is cut.
        for piece in wire.chunks(5) {
            replies.extend(exchange.take(piece).expect("HTTP/2"));
        }
        assert_eq!(exchange.answer(), b"HTTP/1.1 200 \r\nx-test: a\r\n\r\nhello");
        assert!(exchange.is_done && exchange.has_head());
        let mut expected = Vec::new();
        frame(SETTINGS, ACK, 0, &[], &mut expected);
        frame(PING, ACK, 0, &[7; 8], &mut expected);
        assert_eq!(replies, expected);
        assert!(Exchange::new().take(b"HTTP/1.0 400 Bad request\r\n\r\n").is_err());
        // A body without end is not kept.
        let mut data = Vec::new();
        frame(DATA, 0, 1, &[b'x'; FRAME_MAX], &mut data);
        let mut exchange = Exchange::new();
        let taken = (0..100).take_while(|_| exchange.take(&data).is_ok()).count();
        assert!(taken < 5, "{taken}");
    }
}
