//! Client agents: nodes of the catalog without a seat in the cluster, which say through a member that they live and what
//! is registered with them. `/v1/isobar/agent`.

use std::sync::Arc;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::cluster::leaving;
use crate::catalog::request::{Access, Answer, Call, Fault, Outcome, PUT, Resource, Route};
use crate::region::map::*;
pub use crate::region::own::Holdings;
use crate::region::own::differences;
use crate::region::raft::ClientHeartbeat;
use crate::region::seat::Consistency;

/// All that is registered with one agent, in bytes.
const HOLDINGS: usize = 4 << 20;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/isobar/agent/alive",
        body: 64 << 10,
        run: |call| Box::pin(alive(call)),
        doc: "A client agent lives: Node, ID, Address, Region, and a Digest of what is registered with it.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/agent/leaving",
        body: 64 << 10,
        run: |call| Box::pin(leaving(call)),
        doc: "A client agent leaves: Node and ID.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/agent/holdings",
        body: HOLDINGS,
        run: |call| Box::pin(holdings(call)),
        doc: "All that is registered with a client agent: the catalog is made to say the same of its node.",
    },
];

/// A client agent's heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Heartbeat {
    pub node: String,
    /// A UUID.
    #[serde(rename = "ID")]
    pub id: String,
    pub address: String,
    pub region: String,
    /// See [`Holdings::digest`].
    pub digest: String,
}

/// A client agent leaves: it takes its node out of the catalog next.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Leaving {
    pub node: String,
    #[serde(rename = "ID")]
    pub id: String,
}

/// What is answered to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HeartbeatReply {
    pub datacenter: String,
    /// The leader's name and its address in the cluster.
    pub leader: String,
    pub leader_address: String,
    /// Where the APIs of the members are.
    pub members: Vec<String>,
    /// The catalog says of the node what the digest is of.
    pub current: bool,
    /// When the next heartbeat is due.
    pub interval_ms: u64,
}

fn decoded<'a, T: Deserialize<'a>>(call: &'a Call) -> Result<T, Fault> {
    serde_json::from_slice(&call.body).map_err(|e| Fault::bad_request(format!("Request decode failed: {e}")))
}

async fn alive(call: &Call) -> Outcome {
    let heartbeat: Heartbeat = decoded(call)?;
    if heartbeat.node.is_empty()
        || heartbeat.address.is_empty()
        || uuid::Uuid::parse_str(&heartbeat.id).is_err()
    {
        return Err(Fault::bad_request("a client agent says its Node, its Address and an ID that is a UUID"));
    }
    call.require(Resource::Node, &heartbeat.node, Access::Write)?;
    let raft = &call.operator()?.raft;
    let said = ClientHeartbeat {
        name: heartbeat.node.clone(),
        address: heartbeat.address,
        region: heartbeat.region,
        node_id: heartbeat.id,
    };
    raft.client_alive(said).await?;
    leaving::lives(call, &call.api.seat.map(), &heartbeat.node).await?;
    let (map, leader) = (call.api.seat.map(), call.api.seat.leader().unwrap_or_default());
    let api =
        |member: &Arc<Member>| Some(member.api.to_string()).filter(|api| member.alive && !api.is_empty());
    Answer::json(&HeartbeatReply {
        datacenter: call.api.settings.datacenter.to_string(),
        leader: leader.name.to_string(),
        leader_address: leader.address.to_string(),
        members: map.members().filter_map(api).collect(),
        current: Holdings::of(&map, &heartbeat.node.as_str().into()).digest() == heartbeat.digest,
        interval_ms: (raft.liveness().as_millis() / 4) as u64,
    })
}

async fn leaving(call: &Call) -> Outcome {
    let said: Leaving = decoded(call)?;
    call.require(Resource::Node, &said.node, Access::Write)?;
    call.api.seat.fresh(Consistency::Default).await?;
    let map = call.api.seat.map();
    if map.members().any(|member| *member.name == *said.node) {
        return Err(Fault::forbidden("that node is a member of the cluster, and speaks for itself"));
    }
    match map.node(&said.node) {
        Some(node) if node.id.is_empty() || *node.id == *said.id => leaving::note(call, &map, node).await?,
        Some(node) => {
            let text = format!("the node {:?} is that of ID {}, not {}", node.name, node.id, said.id);
            return Err(Fault::new(StatusCode::CONFLICT, text));
        }
        None => {}
    }
    Ok(Answer::done())
}

async fn holdings(call: &Call) -> Outcome {
    let wanted: Holdings = decoded(call)?;
    call.require(Resource::Node, &wanted.node, Access::Write)?;
    for one in &wanted.instances {
        call.require(Resource::Service, &one.service, Access::Write)?;
    }
    call.api.seat.fresh(Consistency::Default).await?;
    let map = call.api.seat.map();
    if map.members().any(|member| member.name == wanted.node) {
        return Err(Fault::forbidden("that node is a member of the cluster, and speaks for itself"));
    }
    let Some(node) = map.node(&wanted.node) else {
        return Err(Fault::new(StatusCode::CONFLICT, "unknown node: it has to say first that it lives"));
    };
    // Of two agents of one name, it is the one that lives here.
    if !wanted.id.is_empty() && !node.id.is_empty() && wanted.id != node.id {
        let text = format!("the node {:?} is that of ID {}, not {}", node.name, node.id, wanted.id);
        return Err(Fault::new(StatusCode::CONFLICT, text));
    }
    let commands = differences(&map, node, &wanted);
    for command in &commands {
        call.propose(command.clone()).await?;
    }
    Answer::json(&json!({ "Changed": commands.len() }))
}
