//! Where log lines go: the targets of `log` lines, compiled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::model::Address;

/// `log <target> [len n] [format f] [sample ...] <facility> [<level> [<minlevel>]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogTarget {
    pub address: LogAddress,
    /// Longest line, 1024 unless `len`.
    pub max_len: usize,
    pub format: LogFraming,
    /// Syslog facility 0..=23, most verbose level that is sent, and the level below which lines are raised to it.
    pub facility: u8,
    pub level: u8,
    pub min_level: u8,
    /// `sample <ranges>:<size>`: which of every `size` lines are sent, 1-based.
    pub sample: Option<(Vec<(u32, u32)>, u32)>,
    pub counter: SampleCounter,
    /// `profile`, kept by name.
    pub profile: Option<String>,
}

/// Lines that `sample` has seen, counted by all workers together. Takes no part in comparisons.
#[derive(Clone, Debug, Default)]
pub struct SampleCounter(Arc<AtomicU32>);

impl PartialEq for SampleCounter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl LogTarget {
    /// Whether the next line is one of those to send; counts it.
    pub fn takes_sample(&self) -> bool {
        let Some((ranges, size)) = &self.sample else { return true };
        let place = self.counter.0.fetch_add(1, Ordering::Relaxed) % (*size).max(1) + 1;
        ranges.iter().any(|(low, high)| (*low..=*high).contains(&place))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum LogAddress {
    /// UDP or unix datagram.
    Socket(Address),
    /// `stdout`, `stderr`, `fd@N`: written as is.
    Fd(i32),
    Ring(String),
}

/// `format` of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFraming {
    /// None given: as `rfc3164` with `log-send-hostname`, else as `local`.
    Unset,
    Local,
    Rfc3164,
    Rfc5424,
    Priority,
    Short,
    Timed,
    Iso,
    Raw,
}
