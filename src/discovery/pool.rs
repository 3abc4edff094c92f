//! The servers that the region map gives a backend, kept in step with what was chosen.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::balance;
use crate::base::{Live, Millis};
use crate::check::{Cause, CheckSpec, Hooks, InitState, Member};
use crate::config::{Proxy, ServiceSpec};
use crate::model::{Address, AdminState, OperState, ProxyLive, Server, ServerLive, ServerSet, ServerSpec};
use crate::region::checkers;
use crate::region::choice::{Choice, ChosenInstance, Standing};
use crate::region::map::{Health, Instance, Name};

/// The flag of a server that the map empties; an operator's own drain is another one.
const DRAIN: AdminState = AdminState::INHERITED_DRAIN;

/// Largest weight of a server.
const WEIGHT_MAX: f64 = 256.0;

/// A backend with `service` lines, as far as its servers need it.
#[derive(Clone)]
pub struct Target {
    pub name: Arc<str>,
    /// `backend`, or `proxy` for a `listen` section.
    pub kind: &'static str,
    pub live: Arc<ProxyLive>,
    pub servers: Arc<Live<ServerSet>>,
    pub balance: balance::Spec,
    pub services: Vec<ServiceSpec>,
    /// Of each `service` line: by what the nodes that check its instances know each other; `None` without `check`.
    pub keys: Vec<Option<Name>>,
}

impl Target {
    /// `None` for a section without servers.
    pub fn of(proxy: &Proxy) -> Option<Target> {
        let back = proxy.back.as_ref()?;
        Some(Target {
            name: proxy.name.clone(),
            kind: if proxy.front.is_some() { "proxy" } else { "backend" },
            live: proxy.live.clone(),
            servers: back.servers.clone(),
            balance: back.balance.clone(),
            services: back.services.clone(),
            keys: back
                .services
                .iter()
                .map(|s| s.check.as_ref().map(|check| checkers::key(&proxy.name, &s.name, check)))
                .collect(),
        })
    }
}

/// What an application of choices needs from outside.
pub struct Surroundings<'a> {
    pub hooks: &'a Arc<dyn Hooks>,
    /// The address of a host's name.
    pub resolve: &'a dyn Fn(&str) -> Option<IpAddr>,
    /// A region that is coming back: its share grows, and so its servers need no slow start of their own.
    pub returning: &'a dyn Fn(&str) -> bool,
    /// Number of data workers, for the shards of new cells.
    pub workers: usize,
    pub now: Millis,
}

/// Why a backend is to be looked at again although the map did not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Servers that leave have streams still.
    pub draining: bool,
    /// Names of hosts that were not found.
    pub unresolved: bool,
    /// Servers are in slow start; the shortest of theirs.
    pub slowstart_ms: Option<u64>,
}

/// The servers that the map gave to one backend. They are told from others by their being here.
#[derive(Default)]
pub struct Pool {
    servers: HashMap<Arc<str>, PooledServer>,
}

/// A server of ours.
struct PooledServer {
    server: Server,
    /// As it was when last applied: what an operator changed since stays until the map says something else.
    weight: u32,
    /// `None`: to be applied again.
    standing: Option<Standing>,
    /// How this node checks it when it has to.
    check: Arc<CheckSpec>,
    /// How it was when that began.
    began: Option<InitState>,
}

/// What a server is to be.
struct DesiredServer {
    name: Arc<str>,
    /// Its number is given when it joins.
    spec: ServerSpec,
    is_resolved: bool,
    standing: Standing,
    /// Its region is coming back.
    returning: bool,
    weight: u32,
    check: Arc<CheckSpec>,
}

/// Numbers of servers: unique in a backend.
struct Numbers {
    used: HashSet<u32>,
    last: u32,
}

impl Numbers {
    /// One that is free; taken then.
    fn next(&mut self) -> u32 {
        while self.last < u32::MAX {
            self.last += 1;
            if self.used.insert(self.last) {
                break;
            }
        }
        self.last
    }
}

