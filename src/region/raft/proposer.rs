//! Proposals: those that come together share an entry, and go to whoever leads.

use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::connection::{Class, ConnectionError};
use super::frame::{Answer, Denial, Request};
use super::node::{Ask, Node, denied};
use super::timing::{after, over};
use crate::base::clock;
use crate::region::map::{Command, Index, Proposal, Reply, WallMs};
use crate::region::seat::SeatError;

/// Proposals that wait for their turn.
pub const QUEUE: usize = 8192;
/// Proposals in one entry.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
/// Entries on their way at once: while these are, what comes gathers.
const IN_FLIGHT: usize = 4;
/// No proposal is larger.
pub const PROPOSAL_BYTES: usize = 8 << 20;

pub fn now() -> WallMs {
    clock::wall().as_millis() as WallMs
}

/// Sends batch after batch, until nobody can propose any more.
pub async fn run(node: Arc<Node>, mut asks: mpsc::Receiver<Ask>) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut next = None;
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let first = match next.take() {
            Some(ask) => ask,
            None => match asks.recv().await {
                Some(ask) => ask,
                None => return,
            },
        };
        let mut batch = vec![first];
        let mut bytes = batch[0].bytes;
        while batch.len() < BATCH
            && let Ok(ask) = asks.try_recv()
        {
            if bytes + ask.bytes > BATCH_BYTES {
                next = Some(ask);
                break;
            }
            bytes += ask.bytes;
            batch.push(ask);
        }
        let node = node.clone();
        tokio::spawn(async move {
            settle(&node, batch).await;
            drop(permit);
        });
    }
}

/// Proposes a batch and tells each what became of it.
async fn settle(node: &Node, batch: Vec<Ask>) {
    let (mut proposals, mut waiting) = (Vec::new(), Vec::new());
    for ask in batch {
        // Nobody waits for it any more, and it was not sent: it need not happen.
        if !ask.done.is_closed() {
            proposals.push(ask.proposal);
            waiting.push(ask.done);
        }
    }
    if proposals.is_empty() {
        return;
    }
    match propose(node, proposals).await {
        Ok((replies, index)) => {
            let mut replies = replies.into_iter();
            for done in waiting {
                let reply = replies.next().unwrap_or(Reply::Done { index });
                let _ = done.send(Ok((reply, index)));
            }
        }
        Err(e) => waiting.into_iter().for_each(|done| drop(done.send(Err(e.clone())))),
    }
}

/// Why an attempt came to nothing.
enum Failed {
    /// It did not happen: another leader may take it.
    NotYet,
    Final(SeatError),
}

async fn propose(node: &Node, proposals: Vec<Proposal>) -> Result<(Vec<Reply>, Index), SeatError> {
    let (until, patience) = (after(node.timing.request()), after(node.timing.leaderless()));
    let mut forward = Request::Forward(proposals);
    loop {
        let attempt = match node.supposed_leader() {
            Some((id, _)) if id == node.id() => match &forward {
                Request::Forward(proposals) => here(node, proposals, until).await,
                _ => Err(Failed::NotYet),
            },
            Some((_, peer)) => {
                let (attempt, back) = there(node, &peer.address, forward, until).await;
                forward = back;
                attempt
            }
            None => Err(Failed::NotYet),
        };
        match attempt {
            Ok((replies, index)) => {
                match node.applied_if_well(index + 1, until).await {
                    // It is done, and nobody reads it here as long as this disk does not work.
                    Ok(()) | Err(SeatError::Disk(_)) => return Ok((replies, index)),
                    Err(e) => return Err(e),
                }
            }
            Err(Failed::Final(e)) => return Err(e),
            Err(Failed::NotYet) if over(patience) => return node.well().and(Err(SeatError::NoLeader)),
            Err(Failed::NotYet) => node.moment().await,
        }
    }
}

type Attempt = Result<(Vec<Reply>, Index), Failed>;

/// Proposes as the leader.
async fn here(node: &Node, proposals: &[Proposal], until: Instant) -> Attempt {
    // A leader that hears no quorum would only keep its clients waiting; one whose disk does not work hands over, and
    // whoever leads next takes it.
    if !node.leads_surely() || node.trouble().is_some() {
        return Err(Failed::NotYet);
    }
    let alone = proposals.len() == 1;
    let proposal = match proposals {
        [only] => only.clone(),
        many => Proposal { at: now(), command: Command::Batch(many.to_vec()) },
    };
    let (index, reply) = write(node, proposal, until).await?;
    match reply {
        Reply::Batch(replies) if !alone => Ok((replies, index)),
        reply => Ok((vec![reply], index)),
    }
}

