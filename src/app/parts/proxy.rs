//! The proxy as a part: its listening sockets, its workers, and the configuration that they share.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::base::{Millis, WorkerId, clock};
use crate::check::slowstart_round;
use crate::config::compile::{self, Built, Inputs};
use crate::config::diff::Diff;
use crate::config::{Config, Global};
use crate::lang::Diagnostics;
use crate::model::Mode;
use crate::os::identity::Identity;
use crate::os::limits::Wanted;
use crate::os::opener::Opener;
use crate::os::process;
use crate::proxy::Worker;
use crate::rt::Remote;
use crate::tls::Disk;
use crate::udp;

use super::super::program::{BindError, Settings};
use super::super::services::{Hub, RuntimeControl, Services};
use super::super::sockets::Sockets;
use super::super::stand_in::StandIn;
use super::admin::Admin;
use super::part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};
use super::peers::Sections;

pub static PROXY: Row = Row {
    name: "proxy",
    sections: || compile::section_kinds().collect(),
    register: compile::register,
    make: |handles| Box::new(ProxyPart::new(handles)),
};

struct ProxyPart {
    services: Arc<Services>,
    hub: Hub,
    admin: Admin,
    peers: Sections,
    built: Option<Built>,
    /// What the configuration that was built is to listen on.
    ready: Option<Sockets>,
    limits: Wanted,
    sockets: Sockets,
    running: Option<Running>,
}

struct Running {
    process: Arc<Process>,
    config: Arc<Config>,
    threads: Vec<JoinHandle<()>>,
    /// How to reach them, in their order.
    remotes: Vec<Arc<Remote>>,
    /// Configurations that no stream uses any more come here to be freed.
    retired: (Sender<Arc<Config>>, Receiver<Arc<Config>>),
    /// When the works of every second are due.
    second_due_ms: Millis,
}

impl ProxyPart {
    fn new(handles: &Handles) -> ProxyPart {
        ProxyPart {
            services: handles.services.clone(),
            hub: handles.hub.clone(),
            admin: Admin::default(),
            peers: Sections::new(handles.hub.peers.clone()),
            built: None,
            ready: None,
            limits: Wanted::default(),
            sockets: Sockets::default(),
            running: None,
        }
    }

    /// Makes the configuration that was built the one that runs, for everybody but the workers.
    fn store(&self, mut built: Built) -> Arc<Config> {
        built.activate(clock::now_ms());
        if let Some(running) = &self.running {
            let before = running.config.tls.lock().unwrap_or_else(PoisonError::into_inner);
            let next = built.config.tls.get_mut().unwrap_or_else(PoisonError::into_inner);
            // What commands did since it was built.
            next.catch_up(before.kept());
        }
        let config = Arc::new(built.config);
        // Frontends that were shut down listen again, as after a restart.
        config.proxies.iter().for_each(|p| p.live.stopped.store(false, Ordering::Relaxed));
        self.hub.current.store(Arc::new(Some(config.clone())));
        config
    }

    /// Lets go of what was bound and is not listened on.
    fn release(&mut self, opener: &Opener) {
        if let Some(ready) = self.ready.take() {
            for path in ready.abandoned(&self.sockets) {
                let _ = opener.unlink(path);
            }
        }
        self.admin.abandon(opener);
        self.peers.abandon();
    }

    /// Listens on `sockets` and nothing else.
    fn listen(&mut self, sockets: Sockets, opener: &Opener) {
        for path in self.sockets.abandoned(&sockets) {
            let _ = opener.unlink(path);
        }
        self.sockets = sockets;
        self.show_sockets();
        if let Some(running) = &self.running {
            running.tell_workers(&self.sockets);
        }
    }

    /// Lets the runtime API know what is listened on. What was paused stays so, on new sockets too.
    fn show_sockets(&self) {
        let mut shown = self.hub.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = self.sockets.clone();
        let proxies = self.running.iter().flat_map(|running| &running.config.proxies);
        for proxy in proxies.filter(|p| p.live.paused.load(Ordering::Relaxed)) {
            shown.pause(&proxy.name, true);
        }
    }
}

/// Certificates, as far as the opener permits.
struct Opened<'o>(&'o Opener);

impl Disk for Opened<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list_files(path)?.ok_or_else(|| io::ErrorKind::NotADirectory.into())
    }
}

impl Part for ProxyPart {
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics {
        let opener = reading.opener;
        let inputs = Inputs {
            sections: reading.sections(),
            sources: &reading.loaded.sources,
            resolve: &|name| opener.resolve(name),
            env: &|name| reading.variable(name),
            files: &|path| opener.read(path),
            disk: &Opened(opener),
            user: &|name| opener.user(name).ok(),
            group: &|name| opener.group(name).ok(),
            services: &|name| self.services.get(name).cloned(),
            previous: self.running.as_ref().map(|running| &*running.config),
            lent: None,
            ignore_unresolved: reading.args.ignore_resolve_failures,
            default_maxconn: reading.maxconn,
            workers: reading.workers,
            now: clock::now_ms(),
        };
        let (built, diagnostics) = compile::build(&inputs);
        self.built = built;
        self.limits = reading.preview.limits;
        diagnostics
    }

