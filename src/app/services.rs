//! What is wired to the running configuration beside the data plane: services inside the process, the runtime API.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::admin::cli::serve::Listener;
use crate::admin::control::{Control, Found};
use crate::admin::stat::Process;
use crate::admin::{Haterm, Metrics, StatsPage};
use crate::base::{Live, clock};
use crate::check::{Checks, Hooks};
use crate::config::global::{CliLevel, SeverityOutput, StatsSocket};
use crate::config::{Config, Global, Proxy};
use crate::discovery::Names;
use crate::dns::explain::Responders;
use crate::mirror::run::Asked;
use crate::model::applet::Applet;
use crate::model::{Address, Cut, Server};
use crate::os::bind::{BindAddress, BindSpec, SocketKind};
use crate::os::opener::Opener;
use crate::os::{process, socket};
use crate::peers::{Group, shown};
use crate::proxy::Shared;
use crate::rt::Load;
use crate::vip::agent::{Asker, Shown, Status};

use super::args::Args;
use super::change::{Change, ControlHandle, Request};
use super::figures;
use super::health::{self, HealthHooks, cut_sessions};
use super::messages::Messages;
use super::notifier::Notifier;
use super::program::BindError;
use super::sockets::Sockets;
use super::stand_in::StandIn;
use super::version;

/// The syslog level of lines about what an operator did.
const WARNING: u8 = 4;

/// Services that configurations may name, and those behind `mode haterm` and `stats`.
pub type Services = HashMap<&'static str, Arc<dyn Applet>>;

/// The configuration that runs now, seen by services and the control plane.
pub type Current = Arc<Live<Option<Arc<Config>>>>;

/// How the VIP agent is asked; there while it runs.
pub type VipAgent = Arc<Mutex<Option<Asker>>>;

/// Who follows the names of servers.
pub type Followers = Arc<Mutex<Option<Names>>>;

/// The `peers` sections that run.
pub type Groups = Arc<Mutex<Vec<Group>>>;

/// What the process listens on, for those who pause it.
pub type Listening = Arc<Mutex<Sockets>>;

/// What the runtime API knows of the process.
pub struct RuntimeControl {
    pub handle: Mutex<ControlHandle>,
    pub checks: Arc<Mutex<Checks>>,
    pub current: Current,
    pub shared: Arc<Shared>,
    pub vips: Shown,
    pub vip_agent: VipAgent,
    pub names: Followers,
    pub peers: Groups,
    pub hooks: Arc<HealthHooks>,
    pub messages: Messages,
    pub notifier: Arc<Notifier>,
    pub workers: usize,
    pub descriptors: u64,
    pub maxsock: u64,
    /// Limit of connections as the process began with it.
    pub hard_maxconn: u32,
    /// What the process listens on.
    pub sockets: Listening,
    pub started_us: u64,
    /// `base::clock` when the process began.
    pub started_ns: u64,
}

impl RuntimeControl {
    fn ask(&self, request: Request) -> bool {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).ask(request)
    }
}

impl Control for RuntimeControl {
    fn vip_agent(&self) -> Option<Asker> {
        self.vip_agent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn vips(&self) -> Status {
        self.vips.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn peers(&self) -> Vec<shown::Section> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Group::shown).collect()
    }

    fn config(&self) -> Arc<Config> {
        // Set before anything can ask.
        (*self.current.load()).clone().expect("a configuration runs")
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn hooks(&self) -> Arc<dyn Hooks> {
        self.hooks.clone()
    }

    fn process(&self) -> Process {
        let config = self.config();
        let listening = |p: &&Proxy| !p.disabled && !p.live.stopped.load(Ordering::Relaxed);
        let fronts = config.proxies.iter().filter(listening).filter_map(|p| p.front.as_ref());
        let listeners =
            (fronts.map(|f| f.binds.len()).sum::<usize>() + config.global.stats_sockets.len()) as u32;
        let load = Load::of_all(self.workers);
        Process {
            version: version::HAPROXY_VERSION.to_owned(),
            release_date: version::RELEASE_DATE.to_owned(),
            nbthread: self.workers as u32,
            uptime_us: (clock::now_ns() - self.started_ns) / 1000,
            start_time_us: self.started_us,
            memory: process::resident_bytes(),
            ulimit_n: self.descriptors.min(u64::from(u32::MAX)) as u32,
            maxsock: self.maxsock.min(u64::from(u32::MAX)) as u32,
            hard_maxconn: self.hard_maxconn,
            listeners,
            jobs: listeners + self.shared.current.load(Ordering::Relaxed),
            tasks: load.tasks,
            run_queue: load.ready,
            idle_pct: load.idle_percent,
            spliced_bytes_out: crate::proxy::spliced_bytes(),
            warnings: self.messages.warnings(),
            maxpipes: config.global.tune.maxpipes,
            ..Process::default()
        }
    }

    fn pause_frontend(&self, proxy: &Proxy, paused: bool) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).pause(&proxy.name, paused);
        let what = if proxy.back.is_some() { "proxy" } else { "frontend" };
        let text = format!("{} {what} {}.", if paused { "Paused" } else { "Resumed" }, proxy.name);
        self.hooks.log_of(&self.config(), Some(&proxy.log), WARNING, &text);
    }

    fn shutdown_frontend(&self, proxy: &Proxy) {
        self.ask(Request::ShutdownFrontend(proxy.name.clone()));
    }

    fn shutdown_sessions(&self, _backend: &Proxy, server: &Server) -> Option<u32> {
        Some(cut_sessions(server, Cut::Killed))
    }

    fn wake_check(&self, backend: &str, server: &str) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).wake(backend, server);
    }

    fn servers_changed(&self) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        *checks = health::start(&self.config(), &self.hooks, std::mem::take(&mut checks));
        figures::checks(checks.len());
        drop(checks);
        self.names_changed();
    }

    fn names_changed(&self) {
        if let Some(names) = &*self.names.lock().unwrap_or_else(PoisonError::into_inner) {
            names.look_again();
        }
    }

    fn reload(&self) -> Option<(bool, String)> {
        let (answer, answered) = sync_channel(1);
        if !self.notifier.has_master() || !self.ask(Request::Change(Change::Command(answer))) {
            return None;
        }
        answered.recv().ok()
    }

    fn startup_logs(&self) -> String {
        self.messages.log()
    }

    fn processes(&self) -> Option<String> {
        Some(self.notifier.show_proc())
    }
}

