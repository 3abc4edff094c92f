//! The nouns of the map, as they are kept: what a reader of the map sees.
//!
//! Every record carries the log index at which it was made and the one at which it last changed. Names are Consul's
//! where Consul has the noun, Swarm's for members.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use super::lists::{Names, Table};

/// A name, id or key: shared, because records refer to each other by name.
pub type Name = Arc<str>;

/// The log index of a change; the first is 1.
pub type Index = u64;

/// Milliseconds since 1970, as stamped by the node that proposed the change. Apply reads no clock.
pub type WallMs = u64;

pub type Pairs = Table<Name>;

/// Where else something can be reached: `lan`, `wan`, `lan_ipv4`...
pub type TaggedAddresses = Table<TaggedAddress>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedAddress {
    pub address: Name,
    /// 0 for a node's.
    pub port: u16,
}

/// A host of the catalog: a member of the cluster, a client agent, or one registered from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// A UUID, or empty for a node registered without one.
    pub id: Name,
    pub name: Name,
    pub address: Name,
    pub tagged_addresses: TaggedAddresses,
    pub meta: Pairs,
    /// The region it stands in; empty when it did not say.
    pub region: Name,
    pub create_index: Index,
    pub modify_index: Index,
}

/// What a balancer gives an instance by its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    pub passing: u32,
    pub warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { passing: 1, warning: 1 }
    }
}

/// One instance of a service on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub node: Name,
    /// Unique on its node.
    pub id: Name,
    pub service: Name,
    /// `connect-proxy`..., empty for a usual service: kept and returned, without a meaning here.
    pub kind: Name,
    pub tags: Names,
    /// Empty: the node's.
    pub address: Name,
    pub port: u16,
    pub tagged_addresses: TaggedAddresses,
    pub meta: Pairs,
    pub weights: Weights,
    pub enable_tag_override: bool,
    pub create_index: Index,
    pub modify_index: Index,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    Passing,
    Warning,
    #[default]
    Critical,
}

/// A check of a node, or of one instance on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub node: Name,
    /// Unique on its node. `serfHealth` is the liveness of the node itself.
    pub id: Name,
    pub name: Name,
    pub status: Health,
    pub notes: Name,
    pub output: Name,
    /// The instance it is about; empty for a check of the node.
    pub service_id: Name,
    /// Filled from the instance when applied.
    pub service: Name,
    pub service_tags: Names,
    /// How the node's agent runs it; `None` when something outside reports it.
    pub definition: Option<Arc<Definition>>,
    /// When it last became critical, and 0 otherwise: `DeregisterCriticalServiceAfter` counts from it.
    pub critical_since: WallMs,
    pub create_index: Index,
    pub modify_index: Index,
}

/// How a check is run, by the agent with which it was registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub probe: Probe,
    pub interval_ms: u64,
    /// 0: ten seconds, or the interval if it is shorter.
    pub timeout_ms: u64,
    /// 0: never.
    pub deregister_after_ms: u64,
    pub success_before_passing: u32,
    pub failures_before_warning: u32,
    pub failures_before_critical: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// Reported through the API within `ms`, or critical.
    #[default]
    None,
    Ttl {
        ms: u64,
    },
    Http {
        url: Name,
        method: Name,
        header: BTreeMap<Name, Vec<Name>>,
        body: Name,
        skip_verify: bool,
        no_redirects: bool,
    },
    Tcp {
        address: Name,
        tls: bool,
    },
    Udp {
        address: Name,
    },
    Grpc {
        address: Name,
        tls: bool,
        skip_verify: bool,
    },
    /// Healthy when every check of that instance on this node is.
    Alias {
        node: Name,
        service_id: Name,
    },
    Script {
        args: Vec<Name>,
    },
}

/// A key and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub key: Name,
    pub value: Bytes,
    pub flags: u64,
    /// The session that holds the lock.
    pub session: Option<Name>,
    /// How often the lock was taken.
    pub lock_index: u64,
    pub create_index: Index,
    pub modify_index: Index,
}

