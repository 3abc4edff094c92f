//! The leader's look at sessions and checks: it proposes the end of those whose time is over, and hears of renewals.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use openraft::ServerState;

use super::connection::{Class, ConnectionError};
use super::frame::{Answer, Denial, Request};
use super::node::{Node, denied};
use super::timing::{after, over};
use super::{proposer, renewals};
use crate::base::clock;
use crate::region::expiry::Renewal;
use crate::region::map::{Command, Name, Proposal, Topic};
use crate::region::seat::SeatError;

/// Longest wait for a change of the sessions or another leader; checks of the dead are looked at as often.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks, however much changes.
const TURN: Duration = Duration::from_millis(50);
/// In one entry.
const BATCH: usize = 256;

pub async fn run(node: Arc<Node>) {
    loop {
        let Some(raft) = node.raft.get() else {
            tokio::time::sleep(TURN).await;
            continue;
        };
        // From before the look, so that no change of leaders is missed: a new one counts from when it leads.
        let mut server = raft.server_metrics();
        let (state, term) = {
            let metrics = server.borrow_and_update();
            (metrics.state, metrics.vote.leader_id.term)
        };
        let map = node.view.map();
        let mut wait = PATIENCE;
        // Only with an entry of its own term applied does a leader know the sessions there are.
        if state == ServerState::Leader && node.leased_index().is_some() {
            renewals::take_over(&node, term).await;
            let map = node.view.map();
            let now = clock::now_ns();
            let (ended, next) = {
                let mut expiry = node.expiry.lock().unwrap_or_else(PoisonError::into_inner);
                match expiry.leads(term) {
                    true => {
                        let ended = expiry.look(term, &map, now);
                        node.keeper.put_down(&mut expiry);
                        (ended, expiry.next())
                    }
                    // Another is to lead.
                    false => (Vec::new(), None),
                }
            };
            end(&node, ended).await;
            let next = next.map(|at| Duration::from_nanos(at.saturating_sub(now)));
            wait = next.map_or(wait, |next| next.clamp(TURN, PATIENCE));
        } else if state != ServerState::Leader {
            node.expiry.lock().unwrap_or_else(PoisonError::into_inner).forget();
        } else {
            wait = TURN;
        }
        tokio::time::sleep(TURN).await;
        let topics = [Topic::Sessions];
        tokio::select! {
            changed = node.view.changed(&topics, map.index_of(&topics[0]), after(wait)) => if changed.is_err() {
                tokio::time::sleep(PATIENCE).await;
            },
            _ = server.changed() => {}
        }
    }
}

/// What is refused or lost is found to be over at the next look. Only the leader may say it: what one that no longer
/// leads found is of no account.
async fn end(node: &Node, over: Vec<Command>) {
    for batch in over.chunks(BATCH) {
        let at = proposer::now();
        let proposals = batch.iter().map(|command| Proposal { at, command: command.clone() }).collect();
        if let Err(e) = proposer::alone(node, Command::Batch(proposals)).await {
            return tracing::debug!("region map: sessions whose time is over: {e}");
        }
    }
}

/// Starts the time of a session again, as the leader. False when there is no such session any more. Returns once
/// a quorum knows it: whoever leads next does, too.
pub async fn renew_here(node: &Node, session: &Name) -> Result<bool, Denial> {
    if node.leased_index().is_none() {
        return Err(Denial::NotLeader(None));
    }
    let term = node.metrics().ok_or(Denial::NoMember)?.vote.leader_id.term;
    let renewal = {
        let mut expiry = node.expiry.lock().unwrap_or_else(PoisonError::into_inner);
        if !expiry.leads(term) {
            return Err(Denial::NotLeader(None));
        }
        let renewal = expiry.renew(&node.view.map(), session, clock::now_ns());
        node.keeper.put_down(&mut expiry);
        renewal
    };
    match renewal {
        Renewal::Gone => Ok(false),
        Renewal::Change(seq) => match node.told.known(term, seq, node.timing.lease() / 2).await {
            true => Ok(true),
            false => Err(Denial::NotLeader(None)),
        },
    }
}

/// The same, wherever the leader is.
pub async fn renew(node: &Node, session: &Name) -> Result<bool, SeatError> {
    let until = after(node.timing.leaderless());
    let within = Duration::from_millis(node.timing.heartbeat_ms * 4);
    loop {
        let renewed = match node.supposed_leader() {
            Some((id, _)) if id == node.id() => renew_here(node, session).await,
            Some((_, peer)) => {
                let request = Request::Renew { session: session.clone() };
                match node.connections.to(&peer.address, Class::Protocol).call(&request, within).await {
                    Ok(Answer::Renewed(renewed)) => Ok(renewed),
                    Ok(Answer::Denied(denial)) => Err(denial),
                    Ok(_) => Err(Denial::Refused("an answer to something else".into())),
                    // A renewal that came twice is one.
                    Err(ConnectionError::TooLarge(_)) => Err(Denial::TooLarge),
                    Err(_) => Err(Denial::NotLeader(None)),
                }
            }
            None => Err(Denial::NotLeader(None)),
        };
        match renewed {
            Ok(renewed) => return Ok(renewed),
            Err(Denial::NotLeader(_) | Denial::NoMember | Denial::Timeout) if !over(until) => {
                node.moment().await;
            }
            Err(denial) => return Err(denied(denial)),
        }
    }
}
