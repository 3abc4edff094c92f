//! A member whose disk does not work: it is as good as dead for the log, and is to say so rather than keep others waiting.
//!
//! A leader hands over; any member tells the leader, by which its node is critical at once and with the cause, until the
//! disk works again.

use std::sync::Arc;
use std::time::Duration;

use super::super::raft::node::Node;
use super::{handover, liveness, operation};

/// Between two words of a member that ails, in parts of the time after which it would be dead.
const PARTS: u64 = 12;

pub(super) async fn run(node: &Arc<Node>) {
    let mut ails = false;
    let pause = Duration::from_millis(node.timing.heartbeat_ms);
    loop {
        tokio::time::sleep(pause).await;
        let Some(why) = node.trouble() else {
            if std::mem::take(&mut ails) {
                tracing::warn!("region map: the log of this node is written again");
            }
            continue;
        };
        if !ails {
            tracing::error!("region map: the log of this node cannot be written: {why}");
        }
        ails = true;
        if node.leads_surely() && !operation::votes_alone(node) {
            tracing::error!("region map: another is to lead, because the log cannot be written here: {why}");
            handover::step_down(node).await;
        }
        liveness::tell_ailing(node, &why).await;
        tokio::time::sleep(Duration::from_millis(node.timing.liveness_ms / PARTS)).await;
    }
}
