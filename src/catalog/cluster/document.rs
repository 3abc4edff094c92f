//! Configuration documents as `isobar config` puts and shows them: `/v1/isobar/config`.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::catalog::request::{Access, Answer, Call, Fault, GET, Outcome, PUT, Resource, Route, TEXT};
use crate::region::map::*;
use crate::region::rollout::{DOCUMENT_BYTES, RolloutError};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/isobar/config",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The configuration documents.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/config-status",
        body: 0,
        run: |call| Box::pin(status(call)),
        doc: "Which version of each document every member runs, and why not the newest.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/config/:name",
        body: 0,
        run: |call| Box::pin(text(call)),
        doc: "The text of a document; ?version.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/config/:name",
        body: DOCUMENT_BYTES,
        run: |call| Box::pin(put(call)),
        doc: "Puts a document on every node, if each live one can activate it; ?dry-run only asks them.",
    },
    Route {
        methods: GET,
        path: "/v1/isobar/config/:name/history",
        body: 0,
        run: |call| Box::pin(history(call)),
        doc: "The versions of a document, the newest first.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/config/:name/rollback",
        body: 0,
        run: |call| Box::pin(rollback(call)),
        doc: "Puts ?version again, as a new one.",
    },
];

impl From<RolloutError> for Fault {
    fn from(error: RolloutError) -> Fault {
        match error {
            RolloutError::Seat(error) => error.into(),
            RolloutError::TooLarge => Fault::too_large(DOCUMENT_BYTES),
            RolloutError::Name(_) => Fault::bad_request(error.to_string()),
            RolloutError::Refused(_) => Fault::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            RolloutError::Command(Refusal::UnknownDocument(_)) => Fault::not_found(error.to_string()),
            RolloutError::Command(_) => Fault::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}

fn shown(document: &Document) -> Value {
    let at = jiff::Timestamp::from_millisecond(document.at as i64).map(|t| t.to_string()).unwrap_or_default();
    json!({
        "Name": &*document.name,
        "Version": document.version,
        "Bytes": document.text.len(),
        "At": at,
        "Author": &*document.author,
        "Index": document.index,
    })
}

async fn list(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    call.read(&[Topic::Documents], |map| Answer::json(&map.documents().map(|d| shown(d)).collect::<Vec<_>>()))
        .await
}

fn absent(name: &str) -> Fault {
    Fault::not_found(Refusal::UnknownDocument(name.into()).to_string())
}

fn version(call: &Call) -> Result<Option<u64>, Fault> {
    call.params.number("version")
}

async fn text(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let (name, version) = (call.arg("Missing document name")?, version(call)?);
    call.read(&[Topic::Documents], |map| {
        let found = map.history(name).find(|d| version.is_none_or(|v| d.version == v));
        Ok(Answer::raw(TEXT, found.ok_or_else(|| absent(name))?.text.clone()))
    })
    .await
}

async fn history(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let name = call.arg("Missing document name")?;
    call.read(&[Topic::Documents], |map| {
        let all: Vec<Value> = map.history(name).map(|d| shown(d)).collect();
        if all.is_empty() { Err(absent(name)) } else { Answer::json(&all) }
    })
    .await
}

/// Who puts it: as they say, else their token's kind.
fn author(call: &Call) -> &str {
    call.params.text("author").unwrap_or(if call.token.is_some() { "token" } else { "anonymous" })
}

async fn put(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let name = call.arg("Missing document name")?;
    let rollout = &call.operator()?.rollout;
    let version = rollout.put(name, call.body.clone(), author(call), call.params.flag("dry-run")).await?;
    Answer::json(&json!({ "Name": name, "Version": version }))
}

async fn rollback(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let name = call.arg("Missing document name")?;
    let Some(version) = version(call)? else { return Err(Fault::bad_request("Missing version")) };
    let now = call.operator()?.rollout.rollback(name, version, author(call)).await?;
    Answer::json(&json!({ "Name": name, "Version": now }))
}

async fn status(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Read)?;
    let map = call.api.seat.map();
    let nodes = call.operator()?.rollout.status().await;
    let rows: Vec<Value> = nodes
        .iter()
        .map(|node| {
            // A node wants those documents that its files include.
            let wants = map.documents().map(|d| (&*d.name, d.version));
            let wants =
                versions(wants.filter(|(n, _)| node.state.as_ref().is_some_and(|s| s.runs.contains_key(*n))));
            let runs = node.state.as_ref().map(|s| versions(s.runs.iter().map(|(n, v)| (n.as_str(), *v))));
            let state = match (&runs, node.alive) {
                (Some(runs), _) if *runs == wants && node.why.is_empty() => "current",
                (Some(_), _) => "behind",
                (None, true) => "unknown",
                (None, false) => "down",
            };
            json!({ "Node": &*node.node, "State": state, "Runs": runs, "Wants": wants, "Why": node.why })
        })
        .collect();
    Answer::json(&rows)
}

/// `web:3 api:1`
fn versions<'a>(all: impl Iterator<Item = (&'a str, u64)>) -> String {
    all.map(|(name, version)| format!("{name}:{version}")).collect::<Vec<_>>().join(" ")
}
