//! The map itself: its nouns, the commands that change it, and apply. No I/O, no clock, no randomness.

pub mod command;
pub mod record;
pub mod topic;
pub mod codec;
mod apply;
mod archive;
mod catalog;
mod change;
mod edit;
mod held;
mod kv;
mod lease;
mod lists;
#[allow(clippy::module_inception)]
mod map;
mod register;
mod restore;
mod session;
mod shelf;
mod snapshot;
mod tables;
mod tombstone;
mod verdict;
mod write;
mod txn;

pub use archive::{ARCHIVE_PIECE, unzip_archive};
pub use command::*;
pub use map::{Map, Service};
pub use record::*;
pub use register::NODE_LIVENESS;
pub use snapshot::SnapshotError;
pub use tables::{DOCUMENT_VERSIONS, EVENTS};
pub use topic::Topic;

#[cfg(test)]
mod tests;
