//! Chunked bodies (RFC 9112 section 7.1): finding data and end in bytes that are forwarded as they came, and the
//! frame around chunks of our own.

use super::bad::{BadMessage, Reason};
use super::head::FieldKind;
use super::token::{self, is_blank, is_control};

/// Behind the data of every chunk.
pub const CHUNK_END: &[u8] = b"\r\n";
/// Ends a body without trailer fields.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Most bytes between a chunk size and its line end, and most bytes of a trailer section.
const MAX_EXTENSION: u32 = 1024;
const MAX_TRAILER: u32 = 8192;
/// Digits of a chunk size, leading zeros included.
const MAX_DIGITS: u32 = 16;
/// Sizes stay below 2^52, where every language still counts exactly; HAProxy draws the line here as well.
const MAX_SIZE: u64 = 1 << 52;
/// No name longer than this is forbidden in a trailer section.
const NAME_KEPT: usize = 17;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// Blanks behind the size; an extension must follow, or in a response the line end.
    Blank,
    Extension {
        quoted: bool,
        escaped: bool,
    },
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// Start of a line behind the last chunk.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// What [`Chunks::scan`] found in the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Bytes of the body, framing included: they may be forwarded. Fewer than were given only at the end.
    pub consumed: usize,
    /// The body ends here; what follows is the next message.
    pub done: bool,
}

/// An incremental scanner of one chunked body. It keeps no bytes and never allocates.
#[derive(Clone, Debug)]
pub struct Chunks {
    state: State,
    is_response: bool,
    /// In `Size` the size read so far, then the bytes of the chunk that are still to come.
    left: u64,
    /// Bytes of the current size, extension or trailer section.
    spent: u32,
    name: [u8; NAME_KEPT],
    name_len: usize,
    data: u64,
}

impl Chunks {
    /// A response's faults are answered with 502 and it may pad chunk sizes with blanks, as old servers do.
    pub fn new(is_response: bool) -> Chunks {
        Chunks {
            state: State::Size,
            is_response,
            left: 0,
            spent: 0,
            name: [0; NAME_KEPT],
            name_len: 0,
            data: 0,
        }
    }

    /// The end was found.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of the current chunk's data that are still to come; 0 outside of data. They may pass by the scanner
    /// (spliced), if [`Chunks::skip`] is told.
    pub fn chunk_left(&self) -> u64 {
        if self.state == State::Data { self.left } else { 0 }
    }

    /// `n` bytes of data went by without being scanned; no more than [`Chunks::chunk_left`].
    pub fn skip(&mut self, n: u64) {
        debug_assert!(n <= self.chunk_left());
        let n = n.min(self.chunk_left());
        self.left -= n;
        self.data += n;
        if self.state == State::Data && self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// Bytes of data so far, without framing.
    pub fn data_len(&self) -> u64 {
        self.data
    }

    /// Follows the body through the next bytes of it. `at` of an error counts from the start of `bytes`.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, BadMessage> {
        self.decode(bytes, |_| {})
    }

