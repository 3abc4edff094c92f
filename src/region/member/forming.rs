//! How a node without a cluster comes to one: alone, with those it is to expect, or by joining what stands.
//!
//! Nodes that expect N say hello to the addresses they know. Once the one with the lowest name sees N without a
//! cluster that all have met each other, it draws the cluster's id, gives the members their ids in the order of their
//! names, and tells them; each keeps that before it answers. Then it initializes Raft with exactly these. Whatever
//! stops half-way goes on from what was kept: no node ever takes part in two such formings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::super::raft::frame::{Answer, Denial, Hello, Join, Request};
use super::super::raft::link::Class;
use super::super::raft::node::Node;
use super::super::raft::types::Peer;
use super::super::store::Identity;

const ROUND: Duration = Duration::from_millis(200);
const CALL: Duration = Duration::from_secs(2);
/// A cluster may take its time to admit one.
const JOIN: Duration = Duration::from_secs(20);
/// Nodes met; more are no first cluster.
const MET: usize = 64;

/// How this node is to find its cluster.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    pub retry_join: Vec<String>,
    pub expect: Option<u32>,
    pub manager: bool,
    pub token: String,
}

/// Whom this node met before it had a cluster.
pub struct Meeting {
    pub how: Membership,
    met: Mutex<BTreeMap<u128, Hello>>,
    /// The identity has changed.
    settled: Notify,
}

impl Meeting {
    pub fn new(how: Membership) -> Meeting {
        Meeting { how, met: Mutex::default(), settled: Notify::new() }
    }

    fn met(&self) -> std::sync::MutexGuard<'_, BTreeMap<u128, Hello>> {
        self.met.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn meet(&self, other: Hello, me: u128) {
        let mut met = self.met();
        if other.store != me && (met.len() < MET || met.contains_key(&other.store)) {
            if other.cluster == 0 {
                drop(met.insert(other.store, other))
            } else {
                drop(met.remove(&other.store))
            }
        }
    }

    fn expected(&self) -> usize {
        self.how.expect.unwrap_or(1).max(1) as usize
    }
}

fn introduction(node: &Node) -> Hello {
    let identity = node.log.identity();
    let met = node.meeting.met().values().map(|h| (h.store, h.name.clone())).collect();
    Hello {
        store: identity.store,
        name: node.name.to_string(),
        address: node.address.clone(),
        expect: node.meeting.expected() as u32,
        cluster: identity.cluster,
        id: identity.id,
        met,
    }
}

/// Somebody said hello.
pub(super) fn hello(node: &Node, other: Hello) -> Hello {
    node.meeting.meet(other, node.log.identity().store);
    introduction(node)
}

/// Returns once this node is a member, now or from an earlier start.
pub async fn seek(node: &Arc<Node>) -> Identity {
    let mut told = false;
    loop {
        let identity = node.log.identity();
        if identity.id != 0 {
            return identity;
        }
        let formed = node.meeting.how.retry_join.is_empty() && node.meeting.expected() == 1;
        if formed {
            settle(node, uuid::Uuid::new_v4().as_u128(), vec![(1, peer(&introduction(node)))]).await;
            continue;
        }
        if !told {
            tracing::info!(
                "region map: {} looks for its cluster at {:?}",
                node.name,
                node.meeting.how.retry_join
            );
            told = true;
        }
        if let Some(address) = greet_all(node).await {
            join(node, &address).await;
        } else if let Some(members) = first_members(node) {
            settle(node, uuid::Uuid::new_v4().as_u128(), members).await;
        }
        let _ = tokio::time::timeout(ROUND, node.meeting.settled.notified()).await;
    }
}

fn peer(hello: &Hello) -> Peer {
    Peer { name: hello.name.as_str().into(), address: hello.address.as_str().into() }
}

/// Says hello to every known address. An address of a member of a cluster, if there is one.
async fn greet_all(node: &Node) -> Option<String> {
    let known: Vec<String> = node.meeting.met().values().map(|h| h.address.clone()).collect();
    let addresses: BTreeSet<String> = node.meeting.how.retry_join.iter().cloned().chain(known).collect();
    let mut cluster = None;
    for address in addresses.into_iter().filter(|a| *a != node.address) {
        let request = Request::Hello(introduction(node));
        match node.links.to(&address, Class::Protocol).call(&request, CALL).await {
            Ok(Answer::Hello(other)) => {
                if other.cluster != 0 && other.store != node.log.identity().store {
                    cluster = Some(address);
                }
                node.meeting.meet(other, node.log.identity().store);
            }
            Ok(_) => {}
            Err(e) => tracing::debug!("region map: hello to {address}: {e}"),
        }
    }
    cluster
}

