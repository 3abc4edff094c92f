//! How much memory what clients send, and what is answered to them, may take at once.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::catalog::request::fault::Fault;

/// In what is counted.
const UNIT: usize = 1 << 10;
/// What is smaller is not counted: the number of connections bounds it.
const SMALL: usize = 16 << 10;

/// Bytes that all requests together may hold.
#[derive(Debug, Clone)]
pub struct Budget {
    room: Arc<Semaphore>,
    units: usize,
}

/// A part of it, until it is dropped.
#[derive(Debug, Default)]
pub struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    pub fn new(bytes: usize) -> Budget {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Budget { room: Arc::new(Semaphore::new(units)), units }
    }

    /// Makes a share one of so many bytes; what is as large as everything takes all that is left. False: there is no room.
    pub fn grow(&self, share: &mut Share, bytes: usize) -> bool {
        let wanted = if bytes <= SMALL { 0 } else { bytes.div_ceil(UNIT).min(self.units) };
        let held = share.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = u32::try_from(wanted.saturating_sub(held)).ok() else { return false };
        if more == 0 {
            return true;
        }
        match (self.room.clone().try_acquire_many_owned(more), &mut share.0) {
            (Ok(more), Some(held)) => held.merge(more),
            (Ok(more), none) => *none = Some(more),
            (Err(_), _) => return false,
        }
        true
    }

    /// An answer's bytes, which count until the last of them is on its way.
    pub fn hold(&self, bytes: Bytes) -> Result<Bytes, Fault> {
        if bytes.len() <= SMALL {
            return Ok(bytes);
        }
        let mut share = Share::default();
        match self.grow(&mut share, bytes.len()) {
            true => Ok(Budget::held(bytes, share)),
            false => Err(no_room("Too many large answers are being read")),
        }
    }

    /// Bytes that are counted already, until the last of them is on its way.
    pub fn held(bytes: Bytes, share: Share) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: share })
    }
}

pub fn no_room(why: &str) -> Fault {
    Fault::new(StatusCode::SERVICE_UNAVAILABLE, why)
}

struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_the_last_piece_is_gone() {
        let budget = Budget::new(100 << 10);
        let small = budget.hold(Bytes::from(vec![0; SMALL])).expect("uncounted");
        let mut first = budget.hold(Bytes::from(vec![1; 60 << 10])).expect("room");
        assert_eq!(
            budget.hold(Bytes::from(vec![0; 60 << 10])).map_err(|fault| fault.status.as_u16()),
            Err(503)
        );
        let piece = first.split_to(10);
        drop(first);
        assert!(budget.hold(Bytes::from(vec![0; 60 << 10])).is_err());
        assert_eq!((piece[0], small.len()), (1, SMALL));
        drop(piece);
        let all =
            budget.hold(Bytes::from(vec![0; 900 << 10])).expect("one that is larger than all takes all");
        assert!(budget.hold(Bytes::from(vec![0; 17 << 10])).is_err());
        drop(all);
        let mut share = Share::default();
        assert!(budget.grow(&mut share, 50 << 10) && budget.grow(&mut share, 90 << 10));
        assert!(!budget.grow(&mut share, 101 << 10) || budget.room.available_permits() == 0);
        drop(share);
        assert_eq!(budget.room.available_permits(), 100);
    }
}
