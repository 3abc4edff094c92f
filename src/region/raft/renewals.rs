//! How the leader's clock of sessions outlives it: the other members know when each session ends.
//!
//! The leader tells every voter what changes, and who is to vote before it does. A renewal is answered once a quorum knows it; nothing of this is in the log
//! or on a disk. Who leads next asks the others, and goes on with the newest table that a quorum has: any two quorums
//! share a member, so that no renewal which was answered is missing. What a member says it knows it has put down before
//! (`keeper`), so that it knows that also when it was started anew. One whose machine was counts for none until it has heard
//! a leader's whole table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::callee::ENDS;
use super::connection::Class;
use super::frame::{Answer, Denial, Request};
use super::node::{Metrics, Node};
use super::told::Answered;
use super::types::Peer;
use crate::base::clock;
use crate::region::expiry::{Expiry, Table};
use crate::region::map::Role;

/// The kind of call that carries it.
pub const CALL: u8 = ENDS;
/// Between two words to each member where nothing changes: by them one that was started anew is found.
const IDLE: Duration = Duration::from_millis(500);

#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// Of a leader.
    Ends(Table),
    /// Of who is to lead, in that term.
    What { term: u64 },
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reply {
    /// Known now, or not, because what went before is not.
    Heard(bool),
    Known(Option<Table>),
}

fn expiry(node: &Node) -> MutexGuard<'_, Expiry> {
    node.expiry.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The other voters, and where they are.
fn others(metrics: &Metrics) -> Vec<(u64, Peer)> {
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().filter(|id| *id != metrics.id).collect();
    voters.into_iter().filter_map(|id| Some((id, membership.get_node(&id)?.clone()))).collect()
}

/// The other voters, and who is to be one: it knows all before it has a vote.
fn hearers(node: &Node, metrics: &Metrics) -> BTreeMap<u64, Peer> {
    let membership = metrics.membership_config.membership();
    let map = node.view.map();
    let managers = map.members().filter(|member| member.role == Role::Manager && member.alive);
    let coming = managers.filter_map(|member| Some((member.id, membership.get_node(&member.id)?.clone())));
    let mut all: BTreeMap<u64, Peer> = others(metrics).into_iter().chain(coming).collect();
    all.remove(&metrics.id);
    all
}

/// Whether these may be the voters from now on: what a quorum knows of when sessions end stays known, and is known to who is
/// `new` among them, so that the death of another leaves a quorum that knows it.
pub fn outlive(node: &Node, metrics: &Metrics, voters: &BTreeSet<u64>, new: Option<u64>) -> bool {
    let term = metrics.vote.leader_id.term;
    let seq = {
        let expiry = expiry(node);
        if !expiry.leads(term) {
            return false;
        }
        expiry.seq()
    };
    node.told.outlives(term, metrics.id, seq, voters, new)
}

async fn ask(node: &Node, peer: &Peer, word: &Word, within: Duration) -> Result<Reply, Option<Denial>> {
    let body = postcard::to_extend(word, Vec::new()).map_err(|_| Some(Denial::TooLarge))?;
    let request = Request::Call { kind: CALL, body: body.into() };
    match node.connections.to(&peer.address, Class::Protocol).call(&request, within).await {
        Ok(Answer::Called(bytes)) => postcard::from_bytes(&bytes).map_err(|_| None),
        Ok(Answer::Denied(denial)) => Err(Some(denial)),
        Ok(_) | Err(_) => Err(None),
    }
}

/// As the leader, tells the others what changes.
pub async fn run(node: Arc<Node>) {
    loop {
        let _ = tokio::time::timeout(IDLE, node.told.work()).await;
        let Some(metrics) = node.metrics() else { continue };
        let term = metrics.vote.leader_id.term;
        if !node.leads() || !expiry(&node).leads(term) {
            continue;
        }
        for (id, peer) in hearers(&node, &metrics) {
            if let Some(after) = node.told.begin(term, id) {
                tokio::spawn(tell(node.clone(), term, id, peer, after));
            }
        }
        count(&node, term);
    }
}

