//! The only place that reads a clock.
//!
//! Data workers read it once per loop turn and hand the value down; everything that depends on time takes
//! `now` as an argument, so that tests can drive it.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

/// Monotonic nanoseconds since the process started.
pub type Nanos = u64;
/// Monotonic milliseconds since the process started.
pub type Millis = u64;

pub const MS: Nanos = 1_000_000;
pub const SEC: Nanos = 1_000_000_000;

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[allow(clippy::disallowed_methods)]
    *ORIGIN.get_or_init(Instant::now)
}

/// Monotonic time since the process started (at least 1 s, so that subtractions of small spans are safe).
pub fn now_ns() -> Nanos {
    #[allow(clippy::disallowed_methods)]
    let now = Instant::now();
    now.duration_since(origin()).as_nanos() as u64 + SEC
}

/// Nanoseconds of the clock that goes on from process to process, until the machine is started again.
pub fn machine_ns() -> Nanos {
    let read = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    read.map_or(0, |time| time.tv_sec() as u64 * SEC + time.tv_nsec() as u64)
}

pub fn now_ms() -> Millis {
    now_ns() / MS
}

/// From then to now. What was taken over may have begun before this clock did, and its moment has wrapped; what is yet
/// to come has lasted no time.
pub fn elapsed_ms(now: Millis, since: Millis) -> Millis {
    (now.wrapping_sub(since) as i64).max(0) as u64
}

/// The machine's time zone, read once: before the process is confined to a directory where it cannot be read, and never
/// while a worker waits for it.
pub fn zone() -> TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(TimeZone::system).clone()
}

/// Wall-clock time since the Unix epoch.
pub fn wall() -> Duration {
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
