//! The servers of a backend: addresses resolved, numbers given, merged with those that run.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::lang::{Frame, Severity, Span, suggest};
use crate::model::agent::AgentSpec;
use crate::model::server::Resolving;
use crate::model::{Address, ServerSpec};

use super::super::proxy::Backend;
use super::declared::{InitAddr, ServerDraft, ServerSettings};
use super::draft::{Cx, Draft};
use super::server::{port_offset, srv_record};
use super::state::{Line, Saved};
use crate::model::notation::{Family, Host, Written};

/// Server declarations of `draft` as specs, in file order. Reports duplicates and what does not resolve.
pub fn declared(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    previous: Option<&Backend>,
    saved: &Saved,
) -> Vec<Declared> {
    let mut names: HashMap<&str, Span> = HashMap::new();
    let mut ids: HashMap<u32, &str> = HashMap::new();
    for server in &draft.servers {
        if let Some(first) = names.insert(&server.name, server.at) {
            let place =
                if first.file == server.at.file { format!("line {}", first.line) } else { cx.place(first) };
            let message = format!(
                "{}, another server named '{}' was already defined at {place}, please use distinct names.",
                draft.title(),
                server.name
            );
            let at = cx.spot(server.at, &server.name);
            cx.diags.alert(at, message);
        }
        if let Some(id) = server.set.id
            && let Some(other) = ids.insert(id, &server.name)
        {
            let message = format!(
                "'server {}/{}' : custom id {id} already used by server '{other}'",
                draft.name, server.name
            );
            cx.diags.alert_framed(Frame::Object, server.at, message, None);
        }
    }
    let mut next = 1;
    let mut list = Vec::with_capacity(draft.servers.len());
    if let (Some(_), Some(at)) = (&draft.dispatch, draft.set.balance_at) {
        // Who balances wants servers.
        let message = format!("dispatch address of {} will be ignored in balance mode.", draft.title());
        cx.diags.warning(at, message);
    } else if let Some(address) = &draft.dispatch {
        // It takes everything, whatever servers are declared beside it.
        let spec = ServerSpec::new(ServerSpec::DISPATCH, 0, address.clone());
        return vec![Declared { spec: Arc::new(spec), unresolved: false }];
    }
    if draft.set.options.transparent && draft.servers.is_empty() && draft.services.is_empty() {
        let nowhere = Address::Inet(SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0));
        let spec = ServerSpec {
            port_offset: Some(0),
            goes_on: true,
            ..ServerSpec::new(ServerSpec::DISPATCH, 0, nowhere)
        };
        return vec![Declared { spec: Arc::new(spec), unresolved: false }];
    }
    for server in &draft.servers {
        // Automatic numbers go on by one for each server, whether or not it was given one.
        let id = server.set.id.unwrap_or_else(|| first_free(next, &ids));
        next = if server.set.id.is_some() { next + 1 } else { id + 1 };
        let line = saved.get(&*server.name);
        list.push(spec(cx, draft, server, id, (previous, line)));
    }
    list
}

fn first_free(from: u32, taken: &HashMap<u32, &str>) -> u32 {
    (from..).find(|id| !taken.contains_key(id)).unwrap_or(from)
}

/// A server of the file.
pub struct Declared {
    pub spec: Arc<ServerSpec>,
    /// Its name does not resolve and it may start without an address.
    pub unresolved: bool,
}

fn spec(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    server: &ServerDraft,
    id: u32,
    (previous, line): (Option<&Backend>, Option<&Line>),
) -> Declared {
    let set = &server.set;
    let before = previous.and_then(|b| b.declared.iter().find(|s| s.name == server.name));
    let port = server.written.first_port();
    let resolved = match server.written.address(port) {
        Some(address) => Some(address),
        None => resolve(cx, draft, server, (before.map(|s| &**s), line)),
    };
    let srv = srv_record(&server.written);
    let hostname = match &server.written.host {
        Host::Name(name, _) if srv.is_none() => Some(Arc::from(name.as_str())),
        _ => None,
    };
    let resolving = resolving(cx, draft, server);
    let unresolved = resolved.is_none();
    let nowhere = || Address::Inet(SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), port));
    let spec = ServerSpec {
        hostname,
        srv_record: srv.map(Arc::from),
        resolving,
        port_offset: port_offset(&server.written),
        goes_on: matches!(&server.written.host, Host::Ip(ip) if ip.is_unspecified()),
        ..finished(&server.name, id, resolved.unwrap_or_else(nowhere), set, draft)
    };
    let mut spec = spec;
    let is_dynamic = draft.set.cookie.as_ref().is_some_and(|cookie| cookie.dynamic);
    if let Some(key) = draft.set.dynamic_cookie_key.filter(|_| is_dynamic && spec.cookie.is_none()) {
        spec.cookie = super::cookie::dynamic_value(key, &spec.address).map(Arc::from);
    }
    let title = format!("'server {}/{}'", draft.name, server.name);
    let tls = super::tls::server(cx, server.at, &title, &set.tls, before.and_then(|spec| spec.tls.as_ref()));
    let track = spec.track.as_ref().map(|track| match &**track {
        (backend, name) if backend.is_empty() => Arc::new((draft.name.into(), name.clone())),
        _ => track.clone(),
    });
    let spec = ServerSpec { tls, track, tls_is_off: set.tls.is_off, ..spec };
    check_port(cx, draft, server);
    Declared { spec: Arc::new(spec), unresolved }
}