async fn tell(node: Arc<Node>, term: u64, id: u64, peer: Peer, after: u64) {
    let table = {
        let expiry = expiry(&node);
        expiry.leads(term).then(|| expiry.table(after, clock::now_ns()))
    };
    let Some(table) = table else {
        node.told.end(term, id, 0, None);
        return;
    };
    let seq = table.seq;
    let answer = match ask(&node, &peer, &Word::Ends(table), node.timing.lease()).await {
        Ok(Reply::Heard(true)) => Some(Answered::Knows),
        Ok(Reply::Heard(false)) => Some(Answered::Behind),
        // What no part of that program knows is refused.
        Err(Some(Denial::Refused(_))) => Some(Answered::Unaware),
        Ok(Reply::Known(_)) | Err(_) => None,
    };
    let more = node.told.end(term, id, seq, answer);
    count(&node, term);
    let now = expiry(&node).seq();
    if more && (answer == Some(Answered::Behind) || now > seq) {
        node.told.news();
    }
}

fn count(node: &Node, term: u64) {
    let Some(metrics) = node.metrics() else { return };
    let seq = {
        let expiry = expiry(node);
        if !expiry.leads(term) {
            return;
        }
        expiry.seq()
    };
    node.told.count(term, metrics.id, seq, metrics.membership_config.membership().get_joint_config());
}

/// As who leads from now on, takes the newest table of a quorum; does so once.
pub async fn take_over(node: &Arc<Node>, term: u64) {
    let own = {
        let mut expiry = expiry(node);
        if expiry.leads(term) {
            return;
        }
        let own = expiry.asked(term, clock::now_ns());
        node.keeper.put_down(&mut expiry);
        own
    };
    let Some(metrics) = node.metrics() else { return };
    let membership = metrics.membership_config.membership();
    let mut knowing: BTreeSet<u64> = own.iter().map(|_| metrics.id).collect();
    let mut newest = own;
    let quorum = |knowing: &BTreeSet<u64>| {
        let configs = membership.get_joint_config();
        configs.iter().all(|voters| voters.intersection(knowing).count() > voters.len() / 2)
    };
    let mut calls = tokio::task::JoinSet::new();
    for (id, peer) in others(&metrics) {
        let node = node.clone();
        let within = node.timing.lease();
        calls.spawn(async move { (id, ask(&node, &peer, &Word::What { term }, within).await) });
    }
    while !quorum(&knowing)
        && let Some(answer) = calls.join_next().await
    {
        if let Ok((id, Ok(Reply::Known(Some(table))))) = answer {
            knowing.insert(id);
            let age = |table: &Table| (table.term, table.seq);
            if newest.as_ref().is_none_or(|known| age(known) < age(&table)) {
                newest = Some(table);
            }
        }
    }
    let known = newest.filter(|_| quorum(&knowing));
    if known.is_none() {
        tracing::debug!("region map: no quorum knows when sessions end: each gets its TTL once more");
    }
    {
        let mut expiry = expiry(node);
        expiry.lead(term, known, &node.view.map(), clock::now_ns());
        node.keeper.put_down(&mut expiry);
    }
    node.told.news();
}

/// What this node says to a leader, or to one that is to be it.
pub fn answer(node: &Node, body: &Bytes) -> Result<Answer, Denial> {
    let word: Word =
        postcard::from_bytes(body).map_err(|_| Denial::Refused("ends that cannot be read".into()))?;
    let raft_term = node.metrics().ok_or(Denial::NoMember)?.current_term;
    let now = clock::now_ns();
    let mut expiry = expiry(node);
    let reply = match word {
        Word::Ends(table) => {
            let heard = expiry.hear(table, raft_term, &node.view.map(), now);
            Reply::Heard(heard.ok_or(Denial::NotLeader(None))?)
        }
        Word::What { term } if term < raft_term => return Err(Denial::NotLeader(None)),
        Word::What { term } => Reply::Known(expiry.asked(term, now)),
    };
    node.keeper.put_down(&mut expiry);
    drop(expiry);
    let bytes = postcard::to_extend(&reply, Vec::new()).map_err(|_| Denial::TooLarge)?;
    Ok(Answer::Called(bytes.into()))
}
