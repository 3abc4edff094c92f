//! The leader makes Raft's members those of the map: a member that is not in Raft becomes a learner, a manager that has
//! caught up becomes a voter, what is no longer a member leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;

use super::super::map::{Member, Role};
use super::super::raft::frame::Denial;
use super::super::raft::node::{Metrics, Node};
use super::super::raft::renewals;
use super::super::raft::types::Peer;
use super::joining::change;

const EVERY: Duration = Duration::from_millis(250);
/// A learner so close behind may vote.
const CLOSE: u64 = 256;

pub(super) async fn run(node: &Node) {
    loop {
        tokio::time::sleep(EVERY).await;
        if !node.leads_surely() {
            continue;
        }
        let _one_at_a_time = node.changing.lock().await;
        if let Err(e) = step(node).await {
            tracing::debug!("region map: members: {e}");
        }
    }
}

/// One change at a time, the most useful first.
async fn step(node: &Node) -> Result<(), Denial> {
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    let map = node.view.map();
    let membership = metrics.membership_config.membership();
    let raft = node.raft()?;
    if membership.get_joint_config().len() > 1 {
        // A change that a former leader did not finish.
        let last = membership.get_joint_config().last().cloned().unwrap_or_default();
        return change(raft, ChangeMembers::ReplaceAllVoters(last)).await;
    }
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    for member in map.members() {
        let here = membership.get_node(&member.id).is_some();
        if !here && member.alive {
            let peer = Peer { name: member.name.clone(), address: member.address.clone() };
            let added = raft.add_learner(member.id, peer, false).await;
            node.told.news();
            return added.map(drop).map_err(|e| Denial::Refused(e.to_string()));
        }
        let moved = membership.get_node(&member.id).is_some_and(|peer| peer.address != member.address);
        if moved {
            // Nobody else can answer there: every request of the protocol says whom it is meant for.
            let peer = Peer { name: member.name.clone(), address: member.address.clone() };
            return change(raft, ChangeMembers::SetNodes(BTreeMap::from([(member.id, peer)]))).await;
        }
        if here && !voters.contains(&member.id) && ready(member, &metrics) {
            let with = voters.iter().copied().chain([member.id]).collect();
            if renewals::outlive(node, &metrics, &with, Some(member.id)) {
                tracing::info!("region map: member {} ({}) votes from now on", member.id, member.name);
                return change(raft, ChangeMembers::AddVoterIds(BTreeSet::from([member.id]))).await;
            }
            node.told.news();
        }
    }
    Ok(())
}

fn ready(member: &Member, metrics: &Metrics) -> bool {
    let at = metrics.replication.as_ref().and_then(|all| all.get(&member.id).copied().flatten());
    let last = metrics.last_log_index.unwrap_or(0);
    member.role == Role::Manager && member.alive && at.is_some_and(|id| id.index + CLOSE >= last)
}
