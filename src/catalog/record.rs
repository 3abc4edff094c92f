//! Records that the catalog keeps in the map for itself, as JSON: tokens, policies, configuration entries.
//!
//! They stand among the keys, under a first character that no client may use, so that they share the conditions,
//! indexes and snapshots of keys.

use serde_json::Value;

use crate::catalog::request::{Call, Fault};
use crate::region::map::{Command, DeleteWhen, Entry, Index, Map, Name, PutWhen, Reply, Topic, TxnOp};

/// The first character of a key that is no client's.
pub const OWN: char = '\0';

pub const CONFIG: &str = "config";
pub const TOKEN: &str = "token";
/// The accessor of the token with a secret.
pub const SECRET: &str = "secret";
pub const POLICY: &str = "policy";
pub const ROLE: &str = "role";
pub const AUTH_METHOD: &str = "auth-method";
pub const BINDING_RULE: &str = "binding-rule";
pub const SETTING: &str = "setting";
/// By node: that it leaves, or left.
pub const LEAVING: &str = "leaving";

/// A record with the indexes of its entry.
#[derive(Debug, Clone)]
pub struct Record {
    pub value: Value,
    pub create_index: Index,
    pub modify_index: Index,
}

impl Record {
    fn of(entry: &Entry) -> Option<Record> {
        let value = serde_json::from_slice(&entry.value).ok()?;
        Some(Record { value, create_index: entry.create_index, modify_index: entry.modify_index })
    }

    /// The record with its indexes in it, as Consul answers it.
    pub fn shown(self) -> Value {
        let mut value = self.value;
        if let Some(object) = value.as_object_mut() {
            object.insert("CreateIndex".into(), self.create_index.into());
            object.insert("ModifyIndex".into(), self.modify_index.into());
        }
        value
    }
}

fn key(kind: &str, id: &str) -> Name {
    format!("{OWN}{kind}/{id}").into()
}

/// Whether a client may name a key.
pub fn is_clients(key: &str) -> bool {
    !key.starts_with(OWN)
}

pub fn topic(kind: &str) -> Topic {
    Topic::Prefix(key(kind, ""))
}

pub fn get(map: &Map, kind: &str, id: &str) -> Option<Record> {
    map.entry(&key(kind, id)).and_then(|entry| Record::of(entry))
}

/// Every record of a kind whose id begins so, by id.
pub fn list(map: &Map, kind: &str, id: &str) -> Vec<Record> {
    map.entries(&key(kind, id)).filter_map(|entry| Record::of(entry)).collect()
}

pub async fn put(call: &Call, kind: &str, id: &str, value: &Value, when: PutWhen) -> Result<bool, Fault> {
    let value = serde_json::to_vec(value).map_err(|e| Fault::internal(e.to_string()))?;
    let command = Command::KvPut { key: key(kind, id), value: value.into(), flags: 0, when };
    call.propose_held(command).await
}

pub async fn delete(call: &Call, kind: &str, id: &str, when: DeleteWhen) -> Result<bool, Fault> {
    call.propose_held(Command::KvDelete { key: key(kind, id), when }).await
}

/// A write as an operation of a transaction.
pub fn put_op(kind: &str, id: &str, value: &Value) -> TxnOp {
    let value = serde_json::to_vec(value).unwrap_or_default();
    TxnOp::KvPut { key: key(kind, id), value: value.into(), flags: 0, when: PutWhen::Always }
}

pub fn delete_op(kind: &str, id: &str) -> TxnOp {
    TxnOp::KvDelete { key: key(kind, id), when: DeleteWhen::Always }
}

/// All of it or nothing.
pub async fn change(call: &Call, ops: Vec<TxnOp>) -> Result<(), Fault> {
    match call.propose(Command::Txn(ops)).await? {
        Reply::Txn { errors, .. } if !errors.is_empty() => Err(Fault::internal(errors[0].what.to_string())),
        _ => Ok(()),
    }
}

/// `?cas=INDEX` of a change to a record.
pub fn cas(call: &Call) -> Result<Option<Index>, Fault> {
    call.params.number("cas")
}
