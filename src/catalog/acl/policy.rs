//! Policies: `/v1/acl/policy`. And what is alike in policies, roles, auth methods and binding rules: they are kept as they
//! were given, under an id.

use serde_json::{Value, json};

use super::enabled::enabled;
use super::store::{MANAGEMENT, builtin_policies, new_uuid};
use crate::catalog::record::{self, AUTH_METHOD, POLICY};
use crate::catalog::request::{Access, Answer, Call, Fault, JSON, Outcome};
use crate::region::map::{DeleteWhen, Map, PutWhen};

fn all(map: &Map, kind: &str) -> Vec<Value> {
    let own = if kind == POLICY { builtin_policies() } else { Vec::new() };
    own.into_iter().chain(record::list(map, kind, "").into_iter().map(|record| record.shown())).collect()
}

fn missing(kind: &str) -> Fault {
    Fault::not_found(format!("Requested {kind} does not exist: ACL not found"))
}

/// One of a kind, by its id.
pub async fn read_one(call: &Call, kind: &'static str) -> Outcome {
    enabled(call, Access::Read)?;
    let id = call.arg("Missing ID")?;
    if kind != AUTH_METHOD && uuid::Uuid::parse_str(id).is_err() {
        return Err(Fault::internal(format!("Invalid {kind} ID {id:?}: it must be a UUID")));
    }
    call.read(&[record::topic(kind)], |map| {
        match all(map, kind)
            .into_iter()
            .find(|one| one["ID"] == id || one["ID"].is_null() && one["Name"] == id)
        {
            Some(one) => Answer::json(&one),
            None => Ok(Answer::from(missing(kind))),
        }
    })
    .await
}

pub async fn read_named(call: &Call, kind: &'static str) -> Outcome {
    enabled(call, Access::Read)?;
    let name = call.arg("Missing name")?;
    call.read(&[record::topic(kind)], |map| {
        match all(map, kind).into_iter().find(|one| one["Name"] == name) {
            Some(one) => Answer::json(&one),
            None => Ok(Answer::from(missing(kind))),
        }
    })
    .await
}

/// All of a kind for which a question has the right answer.
pub async fn read_all(call: &Call, kind: &'static str, wanted: impl Fn(&Value) -> bool) -> Outcome {
    enabled(call, Access::Read)?;
    call.read(&[record::topic(kind)], |map| {
        let mut found = all(map, kind);
        found.retain(wanted);
        Answer::json(&found)
    })
    .await
}

/// Keeps one under its id; names are unique in a kind.
pub async fn keep(call: &Call, kind: &'static str, id: &str, value: &Value) -> Outcome {
    let map = call.read_own().await?;
    let name = &value["Name"];
    let other = |one: &Value| one["Name"] == *name && one["ID"] != value["ID"];
    if !name.is_null() && all(&map, kind).iter().any(other) {
        return Err(Fault::internal(format!("Invalid {kind}: the name {name} is already in use")));
    }
    record::put(call, kind, id, value, PutWhen::Always).await?;
    let map = call.api.seat.map();
    let kept = record::get(&map, kind, id).ok_or_else(|| missing(kind))?;
    Answer::json(&kept.shown())
}

pub async fn delete_one(call: &Call, kind: &'static str) -> Outcome {
    enabled(call, Access::Write)?;
    let id = call.arg("Missing ID")?;
    if id == MANAGEMENT {
        return Err(Fault::forbidden("the policy global-management cannot be deleted"));
    }
    record::delete(call, kind, id, DeleteWhen::Always).await?;
    Ok(Answer::raw(JSON, "true"))
}

/// A name that may stand in a URL.
pub fn valid_name(name: &str) -> Result<(), Fault> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.len() <= 256 && name.chars().all(word) {
        return Ok(());
    }
    Err(Fault::bad_request("Invalid name: it may have letters, digits, dashes and underscores"))
}

async fn write(call: &Call, id: String) -> Outcome {
    let fields = call.fields()?;
    let (name, rules) = (fields.text("Name")?, fields.text("Rules")?);
    valid_name(&name)?;
    super::rules::parse(&rules).map_err(|e| Fault::bad_request(format!("Invalid rules: {e}")))?;
    let policy = json!({
        "ID": id, "Name": &*name, "Description": &*fields.text("Description")?, "Rules": &*rules, "Hash": "",
        "Datacenters": fields.texts("Datacenters")?.iter().map(|d| d.to_string()).collect::<Vec<_>>(),
    });
    keep(call, POLICY, &id, &policy).await
}

pub async fn create(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    write(call, new_uuid()).await
}

pub async fn update(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let id = call.arg("Missing policy ID")?.to_owned();
    let map = call.read_own().await?;
    if record::get(&map, POLICY, &id).is_none() {
        return Err(missing(POLICY));
    }
    write(call, id).await
}
