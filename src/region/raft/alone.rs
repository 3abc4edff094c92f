//! A cluster that lost its quorum for good: the store of one member becomes that of a cluster of this member alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::{CommittedLeaderId, EntryPayload};

use super::start::StartError;
use super::types::{Entry, LogId, Membership, Peer, Vote};
use crate::region::store::{LogStore, Snapshots, StoreError};

/// Everything in the log counts as committed, and its last entry says that this node alone votes. To be done once, with
/// the others gone for good: what only they had is lost, and they must not come back with their stores.
pub fn make_alone(
    log: &LogStore,
    snapshots: &Snapshots,
    name: &str,
    address: &str,
) -> Result<(), StartError> {
    let id = log.id();
    if id == 0 {
        return Err(StartError::Raft("there is no store to make a cluster of".into()));
    }
    let peer = Peer { name: Arc::from(name), address: Arc::from(address) };
    let term = log.vote().map_or(0, |vote| vote.leader_id.term) + 1;
    let snapshot = snapshots.current().and_then(|(meta, _)| meta.last_log_id);
    let next = log.last().max(snapshot).map_or(0, |last| last.index + 1);
    let at = LogId::new(CommittedLeaderId::new(term, id), next);
    let membership = Membership::new(vec![BTreeSet::from([id])], BTreeMap::from([(id, peer)]));
    let entry = Entry { log_id: at, payload: EntryPayload::Membership(membership) };
    // The vote is not committed: this node stands for election at once, and wins it alone.
    log.found_anew(snapshot, entry, Vote::new(term, id)).map_err(|e: StoreError| StartError::Store(e))
}
