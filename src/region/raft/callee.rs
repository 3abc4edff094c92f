//! Who answers what members ask of each other beyond the map.

use std::pin::Pin;

use bytes::Bytes;

/// Longest body of a call or of its answer, in bytes.
pub const CALL_BYTES: usize = 8 << 20;

/// Kinds of calls from here on are the network's own.
pub(super) const CARRIER: u8 = 128;
/// When sessions end.
pub(super) const ENDS: u8 = 129;

pub type Called<'a> = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>>;

/// Who answers calls of other members (and of this one to itself).
pub trait Callee: Send + Sync {
    /// `kind` says what is asked; an unknown one is an error in words.
    fn called(&self, kind: u8, body: Bytes) -> Called<'_>;
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("unknown member {0}")]
    Unknown(u64),
    #[error("too large")]
    TooLarge,
    #[error("{0}")]
    Unreachable(String),
    /// What the other side said.
    #[error("{0}")]
    Refused(String),
}
