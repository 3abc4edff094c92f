//! A node of the cluster: what its tasks share, and what it knows of itself and of the leader.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use openraft::error::Fatal;
use openraft::{RaftMetrics, ServerState};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::callee::Callee;
use super::connection::Connections;
use super::frame::Denial;
use super::keeper::Keeping;
use super::lease::Lease;
use super::timing::Timing;
use super::told::Told;
use super::types::{Peer, Raft};
use crate::base::clock;
use crate::region::expiry::Expiry;
use crate::region::map::{Index, Name, Proposal, Reply};
use crate::region::member::{Heard, Meeting, Trust};
use crate::region::seat::{Leader, RaftState, SeatError, Status, View};
use crate::region::soft::SoftState;
use crate::region::store::{LogStore, Snapshots};

pub type Metrics = RaftMetrics<u64, Peer>;
/// Replies, in order, and the index by which all were applied.
pub type Outcome = Result<(Reply, Index), SeatError>;

/// A proposal on its way.
pub struct Ask {
    pub proposal: Proposal,
    pub bytes: usize,
    pub done: oneshot::Sender<Outcome>,
}

/// A read that waits for an index.
pub type Reader = oneshot::Sender<Result<Index, SeatError>>;

pub struct Node {
    pub name: Name,
    pub region: Name,
    /// Where others reach it.
    pub address: String,
    /// Of its API; empty when it has none.
    pub api: String,
    /// Its store outlives it.
    pub durable: bool,
    pub timing: Timing,
    pub log: LogStore,
    pub snapshots: Snapshots,
    pub connections: Arc<Connections>,
    pub lease: Arc<Lease>,
    pub view: Arc<View>,
    pub soft: Arc<SoftState>,
    /// The time of sessions, while this node leads.
    pub expiry: Mutex<Expiry>,
    /// Who puts that down, where it is done.
    pub keeper: Keeping,
    /// Who else knows that time, while this node leads.
    pub told: Told,
    /// There once the node is a member.
    pub raft: OnceLock<Raft>,
    /// There where the cluster has an authority of its own.
    pub trust: Option<Arc<Trust>>,
    pub meeting: Meeting,
    pub heard: Heard,
    /// Held while the members change, so that one change is made at a time.
    pub changing: tokio::sync::Mutex<()>,
    pub applied: watch::Receiver<Index>,
    pub asks: mpsc::Sender<Ask>,
    pub readers: mpsc::Sender<Reader>,
    pub sure_readers: mpsc::Sender<Reader>,
    /// Who answers calls that are not about the map.
    pub callee: OnceLock<Arc<dyn Callee>>,
    /// When the leader was last heard.
    pub contact_ns: AtomicU64,
    pub turn: super::election::Turn,
}

impl Node {
    pub fn raft(&self) -> Result<&Raft, Denial> {
        self.raft.get().ok_or(Denial::NoMember)
    }

    /// For a request of the protocol, which goes to whom it is meant for: another may have taken the address.
    pub fn raft_of(&self, to: u64) -> Result<&Raft, Denial> {
        match self.raft() {
            Ok(raft) if to == self.id() => Ok(raft),
            Ok(_) => Err(Denial::Refused(format!("this is member {}, not {to}", self.id()))),
            Err(denial) => Err(denial),
        }
    }

    /// 0 until it is a member.
    pub fn id(&self) -> u64 {
        self.log.id()
    }

    /// Its UUID in the catalog: drawn with the store, or without one the same for the same name in the same cluster.
    pub fn uuid(&self) -> Option<String> {
        let identity = self.log.identity();
        let number = match (self.durable, identity.cluster) {
            (true, _) => identity.store,
            (false, 0) => return None,
            (false, cluster) => {
                xxhash_rust::xxh3::xxh3_128(format!("{cluster:032x}/{}", self.name).as_bytes())
            }
        };
        let uuid = uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid();
        Some(uuid.to_string())
    }

    /// Whether the member `id` was removed. Ids are places in the log, so that a node knows of every one up to where
    /// it has come; those of the first members are in Raft before they are in the map.
    pub fn has_removed(&self, id: u64) -> bool {
        let map = self.view.map();
        if map.index() < id || map.member(id).is_some() {
            return false;
        }
        let Some(raft) = self.raft.get() else { return false };
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().get_node(&id).is_none()
    }

    /// Whether a member has a vote, as far as this node knows.
    pub fn votes(&self, id: u64) -> bool {
        let Some(raft) = self.raft.get() else { return false };
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().voter_ids().any(|voter| voter == id)
    }

    pub fn metrics(&self) -> Option<Metrics> {
        self.raft.get().map(|raft| raft.metrics().borrow().clone())
    }

    pub fn leads(&self) -> bool {
        self.raft.get().is_some_and(|raft| raft.metrics().borrow().state == ServerState::Leader)
    }

    /// Leads, and is sure that nobody else does.
    pub fn leads_surely(&self) -> bool {
        let Some(raft) = self.raft.get() else { return false };
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        metrics.state == ServerState::Leader
            && self.lease.holds(metrics.vote, metrics.id, metrics.membership_config.membership())
    }

