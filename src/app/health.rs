//! Health checks wired to the running configuration: who is checked, and where the lines about it go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::clock;
use crate::check::change::{Hooks, Member};
use crate::check::runner::{Checks, Settings};
use crate::config::Config;
use crate::config::proxy::LogSpec;
use crate::lang::Severity;
use crate::log::{Logger, Origin};
use crate::model::{Cut, Server};
use crate::proxy::Worker;
use crate::proxy::server::serve_queues;
use crate::rt::Remote;

use super::messages::Messages;
use super::services::Current;

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
        for server in &back.servers.load().list {
            let check = back.check_of(&server.spec.name).map(Arc::new);
            list.push(Member {
                backend: proxy.name.clone(),
                kind: if proxy.front.is_some() { "proxy" } else { "backend" },
                proxy: proxy.live.clone(),
                servers: back.servers.clone(),
                server: server.clone(),
                check,
                hooks: hooks.clone(),
            });
        }
    }
    list
}

/// Starts the checks of a configuration; those that are the same as before go on.
pub fn start(config: &Config, hooks: &Arc<HealthHooks>, old: Checks) -> Checks {
    let settings = Settings { max_spread_ms: config.global.max_spread_checks_ms, max_running: 0 };
    Checks::start(members(config, hooks), &settings, old)
}
