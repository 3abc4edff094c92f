//! What a check's result means: thresholds, and what of it is worth a place in the log. No I/O, no clock.

use crate::base::Millis;
use crate::region::map::{Check, Definition, Health, Probe};

/// Most bytes of output that are kept.
pub const OUTPUT_MAX: usize = 4096;

/// Shortest interval, so that one registration cannot keep a node busy.
pub const INTERVAL_MIN_MS: u64 = 100;

/// What one run of a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub status: Health,
    /// At most [`OUTPUT_MAX`] bytes.
    pub output: String,
}

impl Finding {
    pub fn new(status: Health, output: impl Into<String>) -> Finding {
        Finding { status, output: bounded(output.into()) }
    }

    pub fn critical(output: impl Into<String>) -> Finding {
        Finding::new(Health::Critical, output)
    }
}

/// Cuts a text at [`OUTPUT_MAX`] bytes, between two characters.
pub fn bounded(mut text: String) -> String {
    if text.len() > OUTPUT_MAX {
        let end = (0..=OUTPUT_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The memory of a check between its runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    successes: u32,
    failures: u32,
    /// When its output alone was told last.
    output_told_ms: Option<Millis>,
}

impl Machine {
    /// The status that follows from a result, or `None` while a threshold is not reached (Consul's
    /// `SuccessBeforePassing`, `FailuresBeforeWarning`, `FailuresBeforeCritical`).
    pub fn conclude(&mut self, definition: &Definition, found: Health) -> Option<Health> {
        if found != Health::Critical {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            return (self.successes >= definition.success_before_passing).then_some(found);
        }
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= definition.failures_before_critical {
            return Some(Health::Critical);
        }
        let warning = match definition.failures_before_warning {
            0 => definition.failures_before_critical,
            n => n,
        };
        (self.failures >= warning).then_some(Health::Warning)
    }

    /// Whether the cluster is to be told: of every change of status, of another output at most once in
    /// `output_interval_ms`.
    pub fn tells(&mut self, standing: &Check, next: &Finding, now: Millis, output_interval_ms: u64) -> bool {
        if standing.status != next.status {
            self.output_told_ms = Some(now);
            return true;
        }
        if *standing.output == *next.output {
            return false;
        }
        // What has no output yet gets one at once.
        let due = self.output_told_ms.is_none_or(|at| now >= at + output_interval_ms);
        if due || standing.output.is_empty() {
            self.output_told_ms = Some(now);
            return true;
        }
        false
    }
}

/// The time to live of a check that others report on.
#[derive(Clone, Copy, Debug)]
pub struct Ttl {
    ms: u64,
    heard_ms: Millis,
}

impl Ttl {
    pub fn new(ms: u64, now: Millis) -> Ttl {
        Ttl { ms, heard_ms: now }
    }

    pub fn heard(&mut self, now: Millis) {
        self.heard_ms = now;
    }

    pub fn expires_ms(&self) -> Millis {
        self.heard_ms.saturating_add(self.ms)
    }

    pub fn is_expired(&self, now: Millis) -> bool {
        now >= self.expires_ms()
    }
}

/// Time between the starts of two runs.
pub fn interval_ms(definition: &Definition) -> u64 {
    definition.interval_ms.max(INTERVAL_MIN_MS)
}

/// Longest time a run may take: as said, else ten seconds (30 for a program), never more than the interval then.
pub fn timeout_ms(definition: &Definition) -> u64 {
    match (definition.timeout_ms, &definition.probe) {
        (0, Probe::Script { .. }) => 30_000,
        (0, _) => interval_ms(definition).min(10_000),
        (ms, _) => ms,
    }
}

/// When the first run comes. A check registered just now runs soon, since traffic may wait for it; those that a prober
/// finds when it starts are spread over an interval. `random` is any number.
pub fn first_delay_ms(definition: &Definition, just_registered: bool, random: u32) -> u64 {
    let span = if just_registered { 50 } else { interval_ms(definition).min(10_000) };
    u64::from(random) % span.max(1)
}
