//! `add server` and `del server`: servers that come and go without a new configuration.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::balance;
use crate::base::clock;
use crate::check::{CheckSpec, CheckTls};
use crate::config::compile::{Inputs, Lent, build, section_kinds};
use crate::config::global::CliLevel::Admin;
use crate::config::proxy::ServerTarget;
use crate::config::{Backend, Config, Proxy};
use crate::lang::{Env, Facts, Input, LoadOptions, Severity as Gravity, load};
use crate::model::{AdminState, Mode, OperState, Server, ServerLive, ServerSet, ServerSpec};
use crate::tls::Disk;

use super::command::Command;
use super::session::{Answer, Session, Severity};
use super::words::Args;

pub static COMMANDS: &[Command] = &[
    Command::new(
        Admin,
        "add server",
        "<backend>/<server> <addr> [<option>]*",
        "Add a server, in maintenance at first.",
        "add server be/s9 127.0.0.1:8080 weight 10",
        "2.4",
        add,
    ),
    Command::new(
        Admin,
        "del server",
        "<backend>/<server>",
        "Remove a server that is in maintenance and has nothing to do any more.",
        "del server be/s9",
        "2.4",
        del,
    ),
];

/// Splits `backend/server` and finds the backend.
fn find<'a>(
    config: &'a crate::config::Config,
    name: &'a str,
) -> Result<(&'a Proxy, &'a Backend, &'a str), Answer> {
    let Some((backend, server)) = name.split_once('/').filter(|(_, s)| !s.is_empty()) else {
        return Err(Answer::error("Require 'backend/server'.\n"));
    };
    let proxy = config.backends.get(backend).map(|id| config.proxy(*id));
    match proxy.and_then(|p| Some((p, p.back.as_ref()?))) {
        Some((proxy, back)) => Ok((proxy, back, server)),
        None => Err(Answer::error("No such backend.\n")),
    }
}

/// A word as the configuration writes it.
fn escaped(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        if " #\\\"'".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// What a `server` line says, of the server and of its checks, read as one of a backend of the same mode.
fn read(
    proxy: &Proxy,
    name: &str,
    words: &[&str],
    lent: Lent,
) -> Result<(ServerSpec, Option<CheckSpec>), String> {
    let mode = match proxy.mode {
        Mode::Tcp => "tcp",
        Mode::Udp => "udp",
        _ => "http",
    };
    let line: Vec<String> = words.iter().map(|w| escaped(w)).collect();
    let text = format!(
        "backend dynamic\n mode {mode}\n timeout server 1\n timeout connect 1\n server {} {}\n",
        escaped(name),
        line.join(" ")
    );
    let facts = Facts::default();
    let kinds: Vec<&str> = section_kinds().collect();
    let input = Input::Text { name: "CLI".to_owned(), text };
    let loaded = load(&[input], LoadOptions::new(&facts, Env::default(), &kinds));
    let inputs = Inputs {
        sections: &loaded.sections,
        sources: &loaded.sources,
        resolve: &resolve,
        env: &|_| None,
        files: &|_: &Path| Err(io::ErrorKind::Unsupported.into()),
        disk: &Nothing,
        user: &|_| None,
        group: &|_| None,
        services: &|_| None,
        previous: None,
        lent: Some(lent),
        ignore_unresolved: false,
        default_maxconn: 0,
        workers: 1,
        now: 0,
    };
    let (built, diags) = build(&inputs);
    let all = loaded.diagnostics.list.iter().chain(&diags.list);
    if let Some(alert) = all.into_iter().find(|d| d.severity >= Gravity::Alert) {
        return Err(alert.message.clone());
    }
    let built = built.ok_or("the line cannot be used")?;
    let back = built.config.proxies.first().and_then(|p| p.back.as_ref());
    let spec = back.and_then(|b| b.declared.first()).map(|spec| (**spec).clone());
    let check = back.and_then(|b| b.checks.first()).map(|(_, check)| check.clone());
    Ok((spec.ok_or("the line cannot be used")?, check))
}

/// What to check of a server: its own words, and what its backend says of all.
fn completed(own: CheckSpec, back: &Backend, words: &[&str]) -> CheckSpec {
    let all = &back.check_template;
    let own_asks = words.contains(&"check-ssl");
    CheckSpec {
        protocol: all.protocol,
        external: all.external.clone(),
        steps: all.steps.clone(),
        disable_on_404: all.disable_on_404,
        send_state: all.send_state,
        timeout_check_ms: all.timeout_check_ms,
        timeout_connect_ms: all.timeout_connect_ms,
        log_health_checks: all.log_health_checks,
        spread_percent: all.spread_percent,
        answer_max: all.answer_max,
        datagram: all.datagram,
        // Nor does what traffic begins with say anything of them.
        send_proxy: if words.contains(&"check-send-proxy") { own.send_proxy } else { 0 },
        // That traffic speaks TLS says nothing of the checks of such a server, but for steps that ask for it.
        tls: (own.tls.clone().filter(|_| own_asks || all.asks_for_tls()))
            .map(|tls| CheckTls { is_default: own_asks, ..tls }),
        ..own
    }
}

fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|a| a.ip()).collect())
}

