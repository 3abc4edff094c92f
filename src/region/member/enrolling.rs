//! How a node comes into a cluster that has an authority of its own: by a token, which the leader looks at, and with a
//! certificate that it gets for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::super::map::{Command, Role};
use super::super::raft::connection::{Class, ConnectionError, Connections};
use super::super::raft::frame::{Answer, Denial, Enroll, MemberError, Request};
use super::super::raft::guest::Guest;
use super::super::raft::node::{Node, deny};
use super::super::raft::proposer;
use super::super::raft::timing::{after, over};
use super::super::store::Identity;
use super::authority::{AuthorityError, Holder, key_of_request};
use super::joining;
use super::keepers::{authority, may_keep, sealed, unsealed};
use super::pin::Pin;
use super::token::{Digest, Secret, Token, record_of};
use super::trust::{self, Trust};
use crate::base::clock::{self, Millis};

/// A cluster may take its time to admit one.
const ADMIT: Duration = Duration::from_secs(20);
/// Between two rounds of one that was not admitted.
const AGAIN: Duration = Duration::from_secs(3);
/// One whose token is wrong learns it after that time, and not many can ask at once: see `raft::server`.
const WRONG: Duration = Duration::from_secs(1);
/// Between two lines of the log about wrong tokens.
const QUIET_MS: Millis = 1000;

/// Takes a certificate that came from elsewhere.
pub(super) async fn take(
    trust: &Arc<Trust>,
    certificate: Bytes,
    id: u64,
    authority: Option<Digest>,
) -> Result<(), Denial> {
    let trust = trust.clone();
    let taken = tokio::task::spawn_blocking(move || trust.take(&certificate, id, authority)).await;
    match taken {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(Denial::Refused(e.to_string())),
        Err(e) => Err(Denial::Refused(e.to_string())),
    }
}

/// Someone wants to be a member.
pub(super) async fn admit(node: &Arc<Node>, guest: Guest, enroll: Enroll) -> Result<Answer, Denial> {
    let (name, address) = (enroll.join.name.clone(), enroll.join.address.clone());
    let until = after(node.timing.leaderless() * 2);
    let admitted = loop {
        let admitted = match node.leads() {
            true => admit_here(node, enroll.clone()).await,
            false => match joining::forward(node, &Request::Enroll(enroll.clone())).await {
                Ok(Answer::Denied(denial)) => Err(denial),
                other => other,
            },
        };
        // Whoever was asked waits for a leader that can do it; one that it was passed on to would only wait too.
        match admitted {
            Err(Denial::NotLeader(_) | Denial::Member(MemberError::Busy))
                if guest == Guest::Stranger && !over(until) =>
            {
                node.moment().await;
            }
            Err(Denial::NotLeader(_)) if guest == Guest::Stranger => {
                break Err(Denial::Refused("the cluster has no leader at the moment".into()));
            }
            admitted => break admitted,
        }
    };
    if let Err(denial) = &admitted
        && guest == Guest::Stranger
    {
        warn(&format!("region map: {name} at {address} was not admitted: {denial}"));
        if matches!(denial, Denial::Member(MemberError::Token)) {
            tokio::time::sleep(WRONG).await;
        }
    }
    admitted
}

/// Says it, unless something like it was said a moment ago.
fn warn(text: &str) {
    static LAST: Mutex<Option<Millis>> = Mutex::new(None);
    let now = clock::now_ms();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|at| now.saturating_sub(at) >= QUIET_MS) {
        *last = Some(now);
        tracing::warn!("{text}");
    }
}

async fn admit_here(node: &Arc<Node>, enroll: Enroll) -> Result<Answer, Denial> {
    // A new leader may not have seen yet that a token was rotated.
    if node.leased_index().is_none() {
        return Err(Denial::NotLeader(None));
    }
    let given = Secret::from_bytes(&enroll.secret).ok_or(MemberError::Token)?;
    // A leader that has just become one may not have the keys yet.
    if secret(node, Role::Worker).is_none() {
        return Err(MemberError::Busy.into());
    }
    let role = role_of(node, &given).ok_or(MemberError::Token)?;
    let authority = authority(node)?;
    let name = enroll.join.name.clone();
    let refused = |e: AuthorityError| Denial::Refused(e.to_string());
    let key = key_of_request(&enroll.request).map_err(refused)?;
    let (id, cluster) = joining::admit(node, enroll.join, role).await?;
    let issued = authority.issue(&enroll.request, Holder { id, name: &name }, clock::wall());
    let certificate = issued.map_err(refused)?;
    // One that asks again, because it did not hear the answer, is the same only with the same key.
    if Pin::of(&node.view.map(), id).is_some_and(|pin| pin.key != key) {
        return Err(Denial::Refused(format!("member {id} has another key")));
    }
    proposer::alone(node, Pin { key, signer: authority.digest() }.put(id)).await?;
    Ok(Answer::Enrolled { id, cluster, manager: role == Role::Manager, certificate })
}

/// The role that a secret gives; both are looked at, whichever it is.
fn role_of(node: &Node, given: &Secret) -> Option<Role> {
    let is = |role| secret(node, role).is_some_and(|secret| secret.is(given));
    match (is(Role::Manager), is(Role::Worker)) {
        (true, _) => Some(Role::Manager),
        (_, true) => Some(Role::Worker),
        _ => None,
    }
}