/// The name of an instance's server: its node and its id, in the characters of server names.
pub fn server_name(instance: &Instance) -> Arc<str> {
    let mut is_plain = true;
    let mut plain = |text: &str| -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
        is_plain &= text.chars().all(fits);
        text.chars().map(|c| if fits(c) { c } else { '_' }).collect()
    };
    let name = format!("{}/{}", plain(&instance.node), plain(&instance.id));
    match is_plain {
        true => name.into(),
        // Two ids that differ in other characters alone must not meet.
        false => {
            let mut hash = crc32fast::Hasher::new();
            hash.update(instance.node.as_bytes());
            hash.update(b"/");
            hash.update(instance.id.as_bytes());
            format!("{name}~{:08x}", hash.finalize()).into()
        }
    }
}

/// Integer weights in the proportion of the shares: as registered where that is possible, else up to 256. Who has a
/// share has a weight.
pub fn weights(choices: &[Choice]) -> Vec<Vec<u32>> {
    let raw: Vec<Vec<f64>> =
        choices.iter().map(|c| c.list.iter().map(|chosen| chosen.share * c.weight).collect()).collect();
    let all = || raw.iter().flatten().copied();
    let most = all().fold(0.0, f64::max);
    let is_plain = most <= WEIGHT_MAX && all().all(|w| (w - w.round()).abs() < 1e-6);
    let scale = if is_plain || most <= 0.0 { 1.0 } else { WEIGHT_MAX / most };
    let weight = |w: f64| if w > 0.0 { (w * scale).round().clamp(1.0, WEIGHT_MAX) as u32 } else { 0 };
    raw.into_iter().map(|list| list.into_iter().map(weight).collect()).collect()
}

impl Pool {
    /// Servers of ours, also those that are leaving.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The servers as members of their backend, with the check that this node makes of each.
    pub fn members(&mut self, target: &Target, hooks: &Arc<dyn Hooks>) -> Vec<Member> {
        let member = |pooled: &mut PooledServer| {
            // What the map said last holds until the first finding.
            let is_up = pooled.server.live.oper() != OperState::Stopped;
            pooled.server.live.check_enabled.store(true, Ordering::Relaxed);
            let init_state = if is_up { InitState::Up } else { InitState::Down };
            let init_state = *pooled.began.get_or_insert(init_state);
            let check = CheckSpec { init_state, ..(*pooled.check).clone() };
            Member { check: Some(Arc::new(check)), ..member(&pooled.server, target, hooks) }
        };
        self.servers.values_mut().map(member).collect()
    }

    /// Whether a server of ours is up; `None` for one that is not there.
    pub fn is_up(&self, name: &str) -> Option<bool> {
        let pooled = self.servers.get(name)?;
        Some(pooled.server.live.oper() != OperState::Stopped)
    }

    /// What the map says is applied again, over whatever was found meanwhile.
    pub fn forget_standings(&mut self) {
        for pooled in self.servers.values_mut() {
            (pooled.standing, pooled.began) = (None, None);
            pooled.server.live.check_enabled.store(false, Ordering::Relaxed);
        }
    }

    /// Makes the servers of a backend what `choices` say, one for each `service` line. Servers of the file and of
    /// `add server` stay as they are; those of ours keep their cells as long as they are there.
    pub fn apply(&mut self, target: &Target, choices: &[Choice], around: &Surroundings<'_>) -> Pending {
        let desired = self.desired(target, choices, around);
        let names: HashSet<Arc<str>> = desired.iter().map(|w| w.name.clone()).collect();
        let joined = self.replace(target, &desired, &names, around);
        self.weigh(&desired, target, around, true);
        for w in &desired {
            self.stand(w, joined.contains(&w.name), target, around);
        }
        for pooled in self.servers.values_mut().filter(|s| !names.contains(&s.server.spec.name)) {
            pooled.standing = Some(Standing::Draining);
            member(&pooled.server, target, around.hooks).set_admin(DRAIN, "", around.now);
        }
        self.weigh(&desired, target, around, false);
        self.sweep(target, &names, around.now)
    }

