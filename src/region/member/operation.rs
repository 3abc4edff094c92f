//! What an operator does to a member, with Swarm's refusals, and how a leader leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::ChangeMembers;

use super::super::map::{Command, Deregistration, Member, Reply, Role};
use super::super::raft::connection::Class;
use super::super::raft::frame::{Answer, Denial, MemberError, Operation, Request};
use super::super::raft::node::Node;
use super::super::raft::proposer;
use super::super::raft::timing::{after, over};
use super::joining::forget;
use crate::base::clock;

const FORWARD: Duration = Duration::from_secs(20);

/// Done by the leader, wherever it is asked.
pub async fn operate(node: &Arc<Node>, what: Operation) -> Result<(), Denial> {
    let own = match what {
        Operation::Demote(id) | Operation::Leave { id, .. } => id == node.id(),
        _ => false,
    };
    if node.leads() && own {
        // A leader does not take its own vote away: another leads first, and does it.
        if !matches!(what, Operation::Leave { force: true, .. }) {
            refuse_demotion(node, node.id())?;
        }
        step_down(node).await;
        if node.leads() {
            return Err(MemberError::Busy.into());
        }
    }
    if node.leads() {
        let _one_at_a_time = node.changing.lock().await;
        return lead(node, what).await;
    }
    let until = after(node.timing.leaderless() * 2);
    loop {
        let leader = node.leader().filter(|leader| leader.id != node.id());
        let answer = match leader {
            Some(leader) => {
                node.connections.to(&leader.address, Class::Bulk).call(&Request::Operate(what), FORWARD).await
            }
            None => Ok(Answer::Denied(Denial::NotLeader(None))),
        };
        match answer {
            Ok(Answer::Done) => return Ok(()),
            Ok(Answer::Denied(Denial::NotLeader(_))) if !over(until) => node.moment().await,
            Ok(Answer::Denied(denial)) => return Err(denial),
            Ok(_) => return Err(Denial::Refused("an answer to something else".into())),
            Err(e) => return Err(Denial::Refused(e.to_string())),
        }
    }
}

async fn lead(node: &Node, what: Operation) -> Result<(), Denial> {
    match what {
        Operation::Promote(id) => {
            let member = member(node, id)?;
            if !member.alive {
                return Err(MemberError::IsDown(id).into());
            }
            put(node, Member { role: Role::Manager, ..member }).await
        }
        Operation::Demote(id) => {
            refuse_demotion(node, id)?;
            let member = member(node, id)?;
            let metrics = node.metrics().ok_or(Denial::NoMember)?;
            // Out of the quorum first: a role that says less than Raft would be a lie.
            if metrics.membership_config.membership().voter_ids().any(|voter| voter == id) {
                let voters = ChangeMembers::RemoveVoters(BTreeSet::from([id]));
                let changed =
                    tokio::time::timeout(FORWARD, node.raft()?.change_membership(voters, true)).await;
                changed.map_err(|_| Denial::Timeout)?.map_err(|e| Denial::Refused(e.to_string()))?;
            }
            put(node, Member { role: Role::Worker, ..member }).await
        }
        Operation::Availability(id, availability) => {
            let member = member(node, id)?;
            put(node, Member { availability, ..member }).await
        }
        Operation::Remove { id, force } => {
            let member = member(node, id)?;
            if member.role == Role::Manager {
                return Err(MemberError::IsManager(id).into());
            }
            if member.alive && !force {
                return Err(MemberError::IsAlive(id).into());
            }
            forget(node, id).await
        }
        Operation::Leave { id, force } => {
            if !force {
                refuse_demotion(node, id)?;
            }
            let member = member(node, id)?;
            forget(node, id).await?;
            tracing::info!("region map: member {id} ({}) has left", member.name);
            // What was registered there goes with it, as with Consul.
            let gone = Deregistration { node: member.name, service_id: None, check_id: None };
            proposer::alone(node, Command::Deregister(gone)).await.map(drop)
        }
    }
}

