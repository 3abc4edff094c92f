//! How fast the disk takes what is written to the log, and whether it answers at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::base::clock::{self, MS, Nanos, SEC};

pub const COMMITS: &str = "isobar_region_log_commits_total";
pub const COMMIT: &str = "isobar_region_log_commit_seconds";
pub const LONGEST: &str = "isobar_region_log_commit_longest_seconds";

/// A commit that takes longer is named in the log of the program.
const SLOW: Nanos = SEC;
/// Until somebody says what is to be borne.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names, units and meanings, once a recorder is there.
pub fn describe() {
    describe_counter!(COMMITS, Unit::Count, "Durable commits of the region map's log on this node.");
    describe_gauge!(COMMIT, Unit::Seconds, "How long the disk took for the last of them.");
    describe_gauge!(LONGEST, Unit::Seconds, "The longest that the disk took for one.");
}

/// A commit and how long it takes.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the commit under way began; 0: there is none.
    since: AtomicU64,
    longest: AtomicU64,
    patience: AtomicU64,
}

impl Default for Pace {
    fn default() -> Pace {
        let patience = AtomicU64::new(PATIENCE.as_nanos() as Nanos);
        Pace { since: AtomicU64::new(0), longest: AtomicU64::new(0), patience }
    }
}

impl Pace {
    pub(super) fn bear(&self, patience: Duration) {
        self.patience.store(patience.as_nanos() as Nanos, Ordering::Relaxed);
    }

    pub(super) fn begins(&self) {
        self.since.store(clock::now_ns().max(1), Ordering::Release);
    }

    pub(super) fn ends(&self) {
        let since = self.since.swap(0, Ordering::AcqRel);
        let took = clock::now_ns().saturating_sub(since);
        let seconds = took as f64 / SEC as f64;
        counter!(COMMITS).increment(1);
        gauge!(COMMIT).set(seconds);
        if took > self.longest.fetch_max(took, Ordering::Relaxed) {
            gauge!(LONGEST).set(seconds);
        }
        if took >= SLOW {
            tracing::warn!("region map: the disk took {} ms for a commit of the log", took / MS);
        }
    }

    /// Says so when the disk does not answer.
    pub(super) fn stalled(&self) -> Option<String> {
        let since = self.since.load(Ordering::Acquire);
        let waits = clock::now_ns().saturating_sub(since);
        let stalled = since != 0 && waits >= self.patience.load(Ordering::Relaxed);
        stalled.then(|| format!("the disk has not answered for {:.1} s", waits as f64 / SEC as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_known_by_its_time() {
        let pace = Pace::default();
        pace.bear(Duration::from_millis(30));
        assert_eq!(pace.stalled(), None, "nothing is asked of it");
        pace.begins();
        assert_eq!(pace.stalled(), None);
        std::thread::sleep(Duration::from_millis(40));
        assert!(pace.stalled().is_some_and(|why| why.contains("has not answered for")));
        pace.ends();
        assert_eq!(pace.stalled(), None);
    }
}