    /// What a read at the leader must have seen, without asking anyone: `None` when it is not sure.
    pub fn leased_index(&self) -> Option<Index> {
        let raft = self.raft.get()?;
        {
            let metrics = raft.metrics();
            let metrics = metrics.borrow();
            // Only with an entry of its own term applied does a leader know all that was committed before it.
            let own = metrics.last_applied.is_some_and(|id| id.leader_id.term == metrics.current_term);
            if metrics.state != ServerState::Leader || !own {
                return None;
            }
        }
        // What was acknowledged before now is applied here; the lease is looked at after the index.
        let index = *self.applied.borrow();
        self.leads_surely().then_some(index)
    }

    pub fn heard_leader(&self) {
        self.contact_ns.store(clock::now_ns(), Ordering::Relaxed);
    }

    pub fn since_contact(&self) -> Duration {
        let at = self.contact_ns.load(Ordering::Relaxed);
        Duration::from_nanos(clock::now_ns().saturating_sub(at))
    }

    /// The leader as far as this node knows one that is alive.
    pub fn leader(&self) -> Option<Leader> {
        let metrics = self.metrics()?;
        let id = metrics.current_leader?;
        let known = match id == metrics.id {
            true => metrics.state == ServerState::Leader && self.leads_surely(),
            false => self.since_contact() < self.timing.lease() * 2,
        };
        let peer = metrics.membership_config.membership().get_node(&id).cloned()?;
        known.then_some(Leader { id, name: peer.name, address: peer.address })
    }

    /// Whom to send to, sure or not.
    pub fn supposed_leader(&self) -> Option<(u64, Peer)> {
        let metrics = self.metrics()?;
        let id = metrics.current_leader?;
        Some((id, metrics.membership_config.membership().get_node(&id).cloned()?))
    }

    pub fn status(&self) -> Status {
        let Some(metrics) = self.metrics() else { return Status::default() };
        let membership = metrics.membership_config.membership();
        Status {
            term: metrics.current_term,
            id: metrics.id,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            last_log: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.map_or(0, |id| id.index),
            state: match metrics.state {
                ServerState::Leader => RaftState::Leader,
                ServerState::Candidate => RaftState::Candidate,
                ServerState::Follower => RaftState::Follower,
                ServerState::Learner => RaftState::Learner,
                ServerState::Shutdown => RaftState::Shutdown,
            },
        }
    }

    /// Returns once what precedes `end` is applied here.
    pub async fn applied(&self, end: Index, until: Instant) -> Result<(), SeatError> {
        let mut applied = self.applied.clone();
        match tokio::time::timeout_at(until, applied.wait_for(|at| *at >= end)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(SeatError::Shutdown),
            Err(_) => Err(SeatError::Timeout),
        }
    }

    /// The same, but not for ever on a disk that does not work.
    pub async fn applied_if_well(&self, end: Index, until: Instant) -> Result<(), SeatError> {
        loop {
            let look = until.min(super::timing::after(Duration::from_millis(self.timing.heartbeat_ms)));
            match self.applied(end, look).await {
                Err(SeatError::Timeout) if look < until => self.well()?,
                other => return other,
            }
        }
    }

    /// Why this node can do no part of the log's work: its disk does not take it, or the protocol has ended here.
    pub fn trouble(&self) -> Option<Arc<String>> {
        self.log.trouble().or_else(|| self.ended().map(Arc::new))
    }

    /// What the protocol ended with, unless this node ends itself.
    fn ended(&self) -> Option<String> {
        let metrics = self.raft.get()?.metrics();
        let closed = metrics.has_changed().is_err();
        let cause = match &metrics.borrow().running_state {
            Err(Fatal::Stopped) => return None,
            Err(cause) => cause.to_string(),
            Ok(()) if closed => Fatal::<u64>::Panicked.to_string(),
            Ok(()) => return None,
        };
        Some(format!("the protocol has ended here, until the program is started again: {cause}"))
    }

    /// An error when this node's disk does not work.
    pub fn well(&self) -> Result<(), SeatError> {
        match self.trouble() {
            Some(why) => Err(SeatError::Disk(why.to_string())),
            None => Ok(()),
        }
    }

    /// A moment in which a leader may have appeared.
    pub async fn moment(&self) {
        let pause = Duration::from_millis(self.timing.heartbeat_ms / 8);
        match self.raft.get() {
            Some(raft) => {
                let mut changed = raft.server_metrics();
                changed.mark_unchanged();
                let _ = tokio::time::timeout(pause, changed.changed()).await;
            }
            None => tokio::time::sleep(pause).await,
        }
    }
}

pub fn denied(denial: Denial) -> SeatError {
    match denial {
        Denial::NotLeader(_) | Denial::NoMember => SeatError::NoLeader,
        Denial::Timeout => SeatError::Timeout,
        Denial::TooLarge => SeatError::TooLarge,
        Denial::Full(why) => SeatError::Full(why),
        Denial::Shutdown => SeatError::Shutdown,
        Denial::Refused(why) => SeatError::Full(why),
        Denial::Member(why) => SeatError::Full(why.to_string()),
    }
}

pub fn deny(error: SeatError) -> Denial {
    match error {
        SeatError::NoLeader => Denial::NotLeader(None),
        SeatError::Timeout => Denial::Timeout,
        SeatError::TooLarge => Denial::TooLarge,
        SeatError::Full(why) => Denial::Full(why),
        // Nothing was done: whoever leads next, and can write, may do it.
        SeatError::Disk(_) => Denial::NotLeader(None),
        SeatError::Shutdown => Denial::Shutdown,
    }
}