/// Swarm's refusals to let a manager leave without force.
pub fn refuse_leaving(node: &Node) -> Result<(), Denial> {
    let map = node.view.map();
    let Some(me) = map.member(node.id()) else { return Ok(()) };
    if me.role != Role::Manager {
        return Ok(());
    }
    let managers = map.members().filter(|m| m.role == Role::Manager);
    let (of, alive) = managers.fold((0, 0), |(of, alive), m| (of + 1, alive + usize::from(m.alive)));
    Err(match of {
        1 => MemberError::LeavesNothing.into(),
        _ => MemberError::LeavesManagers { left: alive.saturating_sub(1), of }.into(),
    })
}

fn member(node: &Node, id: u64) -> Result<Member, Denial> {
    let map = node.view.map();
    map.member(id).map(|m| (**m).clone()).ok_or(Denial::Member(MemberError::Unknown(id)))
}

async fn put(node: &Node, member: Member) -> Result<(), Denial> {
    match proposer::alone(node, Command::MemberPut(member)).await?.1 {
        Reply::Refused(refusal) => Err(Denial::Refused(refusal.to_string())),
        _ => Ok(()),
    }
}

/// Swarm's two refusals.
fn refuse_demotion(node: &Node, id: u64) -> Result<(), Denial> {
    member(node, id)?;
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
    if !voters.contains(&id) {
        return Ok(());
    }
    if voters.len() == 1 {
        return Err(MemberError::LastManager.into());
    }
    let period = Duration::from_millis(node.timing.liveness_ms);
    let now = clock::now_ns();
    let lives = |voter: &&u64| **voter == node.id() || node.heard.lives(**voter, true, period, now);
    let left = voters.iter().filter(|voter| **voter != id);
    if left.clone().filter(lives).count() <= left.count() / 2 {
        return Err(MemberError::QuorumLoss(id).into());
    }
    Ok(())
}

/// Asks the follower that is furthest to lead. Returns when this node no longer leads, or after a while.
///
/// Once asked there is no way back within the term: that follower may stand for election whenever it hears of it, so
/// the lease is given up for good, no proposal is taken, and without heartbeats the others soon elect somebody even if
/// that follower does not.
pub async fn step_down(node: &Arc<Node>) {
    let (Some(raft), Some(metrics)) = (node.raft.get(), node.metrics()) else { return };
    if !node.leads() {
        return;
    }
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().filter(|id| *id != node.id()).collect();
    if voters.is_empty() {
        return;
    }
    // What it promised itself no longer holds, so it takes no more proposals either.
    node.lease.give_up();
    let Some(to) = caught_up(node, &voters).await else { return };
    let Some(peer) = membership.get_node(&to).cloned() else { return };
    // The others' promise to it is to run out.
    raft.runtime_config().heartbeat(false);
    let request = Request::TakeOver { to };
    let asked = node.connections.to(&peer.address, Class::Protocol).call(&request, node.timing.lease()).await;
    tracing::info!("region map: {peer} is asked to lead: {asked:?}");
    let until = after(node.timing.leaderless());
    let led = node.clone();
    let over = tokio::spawn(async move {
        while led.leads() {
            led.moment().await;
        }
        if let Some(raft) = led.raft.get() {
            raft.runtime_config().heartbeat(true);
        }
    });
    let _ = tokio::time::timeout_at(until, over).await;
}

/// The follower that is furthest, once it has everything or nearly the time of an election has gone by.
async fn caught_up(node: &Node, voters: &BTreeSet<u64>) -> Option<u64> {
    let until = after(Duration::from_millis(node.timing.election_min_ms));
    loop {
        let metrics = node.metrics()?;
        let progress = metrics.replication.unwrap_or_default();
        let at = |id: &u64| progress.get(id).copied().flatten().map(|id| id.index);
        let best = voters.iter().copied().max_by_key(at)?;
        if at(&best) >= metrics.last_log_index || over(until) {
            return Some(best);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The leader asks this node to lead.
pub(super) fn take_over(node: &Arc<Node>, to: u64) -> Result<Answer, Denial> {
    let raft = node.raft_of(to)?.clone();
    let node = node.clone();
    tokio::spawn(async move {
        let until = after(node.timing.leaderless());
        // Others may still keep their promise to the old leader.
        while !node.leads() && !over(until) {
            if raft.trigger().elect().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(node.timing.heartbeat_ms)).await;
        }
    });
    Ok(Answer::Done)
}