/// What happens to a session's locks when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behavior {
    #[default]
    Release,
    Delete,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// A UUID, drawn by the proposer.
    pub id: Name,
    pub name: Name,
    pub node: Name,
    /// Ids of checks of the node: when one is critical the session ends.
    pub node_checks: Vec<Name>,
    pub service_checks: Vec<Name>,
    pub behavior: Behavior,
    /// 0: no time to live.
    pub ttl_ms: u64,
    pub lock_delay_ms: u64,
    pub create_index: Index,
    pub modify_index: Index,
}

/// A query kept under a name. What it says is the catalog's own format (JSON), which alone reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub id: Name,
    pub name: Name,
    pub session: Name,
    pub definition: Bytes,
    pub create_index: Index,
    pub modify_index: Index,
}

/// An event fired by a user; the newest 256 are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub id: Name,
    pub name: Name,
    pub payload: Bytes,
    pub node_filter: Name,
    pub service_filter: Name,
    pub tag_filter: Name,
    pub index: Index,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegionState {
    #[default]
    Active,
    /// Takes traffic when no active region can.
    Passive,
    /// Is being emptied.
    Drain,
}

/// A region: where it is and what it may take over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Region {
    pub name: Name,
    /// Degrees north and east.
    pub location: Option<(f64, f64)>,
    /// ISO 3166 codes of two letters.
    pub countries: Vec<Name>,
    /// CIDR.
    pub networks: Vec<Name>,
    pub state: RegionState,
    /// Who takes over, in order; empty: by distance.
    pub failover: Vec<Name>,
    pub create_index: Index,
    pub modify_index: Index,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Votes.
    Manager,
    /// Follows the log without a vote.
    #[default]
    Worker,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    #[default]
    Active,
    Pause,
    Drain,
}

/// A node with a seat in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id in Raft: the log index of the entry that admitted it, so never used again.
    pub id: u64,
    pub name: Name,
    /// `ip:port` of its `bind` for the cluster.
    pub address: Name,
    /// `ip:port` of its API; empty when it has none.
    pub api: Name,
    pub region: Name,
    pub role: Role,
    pub availability: Availability,
    /// Whether it was heard from within the liveness timeout, as the leader saw it.
    pub alive: bool,
    /// A copy of who it is, for its certificate and for `rm`: SHA-256 of its public key, hex; empty without TLS.
    pub key: Name,
    pub create_index: Index,
    pub modify_index: Index,
}

/// A configuration document: every version kept, up to a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub name: Name,
    /// 1 at first.
    pub version: u64,
    pub text: Bytes,
    /// Who put it, as they said.
    pub author: Name,
    pub at: WallMs,
    pub index: Index,
}

/// Who may do a thing alone, for now. One that nobody holds is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub name: Name,
    /// The id of a member.
    pub holder: u64,
    /// Drawn by who asked for it: tells two who asked on one node from each other.
    pub claim: u64,
    /// The index at which it was granted, so greater than that of any holder before: what a fence lets through.
    pub term: u64,
    /// How long after its last renewal it ends, by the leader's clock.
    pub length_ms: u64,
    /// The index at which it was granted or last renewed.
    pub renewed: Index,
}

/// How a region last changed between being heard from and not: the one word on it, by which traffic is routed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub region: Name,
    /// It is lost; else it is back.
    pub lost: bool,
    pub since: WallMs,
    pub cause: Name,
    /// How often it was lost so far.
    pub count: u64,
    pub modify_index: Index,
}

/// What a node checks for others: the keys of its `service ... check` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checker {
    pub node: Name,
    /// In order, each once.
    pub keys: Vec<Name>,
    pub modify_index: Index,
}

/// Who found that an instance does not answer. What nobody says this of has no verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The instance.
    pub node: Name,
    pub service_id: Name,
    /// How it is checked.
    pub key: Name,
    /// Nodes that say so, in order.
    pub down: Vec<Name>,
    /// The last change.
    pub since: WallMs,
    pub cause: Name,
    pub modify_index: Index,
}
