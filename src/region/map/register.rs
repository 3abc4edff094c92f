//! Registration and its end: a node, what is on it, and what falls with it.

use std::sync::Arc;

use super::change::Change;
use super::command::{Deregistration, Refusal, Registration};
use super::map::Map;
use super::record::*;

/// The check that stands for the liveness of a node.
pub const NODE_LIVENESS: &str = "serfHealth";

impl Map {
    /// All of it or nothing.
    pub(super) fn register(&mut self, what: Registration, change: &mut Change) -> Result<(), Refusal> {
        let Registration { node, skip_node_update, instance, mut checks, replace_checks } = what;
        let name = node.name.clone();
        let standing = self.node(&name).is_some();
        let put_node = !(skip_node_update && standing);
        if put_node {
            self.may_put_node(&node)?;
        }
        let instance = instance.map(|instance| Instance { node: name.clone(), ..instance });
        if let Some(instance) = &instance {
            valid_instance(instance)?;
        }
        for check in &mut checks {
            if check.node.is_empty() {
                check.node = name.clone();
            }
            let id = instance.as_ref().map(|instance| &instance.id);
            self.may_put_check(check, &name, id)?;
        }
        if put_node {
            self.node_put(node, change);
        }
        if let Some(instance) = instance {
            if replace_checks {
                self.drop_other_checks(&instance, &checks, change);
            }
            self.instance_moves(&instance);
            self.catalog.put_instance(instance, change);
        }
        for check in checks {
            self.check_put(check, change);
        }
        Ok(())
    }

    fn drop_other_checks(&mut self, instance: &Instance, kept: &[Check], change: &mut Change) {
        let old = self.own_checks(&instance.node, &instance.id).map(|check| check.id.clone());
        let old: Vec<Name> = old.filter(|id| kept.iter().all(|check| check.id != *id)).collect();
        for id in old {
            self.check_delete(&instance.node, &id, change);
        }
    }

    /// A node whose id is known under another name takes that name's place; a living node keeps its name from another id.
    pub(super) fn may_put_node(&self, node: &Node) -> Result<(), Refusal> {
        if node.name.is_empty() {
            return Err(Refusal::Invalid("must provide node".into()));
        }
        let Some(host) = self.catalog.host(&node.name) else { return Ok(()) };
        let other = !node.id.is_empty() && !host.node.id.is_empty() && host.node.id != node.id;
        let alive = host.checks.get(NODE_LIVENESS).is_some_and(|check| check.status != Health::Critical);
        match other && alive {
            true => Err(Refusal::NameTaken(node.name.clone())),
            false => Ok(()),
        }
    }

    pub(super) fn node_put(&mut self, node: Node, change: &mut Change) {
        let former = self.catalog.node_ids.get(&node.id).filter(|name| **name != node.name).cloned();
        if let Some(former) = former {
            self.node_delete(&former, change);
        }
        self.catalog.put_node(node, change);
    }

    /// `coming`: an instance that the same change makes.
    pub(super) fn may_put_check(
        &self,
        check: &Check,
        node: &Name,
        coming: Option<&Name>,
    ) -> Result<(), Refusal> {
        if check.node != *node {
            return Err(Refusal::Invalid(
                format!("check {:?} is of node {:?}, not {node:?}", check.id, check.node).into(),
            ));
        }
        if check.id.is_empty() {
            return Err(Refusal::Invalid("missing check ID".into()));
        }
        let owner = &check.service_id;
        let known = owner.is_empty() || coming == Some(owner) || self.instance(&check.node, owner).is_some();
        if known { Ok(()) } else { Err(Refusal::UnknownService(owner.clone())) }
    }

    pub(super) fn check_put(&mut self, check: Check, change: &mut Change) {
        let (node, id) = (check.node.clone(), check.id.clone());
        if self.catalog.put_check(check, change) {
            self.sessions_end_with(&node, &id, change);
        }
    }

    pub(super) fn check_status(
        &mut self,
        node: &Name,
        id: &Name,
        status: Health,
        output: Name,
        change: &mut Change,
    ) -> Result<(), Refusal> {
        let Some(check) = self.check(node, id).cloned() else {
            return Err(Refusal::UnknownCheck(id.clone()));
        };
        if check.status != status || check.output != output {
            let check = Check { status, output, ..Arc::unwrap_or_clone(check) };
            if self.catalog.place_check(check, change) {
                self.sessions_end_with(node, id, change);
            }
        }
        Ok(())
    }

    pub(super) fn deregister(&mut self, what: &Deregistration, change: &mut Change) {
        match (&what.service_id, &what.check_id) {
            (Some(id), _) => self.instance_delete(&what.node, id, change),
            (None, Some(id)) => self.check_delete(&what.node, id, change),
            (None, None) => self.node_delete(&what.node, change),
        }
    }

    pub(super) fn check_delete(&mut self, node: &str, id: &Name, change: &mut Change) {
        self.catalog.remove_check(node, id, change);
        self.sessions_end_with(node, id, change);
    }

    /// The instance and its checks.
    pub(super) fn instance_delete(&mut self, node: &str, id: &str, change: &mut Change) {
        if self.instance(node, id).is_none() {
            return;
        }
        let checks: Vec<Name> = self.own_checks(node, id).map(|check| check.id.clone()).collect();
        for check in checks {
            self.check_delete(node, &check, change);
        }
        self.forget_verdicts(node, id);
        self.catalog.remove_instance(node, id, change);
    }

    /// The node, its sessions, instances and checks.
    pub(super) fn node_delete(&mut self, node: &str, change: &mut Change) {
        let Some(host) = self.catalog.host(node).cloned() else { return };
        for session in &host.sessions {
            self.session_end(session, change);
        }
        for one in &host.instances {
            self.instance_delete(node, &one.id, change);
        }
        for check in &host.checks {
            self.catalog.remove_check(node, &check.id, change);
        }
        self.catalog.remove_node(node, change);
    }
}

pub(super) fn valid_instance(instance: &Instance) -> Result<(), Refusal> {
    let missing = match instance {
        Instance { id, .. } if id.is_empty() => "missing service ID",
        Instance { service, .. } if service.is_empty() => "must provide service name with ID",
        _ => return Ok(()),
    };
    Err(Refusal::Invalid(missing.into()))
}
