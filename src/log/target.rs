//! Where log lines go: the targets of `log` lines, compiled.

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
    /// `profile`, kept by name.
    pub profile: Option<String>,
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
    Local,
    Rfc3164,
    Rfc5424,
    Priority,
    Short,
    Timed,
    Iso,
    Raw,
}
