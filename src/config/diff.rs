//! What changed between two configurations: what a reload has to open, close, drain and tell.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::ServerSpec;

use super::proxy::{Bind, Config, Proxy};

/// Where a listener is: its proxy and the place of its bind there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BindRef {
    pub proxy: usize,
    pub bind: usize,
}

/// One listening address of a configuration.
#[derive(Clone, Copy)]
pub struct Listener<'c> {
    pub at: BindRef,
    pub proxy: &'c Proxy,
    pub bind: &'c Bind,
}

/// What becomes of the listening sockets. A socket is the same one when its address and the options that the kernel
/// knows of are: it is kept even when the proxy around it has another name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// To be bound, by their place in the new configuration.
    pub added: Vec<BindRef>,
    /// To be closed, by their place in the old one.
    pub removed: Vec<BindRef>,
    /// Old place, new place.
    pub kept: Vec<(BindRef, BindRef)>,
}

/// A server by backend and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRef {
    pub backend: Arc<str>,
    pub server: Arc<str>,
}

/// A server whose line changed, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEdit {
    pub server: ServerRef,
    /// `weight`, `address`, `maxconn`...: names of options, in the order of [`ServerSpec`].
    pub fields: Vec<&'static str>,
}

/// The difference of two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub listeners: Listeners,
    pub proxies_added: Vec<Arc<str>>,
    pub proxies_removed: Vec<Arc<str>>,
    pub servers_added: Vec<ServerRef>,
    pub servers_removed: Vec<ServerRef>,
    pub servers_changed: Vec<ServerEdit>,
}

impl Diff {
    /// What `new` changes. Disabled proxies listen nowhere and count as absent.
    pub fn between(old: &Config, new: &Config) -> Diff {
        let mut diff = Diff { listeners: listeners(old, new), ..Diff::default() };
        let before = by_name(old);
        let after = by_name(new);
        for proxy in active(new) {
            if !before.contains_key(&key(proxy)) {
                diff.proxies_added.push(proxy.name.clone());
            }
        }
        for proxy in active(old) {
            if !after.contains_key(&key(proxy)) {
                diff.proxies_removed.push(proxy.name.clone());
            }
        }
        for proxy in active(new) {
            diff.servers(before.get(&key(proxy)).copied(), Some(proxy));
        }
        for proxy in active(old).filter(|p| !after.contains_key(&key(p))) {
            diff.servers(Some(proxy), None);
        }
        diff
    }

    /// Nothing to open, close or tell. Timeouts, rules and options may differ all the same: they are values.
    pub fn is_empty(&self) -> bool {
        self == &Diff {
            listeners: Listeners { kept: self.listeners.kept.clone(), ..Listeners::default() },
            ..Diff::default()
        }
    }

    fn servers(&mut self, old: Option<&Proxy>, new: Option<&Proxy>) {
        let declared = |p: Option<&Proxy>| -> Vec<Arc<ServerSpec>> {
            p.and_then(|p| p.back.as_ref()).map_or_else(Vec::new, |b| b.declared.clone())
        };
        let (old_list, new_list) = (declared(old), declared(new));
        let Some(backend) = new.or(old).map(|p| p.name.clone()) else { return };
        let reference = |spec: &ServerSpec| ServerRef { backend: backend.clone(), server: spec.name.clone() };
        let before: HashMap<&str, &Arc<ServerSpec>> = old_list.iter().map(|s| (&*s.name, s)).collect();
        let after: HashSet<&str> = new_list.iter().map(|s| &*s.name).collect();
        for spec in &new_list {
            match before.get(&*spec.name) {
                None => self.servers_added.push(reference(spec)),
                Some(old) => {
                    let fields = changed_fields(old, spec);
                    if !fields.is_empty() {
                        self.servers_changed.push(ServerEdit { server: reference(spec), fields });
                    }
                }
            }
        }
        let gone = old_list.iter().filter(|s| !after.contains(&*s.name));
        self.servers_removed.extend(gone.map(|s| reference(s)));
    }
}

fn active(config: &Config) -> impl Iterator<Item = &Proxy> {
    config.proxies.iter().filter(|p| !p.disabled)
}

/// A frontend and a backend may have one name (`accept-legacy-syntax`).
fn key(proxy: &Proxy) -> (&str, bool) {
    (&proxy.name, proxy.front.is_none())
}

fn by_name(config: &Config) -> HashMap<(&str, bool), &Proxy> {
    active(config).map(|p| (key(p), p)).collect()
}

/// Every listening address of the proxies that are not disabled.
pub fn all_listeners(config: &Config) -> impl Iterator<Item = Listener<'_>> {
    config.proxies.iter().enumerate().filter(|(_, p)| !p.disabled).flat_map(|(i, proxy)| {
        let binds = proxy.front.as_ref().map_or(&[][..], |f| &f.binds);
        binds.iter().enumerate().map(move |(j, bind)| Listener {
            at: BindRef { proxy: i, bind: j },
            proxy,
            bind,
        })
    })
}

