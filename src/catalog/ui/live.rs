//! The live page: what it is made of, an overview for it, and the stream that tells it to look again.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::catalog::api::Api;
use crate::catalog::cluster::vip;
use crate::catalog::registry::health::{may_see, may_see_check};
use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, Resource, Route};
use crate::region::checkers::refuted;
use crate::region::map::*;
use crate::region::soft::Load;

pub const ROUTES: &[Route] = &[
    Route { methods: GET, path: "/", body: 0, run: |call| Box::pin(root(call)), doc: "Leads to the page." },
    Route {
        methods: GET,
        path: "/ui",
        body: 0,
        run: |call| Box::pin(page(call)),
        doc: "The page: services, nodes, regions and keys as they change.",
    },
    Route { methods: GET, path: "/ui/", body: 0, run: |call| Box::pin(page(call)), doc: "The page." },
    Route {
        methods: GET,
        path: "/ui/page.css",
        body: 0,
        run: |_| Box::pin(async { Ok(asset("text/css; charset=utf-8", include_str!("page.css"))) }),
        doc: "Its style.",
    },
    Route {
        methods: GET,
        path: "/ui/page.js",
        body: 0,
        run: |_| Box::pin(async { Ok(asset("text/javascript; charset=utf-8", include_str!("page.js"))) }),
        doc: "Its script.",
    },
    Route {
        methods: GET,
        path: "/ui/overview",
        body: 0,
        run: |call| Box::pin(overview(call)),
        doc: "Regions, nodes and services with their health, counted, and the checks that do not pass.",
    },
    Route {
        methods: GET,
        path: "/ui/events",
        body: 0,
        run: |call| Box::pin(events(call)),
        doc: "An event for each change of the map, at most five a second.",
    },
];

/// Nothing but the page's own files may run in it or be reached from it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn asset(kind: &'static str, text: &'static str) -> Answer {
    Answer::raw(kind, text).with("x-content-type-options", "nosniff").with("cache-control", "no-cache")
}

async fn root(_: &Call) -> Outcome {
    Ok(Answer::done().with_status(StatusCode::FOUND).with("location", "/ui"))
}

async fn page(_: &Call) -> Outcome {
    let page = asset("text/html; charset=utf-8", include_str!("page.html"));
    Ok(page.with("content-security-policy", POLICY).with("referrer-policy", "no-referrer"))
}

/// Instances by the worst of their checks, and by what those found that check them for all.
#[derive(Serialize, Default)]
struct Counts {
    passing: usize,
    warning: usize,
    critical: usize,
}

impl Counts {
    fn of<'a>(map: &Map, instances: impl Iterator<Item = &'a Arc<Instance>>) -> Self {
        let mut counts = Counts::default();
        for instance in instances {
            let found = refuted(map, instance).then_some(Health::Critical);
            match map
                .checks_of(instance)
                .map(|check| check.status)
                .chain(found)
                .max()
                .unwrap_or(Health::Passing)
            {
                Health::Passing => counts.passing += 1,
                Health::Warning => counts.warning += 1,
                Health::Critical => counts.critical += 1,
            }
        }
        counts
    }
}

#[derive(Serialize)]
struct NodeRow<'a> {
    name: &'a str,
    address: &'a str,
    region: &'a str,
    /// Nothing for a node that nobody watches.
    alive: Option<bool>,
    leader: bool,
    role: Option<&'static str>,
    availability: Option<&'static str>,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
struct ServiceRow<'a> {
    name: &'a str,
    tags: Vec<&'a str>,
    /// Live sessions by region, over all nodes.
    load: Vec<LoadRow<'a>>,
    #[serde(flatten)]
    counts: Counts,
}

/// What the nodes say together of their sessions on the servers of a service in a region.
#[derive(Serialize)]
struct LoadRow<'a> {
    region: &'a str,
    sessions: u64,
    /// 0: not limited.
    capacity: u64,
    servers: u32,
}

type Loads = BTreeMap<(Name, Name), Load>;

fn load_rows<'a>(loads: &'a Loads, service: &Name) -> Vec<LoadRow<'a>> {
    let all = loads.range((service.clone(), Name::default())..).take_while(|((name, _), _)| name == service);
    let row = |load: &'a Load| LoadRow {
        region: &load.region,
        sessions: load.sessions,
        capacity: load.capacity,
        servers: load.servers,
    };
    all.map(|(_, load)| row(load)).collect()
}

