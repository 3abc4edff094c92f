//! Registration straight with the catalog: `/v1/catalog/register` and `/v1/catalog/deregister`.

use crate::catalog::registry::definition;
use crate::catalog::request::{Access, Answer, Call, DOCUMENT, Fault, Fields, Outcome, PUT, Resource, Route};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/catalog/register",
        body: DOCUMENT,
        run: |call| Box::pin(register(call)),
        doc: "Registers a node, and a service and checks on it, for things that no agent looks after.",
    },
    Route {
        methods: PUT,
        path: "/v1/catalog/deregister",
        body: DOCUMENT,
        run: |call| Box::pin(deregister(call)),
        doc: "Removes a service or a check of a node, or the node with all that is on it.",
    },
];

/// A node out of a registration: `ID`, `Node`, `Address`...
pub fn node(fields: &Fields) -> Result<Node, Fault> {
    let node = Node {
        id: fields.text("ID")?,
        name: fields.text("Node")?,
        address: fields.text("Address")?,
        tagged_addresses: fields.tagged_addresses("TaggedAddresses")?,
        meta: definition::meta(fields, "NodeMeta")?,
        ..Node::default()
    };
    if !node.id.is_empty() && uuid::Uuid::parse_str(&node.id).is_err() {
        return Err(Fault::bad_request("Invalid node ID: it must be a UUID"));
    }
    Ok(node)
}

/// A check that something outside reports.
pub fn check(fields: &Fields, node: &Name) -> Result<Check, Fault> {
    let status = fields.text("Status")?;
    let name = fields.text("Name")?;
    let id = fields.text("CheckID")?;
    if name.is_empty() && id.is_empty() {
        return Err(Fault::bad_request("Invalid check: it has neither Name nor CheckID"));
    }
    Ok(Check {
        node: node.clone(),
        id: if id.is_empty() { name.clone() } else { id },
        name,
        status: if status.is_empty() { Health::Critical } else { definition::health(&status)? },
        notes: fields.text("Notes")?,
        output: definition::output(&fields.text("Output")?),
        service_id: fields.text("ServiceID")?,
        ..Check::default()
    })
}

async fn register(call: &Call) -> Outcome {
    let fields = call.fields()?;
    call.in_datacenter(&fields.text("Datacenter")?)?;
    let node = node(&fields)?;
    let skip_node_update = fields.flag("SkipNodeUpdate")?;
    if node.name.is_empty() || node.address.is_empty() && !skip_node_update {
        return Err(Fault::bad_request("Must provide node and address"));
    }
    call.require(Resource::Node, &node.name, Access::Write)?;
    let instance = match fields.object("Service")? {
        Some(service) => Some(definition::instance(&service, "Service")?),
        None => None,
    };
    if let Some(instance) = &instance {
        call.require(Resource::Service, &instance.service, Access::Write)?;
    }
    let mut checks = Vec::new();
    let map = call.read_own().await?;
    // How a check is run is kept for monitors of nodes without an agent; an agent runs only what was registered with it.
    let monitored =
        map.check(&node.name, NODE_LIVENESS).is_none() && node.name != call.api.settings.node_name;
    for one in fields.object("Check")?.into_iter().chain(fields.objects("Checks")?) {
        let definition = one.object("Definition")?.filter(|_| monitored);
        let definition = definition.map(|given| definition::optional(call, &given)).transpose()?.flatten();
        checks.push(Check { definition, ..check(&one, &node.name)? });
    }
    let what = Registration { node, skip_node_update, instance, checks, replace_checks: false };
    call.propose(Command::Register(Box::new(what))).await?;
    Ok(Answer::held(true))
}

async fn deregister(call: &Call) -> Outcome {
    let fields = call.fields()?;
    call.in_datacenter(&fields.text("Datacenter")?)?;
    let node = fields.text("Node")?;
    if node.is_empty() {
        return Err(Fault::bad_request("Must provide node"));
    }
    let given = |id: Name| if id.is_empty() { None } else { Some(id) };
    let service_id = given(fields.text("ServiceID")?);
    let check_id = given(fields.text("CheckID")?);
    let map = call.read_own().await?;
    match service_id.as_ref().and_then(|id| map.instance(&node, id)) {
        Some(instance) => call.require(Resource::Service, &instance.service, Access::Write)?,
        None => call.require(Resource::Node, &node, Access::Write)?,
    }
    call.propose(Command::Deregister(Deregistration { node, service_id, check_id })).await?;
    Ok(Answer::held(true))
}
