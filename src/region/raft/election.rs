//! When this node stands for election, and what it says to others who want to.
//!
//! The protocol's own timer is off: it would stand for election in a new term whenever it hears no leader, also cut off
//! from everybody, and with that term depose a healthy leader on its return. So a node asks first, in no term at all,
//! whether a quorum would vote for it ("pre-vote", section 9.6 of Ongaro's thesis): nobody would who hears a leader, or
//! has more of the log. One whose disk does not work does not ask.
//!
//! A vote takes its time to be written, so two that ask in one moment would both be promised everything and then split
//! the vote. So nobody promises its vote while it stands itself, and who promised it does not stand before the other had
//! the time to be elected. It waits so once for each time that it asks, since the other may be one that nobody else hears.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openraft::ServerState;

use super::connection::Class;
use super::frame::{Answer, Request};
use super::node::{Metrics, Node};
use super::types::LogId;
use crate::base::clock::{self, MS, Nanos};

/// How often a node without a leader looks at the time.
const LOOK: Duration = Duration::from_millis(20);

/// Whose turn it is to stand.
#[derive(Debug, Default)]
pub struct Turn {
    /// When this node last gave its vote to another.
    granted_ns: AtomicU64,
    /// When it first promised its vote since it last heard a leader, or asked for the votes of others. 0: it did not.
    promised_ns: AtomicU64,
    /// It asks, or stands, itself.
    own: AtomicBool,
}

impl Turn {
    pub fn granted(&self) {
        self.granted_ns.store(clock::now_ns(), Ordering::Relaxed);
    }

    /// `heard`: when a leader was.
    fn promised(&self, heard: Nanos) {
        if self.promised_ns.load(Ordering::Relaxed) <= heard {
            self.promised_ns.store(clock::now_ns(), Ordering::Relaxed);
        }
    }
}

pub async fn run(node: Arc<Node>) {
    let mut patience = draw(&node);
    let mut since = clock::now_ns();
    let mut unsure = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(metrics) = node.metrics() else { continue };
        check_quorum(&node, metrics.state, &mut unsure);
        let me = metrics.id;
        let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
        if metrics.state == ServerState::Leader || !voters.contains(&me) {
            since = clock::now_ns();
            continue;
        }
        let Some(raft) = node.raft.get() else { continue };
        if voters.len() == 1 {
            let _ = raft.trigger().elect().await;
            tokio::time::sleep(node.timing.lease() / 2).await;
            continue;
        }
        let heard = node.contact_ns.load(Ordering::Relaxed);
        let granted = node.turn.granted_ns.load(Ordering::Relaxed);
        let promised = node.turn.promised_ns.load(Ordering::Relaxed);
        let lease = node.timing.lease().as_nanos() as Nanos;
        // Where a leader was heard, its lease is most of the wait: nobody would vote before it ends.
        let led = heard.saturating_add(lease).saturating_add(patience / 4);
        let theirs = promised.saturating_add(node.timing.election_min_ms * MS).saturating_add(patience / 4);
        let due = since.max(granted).saturating_add(patience).max(led).max(theirs);
        if clock::now_ns() < due || node.trouble().is_some() {
            continue;
        }
        node.turn.own.store(true, Ordering::Relaxed);
        node.turn.promised_ns.store(0, Ordering::Relaxed);
        let stands = asked(&node, &metrics).await;
        if stands {
            let _ = raft.trigger().elect().await;
            tokio::time::sleep(Duration::from_millis(node.timing.election_min_ms)).await;
        }
        node.turn.own.store(false, Ordering::Relaxed);
        if !stands {
            tokio::time::sleep(Duration::from_millis(node.timing.heartbeat_ms / 2)).await;
        }
        since = clock::now_ns();
        // The others wait for another time, too.
        patience = draw(&node) / 4;
    }
}

/// A leader that speaks and is not answered keeps others from standing for election, and can do nothing itself: after a
/// while it is silent, until it is answered or another leads.
fn check_quorum(node: &Node, state: ServerState, unsure: &mut Option<Nanos>) {
    let Some(raft) = node.raft.get() else { return };
    let now = clock::now_ns();
    if state != ServerState::Leader || node.leads_surely() {
        if unsure.take().is_some_and(|since| silent(node, since, now)) {
            raft.runtime_config().heartbeat(true);
        }
        return;
    }
    let since = *unsure.get_or_insert(now);
    if silent(node, since, now) {
        raft.runtime_config().heartbeat(false);
    }
}

fn silent(node: &Node, unsure_since: Nanos, now: Nanos) -> bool {
    now.saturating_sub(unsure_since) >= (node.timing.lease() * 4).as_nanos() as Nanos
}

/// So long a node waits for others, drawn anew each time so that they do not all stand at once.
fn draw(node: &Node) -> Nanos {
    let (least, most) = (node.timing.election_min_ms, node.timing.election_max_ms);
    let spread = most.saturating_sub(least).max(1) * MS;
    let random = uuid::Uuid::new_v4().as_u64_pair().1;
    least * MS + random % spread
}

/// Whether a quorum would vote for this node.
async fn asked(node: &Arc<Node>, metrics: &Metrics) -> bool {
    let membership = metrics.membership_config.membership();
    let last = node.log.last();
    // Nothing is written for such an answer.
    let within = Duration::from_millis(node.timing.heartbeat_ms);
    let mut calls = tokio::task::JoinSet::new();
    for (id, peer) in membership.nodes().filter(|(id, _)| **id != metrics.id) {
        let (node, id, address) = (node.clone(), *id, peer.address.clone());
        calls.spawn(async move {
            let request = Request::PreVote { to: id, last: last.map(Into::into) };
            let answer = node.connections.to(&address, Class::Protocol).call(&request, within).await;
            matches!(answer, Ok(Answer::PreVote(true))).then_some(id)
        });
    }
    let mut with = BTreeSet::from([metrics.id]);
    let quorum = |with: &BTreeSet<u64>| {
        let configs = membership.get_joint_config();
        configs.iter().all(|voters| voters.intersection(with).count() > voters.len() / 2)
    };
    while let Some(answer) = calls.join_next().await {
        with.extend(answer.ok().flatten());
        if quorum(&with) {
            return true;
        }
    }
    false
}

/// Whether this node promises its vote to one whose log ends so.
pub fn promises(node: &Node, last: Option<LogId>) -> bool {
    let promises = !node.turn.own.load(Ordering::Relaxed) && would_vote(node, last);
    if promises {
        node.turn.promised(node.contact_ns.load(Ordering::Relaxed));
    }
    promises
}

fn would_vote(node: &Node, last: Option<LogId>) -> bool {
    let led = node.leads_surely() || (!node.leads() && node.since_contact() < node.timing.lease());
    !led && last >= node.log.last()
}
