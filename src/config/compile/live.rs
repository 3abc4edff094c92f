//! What outlasts a configuration: live cells taken over by name, and the changes to them that wait for activation.
//!
//! Nothing here touches a cell that runs: a build that is thrown away leaves no trace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::balance;
use crate::base::{Live, Millis};
use crate::model::{AdminState, Cut, OperState, Server, ServerLive, ServerSet, ServerSpec, TlsSwitch};

use super::super::proxy::Backend;
use super::backend::{Declared, ids};
use super::state::Saved;

/// A change of a running server that its changed line in the file brings.
#[derive(Debug)]
pub struct ServerChange {
    pub live: Arc<ServerLive>,
    pub weight: Option<u32>,
    pub maxconn: Option<u32>,
    /// The address of the file holds again.
    pub forget_address: bool,
    /// Connections made so far are others than those that the new line asks for.
    pub reconnect: bool,
    /// What the file says of TLS holds again.
    pub forget_tls: bool,
    /// `disabled` (true) or its absence (false) in the file.
    pub disabled: Option<bool>,
    pub check_enabled: Option<bool>,
    /// It has an address from the file (false), or waits for one (true), where it was otherwise before.
    pub unresolved: Option<bool>,
}

impl ServerChange {
    /// `None` when nothing of it can have been overridden.
    fn between(old: &ServerSpec, declared: &Declared, live: &Arc<ServerLive>) -> Option<ServerChange> {
        let new = &declared.spec;
        let is_other = |old: &ServerSpec| {
            let name = (&old.hostname, &old.srv_record, old.resolving.as_ref().map(|r| &r.resolvers));
            name != (&new.hostname, &new.srv_record, new.resolving.as_ref().map(|r| &r.resolvers))
        };
        let change = ServerChange {
            live: live.clone(),
            unresolved: (is_other(old) || old.address != new.address).then_some(declared.unresolved),
            weight: (old.weight != new.weight).then_some(new.weight),
            maxconn: (old.maxconn != new.maxconn).then_some(new.maxconn),
            forget_tls: old.tls != new.tls || old.tls_is_off != new.tls_is_off,
            forget_address: old.address != new.address || old.port_offset != new.port_offset || is_other(old),
            reconnect: old.address != new.address
                || is_other(old)
                || old.port_offset != new.port_offset
                || old.source != new.source
                || old.socks4 != new.socks4
                || old.interface != new.interface
                || (old.send_proxy, old.proxy_fields) != (new.send_proxy, new.proxy_fields)
                || old.proxy_tlvs != new.proxy_tlvs
                || old.tls != new.tls
                || old.tls_is_off != new.tls_is_off,
            disabled: (old.disabled != new.disabled).then_some(new.disabled),
            check_enabled: (old.has_check != new.has_check).then_some(new.has_check),
        };
        let is_nothing = change.weight.is_none()
            && change.maxconn.is_none()
            && !change.reconnect
            && change.disabled.is_none()
            && change.unresolved.is_none()
            && change.check_enabled.is_none();
        (!is_nothing).then_some(change)
    }

    pub fn apply(&self, now: Millis) {
        let live = &self.live;
        if let Some(weight) = self.weight {
            live.user_weight.store(weight, Ordering::Relaxed);
        }
        if let Some(maxconn) = self.maxconn {
            live.maxconn.store(maxconn, Ordering::Relaxed);
        }
        if self.forget_address {
            live.address.store(Arc::new(None));
            live.fqdn.store(Arc::new(None));
        }
        if self.forget_tls {
            live.switch_tls(TlsSwitch::Line);
        }
        if self.reconnect {
            live.begin_epoch(Cut::Moved);
        }
        if let Some(enabled) = self.check_enabled {
            live.check_enabled.store(enabled, Ordering::Relaxed);
        }
        if let Some(disabled) = self.disabled {
            self.flag(AdminState::CONFIG_MAINT | AdminState::FORCED_MAINT, disabled, now);
        }
        if let Some(unresolved) = self.unresolved {
            self.flag(AdminState::FQDN_CHANGED, false, now);
            self.flag(AdminState::RESOLVE_MAINT, unresolved, now);
        }
    }

    fn flag(&self, flags: AdminState, is_set: bool, now: Millis) {
        let live = &self.live;
        let before = live.admin();
        let admin = if is_set { before | flags } else { before - flags };
        if admin == before {
            return;
        }
        live.set_admin(admin);
        if admin.intersects(AdminState::MAINT) {
            live.set_oper(OperState::Stopped);
        } else if before.intersects(AdminState::MAINT) {
            live.set_oper(OperState::Running);
        }
        live.last_change_ms.store(now, Ordering::Relaxed);
    }
}

