//! Keys and values: `/v1/kv`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::catalog::record;
use crate::catalog::request::{
    Access, Answer, Call, DELETE, Fault, GET, Outcome, PUT, Resource, Route, VALUE, show,
};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/kv/*key",
        body: 0,
        run: |call| Box::pin(read(call)),
        doc: "A key (?raw: its value alone), with ?recurse all that begin so, with ?keys their names up to ?separator.",
    },
    Route {
        methods: PUT,
        path: "/v1/kv/*key",
        body: VALUE,
        run: |call| Box::pin(put(call)),
        doc: "Sets a key to the body; ?flags, ?cas=INDEX, ?acquire=SESSION, ?release=SESSION.",
    },
    Route {
        methods: DELETE,
        path: "/v1/kv/*key",
        body: 0,
        run: |call| Box::pin(delete(call)),
        doc: "Deletes a key; ?cas=INDEX, ?recurse for all that begin so.",
    },
];

/// An entry; `Session` only while it is locked.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntryView<'a> {
    pub lock_index: u64,
    pub key: &'a str,
    pub flags: u64,
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<&'a str>,
    pub create_index: Index,
    pub modify_index: Index,
}

impl<'a> EntryView<'a> {
    pub fn new(entry: &'a Entry) -> Self {
        EntryView {
            lock_index: entry.lock_index,
            key: &entry.key,
            flags: entry.flags,
            value: (!entry.value.is_empty()).then(|| STANDARD.encode(&entry.value)),
            session: entry.session.as_deref(),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

/// A key that a client may name.
pub fn client_key(key: &str) -> Result<Name, Fault> {
    if record::is_clients(key) { Ok(key.into()) } else { Err(Fault::bad_request("Invalid key name")) }
}

async fn read(call: &Call) -> Outcome {
    let key = client_key(call.args.first().map_or("", String::as_str))?;
    if call.params.has("keys") {
        return keys(call, key).await;
    }
    if call.params.has("recurse") {
        return recurse(call, key).await;
    }
    if key.is_empty() {
        return Err(Fault::bad_request("Missing key name"));
    }
    call.require(Resource::Key, &key, Access::Read)?;
    call.read(&[Topic::Key(key.clone())], |map| match map.entry(&key) {
        None => Ok(Answer::absent()),
        // Whatever it holds, a browser must take it for text.
        Some(entry) if call.params.has("raw") => Ok(Answer::raw("text/plain", entry.value.clone())
            .with("x-content-type-options", "nosniff")
            .with("content-security-policy", "sandbox")),
        Some(entry) => Answer::json(&[EntryView::new(entry)]),
    })
    .await
}

/// The entries under a prefix that the caller may see.
fn visible<'a>(
    call: &'a Call,
    map: &'a Map,
    prefix: &'a str,
) -> impl Iterator<Item = &'a std::sync::Arc<Entry>> {
    let seen = |entry: &&std::sync::Arc<Entry>| {
        record::is_clients(&entry.key) && call.allows(Resource::Key, &entry.key, Access::Read)
    };
    map.entries(prefix).filter(seen)
}

async fn recurse(call: &Call, prefix: Name) -> Outcome {
    call.read(&[Topic::Prefix(prefix.clone())], |map| {
        let found: Vec<_> = visible(call, map, &prefix).cloned().collect();
        match found.is_empty() {
            true => Ok(Answer::absent()),
            false => Answer::rows(map, found, |_, entry, out| show(out, &EntryView::new(entry))),
        }
    })
    .await
}

async fn keys(call: &Call, prefix: Name) -> Outcome {
    let separator = call.params.text("separator").unwrap_or_default();
    call.read(&[Topic::Prefix(prefix.clone())], |map| {
        let mut found: Vec<&str> = Vec::new();
        for entry in visible(call, map, &prefix) {
            let rest = &entry.key[prefix.len()..];
            let end = if separator.is_empty() { None } else { rest.find(separator) };
            let shown = end.map_or(&*entry.key, |at| &entry.key[..prefix.len() + at + separator.len()]);
            if found.last() != Some(&shown) {
                found.push(shown);
            }
        }
        if found.is_empty() { Ok(Answer::absent()) } else { Answer::json(&found) }
    })
    .await
}

async fn put(call: &Call) -> Outcome {
    let key = client_key(call.arg("Missing key name")?)?;
    call.require(Resource::Key, &key, Access::Write)?;
    let flags = call.params.number("flags")?.unwrap_or(0);
    let conditions = ["cas", "acquire", "release"].iter().filter(|name| call.params.has(name)).count();
    if conditions > 1 {
        return Err(Fault::bad_request("Conflicting flags: cas, acquire and release exclude each other"));
    }
    let params = &call.params;
    let when = match (params.number("cas")?, params.one("acquire")?, params.one("release")?) {
        (Some(index), ..) => PutWhen::Cas(index),
        (_, Some(session), _) => PutWhen::Acquire(session.into()),
        (.., Some(session)) => PutWhen::Release(session.into()),
        _ => PutWhen::Always,
    };
    let release = matches!(when, PutWhen::Release(_));
    let command = Command::KvPut { key, value: call.body.clone(), flags, when };
    let held = match call.api.seat.propose(command).await? {
        Reply::Held { held, .. } => held,
        // Who is gone holds nothing: not an error, for one who lets go.
        Reply::Refused(Refusal::InvalidSession(_)) if release => false,
        Reply::Refused(refusal) => return Err(Fault::internal(refusal.to_string())),
        _ => true,
    };
    Ok(Answer::held(held))
}

async fn delete(call: &Call) -> Outcome {
    let key = client_key(call.args.first().map_or("", String::as_str))?;
    let cas = call.params.number("cas")?;
    if call.params.flag("recurse") {
        if cas.is_some() {
            return Err(Fault::bad_request("Conflicting flags: cas and recurse exclude each other"));
        }
        return delete_tree(call, key).await;
    }
    if key.is_empty() {
        return Err(Fault::bad_request("Missing key name"));
    }
    call.require(Resource::Key, &key, Access::Write)?;
    let when = cas.map_or(DeleteWhen::Always, DeleteWhen::Cas);
    Ok(Answer::held(call.propose_held(Command::KvDelete { key, when }).await?))
}

async fn delete_tree(call: &Call, prefix: Name) -> Outcome {
    let map = call.read_own().await?;
    for entry in map.entries(&prefix).filter(|entry| record::is_clients(&entry.key)) {
        call.require(Resource::Key, &entry.key, Access::Write)?;
    }
    call.require(Resource::Key, &prefix, Access::Write)?;
    let command = match prefix.is_empty() {
        true => Command::Txn(whole_tree(&map)),
        false => Command::KvDelete { key: prefix, when: DeleteWhen::Tree },
    };
    call.propose(command).await?;
    Ok(Answer::held(true))
}

/// What deletes every key of clients, and none of the catalog's own: a tree for each first character.
pub fn whole_tree(map: &Map) -> Vec<TxnOp> {
    let mut ops = Vec::new();
    let mut last = None;
    for entry in map.entries("").filter(|entry| record::is_clients(&entry.key)) {
        let first = entry.key.chars().next();
        if let Some(c) = first.filter(|_| first != last) {
            ops.push(TxnOp::KvDelete { key: c.to_string().into(), when: DeleteWhen::Tree });
        }
        last = first;
    }
    ops
}
