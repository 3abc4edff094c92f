//! Tokens: `/v1/acl/token`.

use serde_json::{Value, json};

use super::enabled::enabled;
use super::store::{
    self, ANONYMOUS, ANONYMOUS_SECRET, INITIAL, MANAGEMENT, READER, builtin_policies, new_uuid,
};
use super::templated;
use crate::base::clock;
use crate::catalog::record::{self, POLICY, ROLE, SECRET, TOKEN};
use crate::catalog::request::{Access, Answer, Call, Fault, Fields, Outcome};
use crate::region::map::Map;

/// Now, as Go writes it.
pub fn now() -> String {
    jiff::Timestamp::from_second(clock::wall().as_secs() as i64).unwrap_or_default().to_string()
}

/// The tokens that stand without being kept: the configuration's, and who gives none.
fn builtin(call: &Call) -> Vec<Value> {
    let settings = &call.api.settings;
    let token = |accessor: &str, secret: &str, description: &str, policies: Value| {
        json!({
            "AccessorID": accessor, "SecretID": secret, "Description": description, "Policies": policies,
            "Local": false, "CreateTime": "1970-01-01T00:00:00Z", "Hash": "", "CreateIndex": 1, "ModifyIndex": 1,
        })
    };
    let mut found = Vec::new();
    if let Some(secret) = &settings.write_token {
        let policies = json!([{ "ID": MANAGEMENT, "Name": "global-management" }]);
        found.push(token(INITIAL, secret, "Initial Management Token", policies));
    }
    found.push(token(ANONYMOUS, ANONYMOUS_SECRET, "Anonymous Token", json!([])));
    if let Some(secret) = &settings.read_token {
        found.push(token(READER, secret, "Read Token", json!([])));
    }
    found
}

/// A token by its accessor.
fn found(call: &Call, map: &Map, accessor: &str) -> Result<Value, Fault> {
    let own = builtin(call).into_iter().find(|token| token["AccessorID"] == accessor);
    let kept = store::by_accessor(map, accessor);
    // What the anonymous token may do can be changed, so that it may be kept too.
    kept.or(own).ok_or_else(|| Fault::forbidden_as("ACL not found: Requested token does not exist"))
}

/// A token that is kept, and so may change.
fn kept(call: &Call, map: &Map, accessor: &str) -> Result<Value, Fault> {
    refuse_builtin(call, accessor)?;
    found(call, map, accessor)
}

fn refuse_builtin(call: &Call, accessor: &str) -> Result<(), Fault> {
    let own = |token: &Value| token["AccessorID"] == accessor && accessor != ANONYMOUS;
    match builtin(call).iter().any(own) {
        true => Err(Fault::forbidden_as("Permission denied: this token belongs to the configuration")),
        false => Ok(()),
    }
}

/// Links to policies or roles, by id or name, with both filled in.
fn links(map: &Map, fields: &Fields, name: &str, kind: &str) -> Result<Vec<Value>, Fault> {
    let mut out = Vec::new();
    for link in fields.objects(name)? {
        let (id, called) = (link.text("ID")?, link.text("Name")?);
        let known = builtin_policies().into_iter().filter(|_| kind == POLICY);
        let all = known.chain(record::list(map, kind, "").into_iter().map(|record| record.value));
        let matches = |one: &Value| {
            one["ID"] == *id && !id.is_empty()
                || id.is_empty() && one["Name"] == *called && !called.is_empty()
        };
        let what = if id.is_empty() { called.clone() } else { id.clone() };
        let one = all.into_iter().find(matches);
        let one = one.ok_or_else(|| Fault::bad_request(format!("No such {kind}: {what:?}")))?;
        out.push(json!({ "ID": one["ID"], "Name": one["Name"] }));
    }
    Ok(out)
}

