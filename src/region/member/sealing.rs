//! Keeps the cluster's secrets sealed under a key that its managers alone have: what [`keepers`](super::keepers) says,
//! step by step. Whatever stops half-way is gone on with by whoever leads next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::map::{Command, Proposal, Reply, Role};
use super::super::raft::frame::{Denial, MemberError};
use super::super::raft::node::{Node, deny};
use super::super::raft::proposer;
use super::authority::{self, Authority, CROSS, ROOTS};
use super::keepers::{self, Keepers};
use super::pin::Pin;
use super::ring;
use super::token::{Secret, digest_of, record_of};
use super::trust::Trust;
use crate::base::clock;

const EVERY: Duration = Duration::from_millis(200);
/// Authorities that are believed at once; older ones go first.
const BELIEVED: usize = 8;

pub(super) async fn run(node: &Arc<Node>) {
    let Some(trust) = &node.trust else { return };
    let mut told = (0, 0);
    loop {
        if let Err(e) = step(node, trust, &mut told).await {
            tracing::debug!("region map: secrets: {e}");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn step(node: &Arc<Node>, trust: &Arc<Trust>, told: &mut (u64, u64)) -> Result<(), Denial> {
    let map = node.view.map();
    believe(node, trust).await?;
    keepers::forget(node, trust).await?;
    if let Some(keepers) = Keepers::of(&map) {
        keepers::fetch(node, trust, &keepers, told).await?;
        hand_in(node, trust, &keepers).await?;
    }
    if node.leads_surely() {
        let _one_at_a_time = node.changing.lock().await;
        lead(node, trust).await?;
    }
    Ok(())
}

/// Believes whom the map says.
async fn believe(node: &Node, trust: &Arc<Trust>) -> Result<(), Denial> {
    let map = node.view.map();
    let Some(roots) = map.secret(ROOTS).cloned() else { return Ok(()) };
    let cross = map.secret(CROSS).cloned().unwrap_or_default();
    if trust.believes(&roots, &cross) {
        return Ok(());
    }
    let trust = trust.clone();
    let done = tokio::task::spawn_blocking(move || trust.believe(&roots, &cross)).await;
    done.map_err(|e| Denial::Refused(e.to_string()))?.map_err(|e| Denial::Refused(e.to_string()))
}

/// The one that formed the cluster puts its authority into the map, sealed, and then forgets its own copy.
async fn hand_in(node: &Node, trust: &Arc<Trust>, keepers: &Keepers) -> Result<(), Denial> {
    if !trust.has_unpublished() {
        return Ok(());
    }
    if keepers.number != 0 {
        trust.published();
        return Ok(());
    }
    let map = node.view.map();
    let there = map.secret(authority::RECORD).and_then(|sealed| ring::number_of(sealed));
    if there == Some(keepers.next) || node.leads() {
        return Ok(());
    }
    let Some(authority) = trust.unpublished().map_err(|e| Denial::Refused(e.to_string()))? else {
        return Ok(());
    };
    // Without the key: later.
    let Some(value) = trust.ring().seal(keepers.next, authority::RECORD, &authority.to_pem()) else {
        return Ok(());
    };
    let command = Command::SecretPut { name: authority::RECORD.into(), value };
    proposer::ask(node, command).await.map(drop).map_err(deny)
}

/// What the leader does, one step at a time.
async fn lead(node: &Node, trust: &Arc<Trust>) -> Result<(), Denial> {
    let metrics = node.metrics().ok_or(Denial::NoMember)?;
    let membership = metrics.membership_config.membership();
    if membership.get_joint_config().len() > 1 || node.leased_index().is_none() {
        return Ok(());
    }
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let map = node.view.map();
    let Some(keepers) = Keepers::of(&map) else {
        return begin(node, trust, Keepers::default(), &voters).await;
    };
    // Whom `force-new` left behind is a manager still, until an operator says otherwise.
    let is_none = |id: &u64| map.member(*id).is_none_or(|member| member.role == Role::Worker);
    if keepers.members.iter().any(|id| !voters.contains(id) && is_none(id)) {
        tracing::info!(
            "region map: a manager is none any more: the cluster gets other keys and another authority"
        );
        return begin(node, trust, keepers, &voters).await;
    }
    if keepers.next == keepers.number && !can_spare_others(node) && voters.iter().eq([&node.id()]) {
        tracing::info!("region map: nobody is left who has the cluster's secrets: it gets others");
        return begin(node, trust, keepers, &voters).await;
    }
    if voters.iter().any(|id| !keepers.members.contains(id)) {
        let members = voters.union(&keepers.members.iter().copied().collect()).copied().collect();
        return put(node, vec![Keepers { members, ..keepers }.put()]).await;
    }
    if keepers.next != keepers.number {
        if !trust.ring().has(keepers.next) {
            // Whoever drew it leads no more, and nothing lies under it.
            return begin(node, trust, keepers, &voters).await;
        }
        let holds = |id: &&u64| **id == node.id() || trust.ring().is_held(**id, keepers.next);
        return match voters.iter().filter(holds).count() > voters.len() / 2 {
            true => renew(node, trust, keepers, &voters).await,
            false => Ok(()),
        };
    }
    tidy(node, &keepers).await
}

/// Draws the next key and says so.
async fn begin(
    node: &Node,
    trust: &Arc<Trust>,
    keepers: Keepers,
    voters: &BTreeSet<u64>,
) -> Result<(), Denial> {
    // A leader that was deposed before this was agreed on drew one too: no later term draws its number again.
    let known = node.view.map().index().max(keepers.next).max(trust.ring().newest());
    let next = known.max(node.status().term << 32) + 1;
    keepers::draw(trust, next).await?;
    let members = voters.iter().copied().collect();
    put(node, vec![Keepers { members, next, ..keepers }.put()]).await
}

/// The cluster is to have another authority. To be called while the members do not change.
pub(super) async fn rotate(node: &Node) -> Result<(), Denial> {
    let trust = node.trust.as_ref().ok_or(MemberError::NoAuthority)?;
    let keepers = Keepers::of(&node.view.map()).filter(|keepers| keepers.number != 0);
    let keepers = keepers.ok_or(MemberError::Busy)?;
    if keepers.next != keepers.number {
        return Err(MemberError::Busy.into());
    }
    let voters = node.status().voters.into_iter().collect();
    begin(node, trust, keepers, &voters).await
}

/// Whether this node has the keys in use, so that it can do without another that has them.
pub(super) fn can_spare_others(node: &Node) -> bool {
    let Some(trust) = &node.trust else { return true };
    Keepers::of(&node.view.map()).is_none_or(|keepers| trust.ring().has(keepers.number))
}

/// Makes everything anew, under the next key.
async fn renew(
    node: &Node,
    trust: &Arc<Trust>,
    keepers: Keepers,
    voters: &BTreeSet<u64>,
) -> Result<(), Denial> {
    let refused = |e: &dyn std::fmt::Display| Denial::Refused(e.to_string());
    let (map, cluster, now) = (node.view.map(), node.log.identity().cluster, clock::wall());
    let first = keepers.number == 0;
    let alone = voters.iter().eq([&node.id()]);
    let old = match trust.unpublished().map_err(|e| refused(&e))? {
        Some(own) if first => Some(own),
        _ => keepers::authority(node).ok(),
    };
    let (authority, said) = match old {
        Some(old) if first => (old, None),
        None if !alone => return Err(Denial::Refused("the authority cannot be read here yet".into())),
        old => Authority::follow(cluster, now, old.as_ref()).map_err(|e| refused(&e))?,
    };
    let list = |name: &str| {
        let text = map.secret(name).cloned().unwrap_or_default();
        authority::from_pem(&text).map_err(|e| refused(&e))
    };
    let mut roots = vec![authority.certificate().clone()];
    roots.extend(list(ROOTS)?);
    roots.truncate(BELIEVED);
    let mut cross: Vec<_> = said.into_iter().collect();
    cross.extend(list(CROSS)?);
    cross.truncate(BELIEVED);
    let seal = |name: &str, text: &[u8]| {
        let value = trust.ring().seal(keepers.next, name, text);
        let value = value.ok_or_else(|| Denial::Refused("the next key is not here".into()))?;
        Ok::<Command, Denial>(Command::SecretPut { name: name.into(), value })
    };
    let plain = |name: &str, value: Bytes| Command::SecretPut { name: name.into(), value };
    let mut all = vec![seal(authority::RECORD, &authority.to_pem())?];
    all.push(plain(ROOTS, authority::to_pem(&roots)));
    all.push(plain(CROSS, authority::to_pem(&cross)));
    for role in [Role::Manager, Role::Worker] {
        let drawn = Secret::draw().ok_or_else(|| Denial::Refused("no source of randomness".into()))?;
        all.push(seal(record_of(role), drawn.bytes())?);
    }
    all.push(Keepers { number: keepers.next, ..keepers }.put());
    put(node, all).await?;
    if !first {
        tracing::info!("region map: the cluster has another authority, other join tokens and other keys");
    }
    Ok(())
}

/// What may be left behind: authorities that nobody needs any more, join tokens under an old key, keys of members that
/// are gone.
async fn tidy(node: &Node, keepers: &Keepers) -> Result<(), Denial> {
    let map = node.view.map();
    let mut changes = Pin::orphans(&map);
    let text = map.secret(ROOTS).cloned().unwrap_or_default();
    let roots = authority::from_pem(&text).map_err(|e| Denial::Refused(e.to_string()))?;
    if let [first, _, ..] = roots.as_slice() {
        let signer = digest_of(first);
        if map.members().all(|member| Pin::of(&map, member.id).is_some_and(|pin| pin.signer == signer)) {
            tracing::info!(
                "region map: every member has a certificate of the new authority: the old is believed no more"
            );
            let value = authority::to_pem(&roots[..1]);
            changes.push(Command::SecretPut { name: ROOTS.into(), value });
            changes.push(Command::SecretPut { name: CROSS.into(), value: Bytes::new() });
        }
    }
    for role in [Role::Manager, Role::Worker] {
        let name = record_of(role);
        if map.secret(name).and_then(|sealed| ring::number_of(sealed)) != Some(keepers.number)
            && let Some(drawn) = Secret::draw()
            && let Some(value) = keepers::sealed(node, name, drawn.bytes())
        {
            changes.push(Command::SecretPut { name: name.into(), value });
        }
    }
    match changes.is_empty() {
        true => Ok(()),
        false => put(node, changes).await,
    }
}

/// All of it in one entry.
async fn put(node: &Node, commands: Vec<Command>) -> Result<(), Denial> {
    let at = clock::wall().as_millis() as u64;
    let all = commands.into_iter().map(|command| Proposal { at, command }).collect();
    match proposer::alone(node, Command::Batch(all)).await?.1 {
        Reply::Refused(refusal) => Err(Denial::Refused(refusal.to_string())),
        _ => Ok(()),
    }
}