    /// Like [`Chunks::scan`], and hands out the data without its framing: for body fetches, and for clients of
    /// HTTP/1.0, who know no chunks.
    pub fn decode<'b>(
        &mut self,
        bytes: &'b [u8],
        mut sink: impl FnMut(&'b [u8]),
    ) -> Result<Scan, BadMessage> {
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Size && self.spent == 0 {
                at += self.whole_chunks(&bytes[at..], &mut sink);
            }
            let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { break };
            if self.state == State::Done {
                break;
            }
            if self.state == State::Data {
                let n = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                sink(&rest[..n]);
                self.skip(n as u64);
                at += n;
                continue;
            }
            let plain = self.plain_framing(rest);
            if plain > 0 {
                at += plain;
                continue;
            }
            if let Err(reason) = self.step(rest[0]) {
                return Err(if self.is_response {
                    BadMessage::response(reason, at)
                } else {
                    BadMessage::request(reason, at)
                });
            }
            at += 1;
        }
        Ok(Scan { consumed: at, done: self.is_done() })
    }

    /// Chunks that lie there whole, each in one go: a line of nothing but a size, the data, its line end. Tells how many
    /// bytes they are.
    #[inline]
    fn whole_chunks<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(&'b [u8])) -> usize {
        let mut at = 0;
        while let Some((size, line)) = plain_size(&bytes[at..])
            && let Some(data) =
                usize::try_from(size).ok().and_then(|size| bytes.get(at + line..)?.get(..size))
            && size > 0
            && bytes[at + line + data.len()..].starts_with(CHUNK_END)
        {
            sink(data);
            self.data += size;
            at += line + data.len() + CHUNK_END.len();
        }
        at
    }

    /// Framing as nearly everybody writes it, passed in one go: a line of nothing but a size, the line end behind
    /// data, the end of a body without trailer. Tells how many bytes that were; 0: [`Chunks::step`] looks closer.
    #[inline]
    fn plain_framing(&mut self, rest: &[u8]) -> usize {
        match (self.state, rest) {
            (State::Size, _) if self.spent == 0 => {
                let Some((size, len)) = plain_size(rest) else { return 0 };
                self.left = size;
                self.state = if size > 0 { State::Data } else { State::Trailer };
                len
            }
            (State::DataCr, [b'\r', b'\n', ..]) => {
                self.state = State::Size;
                2
            }
            (State::Trailer, [b'\r', b'\n', ..]) => {
                self.state = State::Done;
                2
            }
            _ => 0,
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), Reason> {
        self.state = match self.state {
            State::Size => self.size_byte(byte)?,
            State::Blank => match byte {
                b';' => self.spend(
                    MAX_EXTENSION,
                    Reason::ChunkExtension,
                    State::Extension { quoted: false, escaped: false },
                )?,
                b'\r' if self.is_response => State::SizeLf,
                b if is_blank(b) => self.spend(MAX_EXTENSION, Reason::ChunkExtension, State::Blank)?,
                _ => return Err(Reason::ChunkSize),
            },
            State::Extension { quoted, escaped } => self.extension_byte(byte, quoted, escaped)?,
            State::SizeLf if byte == b'\n' => {
                self.spent = 0;
                if self.left > 0 { State::Data } else { State::Trailer }
            }
            State::SizeLf => return Err(Reason::ChunkSize),
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size,
            State::DataCr | State::DataLf => return Err(Reason::ChunkEnd),
            State::EndLf if byte == b'\n' => State::Done,
            State::Trailer | State::TrailerName | State::TrailerValue | State::TrailerLf => {
                self.trailer_byte(byte)?
            }
            State::EndLf => return Err(Reason::Trailer),
            State::Data | State::Done => self.state,
        };
        Ok(())
    }

    fn spend(&mut self, most: u32, reason: Reason, next: State) -> Result<State, Reason> {
        self.spent += 1;
        if self.spent > most { Err(reason) } else { Ok(next) }
    }

    fn size_byte(&mut self, byte: u8) -> Result<State, Reason> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            self.left = self.left << 4 | u64::from(digit);
            if self.left >= MAX_SIZE {
                return Err(Reason::ChunkSize);
            }
            return self.spend(MAX_DIGITS, Reason::ChunkSize, State::Size);
        }
        if self.spent == 0 {
            return Err(Reason::ChunkSize);
        }
        self.spent = 0;
        match byte {
            b'\r' => Ok(State::SizeLf),
            b';' => Ok(State::Extension { quoted: false, escaped: false }),
            b if is_blank(b) => Ok(State::Blank),
            _ => Err(Reason::ChunkSize),
        }
    }

    /// Extensions are passed on and not understood, but nobody may find a line end in one: quotes must close, and
    /// outside of them a backslash means nothing.
    fn extension_byte(&mut self, byte: u8, quoted: bool, escaped: bool) -> Result<State, Reason> {
        let next = match byte {
            b'\r' if !quoted => return Ok(State::SizeLf),
            b if is_control(b) => return Err(Reason::ChunkExtension),
            _ if escaped => State::Extension { quoted, escaped: false },
            b'\\' if quoted => State::Extension { quoted, escaped: true },
            b'\\' => return Err(Reason::ChunkExtension),
            b'"' => State::Extension { quoted: !quoted, escaped: false },
            _ => State::Extension { quoted, escaped: false },
        };
        self.spend(MAX_EXTENSION, Reason::ChunkExtension, next)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, Reason> {
        let next = match (self.state, byte) {
            (State::Trailer, b'\r') => return Ok(State::EndLf),
            (State::Trailer | State::TrailerName, b) if token::TOKEN[usize::from(b)] => {
                if self.state == State::Trailer {
                    self.name_len = 0;
                }
                if let Some(place) = self.name.get_mut(self.name_len) {
                    *place = b;
                }
                self.name_len += 1;
                State::TrailerName
            }
            (State::TrailerName, b':') if !self.name_is_forbidden() => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, b) if !is_control(b) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::Trailer,
            _ => return Err(Reason::Trailer),
        };
        self.spend(MAX_TRAILER, Reason::TrailerTooLong, next)
    }

    /// Fields of framing, routing and connection: whoever merged them into the header would read another message
    /// (RFC 9110 section 6.5.1).
    fn name_is_forbidden(&self) -> bool {
        let Some(name) = self.name.get(..self.name_len) else { return false };
        FieldKind::of(name) != FieldKind::Other || name.eq_ignore_ascii_case(b"trailer")
    }
}

