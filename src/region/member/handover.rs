//! How a leader hands over: another leads within a few round trips, without anybody waiting for a timeout.
//!
//! Followers promise a leader not to vote for another for a while after its last word. It releases them from that
//! itself: it tells them whom they are to vote for, which puts them into that one's term, and steps down as they do.
//! Whom they vote for in truth is decided as ever, by who has which part of the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::CommittedLeaderId;
use openraft::raft::AppendEntriesRequest;

use super::super::raft::connection::Class;
use super::super::raft::frame::{Answer, Denial, Request};
use super::super::raft::node::{Metrics, Node};
use super::super::raft::timing::{after, over};
use super::super::raft::types::{LogId, Vote};

/// Asks the follower that is furthest to lead, and the next one if it will not. Returns when this node no longer leads,
/// or after a while.
///
/// Once asked there is no way back within the term: that follower may stand for election whenever it hears of it, so
/// the lease is given up for good, no proposal is taken, and without heartbeats the others soon elect somebody even if
/// that follower does not.
pub async fn step_down(node: &Arc<Node>) {
    let (Some(raft), Some(metrics)) = (node.raft.get(), node.metrics()) else { return };
    if !node.leads() {
        return;
    }
    let voters: BTreeSet<u64> =
        metrics.membership_config.membership().voter_ids().filter(|id| *id != node.id()).collect();
    if voters.is_empty() {
        return;
    }
    // What it promised itself no longer holds, so it takes no more proposals either.
    node.lease.give_up();
    let candidates = caught_up(node, &voters).await;
    // The others' promise to it is to run out, should they not hear that it is void.
    raft.runtime_config().heartbeat(false);
    for to in candidates {
        if hand_over(node, &metrics, to).await {
            break;
        }
    }
    let until = after(node.timing.leaderless());
    let led = node.clone();
    let gone = tokio::spawn(async move {
        while led.leads() {
            led.moment().await;
        }
        if let Some(raft) = led.raft.get() {
            raft.runtime_config().heartbeat(true);
        }
    });
    let _ = tokio::time::timeout_at(until, gone).await;
}

/// Makes way for one follower. Whether it takes over.
async fn hand_over(node: &Arc<Node>, metrics: &Metrics, to: u64) -> bool {
    let membership = metrics.membership_config.membership();
    let Some(peer) = membership.get_node(&to).cloned() else { return false };
    let vote = Vote::new(metrics.vote.leader_id.term + 1, to);
    let within = node.timing.lease() / 4;
    let mut aside = tokio::task::JoinSet::new();
    let others = membership.voter_ids().filter(|id| *id != to && *id != node.id());
    for (id, peer) in others.filter_map(|id| Some((id, membership.get_node(&id)?.clone()))) {
        let node = node.clone();
        aside.spawn(async move {
            let request = Request::StandAside { to: id, vote: vote.into() };
            let _ = node.connections.to(&peer.address, Class::Protocol).call(&request, within).await;
        });
    }
    let _ = tokio::time::timeout(within, aside.join_all()).await;
    let request = Request::TakeOver { to };
    let asked = node.connections.to(&peer.address, Class::Protocol).call(&request, node.timing.lease()).await;
    tracing::info!("region map: {peer} is asked to lead: {asked:?}");
    let agreed = matches!(asked, Ok(Answer::Done));
    if agreed {
        // A disk that stands still holds this up: the others do without.
        let _ = tokio::time::timeout(within, stand_aside(node, node.id(), vote)).await;
    }
    agreed
}

/// The followers, those first that have most, once one has everything or nearly the time of an election has gone by.
async fn caught_up(node: &Node, voters: &BTreeSet<u64>) -> Vec<u64> {
    let until = after(Duration::from_millis(node.timing.election_min_ms));
    loop {
        let Some(metrics) = node.metrics() else { return Vec::new() };
        let progress = metrics.replication.unwrap_or_default();
        let at = |id: &u64| progress.get(id).copied().flatten().map(|id| id.index);
        let mut best: Vec<u64> = voters.iter().copied().collect();
        best.sort_by_key(|id| std::cmp::Reverse(at(id)));
        if best.first().is_some_and(|id| at(id) >= metrics.last_log_index) || over(until) {
            return best;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The leader asks this node to lead.
pub(super) fn take_over(node: &Arc<Node>, to: u64) -> Result<Answer, Denial> {
    let raft = node.raft_of(to)?.clone();
    if let Some(why) = node.trouble() {
        return Err(Denial::Refused(format!("the log cannot be written here: {why}")));
    }
    let node = node.clone();
    let asked_in = node.metrics().map_or(0, |metrics| metrics.current_term);
    tokio::spawn(async move {
        let until = after(node.timing.leaderless());
        let pause = Duration::from_millis(node.timing.heartbeat_ms);
        // Once somebody led anew it is done, though that be over again: who stood once more would depose the next.
        let done = || {
            let led = node.log.last().is_some_and(|last| last.leader_id.term > asked_in);
            let leads = |now: Metrics| now.current_term > asked_in && now.current_leader.is_some();
            led || node.metrics().is_some_and(leads)
        };
        // Others may still keep their promise to the old leader.
        while !done() && !over(until) {
            if raft.trigger().elect().await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    Ok(Answer::Done)
}

/// The leader hands over to the one of this vote, so that nobody need keep a promise to it.
pub(super) async fn stand_aside(node: &Node, to: u64, vote: Vote) -> Result<Answer, Denial> {
    let raft = node.raft_of(to)?;
    if vote.committed || vote.leader_id.node_id == to {
        return Err(Denial::Refused("not a vote for another".into()));
    }
    let term = CommittedLeaderId::new(vote.leader_id.term, vote.leader_id.node_id);
    let nowhere = AppendEntriesRequest {
        vote,
        // No log ends there: it is the vote alone that is heard.
        prev_log_id: Some(LogId::new(term, u64::MAX - 1)),
        entries: Vec::new(),
        leader_commit: None,
    };
    raft.append_entries(nowhere).await.map_err(|_| Denial::Shutdown)?;
    Ok(Answer::Done)
}
