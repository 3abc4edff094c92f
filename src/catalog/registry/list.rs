//! What the catalog holds: `/v1/catalog` for readers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::catalog::filter::{Filter, Schema};
use crate::catalog::registry::health::may_see;
use crate::catalog::registry::select;
use crate::catalog::registry::view::{CatalogServiceView, NodeView, ServiceView};
use crate::catalog::request::{Access, Answer, Call, GET, JSON, Outcome, Resource, Route, show};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/catalog/datacenters",
        body: 0,
        run: |call| Box::pin(datacenters(call)),
        doc: "The names of the datacenters: one.",
    },
    Route {
        methods: GET,
        path: "/v1/catalog/nodes",
        body: 0,
        run: |call| Box::pin(nodes(call)),
        doc: "The nodes; ?near, ?node-meta, ?filter.",
    },
    Route {
        methods: GET,
        path: "/v1/catalog/node/*name",
        body: 0,
        run: |call| Box::pin(node(call)),
        doc: "A node and its instances by id; null when it is unknown.",
    },
    Route {
        methods: GET,
        path: "/v1/catalog/node-services/*name",
        body: 0,
        run: |call| Box::pin(node_services(call)),
        doc: "A node and a list of its instances.",
    },
    Route {
        methods: GET,
        path: "/v1/catalog/services",
        body: 0,
        run: |call| Box::pin(services(call)),
        doc: "The names of services with their tags; ?node-meta, ?filter.",
    },
    Route {
        methods: GET,
        path: "/v1/catalog/service/*name",
        body: 0,
        run: |call| Box::pin(service(call)),
        doc: "The instances of a service; ?tag, ?near, ?node-meta, ?filter.",
    },
    Route {
        methods: GET,
        path: "/v1/catalog/connect/*name",
        body: 0,
        run: |call| Box::pin(connect(call)),
        doc: "The sidecar proxies of a service: always none, there is no mesh.",
    },
];

const NODE: Schema = &[("", NodeView::FIELDS)];
const INSTANCE: Schema = &[("", CatalogServiceView::FIELDS)];
const SERVICE: Schema = &[("", ServiceView::FIELDS)];

async fn datacenters(call: &Call) -> Outcome {
    Answer::json(&[&*call.api.settings.datacenter])
}

async fn nodes(call: &Call) -> Outcome {
    let filter = call.filter(NODE)?;
    call.read(&[Topic::Nodes], |map| {
        let datacenter = call.api.settings.datacenter.clone();
        let passes = |node: &Node| {
            filter.as_ref().is_none_or(|filter| filter.passes(&NodeView::new(node, &datacenter)))
        };
        let seen = |node: &&Arc<Node>| {
            select::node_meta(call, node)
                && call.allows(Resource::Node, &node.name, Access::Read)
                && !call.params.has("peer")
                && passes(node)
        };
        let mut rows: Vec<Arc<Node>> = map.nodes().filter(seen).cloned().collect();
        select::near(call, map, &mut rows, |node| &node.name);
        Answer::rows(map, rows, move |_, node, out| show(out, &NodeView::new(node, &datacenter)))
    })
    .await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeWith<'a, S> {
    node: Option<NodeView<'a>>,
    services: S,
}

/// The instances of a node that the caller may see and that pass its filter; nothing for an unknown node.
fn on_node<'a>(
    call: &'a Call,
    map: &'a Map,
    name: &str,
) -> Result<Option<(NodeView<'a>, Vec<ServiceView<'a>>)>, crate::catalog::request::fault::Fault> {
    let Some(node) = map.node(name).filter(|_| call.allows(Resource::Node, name, Access::Read)) else {
        return Ok(None);
    };
    let seen = map.instances_on(name).filter(|one| may_see(call, one));
    let rows = call.filtered(SERVICE, seen.map(|one| ServiceView::new(one)).collect())?;
    Ok(Some((NodeView::new(node, &call.api.settings.datacenter), rows)))
}

async fn node(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing node name")?.into();
    call.filter(SERVICE)?;
    call.read(&[Topic::Node(name.clone())], |map| {
        let Some((node, rows)) = on_node(call, map, &name)? else { return Ok(Answer::raw(JSON, "null")) };
        let services: BTreeMap<&str, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        Answer::json(&NodeWith { node: Some(node), services })
    })
    .await
}

async fn node_services(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing node name")?.into();
    call.filter(SERVICE)?;
    call.read(&[Topic::Node(name.clone())], |map| {
        let (node, services) = on_node(call, map, &name)?.map_or((None, Vec::new()), |(n, s)| (Some(n), s));
        Answer::json(&NodeWith { node, services })
    })
    .await
}

async fn services(call: &Call) -> Outcome {
    let filter = call.filter(INSTANCE)?;
    let looks_at_instances = filter.is_some() || call.params.has("node-meta");
    call.read(&[Topic::Services, Topic::Nodes][..if looks_at_instances { 2 } else { 1 }], |map| {
        let seen =
            |name: &str| call.allows(Resource::Service, name, Access::Read) && !call.params.has("peer");
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, service) in map.services().filter(|(name, _)| seen(name)) {
            if !looks_at_instances {
                found.insert(name, service.tags().map(|tag| &**tag).collect());
                continue;
            }
            for instance in service.instances() {
                let Some(node) = map.node(&instance.node) else { continue };
                let row = CatalogServiceView::new(node, instance, &call.api.settings.datacenter);
                if select::node_meta(call, node) && filter.as_ref().is_none_or(|filter| filter.passes(&row)) {
                    found.entry(name).or_default().extend(instance.tags.iter().map(|tag| &**tag));
                }
            }
        }
        Answer::json(&found)
    })
    .await
}

async fn service(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing service name")?.into();
    let filter = call.filter(INSTANCE)?;
    call.read(&[Topic::Service(name.clone())], |map| {
        let datacenter = call.api.settings.datacenter.clone();
        let mut rows = Vec::new();
        for instance in map.instances_of(&name) {
            let Some(node) = map.node(&instance.node) else { continue };
            let wanted = select::tagged(call, instance) && select::node_meta(call, node);
            let passes =
                |filter: &Filter| filter.passes(&CatalogServiceView::new(node, instance, &datacenter));
            if wanted
                && may_see(call, instance)
                && !call.params.has("peer")
                && filter.as_ref().is_none_or(passes)
            {
                rows.push((node.clone(), instance.clone()));
            }
        }
        select::near(call, map, &mut rows, |(node, _)| &node.name);
        Answer::rows(map, rows, move |_, (node, instance), out| {
            show(out, &CatalogServiceView::new(node, instance, &datacenter))
        })
    })
    .await
}

async fn connect(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing service name")?.into();
    call.filter(INSTANCE)?;
    call.read(&[Topic::Service(name)], |_| Ok(Answer::raw(JSON, "[]"))).await
}