fn secret(node: &Node, role: Role) -> Option<Secret> {
    unsealed(node, record_of(role)).ok().and_then(|bytes| Secret::from_bytes(&bytes))
}

/// The join token of a role; `rotate`: a new one, after which the old one admits nobody.
pub async fn join_token(node: &Node, role: Role, rotate: bool) -> Result<Token, Denial> {
    let ca = authority(node)?.digest();
    let shows = node.trust.as_ref().and_then(|trust| trust.authority_digest());
    if shows != Some(ca) {
        // Whoever came with it now would not believe this node.
        return Err(Denial::Refused(
            "this node has no certificate of the cluster's CA yet: try again soon".into(),
        ));
    }
    if rotate {
        put_secret(node, role).await?;
    }
    let none = || Denial::Refused("the join tokens are not in the map yet".into());
    Ok(Token { ca, secret: secret(node, role).ok_or_else(none)? })
}

async fn put_secret(node: &Node, role: Role) -> Result<(), Denial> {
    let drawn = Secret::draw().ok_or_else(|| Denial::Refused("no source of randomness".into()))?;
    let value = sealed(node, record_of(role), drawn.bytes()).ok_or(MemberError::NoManager)?;
    proposer::ask(node, Command::SecretPut { name: record_of(role).into(), value }).await.map_err(deny)?;
    Ok(())
}

/// Asks the nodes of `retry-join` for admission. How long to wait until the next round.
pub(super) async fn seek(node: &Arc<Node>, token: &Token) -> Duration {
    match ask_all(node, token, &node.meeting.how.retry_join).await {
        Ok(_) => Duration::ZERO,
        Err(denial) => {
            // Once for each reason.
            if node.meeting.refused(&denial.to_string()) {
                tracing::warn!("region map: {denial}");
            }
            AGAIN
        }
    }
}

/// Asks one after the other until one admits this node. Whether it is a manager.
async fn ask_all(node: &Arc<Node>, token: &Token, addresses: &[String]) -> Result<bool, Denial> {
    let trust = node.trust.as_ref().ok_or(MemberError::NoAuthority)?;
    let dialer = trust::joining(token.ca).map_err(|e| Denial::Refused(e.to_string()))?;
    let connections = Connections::new(dialer);
    let mut why = Vec::new();
    for address in addresses.iter().filter(|address| **address != node.address) {
        let enroll = Enroll {
            join: joining::wish(node),
            secret: Bytes::copy_from_slice(token.secret.bytes()),
            request: trust.request(),
        };
        match connections.to(address, Class::Bulk).call(&Request::Enroll(enroll), ADMIT).await {
            Ok(Answer::Enrolled { id, cluster, manager, certificate }) => {
                take(trust, certificate, id, Some(token.ca)).await?;
                let identity = Identity { cluster, id, ..node.log.identity() };
                let kept = node.log.set_identity(identity).await;
                kept.map_err(|e| Denial::Refused(e.to_string()))?;
                node.meeting.settled();
                return Ok(manager);
            }
            Ok(Answer::Denied(denial)) => why.push(format!("{address} does not admit this node: {denial}")),
            Ok(_) => why.push(format!("{address}: an answer to something else")),
            Err(ConnectionError::Unreachable(e)) => why.push(format!("{address}: {e}")),
            Err(e) => why.push(format!("{address}: {e}")),
        }
    }
    Err(Denial::Refused(if why.is_empty() { "nobody to ask".into() } else { why.join("; ") }))
}

/// An operator makes this node, which waits for that, join a cluster. Whether it is a manager there.
pub async fn enter(node: &Arc<Node>, token: &Token, addresses: &[String]) -> Result<bool, Denial> {
    let _one_at_a_time = node.changing.lock().await;
    free(node)?;
    let manager = ask_all(node, token, addresses).await?;
    arrived(node).await?;
    Ok(manager)
}

pub(super) fn free(node: &Node) -> Result<(), Denial> {
    if node.log.id() != 0 {
        return Err(MemberError::Part.into());
    }
    if node.trust.is_none() {
        return Err(MemberError::NoAuthority.into());
    }
    match node.meeting.waits() {
        true => Ok(()),
        false => Err(Denial::Refused(
            "this node looks for its cluster by itself, as 'retry-join' and 'expect' of 'region-map' say"
                .into(),
        )),
    }
}

/// Waits until the cluster sees this node and it sees the cluster's authority.
pub(super) async fn arrived(node: &Node) -> Result<(), Denial> {
    let until = after(ADMIT);
    loop {
        let map = node.view.map();
        let tokens = [Role::Manager, Role::Worker].iter().all(|role| map.secret(record_of(*role)).is_some());
        let shows = node.trust.as_ref().is_some_and(|trust| !trust.wants(node.log.id(), clock::wall()));
        let first = !may_keep(node, node.log.id()) || authority(node).is_ok();
        if tokens && shows && first && map.member(node.log.id()).is_some() {
            return Ok(());
        }
        if over(until) {
            return Err(Denial::Timeout);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
