//! The map itself: its nouns, the commands that change it, and apply. No I/O, no clock, no randomness.

pub mod command;
pub mod record;
pub mod topic;

pub use command::*;
pub use record::*;
pub use topic::Topic;
