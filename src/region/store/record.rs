//! What the log holds, as bytes: a version, then fields of our own, so that neither a new version of a library nor of
//! ours makes an old store unreadable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::{CommittedLeaderId, EntryPayload};
use serde::{Deserialize, Serialize};

use crate::region::map::Proposal;
use crate::region::raft::types::{Entry, LogId, Membership, Peer, SnapshotMeta, StoredMembership, Vote};

/// The version of the records below.
const VERSION: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("a record of version {0}, newer than this program knows ({VERSION})")]
    Newer(u8),
    #[error("a record that cannot be read: {0}")]
    Broken(#[from] postcard::Error),
    #[error("an empty record")]
    Empty,
}

/// A log id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRecord {
    term: u64,
    node: u64,
    index: u64,
}

impl From<LogId> for IdRecord {
    fn from(id: LogId) -> IdRecord {
        IdRecord { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<IdRecord> for LogId {
    fn from(id: IdRecord) -> LogId {
        LogId::new(CommittedLeaderId::new(id.term, id.node), id.index)
    }
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRecord {
    term: u64,
    node: u64,
    committed: bool,
}

impl From<Vote> for VoteRecord {
    fn from(vote: Vote) -> VoteRecord {
        VoteRecord { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote {
    fn from(record: VoteRecord) -> Vote {
        let mut vote = Vote::new(record.term, record.node);
        vote.committed = record.committed;
        vote
    }
}

#[derive(Serialize, Deserialize)]
struct MembershipRecord {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, Peer>,
}

impl From<&Membership> for MembershipRecord {
    fn from(membership: &Membership) -> MembershipRecord {
        MembershipRecord {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, peer)| (*id, peer.clone())).collect(),
        }
    }
}

impl From<MembershipRecord> for Membership {
    fn from(record: MembershipRecord) -> Membership {
        Membership::new(record.configs, record.nodes)
    }
}

#[derive(Serialize, Deserialize)]
enum Payload {
    Blank,
    Normal(Arc<Proposal>),
    Membership(MembershipRecord),
}

#[derive(Serialize, Deserialize)]
struct EntryRecord {
    id: IdRecord,
    payload: Payload,
}

#[derive(Serialize, Deserialize)]
struct MetaRecord {
    last: Option<IdRecord>,
    membership_at: Option<IdRecord>,
    membership: MembershipRecord,
    id: String,
}

fn put<T: Serialize>(value: &T) -> Vec<u8> {
    // Cannot fail: every type here is plain data, written to memory.
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(postcard::from_bytes(rest)?),
        Some((0, _)) | None => Err(RecordError::Empty),
        Some((&newer, _)) => Err(RecordError::Newer(newer)),
    }
}

pub fn entry_to_bytes(entry: &Entry) -> Vec<u8> {
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank,
        EntryPayload::Normal(proposal) => Payload::Normal(proposal.clone()),
        EntryPayload::Membership(membership) => Payload::Membership(membership.into()),
    };
    put(&EntryRecord { id: entry.log_id.into(), payload })
}

pub fn entry_from_bytes(bytes: &[u8]) -> Result<Entry, RecordError> {
    let record: EntryRecord = take(bytes)?;
    let payload = match record.payload {
        Payload::Blank => EntryPayload::Blank,
        Payload::Normal(proposal) => EntryPayload::Normal(proposal),
        Payload::Membership(membership) => EntryPayload::Membership(membership.into()),
    };
    Ok(Entry { log_id: record.id.into(), payload })
}

pub fn vote_to_bytes(vote: &Vote) -> Vec<u8> {
    put(&VoteRecord::from(*vote))
}

pub fn vote_from_bytes(bytes: &[u8]) -> Result<Vote, RecordError> {
    Ok(take::<VoteRecord>(bytes)?.into())
}

pub fn id_to_bytes(id: &LogId) -> Vec<u8> {
    put(&IdRecord::from(*id))
}

pub fn id_from_bytes(bytes: &[u8]) -> Result<LogId, RecordError> {
    Ok(take::<IdRecord>(bytes)?.into())
}

pub fn meta_to_bytes(meta: &SnapshotMeta) -> Vec<u8> {
    put(&MetaRecord {
        last: meta.last_log_id.map(IdRecord::from),
        membership_at: meta.last_membership.log_id().map(IdRecord::from),
        membership: meta.last_membership.membership().into(),
        id: meta.snapshot_id.clone(),
    })
}

pub fn meta_from_bytes(bytes: &[u8]) -> Result<SnapshotMeta, RecordError> {
    let record: MetaRecord = take(bytes)?;
    let at = record.membership_at.map(LogId::from);
    Ok(SnapshotMeta {
        last_log_id: record.last.map(LogId::from),
        last_membership: StoredMembership::new(at, record.membership.into()),
        snapshot_id: record.id,
    })
}

pub fn identity_to_bytes(identity: &Identity) -> Vec<u8> {
    put(identity)
}

pub fn identity_from_bytes(bytes: &[u8]) -> Result<Identity, RecordError> {
    take(bytes)
}

/// Who this store belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Drawn when the store was made.
    pub store: u128,
    /// The cluster that it is part of; 0 before it is.
    pub cluster: u128,
    /// The member's id in that cluster; 0 before it has one.
    pub id: u64,
    /// The first members, kept until the cluster stands.
    pub forming: Vec<(u64, Peer)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_newer_version_says_so() {
        let mut bytes = id_to_bytes(&LogId::new(CommittedLeaderId::new(3, 1), 9));
        assert_eq!(id_from_bytes(&bytes).unwrap().index, 9);
        bytes[0] = VERSION + 1;
        assert!(matches!(id_from_bytes(&bytes), Err(RecordError::Newer(2))));
        assert!(matches!(id_from_bytes(&[]), Err(RecordError::Empty)));
        assert!(matches!(id_from_bytes(&[VERSION, 0xff]), Err(RecordError::Broken(_))));
    }
}