    fn require(&self, settings: &mut Settings) {
        if let Some(built) = &self.built {
            require(&built.config, self.limits, settings);
        }
    }

    fn lend(&mut self) -> Option<Arc<Config>> {
        let built = self.built.take()?;
        let config = self.store(built);
        let stand_in = || Arc::new(StandIn::new(self.hub.current.clone(), config.clone()));
        let _ = self.hub.stand_in.get_or_init(stand_in);
        Some(config)
    }

    fn diff(&self) -> Plan {
        let mut plan = Plan::default();
        if let (Some(running), Some(built)) = (&self.running, &self.built) {
            plan.changes = summary(&Diff::between(&running.config, &built.config));
        }
        plan
    }

    fn prepare(&mut self, means: &Means<'_>) -> Result<(), BindError> {
        self.release(means.opener);
        let Some(built) = &self.built else { return Ok(()) };
        self.ready = Some(self.sockets.prepare(&built.config, means.opener, means.workers)?);
        self.peers.prepare(&built.config.peers, means)?;
        self.admin.prepare(&built.config.global, means)
    }

    /// The workers start without a listener: those come with the first commit.
    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        let Some(built) = self.built.take() else { return Err(io::Error::other("nothing was built")) };
        let config = self.store(built);
        // Services need the runtime control from the first connection on, and sockets may listen since before we did.
        let _ = self.hub.control.set(control(&self.hub, process));
        let mut running = Running {
            process: process.clone(),
            config,
            threads: Vec::new(),
            remotes: Vec::new(),
            retired: mpsc::channel(),
            second_due_ms: 0,
        };
        running.start_workers()?;
        self.running = Some(running);
        Ok(())
    }

    fn commit(&mut self) {
        let config = self.built.take().map(|built| self.store(built));
        let Some(running) = &mut self.running else { return };
        running.config = config.unwrap_or_else(|| running.config.clone());
        let process = running.process.clone();
        // First, so that what workers change is told from the first connection on.
        self.peers.commit(&running.config.peers);
        if let Some(sockets) = self.ready.take() {
            self.listen(sockets, &process.opener);
        }
        if let Some(control) = self.hub.control.get() {
            self.admin.commit(control, &process.opener);
        }
    }

    fn abandon(&mut self, opener: &Opener) {
        self.built = None;
        self.release(opener);
    }

    fn steer(&mut self, order: &Order) {
        let Some(running) = &self.running else { return };
        let process = running.process.clone();
        match order {
            Order::Pause(paused) => {
                for proxy in running.config.proxies.iter().filter(|p| p.front.is_some()) {
                    // A worker never looks at a socket that does not listen.
                    if !*paused {
                        self.sockets.pause(&proxy.name, false);
                    }
                    proxy.live.paused.store(*paused, Ordering::Relaxed);
                    if *paused {
                        self.sockets.pause(&proxy.name, true);
                    }
                }
            }
            // Connections to addresses that leave would end in the middle of a request.
            Order::Farewell => {
                if !self.hub.vips.lock().unwrap_or_else(PoisonError::into_inner).holds() {
                    return;
                }
                process.shared.stop(clock::now_ns(), 0);
                for remote in &running.remotes {
                    remote.run(|rt| rt.wake_all());
                }
            }
            Order::Drain => {
                // Whoever takes over has the same addresses, and is taught by the others.
                self.peers.stop();
                process.shared.stop(clock::now_ns(), running.config.global.close_spread_ms);
                self.sockets.close();
                self.show_sockets();
                running.tell_workers(&self.sockets);
                for remote in &running.remotes {
                    remote.run(|rt| rt.wake_all());
                }
            }
            Order::ShutdownFrontend(name) => self.listen(self.sockets.without(name), &process.opener),
        }
    }

    fn is_idle(&self) -> bool {
        self.running.as_ref().is_none_or(|r| r.process.shared.current.load(Ordering::Acquire) == 0)
    }

    fn turn(&mut self, now: Millis) {
        let Some(running) = &mut self.running else { return };
        running.free_retired();
        if now >= running.second_due_ms {
            running.second_due_ms = now + 1000;
            running.warm_up(now);
        }
    }

    fn stop(&mut self) {
        self.peers.stop();
        let Some(running) = &mut self.running else { return };
        for remote in &running.remotes {
            remote.run(|rt| rt.stop());
        }
        for thread in running.threads.drain(..) {
            let _ = thread.join();
        }
        for path in self.sockets.abandoned(&Sockets::default()) {
            let _ = running.process.opener.unlink(path);
        }
        self.hub.sockets.lock().unwrap_or_else(PoisonError::into_inner).close();
    }
}

