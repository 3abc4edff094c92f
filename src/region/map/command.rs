//! What can be done to the map: the commands of the log and their replies.
//!
//! A command says all that its result depends on: ids are drawn and clocks read by the proposer, never by apply.
//! On disk and on the wire a command stands in a record with a version ([`codec`](super::codec)).

use std::cell::Cell;

use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::record::*;

/// One entry of the log, for the state machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// When it was proposed, by the clock of the node that did.
    pub at: WallMs,
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Several proposals that shared one entry; each has its own reply, one that fails does not touch the others.
    Batch(#[serde(deserialize_with = "flat")] Vec<Proposal>),
    /// Node, instance and checks at once; what is equal to what stands changes nothing, not even an index.
    Register(Box<Registration>),
    Deregister(Deregistration),
    /// A check's result. Refused when there is no such check.
    CheckStatus {
        node: Name,
        check: Name,
        status: Health,
        output: Name,
    },
    KvPut {
        key: Name,
        value: Bytes,
        flags: u64,
        when: PutWhen,
    },
    KvDelete {
        key: Name,
        when: DeleteWhen,
    },
    SessionCreate(Session),
    /// By its user, by the end of its TTL, or by its node's death.
    SessionDestroy {
        id: Name,
    },
    /// All or nothing.
    Txn(Vec<TxnOp>),
    QueryPut(Query),
    QueryDelete {
        id: Name,
    },
    EventFire(Event),
    RegionPut(Region),
    RegionDelete {
        name: Name,
    },
    /// `id` 0: a new member, whose id is the index of this entry. Otherwise a change of one that stands, or with
    /// `create_index` 0 one of those that formed the cluster. Never in a batch with another.
    MemberPut(Member),
    MemberDelete {
        id: u64,
    },
    /// What members keep for themselves: who may be believed, and the authority and join tokens, sealed for managers.
    /// Opaque here. An empty value: none any more.
    SecretPut {
        name: Name,
        value: Bytes,
    },
    /// A document at its next version. `expected`: refused unless that is the present version (0: none yet).
    DocumentPut {
        name: Name,
        text: Bytes,
        author: Name,
        expected: Option<u64>,
    },
    DocumentDelete {
        name: Name,
    },
    /// Changes nothing: a barrier.
    Nothing,
    /// A region is lost, or back: the leader's decision.
    RegionStands {
        name: Name,
        lost: bool,
        cause: Name,
    },
    /// What a node checks for others, all of it.
    CheckerPut {
        node: Name,
        keys: Vec<Name>,
    },
    /// What a node found of an instance. `instead_of`: nodes that no longer check it, whose word ends with this.
    Found(Box<Found>),
    /// See [`Lease`]. `Reply::Id` bears the term.
    LeaseAcquire {
        name: Name,
        holder: u64,
        claim: u64,
        length_ms: u64,
    },
    LeaseRenew {
        name: Name,
        term: u64,
    },
    LeaseRelease {
        name: Name,
        term: u64,
    },
    /// The leader found that its time is over. `renewed`: it ends only if it was not renewed after that index.
    LeaseExpire {
        name: Name,
        term: u64,
        renewed: Index,
    },
    /// A piece of an archive, which with the last piece takes the place of all that a cluster does not say of itself.
    Restore(Box<Piece>),
}

/// A piece of an archive that is to be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Drawn for each archive.
    pub archive: Name,
    /// Which one, from 0.
    pub number: u64,
    pub data: Bytes,
    pub last: bool,
}

impl Piece {
    /// A first piece with nothing in it: the archive does not come, and what came of it is given back.
    pub fn giving_up(archive: Name) -> Piece {
        Piece { archive, number: 0, data: Bytes::new(), last: false }
    }

    pub fn gives_up(&self) -> bool {
        self.number == 0 && self.data.is_empty() && !self.last
    }
}

