//! Maintenance: a critical check on a node or a service that says it is to be left alone.

use crate::catalog::agent::service::own_node;
use crate::catalog::agent::standing::own_node_stands;
use crate::catalog::request::{Access, Answer, Call, Fault, Outcome, PUT, Resource, Route};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/agent/maintenance",
        body: 0,
        run: |call| Box::pin(node(call)),
        doc: "Puts this node under maintenance or back, by ?enable; ?reason.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/service/maintenance/*id",
        body: 0,
        run: |call| Box::pin(service(call)),
        doc: "Puts a service of this node under maintenance or back, by ?enable; ?reason.",
    },
];

/// The ids of the checks, which clients know.
pub const NODE: &str = "_node_maintenance";
pub const SERVICE: &str = "_service_maintenance:";

fn enable(call: &Call) -> Result<bool, Fault> {
    match call.params.text("enable") {
        None => Err(Fault::bad_request("Missing value for enable")),
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
        Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
        Some(other) => Err(Fault::bad_request(format!("Invalid value for enable: {other:?}"))),
    }
}

async fn node(call: &Call) -> Outcome {
    let on = enable(call)?;
    call.require(Resource::Node, &call.api.settings.node_name, Access::Write)?;
    let reason = "Maintenance mode is enabled for this node, but no reason was provided. \
                  This is a default message.";
    set(call, on, NODE.into(), "Node Maintenance Mode", "".into(), reason).await
}

async fn service(call: &Call) -> Outcome {
    let id = call.arg("Missing service ID")?;
    let on = enable(call)?;
    let map = call.read_own().await?;
    let Some(instance) = map.instance(&call.api.settings.node_name, id) else {
        return Err(Fault::not_found(format!("Unknown service {id:?}")));
    };
    call.require(Resource::Service, &instance.service, Access::Write)?;
    let reason = "Maintenance mode is enabled for this service, but no reason was provided. \
                  This is a default message.";
    let check = format!("{SERVICE}{id}").into();
    set(call, on, check, "Service Maintenance Mode", instance.id.clone(), reason).await
}

async fn set(call: &Call, on: bool, id: Name, name: &str, service_id: Name, reason: &str) -> Outcome {
    let node = call.api.settings.node_name.clone();
    let command = if on {
        own_node_stands(call).await?;
        let check = Check {
            node,
            id,
            name: name.into(),
            status: Health::Critical,
            notes: call.params.text("reason").unwrap_or(reason).into(),
            service_id,
            ..Check::default()
        };
        Command::Register(Box::new(Registration {
            node: own_node(call),
            skip_node_update: true,
            checks: vec![check],
            ..Registration::default()
        }))
    } else {
        Command::Deregister(Deregistration { node, service_id: None, check_id: Some(id) })
    };
    call.propose_own(command).await?;
    Ok(Answer::done())
}
