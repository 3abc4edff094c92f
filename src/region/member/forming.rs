//! How a node without a cluster comes to one: alone, with those it is to expect, or by joining what stands.
//!
//! Nodes that expect N say hello to the addresses they know. Once the one with the lowest name sees N without a
//! cluster that all have met each other, it draws the cluster's id, gives the members their ids in the order of their
//! names, and tells them; each keeps that before it answers. Then it initializes Raft with exactly these. Whatever
//! stops half-way goes on from what was kept: no node ever takes part in two such formings.
//!
//! Where the cluster is to have an authority of its own, those who meet prove to each other that they know one secret
//! (`join-token`), and the one that forms the cluster makes the authority and gives each its certificate with the news.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::raft::connection::{Class, Connection};
use super::super::raft::frame::{Answer, Denial, Hello, MemberError, Request};
use super::super::raft::node::Node;
use super::super::raft::types::Peer;
use super::super::store::Identity;
use super::authority::{Authority, Holder};
use super::enrolling;
use super::joining::wish;
use super::meeting::Course;
use super::trust::TrustError;
use crate::base::clock;
use bytes::Bytes;

const ROUND: Duration = Duration::from_millis(200);
/// When there is nothing to do, or nothing that will be done soon.
const IDLE: Duration = Duration::from_secs(5);
/// Before a node whose name is taken asks again.
const REFUSED: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(2);
/// A cluster may take its time to admit one.
const JOIN: Duration = Duration::from_secs(20);

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
        request: node.trust.as_ref().map(|trust| trust.request()).unwrap_or_default(),
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
        let first = !std::mem::replace(&mut told, true);
        let how = &node.meeting.how;
        let pause = match how.course() {
            Course::Alone => {
                alone(node).await;
                ROUND
            }
            Course::Meet => {
                if first {
                    tracing::info!("region map: {} looks for its cluster at {:?}", node.name, how.retry_join);
                }
                meet(node).await
            }
            Course::Enroll(token) => enrolling::seek(node, token).await,
            Course::Wait => {
                if first {
                    tracing::warn!(
                        "region map: {} is of no cluster yet: 'isobar cluster init' makes one, 'isobar cluster join' \
                         or 'join-token' in 'region-map' joins one",
                        node.name
                    );
                }
                IDLE
            }
        };
        if node.log.id() == 0 {
            let _ = tokio::time::timeout(pause, node.meeting.settled.notified()).await;
        }
    }
}

/// Makes a cluster of this node alone.
async fn alone(node: &Node) {
    settle(node, uuid::Uuid::new_v4().as_u128(), vec![(1, peer(&introduction(node)))]).await;
}

/// An operator makes a cluster of this node, which waits for that.
pub async fn founded(node: &Arc<Node>) -> Result<(), Denial> {
    {
        let _one_at_a_time = node.changing.lock().await;
        enrolling::free(node)?;
        alone(node).await;
    }
    if node.log.id() == 0 {
        return Err(Denial::Refused("the cluster could not be made; the log says why".into()));
    }
    enrolling::arrived(node).await
}

/// Meets others, joins a cluster that one of them is of, or forms the first with them. How long to wait then.
async fn meet(node: &Node) -> Duration {
    let found = greet_all(node).await;
    match (found, node.trust.is_some()) {
        (Some(address), true) => {
            tracing::warn!(
                "region map: the cluster of {address} is formed already; to join it this node needs a join token \
                 ('isobar cluster join-token manager' there)"
            );
            return IDLE;
        }
        (Some(address), false) => return join(node, &address).await,
        (None, _) => {
            if let Some(members) = first_members(node) {
                settle(node, uuid::Uuid::new_v4().as_u128(), members).await;
            }
        }
    }
    ROUND
}

fn peer(hello: &Hello) -> Peer {
    Peer { name: hello.name.as_str().into(), address: hello.address.as_str().into() }
}