impl Running {
    fn start_workers(&mut self) -> io::Result<()> {
        let (ready, started) = mpsc::channel();
        for number in 0..self.process.workers {
            let id = WorkerId(number as u16 + 1);
            let (shared, config, retired) =
                (self.process.shared.clone(), self.config.clone(), self.retired.0.clone());
            let ready = ready.clone();
            let work = move || {
                let worker = match Worker::start(id, shared, config, retired) {
                    Ok(worker) => worker,
                    Err(e) => {
                        let _ = ready.send(Err(e));
                        return;
                    }
                };
                let _ = ready.send(Ok((number, worker.rt.remote().clone())));
                if let Err(e) = worker.run() {
                    eprintln!("worker {}: {e}", id.0);
                    std::process::abort();
                }
            };
            self.threads.push(std::thread::Builder::new().name(format!("worker/{}", id.0)).spawn(work)?);
        }
        let mut remotes = Vec::new();
        for _ in 0..self.process.workers {
            remotes.push(started.recv().map_err(|_| io::Error::other("a worker did not start"))??);
        }
        remotes.sort_by_key(|(number, _)| *number);
        self.remotes = remotes.into_iter().map(|(_, remote)| remote).collect();
        Ok(())
    }

    fn tell_workers(&self, sockets: &Sockets) {
        for (number, remote) in self.remotes.iter().enumerate() {
            let (config, listen) = (self.config.clone(), sockets.of_worker(&self.config, number));
            let (datagrams, listen): (Vec<_>, Vec<_>) = listen.into_iter().partition(|l| l.datagram);
            remote.run(move |_| {
                if let Some(worker) = Worker::current() {
                    worker.replace(config);
                    worker.listen(&listen);
                    udp::listen(worker, &datagrams);
                }
            });
        }
    }

    /// Frees configurations that nobody uses any more, and gives their memory back: thousands of small records leave
    /// holes between what lives on, and the next build would not find them all.
    fn free_retired(&self) {
        let freed = self.retired.1.try_iter().filter_map(Arc::into_inner).count();
        if freed > 0 {
            process::trim_memory();
        }
    }

    /// Slow starts go on.
    fn warm_up(&self, now: Millis) {
        for back in self.config.proxies.iter().filter_map(|p| p.back.as_ref()) {
            back.servers.with(|set| slowstart_round(set, now));
        }
    }
}

/// What the runtime API and services see.
fn control(hub: &Hub, process: &Process) -> Arc<RuntimeControl> {
    Arc::new(RuntimeControl {
        handle: Mutex::new(process.handle()),
        checks: process.checks.clone(),
        current: hub.current.clone(),
        vips: hub.vips.clone(),
        vip_agent: hub.vip_agent.clone(),
        names: hub.names.clone(),
        peers: hub.peers.clone(),
        hard_maxconn: process.shared.maxconn.load(Ordering::Relaxed),
        shared: process.shared.clone(),
        hooks: process.hooks.clone(),
        messages: process.messages.clone(),
        sockets: hub.sockets.clone(),
        notifier: process.notifier.clone(),
        workers: process.workers,
        descriptors: process.budget.descriptors,
        maxsock: process.budget.maxsock,
        started_us: clock::wall().as_micros() as u64,
        started_ns: clock::now_ns(),
    })
}

/// What the process itself has to know of a configuration.
fn require(config: &Config, limits: Wanted, settings: &mut Settings) {
    let global: &Global = &config.global;
    let is_bound =
        config.proxies.iter().any(|p| !p.disabled && p.front.as_ref().is_some_and(|f| !f.binds.is_empty()));
    let binds: usize = config.proxies.iter().filter_map(|p| p.front.as_ref()).map(|f| f.binds.len()).sum();
    settings.daemon = global.daemon;
    settings.master_worker = global.master_worker;
    settings.stay_on_failure = global.stay_on_failure;
    settings.quiet = global.quiet;
    settings.zero_warning = global.zero_warning;
    settings.pidfile = global.pidfile.clone();
    settings.identity = Identity { chroot: global.chroot.clone(), uid: global.uid, gid: global.gid };
    settings.limits = Wanted {
        maxconn: (global.maxconn > 0).then_some(u64::from(global.maxconn)),
        fixed: 100 + 2 * binds as u64,
        flows: config.proxies.iter().any(|p| !p.disabled && p.mode == Mode::Udp),
        // A pipe that cannot be had is done without: bodies are copied then.
        ..limits
    };
    settings.lax_limits = !global.strict_limits;
    let is_peer = config.peers.iter().any(|peers| !peers.is_off && !peers.listens.is_empty());
    settings.listens |= is_bound || is_peer || !global.stats_sockets.is_empty();
}

/// A difference in words; nothing for what stays.
fn summary(diff: &Diff) -> Vec<String> {
    let counted = |count: usize, what: &str, how: &str| {
        (count > 0).then(|| format!("{count} {what}{} {how}", if count == 1 { "" } else { "s" }))
    };
    [
        counted(diff.listeners.added.len(), "listener", "added"),
        counted(diff.listeners.removed.len(), "listener", "removed"),
        counted(diff.proxies_added.len(), "proxy section", "added"),
        counted(diff.proxies_removed.len(), "proxy section", "removed"),
        counted(diff.servers_added.len(), "server", "added"),
        counted(diff.servers_removed.len(), "server", "removed"),
        counted(diff.servers_changed.len(), "server", "changed"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