/// What a backend's servers become.
pub struct Servers {
    /// Taken over from the running backend of the same name, else new.
    pub cell: Arc<Live<ServerSet>>,
    /// To be stored in `cell` at activation; `None` when it holds the right set already.
    pub next: Option<Arc<ServerSet>>,
    pub changes: Vec<ServerChange>,
}

/// Merges the servers that the file declares with those that run.
///
/// A changed line wins over what the operator did at run time, which wins over an unchanged line: servers added at
/// run time stay, and one deleted at run time stays away until its line changes.
pub fn servers(
    declared: &[Declared],
    spec: &balance::Spec,
    previous: Option<&Backend>,
    saved: &Saved,
    (workers, now): (usize, Millis),
) -> Servers {
    let Some(previous) = previous else {
        let list: Vec<Server> = declared.iter().map(|d| fresh(d, workers, now)).collect();
        for server in &list {
            if let Some(line) = saved.get(&*server.spec.name) {
                line.apply(server, now);
            }
        }
        let balancer = balance::build(spec, &list, now);
        let cell = Arc::new(Live::new(ServerSet { list, balancer }));
        return Servers { cell, next: None, changes: Vec::new() };
    };
    let running = previous.servers.load();
    let mut changes = Vec::new();
    let mut list = merged(declared, previous, &running, workers, now, &mut changes);
    let taken: HashSet<&str> = declared.iter().map(|d| &*d.spec.name).collect();
    let in_file: HashSet<&str> = previous.declared.iter().map(|s| &*s.name).collect();
    let mut used = ids(declared);
    for server in &running.list {
        let name = &*server.spec.name;
        if !taken.contains(name) && !in_file.contains(name) {
            list.push(with_free_id(server, &mut used));
        }
    }
    let same = spec == &previous.balance
        && list.len() == running.list.len()
        && list.iter().zip(&running.list).all(|(a, b)| Arc::ptr_eq(&a.live, &b.live) && a.spec == b.spec);
    let next = (!same).then(|| {
        let balancer = balance::build(spec, &list, now);
        Arc::new(ServerSet { list, balancer })
    });
    Servers { cell: previous.servers.clone(), next, changes }
}

/// The declared servers with the live cells of those that run.
fn merged(
    declared: &[Declared],
    previous: &Backend,
    running: &ServerSet,
    workers: usize,
    now: Millis,
    changes: &mut Vec<ServerChange>,
) -> Vec<Server> {
    let before: HashMap<&str, &Arc<ServerSpec>> = previous.declared.iter().map(|s| (&*s.name, s)).collect();
    let current: HashMap<&str, &Server> = running.list.iter().map(|s| (&*s.spec.name, s)).collect();
    let mut list = Vec::with_capacity(declared.len());
    for d in declared {
        let name = &*d.spec.name;
        match (before.get(name), current.get(name)) {
            (Some(old), Some(server)) if **old == d.spec => list.push((*server).clone()),
            // Deleted at run time, and its line is as it was.
            (Some(old), None) if **old == d.spec => {}
            (old, Some(server)) => {
                let old = old.map_or(&server.spec, |old| *old);
                changes.extend(ServerChange::between(old, d, &server.live));
                list.push(Server { spec: d.spec.clone(), live: server.live.clone() });
            }
            (_, None) => list.push(fresh(d, workers, now)),
        }
    }
    list
}

fn fresh(declared: &Declared, workers: usize, now: Millis) -> Server {
    let live = ServerLive::new(&declared.spec, workers, now);
    if declared.unresolved {
        live.set_admin(live.admin() | AdminState::RESOLVE_MAINT);
        live.set_oper(OperState::Stopped);
    }
    Server { spec: declared.spec.clone(), live: Arc::new(live) }
}

/// A server added at run time, with another number when the file gave its own to someone.
fn with_free_id(server: &Server, used: &mut HashSet<u32>) -> Server {
    let mut server = server.clone();
    if used.contains(&server.spec.id) {
        let free = (1..).find(|id| !used.contains(id)).unwrap_or(server.spec.id);
        server.spec = Arc::new(ServerSpec { id: free, ..(*server.spec).clone() });
    }
    used.insert(server.spec.id);
    server
}
