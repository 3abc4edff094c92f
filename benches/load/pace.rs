//! When a client sends: closed loop (as soon as a connection is free) or open loop (at fixed times, whatever
//! the answers do), and when it warms up, measures and stops.

use crate::args::Args;
use std::collections::VecDeque;

/// How requests are released.
pub enum Pace {
    Closed,
    Open(Schedule),
}

/// Evenly spaced send times. A request that finds no free connection waits in the backlog and its latency
/// counts from the time it was due, so a slow proxy cannot hide behind requests that were never sent.
pub struct Schedule {
    interval_ns: f64,
    start_ns: u64,
    released: u64,
    pub backlog: VecDeque<u64>,
}

impl Schedule {
    pub fn new(per_second: f64) -> Self {
        Self { interval_ns: 1e9 / per_second, start_ns: 0, released: 0, backlog: VecDeque::new() }
    }

    pub fn start(&mut self, now_ns: u64) {
        self.start_ns = now_ns;
    }

    pub fn next_due_ns(&self) -> u64 {
        self.start_ns + (self.released as f64 * self.interval_ns) as u64
    }

    /// Moves everything that is due by now to the backlog.
    pub fn release(&mut self, now_ns: u64) {
        while self.next_due_ns() <= now_ns {
            self.backlog.push_back(self.next_due_ns());
            self.released += 1;
        }
    }
}

/// What ends a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    AfterNs(u64),
    AfterRequests(u64),
    StdinClosed,
}

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    WarmUp,
    Window,
    /// No new requests; those in flight may finish.
    Drain,
}

/// The plan of a run.
pub struct Plan {
    pub warmup_ns: u64,
    pub end: End,
    pub stuck_ns: u64,
}

impl Plan {
    pub fn from_args(args: &Args) -> Result<Self, String> {
        let end = match (args.optional::<f64>("duration")?, args.optional::<u64>("requests")?) {
            (Some(seconds), None) => End::AfterNs(nanos(seconds)),
            (None, Some(count)) => End::AfterRequests(count),
            (None, None) => End::StdinClosed,
            (Some(_), Some(_)) => return Err("--duration or --requests, not both".to_owned()),
        };
        let warmup_ns = match end {
            End::AfterRequests(_) => 0,
            _ => nanos(args.or("warmup", 0.3)?),
        };
        Ok(Self { warmup_ns, end, stuck_ns: nanos(args.or("stuck", 10.0)?) })
    }

    /// The most requests the run may send.
    pub fn limit(&self) -> u64 {
        if let End::AfterRequests(count) = self.end { count } else { u64::MAX }
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_releases_what_a_stall_held_back() {
        let mut schedule = Schedule::new(1000.0);
        schedule.start(5_000_000);
        schedule.release(5_000_000);
        assert_eq!(schedule.backlog, [5_000_000]);
        schedule.release(8_500_000);
        assert_eq!(schedule.backlog, [5_000_000, 6_000_000, 7_000_000, 8_000_000]);
        assert_eq!(schedule.next_due_ns(), 9_000_000);
    }
}
