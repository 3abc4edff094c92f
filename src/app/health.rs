//! Health checks wired to the running configuration: who is checked, and where the lines about it go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::clock;
use crate::check::change::{Hooks, Member};
use crate::check::runner::{Checks, Settings};
use crate::config::proxy::LogSpec;
use crate::config::{Backend, Config, Proxy};
use crate::lang::Severity;
use crate::log::{Logger, Origin};
use crate::model::{AdminState, Cut, Server};
use crate::proxy::Worker;
use crate::proxy::server::serve_queues;
use crate::rt::Remote;

use super::messages::Messages;
use super::services::Current;

/// Servers of a chain of those that track each other.
const CHAIN: u32 = 100;

/// What happens outside when a server changes its state.
pub struct HealthHooks {
    pub current: Current,
    pub messages: Messages,
    pub hostname: String,
    logger: std::sync::Mutex<Logger>,
}

impl HealthHooks {
    pub fn new(current: Current, messages: Messages, hostname: String) -> Arc<HealthHooks> {
        Arc::new(HealthHooks {
            current,
            messages,
            hostname,
            logger: std::sync::Mutex::new(Logger::default()),
        })
    }
}

impl HealthHooks {
    /// A line for the log targets of a backend, or for those of the process when `backend` is empty.
    pub fn log(&self, backend: &str, level: u8, text: &str) {
        let Some(config) = (*self.current.load()).clone() else { return };
        match config.backends.get(backend) {
            Some(id) => self.log_of(&config, Some(&config.proxy(*id).log), level, text),
            // What is of no backend is the process's own.
            None if backend.is_empty() => self.log_of(&config, None, level, text),
            None => {}
        }
    }

    /// A line for the log targets of a proxy, or for those of the process.
    pub fn log_of(&self, config: &Config, proxy: Option<&LogSpec>, level: u8, text: &str) {
        let global = &config.global;
        let (targets, tag) = match proxy {
            Some(spec) => (&spec.targets[..], spec.tag.as_deref()),
            None => (&global.logs[..], None),
        };
        let origin = Origin {
            tag: tag.or(global.log_tag.as_deref()).unwrap_or("haproxy"),
            hostname: global.log_send_hostname.as_ref().map(|name| name.as_deref().unwrap_or(&self.hostname)),
            pid: std::process::id(),
            now_us: clock::wall().as_micros() as u64,
            structured: b"",
        };
        let logger = self.logger.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        logger.send(targets, level, &origin, text.as_bytes());
        logger.flush();
    }
}

impl Hooks for HealthHooks {
    fn line(&self, backend: &str, severity: Severity, level: u8, screen: &str, log: &str) {
        match severity {
            Severity::Alert => self.messages.alert(screen),
            Severity::Warning => self.messages.warning(screen),
            _ => self.messages.notice(screen),
        }
        self.log(backend, level, log);
    }

    fn node(&self) -> String {
        let config = (*self.current.load()).clone();
        config.and_then(|c| c.global.node.clone()).unwrap_or_else(|| self.hostname.clone())
    }

    fn server_down(&self, member: &Member, shutdown: bool) -> u32 {
        let queue = &member.server.live.queue;
        let waiting = queue.len();
        queue.send_back();
        if shutdown {
            cut_sessions(&member.server, Cut::Down);
        }
        waiting
    }

    fn trackers(&self, member: &Member) -> Vec<Member> {
        let Some(config) = (*self.current.load()).clone() else { return Vec::new() };
        let name = &member.server.spec.name;
        let is_tracker = |server: &Server| {
            let track = server.spec.track.as_deref();
            track.is_some_and(|(backend, of)| **backend == *member.backend && **of == **name)
        };
        // The latest line first, as HAProxy has it.
        let backs = config.proxies.iter().rev().filter_map(|proxy| Some((proxy, proxy.back.as_ref()?)));
        let of_back = |(proxy, back): (&Proxy, &Backend)| -> Vec<Member> {
            let set = back.servers.load();
            let found = set.list.iter().rev().filter(|server| is_tracker(server));
            found.map(|server| back.member(proxy, server, member.hooks.clone())).collect()
        };
        backs.flat_map(of_back).collect()
    }

    fn server_up(&self, member: &Member, shutdown_backups: bool) -> u32 {
        if shutdown_backups {
            let set = member.servers.load();
            for backup in set.list.iter().filter(|s| s.spec.backup) {
                cut_sessions(backup, Cut::Up);
            }
        }
        let before = member.proxy.queue.len();
        let fullconn = (*self.current.load())
            .as_ref()
            .and_then(|c| {
                c.backends.get(&member.backend).and_then(|id| c.proxy(*id).back.as_ref().map(|b| b.fullconn))
            })
            .unwrap_or(0);
        serve_queues(&member.server, &member.proxy, fullconn, clock::now_ms());
        before.saturating_sub(member.proxy.queue.len())
    }
}

/// Ends the sessions of a server on every worker. Returns how many there were.
pub fn cut_sessions(server: &Server, why: Cut) -> u32 {
    server.live.begin_epoch(why);
    let uid = server.live.uid;
    for remote in Remote::all() {
        remote.run(move |_| {
            if let Some(worker) = Worker::current() {
                worker.cut(uid);
            }
        });
    }
    server.live.served.load(Ordering::Relaxed)
}

/// Every server of a configuration as a member of its backend.
pub fn members(config: &Config, hooks: &Arc<HealthHooks>) -> Vec<Member> {
    let mut list = Vec::new();
    for proxy in config.proxies.iter().filter(|p| !p.disabled) {
        let Some(back) = &proxy.back else { continue };
        let set = back.servers.load();
        list.extend(set.list.iter().map(|server| back.member(proxy, server, hooks.clone())));
    }
    list
}

/// The server that another one tracks, and its backend.
fn tracked(config: &Config, server: &Server) -> Option<(Arc<str>, Server)> {
    let (backend, name) = &**server.spec.track.as_ref()?;
    let proxy = config.proxy(*config.backends.get(&**backend)?);
    let set = proxy.back.as_ref()?.servers.load();
    let (_, leader) = set.by_name(name)?;
    Some((proxy.name.clone(), leader.clone()))
}

/// Servers that track others take over their states.
fn follow(config: &Config, members: &[Member]) {
    for member in members {
        let live = &member.server.live;
        if member.server.spec.track.is_none() {
            if live.leader.with(Option::is_some) {
                live.leader.store(Arc::default());
                member.clear_admin(AdminState::INHERITED_MAINT, clock::now_ms());
                member.clear_admin(AdminState::INHERITED_DRAIN, clock::now_ms());
            }
            continue;
        }
        let Some((backend, leader)) = tracked(config, &member.server) else { continue };
        let mut root = leader.clone();
        // A chain has an end; who made one without is not asked to find it.
        for _ in 0..CHAIN {
            match tracked(config, &root) {
                Some((_, next)) => root = next,
                None => break,
            }
        }
        live.leader.store(Arc::new(Some(root)));
        member.follow(&leader, &backend, clock::now_ms());
    }
}

/// Starts the checks of a configuration; those that are the same as before go on.
pub fn start(config: &Config, hooks: &Arc<HealthHooks>, old: Checks) -> Checks {
    let settings = Settings { max_spread_ms: config.global.max_spread_checks_ms, max_running: 0 };
    let members = members(config, hooks);
    let checks = Checks::start(members.clone(), &settings, old);
    // Once those that are tracked stand as they begin.
    follow(config, &members);
    checks
}
