//! How the leader admits a node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};

use super::super::map::{Command, Member, Refusal, Reply, Role};
use super::super::raft::connection::Class;
use super::super::raft::frame::{Alive, Answer, Denial, Join, MemberError, Request};
use super::super::raft::node::Node;
use super::super::raft::proposer;
use super::super::raft::renewals;
use super::super::raft::timing::{after, over};
use super::super::raft::types::{Peer, Raft};
use crate::base::clock;

const FORWARD: Duration = Duration::from_secs(15);
/// Between two looks at a change that is under way.
const TURN: Duration = Duration::from_millis(20);

pub(super) async fn join(node: &Arc<Node>, join: Join) -> Result<Answer, Denial> {
    if !node.leads() {
        return forward(node, &Request::Join(join)).await;
    }
    let role = if join.manager { Role::Manager } else { Role::Worker };
    let (id, cluster) = admit(node, join, role).await?;
    Ok(Answer::Joined { id, cluster })
}

/// Makes a node a member in that role, as the leader: its id, and that of the cluster.
pub(super) async fn admit(node: &Arc<Node>, join: Join, role: Role) -> Result<(u64, u128), Denial> {
    let _one_at_a_time = node.changing.lock().await;
    let cluster = node.log.identity().cluster;
    if let Some(id) = node.heard.admitted(join.store) {
        return Ok((id, cluster));
    }
    // The ids of the first members must lie below every index that becomes an id.
    let map = node.view.map();
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    if metrics.membership_config.membership().nodes().any(|(id, _)| map.member(*id).is_none()) {
        return Err(MemberError::Busy.into());
    }
    if let Some(old) = map.members().find(|m| *m.name == *join.name) {
        refuse_name(node, old, &join)?;
        forget(node, old.id).await?;
    }
    let member = Member {
        name: join.name.as_str().into(),
        address: join.address.as_str().into(),
        api: join.api.as_str().into(),
        region: join.region.as_str().into(),
        role,
        alive: true,
        ..Member::default()
    };
    let id = match proposer::alone(node, Command::MemberPut(member)).await? {
        (_, Reply::Id { id, .. }) => id,
        (_, Reply::Refused(Refusal::NameTaken(name))) => {
            return Err(MemberError::NameTaken(name.to_string()).into());
        }
        (_, other) => return Err(Denial::Refused(format!("not admitted: {other:?}"))),
    };
    let alive = Alive {
        id,
        name: join.name.clone(),
        address: join.address.clone(),
        api: join.api.clone(),
        region: join.region.clone(),
        // It says so itself when it is there.
        node_id: String::new(),
    };
    node.heard.admit(join.store, alive, clock::now_ns());
    tracing::info!("region map: {} at {} is member {id}", join.name, join.address);
    Ok((id, cluster))
}

/// A name is its holder's until it is gone. One that comes without what the holder knew is taken for it, made anew, only
/// at the holder's own address and once that one is down.
fn refuse_name(node: &Node, old: &Member, join: &Join) -> Result<(), Denial> {
    let (name, holder) = (join.name.clone(), format!("member {} at {}", old.id, old.address));
    let asks = format!("store {:016x} at {}", (join.store >> 64) as u64, join.address);
    let refusal = match old.alive {
        true => MemberError::NameOf { name, holder, asks },
        false if *old.address != *join.address => MemberError::NameOfDead { name, holder, asks },
        false => return Ok(()),
    };
    if node.heard.refuses(&refusal.to_string(), clock::now_ns()) {
        tracing::warn!("region map: a node was not admitted: {refusal}");
    }
    Err(refusal.into())
}

/// Passes a wish on to the leader.
pub(super) async fn forward(node: &Node, wish: &Request) -> Result<Answer, Denial> {
    let leader = node.supposed_leader().filter(|(id, _)| *id != node.id());
    let Some((_, peer)) = leader else { return Err(Denial::NotLeader(None)) };
    match node.connections.to(&peer.address, Class::Bulk).call(wish, FORWARD).await {
        Ok(answer) => Ok(answer),
        Err(e) => Err(Denial::Refused(format!("the leader, {peer}: {e}"))),
    }
}

/// Takes a member out of Raft and of the map; its id is never used again.
pub(super) async fn forget(node: &Node, id: u64) -> Result<(), Denial> {
    let raft = node.raft()?;
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    let membership = metrics.membership_config.membership();
    let gone = BTreeSet::from([id]);
    if membership.voter_ids().any(|voter| voter == id) {
        dispensable(node, id).await?;
        change(raft, ChangeMembers::RemoveVoters(gone)).await?;
    } else if membership.get_node(&id).is_some() {
        change(raft, ChangeMembers::RemoveNodes(gone)).await?;
    }
    proposer::alone(node, Command::MemberDelete { id }).await.map(drop)
}

/// Waits until the others know without this voter when sessions end.
pub(super) async fn dispensable(node: &Node, id: u64) -> Result<(), Denial> {
    let until = after(FORWARD);
    loop {
        let metrics = node.metrics().ok_or(Denial::NoMember)?;
        let voters = metrics.membership_config.membership().voter_ids();
        let rest: BTreeSet<u64> = voters.filter(|voter| *voter != id).collect();
        // Raft has answers of its own to who leads no more, and to who wants to take the last one.
        if !node.leads() || rest.is_empty() || renewals::outlive(node, &metrics, &rest, None) {
            return Ok(());
        }
        if over(until) {
            return Err(Denial::Timeout);
        }
        node.told.news();
        tokio::time::sleep(TURN).await;
    }
}

/// Changes Raft's members; those that lose their vote leave.
pub(super) async fn change(raft: &Raft, what: ChangeMembers<u64, Peer>) -> Result<(), Denial> {
    change_voters(raft, what, false).await
}

/// The same; with `stay` those that lose their vote stay without one. A change that is under way, perhaps of a leader
/// before this one, is waited for.
pub(super) async fn change_voters(
    raft: &Raft,
    what: ChangeMembers<u64, Peer>,
    stay: bool,
) -> Result<(), Denial> {
    let until = after(FORWARD);
    loop {
        let changed = tokio::time::timeout_at(until, raft.change_membership(what.clone(), stay)).await;
        match changed.map_err(|_| Denial::Timeout)? {
            Ok(_) => return Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                return Err(Denial::NotLeader(to.leader_node));
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_),
            ))) if !over(until) => tokio::time::sleep(TURN).await,
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(e))) => {
                return Err(Denial::Refused(e.to_string()));
            }
            Err(RaftError::Fatal(_)) => return Err(Denial::Shutdown),
        }
    }
}

/// Who this node is, for those who may admit it.
pub(super) fn wish(node: &Node) -> Join {
    Join {
        store: node.log.identity().store,
        name: node.name.to_string(),
        address: node.address.clone(),
        api: node.api.clone(),
        region: node.region.to_string(),
        manager: node.meeting.how.manager,
    }
}
