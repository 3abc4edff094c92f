//! A node's seat: how the rest of the program reads the map, waits for its changes, and proposes some.
//!
//! What stands behind a seat is a [`Cluster`]; what it applied is shown by a [`Publisher`] in a [`View`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::map::*;
use super::own::Own;
use super::soft::SoftState;
use super::watch::{WATCHERS, Watches};
use crate::base::live::Live;

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// By the leader's lease.
    #[default]
    Default,
    /// Confirmed by a quorum.
    Consistent,
    /// What this node has.
    Stale,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Since the leader was last heard; 0 on the leader and for a read that is not stale.
    pub last_contact_ms: u64,
    pub known_leader: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    pub id: u64,
    pub name: Name,
    /// `ip:port` of its `bind` for the cluster.
    pub address: Name,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RaftState {
    Leader,
    Candidate,
    #[default]
    Follower,
    Learner,
    Shutdown,
}

/// Of the protocol, for those who look after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub term: u64,
    /// This node's.
    pub id: u64,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    /// Places in the log, not of the map.
    pub last_log: Index,
    pub applied: Index,
    pub state: RaftState,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    #[error("no cluster leader")]
    NoLeader,
    /// The change may yet happen.
    #[error("timed out waiting for the cluster")]
    Timeout,
    #[error("the change is too large")]
    TooLarge,
    /// No room: on disk, or for one who waits.
    #[error("{0}")]
    Full(String),
    /// This node's disk does not work: others may do it.
    #[error("this node cannot write its log ({0}); ask another member")]
    Disk(String),
    #[error("shutting down")]
    Shutdown,
}

pub type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = Result<T, SeatError>> + Send + 'a>>;

/// What agrees on changes.
pub trait Cluster: Send + Sync {
    /// See [`Seat::fresh`].
    fn fresh(&self, how: Consistency) -> Future<'_, Freshness>;
    /// See [`Seat::propose`].
    fn propose(&self, command: Command) -> Future<'_, Reply>;
    /// See [`Seat::renew`].
    fn renew(&self, session: Name) -> Future<'_, bool>;
    /// See [`Seat::seal`].
    fn seal(&self, _name: Name, _text: Bytes) -> Future<'_, Option<Bytes>> {
        Box::pin(async { Ok(None) })
    }
    /// See [`Seat::unseal`].
    fn unseal(&self, _name: &str, _sealed: &[u8]) -> Option<Bytes> {
        None
    }
    fn leader(&self) -> Option<Leader>;
    fn status(&self) -> Status;
}

/// What was applied on this node, as readers see it.
#[derive(Debug)]
pub struct View {
    map: Live<Map>,
    watches: Arc<Watches>,
}

impl View {
    pub fn map(&self) -> Arc<Map> {
        self.map.load()
    }

    pub fn watches(&self) -> &Arc<Watches> {
        &self.watches
    }

    /// See [`Seat::changed`].
    pub async fn changed(&self, topics: &[Topic], after: Index, until: Instant) -> Result<(), SeatError> {
        let moved = |map: &Map| map.has_news(topics, after);
        if self.map.with(moved) {
            return Ok(());
        }
        let Some(watch) = self.watches.watch(topics, after) else {
            return Err(SeatError::Full("too many blocking queries on this node".into()));
        };
        if !self.map.with(moved) {
            let _ = tokio::time::timeout_at(until, watch.touched()).await;
        }
        Ok(())
    }
}

/// The side that applies: it owns the map that changes, and shows it once for each batch.
#[derive(Debug)]
pub struct Publisher {
    map: Map,
    view: Arc<View>,
    touched: Vec<Topic>,
}

impl Publisher {
    pub fn new(map: Map) -> Self {
        Publisher::with_watchers(map, WATCHERS)
    }

    /// `limit`: how many may wait at once.
    pub fn with_watchers(map: Map, limit: usize) -> Self {
        let view = View { map: Live::new(map.clone()), watches: Watches::new(limit) };
        Publisher { map, view: Arc::new(view), touched: Vec::new() }
    }

    pub fn view(&self) -> Arc<View> {
        self.view.clone()
    }