/// Those who form the cluster, if this node is the one to do it and all have met.
fn first_members(node: &Node) -> Option<Vec<(u64, Peer)>> {
    let me = introduction(node);
    let mut all: Vec<Hello> = node.meeting.met().values().cloned().collect();
    all.push(me.clone());
    let expected = node.meeting.expected();
    let stores: BTreeSet<u128> = all.iter().map(|h| h.store).collect();
    let names: BTreeSet<&str> = all.iter().map(|h| h.name.as_str()).collect();
    if names.len() < all.len() {
        tracing::warn!("region map: two nodes that look for a cluster bear one name, of {names:?}");
        return None;
    }
    let acquainted =
        |h: &Hello| stores.iter().all(|s| *s == h.store || h.met.iter().any(|(met, _)| met == s));
    let agreed = all.len() == expected && all.iter().all(|h| h.expect as usize == expected && acquainted(h));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let lowest = all.first().is_some_and(|h| h.store == me.store);
    (agreed && lowest).then(|| (1..).zip(all.iter().map(peer)).collect())
}

/// Keeps that this node is one of those who form the cluster.
async fn settle(node: &Node, cluster: u128, members: Vec<(u64, Peer)>) {
    let Some((id, _)) = members.iter().find(|(_, peer)| peer.name == node.name) else { return };
    let identity = Identity { cluster, id: *id, forming: members.clone(), ..node.log.identity() };
    if let Err(e) = node.log.set_identity(identity).await {
        tracing::error!("region map: {e}");
    }
    node.meeting.settled.notify_one();
}

/// The one that forms the cluster says who is in it.
pub(super) async fn form(node: &Node, cluster: u128, members: Vec<(u64, Peer)>) -> Result<Answer, Denial> {
    let identity = node.log.identity();
    if identity.cluster == cluster && identity.forming == members {
        return Ok(Answer::Done);
    }
    let named = members.iter().any(|(_, p)| p.name == node.name && *p.address == *node.address);
    if identity.cluster != 0 || !named || members.len() != node.meeting.expected() {
        return Err(Denial::Refused(format!("{} is not one that forms this cluster", node.name)));
    }
    settle(node, cluster, members).await;
    Ok(Answer::Done)
}

async fn join(node: &Node, address: &str) {
    let me = introduction(node);
    let how = &node.meeting.how;
    let request = Request::Join(Join {
        store: me.store,
        name: me.name,
        address: me.address,
        api: node.api.clone(),
        region: node.region.to_string(),
        manager: how.manager,
        token: how.token.clone(),
    });
    match node.links.to(address, Class::Bulk).call(&request, JOIN).await {
        Ok(Answer::Joined { id, cluster }) if node.log.id() == 0 => {
            let identity = Identity { cluster, id, ..node.log.identity() };
            if let Err(e) = node.log.set_identity(identity).await {
                tracing::error!("region map: {e}");
            }
        }
        Ok(Answer::Denied(denial)) => {
            tracing::warn!("region map: {address} does not admit this node: {denial}")
        }
        Ok(_) => {}
        Err(e) => tracing::warn!("region map: {address}: {e}"),
    }
}

/// The lowest of the first members tells the others, then initializes Raft; again after a restart, until it is done.
pub(super) async fn finish(node: &Node) {
    let identity = node.log.identity();
    let Some(raft) = node.raft.get() else { return };
    if identity.forming.first().is_none_or(|(first, _)| *first != identity.id) {
        return;
    }
    let members: BTreeMap<u64, Peer> = identity.forming.iter().cloned().collect();
    let mut waiting: Vec<(u64, Peer)> =
        identity.forming.iter().filter(|(id, _)| *id != identity.id).cloned().collect();
    while !raft.is_initialized().await.unwrap_or(true) {
        let mut still = Vec::new();
        for (id, peer) in waiting {
            let request = Request::Form { cluster: identity.cluster, members: identity.forming.clone() };
            match node.links.to(&peer.address, Class::Protocol).call(&request, CALL).await {
                Ok(Answer::Done) => continue,
                Ok(Answer::Denied(denial)) => tracing::warn!("region map: {peer}: {denial}"),
                Ok(_) => {}
                Err(e) => tracing::debug!("region map: {peer}: {e}"),
            }
            still.push((id, peer));
        }
        waiting = still;
        if waiting.is_empty() {
            // Refused only when it has been done.
            let done = raft.initialize(members.clone()).await;
            tracing::info!("region map: the cluster is formed with {} members: {done:?}", members.len());
            return;
        }
        tokio::time::sleep(ROUND).await;
    }
}
