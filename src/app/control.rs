//! The control thread: starts the parts of the configuration, takes signals and requests, changes, drains and stops.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::{Millis, clock};
use crate::os::process;
use crate::proxy::Shared;

use super::change::{Change, ControlHandle, Request};
use super::figures;
use super::health::HealthHooks;
use super::parts::{Configuration, Order, Process};
use super::program::{Exit, Life};
use super::services::Hub;
use super::signals::Event;

/// How often the control thread looks whether a drain is over, and feeds the watchdog.
const TURN: Duration = Duration::from_millis(100);

/// Threads of the control runtime: checks, runtime API.
const CONTROL_THREADS: usize = 2;

/// A running node.
pub struct Control {
    process: Arc<Process>,
    configuration: Configuration,
    events: Receiver<Event>,
    /// What is asked for, announced by [`Event::Asked`].
    requests: Receiver<Request>,
    draining: bool,
    /// When a soft stop becomes a hard one.
    hard_stop_at_ms: Option<Millis>,
    _runtime: tokio::runtime::Runtime,
}

impl Control {
    /// Starts what was prepared and says that the process is ready.
    pub fn start(
        life: Life,
        mut configuration: Configuration,
        hub: &Hub,
        workers: usize,
    ) -> io::Result<Control> {
        super::journal::open(&life.messages);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .enable_all()
            .build()?;
        let (sender, requests) = mpsc::channel();
        let process = Arc::new(Process {
            hooks: HealthHooks::new(hub.current.clone(), life.messages.clone(), process::hostname()),
            shared: Shared::new(life.budget.maxconn.min(u64::from(u32::MAX)) as u32, process::hostname()),
            current: hub.current.clone(),
            checks: Arc::default(),
            handle: Mutex::new(ControlHandle { requests: sender, steering: life.steering }),
            runtime: runtime.handle().clone(),
            args: life.args,
            opener: life.opener,
            messages: life.messages,
            notifier: life.notifier,
            budget: life.budget,
            workers,
        });
        {
            let _inside = runtime.enter();
            configuration.start(&process)?;
        }
        figures::running(workers, process.generation());
        process.notifier.ready();
        Ok(Control {
            process,
            configuration,
            events: life.events,
            requests,
            draining: false,
            hard_stop_at_ms: None,
            _runtime: runtime,
        })
    }

    /// Serves until a signal ends it.
    pub fn run(mut self) -> Exit {
        loop {
            match self.events.recv_timeout(TURN) {
                Ok(Event::Stop(signal)) => {
                    self.configuration.steer(&Order::Farewell);
                    self.configuration.stop();
                    return Exit::Signal(signal);
                }
                Ok(Event::SoftStop) => self.drain(),
                Ok(Event::Reload) => self.change(Change::Signal),
                Ok(Event::Pause) => self.configuration.steer(&Order::Pause(true)),
                Ok(Event::Resume) => self.configuration.steer(&Order::Pause(false)),
                Ok(Event::Asked) => self.answer(),
                Ok(Event::DumpServers | Event::Quit) => {}
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TURN),
            }
            self.configuration.turn(clock::now_ms());
            self.process.notifier.alive();
            if self.draining && self.is_drained() {
                self.configuration.stop();
                return Exit::Code(0);
            }
        }
    }

    /// Does what others have asked for.
    fn answer(&mut self) {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Change(change) => self.change(change),
                Request::Prepare { answer, .. } if self.draining => {
                    let _ = answer.send(Err("this node is stopping".into()));
                }
                Request::Prepare { name, text, answer } => {
                    let _ = answer.send(self.configuration.make_ready_for(name, text));
                }
                Request::ShutdownFrontend(name) => {
                    self.configuration.steer(&Order::ShutdownFrontend(name));
                }
            }
        }
    }

    /// A process that stops takes nothing new: a change would listen again.
    fn change(&mut self, change: Change) {
        if self.draining {
            let text = "the process is stopping: its configuration stays as it is.";
            self.process.messages.warning(text);
            change.answer(false, text);
            return;
        }
        let success = self.configuration.change(&change);
        change.answer(success, &self.process.messages.log());
    }

    /// Soft stop: no new connections; idle ones go, the others may finish.
    fn drain(&mut self) {
        if self.draining {
            return;
        }
        self.draining = true;
        self.configuration.steer(&Order::Farewell);
        self.configuration.steer(&Order::Drain);
        let config = self.process.current.load();
        let limit = (*config).as_ref().and_then(|config| config.global.hard_stop_after_ms);
        self.hard_stop_at_ms = limit.map(|ms| clock::now_ms() + ms);
    }

    fn is_drained(&self) -> bool {
        self.configuration.is_idle() || self.hard_stop_at_ms.is_some_and(|at| clock::now_ms() >= at)
    }
}