async fn write(node: &Node, proposal: Proposal, until: Instant) -> Result<(Index, Reply), Failed> {
    let raft = node.raft().map_err(|_| Failed::NotYet)?;
    match tokio::time::timeout_at(until, raft.client_write(Arc::new(proposal))).await {
        Ok(Ok(done)) => Ok((done.log_id.index, done.data)),
        // Also said of an entry that a new leader cut off here, which another node may still hold and commit.
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
            Err(Failed::Final(SeatError::Timeout))
        }
        Ok(Err(RaftError::APIError(e))) => Err(Failed::Final(SeatError::Full(e.to_string()))),
        Ok(Err(RaftError::Fatal(_))) => Err(Failed::Final(SeatError::Shutdown)),
        Err(_) => Err(Failed::Final(SeatError::Timeout)),
    }
}

/// Proposes a command, wherever the leader is.
pub async fn ask(node: &Node, command: Command) -> Result<Reply, SeatError> {
    let proposal = Proposal { at: now(), command };
    let bytes = size_of_proposal(&proposal).map_err(denied)?;
    let (done, wait) = tokio::sync::oneshot::channel();
    let ask = Ask { proposal, bytes, done };
    let sent = tokio::time::timeout(node.timing.request(), node.asks.send(ask)).await;
    // Not taken in all that time: nothing was sent.
    let sent = sent.map_err(|_| SeatError::Full("too many proposals wait".into()))?;
    sent.map_err(|_| SeatError::Shutdown)?;
    wait.await.map_err(|_| SeatError::Shutdown)?.map(|(reply, _)| reply)
}

/// Proposes one command of its own, as the leader and in an entry of its own.
pub async fn alone(node: &Node, command: Command) -> Result<(Index, Reply), Denial> {
    if !node.leads_surely() {
        return Err(Denial::NotLeader(None));
    }
    let until = after(node.timing.request());
    match write(node, Proposal { at: now(), command }, until).await {
        Ok(done) => Ok(done),
        Err(Failed::NotYet) => Err(Denial::NotLeader(None)),
        Err(Failed::Final(e)) => Err(super::node::deny(e)),
    }
}

/// Sends proposals to the leader; gives the request back.
async fn there(node: &Node, address: &str, forward: Request, until: Instant) -> (Attempt, Request) {
    let within = until.saturating_duration_since(after(Duration::ZERO)).max(Duration::from_millis(1));
    let answer = node.connections.to(address, Class::Bulk).call(&forward, within).await;
    let attempt = match answer {
        Ok(Answer::Forwarded(replies, index)) => Ok((replies, index)),
        Ok(Answer::Denied(Denial::NotLeader(_) | Denial::NoMember)) => Err(Failed::NotYet),
        Ok(Answer::Denied(denial)) => Err(Failed::Final(denied(denial))),
        Ok(_) => Err(Failed::Final(SeatError::Timeout)),
        Err(ConnectionError::Unreachable(_)) => Err(Failed::NotYet),
        Err(ConnectionError::TooLarge(_)) => Err(Failed::Final(SeatError::TooLarge)),
        // It may have arrived: to send it again could do it twice.
        Err(ConnectionError::Lost | ConnectionError::Timeout) => Err(Failed::Final(SeatError::Timeout)),
    };
    (attempt, forward)
}

/// The leader's side of a forward: its proposals join those made here.
pub async fn forwarded(node: &Node, proposals: Vec<Proposal>) -> Result<(Vec<Reply>, Index), Denial> {
    if !node.leads() {
        return Err(Denial::NotLeader(node.supposed_leader().map(|(_, peer)| peer)));
    }
    let mut waiting = Vec::with_capacity(proposals.len());
    for proposal in proposals {
        let bytes = size_of_proposal(&proposal)?;
        let (done, wait) = tokio::sync::oneshot::channel();
        let ask = Ask { proposal, bytes, done };
        node.asks.send(ask).await.map_err(|_| Denial::Shutdown)?;
        waiting.push(wait);
    }
    let (mut replies, mut last) = (Vec::with_capacity(waiting.len()), 0);
    let (mut denied, asked) = (Vec::new(), waiting.len());
    for wait in waiting {
        match wait.await.map_err(|_| Denial::Shutdown)? {
            Ok((reply, index)) => {
                replies.push(reply);
                last = last.max(index);
            }
            Err(e) => denied.push(super::node::deny(e)),
        }
    }
    match denied.pop() {
        None => Ok((replies, last)),
        // Whoever forwarded them sends all of them to the next leader when it hears that nothing happened.
        Some(Denial::NotLeader(_))
            if denied.len() + 1 < asked || denied.iter().any(|d| !matches!(d, Denial::NotLeader(_))) =>
        {
            Err(Denial::Timeout)
        }
        Some(denial) => Err(denial),
    }
}

pub fn size_of_proposal(proposal: &Proposal) -> Result<usize, Denial> {
    match postcard::experimental::serialized_size(proposal) {
        Ok(bytes) if bytes <= PROPOSAL_BYTES => Ok(bytes),
        _ => Err(Denial::TooLarge),
    }
}
