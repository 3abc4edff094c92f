//! Fresh reads: what index a read must wait for. Reads that come together ask once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::connection::Class;
use super::frame::{Answer, Denial, Request};
use super::node::{Node, Reader};
use super::timing::{after, over};
use crate::region::map::Index;
use crate::region::seat::SeatError;

/// Reads that wait for the next round.
pub const QUEUE: usize = 16_384;

/// One round after another, each for all who came before it began.
pub async fn run(node: Arc<Node>, mut readers: mpsc::Receiver<Reader>, consistent: bool) {
    let mut waiting = Vec::new();
    while readers.recv_many(&mut waiting, QUEUE).await > 0 {
        let index = round(&node, consistent).await;
        for reader in waiting.drain(..) {
            let _ = reader.send(index.clone());
        }
    }
}

async fn round(node: &Node, consistent: bool) -> Result<Index, SeatError> {
    let patience = after(node.timing.leaderless());
    loop {
        let index = match node.supposed_leader() {
            Some((id, _)) if id == node.id() => local(node, consistent).await,
            Some((_, peer)) => remote(node, &peer.address, consistent).await,
            None => Err(Denial::NotLeader(None)),
        };
        match index {
            Ok(index) => return Ok(index),
            Err(Denial::Shutdown) => return Err(SeatError::Shutdown),
            Err(_) if over(patience) => return Err(SeatError::NoLeader),
            Err(_) => node.moment().await,
        }
    }
}

/// The leader's answer: one past the last entry that a read must have seen.
pub async fn local(node: &Node, consistent: bool) -> Result<Index, Denial> {
    if !consistent && let Some(index) = node.leased_index() {
        return Ok(index);
    }
    match node.raft()?.get_read_log_id().await {
        Ok((read, _)) => Ok(read.map_or(0, |id| id.index + 1)),
        Err(openraft::error::RaftError::Fatal(_)) => Err(Denial::Shutdown),
        Err(_) => Err(Denial::NotLeader(None)),
    }
}

async fn remote(node: &Node, address: &str, consistent: bool) -> Result<Index, Denial> {
    let within = Duration::from_millis(node.timing.heartbeat_ms * 4);
    match node.connections.to(address, Class::Protocol).call(&Request::ReadIndex { consistent }, within).await
    {
        Ok(Answer::ReadIndex(index)) => Ok(index),
        Ok(Answer::Denied(denial)) => Err(denial),
        Ok(_) | Err(_) => Err(Denial::Timeout),
    }
}
