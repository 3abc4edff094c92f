//! Brings servers in step with what is known of their names: addresses, ports, weights and maintenance.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::base::Millis;
use crate::check::change::NOTICE;
use crate::check::{Hooks, Member};
use crate::config::{Backend, Config, Proxy};
use crate::lang::Severity;
use crate::model::server::Resolving;
use crate::model::{Address, AdminState, Server};
use crate::resolve::Resolvers;

use super::resolution::{Question, Resolution, Verdict};
use super::select::select;

/// What servers are changed with.
pub(super) struct Around<'a> {
    pub config: &'a Config,
    pub hooks: &'a Arc<dyn Hooks>,
    pub resolvers: &'a Resolvers,
    pub now: Millis,
}

/// A backend, with the right to change its servers.
struct Place<'a> {
    around: &'a Around<'a>,
    proxy: &'a Proxy,
    back: &'a Backend,
}

/// The resolving of a server, if that is this section's.
pub(super) fn resolving_of<'s>(server: &'s Server, resolvers: &Resolvers) -> Option<&'s Resolving> {
    server.spec.resolving.as_deref().filter(|r| r.resolvers == resolvers.spec.name)
}

/// What a server waits for: its own name, or that of its record.
pub(super) fn host_of(server: &Server, resolving: &Resolving) -> Option<Question> {
    server.fqdn().map(|name| Question::host(&name, resolving.prefer))
}

/// An answer came, or none: the servers of the name follow, in the backends named. Whether servers wait for other names now.
pub(super) fn apply(
    question: &Question,
    resolution: &Resolution,
    backends: &[Arc<str>],
    around: &Around<'_>,
) -> bool {
    let verdict = resolution.verdict(&around.resolvers.spec.hold, around.now);
    if verdict == Verdict::Keep {
        return false;
    }
    let mut has_renamed = false;
    for name in backends {
        let proxy = around.config.backends.get(name).map(|id| around.config.proxy(*id));
        let Some((proxy, back)) = proxy.and_then(|p| Some((p, p.back.as_ref()?))) else { continue };
        let place = Place { around, proxy, back };
        let set = back.servers.load();
        match question.prefer {
            Some(_) => place.hosts(question, resolution, verdict, &set.list),
            None => has_renamed |= place.services(question, resolution, verdict, &set.list),
        }
    }
    has_renamed
}

/// Whether streams still use the server's address.
fn is_busy(server: &Server) -> bool {
    server.live.served.load(Ordering::Acquire) > 0 || server.live.used.load(Ordering::Acquire) > 0
}

/// The address that a server has now.
fn ip_of(server: &Server) -> Option<IpAddr> {
    let ip = server.address().inet()?.ip();
    (!server.is_nowhere() && !ip.is_unspecified()).then_some(ip)
}

/// The weight of a server for that of a record.
pub(super) fn weight(of_record: u16) -> u32 {
    u32::from(of_record).div_ceil(256)
}

