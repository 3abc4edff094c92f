//! Services of this node: `/v1/agent/services` and `/v1/agent/service`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::agent::standing::own_node_stands;
use crate::catalog::cluster::member::{self, SERVER};
use crate::catalog::filter::Schema;
use crate::catalog::registry::definition;
use crate::catalog::registry::view::{ServiceView, WeightsView, addresses};
use crate::catalog::request::{
    Access, Answer, Call, DOCUMENT, Fault, GET, Outcome, PUT, PUT_OR_GET, Resource, Route,
};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/agent/services",
        body: 0,
        run: |call| Box::pin(services(call)),
        doc: "The services registered with this node, by id; ?filter.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/service/register",
        body: DOCUMENT,
        run: |call| Box::pin(register(call)),
        doc: "Registers a service with its checks; ?replace-existing-checks.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/service/deregister/*id",
        body: 0,
        run: |call| Box::pin(deregister(call)),
        doc: "Removes a service and its checks.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/service/*id",
        body: 0,
        run: |call| Box::pin(service(call)),
        doc: "One of them; with ?hash waits until it changes.",
    },
];

/// A service as its own agent shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentServiceView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [Name],
    meta: &'a Pairs,
    port: u16,
    address: &'a str,
    #[serde(serialize_with = "addresses", skip_serializing_if = "TaggedAddresses::is_empty")]
    tagged_addresses: &'a TaggedAddresses,
    weights: WeightsView,
    enable_tag_override: bool,
    datacenter: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    content_hash: &'a str,
}

impl<'a> AgentServiceView<'a> {
    pub fn new(instance: &'a Instance, datacenter: &'a str) -> Self {
        AgentServiceView {
            kind: &instance.kind,
            id: &instance.id,
            service: &instance.service,
            tags: &instance.tags,
            meta: &instance.meta,
            port: instance.port,
            address: &instance.address,
            tagged_addresses: &instance.tagged_addresses,
            weights: instance.weights.into(),
            enable_tag_override: instance.enable_tag_override,
            datacenter,
            content_hash: "",
        }
    }
}

const SCHEMA: Schema = &[("", ServiceView::FIELDS)];

async fn services(call: &Call) -> Outcome {
    let map = call.read_own().await?;
    let seen = |one: &&std::sync::Arc<Instance>| {
        *one.id != *SERVER && call.allows(Resource::Service, &one.service, Access::Read)
    };
    let settings = &call.api.settings;
    let own = map.instances_on(&settings.node_name).filter(seen);
    let rows = own.map(|one| AgentServiceView::new(one, &settings.datacenter)).collect();
    let rows = call.filtered(SCHEMA, rows)?;
    let found: BTreeMap<&str, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    Answer::json(&found)
}

fn unknown(id: &str) -> Fault {
    let hint = "Ensure that the service ID is passed, not the service name.";
    Fault::not_found(format!("Unknown service ID {id:?}. {hint}"))
}

/// A hash of what is shown, in hexadecimal.
fn content_hash(shown: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(shown).unwrap_or_default();
    format!("{:016x}", xxhash_rust::xxh64::xxh64(&bytes, 0))
}

async fn service(call: &Call) -> Outcome {
    let id = call.arg("Missing service ID")?;
    let settings = &call.api.settings;
    let wanted = call.params.text("hash");
    let mut over = None;
    loop {
        let map = call.read_own().await?;
        let Some(instance) = map.instance(&settings.node_name, id) else { return Err(unknown(id)) };
        call.require(Resource::Service, &instance.service, Access::Read)?;
        let mut shown = AgentServiceView::new(instance, &settings.datacenter);
        let hash = content_hash(&shown);
        let until = match over {
            None => call.deadline()?,
            Some(until) => until,
        };
        if wanted != Some(hash.as_str()) || over.is_some_and(|_| call.is_over(until)) {
            shown.content_hash = &hash;
            let mut answer = Answer::json(&shown)?;
            if let Ok(value) = hyper::header::HeaderValue::from_str(&hash) {
                answer.headers.insert("x-consul-contenthash", value);
            }
            return Ok(answer);
        }
        over = Some(until);
        let topic = Topic::Node(settings.node_name.clone());
        let index = map.index_of(&topic);
        call.park(&[topic], index, until).await?;
    }
}

/// This node as it would be made by its first registration.
pub fn own_node(call: &Call) -> Node {
    member::own_node(&call.api)
}

async fn register(call: &Call) -> Outcome {
    let fields = call.fields()?;
    let instance = definition::instance(&fields, "Name")?;
    call.require(Resource::Service, &instance.service, Access::Write)?;
    let mut checks = definition::checks_of(call, &fields, &instance)?;
    own_node_stands(call).await?;
    let map = call.read_own().await?;
    let node = &call.api.settings.node_name;
    for check in &mut checks {
        // What was known of a check stands when its service is registered again, as many clients do every minute.
        if let Some(known) = map.check(node, &check.id).filter(|known| known.service_id == check.service_id) {
            (check.status, check.output) = (known.status, known.output.clone());
        }
    }
    let replace_checks = call.params.flag("replace-existing-checks");
    let sidecar =
        fields.object("Connect")?.and_then(|connect| connect.object("SidecarService").ok().flatten());
    let proxy = sidecar.map(|_| sidecar_of(&instance, &map, node));
    for (instance, checks) in [(instance, checks)].into_iter().chain(proxy.map(|proxy| (proxy, Vec::new()))) {
        let instance = Some(instance);
        let what =
            Registration { node: own_node(call), skip_node_update: true, instance, checks, replace_checks };
        call.propose_own(Command::Register(Box::new(what))).await?;
    }
    Ok(Answer::done())
}

/// Ports that sidecars get, by default.
const SIDECARS: std::ops::RangeInclusive<u16> = 21_000..=21_255;

fn sidecar_id(id: &str) -> Name {
    format!("{id}-sidecar-proxy").into()
}

/// The entry of a sidecar proxy, which whoever asked for it has to run.
fn sidecar_of(instance: &Instance, map: &Map, node: &str) -> Instance {
    let id = sidecar_id(&instance.id);
    let taken = |port: &u16| map.instances_on(node).any(|one| one.port == *port && one.id != id);
    Instance {
        service: sidecar_id(&instance.service),
        kind: "connect-proxy".into(),
        tags: instance.tags.clone(),
        meta: instance.meta.clone(),
        address: instance.address.clone(),
        port: SIDECARS.into_iter().find(|port| !taken(port)).unwrap_or(0),
        id,
        ..Instance::default()
    }
}

async fn deregister(call: &Call) -> Outcome {
    let id = call.arg("Missing service ID")?;
    let map = call.read_own().await?;
    let node = call.api.settings.node_name.clone();
    let Some(instance) = map.instance(&node, id) else { return Err(unknown(id)) };
    call.require(Resource::Service, &instance.service, Access::Write)?;
    let sidecar = map.instance(&node, &sidecar_id(id)).filter(|one| &*one.kind == "connect-proxy");
    for id in [&instance.id].into_iter().chain(sidecar.map(|one| &one.id)) {
        let what = Deregistration { node: node.clone(), service_id: Some(id.clone()), check_id: None };
        call.propose_own(Command::Deregister(what)).await?;
    }
    Ok(Answer::done())
}
