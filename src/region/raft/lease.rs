//! The leader's lease: how long it may answer reads without asking anyone.
//!
//! A follower votes for nobody within `election-max` of a word of its leader. So a leader whose words a quorum has
//! acknowledged is the only one until that long after it *sent* them; a tenth is taken off for clocks that differ.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::types::{Membership, Vote};
use crate::base::clock::{self, Nanos};

pub struct Lease {
    length_ns: Nanos,
    acked: Mutex<Acked>,
}

#[derive(Default)]
struct Acked {
    vote: Vote,
    /// Given up: holds until there is another vote.
    over: bool,
    /// When what each follower acknowledged last was sent.
    sent: BTreeMap<u64, Nanos>,
}

impl Lease {
    pub fn new(length: Duration) -> Lease {
        Lease { length_ns: length.as_nanos() as Nanos / 10 * 9, acked: Mutex::default() }
    }

    /// A follower acknowledged what was sent at `sent` under `vote`.
    pub fn acknowledged(&self, vote: Vote, from: u64, sent: Nanos) {
        let mut acked = self.lock();
        if vote != acked.vote {
            *acked = Acked { vote, ..Acked::default() };
        }
        let last = acked.sent.entry(from).or_default();
        *last = sent.max(*last);
    }

    /// This node asks another to lead: what it promised itself no longer holds.
    pub fn give_up(&self) {
        self.lock().over = true;
    }

    /// Whether a leader by `vote` is sure that nobody else leads.
    pub fn holds(&self, vote: Vote, me: u64, membership: &Membership) -> bool {
        let now = clock::now_ns();
        let acked = self.lock();
        if acked.over && acked.vote == vote {
            return false;
        }
        let fresh = |id: &u64| {
            let at = acked.sent.get(id).filter(|_| acked.vote == vote);
            *id == me || at.is_some_and(|at| now < at.saturating_add(self.length_ns))
        };
        let configs = membership.get_joint_config();
        !configs.is_empty()
            && configs.iter().all(|voters| voters.iter().filter(|id| fresh(id)).count() > voters.len() / 2)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Acked> {
        self.acked.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::region::raft::types::Peer;

    #[test]
    fn a_lease_needs_a_quorum_of_the_same_vote() {
        let voters = BTreeSet::from([1, 2, 3]);
        let nodes: BTreeMap<u64, Peer> = voters.iter().map(|id| (*id, Peer::default())).collect();
        let three = Membership::new(vec![voters], nodes);
        let one = Membership::new(vec![BTreeSet::from([1])], BTreeMap::from([(1, Peer::default())]));
        let lease = Lease::new(Duration::from_millis(200));
        let vote = Vote::new_committed(1, 1);
        assert!(lease.holds(vote, 1, &one));
        assert!(!lease.holds(vote, 1, &three));
        lease.acknowledged(vote, 2, clock::now_ns());
        assert!(lease.holds(vote, 1, &three));
        assert!(!lease.holds(Vote::new_committed(2, 1), 1, &three));
        lease.give_up();
        assert!(!lease.holds(vote, 1, &three));
        lease.acknowledged(Vote::new_committed(2, 1), 3, clock::now_ns() - 150_000_000);
        assert!(lease.holds(Vote::new_committed(2, 1), 1, &three));
        std::thread::sleep(Duration::from_millis(60));
        assert!(!lease.holds(Vote::new_committed(2, 1), 1, &three));
    }
}