impl Place<'_> {
    /// Servers that have the name, or were given it by a record.
    fn hosts(&self, question: &Question, resolution: &Resolution, verdict: Verdict, list: &[Server]) {
        let is_meant = |server: &&Server| {
            resolving_of(server, self.around.resolvers)
                .is_some_and(|resolving| host_of(server, resolving).as_ref() == Some(question))
        };
        let mut meant: Vec<&Server> = list.iter().filter(is_meant).collect();
        if let Verdict::Lost(why) = verdict {
            meant.iter().for_each(|server| self.lose(server, why));
            return;
        }
        // An address goes to who has nothing to do with another one, if there is such a server.
        meant.sort_by_key(|server| server.is_nowhere() && is_busy(server));
        // Two ports that records name at one target are one address all the same, as HAProxy has it.
        let mut holders: HashMap<IpAddr, u32> = HashMap::new();
        for ip in meant.iter().filter_map(|server| ip_of(server)) {
            *holders.entry(ip).or_default() += 1;
        }
        for server in &meant {
            let Some(resolving) = resolving_of(server, self.around.resolvers) else { continue };
            let current = ip_of(server);
            let is_taken = |ip: IpAddr| {
                let held = holders.get(&ip).copied().unwrap_or(0);
                held > u32::from(current == Some(ip))
            };
            let found = select(resolution.addresses(), current, None, resolving, is_taken);
            if let Some(held) = current.and_then(|ip| holders.get_mut(&ip)) {
                *held -= 1;
            }
            match found {
                Some(ip) => {
                    self.gain(server, ip, resolution);
                    *holders.entry(ip).or_default() += 1;
                }
                None => self.lose(server, "No IP for server "),
            }
        }
    }

    /// Servers of a record of services. Whether some of them have other names now.
    fn services(
        &self,
        question: &Question,
        resolution: &Resolution,
        verdict: Verdict,
        list: &[Server],
    ) -> bool {
        const REMOVED: &str = "entry removed from SRV record";
        let is_meant = |server: &&Server| {
            resolving_of(server, self.around.resolvers).is_some()
                && server.spec.srv_record.as_deref().map(Question::services).as_ref() == Some(question)
        };
        let meant: Vec<&Server> = list.iter().filter(is_meant).collect();
        let has_name = |server: &Server| server.live.fqdn.with(Option::is_some);
        if let Verdict::Lost(_) = verdict {
            let mut named = meant.iter().filter(|server| has_name(server)).peekable();
            let has_renamed = named.peek().is_some();
            named.for_each(|server| self.forget(server, REMOVED));
            return has_renamed;
        }
        let mut has_renamed = false;
        let mut items: Vec<(&str, u16, u16)> = resolution.services().collect();
        for server in meant.iter().filter(|server| has_name(server)) {
            let (fqdn, port) = (server.fqdn(), server.address().port());
            let found =
                items.iter().position(|(target, p, _)| Some(*target) == fqdn.as_deref() && *p == port);
            match found {
                Some(at) => self.serve_item(server, items.remove(at), resolution),
                None => {
                    self.forget(server, REMOVED);
                    has_renamed = true;
                }
            }
        }
        // Nobody's old address gets another's traffic, unless there would be no traffic at all.
        let has_usable = list.iter().any(|server| server.live.is_usable());
        let mut free: Vec<&Server> = meant.iter().copied().filter(|server| !has_name(server)).collect();
        free.sort_by_key(|server| is_busy(server));
        let mut free = free.into_iter().filter(|server| !has_usable || !is_busy(server));
        for item in items {
            let Some(server) = free.next() else { break };
            self.take_on(server, item);
            self.serve_item(server, item, resolution);
            has_renamed = true;
        }
        has_renamed
    }

    /// A free server stands for a record from now on.
    fn take_on(&self, server: &Server, (target, port, _): (&str, u16, u16)) {
        server.live.fqdn.store(Arc::new(Some(target.into())));
        server.move_to(nowhere(port));
        self.flag(server, AdminState::FQDN_CHANGED);
    }

    fn serve_item(&self, server: &Server, item: (&str, u16, u16), resolution: &Resolution) {
        let Some(resolving) = resolving_of(server, self.around.resolvers) else { return };
        let (target, _, of_record) = item;
        let weight = weight(of_record);
        let live = &server.live;
        if !resolving.ignore_weight && live.user_weight.swap(weight, Ordering::Relaxed) != weight {
            self.settle();
        }
        if let Some(ip) = resolution.address_of(target, resolving.prefer) {
            self.gain_by(server, ip, "DNS additional record", resolution);
        }
    }

    /// It stands for nothing any more.
    fn forget(&self, server: &Server, why: &str) {
        self.lose(server, why);
        server.live.fqdn.store(Arc::new(None));
        server.move_to(nowhere(0));
    }

    fn gain(&self, server: &Server, ip: IpAddr, resolution: &Resolution) {
        let by = resolution.by.as_ref().map_or("", |(name, _)| name);
        self.gain_by(server, ip, &format!("{}/{by}", self.around.resolvers.spec.name), resolution);
    }

    /// It is at this address from now on, and nothing keeps it from traffic but other reasons.
    fn gain_by(&self, server: &Server, ip: IpAddr, source: &str, resolution: &Resolution) {
        let Around { now, hooks, resolvers, .. } = self.around;
        let name = format!("{}/{}", self.proxy.name, server.spec.name);
        let before = ip_of(server);
        if before != Some(ip) {
            server.move_to(Address::Inet(SocketAddr::new(ip, server.address().port())));
            let before = before.map_or_else(|| "(none)".to_owned(), |ip| ip.to_string());
            self.say(&format!("{name} changed its IP from {before} to {ip} by {source}."));
            if let Some((_, place)) = &resolution.by {
                resolvers.counters[*place].update.fetch_add(1, Ordering::Relaxed);
            }
        }
        if server.is_nowhere() {
            self.member(server).clear_admin(AdminState::RESOLVE_MAINT, *now);
            self.say(&format!("Server {name} administratively READY thanks to valid DNS answer."));
        } else if before != Some(ip) {
            self.settle();
            hooks.server_up(&self.member(server), false);
        }
    }

    /// It has no address any more.
    fn lose(&self, server: &Server, why: &str) {
        if !server.is_nowhere() {
            self.member(server).set_admin(AdminState::RESOLVE_MAINT, why, self.around.now);
            server.move_to(nowhere(server.address().port()));
        }
    }

    fn flag(&self, server: &Server, flag: AdminState) {
        let _lock = self.proxy.live.transition.lock().unwrap_or_else(PoisonError::into_inner);
        server.live.set_admin(server.live.admin() | flag);
    }

    /// Balancing takes in what changed.
    fn settle(&self) {
        self.back.servers.load().refresh(self.around.now);
    }

    fn say(&self, text: &str) {
        self.around.hooks.line(&self.proxy.name, Severity::Warning, NOTICE, text, text);
    }

    fn member(&self, server: &Server) -> Member {
        Member {
            backend: self.proxy.name.clone(),
            kind: if self.proxy.front.is_some() { "proxy" } else { "backend" },
            proxy: self.proxy.live.clone(),
            servers: self.back.servers.clone(),
            server: server.clone(),
            check: self.back.check_of(&server.spec.name).map(Arc::new),
            hooks: self.around.hooks.clone(),
        }
    }
}

fn nowhere(port: u16) -> Address {
    Address::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
}