/// What tokens and roles share: what they may do.
pub fn grants(map: &Map, fields: &Fields, into: &mut Value, roles: bool) -> Result<(), Fault> {
    into["Policies"] = links(map, fields, "Policies", POLICY)?.into();
    if roles {
        into["Roles"] = links(map, fields, "Roles", ROLE)?.into();
    }
    let mut services = Vec::new();
    for one in fields.objects("ServiceIdentities")? {
        let datacenters = one.texts("Datacenters")?;
        let mut identity = json!({ "ServiceName": &*one.text("ServiceName")? });
        if !datacenters.is_empty() {
            identity["Datacenters"] = datacenters.iter().map(|d| &**d).collect::<Vec<&str>>().into();
        }
        services.push(identity);
    }
    let mut nodes = Vec::new();
    for one in fields.objects("NodeIdentities")? {
        nodes.push(json!({ "NodeName": &*one.text("NodeName")?, "Datacenter": &*one.text("Datacenter")? }));
    }
    for (name, list) in [
        ("ServiceIdentities", services),
        ("NodeIdentities", nodes),
        ("TemplatedPolicies", templated::read(fields)?),
    ] {
        if !list.is_empty() {
            into[name] = list.into();
        }
    }
    Ok(())
}

/// When a token ends, by `ExpirationTime` or `ExpirationTTL`.
fn end(fields: &Fields) -> Result<Option<String>, Fault> {
    let at = fields.text("ExpirationTime")?;
    if !at.is_empty() {
        let time: Result<jiff::Timestamp, _> = at.parse();
        return time.map(|t| Some(t.to_string())).map_err(|_| Fault::bad_request("Invalid ExpirationTime"));
    }
    let Some(ms) = fields.millis("ExpirationTTL")? else { return Ok(None) };
    if !(60_000..=86_400_000).contains(&ms) {
        return Err(Fault::bad_request("Invalid ExpirationTTL: it must be between 1m and 24h"));
    }
    let at = jiff::Timestamp::from_second((clock::wall().as_secs() + ms / 1000) as i64).unwrap_or_default();
    Ok(Some(at.to_string()))
}

fn given_uuid(fields: &Fields, name: &str) -> Result<Option<String>, Fault> {
    let text = fields.text(name)?;
    if text.is_empty() {
        return Ok(None);
    }
    match uuid::Uuid::parse_str(&text) {
        Ok(_) => Ok(Some(text.to_string())),
        Err(_) => Err(Fault::bad_request(format!("Invalid Token: {name} must be a UUID"))),
    }
}

async fn keep(call: &Call, token: &Value) -> Outcome {
    let (accessor, secret) = (text(token, "AccessorID"), text(token, "SecretID"));
    let kept = store::concealed(call, token.clone()).await?;
    let ops = vec![
        record::put_op(TOKEN, accessor, &kept),
        record::put_op(SECRET, &store::digest(secret), &Value::String(accessor.to_owned())),
    ];
    record::change(call, ops).await?;
    let map = call.api.seat.map();
    Answer::json(&store::revealed(call, found(call, &map, accessor)?, Some(secret)))
}

