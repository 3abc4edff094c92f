//! What this node checks for all: the instances that fall to it, each beside the traffic, so that what it finds becomes
//! everybody's word through the map rather than its own at once.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::{Live, Millis};
use crate::check::{CheckSpec, Checks, Hooks, InitState, Member, Observe, Settings};
use crate::config::ServiceSpec;
use crate::lang::Severity;
use crate::model::{Address, OperState, ProxyLive, Server, ServerLive, ServerSet, ServerSpec};
use crate::region::checkers::{Checkers, is_refuted};
use crate::region::map::{Command, Found, Instance, Map, Name, Verdict};

use super::context::Context;
use super::pool::{Target, server_name};

/// A word of this node that was sent and is not seen in the map is sent again after so long.
const AGAIN_MS: u64 = 5_000;
/// The word of a node that no longer checks an instance is dropped after so long, when nobody new came in its place.
const GRACE_MS: u64 = 15_000;

/// One backend's examinations.
pub(super) struct Examiner {
    instances: HashMap<(Name, Arc<str>), CheckedInstance>,
    checks: Checks,
    /// The servers that are checked stand beside those of the backend: these are nobody's.
    aside: (Arc<ProxyLive>, Arc<Live<ServerSet>>),
}

/// An instance that this node checks.
struct CheckedInstance {
    server: Server,
    check: Arc<CheckSpec>,
    key: Name,
    node: Name,
    service_id: Name,
    /// What was sent last, and when.
    sent: Option<(Found, Millis)>,
    /// It had its first result, and what that means for the words of others was taken in.
    settled: bool,
    /// Who checks it, as of the last round.
    peers: Vec<Name>,
    /// Some of them came last, and may not have a result yet.
    has_newcomers: bool,
    /// Since when there are words of nodes that no longer check it.
    stale_since: Option<Millis>,
}

/// An instance that falls to this node.
#[derive(Clone, Copy)]
struct DueInstance<'a> {
    instance: &'a Instance,
    address: &'a str,
    service: &'a ServiceSpec,
    check: &'a CheckSpec,
    chosen: &'a [&'a Name],
    /// By what is known so far.
    is_down: bool,
}

impl Default for Examiner {
    fn default() -> Examiner {
        let aside = (Arc::new(ProxyLive::new(1)), Arc::new(Live::new(ServerSet::default())));
        Examiner { instances: HashMap::new(), checks: Checks::default(), aside }
    }
}

/// Wakes the backend when a check finds something else than before, and says nothing: the decision is not this node's.
struct SilentHooks {
    hooks: Arc<dyn Hooks>,
    wake: Arc<tokio::sync::Notify>,
}

impl Hooks for SilentHooks {
    fn line(&self, _: &str, _: Severity, _: u8, _: &str, _: &str) {}

    fn node(&self) -> String {
        self.hooks.node()
    }

    fn server_down(&self, _: &Member, _: bool) -> u32 {
        self.wake.notify_one();
        0
    }

    fn server_up(&self, _: &Member, _: bool) -> u32 {
        self.wake.notify_one();
        0
    }
}

impl Examiner {
    /// Some instance waits for its first result, or for a word to be dropped: there is to be another round soon.
    pub(super) fn is_restless(&self) -> bool {
        self.instances
            .values()
            .any(|checked| !checked.settled || checked.stale_since.is_some() || checked.sent.is_some())
    }

    /// Checks what falls to this node, and nothing else. What it has to say of it.
    pub(super) fn round(
        &mut self,
        map: &Map,
        target: &Target,
        context: &Context,
        wake: &Arc<tokio::sync::Notify>,
        now: Millis,
    ) -> Vec<Command> {
        let me = context.seat.node_name();
        let (mut mine, mut commands) = (HashSet::new(), Vec::new());
        for (service, key) in target.services.iter().zip(&target.keys) {
            let (Some(key), Some(check)) = (key, &service.check) else { continue };
            let checkers = Checkers::of(map, key);
            for instance in map.instances_of(&service.name) {
                if instance.port == 0 || !service.tags.iter().all(|tag| instance.tags.contains(tag)) {
                    continue;
                }
                let Some(node) = map.node(&instance.node) else { continue };
                let chosen = checkers.chosen(&node.region, instance);
                if !chosen.contains(&me) {
                    continue;
                }
                let address = if instance.address.is_empty() { &node.address } else { &instance.address };
                let verdict = map.verdict(instance, key).map(|verdict| &**verdict);
                let of = (key.clone(), server_name(instance));
                let is_down = is_refuted(verdict, &chosen);
                let due = DueInstance { instance, address, service, check, chosen: &chosen, is_down };
                self.take_up(&of, &due, &*context.resolve, now);
                if let Some(checked) = self.instances.get_mut(&of) {
                    commands.extend(checked.word(me, &chosen, verdict, now));
                }
                mine.insert(of);
            }
        }
        self.instances.retain(|of, _| mine.contains(of));
        let silent: Arc<dyn Hooks> =
            Arc::new(SilentHooks { hooks: context.hooks.clone(), wake: wake.clone() });
        let members =
            self.instances.values().map(|checked| checked.member(target, &self.aside, &silent)).collect();
        self.checks = Checks::start(members, &Settings::default(), std::mem::take(&mut self.checks));
        commands
    }

