//! How long things take: within a site, or between continents.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use tokio::time::Instant;

/// That long from now.
pub fn after(time: Duration) -> Instant {
    // The clock is read through a timer, which is what it is compared with.
    tokio::time::sleep(time).deadline()
}

/// Whether that moment has come.
pub fn over(moment: Instant) -> bool {
    after(Duration::ZERO) >= moment
}

/// How far members are from each other. The same on all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Round trips of a few milliseconds.
    #[default]
    Lan,
    /// Round trips of up to 400 ms.
    Wan,
}

#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Of a leader; also how long it waits for an answer to entries.
    pub heartbeat_ms: u64,
    /// After a leader's lease ends, a follower waits between these two before it stands for election.
    pub election_min_ms: u64,
    /// Also the lease: nobody votes for another so long after a word of the leader.
    pub election_max_ms: u64,
    /// Of a proposal or a read, until it fails.
    pub request_ms: u64,
    /// Without a word for so long a member is down.
    pub liveness_ms: u64,
    /// Without a word of any of its nodes for so long a region is lost.
    pub region_ms: u64,
    /// Of one piece of a snapshot.
    pub piece_ms: u64,
}

impl Profile {
    pub fn timing(self) -> Timing {
        match self {
            Profile::Lan => Timing {
                heartbeat_ms: 150,
                election_min_ms: 400,
                election_max_ms: 800,
                request_ms: 7_000,
                liveness_ms: 6_000,
                region_ms: 10_000,
                piece_ms: 5_000,
            },
            Profile::Wan => Timing {
                heartbeat_ms: 800,
                election_min_ms: 3_000,
                election_max_ms: 6_000,
                request_ms: 20_000,
                liveness_ms: 20_000,
                region_ms: 30_000,
                piece_ms: 30_000,
            },
        }
    }
}

/// Entries between two snapshots.
const SNAPSHOT_EVERY: u64 = 10_000;
/// Entries kept behind a snapshot, for those who lag.
const KEPT: u64 = 2_000;

impl Timing {
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.election_max_ms)
    }

    pub fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    /// How long a proposal waits for a leader to appear.
    pub fn leaderless(&self) -> Duration {
        Duration::from_millis(self.election_max_ms * 2 + self.heartbeat_ms)
    }

    /// A disk that does not answer for so long is as one that is gone.
    pub fn stall(&self) -> Duration {
        self.lease() * 3
    }

    pub fn config(&self) -> Config {
        Config {
            cluster_name: "region".into(),
            election_timeout_min: self.election_min_ms,
            election_timeout_max: self.election_max_ms,
            heartbeat_interval: self.heartbeat_ms,
            install_snapshot_timeout: self.piece_ms,
            max_payload_entries: 1024,
            replication_lag_threshold: SNAPSHOT_EVERY * 2,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
            max_in_snapshot_log_to_keep: KEPT,
            purge_batch_size: 256,
            // See `election`.
            enable_elect: false,
            ..Config::default()
        }
    }
}
