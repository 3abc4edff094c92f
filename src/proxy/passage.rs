//! `Passage`: what a body goes through on its way where the stream has filters, and the framing it leaves with.

use crate::base::Nanos;
use crate::filter::Chain;
use crate::http::body::trailers;
use crate::http::{BodyLen, CHUNK_END, ChunkHead, Chunks, LAST_CHUNK};

use super::transfer::{Broken, Extent};

/// How a body is framed where it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// As it came: the filters only look.
    AsCame,
    Chunked,
    /// Not at all: it ends with its connection.
    Bare,
}

/// The way of one body.
pub struct Passage {
    chain: Chain,
    leaving: Leaving,
    /// Data that left the filters, and is to be framed.
    data: Vec<u8>,
    /// What came behind the last data of a chunked body: line ends, sizes, trailers. The scanner bounds it.
    tail: Vec<u8>,
}

impl Passage {
    pub fn new(chain: Chain, leaving: Leaving) -> Passage {
        Passage { chain, leaving, data: Vec::new(), tail: Vec::new() }
    }

    pub fn leaving(&self) -> Leaving {
        self.leaving
    }

    /// Takes bytes as they came, of a body that ends as `extent` says. What goes on is appended to `out`; tells how many
    /// bytes were of the body. Where the framing stays, those are what goes on, and `out` gets nothing.
    pub fn take(
        &mut self,
        extent: &mut Extent,
        wire: &[u8],
        now: Nanos,
        out: &mut Vec<u8>,
    ) -> Result<usize, Broken> {
        let used = match extent {
            Extent::Length(left) => {
                let used = usize::try_from(*left).map_or(wire.len(), |left| left.min(wire.len()));
                *left -= used as u64;
                self.chain.data(&wire[..used], now, &mut self.data);
                used
            }
            Extent::Close => {
                self.chain.data(wire, now, &mut self.data);
                wire.len()
            }
            Extent::Chunked(chunks) => {
                let mut behind = None;
                let scan = chunks
                    .decode(wire, |part| {
                        behind = Some(part.as_ptr() as usize - wire.as_ptr() as usize + part.len());
                        self.chain.data(part, now, &mut self.data);
                    })
                    .map_err(|_| Broken::Malformed)?;
                if behind.is_some() {
                    self.tail.clear();
                }
                self.tail.extend_from_slice(&wire[behind.unwrap_or(0)..scan.consumed]);
                scan.consumed
            }
        };
        if extent.is_done() {
            self.finish(now, out);
        } else {
            self.chain.flush(now, &mut self.data);
            self.frame(out);
        }
        Ok(used)
    }

    /// The body has come to its end.
    pub fn finish(&mut self, now: Nanos, out: &mut Vec<u8>) {
        self.chain.end(now, &mut self.data);
        self.frame(out);
        if self.leaving == Leaving::Chunked {
            match trailers(&self.tail) {
                b"" => out.extend_from_slice(LAST_CHUNK),
                lines => [b"0\r\n", lines, CHUNK_END].iter().for_each(|part| out.extend_from_slice(part)),
            }
        }
    }

    fn frame(&mut self, out: &mut Vec<u8>) {
        if !self.data.is_empty() {
            match self.leaving {
                Leaving::AsCame => {}
                Leaving::Bare => out.extend_from_slice(&self.data),
                Leaving::Chunked => {
                    out.reserve(self.data.len() + 24);
                    out.extend_from_slice(&ChunkHead::of(self.data.len() as u64));
                    out.extend_from_slice(&self.data);
                    out.extend_from_slice(CHUNK_END);
                }
            }
        }
        self.data.clear();
    }
}

/// All that is to come of a body of this kind.
pub fn whole(body: BodyLen, is_response: bool) -> Extent {
    match body {
        BodyLen::None | BodyLen::Tunnel => Extent::Length(0),
        BodyLen::Length(n) => Extent::Length(n),
        BodyLen::Chunked => Extent::Chunked(Box::new(Chunks::new(is_response))),
        BodyLen::UntilClose => Extent::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;

    /// Doubles every byte.
    struct Twice(Vec<u8>);

    impl Filter for Twice {
        fn data<'b>(&'b mut self, bytes: &'b [u8], _: Nanos) -> &'b [u8] {
            self.0 = bytes.iter().flat_map(|b| [*b, *b]).collect();
            &self.0
        }

        fn end(&mut self, _: Nanos) -> &[u8] {
            b"!"
        }

        fn rewrites(&self) -> bool {
            true
        }
    }

    fn through(body: BodyLen, leaving: Leaving, wire: &[u8], step: usize) -> (String, usize) {
        let mut chain = Chain::default();
        chain.push(Box::new(Twice(Vec::new())));
        let mut passage = Passage::new(chain, leaving);
        let (mut extent, mut out, mut used) = (whole(body, true), Vec::new(), 0);
        for piece in wire.chunks(step) {
            used += passage.take(&mut extent, piece, 0, &mut out).expect("well-formed");
            if extent.is_done() {
                break;
            }
        }
        if body == BodyLen::UntilClose {
            passage.finish(0, &mut out);
        }
        (String::from_utf8(out).expect("text"), used)
    }

    #[test]
    fn framing_comes_off_and_another_one_goes_on() {
        let chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: v\r\n\r\nnext";
        let table: &[(BodyLen, Leaving, &[u8], usize, &str)] = &[
            (BodyLen::Length(3), Leaving::Chunked, b"abcnext", 100, "7\r\naabbcc!\r\n0\r\n\r\n"),
            (BodyLen::Length(3), Leaving::Chunked, b"abc", 2, "4\r\naabb\r\n3\r\ncc!\r\n0\r\n\r\n"),
            (BodyLen::Length(3), Leaving::Bare, b"abc", 2, "aabbcc!"),
            (BodyLen::Length(3), Leaving::AsCame, b"abc", 2, ""),
            (BodyLen::UntilClose, Leaving::Chunked, b"ab", 9, "4\r\naabb\r\n1\r\n!\r\n0\r\n\r\n"),
            (BodyLen::Chunked, Leaving::Chunked, chunks, 99, "b\r\naabbccddee!\r\n0\r\nX-T: v\r\n\r\n"),
            (BodyLen::Chunked, Leaving::Bare, chunks, 1, "aabbccddee!"),
        ];
        for (body, leaving, wire, step, expected) in table {
            assert_eq!(through(*body, *leaving, wire, *step).0, *expected, "{body:?} {leaving:?} {step}");
        }
        assert_eq!(through(BodyLen::Chunked, Leaving::Chunked, chunks, 99).1, chunks.len() - 4);
        assert_eq!(through(BodyLen::Length(3), Leaving::Chunked, b"abcnext", 100).1, 3);
    }
}
