//! Tokens and policies as they are kept, and what a request's token may do.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::base::clock;
use crate::catalog::api::Api;
use crate::catalog::record::{self, POLICY, ROLE, SECRET, TOKEN};
use crate::catalog::request::{Access, Authority, Call, Fault, Level, Resource, Rule};
use crate::region::map::Map;

/// The policy that allows everything.
pub const MANAGEMENT: &str = "00000000-0000-0000-0000-000000000001";
/// The accessor of who gives no token, and its secret.
pub const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";
pub const ANONYMOUS_SECRET: &str = "anonymous";
/// The accessor of the token that the configuration gives.
pub const INITIAL: &str = "00000000-0000-0000-0000-000000000003";
/// The accessor of the configuration's token for readers.
pub const READER: &str = "00000000-0000-0000-0000-000000000004";

/// The policies that stand without being kept.
pub fn builtin_policies() -> Vec<Value> {
    vec![json!({
        "ID": MANAGEMENT, "Name": "global-management", "Datacenters": null, "Hash": "",
        "Description": "A policy that grants unlimited access", "Rules": "", "CreateIndex": 1, "ModifyIndex": 1,
    })]
}

/// The id of a new record.
pub fn new_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// What a request may do, by its token.
pub fn authority(api: &Api, token: Option<&str>) -> Result<Authority, Fault> {
    let settings = &api.settings;
    let anonymous = if settings.read_token.is_none() { Authority::Reader } else { Authority::Nobody };
    match (&settings.write_token, &settings.read_token) {
        (None, None) => return Ok(Authority::Everything),
        (Some(write), _) if token.is_some_and(|token| same(token, write)) => {
            return Ok(Authority::Everything);
        }
        (_, Some(read)) if token.is_some_and(|token| same(token, read)) => {
            return Ok(if settings.write_token.is_none() {
                Authority::Everything
            } else {
                Authority::Reader
            });
        }
        _ => {}
    }
    let map = api.seat.map();
    let reads = matches!(anonymous, Authority::Reader);
    let Some(secret) = token.filter(|token| *token != ANONYMOUS_SECRET) else {
        // Who gives no token may do what was granted to the anonymous one.
        return Ok(by_accessor(&map, ANONYMOUS).map_or(anonymous, |kept| of_token(&map, &kept, reads)));
    };
    let found = by_secret(&map, secret).ok_or_else(|| Fault::forbidden_as("ACL not found"))?;
    Ok(of_token(&map, &found, reads))
}

/// Compares in a time that does not tell how much of a secret was right.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (x, y)| differs | (x ^ y)) == 0
}

