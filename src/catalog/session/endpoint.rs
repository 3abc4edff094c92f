//! Sessions: `/v1/session`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use crate::base::clock::MS;
use crate::catalog::agent::standing::own_node_stands;
use crate::catalog::request::duration;
use crate::catalog::request::{
    Access, Answer, Call, DOCUMENT, Fault, Fields, GET, Outcome, PUT, Resource, Route,
};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/session/create",
        body: DOCUMENT,
        run: |call| Box::pin(create(call)),
        doc: "Makes a session: Name, Node, Checks, TTL, LockDelay, Behavior.",
    },
    Route {
        methods: PUT,
        path: "/v1/session/destroy/*id",
        body: 0,
        run: |call| Box::pin(destroy(call)),
        doc: "Ends a session; its locks are released or their keys deleted.",
    },
    Route {
        methods: PUT,
        path: "/v1/session/renew/*id",
        body: 0,
        run: |call| Box::pin(renew(call)),
        doc: "Starts the time to live of a session again.",
    },
    Route {
        methods: GET,
        path: "/v1/session/info/*id",
        body: 0,
        run: |call| Box::pin(info(call)),
        doc: "A session, in a list; an unknown one is an empty list.",
    },
    Route {
        methods: GET,
        path: "/v1/session/node/*name",
        body: 0,
        run: |call| Box::pin(on_node(call)),
        doc: "The sessions of a node.",
    },
    Route {
        methods: GET,
        path: "/v1/session/list",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "Every session.",
    },
];

/// In milliseconds, as Consul has them.
const TTL: std::ops::RangeInclusive<u64> = 10_000..=86_400_000;
const LOCK_DELAY_MS: u64 = 15_000;
const LOCK_DELAY_MOST_MS: u64 = 60_000;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SessionView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    /// Nanoseconds.
    lock_delay: u64,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: String,
    node_checks: &'a [Name],
    service_checks: Option<Vec<ServiceCheck<'a>>>,
    create_index: Index,
    modify_index: Index,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheck<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'a str,
}

impl<'a> SessionView<'a> {
    fn new(session: &'a Session) -> Self {
        let checks = session.service_checks.iter().map(|id| ServiceCheck { id, namespace: "" });
        SessionView {
            id: &session.id,
            name: &session.name,
            node: &session.node,
            lock_delay: session.lock_delay_ms * MS,
            behavior: match session.behavior {
                Behavior::Release => "release",
                Behavior::Delete => "delete",
            },
            ttl: if session.ttl_ms == 0 { String::new() } else { duration::show_ms(session.ttl_ms) },
            node_checks: &session.node_checks,
            service_checks: (!session.service_checks.is_empty()).then(|| checks.collect()),
            create_index: session.create_index,
            modify_index: session.modify_index,
        }
    }
}

fn ttl(fields: &Fields) -> Result<u64, Fault> {
    let invalid = || Fault::bad_request("Invalid Session TTL: must be a duration between 10s and 24h0m0s");
    match fields.millis("TTL").map_err(|_| invalid())? {
        None | Some(0) => Ok(0),
        // Patroni looks for this status and these first words.
        Some(ms) if !TTL.contains(&ms) => Err(Fault::internal(format!(
            "Invalid Session TTL '{}', must be between [10s=24h0m0s]",
            duration::show_ms(ms)
        ))),
        Some(ms) => Ok(ms),
    }
}

/// A number without a unit is seconds when it is small, and nanoseconds as Go has them otherwise.
fn lock_delay(fields: &Fields) -> Result<u64, Fault> {
    let seconds = fields.value("LockDelay").and_then(|v| v.as_u64()).filter(|n| *n < 1000);
    let ms = match seconds {
        Some(seconds) => Some(seconds * 1000),
        None => fields.millis("LockDelay")?,
    };
    match ms {
        None => Ok(LOCK_DELAY_MS),
        Some(ms) if ms > LOCK_DELAY_MOST_MS => Err(Fault::bad_request("Invalid LockDelay: at most 60s")),
        Some(ms) => Ok(ms),
    }
}

