//! The control thread: starts the workers, takes signals, swaps configurations, drains and stops.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use crate::base::{Millis, WorkerId, clock};
use crate::check::runner::{Checks, slowstart_round};
use crate::config::Config;
use crate::config::compile::Built;
use crate::discovery::{Discovery, Resolve};
use crate::os::process;
use crate::proxy::{Shared, Worker};
use crate::region::spec::Spec;
use crate::rt::Remote;

use super::configure::{Builder, Services};
use super::documents::{Documents, Preparing};
use super::figures;
use super::health::{self, HealthHooks};
use super::messages::Messages;
use super::program::{Exit, Life};
use super::seat::{SeatSockets, Seated};
use super::services::{Desk, Hub, Office, Request};
use super::signals::Event;
use super::sockets::Sockets;

/// How often the control thread looks whether a drain is over, and feeds the watchdog.
const TURN: Duration = Duration::from_millis(100);

/// Threads of the control runtime: checks, runtime API.
const CONTROL_THREADS: usize = 2;

/// How long what was made ready for a document is kept.
const PREPARED_MS: u64 = 30_000;

/// What was made ready for a document of the region map.
struct Candidate {
    name: String,
    text: Bytes,
    made: Made,
    until_ms: u64,
}

/// A configuration for which all that can fail was done.
struct Made {
    built: Built,
    region: Spec,
    sockets: Sockets,
}

/// A running node.
pub struct Control {
    life: Life,
    shared: Arc<Shared>,
    config: Arc<Config>,
    sockets: Sockets,
    services: Services,
    hub: Hub,
    workers: usize,
    threads: Vec<JoinHandle<()>>,
    /// Configurations that no stream uses any more come here to be freed.
    retired: (Sender<Arc<Config>>, Receiver<Arc<Config>>),
    runtime: tokio::runtime::Runtime,
    hooks: Arc<HealthHooks>,
    checks: Arc<Mutex<Checks>>,
    seated: Option<Seated>,
    documents: Documents,
    /// What was made ready for a document, until that is in the map.
    candidate: Option<Candidate>,
    /// Servers from the region map.
    discovery: Option<Discovery>,
    /// What the runtime API asks for, announced by [`Event::Asked`].
    requests: (Sender<Request>, Receiver<Request>),
    /// When the works of every second are due.
    second_due_ms: u64,
    /// When a soft stop becomes a hard one.
    hard_stop_at_ms: Option<u64>,
    draining: bool,
}

impl Control {
    /// Starts the workers and says that the process is ready.
    pub fn start(
        life: Life,
        mut built: Built,
        sockets: Sockets,
        services: Services,
        hub: Hub,
        workers: usize,
        seat: (Spec, SeatSockets, Documents),
    ) -> io::Result<Control> {
        super::journal::open(&life.messages);
        built.activate(clock::now_ms());
        let config = Arc::new(built.config);
        let shared = Shared::new(life.budget.maxconn.min(u64::from(u32::MAX)) as u32, process::hostname());
        hub.current.store(Arc::new(Some(config.clone())));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .enable_all()
            .build()?;
        let hooks = HealthHooks::new(hub.current.clone(), life.messages.clone(), process::hostname());
        let mut control = Control {
            runtime,
            hooks,
            checks: Arc::default(),
            seated: None,
            documents: seat.2.clone(),
            candidate: None,
            discovery: None,
            requests: mpsc::channel(),
            second_due_ms: 0,
            life,
            shared,
            config,
            sockets,
            services,
            hub,
            workers,
            threads: Vec::new(),
            retired: mpsc::channel(),
            hard_stop_at_ms: None,
            draining: false,
        };
        control.documents.activated();
        control.take_seat(seat.0, seat.1)?;
        // Services need the office from the first connection on, and sockets may listen since before we did.
        control.open_office();
        control.start_workers()?;
        control.start_checks();
        figures::running(control.workers, control.config.generation);
        control.life.herald.ready();
        Ok(control)
    }

    /// Takes part in the region map. What its store holds is known before the first connection is taken.
    fn take_seat(&mut self, spec: Spec, sockets: SeatSockets) -> io::Result<()> {
        let _inside = self.runtime.enter();
        self.seated =
            Seated::start(&spec, sockets, &self.life.opener, self.desk()).map_err(io::Error::other)?;
        if let Some(seated) = &self.seated {
            let mut discovery =
                Discovery::new(seated.seat.clone(), self.hooks.clone(), self.workers, self.names());
            discovery.follow(&self.config);
            self.discovery = Some(discovery);
            let (documents, seat) = (self.documents.clone(), seated.seat.clone());
            documents.take_seat(seat.clone());
            let desk = Arc::new(self.desk());
            seated.answer(Arc::new(Preparing { documents: documents.clone(), desk: desk.clone() }));
            tokio::spawn(documents.follow(seat, desk));
        }
        Ok(())
    }