#[derive(Serialize)]
struct RegionRow<'a> {
    name: &'a str,
    state: &'static str,
    nodes: usize,
    alive: usize,
    lost: bool,
    /// Since when it is lost, in milliseconds since 1970, and why.
    since: Option<u64>,
    cause: Option<&'a str>,
    /// Of its nodes, as these say; a capacity of 0 is no limit, and nothing is not known.
    sessions: Option<u64>,
    capacity: Option<u64>,
    failover: &'a [Name],
}

/// A check that does not pass.
#[derive(Serialize)]
struct TroubleRow<'a> {
    node: &'a str,
    /// Empty for a check of the node.
    service: &'a str,
    instance: &'a str,
    check: &'a str,
    status: &'static str,
    /// Since when it is critical, in milliseconds since 1970; 0: not known.
    since: u64,
    output: Cow<'a, str>,
}

/// Most rows of trouble that are told, and bytes of what each check said.
const TROUBLE: usize = 200;
const OUTPUT_BYTES: usize = 500;

impl<'a> TroubleRow<'a> {
    /// What those found that check an instance for all.
    fn found(instance: &'a Instance, verdict: &'a Verdict) -> Self {
        let by: Vec<&str> = verdict.down.iter().map(|name| &**name).collect();
        TroubleRow {
            node: &instance.node,
            service: &instance.service,
            instance: &instance.id,
            check: "service check",
            status: "critical",
            since: verdict.since,
            output: Cow::Owned(format!("{}, found by {}", verdict.cause, by.join(", "))),
        }
    }

    fn new(check: &'a Check) -> Self {
        let end =
            (0..=OUTPUT_BYTES.min(check.output.len())).rev().find(|at| check.output.is_char_boundary(*at));
        TroubleRow {
            node: &check.node,
            service: &check.service,
            instance: &check.service_id,
            check: if check.name.is_empty() { &check.id } else { &check.name },
            status: if check.status == Health::Critical { "critical" } else { "warning" },
            since: check.critical_since,
            output: Cow::Borrowed(&check.output[..end.unwrap_or(0)]),
        }
    }
}

/// The worst and the latest first.
fn trouble<'a>(call: &Call, map: &'a Map) -> Vec<TroubleRow<'a>> {
    let ill = map.checks().filter(|check| check.status != Health::Passing && may_see_check(call, check));
    let found = map.verdicts().filter_map(|verdict| {
        let instance = map.instance(&verdict.node, &verdict.service_id)?;
        (may_see(call, instance) && refuted(map, instance)).then(|| TroubleRow::found(instance, verdict))
    });
    let mut rows: Vec<_> = ill.map(|check| TroubleRow::new(check)).chain(found).collect();
    rows.sort_by_key(|row| (row.status, Reverse(row.since)));
    rows
}

#[derive(Serialize)]
struct Overview<'a> {
    index: Index,
    node: &'a str,
    leader: Option<Name>,
    regions: Vec<RegionRow<'a>>,
    nodes: Vec<NodeRow<'a>>,
    services: Vec<ServiceRow<'a>>,
    /// How many checks do not pass, and the first of them.
    troubles: usize,
    trouble: Vec<TroubleRow<'a>>,
    /// As `/v1/isobar/vips` has them; for whom may see them.
    vips: Vec<Value>,
}

fn leader(api: &Api) -> Option<Name> {
    api.seat.leader().map(|leader| leader.name)
}

fn node_row<'a>(map: &'a Map, node: &'a Node, leader: Option<&Name>) -> NodeRow<'a> {
    let member = map.members().find(|member| member.name == node.name);
    let watched = map.check(&node.name, NODE_LIVENESS);
    NodeRow {
        name: &node.name,
        address: &node.address,
        region: &node.region,
        alive: member.map(|member| member.alive).or(watched.map(|check| check.status != Health::Critical)),
        leader: leader == Some(&node.name),
        role: match member.map(|member| member.role) {
            Some(Role::Manager) => Some("manager"),
            Some(Role::Worker) => Some("worker"),
            None => watched.map(|_| "agent"),
        },
        availability: member.map(|member| match member.availability {
            Availability::Active => "active",
            Availability::Pause => "pause",
            Availability::Drain => "drain",
        }),
        counts: Counts::of(map, map.instances_on(&node.name)),
    }
}