fn listeners(old: &Config, new: &Config) -> Listeners {
    // Several lines may name one address: each takes one of the old sockets.
    let mut free: Vec<Option<Listener<'_>>> = all_listeners(old).map(Some).collect();
    let mut index: HashMap<&crate::model::Address, Vec<usize>> = HashMap::new();
    for (i, listener) in free.iter().enumerate() {
        if let Some(listener) = listener {
            index.entry(&listener.bind.address).or_default().push(i);
        }
    }
    let mut result = Listeners::default();
    for listener in all_listeners(new) {
        let candidates = index.get(&listener.bind.address).map_or(&[][..], Vec::as_slice);
        let fits = |i: &&usize| free[**i].is_some_and(|old| same_socket(old.bind, listener.bind));
        match candidates.iter().find(fits).and_then(|i| free[*i].take()) {
            Some(old) => result.kept.push((old.at, listener.at)),
            None => result.added.push(listener.at),
        }
    }
    result.removed = free.into_iter().flatten().map(|l| l.at).collect();
    result
}

/// Whether the socket of one bind can serve the other: what cannot be changed on an open socket is equal.
pub fn same_socket(a: &Bind, b: &Bind) -> bool {
    a.address == b.address
        && a.datagram == b.datagram
        && a.interface == b.interface
        && a.v4v6 == b.v4v6
        && a.v6only == b.v6only
        && a.transparent == b.transparent
        && a.tfo == b.tfo
        && a.defer_accept == b.defer_accept
        && a.mss == b.mss
        && a.tcp_ss == b.tcp_ss
        && a.congestion == b.congestion
        && (a.mode, a.uid, a.gid) == (b.mode, b.uid, b.gid)
}

fn changed_fields(old: &ServerSpec, new: &ServerSpec) -> Vec<&'static str> {
    macro_rules! changed {
        ($($field:ident => $name:literal),* $(,)?) => {{
            let mut list = Vec::new();
            $(if old.$field != new.$field { list.push($name); })*
            list
        }};
    }
    changed! {
        id => "id", address => "address", hostname => "name", port_offset => "port", weight => "weight",
        backup => "backup", maxconn => "maxconn", minconn => "minconn", maxqueue => "maxqueue",
        slowstart_ms => "slowstart", disabled => "disabled", pool_max_conn => "pool-max-conn",
        pool_low_conn => "pool-low-conn", proto_h2 => "proto", websockets => "ws",
        pool_purge_delay_ms => "pool-purge-delay", max_reuse => "max-reuse", send_proxy => "send-proxy",
        proxy_fields => "proxy-v2-options", proxy_tlvs => "set-proxy-v2-tlv-fmt",
        socks4 => "socks4", source => "source", interface => "interface", cookie => "cookie", redir => "redir", tcp_ut_ms => "tcp-ut",
        non_stick => "non-stick", has_check => "check", rise => "rise", fall => "fall", hash_key => "hash-key",
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile::testing::{build_on, build_text};
    use super::*;

    const OLD: &str = "
defaults
    mode http
    timeout client 1s
    timeout connect 1s
    timeout server 1s
frontend web
    bind 127.0.0.1:1001
    bind 127.0.0.1:1002
    default_backend app
backend app
    server a 10.0.0.1:80
    server b 10.0.0.2:80 weight 5
    server c 10.0.0.3:80
backend gone
    server x 10.0.0.9:80
";

    const NEW: &str = "
defaults
    mode http
    timeout client 2s
    timeout connect 1s
    timeout server 1s
frontend web
    bind 127.0.0.1:1002 name again
    bind 127.0.0.1:1003
    bind 127.0.0.1:1001 interface lo
    default_backend app
backend app
    server a 10.0.0.1:80
    server b 10.0.0.4:80 weight 6 check
    server d 10.0.0.5:80
";

    #[test]
    fn a_diff_names_what_came_went_and_changed() {
        let old = build_text(OLD).0.expect("built").config;
        let new = build_on(NEW, Some(&old)).0.expect("built").config;
        let diff = Diff::between(&old, &new);
        let at = |proxy, bind| BindRef { proxy, bind };
        assert_eq!(diff.listeners.kept, [(at(0, 1), at(0, 0))]);
        assert_eq!(diff.listeners.added, [at(0, 1), at(0, 2)]);
        assert_eq!(diff.listeners.removed, [at(0, 0)]);
        assert_eq!((diff.proxies_added.len(), &diff.proxies_removed[..]), (0, &["gone".into()][..]));
        let names = |list: &[ServerRef]| {
            list.iter().map(|s| format!("{}/{}", s.backend, s.server)).collect::<Vec<_>>()
        };
        assert_eq!(names(&diff.servers_added), ["app/d"]);
        assert_eq!(names(&diff.servers_removed), ["app/c", "gone/x"]);
        assert_eq!(diff.servers_changed.len(), 1);
        assert_eq!(diff.servers_changed[0].fields, ["address", "weight", "check"]);
        assert!(!diff.is_empty() && Diff::between(&new, &new).is_empty());
    }
}
