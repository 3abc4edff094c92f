//! This node: `/v1/agent/self`, its members, how it is run.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::base::clock;
use crate::catalog::cluster::leaving;
use crate::catalog::cluster::list::{member, members};
use crate::catalog::cluster::member::{LEFT, VERSION, is_server};
use crate::catalog::request::{
    Access, Answer, Call, DOCUMENT, Fault, GET, Outcome, PUT, PUT_OR_GET, Resource, Route, TEXT,
};
use crate::region::map::*;
use crate::region::seat::RaftState;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/agent/self",
        body: 0,
        run: |call| Box::pin(own(call)),
        doc: "This node: its configuration, its place in the cluster, counters.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/members",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The members of the cluster; ?wan: the servers alone.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/version",
        body: 0,
        run: |call| Box::pin(version(call)),
        doc: "The version of Consul whose API this is, and that of Isobar.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/host",
        body: 0,
        run: |call| Box::pin(host(call)),
        doc: "The machine.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/metrics",
        body: 0,
        run: |call| Box::pin(metrics(call)),
        doc: "Gauges of the region map; ?format=prometheus.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/reload",
        body: 0,
        run: |call| Box::pin(reload(call)),
        doc: "Reads the configuration again.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/leave",
        body: 0,
        run: |call| Box::pin(leave(call)),
        doc: "Gives up this node's seat and ends the process.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/join/*address",
        body: 0,
        run: |call| Box::pin(join(call)),
        doc: "An agent asks that member from now on; a member is joined already, or joins by `retry-join` and a token.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/force-leave/*name",
        body: 0,
        run: |call| Box::pin(force_leave(call)),
        doc: "Removes a node that failed from the catalog, as one that left; ?prune: from the list of members, too.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/token/*kind",
        body: DOCUMENT,
        run: |call| Box::pin(token(call)),
        doc: "Accepted without effect: this node's own work needs no token.",
    },
];

async fn own(call: &Call) -> Outcome {
    let api = &call.api;
    let settings = &api.settings;
    call.require(Resource::Agent, &settings.node_name, Access::Read)?;
    let map = call.read_own().await?;
    let node = map.node(&settings.node_name).map(|node| node.as_ref().clone());
    let node = node.unwrap_or_else(|| crate::catalog::agent::service::own_node(call));
    let status = api.seat.status();
    let leader = api.seat.leader();
    let server = is_server(api, &map, &settings.node_name);
    let state = match status.state {
        RaftState::Leader => "Leader",
        RaftState::Candidate => "Candidate",
        RaftState::Follower => "Follower",
        RaftState::Learner => "Nonvoter",
        RaftState::Shutdown => "Shutdown",
    };
    let leads = status.state == RaftState::Leader;
    Answer::json(&json!({
        "Config": {
            "Datacenter": &*settings.datacenter, "PrimaryDatacenter": &*settings.datacenter,
            "NodeName": &*settings.node_name, "NodeID": &*node.id, "Revision": "", "Server": server,
            "Version": VERSION, "BuildDate": "1970-01-01T00:00:00Z",
        },
        "DebugConfig": { "EnableScriptChecks": settings.script_checks, "Isobar": env!("CARGO_PKG_VERSION") },
        "Coord": crate::catalog::registry::distance::Coordinate::default(),
        "Member": member(api, &map, &node),
        "Meta": &node.meta,
        "Stats": {
            "agent": {
                "checks": map.checks_on(&node.name).count().to_string(),
                "services": map.instances_on(&node.name).count().to_string(),
            },
            "build": { "version": VERSION, "revision": "", "prerelease": "" },
            "consul": {
                "leader": leads.to_string(), "server": server.to_string(),
                "leader_addr": leader.map(|leader| leader.address.to_string()).unwrap_or_default(),
                "bootstrap": "false", "known_datacenters": "1",
            },
            "raft": {
                "state": state, "term": status.term.to_string(), "last_log_index": status.last_log.to_string(),
                "applied_index": status.applied.to_string(), "commit_index": status.applied.to_string(),
                "num_peers": status.voters.len().saturating_sub(1).to_string(),
            },
            "runtime": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "version": "isobar" },
        },
        "xDS": { "Port": 0, "Ports": { "Plaintext": -1, "TLS": -1 }, "SupportedProxies": {} },
    }))
}

