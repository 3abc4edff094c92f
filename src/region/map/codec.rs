//! Records as bytes: one byte that says the version, then postcard.
//!
//! A version is never given another meaning. Who changes a type of `record` or `command` raises [`VERSION`] and keeps
//! how the old one is read; a test holds the bytes of this one.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Of commands and records as they are now.
pub const VERSION: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("an empty record")]
    Empty,
    #[error(
        "a record of version {0}, and this program knows none above {VERSION}: it was written by a newer Isobar"
    )]
    Version(u8),
    #[error("a record that cannot be read: {0}")]
    Malformed(#[from] postcard::Error),
    #[error("a record with {0} bytes too many")]
    Trailing(usize),
}

pub fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, CodecError> {
    Ok(postcard::to_extend(record, vec![VERSION])?)
}

/// Refuses what it cannot read whole.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.split_first() {
        None => Err(CodecError::Empty),
        Some((&VERSION, rest)) => match postcard::take_from_bytes(rest)? {
            (record, []) => Ok(record),
            (_, more) => Err(CodecError::Trailing(more.len())),
        },
        Some((&version, _)) => Err(CodecError::Version(version)),
    }
}
