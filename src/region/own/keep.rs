//! Puts back what was registered with this node and the catalog lost, and writes down what that is.

use std::sync::Arc;
use std::time::Duration;

use super::holdings::lacking;
use super::registered::Own;
use crate::region::map::{Health, Map, NODE_LIVENESS, Node, Topic};
use crate::region::seat::Seat;

/// Longest wait for a change, in case one is missed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Changes that come together are looked at together.
const GATHER: Duration = Duration::from_millis(50);
const RETRY: Duration = Duration::from_secs(2);

/// Runs until it is dropped; at once where nothing is kept beside the map.
pub async fn keep(seat: Seat) {
    let Some(own) = seat.own().cloned() else { return };
    let topics = [Topic::Node(seat.node_name().clone())];
    loop {
        let map = seat.map();
        let index = map.index_of(&topics[0]);
        if let Some(node) = standing(&map, &seat)
            && !mend(&own, &seat, &map, &node).await
        {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        if let Err(e) = own.save().await {
            tracing::error!("region map: what is registered with this node cannot be kept: {e}");
            tokio::time::sleep(RETRY).await;
        }
        let until = tokio::time::sleep(PATIENCE).deadline();
        tokio::select! {
            changed = seat.changed(&topics, index, until) => if changed.is_err() {
                tokio::time::sleep(RETRY).await;
            },
            () = own.changed.notified() => {}
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// This node as the catalog has it, once the cluster says that it lives: nothing is put on one that does not.
fn standing(map: &Map, seat: &Seat) -> Option<Arc<Node>> {
    let liveness = map.check(seat.node_name(), NODE_LIVENESS)?;
    map.node(seat.node_name()).filter(|_| liveness.status != Health::Critical).cloned()
}

/// Whether the catalog says of this node what was registered with it, or was made to.
async fn mend(own: &Own, seat: &Seat, map: &Map, node: &Arc<Node>) -> bool {
    let follow = |map: &Map| {
        own.know(map, &node.name);
        own.follow(map).map(|held| lacking(map, node, &held)).unwrap_or_default()
    };
    if follow(map).is_empty() {
        return true;
    }
    // Nobody registers anything meanwhile, and what is on its way is seen.
    let _mending = own.steady.write().await;
    let commands = follow(&seat.map());
    if !commands.is_empty() {
        tracing::warn!(
            "region map: {} of what was registered with this node is not in the catalog, and is put back",
            commands.len()
        );
    }
    for command in commands {
        if seat.propose(command).await.is_err() {
            return false;
        }
    }
    true
}
