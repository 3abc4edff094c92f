//! The cluster for those who look after it: `/v1/operator`.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::base::clock;
use crate::catalog::cluster::member::is_server;
use crate::catalog::record::{self, SETTING};
use crate::catalog::request::{
    Access, Answer, Call, DELETE, DOCUMENT, Fault, GET, Outcome, PUT, PUT_OR_POST, Resource, Route,
};
use crate::region::map::*;
use crate::region::raft::Operation;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/operator/raft/configuration",
        body: 0,
        run: |call| Box::pin(raft(call)),
        doc: "The servers of the cluster: who votes, who leads.",
    },
    Route {
        methods: DELETE,
        path: "/v1/operator/raft/peer",
        body: 0,
        run: |call| Box::pin(remove_peer(call)),
        doc: "Refused: members leave by `isobar node rm`.",
    },
    Route {
        methods: PUT_OR_POST,
        path: "/v1/operator/raft/transfer-leader",
        body: DOCUMENT,
        run: |call| Box::pin(transfer(call)),
        doc: "Another server leads from now on.",
    },
    Route {
        methods: GET,
        path: "/v1/operator/autopilot/configuration",
        body: 0,
        run: |call| Box::pin(autopilot(call)),
        doc: "The settings of Consul's autopilot, kept for clients that set them.",
    },
    Route {
        methods: PUT,
        path: "/v1/operator/autopilot/configuration",
        body: DOCUMENT,
        run: |call| Box::pin(set_autopilot(call)),
        doc: "Keeps those settings; ?cas.",
    },
    Route {
        methods: GET,
        path: "/v1/operator/autopilot/health",
        body: 0,
        run: |call| Box::pin(health(call)),
        doc: "The health of the servers; 429 when the cluster is not healthy.",
    },
    Route {
        methods: GET,
        path: "/v1/operator/autopilot/state",
        body: 0,
        run: |call| Box::pin(state(call)),
        doc: "The servers by their ids, who leads, who votes, how many may fail.",
    },
    Route {
        methods: GET,
        path: "/v1/operator/usage",
        body: 0,
        run: |call| Box::pin(usage(call)),
        doc: "How many nodes, services and instances there are.",
    },
    Route {
        methods: &[Method::GET, Method::POST, Method::PUT, Method::DELETE],
        path: "/v1/operator/keyring",
        body: DOCUMENT,
        run: |call| Box::pin(keyring(call)),
        doc: "Refused: there is no gossip, and so no key of it.",
    },
];

/// A server: its id in Raft, its name, its address, and whether it votes.
struct Server {
    id: u64,
    name: String,
    address: String,
    voter: bool,
    leader: bool,
    alive: bool,
}

fn servers(call: &Call, map: &Map) -> Vec<Server> {
    let (status, leader) = (call.api.seat.status(), call.api.seat.leader());
    let leads = |id: u64| leader.as_ref().is_some_and(|leader| leader.id == id);
    let server = |id: u64, voter: bool| {
        let member = map.member(id);
        let own = id == status.id;
        let name = match member {
            Some(member) => member.name.to_string(),
            None if own => call.api.settings.node_name.to_string(),
            None => String::new(),
        };
        let address = match (member, &leader) {
            (Some(member), _) => member.address.to_string(),
            (None, Some(leader)) if leader.id == id => leader.address.to_string(),
            _ => String::new(),
        };
        Server { id, name, address, voter, leader: leads(id), alive: own || member.is_some_and(|m| m.alive) }
    };
    let voters = status.voters.iter().map(|id| server(*id, true));
    voters.chain(status.learners.iter().map(|id| server(*id, false))).collect()
}

async fn raft(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let map = call.read_own().await?;
    let last = call.api.seat.status().last_log;
    let shown = |one: Server| {
        json!({
            "ID": one.id.to_string(), "Node": one.name, "Address": one.address, "Leader": one.leader,
            "Voter": one.voter, "ProtocolVersion": "3", "LastIndex": last,
        })
    };
    let servers: Vec<Value> = servers(call, &map).into_iter().map(shown).collect();
    Answer::json(&json!({ "Servers": servers, "Index": 0 }))
}

async fn remove_peer(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let map = call.read_own().await?;
    let (id, address) = (call.params.text("id"), call.params.text("address"));
    if id.is_some() == address.is_some() {
        return Err(Fault::bad_request("Must specify either ?id with the server's ID or ?address"));
    }
    let wanted =
        |one: &Server| Some(one.id.to_string().as_str()) == id || Some(one.address.as_str()) == address;
    let what = id.or(address).unwrap_or_default();
    match servers(call, &map).iter().any(wanted) {
        false => Err(Fault::internal(format!("{what:?} was not found in the Raft configuration"))),
        true => Err(Fault::internal("members leave by `isobar node demote` and `isobar node rm`")),
    }
}

async fn transfer(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    call.operator()?.raft.operate(Operation::HandOver).await.map_err(|e| Fault::internal(e.to_string()))?;
    Answer::json(&json!({ "Success": true }))
}

const AUTOPILOT: &str = "autopilot";