async fn list(call: &Call) -> Outcome {
    let map = call.read_own().await?;
    let api = &call.api;
    let mut found = members(api, &map);
    found.retain(|one| call.allows(Resource::Node, &one.name, Access::Read));
    if call.params.flag("wan") {
        found.retain(|one| one.tags.get("role").is_some_and(|role| role == "consul"));
        for one in &mut found {
            one.name = format!("{}.{}", one.name, api.settings.datacenter);
        }
    }
    Answer::json(&found)
}

async fn version(_: &Call) -> Outcome {
    Answer::json(&json!({
        "SHA": "", "BuildDate": "1970-01-01T00:00:00Z", "HumanVersion": VERSION, "FIPS": "",
        "Isobar": env!("CARGO_PKG_VERSION"),
    }))
}

async fn host(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let memory = tokio::fs::read_to_string("/proc/meminfo").await.unwrap_or_default();
    let release = tokio::fs::read_to_string("/proc/sys/kernel/osrelease").await.unwrap_or_default();
    let hostname = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await.unwrap_or_default();
    let bytes = |name: &str| -> u64 {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    Answer::json(&json!({
        "Memory": { "total": bytes("MemTotal"), "available": bytes("MemAvailable"), "free": bytes("MemFree") },
        "CPU": [{ "cpu": 0, "cores": cores }],
        "Host": {
            "hostname": hostname.trim(), "os": std::env::consts::OS, "kernelVersion": release.trim(),
            "kernelArch": std::env::consts::ARCH, "hostid": &*call.api.settings.node_id,
        },
        "Disk": null, "CollectionTime": clock::wall().as_nanos() as u64, "Errors": null,
    }))
}

/// What the map holds, as gauges.
fn gauges(call: &Call, map: &Map) -> Vec<(&'static str, u64)> {
    let status = call.api.seat.status();
    vec![
        ("consul.state.nodes", map.nodes().count() as u64),
        ("consul.state.services", map.services().count() as u64),
        ("consul.state.service_instances", map.services().map(|(_, service)| service.len() as u64).sum()),
        (
            "consul.state.kv_entries",
            map.entries("").filter(|e| crate::catalog::record::is_clients(&e.key)).count() as u64,
        ),
        (
            "consul.members.clients",
            members(&call.api, map).iter().filter(|one| one.status != LEFT).count() as u64,
        ),
        ("consul.session.count", map.sessions().count() as u64),
        ("consul.raft.applied_index", status.applied),
        ("consul.raft.last_index", status.last_log),
        ("consul.raft.term", status.term),
        ("consul.rpc.queries_blocking", call.api.parked_now() as u64),
        ("consul.uptime_ms", clock::now_ms().saturating_sub(call.api.started_ms)),
    ]
}

async fn metrics(call: &Call) -> Outcome {
    call.require(Resource::Agent, &call.api.settings.node_name, Access::Read)?;
    let map = call.read_own().await?;
    let gauges = gauges(call, &map);
    if call.params.text("format") == Some("prometheus") {
        let line = |(name, value): &(&str, u64)| {
            let name = name.replace('.', "_");
            format!("# TYPE {name} gauge\n{name} {value}\n")
        };
        return Ok(Answer::raw(TEXT, gauges.iter().map(line).collect::<String>()));
    }
    let now = jiff::Timestamp::from_second(clock::wall().as_secs() as i64).unwrap_or_default();
    let shown = |(name, value): &(&str, u64)| json!({ "Name": name, "Value": value, "Labels": {} });
    let gauges: Vec<Value> = gauges.iter().map(shown).collect();
    Answer::json(&json!({
        "Timestamp": now.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        "Gauges": gauges, "Points": [], "Counters": [], "Samples": [],
    }))
}

async fn reload(call: &Call) -> Outcome {
    call.require(Resource::Agent, &call.api.settings.node_name, Access::Write)?;
    let process = call.api.process.clone();
    // It takes as long as building the configuration does.
    let reloaded = tokio::task::spawn_blocking(move || process.reload()).await;
    reloaded.unwrap_or_else(|e| Err(e.to_string())).map_err(Fault::internal)?;
    Ok(Answer::done())
}

async fn leave(call: &Call) -> Outcome {
    call.require(Resource::Agent, &call.api.settings.node_name, Access::Write)?;
    // A client agent says it itself, through a member.
    if call.api.operator.get().is_some() {
        leaving::note_own(call).await;
    }
    let ended = end(call).await;
    if ended.is_err() {
        leaving::stays(call).await;
    }
    ended
}

/// This node gives up its seat, if it still has it, and the process ends soon after the answer.
pub async fn end(call: &Call) -> Outcome {
    let process = call.api.process.clone();
    let left = tokio::task::spawn_blocking(move || process.leave()).await;
    let left = left.map_err(|e| Fault::internal(e.to_string()))?;
    left.map_err(|why| Fault::new(StatusCode::CONFLICT, format!("this node keeps its place: {why}")))?;
    Ok(Answer::done())
}

async fn join(call: &Call) -> Outcome {
    call.require(Resource::Agent, &call.api.settings.node_name, Access::Write)?;
    let address = call.arg("Missing address")?;
    if call.api.forwarder.get().is_some() {
        call.api.process.join(address).map_err(Fault::bad_request)?;
        return Ok(Answer::done());
    }
    let host = |address: &str| address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
    let map = call.read_own().await?;
    let knows = |member: &Member| *member.address == *address || host(&member.address) == address;
    if map.members().any(|member| knows(member)) {
        return Ok(Answer::done());
    }
    let text = "nodes join by `retry-join` in their `region-map` section, or by `isobar cluster join`";
    Err(Fault::new(StatusCode::NOT_IMPLEMENTED, text))
}

async fn force_leave(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing node name")?.into();
    call.require(Resource::Operator, "", Access::Write)?;
    let map = call.read_own().await?;
    let prune = call.params.flag("prune");
    let Some(check) = map.check(&name, NODE_LIVENESS) else {
        if leaving::has_left(&map, &name) {
            if prune {
                leaving::forget(call, &map, &name).await?;
            }
            return Ok(Answer::done());
        }
        return Err(Fault::internal(format!("agent: No node found with name '{name}'")));
    };
    if check.status != Health::Critical {
        return Err(Fault::internal(format!("agent: node '{name}' is alive")));
    }
    match map.node(&name) {
        Some(node) if !prune => leaving::note(call, &map, node).await?,
        _ => drop(leaving::forget(call, &map, &name).await?),
    }
    let what = Deregistration { node: name, service_id: None, check_id: None };
    call.propose(Command::Deregister(what)).await?;
    Ok(Answer::done())
}

/// The kinds of token that an agent of Consul has.
const TOKENS: [&str; 9] = [
    "default",
    "agent",
    "agent_recovery",
    "agent_master",
    "acl_token",
    "acl_agent_token",
    "replication",
    "config_file_service_registration",
    "dns",
];

async fn token(call: &Call) -> Outcome {
    if call.api.settings.write_token.is_none() {
        return Err(Fault::acl_disabled());
    }
    call.require(Resource::Agent, &call.api.settings.node_name, Access::Write)?;
    let kind = call.arg("Missing token type")?;
    if !TOKENS.contains(&kind) {
        return Err(Fault::not_found(format!("Token {kind:?} is unknown")));
    }
    call.fields()?;
    Ok(Answer::done())
}
