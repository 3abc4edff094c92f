//! Log lines: targets, syslog framing, sinks.

pub mod target;

pub use target::{LogAddress, LogFraming, LogTarget};
