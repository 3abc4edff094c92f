//! The health of this node's services as one word: `/v1/agent/health/service`, for load balancers that look at a status.

use hyper::StatusCode;
use serde::Serialize;

use crate::catalog::agent::maintenance;
use crate::catalog::agent::service::AgentServiceView;
use crate::catalog::registry::view::CheckView;
use crate::catalog::request::{Access, Answer, Call, GET, Outcome, Resource, Route};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/agent/health/service/id/*id",
        body: 0,
        run: |call| Box::pin(by_id(call)),
        doc: "200, 429 or 503 as a service of this node is passing, warning or critical; ?format=text.",
    },
    Route {
        methods: GET,
        path: "/v1/agent/health/service/name/*name",
        body: 0,
        run: |call| Box::pin(by_name(call)),
        doc: "The same for all instances of a service on this node, by the worst of them.",
    },
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aggregated<'a> {
    aggregated_status: &'static str,
    service: AgentServiceView<'a>,
    checks: Vec<CheckView<'a>>,
}

/// Healthy, warning, critical, and worse than all: under maintenance.
const WORDS: [(&str, StatusCode); 4] = [
    ("passing", StatusCode::OK),
    ("warning", StatusCode::TOO_MANY_REQUESTS),
    ("critical", StatusCode::SERVICE_UNAVAILABLE),
    ("maintenance", StatusCode::SERVICE_UNAVAILABLE),
];

fn rank(map: &Map, instance: &Instance) -> usize {
    let of = |check: &Check| match check.status {
        _ if *check.id == *maintenance::NODE || check.id.starts_with(maintenance::SERVICE) => 3,
        Health::Passing => 0,
        Health::Warning => 1,
        Health::Critical => 2,
    };
    map.checks_of(instance).map(|check| of(check)).max().unwrap_or(0)
}

fn aggregated<'a>(call: &'a Call, map: &'a Map, instance: &'a Instance) -> Aggregated<'a> {
    Aggregated {
        aggregated_status: WORDS[rank(map, instance).min(3)].0,
        service: AgentServiceView::new(instance, &call.api.settings.datacenter),
        checks: map.checks_of(instance).map(|check| CheckView::new(check)).collect(),
    }
}

fn wants_text(call: &Call) -> bool {
    call.params.text("format") == Some("text")
}

async fn by_id(call: &Call) -> Outcome {
    let id = call.arg("Bad request: Missing service ID")?;
    let map = call.read_own().await?;
    let Some(instance) = map.instance(&call.api.settings.node_name, id) else {
        return Ok(Answer::text(format!("ServiceId {id} not found")).with_status(StatusCode::NOT_FOUND));
    };
    call.require(Resource::Service, &instance.service, Access::Read)?;
    let (word, status) = WORDS[rank(&map, instance).min(3)];
    if wants_text(call) {
        return Ok(Answer::text(word).with_status(status));
    }
    Ok(Answer::json(&aggregated(call, &map, instance))?.with_status(status))
}

async fn by_name(call: &Call) -> Outcome {
    let name = call.arg("Bad request: Missing service Name")?;
    call.require(Resource::Service, name, Access::Read)?;
    let map = call.read_own().await?;
    let own = map.instances_on(&call.api.settings.node_name).filter(|one| *one.service == *name);
    let own: Vec<_> = own.collect();
    let Some(worst) = own.iter().map(|one| rank(&map, one)).max() else {
        let answer = match wants_text(call) {
            true => Answer::text(format!("ServiceName {name} not found")),
            false => Answer::raw(crate::catalog::request::answer::JSON, "[]"),
        };
        return Ok(answer.with_status(StatusCode::NOT_FOUND));
    };
    let (word, status) = WORDS[worst.min(3)];
    if wants_text(call) {
        return Ok(Answer::text(word).with_status(status));
    }
    let rows: Vec<_> = own.iter().map(|one| aggregated(call, &map, one)).collect();
    Ok(Answer::json(&rows)?.with_status(status))
}
