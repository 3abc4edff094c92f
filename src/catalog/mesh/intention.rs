//! Intentions: `/v1/connect/intentions`. They are kept in the `service-intentions` entry of their destination, and what
//! they say is answered; nothing here enforces them, as nothing in Consul does without its proxies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalog::filter::Schema;
use crate::catalog::record::{self, CONFIG, Record};
use crate::catalog::request::{
    Access, Answer, Call, DELETE, DOCUMENT, Fault, Fields, GET, Outcome, PUT, Resource, Route,
};
use crate::region::map::{DeleteWhen, Map, PutWhen};

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/connect/intentions",
        body: 0,
        run: |call| Box::pin(list(call)),
        doc: "The intentions, the most exact first; ?filter.",
    },
    Route {
        methods: PUT,
        path: "/v1/connect/intentions/exact",
        body: DOCUMENT,
        run: |call| Box::pin(put(call)),
        doc: "Keeps whether ?source may connect to ?destination: Action or Permissions. Nothing enforces it.",
    },
    Route {
        methods: GET,
        path: "/v1/connect/intentions/exact",
        body: 0,
        run: |call| Box::pin(read(call)),
        doc: "The intention of ?source and ?destination.",
    },
    Route {
        methods: DELETE,
        path: "/v1/connect/intentions/exact",
        body: 0,
        run: |call| Box::pin(delete(call)),
        doc: "Forgets the intention of ?source and ?destination.",
    },
    Route {
        methods: GET,
        path: "/v1/connect/intentions/check",
        body: 0,
        run: |call| Box::pin(check(call)),
        doc: "Whether ?source may connect to ?destination, as the intentions say.",
    },
    Route {
        methods: GET,
        path: "/v1/connect/intentions/match",
        body: 0,
        run: |call| Box::pin(matching(call)),
        doc: "The intentions that apply to each ?name, ?by=source or ?by=destination.",
    },
];

const KIND: &str = "service-intentions";
const ANY: &str = "*";
/// A change that met another is made once more, so often.
const TRIES: u32 = 8;
const SCHEMA: Schema =
    &[("", &["SourceName", "DestinationName", "Action", "Precedence", "Description", "SourceType"])];

fn id(destination: &str) -> String {
    format!("{KIND}/{destination}")
}

/// A service's name, without the only namespace there is.
fn plain(name: &str) -> Result<&str, Fault> {
    let name = name.strip_prefix("default/").unwrap_or(name);
    match name.is_empty() || name.contains('/') || (name.contains('*') && name != ANY) {
        true => Err(Fault::bad_request(format!("Invalid service name {name:?} of an intention"))),
        false => Ok(name),
    }
}

fn needed<'a>(call: &'a Call, name: &str) -> Result<&'a str, Fault> {
    let text = call.params.one(name)?;
    plain(text.ok_or_else(|| Fault::bad_request(format!("required query parameter '{name}' not set")))?)
}

fn pair(call: &Call) -> Result<(&str, &str), Fault> {
    Ok((needed(call, "source")?, needed(call, "destination")?))
}

/// The more exact, the greater; the destination counts for more.
fn precedence(source: &str, destination: &str) -> u64 {
    match (destination == ANY, source == ANY) {
        (false, false) => 9,
        (false, true) => 8,
        (true, false) => 6,
        (true, true) => 5,
    }
}

fn sources(record: &Record) -> &[Value] {
    record.value["Sources"].as_array().map_or(&[], Vec::as_slice)
}

/// The intentions of an entry, as they are answered.
fn shown(record: &Record) -> Vec<Value> {
    let destination = record.value["Name"].as_str().unwrap_or_default();
    let one = |source: &Value| {
        let name = source["Name"].as_str().unwrap_or_default();
        let mut value = json!({
            "SourceNS": "default", "SourceName": name, "DestinationNS": "default", "DestinationName": destination,
            "SourceType": "consul", "Description": source["Description"].as_str().unwrap_or_default(),
            "Precedence": precedence(name, destination),
            "CreateIndex": record.create_index, "ModifyIndex": record.modify_index,
        });
        for field in ["Action", "Permissions", "Meta"] {
            if let Some(given) = source.get(field).filter(|given| !given.is_null()) {
                value[field] = given.clone();
            }
        }
        value
    };
    sources(record).iter().map(one).collect()
}

/// All of them whose two services the call may see one of, the most exact first.
fn all(call: &Call, map: &Map) -> Vec<Value> {
    let mut found: Vec<Value> = record::list(map, CONFIG, &id("")).iter().flat_map(shown).collect();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    found.retain(|value| {
        let may = |field| call.allows(Resource::Service, &text(value, field), Access::Read);
        may("DestinationName") || may("SourceName")
    });
    found.sort_by_cached_key(|value| {
        let precedence = value["Precedence"].as_u64().unwrap_or(0);
        (u64::MAX - precedence, text(value, "DestinationName"), text(value, "SourceName"))
    });
    found
}

/// Whether an intention speaks for a service at that end.
fn speaks(value: &Value, end: &str, name: &str) -> bool {
    value[end].as_str().is_some_and(|given| given == ANY || given == name)
}

async fn list(call: &Call) -> Outcome {
    call.read(&[record::topic(CONFIG)], |map| Answer::json(&call.filtered(SCHEMA, all(call, map))?)).await
}

