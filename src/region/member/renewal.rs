//! Keeps this member's certificate fresh, and of the authority that the cluster has now: managers sign their own, others
//! ask the leader, who knows a member by its key.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::map::Map;
use super::super::raft::connection::{Class, Connections};
use super::super::raft::frame::{Answer, Denial, MemberError, Request};
use super::super::raft::guest::Guest;
use super::super::raft::node::{Node, deny};
use super::super::raft::proposer;
use super::authority::{Holder, ROOTS, key_of_request};
use super::joining;
use super::keepers::{authority, may_keep};
use super::pin::Pin;
use super::trust::{self, Trust};
use crate::base::clock;

/// Between two looks at the certificate.
const EVERY: Duration = Duration::from_millis(200);
const CALL: Duration = Duration::from_secs(5);
/// Looks without an authority after which that is said.
const PATIENCE: u32 = 50;

pub(super) async fn run(node: &Arc<Node>) {
    let Some(trust) = &node.trust else { return };
    let mut looks = 0;
    loop {
        looks += 1;
        let seen = node.view.map().secret(ROOTS).is_some();
        if looks == PATIENCE && !seen && !trust.holds(clock::wall()) {
            tracing::warn!(
                "region map: the cluster that this node is of has no CA of its own that it could see: if it was formed \
                 without one, its nodes need 'crt' and 'ca-file' after 'ssl', or 'insecure'"
            );
        }
        if let Err(e) = renew(node, trust).await {
            tracing::debug!("region map: certificates: {e}");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Gets this member its next certificate when it is time, and has the map know it.
async fn renew(node: &Arc<Node>, trust: &Arc<Trust>) -> Result<(), Denial> {
    let id = node.id();
    if trust.wants(id, clock::wall()) {
        let certificate = match may_keep(node, id).then(|| authority(node)) {
            Some(Ok(authority)) => {
                let holder = Holder { id, name: &node.name };
                let issued = authority.issue(&trust.request(), holder, clock::wall());
                issued.map_err(|e| Denial::Refused(e.to_string()))?
            }
            _ => ask(node, trust, id).await?,
        };
        let taker = trust.clone();
        let taken = tokio::task::spawn_blocking(move || taker.take_believed(&certificate, id)).await;
        let refused = |e: &dyn std::fmt::Display| Denial::Refused(e.to_string());
        taken.map_err(|e| refused(&e))?.map_err(|e| refused(&e))?;
        tracing::info!("region map: this member has a new certificate");
    }
    // Of others the leader says so when it signs.
    match trust.pin() {
        Some(pin) if may_keep(node, id) && Pin::of(&node.view.map(), id) != Some(pin) => {
            proposer::ask(node, pin.put(id)).await.map(drop).map_err(deny)
        }
        _ => Ok(()),
    }
}

/// Asks the leader, or as one whose certificate is worth nothing any more, everybody.
async fn ask(node: &Arc<Node>, trust: &Arc<Trust>, id: u64) -> Result<Bytes, Denial> {
    let request = Request::Certify { id, request: trust.request() };
    let answered = |answer| match answer {
        Ok(Answer::Certified(certificate)) => Ok(certificate),
        Ok(Answer::Denied(denial)) => Err(denial),
        Ok(_) => Err(Denial::Refused("an answer to something else".into())),
        Err(denial) => Err(denial),
    };
    if trust.holds(clock::wall())
        && let Ok(certificate) = answered(joining::forward(node, &request).await)
    {
        return Ok(certificate);
    }
    let mut why = Denial::NotLeader(None);
    let addresses = others(&node.view.map(), id);
    for root in trust.roots() {
        let dialer = trust::joining(root).map_err(|e| Denial::Refused(e.to_string()))?;
        let connections = Connections::new(dialer);
        for address in &addresses {
            let answer = connections.to(address, Class::Bulk).call(&request, CALL).await;
            match answered(answer.map_err(|e| Denial::Refused(e.to_string()))) {
                Ok(certificate) => return Ok(certificate),
                Err(denial) => why = denial,
            }
        }
    }
    Err(why)
}

fn others(map: &Map, id: u64) -> Vec<String> {
    map.members().filter(|member| member.id != id).map(|member| member.address.to_string()).collect()
}

/// A member asks for its next certificate. Its request is signed with its key, which the map knows, so that whoever
/// repeats it gets a certificate for a key that it has not.
pub(super) async fn certify(
    node: &Arc<Node>,
    guest: Guest,
    id: u64,
    request: Bytes,
) -> Result<Answer, Denial> {
    if !node.leads_surely() {
        // A member asks again; only for a stranger it is passed on, and once.
        return match guest {
            Guest::Stranger => joining::forward(node, &Request::Certify { id, request }).await,
            _ => Err(Denial::NotLeader(None)),
        };
    }
    let map = node.view.map();
    let member = map.member(id).ok_or(MemberError::Unknown(id))?;
    let refused = |e: &dyn std::fmt::Display| Denial::Refused(e.to_string());
    let key = key_of_request(&request).map_err(|e| refused(&e))?;
    let known = match (Pin::of(&map, id), guest) {
        (Some(pin), _) => pin.key == key,
        (None, Guest::Member(of, shown)) => of == id && shown == key,
        (None, _) => false,
    };
    if !known {
        return Err(Denial::Refused(format!("member {id} has another key")));
    }
    let authority = authority(node)?;
    let holder = Holder { id, name: &member.name };
    let certificate = authority.issue(&request, holder, clock::wall()).map_err(|e| refused(&e))?;
    let pin = Pin { key, signer: authority.digest() };
    if Pin::of(&map, id) != Some(pin) {
        proposer::alone(node, pin.put(id)).await?;
    }
    Ok(Answer::Certified(certificate))
}