fn defaults() -> Value {
    json!({
        "CleanupDeadServers": true, "LastContactThreshold": "200ms", "MaxTrailingLogs": 250, "MinQuorum": 0,
        "ServerStabilizationTime": "10s", "RedundancyZoneTag": "", "DisableUpgradeMigration": false,
        "UpgradeVersionTag": "",
    })
}

async fn autopilot(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    call.read(&[record::topic(SETTING)], |map| {
        let mut value = match record::get(map, SETTING, AUTOPILOT) {
            Some(record) => record.shown(),
            None => defaults(),
        };
        for name in ["CreateIndex", "ModifyIndex"] {
            if value.get(name).is_none() {
                value[name] = 0.into();
            }
        }
        Answer::json(&value)
    })
    .await
}

async fn set_autopilot(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let fields = call.fields()?;
    let mut value = defaults();
    for (name, standing) in value.as_object_mut().into_iter().flatten() {
        if let Some(given) = fields.value(name) {
            if std::mem::discriminant(given) != std::mem::discriminant(standing) {
                return Err(Fault::bad_request(format!("Error parsing autopilot config: {name}")));
            }
            *standing = given.clone();
        }
    }
    let when = record::cas(call)?.map_or(PutWhen::Always, PutWhen::Cas);
    Ok(Answer::held(record::put(call, SETTING, AUTOPILOT, &value, when).await?))
}

async fn health(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let map = call.read_own().await?;
    let status = call.api.seat.status();
    let servers = servers(call, &map);
    let voters = servers.iter().filter(|one| one.voter).count();
    let alive = servers.iter().filter(|one| one.voter && one.alive).count();
    let healthy = call.api.seat.leader().is_some() && alive == voters;
    let now = jiff::Timestamp::from_second(clock::wall().as_secs() as i64).unwrap_or_default().to_string();
    let shown = |one: &Server| {
        json!({
            "ID": one.id.to_string(), "Name": one.name, "Address": one.address,
            "SerfStatus": if one.alive { "alive" } else { "failed" }, "Version": crate::catalog::cluster::member::VERSION,
            "Leader": one.leader, "LastContact": "0s", "LastTerm": status.term, "LastIndex": status.last_log,
            "Healthy": one.alive, "Voter": one.voter, "StableSince": now,
        })
    };
    let body = json!({
        "Healthy": healthy, "FailureTolerance": alive.saturating_sub(voters / 2 + 1),
        "Servers": servers.iter().map(shown).collect::<Vec<_>>(),
    });
    let status = if healthy { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
    Ok(Answer::json(&body)?.with_status(status))
}

async fn state(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let map = call.read_own().await?;
    let status = call.api.seat.status();
    let servers = servers(call, &map);
    let voters: Vec<String> = servers.iter().filter(|one| one.voter).map(|one| one.id.to_string()).collect();
    let alive = servers.iter().filter(|one| one.voter && one.alive).count();
    let healthy = call.api.seat.leader().is_some() && alive == voters.len();
    let tolerance = alive.saturating_sub(voters.len() / 2 + 1);
    let now = jiff::Timestamp::from_second(clock::wall().as_secs() as i64).unwrap_or_default().to_string();
    let shown = |one: &Server| {
        let kind = match (one.leader, one.voter) {
            (true, _) => "leader",
            (_, true) => "voter",
            _ => "non-voter",
        };
        let server = json!({
            "ID": one.id.to_string(), "Name": one.name, "Address": one.address, "Status": kind,
            "NodeStatus": if one.alive { "alive" } else { "failed" }, "NodeType": "voter", "Meta": {},
            "Version": crate::catalog::cluster::member::VERSION, "LastContact": "0s", "LastTerm": status.term,
            "LastIndex": status.last_log, "Healthy": one.alive, "StableSince": now,
        });
        (one.id.to_string(), server)
    };
    let leader = servers.iter().find(|one| one.leader).map(|one| one.id.to_string()).unwrap_or_default();
    Answer::json(&json!({
        "Healthy": healthy, "FailureTolerance": tolerance, "OptimisticFailureTolerance": tolerance,
        "Servers": servers.iter().map(shown).collect::<serde_json::Map<String, Value>>(),
        "Leader": leader, "Voters": voters,
    }))
}

async fn usage(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let how = call.consistency()?;
    let fresh = call.api.seat.fresh(how).await?;
    let map = call.api.seat.map();
    let instances: usize = map.services().map(|(_, service)| service.len()).sum();
    let servers = map.nodes().filter(|node| is_server(&call.api, &map, &node.name)).count();
    let own = json!({
        "Nodes": map.nodes().count(), "Services": map.services().count(), "ServiceInstances": instances,
        "BillableServiceInstances": instances.saturating_sub(servers), "ConnectServiceInstances": {},
    });
    let datacenter = &*call.api.settings.datacenter;
    Answer::json(&json!({
        "Usage": { datacenter: own }, "Index": map.index(), "LastContact": fresh.last_contact_ms,
        "KnownLeader": fresh.known_leader, "ConsistencyLevel": "leader", "NotModified": false,
        "Backend": 0, "ResultsFilteredByACLs": false,
    }))
}

async fn keyring(call: &Call) -> Outcome {
    call.require(Resource::Keyring, "", Access::Read)?;
    Err(Fault::internal("keyring is empty: there is no gossip to encrypt"))
}
