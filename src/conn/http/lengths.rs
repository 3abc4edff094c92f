//! Whether a request says its length in two ways, `Content-Length` and `Transfer-Encoding`.
//!
//! Whoever reads one of them and somebody on the way the other disagree about where the request ends (RFC 9112 section
//! 6.1). hyper goes by the second and forgets the first, so heads are looked at as they come in.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guard::Talk;

/// Bytes of a head that are looked at; a longer one is refused for its length.
const HEAD: usize = 64 << 10;
const END: &[u8] = b"\r\n\r\n";

/// In the extensions of a request that says its length in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoLengths;

/// A connection whose heads are looked at.
pub(super) struct Looked<S> {
    stream: S,
    talk: Arc<Talk>,
    /// Of the head that comes in.
    head: Vec<u8>,
    /// The head is over; what comes is a body, until the answer is given.
    over: bool,
}

impl<S> Looked<S> {
    pub(super) fn new(stream: S, talk: Arc<Talk>) -> Looked<S> {
        Looked { stream, talk, head: Vec::new(), over: false }
    }

    fn look(&mut self, bytes: &[u8]) {
        if !self.talk.is_silent() {
            return;
        }
        if std::mem::take(&mut self.over) {
            self.head.clear();
        }
        let from = self.head.len().saturating_sub(END.len() - 1);
        let room = HEAD.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let end = memchr::memmem::find(&self.head[from..], END).map(|at| from + at);
        if let Some(end) = end.or((self.head.len() >= HEAD).then_some(HEAD)) {
            self.talk.says_two_lengths(says_two(&self.head[..end]));
            self.over = true;
        }
    }
}

/// Whether a head has both fields.
fn says_two(head: &[u8]) -> bool {
    let has = |name: &[u8]| {
        head.split(|b| *b == b'\n').any(|line| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && line.get(name.len()) == Some(&b':')
        })
    };
    has(b"content-length") && has(b"transfer-encoding")
}

impl<S: AsyncRead + Unpin> AsyncRead for Looked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.look(&buf.filled()[before..]);
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

    #[test]
    fn both_fields_are_seen_in_any_order_and_case_and_nowhere_else() {
        for head in [
            "PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            "PUT / HTTP/1.1\r\ntransfer-encoding:chunked\r\nhost: a\r\nCONTENT-LENGTH: 3",
        ] {
            assert!(says_two(head.as_bytes()), "{head}");
        }
        for head in [
            "PUT / HTTP/1.1\r\nContent-Length: 3\r\nX-Transfer-Encoding: chunked",
            "PUT /transfer-encoding: HTTP/1.1\r\nContent-Length: 3",
            "PUT / HTTP/1.1\r\nContent-Lengths: 3\r\nTransfer-Encoding: chunked",
        ] {
            assert!(!says_two(head.as_bytes()), "{head}");
        }
    }
}
