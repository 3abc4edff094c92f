//! Whether a request says its length in two ways, `Content-Length` and `Transfer-Encoding`.
//!
//! Whoever reads one of them and somebody on the way the other disagree about where the request ends (RFC 9112 section
//! 6.1). hyper goes by the second and forgets the first, so heads are looked at as they come in.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guard::{Talk, Talks};

/// Bytes of a head that are looked at; a longer one is refused for its length.
const HEAD: usize = 64 << 10;
/// The longer of the two names.
const NAME: usize = b"transfer-encoding".len();

/// In the extensions of a request that says its length in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoLengths;

/// A connection whose heads are looked at.
pub(super) struct Looked<S> {
    stream: S,
    talk: Arc<Talk>,
    talks: Arc<Talks>,
    head: Head,
    /// The head is over; what comes is a body, until the answer is given.
    over: bool,
    /// Bytes of the head that count among those of all connections.
    counted: usize,
}

impl<S> Drop for Looked<S> {
    fn drop(&mut self) {
        self.talks.uncount_head(self.counted);
    }
}

impl<S> Looked<S> {
    pub(super) fn new(stream: S, talk: Arc<Talk>, talks: Arc<Talks>) -> Looked<S> {
        Looked { stream, talk, talks, head: Head::default(), over: false, counted: 0 }
    }

    /// False: there is no room for more of this head.
    fn look(&mut self, bytes: &[u8]) -> bool {
        if !self.talk.is_silent() {
            return true;
        }
        if std::mem::take(&mut self.over) {
            self.head = Head::default();
            self.talks.uncount_head(std::mem::take(&mut self.counted));
        }
        self.over = self.head.read(bytes);
        if self.over {
            self.talk.says_two_lengths(self.head.says_both());
        }
        self.talks.count_head(&mut self.counted, self.head.bytes)
    }
}

/// What is known of a head that comes in.
#[derive(Default)]
struct Head {
    bytes: usize,
    /// The beginning of the line, in lower case, as long as it may be a name that is looked for.
    name: [u8; NAME],
    /// Bytes of the line, its end aside; one that is longer than any such name stays at one more.
    line: usize,
    /// There was a line before.
    begun: bool,
    length: bool,
    encoding: bool,
}

impl Head {
    /// Takes what came; true once the head is over.
    fn read(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            self.bytes += 1;
            match byte {
                b'\n' if self.line == 0 && self.begun => return true,
                b'\n' => {
                    self.begun = self.begun || self.line > 0;
                    self.line = 0;
                }
                b'\r' => {}
                b':' => {
                    match self.name.get(..self.line) {
                        Some(b"content-length") => self.length = true,
                        Some(b"transfer-encoding") => self.encoding = true,
                        _ => {}
                    }
                    self.line = NAME + 1;
                }
                byte => {
                    if let Some(place) = self.name.get_mut(self.line) {
                        *place = byte.to_ascii_lowercase();
                    }
                    self.line = (self.line + 1).min(NAME + 1);
                }
            }
        }
        self.bytes >= HEAD
    }

    fn says_both(&self) -> bool {
        self.length && self.encoding
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Looked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(read, Poll::Ready(Ok(()))) && !self.look(&buf.filled()[before..]) {
            return Poll::Ready(Err(io::Error::other("too many long heads are coming in")));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Looked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str, size: usize) -> (bool, Head) {
        let mut head = Head::default();
        let over = text.as_bytes().chunks(size).any(|piece| head.read(piece));
        (over, head)
    }

    #[test]
    fn both_fields_are_seen_in_any_order_and_case_and_nowhere_else() {
        let both = |text: &str, size| {
            let (over, head) = head(&format!("{text}\r\n\r\nContent-Length: 3"), size);
            assert!(over, "{text}");
            head.says_both()
        };
        for size in [1, 7, 4096] {
            for text in [
                "PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
                "PUT / HTTP/1.1\r\ntransfer-encoding:chunked\r\nhost: a\r\nCONTENT-LENGTH: 3",
                "\r\n\r\nPUT / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked",
            ] {
                assert!(both(text, size), "{text}");
            }
            for text in [
                "PUT / HTTP/1.1\r\nContent-Length: 3\r\nX-Transfer-Encoding: chunked",
                "PUT /transfer-encoding: HTTP/1.1\r\nContent-Length: 3",
                "PUT / HTTP/1.1\r\nContent-Lengths: 3\r\nTransfer-Encoding: chunked",
                "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: content-length: 3",
            ] {
                assert!(!both(text, size), "{text}");
            }
        }
        assert!(!head("PUT / HTTP/1.1\r\nHost: a\r\n", 5).0, "it is not over");
        assert!(head(&format!("GET /{}", "a".repeat(HEAD)), 4096).0, "it is given up");
    }
}
