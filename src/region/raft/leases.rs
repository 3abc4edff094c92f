//! The leader's look at leases: it proposes the end of those whose time is over.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;

use super::node::Node;
use super::proposer;
use super::timing::after;
use crate::base::clock;
use crate::region::lease::Deadlines;
use crate::region::map::{Command, Proposal, Topic};

/// How often the leader looks whether leases were renewed, while there are any.
const TURN: Duration = Duration::from_millis(50);
/// Longest wait for a lease or another leader, in case one is missed.
const PATIENCE: Duration = Duration::from_secs(1);
/// In one entry.
const BATCH: usize = 256;

pub async fn run(node: Arc<Node>) {
    let mut deadlines = Deadlines::default();
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
        if state == ServerState::Leader {
            let over = deadlines.look(term, &map, clock::now_ns());
            end(&node, over).await;
        } else {
            deadlines.forget();
        }
        if deadlines.next().is_some() {
            tokio::time::sleep(TURN).await;
            continue;
        }
        let topics = [Topic::Leases];
        tokio::select! {
            changed = node.view.changed(&topics, map.index_of(&topics[0]), after(PATIENCE)) => if changed.is_err() {
                tokio::time::sleep(PATIENCE).await;
            },
            _ = server.changed() => {}
        }
    }
}

/// What is refused or lost is found to be over at the next look.
async fn end(node: &Node, over: Vec<Command>) {
    for batch in over.chunks(BATCH) {
        let at = proposer::now();
        let proposals = batch.iter().map(|command| Proposal { at, command: command.clone() }).collect();
        if let Err(e) = proposer::alone(node, Command::Batch(proposals)).await {
            return tracing::debug!("region map: leases whose time is over: {e}");
        }
    }
}
