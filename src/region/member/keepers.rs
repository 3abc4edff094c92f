//! Managers alone hold the cluster's secrets.
//!
//! The authority's key, the join tokens and the secrets of API tokens lie in the map, which every member has, so they
//! lie there sealed ([`ring`](super::ring)). Who holds the keys is said by a record of the map, [`Keepers`]; the keys
//! themselves never come near the log.
//!
//! 1. The leader draws a key, keeps it, and writes its number into the record as `next`.
//! 2. Each manager that the record names, and that votes, asks the leader for what it lacks, over a link on which both
//!    have shown a member's certificate, and says when its disk has it. Nobody else is ever told a key.
//! 3. Once a majority of the voters has the key, so that it outlives whoever dies, the leader makes everything anew in
//!    one entry: an authority, which the one before signs, join tokens, all sealed under the key; and it writes
//!    `number = next`. Members see who is believed now and get themselves a certificate of the new authority; once all
//!    have one the old is believed no more.
//!
//! That happens when the cluster is formed (with the authority that was made for that), when somebody whom the record
//! names is demoted or removed, and by `isobar cluster rotate-ca`. So whoever lost the vote knows nothing of what comes after,
//! and the authority that it could sign with is on its way out; meanwhile a certificate is worth nothing for another key
//! than the member's own, which the map knows ([`pin`](super::pin)). One who is to vote is written into the record before it may
//! ask. Who stands alone after `force-new` keeps all as it is; a worker, without the keys, founds an authority and draws join tokens: what only the
//! others could read is lost with them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::map::{Command, Map, Role};
use super::super::raft::connection::Class;
use super::super::raft::frame::{Answer, AskedKeys, Denial, MemberError, Request, Unsealed};
use super::super::raft::guest::Guest;
use super::super::raft::node::Node;
use super::authority::{self, Authority};
use super::credential::CredentialError;
use super::pin::is_itself;
use super::ring::{Keys, SealingKey};
use super::trust::Trust;

/// The name of the map's record.
const RECORD: &str = "keepers";
const CALL: Duration = Duration::from_secs(2);

/// Who may have the keys, and which one is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keepers {
    /// Members that may ask for the keys, as long as they vote.
    pub members: Vec<u64>,
    /// Of the key under which everything lies; 0 before there is any.
    pub number: u64,
    /// Of the key under which everything is to lie; the same unless it is to be changed.
    pub next: u64,
}

impl Keepers {
    pub(super) fn of(map: &Map) -> Option<Keepers> {
        postcard::from_bytes(map.secret(RECORD)?).ok()
    }

    pub(super) fn put(&self) -> Command {
        let value = postcard::to_stdvec(self).unwrap_or_default();
        Command::SecretPut { name: RECORD.into(), value: value.into() }
    }
}

/// Whether a member may know the keys.
pub(super) fn may_keep(node: &Node, id: u64) -> bool {
    let named = Keepers::of(&node.view.map()).is_some_and(|keepers| keepers.members.contains(&id));
    named && node.votes(id)
}

/// A manager asks for keys, and says which it has.
pub(super) fn hand_out(node: &Node, guest: Guest, asked: AskedKeys) -> Result<Answer, Denial> {
    let (Some(trust), Some(id)) = (&node.trust, guest.member()) else {
        return Err(MemberError::NoManager.into());
    };
    if !may_keep(node, id) || !is_itself(&node.view.map(), guest) {
        return Err(MemberError::NoManager.into());
    }
    trust.ring().held(id, asked.holds);
    Ok(Answer::Keys(trust.ring().above(asked.above)))
}

/// Gets the keys that this node lacks and may have, and tells the leader of those that it has. `told`: what it told
/// whom last.
pub(super) async fn fetch(
    node: &Node,
    trust: &Arc<Trust>,
    keepers: &Keepers,
    told: &mut (u64, u64),
) -> Result<(), Denial> {
    let (ring, me) = (trust.ring(), node.id());
    if !may_keep(node, me) {
        return Ok(());
    }
    let leader = node.supposed_leader().map_or(0, |(id, _)| id);
    let lacks = keepers.number != 0 && !ring.has(keepers.number);
    if lacks {
        let others = keepers.members.iter().filter(|id| **id != leader);
        for id in std::iter::once(&leader).chain(others).filter(|id| **id != me && **id != 0) {
            if ask(node, trust, *id, 0).await.is_ok() && ring.has(keepers.number) {
                break;
            }
        }
    }
    let news = ring.newest() < keepers.next || *told != (leader, keepers.next);
    if leader != 0 && leader != me && news {
        ask(node, trust, leader, ring.newest()).await?;
        // What it holds now is said with the next question.
        if ring.newest() >= keepers.next {
            ask(node, trust, leader, ring.newest()).await?;
            *told = (leader, keepers.next);
        }
    }
    Ok(())
}