    fn desired(&self, target: &Target, choices: &[Choice], around: &Surroundings<'_>) -> Vec<DesiredServer> {
        let mut list: Vec<DesiredServer> = Vec::new();
        let mut seen = HashSet::new();
        for ((choice, service), weights) in choices.iter().zip(&target.services).zip(weights(choices)) {
            let check = Arc::new(own_check(service));
            for (chosen, weight) in choice.list.iter().zip(weights) {
                let name = server_name(&chosen.instance);
                // An instance may fit two lines: the first has it.
                if !seen.insert(name.clone()) {
                    continue;
                }
                let ip = self.address(&name, chosen, around);
                let address = SocketAddr::new(ip.unwrap_or([0, 0, 0, 0].into()), chosen.instance.port);
                let mut spec = ServerSpec {
                    name: name.clone(),
                    address: Address::Inet(address),
                    weight: 1,
                    cookie: None,
                    ..(*service.template).clone()
                };
                if !target.balance.is_dynamic() {
                    // Such a balancer looks at weights when it is made.
                    spec.weight = weight;
                }
                if chosen.address.parse::<IpAddr>().is_err() {
                    spec.hostname = Some(chosen.address.clone());
                }
                let (is_resolved, standing) = (ip.is_some(), chosen.standing);
                let (returning, check) = ((around.returning)(&chosen.region), check.clone());
                list.push(DesiredServer { name, spec, is_resolved, standing, returning, weight, check });
            }
        }
        list
    }

    /// Names are looked up when they are new, or were not found before.
    fn address(&self, name: &str, chosen: &ChosenInstance, around: &Surroundings<'_>) -> Option<IpAddr> {
        if let Ok(ip) = chosen.address.parse() {
            return Some(ip);
        }
        let known = self.servers.get(name).map(|pooled| &pooled.server).filter(|server| {
            server.spec.hostname.as_ref() == Some(&chosen.address)
                && !server.live.admin().intersects(AdminState::RESOLVE_MAINT)
        });
        match known.and_then(|server| server.spec.address.inet()) {
            Some(address) => Some(address.ip()),
            None => (around.resolve)(&chosen.address),
        }
    }

    /// Puts the list of servers in place if it is another one. Returns the names of those that joined.
    fn replace(
        &mut self,
        target: &Target,
        desired: &[DesiredServer],
        names: &HashSet<Arc<str>>,
        around: &Surroundings<'_>,
    ) -> HashSet<Arc<str>> {
        let _lock = target.live.transition.lock().unwrap_or_else(PoisonError::into_inner);
        let set = target.servers.load();
        let mut numbers = self.meet(&set);
        let is_ours = |s: &&Server| self.servers.contains_key(&s.spec.name);
        let mut list: Vec<Server> = set.list.iter().filter(|s| !is_ours(s)).cloned().collect();
        // Those that leave keep their places until they have nothing to do.
        let leaving =
            self.servers.values().map(|pooled| &pooled.server).filter(|s| !names.contains(&s.spec.name));
        let mut leaving: Vec<Server> = leaving.cloned().collect();
        let (mut joined, mut moved) = (HashSet::new(), Vec::new());
        for w in desired {
            let before = self.servers.get(&w.name).map(|pooled| pooled.server.clone());
            let server = match before.as_ref().filter(|s| s.spec.address == w.spec.address) {
                Some(server) => changed(server, &w.spec),
                // Elsewhere it is another server: connections to the old one must not serve it.
                None => {
                    joined.insert(w.name.clone());
                    moved.extend(before);
                    fresh(ServerSpec { id: numbers.next(), ..w.spec.clone() }, w, around)
                }
            };
            list.push(server.clone());
            match self.servers.get_mut(&w.name).filter(|_| !joined.contains(&w.name)) {
                Some(pooled) => (pooled.server, pooled.check) = (server, w.check.clone()),
                None => {
                    let (weight, standing, check) = (w.weight, Some(w.standing), w.check.clone());
                    let pooled = PooledServer { server, weight, standing, check, began: None };
                    self.servers.insert(w.name.clone(), pooled);
                }
            }
        }
        leaving.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        list.extend(leaving);
        store(target, &set, list, around.now);
        for old in moved {
            around.hooks.server_down(&member(&old, target, around.hooks), false);
        }
        joined
    }