/// What services share.
#[derive(Clone, Default)]
pub struct Hub {
    pub current: Current,
    pub sockets: Listening,
    /// What the VIP agent shows, and how it is asked while it runs.
    pub vips: Shown,
    /// Why DNS answers as it does.
    pub responders: Responders,
    /// Who answers for the mirror, if there is one.
    pub mirror: Arc<Live<Option<Asked>>>,
    pub vip_agent: VipAgent,
    /// Who follows the names of servers; there while it runs.
    pub names: Followers,
    pub peers: Groups,
    /// Set when the process runs: services are made before.
    pub control: Arc<OnceLock<Arc<RuntimeControl>>>,
    /// Set when requests are rehearsed, and no process runs.
    pub stand_in: Arc<OnceLock<Arc<StandIn>>>,
}

/// The sockets that a configuration and the command line want for the runtime API; `true` with those of the master.
pub fn cli_sockets(global: &Global, args: &Args) -> Vec<(StatsSocket, bool)> {
    let of_master = args.master_cli.iter().map(|text| StatsSocket {
        address: master_address(text),
        mode: None,
        uid: None,
        gid: None,
        level: CliLevel::Admin,
        severity: SeverityOutput::None,
        expose_fd: false,
        name: None,
    });
    let of_file = global.stats_sockets.iter().cloned().map(|stats| (stats, false));
    of_file.chain(of_master.map(|stats| (stats, true))).collect()
}

/// Binds a socket of the runtime API.
pub fn bind_cli(stats: &StatsSocket, opener: &Opener) -> Result<Listener, BindError> {
    listen(stats, opener).map_err(|e| BindError {
        in_use: e.kind() == std::io::ErrorKind::AddrInUse,
        message: format!(
            "Starting frontend GLOBAL: cannot bind UNIX socket ({}) [{}]",
            crate::lang::load::reason(&e),
            stats.address
        ),
    })
}

/// The address of `-S <bind>[,<option>...]`.
fn master_address(text: &str) -> Address {
    let address = text.split(',').next().unwrap_or_default();
    if let Some(number) = address.strip_prefix("fd@").and_then(|n| n.parse().ok()) {
        return Address::Fd(number);
    }
    match address.parse() {
        Ok(inet) => Address::Inet(inet),
        Err(_) => Address::Unix(address.strip_prefix("unix@").unwrap_or(address).into()),
    }
}

fn listen(stats: &StatsSocket, opener: &Opener) -> std::io::Result<Listener> {
    let address = match &stats.address {
        Address::Inet(a) => BindAddress::Inet(*a),
        Address::Unix(p) => BindAddress::Unix(p.clone()),
        Address::Abstract(n) => BindAddress::Abstract(n.to_vec()),
        Address::Fd(n) => {
            let fd = socket::duplicate(*n)?;
            let is_unix = matches!(socket::local(fd.as_raw_fd())?, socket::Peer::Unix);
            return Ok(listener(fd, is_unix));
        }
    };
    let is_unix = !matches!(address, BindAddress::Inet(_));
    let spec = BindSpec {
        mode: stats.mode,
        uid: stats.uid,
        gid: stats.gid,
        ..BindSpec::new(address, SocketKind::Stream)
    };
    let fd = opener.bind(&spec)?;
    socket::listen(fd.as_raw_fd(), spec.backlog)?;
    Ok(listener(fd, is_unix))
}

fn listener(fd: OwnedFd, is_unix: bool) -> Listener {
    if is_unix { Listener::Unix(fd.into()) } else { Listener::Tcp(fd.into()) }
}

/// Every service by the name under which configurations ask for it.
pub fn all(hub: &Hub) -> Services {
    let found = || -> Found {
        let (control, stand_in) = (hub.control.clone(), hub.stand_in.clone());
        Box::new(move || match control.get() {
            Some(control) => Some(control.clone() as Arc<dyn Control>),
            None => stand_in.get().map(|other| other.clone() as Arc<dyn Control>),
        })
    };
    let haterm: Arc<dyn Applet> = Arc::new(Haterm::default());
    let stats: Arc<dyn Applet> = Arc::new(StatsPage::new(found()));
    let prometheus: Arc<dyn Applet> = Arc::new(Metrics::new(found(), figures::install()));
    HashMap::from([("haterm", haterm), ("stats", stats), ("prometheus-exporter", prometheus)])
}
