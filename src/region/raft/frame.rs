//! What members say to each other: requests and answers, in frames of a bounded length.
//!
//! A connection begins with eight bytes each way, which say the version. Then come frames: length (u32), id (u64) and
//! a request or an answer; the answer bears the id of its request, and answers come in any order. Numbers are
//! little-endian, bodies postcard.

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::region::map::{Name, Proposal, Reply};
use crate::region::raft::types::Peer;
use crate::region::store::record::{IdRecord, VoteRecord};

/// Name and version of the protocol.
pub const PREFACE: &[u8; 8] = b"ISOREG2\n";
/// No frame is longer.
pub const FRAME_BYTES: usize = 16 << 20;
/// No frame of one that has not shown who it is.
pub const STRANGER_BYTES: usize = 64 << 10;
/// Of a snapshot, in one frame.
pub const PIECE_BYTES: usize = 512 << 10;
const HEAD: usize = 12;

#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    Append(Append),
    /// `to`: whom it is meant for; another that has taken its address refuses.
    Vote {
        to: u64,
        vote: VoteRecord,
        last: Option<IdRecord>,
    },
    Piece(Piece),
    /// Proposals of a node that does not lead.
    Forward(Vec<Proposal>),
    ReadIndex {
        /// By a quorum rather than the lease.
        consistent: bool,
    },
    Hello(Hello),
    /// From the one that forms the cluster to the others of the first.
    Form {
        cluster: u128,
        members: Vec<(u64, Peer)>,
        /// For the receiver's key, as PEM with that of the cluster's authority; empty in a cluster without one.
        certificate: Bytes,
    },
    Join(Join),
    Alive(Alive),
    /// The leader gives up; the one that gets this is to take over.
    TakeOver {
        to: u64,
    },
    Operate(Operation),
    /// See [`call`](super::call).
    Call {
        kind: u8,
        body: Bytes,
    },
    /// A client agent lives, as a member was told.
    ClientHeartbeat(ClientHeartbeat),
    Enroll(Enroll),
    /// A session was renewed, as a client told a member.
    Renew {
        session: Name,
    },
    /// Would you vote for one whose log ends there? Changes nothing.
    PreVote {
        to: u64,
        last: Option<IdRecord>,
    },
    /// The leader gives up: its followers' promise to it is void, and the one of this vote is to lead.
    StandAside {
        to: u64,
        vote: VoteRecord,
    },
    /// A member lives, but cannot write its log.
    Ailing {
        alive: Alive,
        why: String,
    },
    /// A manager asks another for the keys of the cluster's secrets.
    Keys(AskedKeys),
    /// A member asks for its next certificate.
    Certify {
        id: u64,
        /// PKCS #10, DER, signed with the member's key: which is what shows that it is that member.
        request: Bytes,
    },
    /// A member without the keys has something sealed.
    Seal(Unsealed),
}

/// Numbers of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedKeys {
    /// Those above this one are asked for.
    pub above: u64,
    /// Up to this one the asker has them, durably.
    pub holds: u64,
}

/// Something that is to be sealed under a name.
#[derive(Clone, Serialize, Deserialize)]
pub struct Unsealed {
    pub name: String,
    pub text: Bytes,
}

impl std::fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsealed").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Append {
    pub to: u64,
    pub vote: VoteRecord,
    pub prev: Option<IdRecord>,
    pub commit: Option<IdRecord>,
    /// Records of the log, with a version of their own.
    pub entries: Vec<Bytes>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Piece {
    pub to: u64,
    pub vote: VoteRecord,
    /// A record of the description; names the transfer.
    pub meta: Bytes,
    pub offset: u64,
    pub data: Bytes,
    pub last: bool,
}

/// Who someone is, before there is a cluster and when it is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub store: u128,
    pub name: String,
    pub address: String,
    pub expect: u32,
    /// 0: of no cluster yet.
    pub cluster: u128,
    pub id: u64,
    /// The others without a cluster that it has met: store and name.
    pub met: Vec<(u128, String)>,
    /// A request for a certificate (PKCS #10, DER); empty where the cluster has no authority of its own.
    pub request: Bytes,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Join {
    pub store: u128,
    pub name: String,
    pub address: String,
    pub api: String,
    pub region: String,
    pub manager: bool,
}

/// A wish to join a cluster that has an authority of its own.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enroll {
    /// Its role is not asked for: the token says it.
    pub join: Join,
    /// Of a join token.
    pub secret: Bytes,
    /// For a certificate (PKCS #10, DER).
    pub request: Bytes,
}

impl std::fmt::Debug for Enroll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enroll").field("join", &self.join).finish_non_exhaustive()
    }
}

/// A member's word that it lives, and who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    pub id: u64,
    pub name: String,
    pub address: String,
    pub api: String,
    pub region: String,
    /// Its UUID in the catalog.
    pub node_id: String,
}

/// A client agent's word that it lives, and who it is: a node of the catalog without a seat in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHeartbeat {
    pub name: String,
    /// An IP address, or a host's name.
    pub address: String,
    pub region: String,
    /// A UUID; its own for good.
    pub node_id: String,
}

/// What an operator does to a member; the leader does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Promote(u64),
    Demote(u64),
    Availability(u64, Availability),
    Remove {
        id: u64,
        force: bool,
    },
    /// A member leaves by its own will; `force`: also if that costs the quorum.
    Leave {
        id: u64,
        force: bool,
    },
    /// Another is to lead.
    HandOver,
    /// The cluster gets another authority, other join tokens, and other keys of its secrets.
    RotateAuthority,
}

