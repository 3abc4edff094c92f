//! Log lines: targets, syslog framing, sinks.

pub mod frame;
pub mod sink;
pub mod target;

pub use frame::{Origin, frame};
pub use sink::{DROPPED, Logger};
pub use target::{LogAddress, LogFraming, LogTarget, SampleCounter};