fn region_row<'a>(map: &'a Map, region: &'a Region, loads: &Loads) -> RegionRow<'a> {
    let load = loads.get(&(Name::default(), region.name.clone()));
    let outage = map.outage(&region.name).filter(|outage| outage.lost);
    let members = || map.members().filter(|member| member.region == region.name);
    RegionRow {
        name: &region.name,
        state: match region.state {
            RegionState::Active => "active",
            RegionState::Passive => "passive",
            RegionState::Drain => "drain",
        },
        nodes: members().count(),
        alive: members().filter(|member| member.alive).count(),
        lost: outage.is_some(),
        since: outage.map(|outage| outage.since),
        cause: outage.map(|outage| &*outage.cause),
        sessions: load.map(|load| load.sessions),
        capacity: load.map(|load| load.capacity),
        failover: &region.failover,
    }
}

async fn overview(call: &Call) -> Outcome {
    call.require(Resource::Node, "", Access::Read)?;
    let (api, map) = (&call.api, call.read_own().await?);
    let leader = leader(api);
    let loads = api.seat.soft().view().sums();
    let nodes = map.nodes().filter(|node| call.allows(Resource::Node, &node.name, Access::Read));
    let services = map.services().filter(|(name, _)| call.allows(Resource::Service, name, Access::Read));
    let mut rows = Vec::new();
    for (name, service) in services {
        let seen = service.instances().filter(|one| may_see(call, one));
        let tags = service.tags().map(|tag| &**tag).collect();
        let load = load_rows(&loads, name);
        rows.push(ServiceRow { name, tags, load, counts: Counts::of(&map, seen) });
    }
    let ill = trouble(call, &map);
    Answer::json(&Overview {
        index: map.index(),
        node: &api.settings.node_name,
        regions: map.regions().map(|region| region_row(&map, region, &loads)).collect(),
        nodes: nodes.map(|node| node_row(&map, node, leader.as_ref())).collect(),
        services: rows,
        troubles: ill.len(),
        trouble: ill.into_iter().take(TROUBLE).collect(),
        vips: if call.allows(Resource::Operator, "", Access::Read) { vip::shown(api) } else { Vec::new() },
        leader,
    })
}

/// Between two events, and between two signs of life.
const PACE: Duration = Duration::from_millis(200);
const SILENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether an address has moved.
const MOVES: Duration = Duration::from_secs(1);

async fn events(call: &Call) -> Outcome {
    call.require(Resource::Node, "", Access::Read)?;
    let api = call.api.clone();
    let full = |_| Fault::new(StatusCode::TOO_MANY_REQUESTS, "Too many listeners");
    let place = api.listeners.clone().try_acquire_owned().map_err(full)?;
    let (to, from) = mpsc::channel(1);
    tokio::spawn(async move {
        tell(&api, &to).await;
        drop(place);
    });
    Ok(Answer::stream("text/event-stream", from).with("cache-control", "no-cache"))
}

/// Until the listener is gone: it is noticed at once, as hyper drops the body with its connection.
async fn tell(api: &Api, to: &mpsc::Sender<Bytes>) {
    let mut seen = 0;
    let (mut led, mut moved) = (None, Vec::new());
    loop {
        let map = api.seat.map();
        let (index, leads, vips) = (map.index_of(&Topic::Any), leader(api), vip::shown(api));
        let line = if seen == 0 || index > seen || leads != led || vips != moved {
            let data =
                json!({ "index": map.index(), "node": &*api.settings.node_name, "leader": leads.as_deref() });
            format!("event: map\ndata: {data}\n\n")
        } else {
            "event: still\ndata: {}\n\n".to_owned()
        };
        (seen, led, moved) = (index.max(1), leads, vips);
        if to.send(line.into()).await.is_err() {
            return;
        }
        let changed = async {
            tokio::time::sleep(PACE).await;
            // Addresses move without the map.
            let until = tokio::time::sleep(if moved.is_empty() { SILENCE } else { MOVES }).deadline();
            if api.seat.changed(&[Topic::Any], seen, until).await.is_err() {
                tokio::time::sleep(SILENCE).await;
            }
        };
        tokio::select! {
            () = changed => {}
            () = to.closed() => return,
        }
    }
}
