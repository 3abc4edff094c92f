//! What Raft keeps: log, vote and snapshots, in a `data-dir` or in memory.

pub mod departed;
pub mod disk;
pub mod error;
pub mod writer;
pub mod log;
pub mod record;
pub mod snapshot;

#[cfg(test)]
pub(crate) mod tests;

pub use disk::FORCE_NEW;
pub use error::StoreError;
pub use log::{LogStore, Stable};
pub use record::Identity;
pub use snapshot::{Image, Snapshots};
pub use writer::AbortOnPanic;
