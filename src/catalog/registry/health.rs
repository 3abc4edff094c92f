//! Health: `/v1/health`.

use std::sync::Arc;

use serde::Serialize;

use crate::catalog::filter::{Filter, Schema};
use crate::catalog::registry::select;
use crate::catalog::registry::view::{CheckView, NodeView, ServiceView};
use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, Resource, Route, show};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/health/service/*name",
        body: 0,
        run: |call| Box::pin(service(call)),
        doc: "The instances of a service with node and checks; ?passing, ?tag, ?near, ?node-meta, ?filter.",
    },
    Route {
        methods: GET,
        path: "/v1/health/connect/*name",
        body: 0,
        run: |call| Box::pin(no_proxies(call)),
        doc: "The sidecar proxies of a service: always none, there is no mesh.",
    },
    Route {
        methods: GET,
        path: "/v1/health/ingress/*name",
        body: 0,
        run: |call| Box::pin(no_proxies(call)),
        doc: "The ingress gateways of a service: always none, there is no mesh.",
    },
    Route {
        methods: GET,
        path: "/v1/health/checks/*name",
        body: 0,
        run: |call| Box::pin(checks(call)),
        doc: "The checks of a service's instances.",
    },
    Route {
        methods: GET,
        path: "/v1/health/node/*name",
        body: 0,
        run: |call| Box::pin(node(call)),
        doc: "The checks of a node and of its instances.",
    },
    Route {
        methods: GET,
        path: "/v1/health/state/*state",
        body: 0,
        run: |call| Box::pin(state(call)),
        doc: "The checks in a state: passing, warning, critical, or any.",
    },
];

/// An instance with what decides whether it may be used.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthView<'a> {
    pub node: NodeView<'a>,
    pub service: ServiceView<'a>,
    pub checks: Vec<CheckView<'a>>,
}

const SERVICE: Schema = &[("Node", NodeView::FIELDS), ("Service", ServiceView::FIELDS), ("", &["Checks"])];
const CHECK: Schema = &[("", CheckView::FIELDS)];

impl<'a> HealthView<'a> {
    pub fn new(map: &'a Map, node: &'a Node, instance: &'a Instance, datacenter: &'a str) -> Self {
        HealthView {
            node: NodeView::new(node, datacenter),
            service: ServiceView::new(instance),
            checks: map.checks_of(instance).map(|check| CheckView::new(check)).collect(),
        }
    }
}

/// Whether a caller may see an instance.
pub fn may_see(call: &Call, instance: &Instance) -> bool {
    call.authority.unlimited()
        || call.allows(Resource::Service, &instance.service, Access::Read)
            && call.allows(Resource::Node, &instance.node, Access::Read)
}

async fn service(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing service name")?.into();
    let passing = call.params.flag("passing");
    let filter = call.filter(SERVICE)?;
    call.read(&[Topic::Service(name.clone())], |map| {
        let datacenter = call.api.settings.datacenter.clone();
        let mut rows = Vec::new();
        for instance in map.instances_of(&name) {
            let Some(node) = map.node(&instance.node) else { continue };
            let wanted = select::tagged(call, instance) && select::node_meta(call, node);
            let healthy = !passing || map.checks_of(instance).all(|check| check.status == Health::Passing);
            let passes = |filter: &Filter| filter.passes(&HealthView::new(map, node, instance, &datacenter));
            if wanted
                && healthy
                && may_see(call, instance)
                && !call.params.has("peer")
                && filter.as_ref().is_none_or(passes)
            {
                rows.push((node.clone(), instance.clone()));
            }
        }
        select::near(call, map, &mut rows, |(node, _)| &node.name);
        Answer::rows(map, rows, move |map, (node, instance), out| {
            show(out, &HealthView::new(map, node, instance, &datacenter))
        })
    })
    .await
}

async fn no_proxies(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing service name")?.into();
    call.filter(SERVICE)?;
    call.read(&[Topic::Service(name)], |_| Ok(Answer::raw(crate::catalog::request::answer::JSON, "[]"))).await
}

pub fn may_see_check(call: &Call, check: &Check) -> bool {
    let service = check.service.is_empty() || call.allows(Resource::Service, &check.service, Access::Read);
    call.authority.unlimited() || service && call.allows(Resource::Node, &check.node, Access::Read)
}

fn answer_checks<'a>(
    call: &Call,
    map: &'a Arc<Map>,
    checks: impl Iterator<Item = &'a Arc<Check>>,
) -> Outcome {
    let filter = call.filter(CHECK)?;
    let metas = call.params.has("node-meta");
    let of_node =
        |check: &Check| !metas || map.node(&check.node).is_some_and(|node| select::node_meta(call, node));
    let passes = |check: &Check| filter.as_ref().is_none_or(|filter| filter.passes(&CheckView::new(check)));
    let wanted = |check: &Check| {
        may_see_check(call, check) && of_node(check) && !call.params.has("peer") && passes(check)
    };
    let mut rows: Vec<Arc<Check>> = checks.filter(|check| wanted(check)).cloned().collect();
    select::near(call, map, &mut rows, |check| &check.node);
    Answer::rows(map, rows, |_, check, out| show(out, &CheckView::new(check)))
}

async fn checks(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing service name")?.into();
    call.filter(CHECK)?;
    call.read(&[Topic::Service(name.clone())], |map| {
        let own = map.instances_of(&name).flat_map(|one| map.own_checks(&one.node, &one.id));
        answer_checks(call, map, own)
    })
    .await
}

async fn node(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing node name")?.into();
    call.filter(CHECK)?;
    call.read(&[Topic::Node(name.clone())], |map| {
        let mut checks: Vec<_> = map.checks_on(&name).collect();
        // The node's own liveness comes first, as it was the first to be registered.
        checks.sort_by_key(|check| *check.id != *NODE_LIVENESS);
        answer_checks(call, map, checks.into_iter())
    })
    .await
}

async fn state(call: &Call) -> Outcome {
    let state = call.arg("Missing check state")?;
    let wanted = match state {
        "any" => None,
        "passing" => Some(Health::Passing),
        "warning" => Some(Health::Warning),
        "critical" => Some(Health::Critical),
        other => return Err(Fault::bad_request(format!("Invalid check state {other:?}"))),
    };
    call.filter(CHECK)?;
    call.read(&[Topic::Checks], |map| {
        answer_checks(call, map, map.checks().filter(|check| wanted.is_none_or(|w| check.status == w)))
    })
    .await
}
