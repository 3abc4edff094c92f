//! Transactions: operations in order, each sees those before it; one that fails undoes them all.

use std::sync::Arc;

use bytes::Bytes;

use super::change::Change;
use super::command::*;
use super::map::Map;
use super::record::*;

/// What one operation yields, or why the transaction fails.
type Step = Result<Vec<TxnResult>, Name>;

impl Map {
    /// The results of all operations, or every error of those that failed.
    pub(super) fn transaction(&mut self, ops: Vec<TxnOp>, change: &mut Change) -> Reply {
        let (before, touched) = (self.clone(), change.touched.len());
        let (mut results, mut errors) = (Vec::new(), Vec::new());
        for (op, what) in (0..).zip(ops) {
            match self.operation(what, change) {
                Ok(more) if errors.is_empty() => results.extend(more),
                Ok(_) => {}
                Err(what) => errors.push(TxnError { op, what }),
            }
        }
        if !errors.is_empty() {
            *self = Map { index: self.index, ..before };
            change.touched.truncate(touched);
            results.clear();
        }
        Reply::Txn { results, errors, index: change.index }
    }

    fn operation(&mut self, op: TxnOp, change: &mut Change) -> Step {
        match op {
            TxnOp::KvPut { key, value, flags, when } => self.txn_put(key, value, flags, &when, change),
            TxnOp::KvDelete { key, when } => match self.kv_delete(&key, &when, change) {
                true => Ok(Vec::new()),
                false => Err(said(format!("failed to delete key {key:?}, index is stale"))),
            },
            TxnOp::KvGet { .. }
            | TxnOp::KvGetTree { .. }
            | TxnOp::KvCheckIndex { .. }
            | TxnOp::KvCheckSession { .. }
            | TxnOp::KvCheckNotExists { .. } => self.txn_read_key(op),
            TxnOp::SessionDestroy { id } => {
                self.session_end(&id, change);
                Ok(Vec::new())
            }
            TxnOp::NodePut { .. } | TxnOp::NodeDelete { .. } | TxnOp::NodeGet { .. } => {
                self.txn_node(op, change)
            }
            TxnOp::ServicePut { .. } | TxnOp::ServiceDelete { .. } | TxnOp::ServiceGet { .. } => {
                self.txn_service(op, change)
            }
            TxnOp::CheckPut { .. } | TxnOp::CheckDelete { .. } | TxnOp::CheckGet { .. } => {
                self.txn_check(op, change)
            }
        }
    }

    fn txn_put(&mut self, key: Name, value: Bytes, flags: u64, when: &PutWhen, change: &mut Change) -> Step {
        let delayed = matches!(when, PutWhen::Acquire(_)) && self.lock_delayed(&key, change.at);
        let entry = Entry { key: key.clone(), value, flags, ..Entry::default() };
        if self.kv_put(entry, when, change).map_err(refused)? {
            return Ok(self.entry(&key).map(without_value).into_iter().collect());
        }
        Err(said(match when {
            PutWhen::Acquire(_) if delayed => format!("failed to lock key {key:?} due to lock delay"),
            PutWhen::Acquire(_) => format!("failed to lock key {key:?}, lock is already held"),
            PutWhen::Release(_) => {
                format!("failed to unlock key {key:?}, lock isn't held, or is held by another session")
            }
            PutWhen::Always | PutWhen::Cas(_) => format!("failed to set key {key:?}, index is stale"),
        }))
    }

    fn txn_read_key(&self, op: TxnOp) -> Step {
        match op {
            TxnOp::KvGetTree { key } => {
                Ok(self.entries(&key).map(|entry| TxnResult::Kv(Entry::clone(entry))).collect())
            }
            TxnOp::KvGet { key } => match self.entry(&key) {
                Some(entry) => Ok(vec![TxnResult::Kv(Entry::clone(entry))]),
                None => Err(said(format!("key {key:?} doesn't exist"))),
            },
            TxnOp::KvCheckNotExists { key } => match self.entry(&key) {
                Some(_) => Err(said(format!("key {key:?} exists"))),
                None => Ok(Vec::new()),
            },
            TxnOp::KvCheckIndex { key, index } => match self.entry(&key) {
                None => Err(said(format!("failed to check index, key {key:?} doesn't exist"))),
                Some(entry) if entry.modify_index != index => Err(said(format!(
                    "failed index check for key {key:?}, current modify index {} != {index}",
                    entry.modify_index
                ))),
                Some(entry) => Ok(vec![without_value(entry)]),
            },
            TxnOp::KvCheckSession { key, session } => {
                let Some(entry) = self.entry(&key) else {
                    return Err(said(format!("failed to check session, key {key:?} doesn't exist")));
                };
                let holder = entry.session.clone().unwrap_or_default();
                match holder == session {
                    true => Ok(vec![without_value(entry)]),
                    false => Err(said(format!(
                        "failed session check for key {key:?}, current session {holder:?} != {session:?}"
                    ))),
                }
            }
            _ => Ok(Vec::new()),
        }
    }

