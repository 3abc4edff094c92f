//! Bootstrap, auth methods, binding rules, login.
//!
//! Auth methods and binding rules are kept for the tools that manage them; nobody can log in by one yet, and is told so.

use serde_json::{Value, json};

use super::enabled::enabled;
use super::policy::{keep, valid_name};
use super::store::{self, new_uuid};
use crate::catalog::record::{self, AUTH_METHOD, BINDING_RULE, SECRET, TOKEN};
use crate::catalog::request::{Access, Answer, Call, Fault, Outcome};

pub async fn bootstrap(call: &Call) -> Outcome {
    if call.api.settings.write_token.is_none() {
        return Err(Fault::acl_disabled());
    }
    Err(Fault::forbidden("ACL bootstrap is no longer allowed: the configuration has the management token"))
}

pub async fn login(call: &Call) -> Outcome {
    if call.api.settings.write_token.is_none() {
        return Err(Fault::acl_disabled());
    }
    let name = call.fields()?.text("AuthMethod")?;
    let map = call.read_own().await?;
    match record::get(&map, AUTH_METHOD, &name) {
        None => Err(Fault::forbidden_as(&format!("ACL not found: auth method {:?} not found", &*name))),
        Some(_) => Err(Fault::internal("login by an auth method is not supported")),
    }
}

/// Ends the token that the request came with, if a login made it; others are deleted by their accessor.
pub async fn logout(call: &Call) -> Outcome {
    if call.api.settings.write_token.is_none() {
        return Err(Fault::acl_disabled());
    }
    let map = call.read_own().await?;
    let secret = call.token.as_deref().unwrap_or_default();
    let token = store::by_secret(&map, secret).ok_or_else(|| Fault::forbidden_as("ACL not found"))?;
    if token["AuthMethod"].is_null() {
        return Err(Fault::forbidden("the token was not made by a login"));
    }
    let accessor = token["AccessorID"].as_str().unwrap_or_default();
    record::change(
        call,
        vec![record::delete_op(TOKEN, accessor), record::delete_op(SECRET, &store::digest(secret))],
    )
    .await?;
    Ok(Answer::held(true))
}

const METHODS: [&str; 4] = ["jwt", "oidc", "kubernetes", "aws-iam"];

async fn write_method(call: &Call, name: &str) -> Outcome {
    let fields = call.fields()?;
    valid_name(name)?;
    let kind = fields.text("Type")?;
    if !METHODS.contains(&&*kind) {
        return Err(Fault::bad_request(format!("Invalid Auth Method: no known type {:?}", &*kind)));
    }
    let method = json!({
        "Name": name, "Type": &*kind, "DisplayName": &*fields.text("DisplayName")?,
        "Description": &*fields.text("Description")?, "Config": fields.value("Config"),
        "MaxTokenTTL": fields.value("MaxTokenTTL"), "TokenLocality": &*fields.text("TokenLocality")?,
    });
    keep(call, AUTH_METHOD, name, &method).await
}

pub async fn create_method(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let name = call.fields()?.text("Name")?;
    write_method(call, &name).await
}

pub async fn update_method(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let name = call.arg("Missing auth method name")?;
    let map = call.read_own().await?;
    if record::get(&map, AUTH_METHOD, name).is_none() {
        return Err(Fault::not_found("Requested auth method does not exist: ACL not found"));
    }
    write_method(call, name).await
}

async fn write_rule(call: &Call, id: String) -> Outcome {
    let fields = call.fields()?;
    let map = call.read_own().await?;
    let method = fields.text("AuthMethod")?;
    if record::get(&map, AUTH_METHOD, &method).is_none() {
        return Err(Fault::bad_request(format!("Invalid Binding Rule: no auth method {:?}", &*method)));
    }
    let kind = fields.text("BindType")?;
    if !["service", "node", "role", "policy", "templated-policy"].contains(&&*kind) {
        return Err(Fault::bad_request(format!("Invalid Binding Rule: unknown BindType {:?}", &*kind)));
    }
    let rule = json!({
        "ID": id, "AuthMethod": &*method, "BindType": &*kind, "BindName": &*fields.text("BindName")?,
        "Description": &*fields.text("Description")?, "Selector": &*fields.text("Selector")?,
    });
    keep(call, BINDING_RULE, &id, &rule).await
}

pub async fn create_rule(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    write_rule(call, new_uuid()).await
}

pub async fn update_rule(call: &Call) -> Outcome {
    enabled(call, Access::Write)?;
    let id = call.arg("Missing binding rule ID")?.to_owned();
    let map = call.read_own().await?;
    if record::get(&map, BINDING_RULE, &id).is_none() {
        return Err(Fault::not_found("Requested binding rule does not exist: ACL not found"));
    }
    write_rule(call, id).await
}

/// The value of a query parameter that a list is narrowed by.
pub fn narrowed<'a>(call: &'a Call, param: &str, field: &'a str) -> impl Fn(&Value) -> bool + 'a {
    let wanted = call.params.text(param).map(str::to_owned);
    move |one| wanted.as_deref().is_none_or(|wanted| one[field] == wanted)
}
