//! Transactions: `/v1/txn`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::catalog::kv::key::{EntryView, client_key, whole_tree};
use crate::catalog::record;
use crate::catalog::registry::definition;
use crate::catalog::registry::register;
use crate::catalog::registry::view::{CheckView, NodeView, ServiceView};
use crate::catalog::request::{
    Access, Answer, Call, Fault, Fields, Outcome, PUT, Resource, Route, VALUE, parse_value,
};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[Route {
    methods: PUT,
    path: "/v1/txn",
    body: 2 * VALUE,
    run: |call| Box::pin(run(call)),
    doc: "Applies up to 128 operations on keys, nodes, services and checks, all or none.",
}];

/// Operations that one transaction may have.
const OPS: usize = 128;

/// What was asked for, in order: some operations are more than one in the map, and some answer nothing.
struct Plan {
    ops: Vec<TxnOp>,
    /// The operation of the request that each stands for.
    origin: Vec<u32>,
}

impl Plan {
    fn add(&mut self, origin: usize, ops: impl IntoIterator<Item = TxnOp>) {
        for op in ops {
            self.ops.push(op);
            self.origin.push(origin as u32);
        }
    }
}

async fn run(call: &Call) -> Outcome {
    let value = parse_value(&call.body)?;
    let given =
        value.as_array().ok_or_else(|| Fault::bad_request("Failed to parse body: it must be a list"))?;
    if given.len() > OPS {
        let text = format!("Transaction contains too many operations ({} > {OPS})", given.len());
        return Err(Fault::too_large_as(&text));
    }
    let map = call.read_own().await?;
    let mut plan = Plan { ops: Vec::new(), origin: Vec::new() };
    for (n, one) in given.iter().enumerate() {
        let fields = Fields::of(one.clone())?;
        plan.add(n, operation(call, &map, &fields)?);
    }
    let writes = plan.ops.iter().any(is_write);
    let (results, errors) = match call.propose(Command::Txn(plan.ops)).await? {
        Reply::Txn { results, errors, .. } => (results, errors),
        _ => (Vec::new(), Vec::new()),
    };
    let datacenter = &call.api.settings.datacenter;
    let visible = |result: &&TxnResult| !matches!(result, TxnResult::Kv(e) if !may_read(call, &e.key));
    let results: Vec<Value> = results.iter().filter(visible).map(|one| shown(one, datacenter)).collect();
    let error = |one: &TxnError| {
        let op = plan.origin.get(one.op as usize).copied().unwrap_or(0);
        json!({ "OpIndex": op, "What": &*one.what })
    };
    let failed: Vec<Value> = errors.iter().map(error).collect();
    let nothing_if_empty = |list: Vec<Value>| if list.is_empty() { Value::Null } else { Value::Array(list) };
    let status = if failed.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    let mut body = json!({ "Results": results, "Errors": nothing_if_empty(failed) });
    if status == StatusCode::CONFLICT {
        body["Results"] = Value::Null;
    }
    let mut answer = Answer::json(&body)?.with_status(status);
    if !writes {
        answer = answer.with("x-consul-knownleader", "true").with_number("x-consul-lastcontact", 0);
    }
    Ok(answer)
}

fn may_read(call: &Call, key: &str) -> bool {
    record::is_clients(key) && call.allows(Resource::Key, key, Access::Read)
}

fn is_write(op: &TxnOp) -> bool {
    !matches!(
        op,
        TxnOp::KvGet { .. }
            | TxnOp::KvGetTree { .. }
            | TxnOp::KvCheckIndex { .. }
            | TxnOp::KvCheckSession { .. }
            | TxnOp::KvCheckNotExists { .. }
            | TxnOp::NodeGet { .. }
            | TxnOp::ServiceGet { .. }
            | TxnOp::CheckGet { .. }
    )
}

fn shown(result: &TxnResult, datacenter: &str) -> Value {
    let value = |view: Result<Value, serde_json::Error>| view.unwrap_or(Value::Null);
    match result {
        TxnResult::Kv(entry) => {
            let mut view = value(serde_json::to_value(EntryView::new(entry)));
            // Only what reads a value answers one.
            if entry.value.is_empty()
                && let Some(object) = view.as_object_mut()
            {
                object.remove("Value");
            }
            json!({ "KV": view })
        }
        TxnResult::Node(node) => {
            json!({ "Node": value(serde_json::to_value(NodeView::new(node, datacenter))) })
        }
        TxnResult::Service(one) => json!({ "Service": value(serde_json::to_value(ServiceView::new(one))) }),
        TxnResult::Check(check) => json!({ "Check": value(serde_json::to_value(CheckView::new(check))) }),
    }
}

fn operation(call: &Call, map: &Map, fields: &Fields) -> Result<Vec<TxnOp>, Fault> {
    if let Some(kv) = fields.object("KV")? {
        return on_key(call, map, &kv);
    }
    if let Some(node) = fields.object("Node")? {
        return on_node(call, &node).map(|op| vec![op]);
    }
    if let Some(service) = fields.object("Service")? {
        return on_service(call, map, &service).map(|op| vec![op]);
    }
    if let Some(check) = fields.object("Check")? {
        return on_check(call, map, &check).map(|op| vec![op]);
    }
    if let Some(session) = fields.object("Session")? {
        let id = session.object("Session")?.map_or_else(|| session.text("ID"), |inner| inner.text("ID"))?;
        let node = map.session(&id).map_or("", |session| &session.node);
        call.require(Resource::Session, node, Access::Write)?;
        return Ok(vec![TxnOp::SessionDestroy { id }]);
    }
    Err(Fault::bad_request("Unknown operation: expected KV, Node, Service, Check or Session"))
}