fn add(session: &mut Session, args: &Args) -> Answer {
    let config = session.control.config();
    let (proxy, back, name) = match find(&config, args.at(2)) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if !back.balance.is_dynamic() {
        return Answer::error("Backend must use a dynamic load balancing to support dynamic servers.\n");
    }
    let exists = || Answer::error("Already exists a server with the same name in backend.\n");
    if back.servers.load().by_name(name).is_some() {
        return exists();
    }
    let words: Vec<&str> = args.from(3).collect();
    let is_evaluated = |word: &&&str| **word == "sni" || word.starts_with("set-proxy-v2-tlv-fmt(");
    if let Some(word) = words.iter().find(is_evaluated) {
        return Answer::error(format!("'{word}' is not supported for servers that are added at run time.\n"));
    }
    let library = config.tls.lock().unwrap_or_else(PoisonError::into_inner).library();
    let (globals, resolvers) = (config.global.tls.clone(), config.resolvers.clone());
    let lent = Lent { library, globals, resolvers };
    let (mut spec, check) = match read(proxy, name, &words, lent) {
        Ok(read) => read,
        Err(message) => return Answer::error(format!("{message}\n")),
    };
    if spec.proto_h2 && !proxy.mode.has_messages() {
        return Answer::error("MUX protocol is not usable for server.\n");
    }
    if let Some(agent) = &mut spec.agent {
        let all = &back.check_template;
        let agent = Arc::make_mut(agent);
        (agent.log_checks, agent.timeout_ms) = (all.log_health_checks, all.timeout_check_ms);
    }
    if let Err(answer) = find_tracked(&config, proxy, &words, &mut spec) {
        return answer;
    }
    let is_followed =
        check.is_some() || spec.track.is_some() || spec.agent.is_some() || spec.resolving.is_some();
    let lock = proxy.live.transition.lock().unwrap_or_else(PoisonError::into_inner);
    let set = back.servers.load();
    if set.by_name(name).is_some() {
        return exists();
    }
    let is_taken = |id: u32| set.list.iter().any(|s| s.spec.id == id);
    if !words.contains(&"id") {
        spec.id = (1..).find(|id| !is_taken(*id)).unwrap_or(u32::MAX);
    } else if is_taken(spec.id) {
        return Answer::error(format!("Custom id {} already used for server in backend.\n", spec.id));
    }
    let now = clock::now_ms();
    let workers = session.control.process().nbthread as usize;
    let live = ServerLive::new(&spec, workers, now);
    live.set_admin(live.admin() | AdminState::FORCED_MAINT);
    live.set_oper(OperState::Stopped);
    // Checks wait for `enable health`.
    live.check_enabled.store(false, Ordering::Relaxed);
    let mut list = set.list.clone();
    list.push(Server { spec: Arc::new(spec), live: Arc::new(live) });
    replace(back, list, now);
    // Checks that begin take it.
    drop(lock);
    if let Some(check) = check {
        let check = completed(check, back, &words);
        back.added_checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), check);
    }
    if is_followed {
        session.control.servers_changed();
    }
    Answer::Message(Severity::Info, "New server registered.\n".into())
}

