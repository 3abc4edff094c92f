//! What pages ask for at once: services, nodes and their health, summed up. `/v1/internal/ui`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::registry::health::{may_see, may_see_check};
use crate::catalog::registry::view::{CheckView, NodeView, ServiceView};
use crate::catalog::request::{Access, Answer, Call, GET, Outcome, Resource, Route};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/internal/ui/services",
        body: 0,
        run: |call| Box::pin(services(call)),
        doc: "The services: their tags and nodes, how many instances, how many checks in which state.",
    },
    Route {
        methods: GET,
        path: "/v1/internal/ui/nodes",
        body: 0,
        run: |call| Box::pin(nodes(call)),
        doc: "The nodes, each with its services and checks.",
    },
    Route {
        methods: GET,
        path: "/v1/internal/ui/node/*name",
        body: 0,
        run: |call| Box::pin(node(call)),
        doc: "One of them; null when it is not there.",
    },
    Route {
        methods: GET,
        path: "/v1/internal/ui/catalog-overview",
        body: 0,
        run: |call| Box::pin(overview(call)),
        doc: "How many nodes, instances and checks there are in which state.",
    },
];

const EVERYTHING: [Topic; 3] = [Topic::Nodes, Topic::Services, Topic::Checks];

#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Service<'a> {
    name: &'a str,
    kind: &'a str,
    datacenter: &'a str,
    tags: BTreeSet<&'a str>,
    nodes: BTreeSet<&'a str>,
    instance_count: usize,
    checks_passing: usize,
    checks_warning: usize,
    checks_critical: usize,
    connected_with_proxy: bool,
    connected_with_gateway: bool,
}

async fn services(call: &Call) -> Outcome {
    call.read(&EVERYTHING, |map| {
        let mut all = Vec::new();
        for (name, service) in map.services() {
            let datacenter = &call.api.settings.datacenter;
            let mut row = Service { name, datacenter, ..Service::default() };
            for instance in service.instances().filter(|instance| may_see(call, instance)) {
                row.kind = &instance.kind;
                row.tags.extend(instance.tags.iter().map(|tag| &**tag));
                row.nodes.insert(&instance.node);
                row.instance_count += 1;
                for check in map.checks_of(instance) {
                    match check.status {
                        Health::Passing => row.checks_passing += 1,
                        Health::Warning => row.checks_warning += 1,
                        Health::Critical => row.checks_critical += 1,
                    }
                }
            }
            if row.instance_count > 0 {
                all.push(row);
            }
        }
        Answer::json(&all)
    })
    .await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeWithAll<'a> {
    #[serde(flatten)]
    node: NodeView<'a>,
    services: Vec<ServiceView<'a>>,
    checks: Vec<CheckView<'a>>,
}

fn with_all<'a>(call: &'a Call, map: &'a Map, node: &'a Node) -> NodeWithAll<'a> {
    let services = map.instances_on(&node.name).filter(|instance| may_see(call, instance));
    let checks = map.checks_on(&node.name).filter(|check| may_see_check(call, check));
    NodeWithAll {
        node: NodeView::new(node, &call.api.settings.datacenter),
        services: services.map(|one| ServiceView::new(one)).collect(),
        checks: checks.map(|one| CheckView::new(one)).collect(),
    }
}

async fn nodes(call: &Call) -> Outcome {
    call.read(&EVERYTHING, |map| {
        let seen = map.nodes().filter(|node| call.allows(Resource::Node, &node.name, Access::Read));
        Answer::json(&seen.map(|node| with_all(call, map, node)).collect::<Vec<_>>())
    })
    .await
}

async fn node(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing node name")?.into();
    call.require(Resource::Node, &name, Access::Read)?;
    call.read(&[Topic::Node(name.clone())], |map| {
        Answer::json(&map.node(&name).map(|node| with_all(call, map, node)))
    })
    .await
}

/// How many are in which state.
#[derive(Clone, Copy, Default)]
struct Count {
    passing: usize,
    warning: usize,
    critical: usize,
}

impl Count {
    fn add(&mut self, health: Health) {
        match health {
            Health::Passing => self.passing += 1,
            Health::Warning => self.warning += 1,
            Health::Critical => self.critical += 1,
        }
    }

    fn shown(self, name: &str) -> Value {
        let mut value = json!({
            "Partition": "default", "Namespace": "default", "Passing": self.passing, "Warning": self.warning,
            "Critical": self.critical, "Total": self.passing + self.warning + self.critical,
        });
        if !name.is_empty() {
            value["Name"] = name.into();
        }
        value
    }
}

fn worst<'a>(checks: impl Iterator<Item = &'a std::sync::Arc<Check>>) -> Health {
    checks.map(|check| check.status).max().unwrap_or(Health::Passing)
}

async fn overview(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    call.read(&EVERYTHING, |map| {
        let (mut nodes, mut services) = (Count::default(), BTreeMap::<&str, Count>::new());
        let mut checks = BTreeMap::<&str, Count>::new();
        for node in map.nodes() {
            nodes.add(worst(map.node_checks(&node.name)));
        }
        for (name, service) in map.services() {
            let count = services.entry(name).or_default();
            service.instances().for_each(|instance| count.add(worst(map.checks_of(instance))));
        }
        for check in map.checks() {
            checks.entry(&check.name).or_default().add(check.status);
        }
        let named =
            |all: BTreeMap<&str, Count>| all.iter().map(|(name, n)| n.shown(name)).collect::<Vec<_>>();
        Answer::json(&json!({
            "Nodes": [nodes.shown("")], "Services": named(services), "Checks": named(checks),
        }))
    })
    .await
}