/// The same of one whose secret stays as it is.
async fn change(call: &Call, token: &Value) -> Outcome {
    let accessor = text(token, "AccessorID");
    record::change(call, vec![record::put_op(TOKEN, accessor, token)]).await?;
    let map = call.api.seat.map();
    Answer::json(&store::revealed(call, found(call, &map, accessor)?, None))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

pub async fn create(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let fields = call.fields()?;
    let map = call.read_own().await?;
    let accessor = given_uuid(&fields, "AccessorID")?.unwrap_or_else(new_uuid);
    let secret = given_uuid(&fields, "SecretID")?.unwrap_or_else(new_uuid);
    let taken =
        found(call, &map, &accessor).is_ok() || record::get(&map, SECRET, &store::digest(&secret)).is_some();
    if taken || builtin(call).iter().any(|token| token["SecretID"] == *secret) {
        return Err(Fault::internal("Invalid Token: AccessorID or SecretID is already in use"));
    }
    let mut token = json!({
        "AccessorID": accessor, "SecretID": secret, "Description": &*fields.text("Description")?,
        "Local": fields.flag("Local")?, "CreateTime": now(), "Hash": "",
    });
    grants(&map, &fields, &mut token, true)?;
    if let Some(end) = end(&fields)? {
        token["ExpirationTime"] = end.into();
    }
    keep(call, &token).await
}

pub async fn update(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let fields = call.fields()?;
    let map = call.read_own().await?;
    let mut token = kept(call, &map, call.arg("Missing token AccessorID")?)?;
    if fields.has("Description") {
        token["Description"] = Value::String(fields.text("Description")?.to_string());
    }
    if let Some(object) = token.as_object_mut() {
        for name in ["ServiceIdentities", "NodeIdentities", "TemplatedPolicies"] {
            object.remove(name);
        }
    }
    grants(&map, &fields, &mut token, true)?;
    change(call, &token).await
}

pub async fn clone(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let fields = call.fields()?;
    let map = call.read_own().await?;
    let mut token = found(call, &map, call.arg("Missing token AccessorID")?)?;
    token["AccessorID"] = new_uuid().into();
    token["SecretID"] = new_uuid().into();
    token["CreateTime"] = now().into();
    token["Description"] = Value::String(fields.text("Description")?.to_string());
    keep(call, &token).await
}

pub async fn read(call: &Call) -> Outcome {
    enabled(call, Access::Read)?;
    let accessor = call.arg("Missing token AccessorID")?;
    call.read(&[record::topic(TOKEN)], |map| {
        Answer::json(&store::revealed(call, found(call, map, accessor)?, None))
    })
    .await
}

/// Whoever holds a token may read it.
pub async fn read_self(call: &Call) -> Outcome {
    if call.api.settings.write_token.is_none() {
        return Err(Fault::acl_disabled());
    }
    let map = call.read_own().await?;
    let secret = call.token.as_deref().unwrap_or(ANONYMOUS_SECRET);
    let own = builtin(call).into_iter().find(|token| token["SecretID"] == secret);
    match own.or_else(|| store::by_secret(&map, secret)) {
        Some(token) => Answer::json(&store::revealed(call, token, Some(secret))),
        None => Err(Fault::forbidden_as("ACL not found")),
    }
}

/// One that is not there is gone already, whether by this call or by another.
pub async fn delete(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let map = call.read_own().await?;
    let accessor = call.arg("Missing token AccessorID")?;
    if accessor == ANONYMOUS {
        return Err(Fault::bad_request("Delete operation not permitted on the anonymous token"));
    }
    refuse_builtin(call, accessor)?;
    let Some(token) = store::by_accessor(&map, accessor) else { return Ok(Answer::held(true)) };
    let (accessor, digest) = (text(&token, "AccessorID"), text(&token, store::DIGEST));
    record::change(call, vec![record::delete_op(TOKEN, accessor), record::delete_op(SECRET, digest)]).await?;
    Ok(Answer::held(true))
}

fn linked(token: &Value, list: &str, field: &str, wanted: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    token[list].as_array().into_iter().flatten().any(|link| link[field] == wanted)
}

pub async fn list(call: &Call) -> Outcome {
    enabled(call, Access::Read)?;
    call.read(&[record::topic(TOKEN)], |map| {
        let kept = record::list(map, TOKEN, "").into_iter().map(|record| record.shown());
        let own = builtin(call).into_iter().filter(|token| {
            store::by_accessor(map, token["AccessorID"].as_str().unwrap_or_default()).is_none()
        });
        let mut all: Vec<Value> = own.chain(kept).collect();
        all.retain(|token| {
            !store::expired(token)
                && linked(token, "Policies", "ID", call.params.text("policy"))
                && linked(token, "Roles", "ID", call.params.text("role"))
                && linked(token, "ServiceIdentities", "ServiceName", call.params.text("servicename"))
                && call.params.text("authmethod").is_none_or(|method| token["AuthMethod"] == method)
        });
        let all: Vec<Value> = all.into_iter().map(|token| store::revealed(call, token, None)).collect();
        Answer::json(&all)
    })
    .await
}