/// One node's finding on one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub node: Name,
    pub service_id: Name,
    pub key: Name,
    pub by: Name,
    /// It does not answer.
    pub down: bool,
    pub cause: Name,
    pub instead_of: Vec<Name>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    pub node: Node,
    /// Leave an existing node as it is (`SkipNodeUpdate`, and everything an agent registers for itself).
    pub skip_node_update: bool,
    pub instance: Option<Instance>,
    pub checks: Vec<Check>,
    /// Checks of the instance that are not in `checks` go away (`replace-existing-checks`).
    pub replace_checks: bool,
}

/// An instance, a check, or with neither the whole node. What is not there is no error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deregistration {
    pub node: Name,
    pub service_id: Option<Name>,
    pub check_id: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutWhen {
    Always,
    /// Only if it is unchanged since that index; 0: only if it is not there.
    Cas(Index),
    /// Take the lock for a session.
    Acquire(Name),
    Release(Name),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteWhen {
    Always,
    /// 0: never true of what stands, and so `false`.
    Cas(Index),
    /// Every key that begins so.
    Tree,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TxnOp {
    KvPut { key: Name, value: Bytes, flags: u64, when: PutWhen },
    KvDelete { key: Name, when: DeleteWhen },
    KvGet { key: Name },
    KvGetTree { key: Name },
    KvCheckIndex { key: Name, index: Index },
    KvCheckSession { key: Name, session: Name },
    KvCheckNotExists { key: Name },
    SessionDestroy { id: Name },
    NodePut { node: Node, cas: Option<Index> },
    NodeDelete { name: Name, cas: Option<Index> },
    NodeGet { name: Name },
    ServicePut { instance: Instance, cas: Option<Index> },
    ServiceDelete { node: Name, id: Name, cas: Option<Index> },
    ServiceGet { node: Name, id: Name },
    CheckPut { check: Check, cas: Option<Index> },
    CheckDelete { node: Name, id: Name, cas: Option<Index> },
    CheckGet { node: Name, id: Name },
}

/// What an operation of a transaction found or left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TxnResult {
    /// `value` is empty unless the operation reads.
    Kv(Entry),
    Node(Node),
    Service(Instance),
    Check(Check),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TxnError {
    /// Which operation, from 0.
    pub op: u32,
    pub what: Name,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Done {
        index: Index,
    },
    /// Whether a condition held (CAS, a lock).
    Held {
        held: bool,
        index: Index,
    },
    /// The id given to a new member; the version given to a document.
    Id {
        id: u64,
        index: Index,
    },
    Txn {
        results: Vec<TxnResult>,
        errors: Vec<TxnError>,
        index: Index,
    },
    Batch(Vec<Reply>),
    Refused(Refusal),
}

/// A command that was applied and changed nothing, because it asks for what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("invalid session {0:?}")]
    InvalidSession(Name),
    #[error("unknown check {0:?}")]
    UnknownCheck(Name),
    #[error("unknown service ID {0:?}")]
    UnknownService(Name),
    #[error("missing node registration for {0:?}")]
    UnknownNode(Name),
    #[error("unknown prepared query {0:?}")]
    UnknownQuery(Name),
    #[error("unknown region {0:?}")]
    UnknownRegion(Name),
    #[error("unknown member {0}")]
    UnknownMember(u64),
    #[error("unknown document {0:?}")]
    UnknownDocument(Name),
    #[error("document {name:?} is at version {present}, not {expected}")]
    DocumentVersion { name: Name, present: u64, expected: u64 },
    #[error("name {0:?} is taken")]
    NameTaken(Name),
    #[error("check {0:?} is critical")]
    CriticalCheck(Name),
    #[error("{0}")]
    Invalid(Name),
    #[error("lease {name:?} is held by member {holder}")]
    LeaseHeld { name: Name, holder: u64 },
    #[error("lease {0:?} was lost")]
    LeaseLost(Name),
}

/// A batch holds no batch, else bytes from the network could say how deep reading them goes.
fn flat<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Proposal>, D::Error> {
    thread_local!(static WITHIN: Cell<bool> = const { Cell::new(false) });
    if WITHIN.replace(true) {
        return Err(D::Error::custom("a batch within a batch"));
    }
    let proposals = Vec::deserialize(from);
    WITHIN.set(false);
    proposals
}