impl Operation {
    /// Whether a member asks it for itself, as it may whatever it is.
    pub fn is_of(&self, member: u64) -> bool {
        match self {
            Operation::Demote(id) | Operation::Leave { id, .. } | Operation::Availability(id, _) => {
                *id == member
            }
            _ => false,
        }
    }
}

pub use crate::region::map::Availability;
use crate::region::member::Keys;

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Append(Appended),
    Vote {
        vote: VoteRecord,
        granted: bool,
        last: Option<IdRecord>,
    },
    /// How much of the snapshot is there, or with the last piece the vote of the one that has it now.
    Piece {
        written: u64,
        installed: Option<VoteRecord>,
    },
    /// Replies, and the index by which all were applied.
    Forwarded(Vec<Reply>, u64),
    ReadIndex(u64),
    Hello(Hello),
    Joined {
        id: u64,
        cluster: u128,
    },
    Done,
    Denied(Denial),
    Called(Bytes),
    Enrolled {
        id: u64,
        cluster: u128,
        manager: bool,
        /// As in [`Request::Form`].
        certificate: Bytes,
    },
    /// Whether there is such a session still.
    Renewed(bool),
    PreVote(bool),
    /// Keys of the cluster's secrets.
    Keys(Keys),
    /// As in [`Request::Form`].
    Certified(Bytes),
    Sealed(Bytes),
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Appended {
    Success,
    Partial(Option<IdRecord>),
    Conflict,
    Higher(VoteRecord),
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Denial {
    /// Nothing happened; the leader is at that address, if any.
    #[error("not the leader")]
    NotLeader(Option<Peer>),
    #[error("not a member yet")]
    NoMember,
    #[error("timed out; it may yet happen")]
    Timeout,
    #[error("{0}")]
    Full(String),
    #[error("too large")]
    TooLarge,
    #[error("shutting down")]
    Shutdown,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// Why a member is not promoted, demoted, removed or admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MemberError {
    #[error("no such member: {0}")]
    Unknown(u64),
    #[error("attempting to demote the last manager of the cluster")]
    LastManager,
    #[error("removing member {0} from the voters would result in a loss of quorum")]
    QuorumLoss(u64),
    #[error("member {0} is a manager: it must be demoted to worker before removal")]
    IsManager(u64),
    #[error("member {0} is not down and can't be removed; use force")]
    IsAlive(u64),
    #[error("member {0} is down and can't be promoted")]
    IsDown(u64),
    #[error("the name {0:?} is taken by a member that is alive")]
    NameTaken(String),
    #[error(
        "the join token is not valid: it is wrong or was rotated ('isobar cluster join-token' shows the present one)"
    )]
    Token,
    #[error("another change of the members is under way")]
    Busy,
    #[error(
        "this node is a manager: without it {left} of {of} managers are left, and without a quorum of managers the \
         cluster is inaccessible. The way back from that is 'isobar cluster force-new'. Use '--force' to leave \
         nevertheless"
    )]
    LeavesManagers { left: usize, of: usize },
    #[error(
        "this node is the last manager: its leaving erases all current state of the cluster. Use '--force' to leave \
         nevertheless"
    )]
    LeavesNothing,
    #[error("this node is not part of a cluster")]
    NotPart,
    #[error("this node is part of a cluster already: 'isobar cluster leave' comes first")]
    Part,
    #[error(
        "this cluster has no authority of its own, so no join tokens: that takes 'bind ... ssl' without 'crt' in \
         'region-map'"
    )]
    NoAuthority,
    #[error("this node is no manager, so it has none of the cluster's secrets: ask a manager")]
    NoManager,
    #[error("the name {name:?} is that of {holder}, which is alive: this node, {asks}, needs another name")]
    NameOf { name: String, holder: String, asks: String },
    #[error(
        "the name {name:?} is that of {holder}, which is down: this node, {asks}, does not take its place. If that one is \
         gone for good, 'isobar node demote {name}' and 'isobar node rm {name}' make room; else this node needs another \
         name, or that one's data-dir"
    )]
    NameOfDead { name: String, holder: String, asks: String },
}

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("a frame that cannot be read: {0}")]
    Broken(#[from] postcard::Error),
    #[error("the other side does not speak this protocol, or not this version of it")]
    Preface,
}

/// A frame, ready to be written.
pub fn encode<T: Serialize>(id: u64, body: &T) -> Result<Bytes, FrameError> {
    let mut frame = postcard::to_extend(body, vec![0; HEAD])?;
    let length = frame.len() - 4;
    if length > FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    frame[4..HEAD].copy_from_slice(&id.to_le_bytes());
    Ok(frame.into())
}

/// The next frame. Not cancel-safe.
pub async fn read<T: DeserializeOwned>(input: &mut (impl AsyncRead + Unpin)) -> Result<(u64, T), FrameError> {
    read_within(input, FRAME_BYTES).await
}

/// The next frame, if it has no more than `most` bytes. Not cancel-safe.
pub async fn read_within<T: DeserializeOwned>(
    input: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> Result<(u64, T), FrameError> {
    let mut head = [0; HEAD];
    input.read_exact(&mut head).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if !(HEAD - 4..=most).contains(&length) {
        return Err(FrameError::TooLong(length));
    }
    let id = u64::from_le_bytes(head[4..].try_into().unwrap_or_default());
    // The memory grows with what comes, not with what is said to come.
    let mut body = Vec::new();
    let size = (length + 4 - HEAD) as u64;
    if input.take(size).read_to_end(&mut body).await? as u64 != size {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok((id, postcard::from_bytes(&body)?))
}