async fn ask(node: &Node, trust: &Arc<Trust>, id: u64, above: u64) -> Result<(), Denial> {
    let address = node.view.map().member(id).map(|member| member.address.clone());
    let address = address.ok_or(MemberError::Unknown(id))?;
    let asked = Request::Keys(AskedKeys { above, holds: trust.ring().newest() });
    match node.connections.to(&address, Class::Bulk).call(&asked, CALL).await {
        Ok(Answer::Keys(keys)) if keys.is_empty() => Ok(()),
        Ok(Answer::Keys(keys)) => add(trust, keys).await,
        Ok(Answer::Denied(denial)) => Err(denial),
        Ok(_) => Err(Denial::Refused("an answer to something else".into())),
        Err(e) => Err(Denial::Refused(e.to_string())),
    }
}

async fn add(trust: &Arc<Trust>, keys: Keys) -> Result<(), Denial> {
    let trust = trust.clone();
    blocking(move || trust.ring().add(keys)).await
}

/// Draws the key of a number, and keeps it.
pub(super) async fn draw(trust: &Arc<Trust>, number: u64) -> Result<(), Denial> {
    let key = SealingKey::draw().ok_or_else(|| Denial::Refused("no source of randomness".into()))?;
    add(trust, Keys::from([(number, key)])).await
}

/// Forgets the keys, once this node may have them no more. It must be sure: one that starts knows little at first.
pub(super) async fn forget(node: &Node, trust: &Arc<Trust>) -> Result<(), Denial> {
    let (id, map, voters) = (node.id(), node.view.map(), node.status().voters);
    let is_worker = map.member(id).is_some_and(|member| member.role == Role::Worker);
    let is_named = Keepers::of(&map).is_none_or(|keepers| keepers.members.contains(&id));
    if trust.ring().newest() == 0 || !is_worker || is_named || voters.is_empty() || voters.contains(&id) {
        return Ok(());
    }
    let trust = trust.clone();
    if blocking(move || trust.ring().forget()).await? {
        tracing::info!(
            "region map: this node is no manager: it has forgotten the keys of the cluster's secrets"
        );
    }
    Ok(())
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CredentialError> + Send + 'static,
) -> Result<T, Denial> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| Denial::Refused(e.to_string()))?;
    done.map_err(|e| Denial::Refused(e.to_string()))
}

/// The number of the key under which the cluster's secrets lie; `None` while that is about to change, or there is none.
pub fn in_use(node: &Node) -> Option<u64> {
    let keepers = Keepers::of(&node.view.map())?;
    (keepers.number != 0 && keepers.number == keepers.next).then_some(keepers.number)
}

/// A secret of the map in the clear.
pub(super) fn unsealed(node: &Node, name: &str) -> Result<Bytes, Denial> {
    let trust = node.trust.as_ref().ok_or(MemberError::NoAuthority)?;
    let map = node.view.map();
    let none = || Denial::Refused(format!("the cluster's {name} is not in its map yet"));
    let sealed = map.secret(name).ok_or_else(none)?;
    trust.ring().unseal(name, sealed).ok_or(Denial::Member(MemberError::NoManager))
}

/// The cluster's authority, as the map has it.
pub(super) fn authority(node: &Node) -> Result<Authority, Denial> {
    Authority::from_pem(&unsealed(node, authority::RECORD)?).map_err(|e| Denial::Refused(e.to_string()))
}

/// A secret as it is to lie in the map. `None` where this node has not the keys.
pub(super) fn sealed(node: &Node, name: &str, text: &[u8]) -> Option<Bytes> {
    let keepers = Keepers::of(&node.view.map())?;
    node.trust.as_ref()?.ring().seal(keepers.number, name, text)
}

/// Seals something, here or by the leader. `None` where the cluster has no authority of its own: it has no keys then.
pub async fn seal(node: &Node, name: &str, text: Bytes) -> Result<Option<Bytes>, Denial> {
    if node.trust.is_none() {
        return Ok(None);
    }
    if let Some(sealed) = sealed(node, name, &text) {
        return Ok(Some(sealed));
    }
    let leader = node.supposed_leader().filter(|(id, _)| *id != node.id());
    let (_, peer) = leader.ok_or(Denial::NotLeader(None))?;
    let request = Request::Seal(Unsealed { name: name.into(), text });
    match node.connections.to(&peer.address, Class::Bulk).call(&request, CALL).await {
        Ok(Answer::Sealed(sealed)) => Ok(Some(sealed)),
        Ok(Answer::Denied(denial)) => Err(denial),
        Ok(_) => Err(Denial::Refused("an answer to something else".into())),
        Err(e) => Err(Denial::Refused(e.to_string())),
    }
}

/// A member without the keys has something sealed.
pub(super) fn seal_for(node: &Node, what: &Unsealed) -> Result<Answer, Denial> {
    sealed(node, &what.name, &what.text).map(Answer::Sealed).ok_or(MemberError::NoManager.into())
}

/// What was sealed under that name, if this node has the key.
pub fn unseal(node: &Node, name: &str, sealed: &[u8]) -> Option<Bytes> {
    node.trust.as_ref()?.ring().unseal(name, sealed)
}