/// Where the map has the accessor of a secret: it knows secrets by what was made of them, since every node has it.
pub fn digest(secret: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A token that stands and has not expired.
pub fn by_secret(map: &Map, secret: &str) -> Option<Value> {
    let accessor = record::get(map, SECRET, &digest(secret))?.value;
    by_accessor(map, accessor.as_str()?)
}

/// As it is kept: its secret is not in it, but sealed; see [`revealed`].
pub fn by_accessor(map: &Map, accessor: &str) -> Option<Value> {
    let token = record::get(map, TOKEN, accessor)?.shown();
    (!expired(&token)).then_some(token)
}

/// What stands in the place of a secret that this node cannot read.
const HIDDEN: &str = "<hidden>";

/// A token as its reader sees it. `known`: the secret, if the reader brought it.
pub fn revealed(call: &Call, mut token: Value, known: Option<&str>) -> Value {
    let Some(object) = token.as_object_mut() else { return token };
    object.remove(DIGEST);
    let sealed = object.remove(SEALED);
    // Who may read what tokens there are may not use them.
    if known.is_none() && !call.allows(Resource::Acl, "", Access::Write) {
        object.insert("SecretID".into(), HIDDEN.into());
        return token;
    }
    if object.contains_key("SecretID") {
        return token;
    }
    let open = |sealed: &Value| {
        let sealed = STANDARD.decode(sealed.as_str()?).ok()?;
        let name = sealed_as(object.get("AccessorID")?.as_str()?);
        String::from_utf8(call.api.seat.unseal(&name, &sealed)?.to_vec()).ok()
    };
    let secret = known.map(str::to_owned).or_else(|| sealed.as_ref().and_then(open));
    object.insert("SecretID".into(), secret.unwrap_or_else(|| HIDDEN.to_owned()).into());
    token
}

/// A token as it is to be kept: where the cluster has keys, its secret is sealed.
pub async fn concealed(call: &Call, mut token: Value) -> Result<Value, Fault> {
    let (accessor, secret) = (text(&token, "AccessorID").to_owned(), text(&token, "SecretID").to_owned());
    let sealed = call.api.seat.seal(sealed_as(&accessor).into(), secret.clone().into()).await?;
    if let (Some(object), Some(sealed)) = (token.as_object_mut(), sealed) {
        object.remove("SecretID");
        object.insert(SEALED.into(), STANDARD.encode(&sealed).into());
    }
    token[DIGEST] = digest(&secret).into();
    Ok(token)
}

fn sealed_as(accessor: &str) -> String {
    format!("token/{accessor}")
}

/// Of a token that is kept: its secret, sealed, and what the map knows that by.
const SEALED: &str = "SealedSecret";
pub const DIGEST: &str = "SecretDigest";

pub fn expired(token: &Value) -> bool {
    let end =
        token.get("ExpirationTime").and_then(Value::as_str).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    end.is_some_and(|end| end.as_second() <= clock::wall().as_secs() as i64)
}

/// The things of one kind that a token or role links to.
fn links<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn of_token(map: &Map, token: &Value, reader: bool) -> Authority {
    let roles: Vec<Value> = links(token, "Roles")
        .filter_map(|link| record::get(map, ROLE, text(link, "ID")))
        .map(|role| role.value)
        .collect();
    let mut rules = Vec::new();
    for holder in [token].into_iter().chain(&roles) {
        for link in links(holder, "Policies") {
            if text(link, "ID") == MANAGEMENT {
                return Authority::Everything;
            }
            let policy = record::get(map, POLICY, text(link, "ID")).map(|policy| policy.value);
            let parsed = policy.and_then(|policy| super::rules::parse(text(&policy, "Rules")).ok());
            rules.extend(parsed.unwrap_or_default());
        }
        rules.extend(links(holder, "ServiceIdentities").flat_map(|one| service(text(one, "ServiceName"))));
        rules.extend(links(holder, "NodeIdentities").flat_map(|one| node(text(one, "NodeName"))));
        rules.extend(links(holder, "TemplatedPolicies").flat_map(super::templated::rules_of));
    }
    Authority::Rules { rules: Arc::from(rules), reader }
}

fn rule(resource: Resource, name: &str, prefix: bool, level: Level) -> Rule {
    Rule { resource, name: name.into(), prefix, level }
}

/// What a service needs to register itself and find others.
pub fn service(name: &str) -> Vec<Rule> {
    vec![
        rule(Resource::Service, name, false, Level::Write),
        rule(Resource::Service, &format!("{name}-sidecar-proxy"), false, Level::Write),
        rule(Resource::Service, "", true, Level::Read),
        rule(Resource::Node, "", true, Level::Read),
    ]
}

/// What a node's agent needs.
pub fn node(name: &str) -> Vec<Rule> {
    vec![rule(Resource::Node, name, false, Level::Write), rule(Resource::Service, "", true, Level::Read)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "abcd") && !same("", "a"));
    }

    #[test]
    fn tokens_end() {
        let at = |text: &str| serde_json::json!({ "ExpirationTime": text });
        assert!(expired(&at("2001-01-01T00:00:00Z")) && !expired(&at("2999-01-01T00:00:00Z")));
        assert!(!expired(&serde_json::json!({})));
    }
}
