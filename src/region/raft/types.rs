//! The types with which Raft is instantiated.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::region::map::{Proposal, Reply};
use crate::region::store::Image;

openraft::declare_raft_types!(
    /// Raft over proposals to the region map. A proposal is shared: the log's cache, each follower's stream and apply
    /// hold the same one.
    pub Consensus:
        D = Arc<Proposal>,
        R = Reply,
        NodeId = u64,
        Node = Peer,
        SnapshotData = Image,
);

pub type Raft = openraft::Raft<Consensus>;
pub type Entry = openraft::Entry<Consensus>;
pub type LogId = openraft::LogId<u64>;
pub type Vote = openraft::Vote<u64>;
pub type Membership = openraft::Membership<u64, Peer>;
pub type StoredMembership = openraft::StoredMembership<u64, Peer>;
pub type SnapshotMeta = openraft::SnapshotMeta<u64, Peer>;
pub type StorageError = openraft::StorageError<u64>;

/// A member as Raft knows it: what one needs to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    pub name: Arc<str>,
    /// `ip:port` at which it takes RPCs.
    pub address: Arc<str>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}