fn checks(fields: &Fields) -> Result<(Vec<Name>, Vec<Name>), Fault> {
    // `Checks` is what `NodeChecks` was once called; the liveness of the node unless anything else is said.
    let mut node_checks = match (fields.has("NodeChecks"), fields.has("Checks")) {
        (false, false) => vec![NODE_LIVENESS.into()],
        (true, _) => fields.texts("NodeChecks")?,
        (false, true) => fields.texts("Checks")?,
    };
    node_checks.retain(|id| !id.is_empty());
    let mut service_checks = Vec::new();
    for one in fields.objects("ServiceChecks")? {
        service_checks.push(one.text("ID")?);
    }
    Ok((node_checks, service_checks))
}

async fn create(call: &Call) -> Outcome {
    let fields = call.fields()?;
    call.in_datacenter(&fields.text("Datacenter")?)?;
    let node = fields.text("Node")?;
    let node = if node.is_empty() { call.api.settings.node_name.clone() } else { node };
    call.require(Resource::Session, &node, Access::Write)?;
    let behavior = match &*fields.text("Behavior")? {
        "" | "release" => Behavior::Release,
        "delete" => Behavior::Delete,
        other => return Err(Fault::bad_request(format!("Invalid Behavior setting {other:?}"))),
    };
    let (node_checks, service_checks) = checks(&fields)?;
    let id: Name = uuid::Uuid::new_v4().to_string().into();
    let session = Session {
        id: id.clone(),
        name: fields.text("Name")?,
        node,
        node_checks,
        service_checks,
        behavior,
        ttl_ms: ttl(&fields)?,
        lock_delay_ms: lock_delay(&fields)?,
        ..Session::default()
    };
    if session.node == call.api.settings.node_name {
        own_node_stands(call).await?;
    }
    call.propose(Command::SessionCreate(session)).await?;
    Answer::json(&json!({ "ID": &*id }))
}

/// The session of the path, if it stands and the caller may change it.
async fn found(call: &Call, access: Access) -> Result<Option<Arc<Session>>, Fault> {
    let id = call.arg("Missing session")?;
    // Sessions may have been made through another node a moment ago.
    call.api.seat.fresh(crate::region::seat::Consistency::Default).await?;
    let map = call.api.seat.map();
    let Some(session) = map.session(id) else { return Ok(None) };
    call.require(Resource::Session, &session.node, access)?;
    Ok(Some(session.clone()))
}

async fn destroy(call: &Call) -> Outcome {
    if let Some(session) = found(call, Access::Write).await? {
        let id = session.id.clone();
        call.propose(Command::SessionDestroy { id }).await?;
    }
    Ok(Answer::held(true))
}

fn gone(id: &str) -> Fault {
    Fault::not_found(format!("Session id '{id}' not found"))
}

async fn renew(call: &Call) -> Outcome {
    let Some(session) = found(call, Access::Write).await? else {
        return Err(gone(call.arg("Missing session")?));
    };
    // The leader keeps its time, and may know that it is over.
    match call.api.seat.renew(session.id.clone()).await? {
        true => Answer::json(&[SessionView::new(&session)]),
        false => Err(gone(&session.id)),
    }
}

fn answer<'a>(call: &Call, sessions: impl Iterator<Item = &'a Arc<Session>>) -> Outcome {
    let seen = sessions.filter(|one| call.allows(Resource::Session, &one.node, Access::Read));
    Answer::json(&seen.map(|one| SessionView::new(one)).collect::<Vec<_>>())
}

async fn info(call: &Call) -> Outcome {
    let id: Name = call.arg("Missing session")?.into();
    call.read(&[Topic::Session(id.clone())], |map| answer(call, map.session(&id).into_iter())).await
}

async fn on_node(call: &Call) -> Outcome {
    let name = call.arg("Missing node name")?;
    call.read(&[Topic::Sessions], |map| answer(call, map.sessions_on(name))).await
}

async fn list(call: &Call) -> Outcome {
    call.read(&[Topic::Sessions], |map| answer(call, map.sessions())).await
}
