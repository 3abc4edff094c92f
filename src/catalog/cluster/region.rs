//! Regions as they fare: `/v1/isobar/regions`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::catalog::cluster::member::SERVER;
use crate::catalog::registry::health::may_see;
use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, Resource, Route};
use crate::region::checkers::refuted;
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/isobar/regions",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The regions: what each takes, whether it is lost, since when (ms since 1970) and why, and the services that \
              have nobody there.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/region/:name",
        body: 0,
        run: |call| Box::pin(one(call)),
        doc: "One of them.",
    },
];

const TOPICS: [Topic; 5] = [Topic::Regions, Topic::Members, Topic::Nodes, Topic::Checks, Topic::Services];

/// Every region that is configured, or that a node stands in, or that was ever lost.
fn names(map: &Map) -> BTreeSet<&Name> {
    let configured = map.regions().map(|region| &region.name);
    let of_nodes = map.nodes().map(|node| &node.region);
    let of_members = map.members().map(|member| &member.region);
    let lost = map.outages().map(|outage| &outage.region);
    configured.chain(of_nodes).chain(of_members).chain(lost).filter(|name| !name.is_empty()).collect()
}

fn state(region: Option<&Region>) -> &'static str {
    match region.map_or(RegionState::Active, |region| region.state) {
        RegionState::Active => "active",
        RegionState::Passive => "passive",
        RegionState::Drain => "drain",
    }
}

fn shown(call: &Call, map: &Map, name: &Name) -> Value {
    let region = map.region(name).map(|region| &**region);
    let outage = map.outage(name);
    let watched = || {
        let here = map.nodes().filter(|node| node.region == *name);
        here.filter_map(|node| map.check(&node.name, NODE_LIVENESS))
    };
    json!({
        "Name": &**name,
        "State": state(region),
        "Status": if outage.is_some_and(|outage| outage.lost) { "lost" } else { "up" },
        "Since": outage.map(|outage| outage.since),
        "Cause": outage.map(|outage| &*outage.cause),
        "Failovers": outage.map_or(0, |outage| outage.count),
        "Failover": region.map(|region| &region.failover[..]).unwrap_or_default(),
        "Nodes": watched().count(),
        "NodesAlive": watched().filter(|check| check.status != Health::Critical).count(),
        "ServicesLost": services_lost(call, map, name),
    })
}

/// Services with instances in a region none of which passes. Each is so since the last of its instances failed.
fn services_lost(call: &Call, map: &Map, region: &Name) -> Vec<Value> {
    let mut lost = Vec::new();
    for (name, service) in map.services().filter(|(name, _)| ***name != *SERVER) {
        let here = |one: &&std::sync::Arc<Instance>| {
            map.node(&one.node).is_some_and(|node| node.region == *region) && may_see(call, one)
        };
        let mut since = None;
        let all_failed = service.instances().filter(here).all(|one| {
            let failed = map.checks_of(one).filter(|check| check.status == Health::Critical);
            let at = failed.map(|check| check.critical_since).min();
            // Those that check it for all may have found what its own checks did not.
            let found = map.verdicts_on(one).map(|verdict| verdict.since).min();
            let at = at.or(found.filter(|_| refuted(map, one)));
            since = since.max(at);
            at.is_some()
        });
        if let (true, Some(since)) = (all_failed, since) {
            lost.push(json!({ "Service": &**name, "Since": since, "Cause": "no instance passes" }));
        }
    }
    lost
}

async fn list(call: &Call) -> Outcome {
    call.require(Resource::Node, "", Access::Read)?;
    call.read(&TOPICS, |map| {
        Answer::json(&names(map).into_iter().map(|name| shown(call, map, name)).collect::<Vec<_>>())
    })
    .await
}

async fn one(call: &Call) -> Outcome {
    call.require(Resource::Node, "", Access::Read)?;
    let wanted = call.arg("Missing region")?;
    call.read(&TOPICS, |map| {
        let found = names(map).into_iter().find(|name| ***name == *wanted);
        let unknown = || Fault::not_found(format!("no such region: {wanted}"));
        Answer::json(&shown(call, map, found.ok_or_else(unknown)?))
    })
    .await
}