    /// Takes in what a new configuration did to the servers of ours: it may have given one another number, or not know
    /// one that joined while it was built.
    fn meet(&mut self, set: &ServerSet) -> Numbers {
        let mut numbers = Numbers { used: set.list.iter().map(|s| s.spec.id).collect(), last: 0 };
        let mut there = HashSet::new();
        for server in &set.list {
            let pooled = self.servers.get_mut(&server.spec.name);
            if let Some(pooled) = pooled.filter(|pooled| Arc::ptr_eq(&pooled.server.live, &server.live)) {
                pooled.server = server.clone();
                there.insert(server.live.uid);
            }
        }
        for pooled in self.servers.values_mut().filter(|pooled| !there.contains(&pooled.server.live.uid)) {
            let server = &mut pooled.server;
            if !numbers.used.insert(server.spec.id) {
                server.spec = Arc::new(ServerSpec { id: numbers.next(), ..(*server.spec).clone() });
            }
        }
        numbers
    }

    /// Gives weights: first those that grow, so that nobody is left without a server meanwhile.
    fn weigh(
        &mut self,
        desired: &[DesiredServer],
        target: &Target,
        around: &Surroundings<'_>,
        growing: bool,
    ) {
        let (mut changed, mut begun) = (false, Vec::new());
        for w in desired {
            let Some(pooled) = self.servers.get_mut(&w.name) else { continue };
            if pooled.weight != w.weight && (w.weight > pooled.weight) == growing {
                if pooled.weight == 0 {
                    begun.push(pooled.server.clone());
                }
                pooled.weight = w.weight;
                pooled.server.live.user_weight.store(w.weight, Ordering::Relaxed);
                changed = true;
            }
        }
        if changed {
            target.servers.load().refresh(around.now);
        }
        serve(&begun, target, around);
    }

    /// Up, down or draining as the map says. Only a change is applied: an operator's word holds until the next one.
    fn stand(&mut self, w: &DesiredServer, is_new: bool, target: &Target, around: &Surroundings<'_>) {
        let Some(pooled) = self.servers.get_mut(&w.name) else { return };
        let (before, now) = (pooled.standing.replace(w.standing), around.now);
        if is_new {
            return serve(std::slice::from_ref(&pooled.server), target, around);
        }
        let was_resolved = !pooled.server.live.admin().intersects(AdminState::RESOLVE_MAINT);
        if Some(w.standing) == before && w.is_resolved == was_resolved {
            return;
        }
        let member = member(&pooled.server, target, around.hooks);
        if w.is_resolved {
            member.clear_admin(AdminState::RESOLVE_MAINT, now);
        } else {
            member.set_admin(AdminState::RESOLVE_MAINT, "its name does not resolve", now);
        }
        if Some(w.standing) == before {
            return;
        }
        match w.standing {
            Standing::Up(_) => {
                member.clear_admin(DRAIN, now);
                serve(std::slice::from_ref(&pooled.server), target, around);
                member.set_running(&Cause::Text("passing in the region map".into()), now);
                if w.returning && pooled.server.live.oper() == OperState::Starting {
                    pooled.server.live.slowstart_from_ms.store(0, Ordering::Relaxed);
                    pooled.server.live.set_oper(OperState::Running);
                    target.servers.load().refresh(now);
                }
            }
            Standing::Critical => {
                member.set_stopped(&Cause::Text("critical in the region map".into()), now);
            }
            Standing::Lost => member.set_stopped(&Cause::Text("its region is lost".into()), now),
            Standing::Draining => {
                member.set_running(&Cause::Text("passing in the region map".into()), now);
                member.set_admin(DRAIN, "", now);
            }
        }
    }

