//! What Raft tells of itself to `/metrics`: how fast entries are applied, and what snapshots cost.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::base::clock::{Nanos, SEC};
use crate::region::store::pace;

pub const APPLIED: &str = "isobar_region_entries_applied_total";
pub const LONGEST: &str = "isobar_region_apply_longest_seconds";
pub const SNAPSHOTS: &str = "isobar_region_snapshots_total";
pub const SNAPSHOT: &str = "isobar_region_snapshot_seconds";

fn seconds(spent: Nanos) -> f64 {
    spent as f64 / SEC as f64
}

/// Names, units and meanings, once a recorder is there.
pub fn describe() {
    pace::describe();
    describe_counter!(APPLIED, Unit::Count, "Changes of the region map applied by this node.");
    describe_gauge!(LONGEST, Unit::Seconds, "The longest that applying a batch of changes took.");
    describe_counter!(SNAPSHOTS, Unit::Count, "Snapshots of the region map made by this node.");
    describe_gauge!(
        SNAPSHOT,
        Unit::Seconds,
        "How long the last snapshot took; changes are applied meanwhile."
    );
}

/// How long applying takes. While it does, nothing newer can be read.
#[derive(Default)]
pub struct Pace {
    longest: Nanos,
}

impl Pace {
    /// A batch of so many changes was applied and can be read.
    pub fn applied(&mut self, changes: usize, spent: Nanos) {
        counter!(APPLIED).increment(changes as u64);
        if spent > self.longest {
            self.longest = spent;
            gauge!(LONGEST).set(seconds(spent));
        }
    }
}

/// A snapshot was made.
pub fn snapshot(spent: Nanos) {
    counter!(SNAPSHOTS).increment(1);
    gauge!(SNAPSHOT).set(seconds(spent));
}
