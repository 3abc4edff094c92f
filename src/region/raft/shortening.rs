//! Shortens the log by its bytes: the protocol's own rule counts entries, and large ones would fill the disk before that.

use std::sync::Arc;
use std::time::Duration;

use super::node::{Metrics, Node};
use super::types::Raft;

/// How often a node looks.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of log between two snapshots, or as many as the last snapshot has, if it is larger: to write one costs as much
/// as the map is large.
const SNAPSHOT_BYTES: u64 = 32 << 20;
/// Bytes kept behind a snapshot, for those who lag.
const KEPT_BYTES: u64 = 8 << 20;

/// Runs until its task is dropped.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let (Some(raft), Some(metrics)) = (node.raft.get(), node.metrics()) {
            look(&node, raft, &metrics).await;
        }
    }
}

async fn look(node: &Node, raft: &Raft, metrics: &Metrics) {
    let behind = metrics.snapshot.map_or(0, |id| id.index + 1);
    let size = node.snapshots.current().map_or(0, |(_, image)| image.len());
    let is_due = node.log.bytes_from(behind) > SNAPSHOT_BYTES.max(size);
    if is_due && metrics.last_applied > metrics.snapshot {
        let _ = raft.trigger().snapshot().await;
    }
    let surplus = node.log.surplus(KEPT_BYTES, behind);
    if let Some(upto) = surplus.filter(|upto| metrics.purged.is_none_or(|purged| purged.index < *upto)) {
        let _ = raft.trigger().purge_log(upto).await;
    }
}