/// Says hello to every known address. An address of a member of a cluster, if there is one.
async fn greet_all(node: &Node) -> Option<String> {
    let connections = node.meeting.connections.as_ref()?;
    let known: Vec<String> = node.meeting.met().values().map(|h| h.address.clone()).collect();
    let addresses: BTreeSet<String> = node.meeting.how.retry_join.iter().cloned().chain(known).collect();
    let mut cluster = None;
    for address in addresses.into_iter().filter(|a| *a != node.address) {
        let request = Request::Hello(introduction(node));
        match connections.to(&address, Class::Protocol).call(&request, CALL).await {
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
        let who: BTreeSet<String> = all.iter().map(|h| format!("{} at {}", h.name, h.address)).collect();
        let why = format!("two nodes that look for a cluster bear one name: {who:?}");
        if node.meeting.refused(&why) {
            tracing::warn!("region map: {why}");
        }
        return None;
    }
    let acquainted =
        |h: &Hello| stores.iter().all(|s| *s == h.store || h.met.iter().any(|(met, _)| met == s));
    let agreed = all.len() == expected && all.iter().all(|h| h.expect as usize == expected && acquainted(h));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let lowest = all.first().is_some_and(|h| h.store == me.store);
    (agreed && lowest).then(|| (1..).zip(all.iter().map(peer)).collect())
}

/// This node forms the cluster: it makes its authority, if it is to have one, and keeps who is in it.
async fn settle(node: &Node, cluster: u128, members: Vec<(u64, Peer)>) {
    let Some((id, _)) = members.iter().find(|(_, peer)| peer.name == node.name) else { return };
    if let Some(trust) = node.trust.clone() {
        let (id, name) = (*id, node.name.clone());
        let made = tokio::task::spawn_blocking(move || {
            let authority = trust.found(cluster)?;
            trust.issue_own(&authority, id, &name)
        });
        if let Err(e) = made.await.unwrap_or_else(|e| Err(TrustError::Io(String::new(), e.into()))) {
            return tracing::error!("region map: {e}");
        }
    }
    keep(node, cluster, *id, members).await;
}

/// Keeps that this node is one of those who form the cluster.
async fn keep(node: &Node, cluster: u128, id: u64, members: Vec<(u64, Peer)>) {
    let identity = Identity { cluster, id, forming: members, ..node.log.identity() };
    if let Err(e) = node.log.set_identity(identity).await {
        tracing::error!("region map: {e}");
    }
    node.meeting.settled();
}

/// The one that forms the cluster says who is in it, and gives this node its certificate.
pub(super) async fn form(
    node: &Node,
    cluster: u128,
    members: Vec<(u64, Peer)>,
    certificate: Bytes,
) -> Result<Answer, Denial> {
    let identity = node.log.identity();
    if identity.cluster == cluster && identity.forming == members {
        return Ok(Answer::Done);
    }
    let named = members.iter().find(|(_, p)| p.name == node.name && *p.address == *node.address);
    let (0, Some((id, _)), true) = (identity.cluster, named, members.len() == node.meeting.expected()) else {
        return Err(Denial::Refused(format!("{} is not one that forms this cluster", node.name)));
    };
    let id = *id;
    if let Some(trust) = &node.trust {
        enrolling::take(trust, certificate, id, None).await?;
    }
    keep(node, cluster, id, members).await;
    Ok(Answer::Done)
}

/// Asks for admission. How long to wait until the next time.
async fn join(node: &Node, address: &str) -> Duration {
    let request = Request::Join(wish(node));
    match node.connections.to(address, Class::Bulk).call(&request, JOIN).await {
        Ok(Answer::Joined { id, cluster }) if node.log.id() == 0 => {
            let identity = Identity { cluster, id, ..node.log.identity() };
            if let Err(e) = node.log.set_identity(identity).await {
                tracing::error!("region map: {e}");
            }
        }
        Ok(Answer::Denied(denial)) => {
            let why = denial.to_string();
            // Once for each reason.
            if node.meeting.refused(&why) {
                tracing::warn!("region map: {address} does not admit this node: {why}");
            }
            if matches!(denial, Denial::Member(MemberError::NameOf { .. } | MemberError::NameOfDead { .. })) {
                return REFUSED;
            }
        }
        Ok(_) => {}
        Err(e) => tracing::warn!("region map: {address}: {e}"),
    }
    ROUND
}

/// The lowest of the first members tells the others, then initializes Raft; again after a restart, until it is done.
pub(super) async fn finish(node: &Node) {
    let identity = node.log.identity();
    let Some(raft) = node.raft.get() else { return };
    if identity.forming.first().is_none_or(|(first, _)| *first != identity.id) {
        return;
    }
    let authority = match node.trust.as_ref().map(|trust| trust.unpublished()) {
        Some(Ok(Some(authority))) => Some(authority),
        Some(Err(e)) => return tracing::error!("region map: {e}"),
        // It is in the map, which stands then.
        Some(Ok(None)) => return,
        None => None,
    };
    let members: BTreeMap<u64, Peer> = identity.forming.iter().cloned().collect();
    let mut waiting: Vec<(u64, Peer)> =
        identity.forming.iter().filter(|(id, _)| *id != identity.id).cloned().collect();
    while !raft.is_initialized().await.unwrap_or(true) {
        let mut still = Vec::new();
        for (id, peer) in waiting {
            let Some(connections) = &node.meeting.connections else { return };
            let connection = connections.to(&peer.address, Class::Protocol);
            let certificate = match &authority {
                Some(authority) => match certificate_for(node, &connection, authority, id, &peer).await {
                    Some(certificate) => certificate,
                    None => {
                        still.push((id, peer));
                        continue;
                    }
                },
                None => Bytes::new(),
            };
            let members = identity.forming.clone();
            let request = Request::Form { cluster: identity.cluster, members, certificate };
            match connection.call(&request, CALL).await {
                Ok(Answer::Done) => continue,
                Ok(Answer::Denied(denial)) => tracing::warn!("region map: {peer}: {denial}"),
                Ok(_) => {}
                Err(e) => tracing::debug!("region map: {peer}: {e}"),
            }
            still.push((id, peer));
        }
        waiting = still;
        if waiting.is_empty() {
            let names: Vec<&str> = members.values().map(|member| &*member.name).collect();
            match raft.initialize(members.clone()).await {
                Ok(()) => tracing::info!("region map: the cluster is formed of {}", names.join(", ")),
                // It has been done.
                Err(e) => tracing::debug!("region map: the cluster is formed already: {e}"),
            }
            return;
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// The certificate of one of the first members, for the key that it says it has. It is known to be one by its proof
/// ([`super::proof`]); that nobody gets another's, by its name.
async fn certificate_for(
    node: &Node,
    connection: &Connection,
    authority: &Authority,
    id: u64,
    peer: &Peer,
) -> Option<Bytes> {
    match connection.call(&Request::Hello(introduction(node)), CALL).await {
        Ok(Answer::Hello(other)) if *other.name == *peer.name => {
            let issued = authority.issue(&other.request, Holder { id, name: &peer.name }, clock::wall());
            issued.inspect_err(|e| tracing::warn!("region map: {peer}: {e}")).ok()
        }
        Ok(_) => None,
        Err(e) => {
            tracing::debug!("region map: {peer}: {e}");
            None
        }
    }
}