/// How its name is resolved while running. A server without a name has nothing to resolve.
fn resolving(cx: &mut Cx<'_>, draft: &Draft<'_>, server: &ServerDraft) -> Option<Arc<Resolving>> {
    let set = &server.set.resolving;
    let name = set.resolvers.as_deref()?;
    if !cx.resolvers.iter().any(|known| *known.spec.name == *name) {
        let hint = suggest::hint(name, cx.resolvers.iter().map(|known| &*known.spec.name));
        let message = format!(
            "backend '{}', server '{}': unable to find required resolvers '{name}'",
            draft.name, server.name
        );
        cx.whole_hint(Severity::Alert, cx.spot(server.at, name), message, hint);
        return None;
    }
    matches!(server.written.host, Host::Name(..)).then(|| {
        Arc::new(Resolving {
            resolvers: name.into(),
            prefer: set.prefer.unwrap_or(Family::V6),
            nets: set.nets.clone(),
            allow_dup_ip: set.allow_dup_ip,
            ignore_weight: set.ignore_weight,
        })
    })
}

/// A server with these options, and what they leave to its proxy.
pub fn finished(
    name: &str,
    id: u32,
    address: Address,
    set: &ServerSettings,
    draft: &Draft<'_>,
) -> ServerSpec {
    let line = &set.spec;
    // What the proxy says of both holds for a server that says nothing of either.
    let (source, interface) = match &line.source {
        Some(_) => (line.source.clone(), line.interface.clone()),
        None => (draft.set.source.clone(), draft.set.source_interface.map(Arc::from)),
    };
    ServerSpec {
        name: name.into(),
        id,
        address,
        // A lone or larger `minconn` is the maximum too; without it the limit does not move.
        maxconn: line.maxconn.max(line.minconn),
        minconn: if line.minconn == 0 { line.maxconn } else { line.minconn },
        source,
        interface,
        proxy_tlvs: set.proxy_tlvs.iter().map(|(kind, text, _)| (*kind, text.as_str().into())).collect(),
        agent: agent(set, draft),
        rise: set.checking.rise,
        fall: set.checking.fall,
        ..line.clone()
    }
}

fn agent(set: &ServerSettings, draft: &Draft<'_>) -> Option<Arc<AgentSpec>> {
    let agent = set.agent.is_on.then_some(&set.agent)?;
    Some(Arc::new(AgentSpec {
        addr: agent.addr,
        port: agent.port,
        inter_ms: agent.inter_ms,
        timeout_ms: draft.set.timeouts.check,
        send: agent.send.as_slice().into(),
        log_checks: draft.set.options.log_health_checks,
    }))
}

/// A check needs a port to go to. HAProxy asks for it where an address is known: not of names, nor where the address
/// is left open (`*`).
fn check_port(cx: &mut Cx<'_>, draft: &Draft<'_>, server: &ServerDraft) {
    let host = match &server.written.host {
        Host::Ip(ip) => Some(*ip),
        _ => None,
    };
    let target = server.set.checking.addr.or(host);
    let script = draft.set.check.has_connect;
    if server.set.spec.has_check
        && target.is_some_and(|ip| !ip.is_unspecified())
        && server.written.first_port() == 0
        && server.set.checking.port.is_none()
        && !script
    {
        let message = format!(
            "backend '{}': server '{}' has neither service port nor check port.",
            draft.name, server.name
        );
        cx.diags.alert_framed(Frame::Object, server.at, message, None);
    }
}