    /// Newest, and cheap to clone: for a snapshot.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Applies entries in order, shows the result, then wakes who waited for it.
    pub fn apply_all(&mut self, entries: impl IntoIterator<Item = (Index, Proposal)>) -> Vec<Reply> {
        self.touched.clear();
        let (map, touched) = (&mut self.map, &mut self.touched);
        let replies =
            entries.into_iter().map(|(index, proposal)| map.apply(index, proposal, touched)).collect();
        self.view.map.store(Arc::new(self.map.clone()));
        match self.touched.contains(&Topic::Any) {
            true => self.view.watches.wake_all(),
            false => self.view.watches.wake(&self.touched, self.map.index()),
        }
        replies
    }

    /// Puts another map in place: a snapshot that came. The former is returned, because to drop a large one takes long.
    #[must_use = "where nothing waits it is dropped"]
    pub fn install(&mut self, map: Map) -> Map {
        let former = std::mem::replace(&mut self.map, map);
        self.view.map.store(Arc::new(self.map.clone()));
        self.view.watches.wake_all();
        former
    }
}

/// What the rest of the program holds.
#[derive(Clone)]
pub struct Seat {
    view: Arc<View>,
    cluster: Arc<dyn Cluster>,
    node_name: Name,
    region: Name,
    soft: Arc<SoftState>,
    own: Option<Arc<Own>>,
}

/// Of soft state that nobody carries, so that it does not matter.
const SILENCE: Duration = Duration::from_secs(6);

impl Seat {
    pub fn new(view: Arc<View>, cluster: Arc<dyn Cluster>, node_name: Name, region: Name) -> Self {
        let soft = SoftState::new(node_name.clone(), SILENCE);
        Seat { view, cluster, node_name, region, soft, own: None }
    }

    /// The same with soft state that is carried between members.
    pub fn with_soft(self, soft: Arc<SoftState>) -> Self {
        Seat { soft, ..self }
    }

    /// The same with a memory of what is registered with this node.
    pub fn with_own(self, own: Arc<Own>) -> Self {
        Seat { own: Some(own), ..self }
    }

    /// What is registered with this node; none where the map is all there is.
    pub fn own(&self) -> Option<&Arc<Own>> {
        self.own.as_ref()
    }

    /// Proposes what somebody registers with this node, or takes away.
    pub async fn propose_own(&self, command: Command) -> Result<Reply, SeatError> {
        match &self.own {
            Some(own) => own.propose(self, command).await,
            None => self.propose(command).await,
        }
    }

    /// What nodes tell each other beside the map.
    pub fn soft(&self) -> &Arc<SoftState> {
        &self.soft
    }

    /// The newest map applied here.
    pub fn map(&self) -> Arc<Map> {
        self.view.map()
    }

    /// After `Ok`, [`Seat::map`] is at least as new as every change that was acknowledged anywhere before the call.
    pub async fn fresh(&self, how: Consistency) -> Result<Freshness, SeatError> {
        self.cluster.fresh(how).await
    }

    /// `Ok` once it is durable on a quorum and applied here, so that one reads what one wrote.
    pub async fn propose(&self, command: Command) -> Result<Reply, SeatError> {
        self.cluster.propose(command).await
    }

    /// Starts the time to live of a session again. False when there is no such session any more.
    pub async fn renew(&self, session: Name) -> Result<bool, SeatError> {
        self.cluster.renew(session).await
    }

    /// Seals what only managers are to read, for the map. `None` where nothing can be: a cluster without an authority of
    /// its own does not know its members.
    pub async fn seal(&self, name: Name, text: Bytes) -> Result<Option<Bytes>, SeatError> {
        self.cluster.seal(name, text).await
    }

    /// What was sealed under that name; `None` on a node that is no manager.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> Option<Bytes> {
        self.cluster.unseal(name, sealed)
    }

    /// Returns when the map has news ([`Map::has_news`]) of these topics, or at `until`; now and then without cause. Dropping
    /// the future gives the place up. `Full` when too many wait on this node.
    pub async fn changed(&self, topics: &[Topic], after: Index, until: Instant) -> Result<(), SeatError> {
        self.view.changed(topics, after, until).await
    }

    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub fn leader(&self) -> Option<Leader> {
        self.cluster.leader()
    }

    pub fn status(&self) -> Status {
        self.cluster.status()
    }

    pub fn node_name(&self) -> &Name {
        &self.node_name
    }

    /// The region this node stands in; empty when none was said.
    pub fn region(&self) -> &Name {
        &self.region
    }
}