/// The lines of the trailer section in what stands behind the last data of a chunked body: the line end of the data, the
/// line of the last chunk, the lines, the empty line.
pub fn trailers(tail: &[u8]) -> &[u8] {
    let tail = tail.strip_prefix(CHUNK_END).unwrap_or(tail);
    let size_end = memchr::memchr(b'\n', tail).map_or(tail.len(), |at| at + 1);
    tail[size_end..].strip_suffix(CHUNK_END).unwrap_or_default()
}

/// A size of up to eight digits with its line end, and how long both are.
#[inline]
fn plain_size(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    let mut at = 0;
    loop {
        let byte = *bytes.get(at)?;
        let digit = HEX[usize::from(byte)];
        if digit > 15 {
            let ends = at > 0 && byte == b'\r' && bytes.get(at + 1) == Some(&b'\n');
            return ends.then_some((size, at + 2));
        }
        if at == 8 {
            return None;
        }
        size = size << 4 | u64::from(digit);
        at += 1;
    }
}

/// The value of each hexadecimal digit; 255 for what is none.
static HEX: [u8; 256] = {
    let mut table = [255; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        table[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// The line before a chunk of `size` bytes of data; [`CHUNK_END`] goes behind them.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    bytes: [u8; 18],
    start: u8,
}

impl ChunkHead {
    /// A size of 0 would end the body: use [`LAST_CHUNK`] for that.
    pub fn of(size: u64) -> ChunkHead {
        let mut bytes = *b"0000000000000000\r\n";
        let mut rest = size;
        let mut start = 16;
        while rest > 0 || start == 16 {
            start -= 1;
            bytes[start] = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        ChunkHead { bytes, start: start as u8 }
    }
}

impl std::ops::Deref for ChunkHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(bytes: &[u8]) -> Result<Scan, Reason> {
        Chunks::new(false).scan(bytes).map_err(|bad| bad.reason)
    }

    #[test]
    fn verdicts() {
        use Reason::*;
        let end = |consumed| Ok(Scan { consumed, done: true });
        let more = |consumed| Ok(Scan { consumed, done: false });
        let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(2000));
        let long_trailer = format!("0\r\nA: {}\r\n\r\n", "x".repeat(9000));
        let table: &[(&str, Result<Scan, Reason>)] = &[
            ("0\r\n\r\n", end(5)),
            ("0\r\n\r\nGET /", end(5)),
            ("5\r\nhello\r\n0\r\n\r\n", end(15)),
            ("000A\r\n0123456789\r\n00\r\n\r\n", end(24)),
            ("5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\n", end(25)),
            ("5;a=b;c=\"d;\\\"\"\r\nhello\r\n0;x\r\n\r\n", end(30)),
            ("5 ;a\r\nhello\r\n0\r\n\r\n", end(18)),
            ("5\r\nhel", more(6)),
            ("", more(0)),
            ("5 \r\nhello\r\n0\r\n\r\n", Err(ChunkSize)),
            ("\r\n", Err(ChunkSize)),
            (" 5\r\nhello\r\n", Err(ChunkSize)),
            ("+5\r\nhello\r\n", Err(ChunkSize)),
            ("-5\r\nhello\r\n", Err(ChunkSize)),
            ("0x5\r\nhello\r\n", Err(ChunkSize)),
            ("5\nhello\r\n", Err(ChunkSize)),
            ("5\r\r\nhello\r\n", Err(ChunkSize)),
            ("5\rhello\r\n", Err(ChunkSize)),
            ("g\r\n", Err(ChunkSize)),
            ("10000000000000\r\n", Err(ChunkSize)),
            ("fffffffffffff\r\n", more(15)),
            ("ffffffff\r\n", more(10)),
            ("000000005\r\nhello\r\n", more(18)),
            ("5\r", more(2)),
            ("5\r\nhello\r", more(9)),
            ("0\r\n\r", more(4)),
            ("ffffffffffffffff1\r\n", Err(ChunkSize)),
            ("00000000000000001\r\n", Err(ChunkSize)),
            ("5\r\nhelloX\r\n", Err(ChunkEnd)),
            ("5\r\nhello\n0\r\n\r\n", Err(ChunkEnd)),
            ("5\r\nhello\r0\r\n\r\n", Err(ChunkEnd)),
            ("5;a\nhello\r\n", Err(ChunkExtension)),
            ("5;a=\"b\r\nhello\r\n", Err(ChunkExtension)),
            ("5;a\\b\r\nhello\r\n", Err(ChunkExtension)),
            ("5;a\0\r\nhello\r\n", Err(ChunkExtension)),
            (&long_extension, Err(ChunkExtension)),
            ("0\r\n\n", Err(Trailer)),
            ("0\r\n\rX", Err(Trailer)),
            ("0\r\nA : b\r\n\r\n", Err(Trailer)),
            ("0\r\nA: b\n\r\n", Err(Trailer)),
            ("0\r\nA: b\r\n c\r\n\r\n", Err(Trailer)),
            ("0\r\nA: \0\r\n\r\n", Err(Trailer)),
            ("0\r\nContent-Length: 5\r\n\r\n", Err(Trailer)),
            ("0\r\ntransfer-encoding: chunked\r\n\r\n", Err(Trailer)),
            ("0\r\nHOST: x\r\n\r\n", Err(Trailer)),
            ("0\r\nTrailer: x\r\n\r\n", Err(Trailer)),
            ("0\r\ntransfer-encodings: x\r\n\r\n", end(28)),
            (&long_trailer, Err(TrailerTooLong)),
        ];
        for (bytes, expected) in table {
            assert_eq!(scan(bytes.as_bytes()), *expected, "{}", bytes.escape_debug());
        }
    }

    #[test]
    fn servers_may_pad_sizes() {
        assert!(Chunks::new(true).scan(b"5  \r\nhello\r\n0\r\n\r\n").is_ok_and(|s| s.done));
        assert_eq!(Chunks::new(true).scan(b"x").map_err(|b| b.status), Err(502));
    }

    #[test]
    fn data_may_pass_by() {
        let mut chunks = Chunks::new(false);
        assert_eq!(chunks.scan(b"10\r\nab"), Ok(Scan { consumed: 6, done: false }));
        assert_eq!(chunks.chunk_left(), 14);
        chunks.skip(14);
        assert_eq!((chunks.chunk_left(), chunks.data_len()), (0, 16));
        assert_eq!(chunks.scan(b"\r\n0\r\n\r\n"), Ok(Scan { consumed: 7, done: true }));
    }

    #[test]
    fn heads_are_hexadecimal() {
        assert_eq!(&*ChunkHead::of(0), b"0\r\n");
        assert_eq!(&*ChunkHead::of(0x2f0), b"2f0\r\n");
        assert_eq!(&*ChunkHead::of(u64::MAX), b"ffffffffffffffff\r\n");
    }

    proptest! {
        /// Whatever is encoded is found again, in any splits.
        #[test]
        fn decodes_what_was_encoded(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
                                    step in 1usize..20, tail in "[a-z]{0,5}") {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(&ChunkHead::of(chunk.len() as u64));
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(CHUNK_END);
            }
            wire.extend_from_slice(LAST_CHUNK);
            let body = wire.len();
            wire.extend_from_slice(tail.as_bytes());
            let (mut scanner, mut data, mut consumed) = (Chunks::new(false), Vec::new(), 0);
            for piece in wire.chunks(step) {
                let scan = scanner.decode(piece, |d| data.extend_from_slice(d)).unwrap();
                consumed += scan.consumed;
                prop_assert_eq!(scan.done, scanner.is_done());
            }
            prop_assert_eq!(consumed, body);
            prop_assert_eq!(&data, &chunks.concat());
            prop_assert_eq!(scanner.data_len(), data.len() as u64);
        }

        /// Any bytes, in one piece or byte by byte: the same verdict at the same place.
        #[test]
        fn splits_do_not_matter(wire in "([0-2a]{0,2}(;[a\"\\\\]{0,3})?\r\n[a-c]{0,3}(\r\n)?){0,4}(0\r\n)?([ABx]:? ?[\t a]{0,3}\r?\n){0,2}(\r\n)?") {
            let (mut whole, mut single) = (Chunks::new(false), Chunks::new(false));
            let expected = whole.scan(wire.as_bytes());
            let mut consumed = 0;
            let mut verdict = Ok(Scan { consumed: 0, done: false });
            for (at, byte) in wire.bytes().enumerate() {
                match single.scan(&[byte]) {
                    Ok(scan) => consumed += scan.consumed,
                    Err(bad) => { verdict = Err(BadMessage { at, ..bad }); break }
                }
            }
            let verdict = verdict.map(|_| Scan { consumed, done: single.is_done() });
            prop_assert_eq!(verdict, expected);
        }
    }
}