    fn txn_node(&mut self, op: TxnOp, change: &mut Change) -> Step {
        match op {
            TxnOp::NodePut { node, cas } => {
                let name = node.name.clone();
                if stale(cas, self.node(&name).map(|node| node.modify_index)) {
                    return Err(said(format!("failed to set node {name:?}, index is stale")));
                }
                self.may_put_node(&node).map_err(refused)?;
                self.node_put(node, change);
                Ok(self.node(&name).map(|node| TxnResult::Node(Node::clone(node))).into_iter().collect())
            }
            TxnOp::NodeDelete { name, cas } => {
                if stale(cas, self.node(&name).map(|node| node.modify_index)) {
                    return Err(said(format!("failed to delete node {name:?}, index is stale")));
                }
                self.node_delete(&name, change);
                Ok(Vec::new())
            }
            TxnOp::NodeGet { name } => match self.node(&name) {
                Some(node) => Ok(vec![TxnResult::Node(Node::clone(node))]),
                None => Err(said(format!("node {name:?} doesn't exist"))),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn txn_service(&mut self, op: TxnOp, change: &mut Change) -> Step {
        match op {
            TxnOp::ServicePut { instance, cas } => {
                let (node, id) = (instance.node.clone(), instance.id.clone());
                if stale(cas, self.instance(&node, &id).map(|instance| instance.modify_index)) {
                    return Err(said(format!(
                        "failed to set service {id:?} on node {node:?}, index is stale"
                    )));
                }
                if self.node(&node).is_none() {
                    return Err(refused(Refusal::UnknownNode(node)));
                }
                super::register::valid_instance(&instance).map_err(refused)?;
                self.instance_moves(&instance);
                self.catalog.put_instance(instance, change);
                let found = self.instance(&node, &id);
                Ok(found.map(|found| TxnResult::Service(Instance::clone(found))).into_iter().collect())
            }
            TxnOp::ServiceDelete { node, id, cas } => {
                if stale(cas, self.instance(&node, &id).map(|instance| instance.modify_index)) {
                    let what = format!("failed to delete service {id:?} on node {node:?}, index is stale");
                    return Err(said(what));
                }
                self.instance_delete(&node, &id, change);
                Ok(Vec::new())
            }
            TxnOp::ServiceGet { node, id } => match self.instance(&node, &id) {
                Some(instance) => Ok(vec![TxnResult::Service(Instance::clone(instance))]),
                None => Err(said(format!("service {id:?} on node {node:?} doesn't exist"))),
            },
            _ => Ok(Vec::new()),
        }
    }

    fn txn_check(&mut self, op: TxnOp, change: &mut Change) -> Step {
        match op {
            TxnOp::CheckPut { check, cas } => {
                let (node, id) = (check.node.clone(), check.id.clone());
                if stale(cas, self.check(&node, &id).map(|check| check.modify_index)) {
                    return Err(said(format!("failed to set check {id:?} on node {node:?}, index is stale")));
                }
                if self.node(&node).is_none() {
                    return Err(refused(Refusal::UnknownNode(node)));
                }
                self.may_put_check(&check, &node, None).map_err(refused)?;
                self.check_put(check, change);
                Ok(self
                    .check(&node, &id)
                    .map(|check| TxnResult::Check(Check::clone(check)))
                    .into_iter()
                    .collect())
            }
            TxnOp::CheckDelete { node, id, cas } => {
                if stale(cas, self.check(&node, &id).map(|check| check.modify_index)) {
                    return Err(said(format!(
                        "failed to delete check {id:?} on node {node:?}, index is stale"
                    )));
                }
                self.check_delete(&node, &id, change);
                Ok(Vec::new())
            }
            TxnOp::CheckGet { node, id } => match self.check(&node, &id) {
                Some(check) => Ok(vec![TxnResult::Check(Check::clone(check))]),
                None => Err(said(format!("check {id:?} on node {node:?} doesn't exist"))),
            },
            _ => Ok(Vec::new()),
        }
    }
}

/// Whether a compare-and-set fails; 0 stands for what is not there.
fn stale(cas: Option<Index>, present: Option<Index>) -> bool {
    cas.is_some_and(|index| index != present.unwrap_or(0))
}

fn without_value(entry: &Arc<Entry>) -> TxnResult {
    TxnResult::Kv(Entry { value: Bytes::new(), ..Entry::clone(entry) })
}

fn said(text: String) -> Name {
    text.into()
}

fn refused(refusal: Refusal) -> Name {
    refusal.to_string().into()
}