/// The server that a new one tracks: of the file, and checked.
fn find_tracked(config: &Config, proxy: &Proxy, words: &[&str], spec: &mut ServerSpec) -> Result<(), Answer> {
    let Some(at) = words.iter().position(|word| *word == "track") else { return Ok(()) };
    let written = words.get(at + 1).copied().unwrap_or_default();
    let (backend, name) = written.rsplit_once('/').unwrap_or((&proxy.name, written));
    let told = |text: String| Err(Answer::error(text + "\n"));
    let leader = config.backends.get(backend).map(|id| config.proxy(*id));
    let Some(back) = leader.and_then(|proxy| proxy.back.as_ref()) else {
        return told(format!("unable to find required proxy '{backend}' for tracking."));
    };
    let set = back.servers.load();
    let Some((_, leader)) = set.by_name(name) else {
        return told(format!("unable to find required server '{name}' for tracking."));
    };
    if !back.declared.iter().any(|declared| *declared.name == *name) {
        return told(format!("unable to use {backend}/{name} for tracking as it is a dynamic server."));
    }
    if !leader.spec.has_check && leader.spec.agent.is_none() && leader.spec.track.is_none() {
        return told(format!(
            "unable to use {backend}/{name} for tracking as it does not have any check nor agent enabled."
        ));
    }
    spec.track = Some(Arc::new((backend.into(), name.into())));
    Ok(())
}

/// Whether another server takes over this one's state.
fn is_tracked(config: &Config, backend: &str, name: &str) -> bool {
    let tracks = |server: &Server| {
        server.spec.track.as_deref().is_some_and(|(of, leader)| **of == *backend && **leader == *name)
    };
    let backs = config.proxies.iter().filter_map(|proxy| proxy.back.as_ref());
    backs.map(|back| back.servers.load()).any(|set| set.list.iter().any(tracks))
}

/// Stores a set of these servers.
fn replace(back: &Backend, list: Vec<Server>, now: u64) {
    let balancer = balance::build(&back.balance, &list, now);
    let set = ServerSet { list, balancer };
    set.refresh(now);
    back.servers.store(Arc::new(set));
}

fn del(session: &mut Session, args: &Args) -> Answer {
    let config = session.control.config();
    let (proxy, back, name) = match find(&config, args.at(2)) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let lock = proxy.live.transition.lock().unwrap_or_else(PoisonError::into_inner);
    let set = back.servers.load();
    let Some((at, server)) = set.by_name(name) else {
        return Answer::error("No such server.\n");
    };
    let is_named = |target: &ServerTarget| matches!(target, ServerTarget::Server(n) if **n == *name);
    let in_expression =
        config.named_servers.iter().any(|(of, server)| **of == *proxy.name && **server == *name);
    if in_expression
        || back.use_server.iter().any(|line| is_named(&line.target))
        || is_tracked(&config, &proxy.name, name)
    {
        return Answer::error(
            "This server cannot be removed at runtime due to other configuration elements pointing to it.\n",
        );
    }
    let live = &server.live;
    if !live.admin().intersects(AdminState::MAINT) {
        return Answer::error("Only servers in maintenance mode can be deleted.\n");
    }
    let busy = live.served.load(Ordering::Relaxed) + live.used.load(Ordering::Relaxed) + live.queue.len();
    if busy > 0 {
        return Answer::error("Server still has connections attached to it, cannot remove it.\n");
    }
    let mut list = set.list.clone();
    list.remove(at);
    replace(back, list, clock::now_ms());
    drop(lock);
    back.added_checks.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    session.control.servers_changed();
    Answer::Message(Severity::Info, "Server deleted.\n".into())
}

/// A server that is added has nothing to read from files.
struct Nothing;

impl Disk for Nothing {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
