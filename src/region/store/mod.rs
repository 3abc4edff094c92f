//! What Raft keeps: log, vote and snapshots, in a `data-dir` or in memory.

pub mod departed;
pub mod disk;
pub mod ends;
pub mod error;
pub mod writer;
pub mod image;
pub mod log;
pub mod pace;
mod progress;
pub mod record;
pub mod snapshot;
mod weight;

#[cfg(test)]
pub(crate) mod tests;

pub use disk::FORCE_NEW;
pub use ends::EndsFile;
pub use error::StoreError;
pub use image::Image;
pub use log::LogStore;
pub use progress::Stable;
pub use record::Identity;
pub use snapshot::Snapshots;
pub use writer::AbortOnPanic;