fn on_key(call: &Call, map: &Map, kv: &Fields) -> Result<Vec<TxnOp>, Fault> {
    let verb = kv.text("Verb")?;
    let key = client_key(&kv.text("Key")?)?;
    let index = kv.number("Index")?.unwrap_or(0);
    let session = kv.text("Session")?;
    let reads = matches!(&*verb, "get" | "get-tree" | "check-index" | "check-session" | "check-not-exists");
    call.require(Resource::Key, &key, if reads { Access::Read } else { Access::Write })?;
    let put = |when: PutWhen| -> Result<TxnOp, Fault> {
        Ok(TxnOp::KvPut {
            key: key.clone(),
            value: value(kv)?,
            flags: kv.number("Flags")?.unwrap_or(0),
            when,
        })
    };
    if key.is_empty() && !matches!(&*verb, "get-tree" | "delete-tree") {
        return Err(Fault::bad_request("Missing key name"));
    }
    let delete = |when: DeleteWhen| TxnOp::KvDelete { key: key.clone(), when };
    Ok(vec![match &*verb {
        "set" => put(PutWhen::Always)?,
        "cas" => put(PutWhen::Cas(index))?,
        "lock" => put(PutWhen::Acquire(session))?,
        "unlock" => put(PutWhen::Release(session))?,
        "get" => TxnOp::KvGet { key },
        "get-tree" => TxnOp::KvGetTree { key },
        "check-index" => TxnOp::KvCheckIndex { key, index },
        "check-session" => TxnOp::KvCheckSession { key, session },
        "check-not-exists" => TxnOp::KvCheckNotExists { key },
        "delete" => delete(DeleteWhen::Always),
        "delete-tree" if key.is_empty() => return Ok(whole_tree(map)),
        "delete-tree" => delete(DeleteWhen::Tree),
        "delete-cas" => delete(DeleteWhen::Cas(index)),
        other => return Err(Fault::bad_request(format!("unknown KV verb {other:?}"))),
    }])
}

fn value(kv: &Fields) -> Result<Bytes, Fault> {
    let text = kv.text("Value")?;
    let decoded = STANDARD.decode(text.as_bytes());
    let decoded = decoded.map_err(|e| Fault::bad_request(format!("Failed to parse body: Value: {e}")))?;
    if decoded.len() > VALUE {
        return Err(Fault::too_large(VALUE));
    }
    Ok(decoded.into())
}

/// The index that `cas` and `delete-cas` compare with.
fn compared(verb: &str, fields: &Fields) -> Result<Option<Index>, Fault> {
    match verb.ends_with("cas") {
        true => Ok(Some(fields.number("ModifyIndex")?.unwrap_or(0))),
        false => Ok(None),
    }
}

fn on_node(call: &Call, outer: &Fields) -> Result<TxnOp, Fault> {
    let verb = outer.text("Verb")?;
    let fields = outer.object("Node")?.unwrap_or_default();
    let mut node = register::node(&fields)?;
    if fields.has("Meta") {
        node.meta = definition::meta(&fields, "Meta")?;
    }
    let name = node.name.clone();
    let access = if &*verb == "get" { Access::Read } else { Access::Write };
    call.require(Resource::Node, &name, access)?;
    let cas = compared(&verb, &fields)?;
    match &*verb {
        "set" | "cas" => Ok(TxnOp::NodePut { node, cas }),
        "delete" | "delete-cas" => Ok(TxnOp::NodeDelete { name, cas }),
        "get" => Ok(TxnOp::NodeGet { name }),
        other => Err(Fault::bad_request(format!("unknown node verb {other:?}"))),
    }
}

fn on_service(call: &Call, map: &Map, outer: &Fields) -> Result<TxnOp, Fault> {
    let verb = outer.text("Verb")?;
    let node = outer.text("Node")?;
    let fields = outer.object("Service")?.unwrap_or_default();
    let id = fields.text("ID")?;
    let cas = compared(&verb, &fields)?;
    let known = map.instance(&node, &id).map(|one| one.service.clone()).unwrap_or_default();
    match &*verb {
        "set" | "cas" => {
            let instance = Instance { node, ..definition::instance(&fields, "Service")? };
            call.require(Resource::Service, &instance.service, Access::Write)?;
            Ok(TxnOp::ServicePut { instance, cas })
        }
        "delete" | "delete-cas" => {
            call.require(Resource::Service, &known, Access::Write)?;
            Ok(TxnOp::ServiceDelete { node, id, cas })
        }
        "get" => {
            call.require(Resource::Service, &known, Access::Read)?;
            Ok(TxnOp::ServiceGet { node, id })
        }
        other => Err(Fault::bad_request(format!("unknown service verb {other:?}"))),
    }
}

fn on_check(call: &Call, map: &Map, outer: &Fields) -> Result<TxnOp, Fault> {
    let verb = outer.text("Verb")?;
    let fields = outer.object("Check")?.unwrap_or_default();
    let node = fields.text("Node")?;
    let check = register::check(&fields, &node)?;
    let cas = compared(&verb, &fields)?;
    let service = match map.check(&node, &check.id) {
        Some(known) => known.service.clone(),
        None => map.instance(&node, &check.service_id).map(|one| one.service.clone()).unwrap_or_default(),
    };
    let access = if &*verb == "get" { Access::Read } else { Access::Write };
    match service.is_empty() {
        true => call.require(Resource::Node, &node, access)?,
        false => call.require(Resource::Service, &service, access)?,
    }
    let id = check.id.clone();
    match &*verb {
        "set" | "cas" => Ok(TxnOp::CheckPut { check, cas }),
        "delete" | "delete-cas" => Ok(TxnOp::CheckDelete { node, id, cas }),
        "get" => Ok(TxnOp::CheckGet { node, id }),
        other => Err(Fault::bad_request(format!("unknown check verb {other:?}"))),
    }
}
