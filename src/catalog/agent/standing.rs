//! That this node stands in the catalog before anything is built on it, or told of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::api::Api;
use crate::catalog::request::{Call, Fault};
use crate::region::map::*;

/// How long a request waits for this node's own entry, which the leader makes once it heard of the node.
const OWN_NODE_MS: u64 = 5_000;

fn deadline() -> Instant {
    tokio::time::sleep(Duration::from_millis(OWN_NODE_MS)).deadline()
}

/// Returns once this node is in the catalog, if there is a cluster that could have it there: from its first answer on,
/// a node is one of those that it tells of.
pub async fn first_answer(api: &Api) {
    if api.stands.load(Ordering::Acquire) {
        return;
    }
    let own = &api.settings.node_name;
    let topics = [Topic::Node(own.clone())];
    let until = deadline();
    while api.operator.get().is_some() {
        let map = api.seat.map();
        if map.check(own, NODE_LIVENESS).is_some() || deadline() - until >= Duration::from_millis(OWN_NODE_MS)
        {
            break;
        }
        if api.seat.leader().is_none() {
            // Nobody makes it yet. What is asked says itself that there is no leader.
            return;
        }
        if api.seat.changed(&topics, map.index_of(&topics[0]), until).await.is_err() {
            break;
        }
    }
    api.stands.store(true, Ordering::Release);
}

/// Returns once this node and its liveness are in the map: what is registered here, and sessions, stand on them. In the
/// first moments of a cluster, or of a member of it, they are not yet.
pub async fn own_node_stands(call: &Call) -> Result<(), Fault> {
    let api = &call.api;
    if api.operator.get().is_none() {
        return Ok(());
    }
    let topic = [Topic::Node(api.settings.node_name.clone())];
    let until = deadline();
    loop {
        let map = api.seat.map();
        let liveness = map.check(&api.settings.node_name, NODE_LIVENESS);
        match liveness {
            Some(check) if check.status != Health::Critical || call.is_over(until) => return Ok(()),
            None if call.is_over(until) => {
                return Err(Fault::internal("No cluster leader: this node is not in the catalog yet"));
            }
            _ => {}
        }
        call.park(&topic, map.index_of(&topic[0]), until).await?;
    }
}