/// The address to start with of a server whose name is followed while running: none where a record tells it later, and
/// what runs is known better than a look-up would know it. `None`: it is to be looked up.
fn followed(server: &ServerDraft, before: Option<&ServerSpec>) -> Option<Option<Address>> {
    server.set.resolving.resolvers.as_ref()?;
    if srv_record(&server.written).is_some() {
        return Some(None);
    }
    let Host::Name(name, _) = &server.written.host else { return None };
    let spec = before.filter(|s| s.resolving.is_some() && s.hostname.as_deref() == Some(name.as_str()))?;
    let ip = spec.address.inet()?.ip();
    let address = Address::Inet(SocketAddr::new(ip, server.written.first_port()));
    Some((!ip.is_unspecified()).then_some(address))
}

/// The address of a name, by the methods of `init-addr`. `None`: start without one.
fn resolve(
    cx: &mut Cx<'_>,
    draft: &Draft<'_>,
    server: &ServerDraft,
    (before, line): (Option<&ServerSpec>, Option<&Line>),
) -> Option<Address> {
    let Written { host: Host::Name(name, family), .. } = &server.written else { return None };
    let port = server.written.first_port();
    if let Some(known) = followed(server, before) {
        return known;
    }
    let is_followed = server.set.resolving.resolvers.is_some();
    let usual = [InitAddr::Last, InitAddr::Libc];
    let methods = if server.set.init_addr.is_empty() { &usual[..] } else { &server.set.init_addr };
    let title = format!("'server {}/{}'", draft.name, server.name);
    let mut tried = false;
    for method in methods {
        match method {
            InitAddr::Last => {
                if let Some(ip) = line.and_then(|line| line.address_of(name)) {
                    return Some(Address::Inet(SocketAddr::new(ip, port)));
                }
            }
            // Nobody has an address of this name.
            InitAddr::Libc if srv_record(&server.written).is_some() => {}
            InitAddr::Libc => {
                let found = lookup(cx, name);
                if let Some(ip) = found.iter().find(|ip| family.is_none_or(|f| f.has(ip))) {
                    return Some(Address::Inet(SocketAddr::new(*ip, port)));
                }
                tried = true;
            }
            InitAddr::None => {
                if tried {
                    let message = format!("{title} : could not resolve address '{name}', disabling server.");
                    object(cx, Severity::Notice, server.at, message);
                }
                return None;
            }
            InitAddr::Ip(ip) => {
                if tried {
                    let message = format!(
                        "{title} : could not resolve address '{name}', falling back to configured address."
                    );
                    object(cx, Severity::Notice, server.at, message);
                }
                return Some(Address::Inet(SocketAddr::new(*ip, port)));
            }
        }
    }
    // A reload must not fail on a name that resolved before and whose server runs.
    if let Some(spec) = before.filter(|s| s.hostname.as_deref() == Some(name))
        && let Some(address) = spec.address.inet()
    {
        let message = format!("{title} : could not resolve address '{name}', keeping {}.", address.ip());
        object(cx, Severity::Warning, server.at, message);
        return Some(Address::Inet(SocketAddr::new(address.ip(), port)));
    }
    if cx.inputs.ignore_unresolved {
        return None;
    }
    if is_followed {
        let message = format!("{title} : could not resolve address '{name}', disabling server.");
        object(cx, Severity::Warning, server.at, message);
        return None;
    }
    let (what, at) = (if tried { "could not" } else { "no method found to" }, cx.spot(server.at, name));
    object(cx, Severity::Alert, at, format!("{title} : {what} resolve address '{name}'."));
    None
}

fn object(cx: &mut Cx<'_>, severity: Severity, at: Span, message: String) {
    cx.diags.framed(severity, Frame::Object, at, message);
}

/// One lookup a name, however many servers have it.
fn lookup(cx: &mut Cx<'_>, name: &str) -> Arc<[std::net::IpAddr]> {
    if let Some(found) = cx.resolved.get(name) {
        return found.clone();
    }
    let found: Arc<[_]> = (cx.inputs.resolve)(name).unwrap_or_default().into();
    cx.resolved.insert(name.to_owned(), found.clone());
    found
}

/// Numbers that specs of a list have.
pub fn ids(list: &[Declared]) -> HashSet<u32> {
    list.iter().map(|d| d.spec.id).collect()
}
