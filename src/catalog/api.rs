//! What an API is made of: a seat in the cluster, settings, and the process around it.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::base::clock::{self, Millis};
use crate::catalog::registry::distance::Coordinates;
use crate::catalog::request::zip::AT_A_TIME;
use crate::catalog::request::{Budget, Wire};
use crate::region::map::Name;
use crate::region::raft::RaftHandle;
use crate::region::rollout::Rollout;
use crate::region::seat::Seat;

/// Everything a handler may use; one for a process.
pub struct Api {
    pub seat: Seat,
    pub settings: Settings,
    pub process: Arc<dyn Process>,
    /// There when this node has a seat of its own.
    pub operator: OnceLock<Operator>,
    /// There on a client agent: passes on what it does not answer itself.
    pub forwarder: OnceLock<Arc<dyn Forwarder>>,
    /// There on a node that may have a mirror.
    pub mirror: OnceLock<Arc<dyn Mirror>>,
    /// Queries that wait for a change, at most `settings.parked`.
    pub(super) parked: Semaphore,
    /// Pages that listen for changes.
    pub(super) listeners: Arc<Semaphore>,
    pub(super) coordinates: Mutex<Coordinates>,
    pub(super) started_ms: Millis,
    /// What bodies of requests may hold while they come in.
    pub(super) bodies: Budget,
    /// What large answers may hold until they are read.
    pub(super) answers: Budget,
    /// Large answers that are being compressed.
    pub(super) zipping: Arc<Semaphore>,
    /// This node was seen in the catalog.
    pub(super) stands: AtomicBool,
}

impl Api {
    pub fn new(seat: Seat, settings: Settings, process: Arc<dyn Process>) -> Arc<Self> {
        Arc::new(Api {
            parked: Semaphore::new(settings.parked),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            coordinates: Mutex::default(),
            started_ms: clock::now_ms(),
            bodies: Budget::new(BODIES),
            answers: Budget::new(ANSWERS),
            zipping: Arc::new(Semaphore::new(AT_A_TIME)),
            stands: AtomicBool::new(false),
            seat,
            settings,
            process,
            operator: OnceLock::new(),
            forwarder: OnceLock::new(),
            mirror: OnceLock::new(),
        })
    }

    /// Queries that wait for a change now.
    pub fn parked_now(&self) -> usize {
        self.settings.parked.saturating_sub(self.parked.available_permits())
    }
}

/// What operators change: members and configuration documents.
pub struct Operator {
    pub raft: Arc<RaftHandle>,
    pub rollout: Arc<Rollout>,
}

/// Bytes of requests' bodies at once, and of answers that are larger than 16 KiB.
pub const BODIES: usize = 64 << 20;
pub const ANSWERS: usize = 256 << 20;
/// Pages that may listen for changes at once.
const LISTENERS: usize = 256;

/// How the API presents itself and what it allows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The one datacenter that clients see; regions are another thing.
    pub datacenter: Name,
    /// This node's name in the catalog.
    pub node_name: Name,
    /// A UUID; empty when the node has none.
    pub node_id: Name,
    /// Where services without an address of their own are reached, without a port.
    pub address: Name,
    /// Needed to read, when it is set.
    pub read_token: Option<Name>,
    /// Needed to change anything, and the initial management token of the ACL endpoints, when it is set.
    pub write_token: Option<Name>,
    /// Whether checks may run programs.
    pub script_checks: bool,
    /// Queries that may wait at once.
    pub parked: usize,
    /// Connections open at once.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            datacenter: "dc1".into(),
            node_name: "isobar".into(),
            node_id: "".into(),
            address: "127.0.0.1".into(),
            read_token: None,
            write_token: None,
            script_checks: false,
            parked: 16_384,
            connections: 16_384,
        }
    }
}

/// Passes requests on to where the whole map is.
pub trait Forwarder: Send + Sync {
    /// Whether a request for this path is passed on.
    fn takes(&self, path: &str) -> bool;

    /// Passes a request on, whole, and brings the answer back.
    fn pass(&self, head: Parts, body: Bytes) -> Pin<Box<dyn Future<Output = Wire> + Send + '_>>;

    /// Returns once the cluster knows what was changed here, or after a moment.
    fn settled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What the process does besides answering: it runs checks, reads its configuration, leaves.
pub trait Process: Send + Sync {
    /// A check of this node was reported on: its time to live starts again.
    fn heard(&self, check: &str);

    /// A client agent asks the member whose API is there, too.
    fn join(&self, _address: &str) -> Result<(), String> {
        Err("this node is no agent".into())
    }

    /// Reads the configuration again.
    fn reload(&self) -> Result<(), String>;

    /// What the DNS responders here would answer a client at an address, and why; an error says what is wrong with the
    /// question. `None` where there is no such service.
    fn explain_dns(&self, _name: &str, _kind: &str, _from: &str) -> Option<Result<Value, String>> {
        None
    }

    /// What the DNS responders here answer: records, answers by region, what is shed and why.
    fn dns(&self) -> Vec<Value> {
        Vec::new()
    }

    /// The node gives up its seat and the process ends, after this has returned; or it may not go, and stays.
    fn leave(&self) -> Result<(), String>;

    /// Asks a virtual router of this node; an error says why that cannot be.
    fn vip(&self, name: &str, _order: VipOrder) -> Result<(), String> {
        Err(format!("no such virtual router here: {name}"))
    }
}

/// What an operator wants of a virtual router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VipOrder {
    /// Its addresses come to this node, or leave it.
    Here,
    Away,
    Priority(u8),
}

/// What is asked of the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorAsk {
    Status,
    Jobs,
    /// What the rule of that name would do.
    Plan(String),
    Sync(String),
    Pause(String, bool),
    /// A registry announces what was pushed.
    Events(Bytes),
}

/// A status of HTTP and words where it is refused.
pub type MirrorAnswer = Result<serde_json::Value, (u16, String)>;

/// Answers for the mirror of registries.
pub trait Mirror: Send + Sync {
    fn ask(&self, what: MirrorAsk) -> Pin<Box<dyn Future<Output = MirrorAnswer> + Send + '_>>;
}
