//! Checks of this node: `/v1/agent/checks` and `/v1/agent/check`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::agent::service::own_node;
use crate::catalog::agent::standing::own_node_stands;
use crate::catalog::filter::Schema;
use crate::catalog::registry::definition;
use crate::catalog::registry::view::CheckView;
use crate::catalog::request::{
    Access, Answer, Call, DOCUMENT, Fault, GET, Outcome, PUT, PUT_OR_GET, Resource, Route,
};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/agent/checks",
        body: 0,
        run: |call| Box::pin(checks(call)),
        doc: "The checks registered with this node, by id; ?filter.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/check/register",
        body: DOCUMENT,
        run: |call| Box::pin(register(call)),
        doc: "Registers a check of this node or of a service on it, which this node then runs.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/check/deregister/*id",
        body: 0,
        run: |call| Box::pin(deregister(call)),
        doc: "Removes a check.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/check/pass/*id",
        body: 0,
        run: |call| Box::pin(note(call, Health::Passing)),
        doc: "Reports a TTL check as passing, with ?note.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/check/warn/*id",
        body: 0,
        run: |call| Box::pin(note(call, Health::Warning)),
        doc: "Reports a TTL check as warning, with ?note.",
    },
    Route {
        methods: PUT_OR_GET,
        path: "/v1/agent/check/fail/*id",
        body: 0,
        run: |call| Box::pin(note(call, Health::Critical)),
        doc: "Reports a TTL check as critical, with ?note.",
    },
    Route {
        methods: PUT,
        path: "/v1/agent/check/update/*id",
        body: DOCUMENT,
        run: |call| Box::pin(update(call)),
        doc: "Reports a TTL check with Status and Output.",
    },
];

const SCHEMA: Schema = &[("", CheckView::FIELDS)];

/// Whether a check is the cluster's own, which no agent shows.
fn of_agent(check: &Check) -> bool {
    *check.id != *NODE_LIVENESS
}

async fn checks(call: &Call) -> Outcome {
    let map = call.read_own().await?;
    let node = &call.api.settings.node_name;
    let own = map.checks_on(node).filter(|check| of_agent(check) && may(call, check, Access::Read).is_ok());
    let rows = call.filtered(SCHEMA, own.map(|check| CheckView::new(check)).collect())?;
    let found: BTreeMap<&str, _> = rows.into_iter().map(|row| (row.check_id, row)).collect();
    Answer::json(&found)
}

/// A check of a service is its service's, another its node's.
fn may(call: &Call, check: &Check, access: Access) -> Result<(), Fault> {
    match check.service.is_empty() {
        true => call.require(Resource::Node, &call.api.settings.node_name, access),
        false => call.require(Resource::Service, &check.service, access),
    }
}

async fn register(call: &Call) -> Outcome {
    let fields = call.fields()?;
    let mut check = definition::check(call, &fields)?;
    if check.name.is_empty() {
        return Err(Fault::bad_request("Missing check name"));
    }
    if check.id.is_empty() {
        check.id = check.name.clone();
    }
    own_node_stands(call).await?;
    let map = call.read_own().await?;
    let node = &call.api.settings.node_name;
    if !check.service_id.is_empty() {
        let Some(instance) = map.instance(node, &check.service_id) else {
            return Err(Fault::not_found(format!("ServiceID {:?} does not exist", check.service_id)));
        };
        check.service = instance.service.clone();
    }
    may(call, &check, Access::Write)?;
    check.node = node.clone();
    let what = Registration {
        node: own_node(call),
        skip_node_update: true,
        instance: None,
        checks: vec![check],
        replace_checks: false,
    };
    call.propose_own(Command::Register(Box::new(what))).await?;
    Ok(Answer::done())
}

/// A check of this node's agent that the caller may change.
async fn own(call: &Call) -> Result<Arc<Check>, Fault> {
    let id = call.arg("Missing check ID")?;
    let map = call.read_own().await?;
    let found = map.check(&call.api.settings.node_name, id).filter(|check| of_agent(check));
    let hint = "Ensure that the check ID is passed, not the check name.";
    let check = found.ok_or_else(|| Fault::not_found(format!("Unknown check ID {id:?}. {hint}")))?;
    may(call, check, Access::Write)?;
    Ok(check.clone())
}

async fn deregister(call: &Call) -> Outcome {
    let check = own(call).await?;
    let (node, check_id) = (check.node.clone(), Some(check.id.clone()));
    call.propose_own(Command::Deregister(Deregistration { node, service_id: None, check_id })).await?;
    Ok(Answer::done())
}

async fn note(call: &Call, status: Health) -> Outcome {
    let check = own(call).await?;
    report(call, &check, status, call.params.text("note").unwrap_or_default()).await
}

async fn update(call: &Call) -> Outcome {
    let fields = call.fields()?;
    let status = definition::health(&fields.text("Status")?)?;
    let output = fields.text("Output")?;
    let check = own(call).await?;
    report(call, &check, status, &output).await
}

/// What stays as it was costs no entry in the log: the time to live starts again, and that is all.
async fn report(call: &Call, check: &Check, status: Health, output: &str) -> Outcome {
    let ttl = check.definition.as_ref().is_some_and(|d| matches!(d.probe, Probe::Ttl { .. }));
    if !ttl {
        return Err(Fault::internal(format!("CheckID {:?} does not have associated TTL", check.id)));
    }
    call.api.process.heard(&check.id);
    let output = definition::output(output);
    if check.status != status || check.output != output {
        let (node, check) = (check.node.clone(), check.id.clone());
        call.propose(Command::CheckStatus { node, check, status, output }).await?;
    }
    Ok(Answer::done())
}