    /// Begins to check an instance, unless it is checked as it is.
    fn take_up(
        &mut self,
        of: &(Name, Arc<str>),
        due: &DueInstance<'_>,
        resolve: &dyn Fn(&str) -> Option<IpAddr>,
        now: Millis,
    ) {
        let DueInstance { instance, address, service, check, chosen, is_down } = *due;
        let ip = address.parse::<IpAddr>().ok();
        let is_there = self.instances.get(of).is_some_and(|checked| {
            let spec = &checked.server.spec;
            let known = spec.address.inet();
            let same_host = match ip {
                Some(ip) => known.is_some_and(|known| known.ip() == ip),
                None => spec.hostname.as_deref() == Some(address),
            };
            same_host && known.is_some_and(|known| known.port() == instance.port)
        });
        if is_there {
            return;
        }
        self.instances.remove(of);
        let Some(found) = ip.or_else(|| resolve(address)) else { return };
        let spec = ServerSpec {
            name: of.1.clone(),
            address: Address::Inet(SocketAddr::new(found, instance.port)),
            hostname: ip.is_none().then(|| address.into()),
            slowstart_ms: 0,
            cookie: None,
            ..(*service.template).clone()
        };
        let live = ServerLive::new(&spec, 1, now);
        live.check_enabled.store(true, Ordering::Relaxed);
        // What stands is doubted at the first result.
        let init_state = if is_down { InitState::Down } else { InitState::Up };
        let check = CheckSpec {
            init_state,
            observe: Observe::None,
            slowstart_ms: 0,
            log_health_checks: false,
            shutdown_on_down: false,
            shutdown_backups_on_up: false,
            ..check.clone()
        };
        let checked = CheckedInstance {
            server: Server { spec: Arc::new(spec), live: Arc::new(live) },
            check: Arc::new(check),
            key: of.0.clone(),
            node: instance.node.clone(),
            service_id: instance.id.clone(),
            sent: None,
            settled: false,
            peers: chosen.iter().map(|name| (*name).clone()).collect(),
            has_newcomers: false,
            stale_since: None,
        };
        self.instances.insert(of.clone(), checked);
    }
}

impl CheckedInstance {
    fn member(
        &self,
        target: &Target,
        (proxy, servers): &(Arc<ProxyLive>, Arc<Live<ServerSet>>),
        hooks: &Arc<dyn Hooks>,
    ) -> Member {
        Member {
            backend: target.name.clone(),
            kind: target.kind,
            proxy: proxy.clone(),
            servers: servers.clone(),
            server: self.server.clone(),
            check: Some(self.check.clone()),
            hooks: hooks.clone(),
        }
    }

    /// What is to be told of it, if anything is and was not just now.
    fn word(
        &mut self,
        me: &Name,
        chosen: &[&Name],
        verdict: Option<&Verdict>,
        now: Millis,
    ) -> Option<Command> {
        if !chosen.iter().copied().eq(&self.peers) {
            self.has_newcomers = chosen.iter().any(|name| !self.peers.contains(name));
            self.peers = chosen.iter().map(|name| (*name).clone()).collect();
        }
        let (has_result, cause) = self
            .server
            .live
            .check
            .with(|state| (state.status != INITIAL, format!("{} {}", state.status, state.text)));
        if !has_result {
            return None;
        }
        let down = self.server.live.oper() == OperState::Stopped;
        let said: &[Name] = verdict.map_or(&[], |verdict| &verdict.down);
        let stale: Vec<Name> = said.iter().filter(|name| !chosen.contains(name)).cloned().collect();
        self.stale_since = match stale.is_empty() {
            true => None,
            false => self.stale_since.or(Some(now)),
        };
        let late = self.stale_since.is_some_and(|since| now >= since + GRACE_MS);
        // Who came in the place of one that is gone has its first result now, and speaks instead. Where nobody came,
        // those who are left do.
        let instead_of = if !self.settled || !self.has_newcomers || late { stale } else { Vec::new() };
        self.settled = true;
        if said.contains(me) == down && instead_of.is_empty() {
            self.sent = None;
            return None;
        }
        let found = Found {
            node: self.node.clone(),
            service_id: self.service_id.clone(),
            key: self.key.clone(),
            by: me.clone(),
            down,
            cause: cause.trim().into(),
            instead_of,
        };
        let same = |sent: &Found| sent.down == found.down && sent.instead_of == found.instead_of;
        let under_way = |(sent, at): &(Found, Millis)| same(sent) && now < at + AGAIN_MS;
        if self.sent.as_ref().is_some_and(under_way) {
            return None;
        }
        self.sent = Some((found.clone(), now));
        Some(Command::Found(Box::new(found)))
    }
}

/// The status of a server nothing was found of yet.
const INITIAL: &str = "INI";
