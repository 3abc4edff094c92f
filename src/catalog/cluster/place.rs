//! This node's place in the cluster, as `isobar cluster` changes it: `/v1/isobar/cluster`.

use serde_json::json;

use crate::catalog::cluster::leaving;
use crate::catalog::request::{Access, Answer, Call, Fault, Fields, GET, Outcome, PUT, Resource, Route};
use crate::region::map::Role;
use crate::region::member::Token;

/// Bytes of a wish to join.
const WISH: usize = 16 << 10;
/// Nodes that it may name.
const ADDRESSES: usize = 64;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/isobar/cluster/init",
        body: 0,
        run: |call| Box::pin(init(call)),
        doc: "Makes a cluster of this node, which waits for that.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/cluster/join",
        body: WISH,
        run: |call| Box::pin(join(call)),
        doc: "Makes this node, which waits for that, join a cluster: Token, and Addresses of nodes of it.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/cluster/leave",
        body: 0,
        run: |call| Box::pin(leave(call)),
        doc: "Gives up this node's place for good and ends the process; ?force: also as a manager.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/cluster/join-token/:role",
        body: 0,
        run: |call| Box::pin(token(call, false)),
        doc: "The token by which a worker or a manager joins, and where.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/cluster/join-token/:role",
        body: 0,
        run: |call| Box::pin(token(call, true)),
        doc: "A new token for a role; the old one admits nobody any more.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/cluster/rotate-ca",
        body: 0,
        run: |call| Box::pin(rotate_authority(call)),
        doc: "Another authority for the cluster, and other join tokens and keys.",
    },
];

async fn init(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    call.operator()?.raft.found().await?;
    shown(call, Role::Worker, false).await
}

async fn join(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let fields = Fields::parse(&call.body)?;
    let wrong = |e| Fault::bad_request(format!("Token: {e}"));
    let token = Token::parse(&fields.text("Token")?).map_err(wrong)?;
    let addresses: Vec<String> = fields.texts("Addresses")?.iter().map(|a| a.to_string()).collect();
    let is_address =
        |text: &String| text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if addresses.is_empty() || addresses.len() > ADDRESSES || !addresses.iter().all(is_address) {
        return Err(Fault::bad_request("Addresses: expects <host>:<port>, once or more"));
    }
    let manager = call.operator()?.raft.join(token, addresses).await?;
    Answer::json(&json!({ "Role": if manager { "manager" } else { "worker" } }))
}

async fn leave(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let raft = &call.operator()?.raft;
    leaving::note_own(call).await;
    if let Err(why) = raft.leave(call.params.flag("force")).await {
        leaving::stays(call).await;
        return Err(why.into());
    }
    crate::catalog::agent::node::end(call).await
}

async fn token(call: &Call, rotate: bool) -> Outcome {
    // Who has it may become a manager: it is no mere reading.
    call.require(Resource::Operator, "", Access::Write)?;
    let role = match call.arg("Missing role")? {
        "manager" => Role::Manager,
        "worker" => Role::Worker,
        other => return Err(Fault::not_found(format!("no role is called {other:?}: manager, worker"))),
    };
    call.api.seat.fresh(call.consistency()?).await?;
    shown(call, role, rotate).await
}

async fn rotate_authority(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    call.operator()?.raft.rotate_authority().await?;
    Ok(Answer::done())
}

async fn shown(call: &Call, role: Role, rotate: bool) -> Outcome {
    let raft = &call.operator()?.raft;
    let token = raft.join_token(role, rotate).await?;
    Answer::json(
        &json!({ "Token": token, "Addresses": raft.managers(), "Node": &*call.api.settings.node_name }),
    )
}