    fn desk(&self) -> Desk {
        Desk { requests: self.requests.0.clone(), steering: self.life.steering.clone() }
    }

    /// Looks names up, through the opener when there is one.
    fn names(&self) -> Resolve {
        let opener = self.life.opener.clone();
        Arc::new(move |name| opener.resolve(name).ok()?.first().copied())
    }

    fn start_workers(&mut self) -> io::Result<()> {
        let (ready, started) = mpsc::channel();
        for number in 0..self.workers {
            let id = WorkerId(number as u16 + 1);
            let (shared, config, retired) =
                (self.shared.clone(), self.config.clone(), self.retired.0.clone());
            let listen = self.sockets.of_worker(&self.config, number);
            let ready = ready.clone();
            let work = move || {
                let worker = Worker::start(id, shared, config, retired);
                if let Ok(worker) = worker {
                    worker.listen(&listen);
                    // Else they would stay open for as long as the thread, whatever is closed later.
                    drop(listen);
                    let _ = ready.send(Ok(()));
                    if let Err(e) = worker.rt.run() {
                        eprintln!("worker {}: {e}", id.0);
                        std::process::abort();
                    }
                } else if let Err(e) = worker {
                    let _ = ready.send(Err(e));
                }
            };
            self.threads.push(std::thread::Builder::new().name(format!("worker/{}", id.0)).spawn(work)?);
        }
        for _ in 0..self.workers {
            started.recv().map_err(|_| io::Error::other("a worker did not start"))??;
        }
        Ok(())
    }

    fn start_checks(&mut self) {
        let _inside = self.runtime.enter();
        if let Some(discovery) = &mut self.discovery {
            discovery.follow(&self.config);
        }
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        *checks = health::start(&self.config, &self.hooks, std::mem::take(&mut checks));
        figures::checks(checks.len());
    }

    fn open_office(&mut self) {
        let desk = self.desk();
        let office = Arc::new(Office {
            desk: Mutex::new(desk),
            checks: self.checks.clone(),
            current: self.hub.current.clone(),
            hard_maxconn: self.shared.maxconn.load(Ordering::Relaxed),
            shared: self.shared.clone(),
            hooks: self.hooks.clone(),
            messages: self.life.messages.clone(),
            herald: self.life.herald.clone(),
            workers: self.workers,
            descriptors: self.life.budget.descriptors,
            maxsock: self.life.budget.maxsock,
            started_us: clock::wall().as_micros() as u64,
            started_ns: clock::now_ns(),
        });
        let _inside = self.runtime.enter();
        self.hub.serve(&office);
    }

