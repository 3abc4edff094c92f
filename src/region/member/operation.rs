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
use super::handover::step_down;
use super::joining::{change_voters, dispensable, forget};
use super::{liveness, sealing};
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
    if node.leads() && what == Operation::HandOver {
        if votes_alone(node) {
            return Err(Denial::Refused("cannot transfer leadership: there is no other voter".into()));
        }
        step_down(node).await;
        return if node.leads() { Err(MemberError::Busy.into()) } else { Ok(()) };
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

/// Without this node there is no cluster.
pub fn votes_alone(node: &Node) -> bool {
    node.status().voters.as_slice() == [node.id()]
}

async fn lead(node: &Node, what: Operation) -> Result<(), Denial> {
    let takes_a_vote =
        matches!(what, Operation::Demote(_) | Operation::Leave { .. } | Operation::Remove { .. });
    if takes_a_vote && !sealing::can_spare_others(node) {
        // Whoever goes may be the one that has the keys.
        return Err(MemberError::Busy.into());
    }
    match what {
        Operation::RotateAuthority => sealing::rotate(node).await,
        // Done before this, by whoever leads.
        Operation::HandOver => Err(Denial::NotLeader(None)),
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
                dispensable(node, id).await?;
                let voters = ChangeMembers::RemoveVoters(BTreeSet::from([id]));
                change_voters(node.raft()?, voters, true).await?;
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

/// Swarm's two refusals. A leader that is new has heard nobody yet: it goes by what the one before it knew.
fn refuse_demotion(node: &Node, id: u64) -> Result<(), Denial> {
    member(node, id)?;
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    liveness::listen(node, metrics.current_term);
    let map = node.view.map();
    let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
    if !voters.contains(&id) {
        return Ok(());
    }
    if voters.len() == 1 {
        return Err(MemberError::LastManager.into());
    }
    let period = Duration::from_millis(node.timing.liveness_ms);
    let now = clock::now_ns();
    let in_map = |voter: u64| map.member(voter).is_none_or(|member| member.alive);
    let lives =
        |voter: &&u64| **voter == node.id() || node.heard.lives(**voter, in_map(**voter), period, now);
    let left = voters.iter().filter(|voter| **voter != id);
    if left.clone().filter(lives).count() <= left.count() / 2 {
        return Err(MemberError::QuorumLoss(id).into());
    }
    Ok(())
}
