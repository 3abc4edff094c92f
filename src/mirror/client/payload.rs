//! Bodies of requests: nothing, bytes, or what is read from another registry while it is sent.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Where a body that streams comes from.
pub trait Source: Send {
    /// At most `most` bytes; `None` at the end, which is no good while bytes are due.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Result<Bytes, String>>>;
}

pub type Shared = Arc<Mutex<dyn Source>>;

pub enum Payload {
    Bytes(Bytes),
    /// So many bytes of a source, which stays where it is for who sends the next piece.
    Piece {
        source: Shared,
        left: u64,
        /// What of it a connection has not taken yet, for who looks whether it moves.
        due: Arc<AtomicU64>,
    },
}

impl Payload {
    pub fn piece(source: Shared, left: u64) -> Payload {
        Payload::Piece { source, left, due: Arc::new(AtomicU64::new(left)) }
    }

    /// What is still to be taken, also once it is on its way.
    pub fn due(&self) -> Arc<AtomicU64> {
        match self {
            Payload::Piece { due, .. } => due.clone(),
            Payload::Bytes(_) => Arc::default(),
        }
    }

    pub fn empty() -> Payload {
        Payload::Bytes(Bytes::new())
    }
}

/// Bytes that go to a connection at once.
const FRAME: u64 = 256 << 10;

impl Body for Payload {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match self.get_mut() {
            Payload::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Payload::Piece { left: 0, .. } => Poll::Ready(None),
            Payload::Piece { source, left, due } => {
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                source.poll_bytes(cx, (*left).min(FRAME) as usize).map(|found| match found {
                    Some(Ok(bytes)) => {
                        *left = left.saturating_sub(bytes.len() as u64);
                        due.store(*left, Ordering::Relaxed);
                        Some(Ok(Frame::data(bytes)))
                    }
                    Some(Err(why)) => Some(Err(why)),
                    None => Some(Err(format!("the source ended {left} bytes too early"))),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Payload::Piece { left: 0, .. })
            || matches!(self, Payload::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::Piece { left, .. } => *left,
        })
    }
}
