//! Configuration entries: `/v1/config`. They are kept for clients; nothing here acts on them.

use serde_json::Value;

use crate::catalog::record::{self, CONFIG};
use crate::catalog::request::{
    Access, Answer, Call, DELETE, DOCUMENT, Fault, Fields, GET, Outcome, PUT, Resource, Route, parse_value,
};
use crate::region::map::{DeleteWhen, PutWhen};

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/config",
        body: DOCUMENT,
        run: |call| Box::pin(put(call)),
        doc: "Keeps a configuration entry, by its Kind and Name; ?cas.",
    },
    Route {
        methods: GET,
        path: "/v1/config/:kind/*name",
        body: 0,
        run: |call| Box::pin(read(call)),
        doc: "A configuration entry.",
    },
    Route {
        methods: DELETE,
        path: "/v1/config/:kind/*name",
        body: 0,
        run: |call| Box::pin(delete(call)),
        doc: "Deletes a configuration entry; ?cas.",
    },
    Route {
        methods: GET,
        path: "/v1/config/:kind",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The configuration entries of a kind.",
    },
];

/// The kinds that Consul has; others are refused, as it refuses them.
const KINDS: [&str; 18] = [
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "ingress-gateway",
    "terminating-gateway",
    "service-intentions",
    "mesh",
    "exported-services",
    "sameness-group",
    "api-gateway",
    "bound-api-gateway",
    "inline-certificate",
    "file-system-certificate",
    "http-route",
    "tcp-route",
    "jwt-provider",
];

fn known(kind: &str) -> Result<(), Fault> {
    if KINDS.contains(&kind) {
        Ok(())
    } else {
        Err(Fault::bad_request(format!("invalid config entry kind: {kind}")))
    }
}

fn id(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

async fn put(call: &Call) -> Outcome {
    call.require(Resource::Operator, "", Access::Write)?;
    let value = parse_value(&call.body)?;
    let fields = Fields::of(value.clone())?;
    let (kind, name) = (fields.text("Kind")?, fields.text("Name")?);
    known(&kind)?;
    if name.is_empty() {
        return Err(Fault::bad_request("Missing Name of the config entry"));
    }
    let when = record::cas(call)?.map_or(PutWhen::Always, PutWhen::Cas);
    Ok(Answer::held(record::put(call, CONFIG, &id(&kind, &name), &value, when).await?))
}

fn kind_and_name(call: &Call) -> Result<(&str, &str), Fault> {
    match call.args.as_slice() {
        [kind, name] if !name.is_empty() => known(kind).map(|()| (kind.as_str(), name.as_str())),
        _ => Err(Fault::bad_request("Must provide kind and name")),
    }
}

async fn read(call: &Call) -> Outcome {
    let (kind, name) = kind_and_name(call)?;
    call.require(Resource::Operator, "", Access::Read)?;
    call.read(&[record::topic(CONFIG)], |map| match record::get(map, CONFIG, &id(kind, name)) {
        Some(record) => Answer::json(&record.shown()),
        None => {
            let text = format!("Config entry not found for {kind:?} / {name:?}");
            Ok(Answer::from(Fault::not_found(text)))
        }
    })
    .await
}

async fn delete(call: &Call) -> Outcome {
    let (kind, name) = kind_and_name(call)?;
    call.require(Resource::Operator, "", Access::Write)?;
    let cas = record::cas(call)?;
    let when = cas.map_or(DeleteWhen::Always, DeleteWhen::Cas);
    let held = record::delete(call, CONFIG, &id(kind, name), when).await?;
    Ok(if cas.is_some() {
        Answer::held(held)
    } else {
        Answer::raw(crate::catalog::request::answer::JSON, "{}")
    })
}

async fn list(call: &Call) -> Outcome {
    let kind = call.arg("Missing kind")?;
    known(kind)?;
    call.require(Resource::Operator, "", Access::Read)?;
    call.read(&[record::topic(CONFIG)], |map| {
        let found = record::list(map, CONFIG, &id(kind, ""));
        Answer::json(&found.into_iter().map(|record| record.shown()).collect::<Vec<Value>>())
    })
    .await
}