async fn read(call: &Call) -> Outcome {
    let (source, destination) = pair(call)?;
    if !call.allows(Resource::Service, source, Access::Read) {
        call.require(Resource::Service, destination, Access::Read)?;
    }
    call.read(&[record::topic(CONFIG)], |map| {
        let entry = record::get(map, CONFIG, &id(destination));
        let found = entry.iter().flat_map(shown).find(|value| value["SourceName"] == source);
        found.map_or_else(
            || Ok(Answer::from(Fault::not_found("Intention not found"))),
            |value| Answer::json(&value),
        )
    })
    .await
}

/// A source as its entry keeps it.
fn source_of(fields: &Fields, name: &str) -> Result<Value, Fault> {
    let (action, kind) = (fields.text("Action")?, fields.text("SourceType")?);
    let permissions = fields.objects("Permissions")?;
    if !matches!(&*kind, "" | "consul") {
        return Err(Fault::bad_request("SourceType must be set to 'consul'"));
    }
    let mut source = json!({ "Name": name, "Type": "consul", "Description": &*fields.text("Description")? });
    match (&*action, permissions.is_empty()) {
        ("allow" | "deny", true) => source["Action"] = (*action).into(),
        ("", false) => source["Permissions"] = fields.value("Permissions").cloned().unwrap_or_default(),
        ("", true) => return Err(Fault::bad_request("Action must be set to 'allow' or 'deny'")),
        (_, false) => return Err(Fault::bad_request("Action must be omitted if Permissions are specified")),
        (other, true) => return Err(Fault::bad_request(format!("Invalid Action {other:?}"))),
    }
    let meta: BTreeMap<String, String> =
        fields.pairs("Meta")?.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    if !meta.is_empty() {
        source["Meta"] = json!(meta);
    }
    Ok(source)
}

async fn put(call: &Call) -> Outcome {
    let (source, destination) = pair(call)?;
    call.require(Resource::Service, destination, Access::Write)?;
    let kept = source_of(&call.fields()?, source)?;
    change(call, source, destination, Some(kept)).await?;
    Ok(Answer::held(true))
}

async fn delete(call: &Call) -> Outcome {
    let (source, destination) = pair(call)?;
    call.require(Resource::Service, destination, Access::Write)?;
    change(call, source, destination, None).await?;
    Ok(Answer::held(true))
}

/// Puts a source into the destination's entry in the place of the one of that name; `None`: takes it out.
async fn change(call: &Call, source: &str, destination: &str, kept: Option<Value>) -> Result<(), Fault> {
    for _ in 0..TRIES {
        call.api.seat.fresh(call.consistency()?).await?;
        let old = record::get(&call.api.seat.map(), CONFIG, &id(destination));
        let (mut entry, index) = match old {
            Some(record) => (record.value, record.modify_index),
            None if kept.is_none() => return Ok(()),
            None => (json!({ "Kind": KIND, "Name": destination, "Sources": [] }), 0),
        };
        let mut sources = match entry["Sources"].take() {
            Value::Array(sources) => sources,
            _ => Vec::new(),
        };
        sources.retain(|one| one["Name"] != source);
        sources.extend(kept.clone());
        let held = match sources.is_empty() {
            true => record::delete(call, CONFIG, &id(destination), DeleteWhen::Cas(index)).await?,
            false => {
                entry["Sources"] = sources.into();
                record::put(call, CONFIG, &id(destination), &entry, PutWhen::Cas(index)).await?
            }
        };
        if held {
            return Ok(());
        }
    }
    Err(Fault::internal("the intentions of this destination change too often"))
}

async fn check(call: &Call) -> Outcome {
    let (source, destination) = pair(call)?;
    call.require(Resource::Service, destination, Access::Read)?;
    // Without one that speaks: as what is without a token.
    let otherwise = call.api.settings.write_token.is_none();
    call.read(&[record::topic(CONFIG)], |map| {
        let found = all(call, map).into_iter().find(|value| {
            speaks(value, "DestinationName", destination) && speaks(value, "SourceName", source)
        });
        // What is allowed by request cannot be said of a connection.
        let allowed = found.map_or(otherwise, |value| value["Action"] == "allow");
        Answer::json(&json!({ "Allowed": allowed }))
    })
    .await
}

async fn matching(call: &Call) -> Outcome {
    let end = match call.params.one("by")? {
        Some("source") => "SourceName",
        Some("destination") => "DestinationName",
        _ => return Err(Fault::bad_request("'by' parameter must be one of 'source' or 'destination'")),
    };
    let mut names = Vec::new();
    for name in call.params.all("name") {
        let plain = plain(name)?;
        call.require(Resource::Service, plain, Access::Read)?;
        names.push((name, plain));
    }
    if names.is_empty() {
        return Err(Fault::bad_request("required query parameter 'name' not set"));
    }
    call.read(&[record::topic(CONFIG)], |map| {
        let all = all(call, map);
        let of = |plain: &str| all.iter().filter(|value| speaks(value, end, plain)).collect::<Vec<_>>();
        let found: BTreeMap<&str, Vec<&Value>> =
            names.iter().map(|(name, plain)| (*name, of(plain))).collect();
        Answer::json(&found)
    })
    .await
}