    /// Serves until a signal ends it.
    pub fn run(mut self) -> Exit {
        loop {
            match self.life.events.recv_timeout(TURN) {
                Ok(Event::Stop(signal)) => {
                    self.stop_workers();
                    return Exit::Signal(signal);
                }
                Ok(Event::SoftStop) => self.drain(),
                Ok(Event::Reload) => {
                    self.reload();
                }
                Ok(Event::Pause) => self.pause(true),
                Ok(Event::Resume) => self.pause(false),
                Ok(Event::Asked) => self.answer(),
                Ok(Event::DumpServers | Event::Quit) => {}
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TURN),
            }
            self.free_retired();
            self.life.herald.alive();
            let now = clock::now_ms();
            if now >= self.second_due_ms {
                self.second_due_ms = now + 1000;
                self.candidate.take_if(|c| c.until_ms <= now);
                self.warm_up(now);
            }
            if self.draining && self.is_drained() {
                self.stop_workers();
                return Exit::Code(0);
            }
        }
    }

    /// Slow starts go on.
    fn warm_up(&self, now: Millis) {
        for back in self.config.proxies.iter().filter_map(|p| p.back.as_ref()) {
            back.servers.with(|set| slowstart_round(set, now));
        }
    }

    /// Does what the runtime API has asked for.
    fn answer(&mut self) {
        while let Ok(request) = self.requests.1.try_recv() {
            match request {
                Request::Reload(answer) => {
                    let success = self.reload();
                    let _ = answer.send((success, self.life.messages.log()));
                }
                Request::Prepare { name, text, answer } => {
                    let _ = answer.send(self.prepare(name, text));
                }
                Request::Activate(answer) => {
                    let _ = answer.send(self.activate());
                }
                Request::ShutdownFrontend(name) => {
                    let left = self.sockets.without(&name);
                    for path in self.sockets.abandoned(&left) {
                        let _ = self.life.opener.unlink(path);
                    }
                    self.sockets = left;
                    self.tell_workers();
                }
            }
        }
    }

    /// Reads the configuration again and puts it in place, or leaves everything as it is and says why.
    pub fn reload(&mut self) -> bool {
        self.life.herald.reloading();
        let success = self.swap();
        self.life.herald.reloaded(success);
        figures::swapped(success, self.config.generation);
        success
    }

    fn swap(&mut self) -> bool {
        // What was made ready beside the old configuration does not fit beside a new one.
        self.candidate = None;
        let Some(made) = self.build(&self.life.messages) else { return false };
        self.put(made);
        true
    }

    /// Everything that can fail, before anything is changed.
    fn build(&self, messages: &Messages) -> Option<Made> {
        let builder = Builder {
            args: &self.life.args,
            opener: &self.life.opener,
            messages,
            services: &self.services,
            documents: &self.documents,
            previous: Some(&self.config),
            workers: self.workers,
            default_maxconn: self.shared.maxconn.load(Ordering::Relaxed),
        };
        let outcome = builder.build();
        let (built, region) = (outcome.built?, outcome.region);
        if self.seated.as_ref().is_some_and(|seated| seated.needs_restart(&region)) {
            messages.warning("the 'region-map' section changed: its new lines hold after a restart.");
        }
        match self.sockets.prepare(&built.config, &self.life.opener, self.workers) {
            Ok(sockets) => Some(Made { built, region, sockets }),
            Err(e) => {
                messages.alert(&e.message);
                None
            }
        }
    }

    fn put(&mut self, made: Made) {
        let Made { mut built, region, sockets } = made;
        built.activate(clock::now_ms());
        self.config = Arc::new(built.config);
        // Frontends that were shut down listen again, as after a restart.
        self.config.proxies.iter().for_each(|p| p.live.stopped.store(false, Ordering::Relaxed));
        self.hub.current.store(Arc::new(Some(self.config.clone())));
        for path in self.sockets.abandoned(&sockets) {
            let _ = self.life.opener.unlink(path);
        }
        self.sockets = sockets;
        self.documents.activated();
        self.tell_workers();
        self.start_checks();
        let _inside = self.runtime.enter();
        if let Some(seated) = &mut self.seated {
            seated.tell_regions(&region);
        }
    }

    /// Makes everything ready for a document, binds included, and keeps that until it expires. An error is what is
    /// wrong, in lines.
    fn prepare(&mut self, name: String, text: Bytes) -> Result<(), String> {
        self.candidate = None;
        let messages = Messages::default();
        messages.set_quiet(true);
        let made = self.documents.trying(&name, &text, || self.build(&messages));
        let made = made.ok_or_else(|| messages.log())?;
        let until_ms = clock::now_ms() + PREPARED_MS;
        self.candidate = Some(Candidate { name, text, made, until_ms });
        Ok(())
    }

    /// Runs with what the map's documents are now: as it was made ready, else built anew.
    fn activate(&mut self) -> bool {
        let ready = self.candidate.take().filter(|c| self.documents.is_current(&c.name, &c.text));
        let success = match ready {
            Some(candidate) => {
                self.put(candidate.made);
                figures::swapped(true, self.config.generation);
                true
            }
            None => self.reload(),
        };
        if !success {
            self.documents.refused(&self.life.messages.log());
        }
        success
    }

    /// Frees configurations that nobody uses any more, and gives their memory back: thousands of small records leave
    /// holes between what lives on, and the next build would not find them all.
    fn free_retired(&self) {
        let freed = self.retired.1.try_iter().filter_map(Arc::into_inner).count();
        if freed > 0 {
            process::trim_memory();
        }
    }

    fn tell_workers(&self) {
        for number in 0..self.workers {
            let Some(remote) = Remote::of(WorkerId(number as u16 + 1)) else { continue };
            let (config, listen) = (self.config.clone(), self.sockets.of_worker(&self.config, number));
            remote.run(move |_| {
                if let Some(worker) = Worker::current() {
                    worker.replace(config);
                    worker.listen(&listen);
                }
            });
        }
    }

    fn pause(&self, paused: bool) {
        for proxy in self.config.proxies.iter().filter(|p| p.front.is_some()) {
            proxy.live.paused.store(paused, Ordering::Relaxed);
        }
    }

    /// Soft stop: no new connections; idle ones go, the others may finish.
    fn drain(&mut self) {
        if self.draining {
            return;
        }
        self.draining = true;
        self.shared.stopping.store(true, Ordering::Release);
        self.sockets.close();
        self.tell_workers();
        for remote in Remote::all() {
            remote.run(|rt| rt.wake_all());
        }
        self.hard_stop_at_ms = self.config.global.hard_stop_after_ms.map(|ms| clock::now_ms() + ms);
    }

    fn is_drained(&self) -> bool {
        self.shared.current.load(Ordering::Acquire) == 0
            || self.hard_stop_at_ms.is_some_and(|at| clock::now_ms() >= at)
    }

    fn stop_workers(&mut self) {
        for remote in Remote::all() {
            remote.run(|rt| rt.stop());
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if let Some(seated) = self.seated.take() {
            let _inside = self.runtime.enter();
            seated.stop();
        }
        let none = Sockets::default();
        for path in self.sockets.abandoned(&none) {
            let _ = self.life.opener.unlink(path);
        }
    }
}
