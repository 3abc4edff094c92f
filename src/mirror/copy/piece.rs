//! A piece of a blob that is here whole before it is sent. While it comes from the source nothing is on its way to the
//! target, so that a process which is killed then leaves an upload as it stood: there are registries that forget an
//! upload whose request broke off.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::tap::Tap;
use crate::mirror::client::Fault;
use crate::mirror::client::payload::{Payload, Source};
use crate::mirror::digest::Hasher;

/// Bytes of a piece: what a fault may cost of an upload.
pub const PIECE: u64 = 4 << 20;
/// Pieces in memory.
pub const ROOM: usize = 8;

pub struct Piece {
    frames: VecDeque<Bytes>,
    len: u64,
    /// Of all up to its end.
    pub hasher: Hasher,
    _room: OwnedSemaphorePermit,
}

impl Piece {
    /// Reads so many bytes.
    pub async fn read(tap: &Mutex<Tap>, len: u64, room: OwnedSemaphorePermit) -> Result<Piece, Fault> {
        let (mut frames, mut left) = (VecDeque::new(), len);
        while left > 0 {
            let bytes = std::future::poll_fn(|cx| {
                let mut tap = lock(tap);
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                tap.poll_bytes(cx, most).map(|found| match found {
                    Some(Ok(bytes)) => Ok(bytes),
                    Some(Err(why)) => Err(tap.fault.take().unwrap_or(Fault::Invalid(why))),
                    None => Err(Fault::Invalid(format!("the source ended {left} bytes too early"))),
                })
            })
            .await?;
            left = left.saturating_sub(bytes.len() as u64);
            frames.push_back(bytes);
        }
        let hasher = lock(tap).hasher().clone();
        Ok(Piece { frames, len, hasher, _room: room })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn into_payload(self) -> Payload {
        let left = self.len;
        Payload::piece(Arc::new(Mutex::new(self)), left)
    }
}

pub fn lock(tap: &Mutex<Tap>) -> std::sync::MutexGuard<'_, Tap> {
    tap.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Source for Piece {
    fn poll_bytes(&mut self, _: &mut Context<'_>, _: usize) -> Poll<Option<Result<Bytes, String>>> {
        Poll::Ready(self.frames.pop_front().map(Ok))
    }
}