    /// Takes out servers that left and have nothing to do any more.
    fn sweep(&mut self, target: &Target, names: &HashSet<Arc<str>>, now: Millis) -> Pending {
        let is_busy = |live: &ServerLive| {
            live.served.load(Ordering::Acquire) > 0
                || live.used.load(Ordering::Acquire) > 0
                || !live.queue.is_empty()
        };
        let gone: HashSet<u64> = self
            .servers
            .values()
            .filter(|pooled| !names.contains(&pooled.server.spec.name) && !is_busy(&pooled.server.live))
            .map(|pooled| pooled.server.live.uid)
            .collect();
        if !gone.is_empty() {
            let _lock = target.live.transition.lock().unwrap_or_else(PoisonError::into_inner);
            let set = target.servers.load();
            let list = set.list.iter().filter(|s| !gone.contains(&s.live.uid)).cloned().collect();
            store(target, &set, list, now);
            self.servers.retain(|_, pooled| !gone.contains(&pooled.server.live.uid));
        }
        let starting = self.servers.values().map(|pooled| &pooled.server);
        let starting = starting.filter(|s| s.live.oper() == OperState::Starting);
        Pending {
            draining: self.servers.keys().any(|name| !names.contains(name)),
            unresolved: self
                .servers
                .values()
                .any(|pooled| pooled.server.live.admin().intersects(AdminState::RESOLVE_MAINT)),
            slowstart_ms: starting.map(|s| s.spec.slowstart_ms).min(),
        }
    }
}

/// The check that a node without a quorum makes of a service's servers: as its line says, else by connecting.
fn own_check(service: &ServiceSpec) -> CheckSpec {
    let plain = || CheckSpec {
        inter_ms: 1000,
        fall: 2,
        slowstart_ms: service.template.slowstart_ms,
        ..CheckSpec::default()
    };
    service.check.clone().unwrap_or_else(plain)
}

/// The same server with what is said of it now.
fn changed(server: &Server, spec: &ServerSpec) -> Server {
    let spec = ServerSpec { id: server.spec.id, ..spec.clone() };
    if *server.spec == spec { server.clone() } else { Server { spec: Arc::new(spec), ..server.clone() } }
}

/// A server with a cell of its own, standing as the map says from the beginning.
fn fresh(spec: ServerSpec, w: &DesiredServer, around: &Surroundings<'_>) -> Server {
    let live = ServerLive::new(&spec, around.workers, around.now);
    live.user_weight.store(w.weight, Ordering::Relaxed);
    match w.standing {
        Standing::Up(Health::Passing | Health::Warning | Health::Critical) => {}
        Standing::Critical | Standing::Lost => {
            live.set_oper(OperState::Stopped);
            live.health.store(0, Ordering::Relaxed);
        }
        Standing::Draining => live.set_admin(live.admin() | DRAIN),
    }
    if !w.is_resolved {
        live.set_admin(live.admin() | AdminState::RESOLVE_MAINT);
        live.set_oper(OperState::Stopped);
    }
    Server { spec: Arc::new(spec), live: Arc::new(live) }
}

/// Stores a set of these servers unless it is the set that is there. The lock of the backend is held.
fn store(target: &Target, set: &ServerSet, list: Vec<Server>, now: Millis) {
    let same = |(a, b): (&Server, &Server)| Arc::ptr_eq(&a.live, &b.live) && Arc::ptr_eq(&a.spec, &b.spec);
    if list.len() == set.list.len() && list.iter().zip(&set.list).all(same) {
        return;
    }
    let balancer = balance::build(&target.balance, &list, now);
    let next = ServerSet { list, balancer };
    next.refresh(now);
    target.servers.store(Arc::new(next));
}

/// Who waits in the backend's queue need not wait for another server.
fn serve(servers: &[Server], target: &Target, around: &Surroundings<'_>) {
    for server in servers.iter().filter(|s| s.live.is_usable()) {
        around.hooks.server_up(&member(server, target, around.hooks), false);
    }
}

fn member(server: &Server, target: &Target, hooks: &Arc<dyn Hooks>) -> Member {
    Member {
        backend: target.name.clone(),
        kind: target.kind,
        proxy: target.live.clone(),
        servers: target.servers.clone(),
        server: server.clone(),
        check: None,
        hooks: hooks.clone(),
    }
}
