//! The master of `-W` and `-Ws`: the process that the user sees. It keeps its privileges and opens what the worker
//! asks for, passes signals on, tells the service manager, and ends with the worker.
//!
//! Unlike HAProxy's it does not start a worker for a reload: the worker swaps its configuration in place.

use std::os::fd::AsFd;
use std::path::PathBuf;

use super::args::{Args, OldStop};
use super::messages::Messages;
use super::notifier::RELOAD_FAILED;
use super::permit::Permit;
use crate::os::daemon::Launch;
use crate::os::notify;
use crate::os::opener::{Report, Server, Turn};
use crate::os::process::{self, reap, signal_all, signal_name};
use crate::os::signal::{STEERING, Signal, Signals, wait_readable};

/// Marks a master that replaced itself: it is in the background already, if it was meant to be.
pub(super) const REPLACED: &str = "ISOBAR_MASTER_REPLACED";

/// A running master.
pub(super) struct Master {
    pub server: Server<Permit>,
    pub signals: Signals,
    pub worker: i32,
    pub messages: Messages,
    pub launch: Option<Launch>,
    pub pidfile: Option<PathBuf>,
    pub args: Args,
    /// `master-worker no-exit-on-failure`
    pub stay_on_failure: bool,
}

/// What changes while it runs.
#[derive(Default)]
struct State {
    ready: bool,
    /// The signal that asked it to end.
    stopping: Option<Signal>,
    /// How the worker ended, once it has.
    ended: Option<u8>,
    closed: bool,
}

/// The signals that a master waits for; to be blocked before the worker is forked.
pub(super) fn signals() -> std::io::Result<Signals> {
    let mut list = STEERING.to_vec();
    list.push(Signal::SIGCHLD);
    Signals::block(&list)
}

impl Master {
    /// Runs until the worker is gone; the exit status.
    pub(super) fn run(mut self) -> u8 {
        process::name_thread("isobar-master");
        let mut state = State::default();
        loop {
            let busy = match &state {
                State { closed: true, .. } => wait_readable(&[self.signals.as_fd()], None),
                _ => wait_readable(&[self.signals.as_fd(), self.server.as_fd()], None),
            };
            let Ok(busy) = busy else { return 1 };
            // The worker's last words come before the news of its end.
            if busy.get(1) == Some(&true) {
                match self.server.turn() {
                    Ok(Turn::Served) => {}
                    Ok(Turn::Report(report)) => self.heard(report, &mut state),
                    Ok(Turn::Closed) | Err(_) => state.closed = true,
                }
                continue;
            }
            while let Ok(Some(signal)) = self.signals.next() {
                self.signalled(signal, &mut state);
            }
            if let Some(code) = state.ended
                && let Some(status) = self.bury(code, &mut state)
            {
                return status;
            }
        }
    }

    fn heard(&mut self, report: Report, state: &mut State) {
        match report {
            Report::Ready if !state.ready => {
                state.ready = true;
                if let Some(path) = &self.pidfile
                    && let Err(e) = process::write_pidfile(path)
                {
                    self.messages.alert(&format!("Cannot create pidfile {}: {e}", path.display()));
                    signal_all(&[self.worker], Signal::SIGTERM);
                    state.stopping = Some(Signal::SIGTERM);
                    return;
                }
                tell_old(&self.args);
                self.messages.notice("Loading success.");
                notify::ready("Ready.");
                if let Some(launch) = self.launch.take() {
                    self.messages.set_quiet(true);
                    let _ = launch.ready();
                }
            }
            Report::Reloading => notify::reloading(),
            Report::Reloaded { success: true } => {
                self.messages.notice("Loading success.");
                notify::ready("Ready.");
            }
            Report::Reloaded { success: false } => {
                self.messages.warning("Loading failure!");
                notify::ready(RELOAD_FAILED);
            }
            Report::Alive => notify::alive(),
            Report::Ready => {}
        }
    }

    fn signalled(&mut self, signal: Signal, state: &mut State) {
        match signal {
            Signal::SIGCHLD => {
                while let Some((pid, code)) = reap() {
                    if pid == self.worker {
                        state.ended = Some(code);
                    }
                }
            }
            Signal::SIGTERM | Signal::SIGINT | Signal::SIGUSR1 => {
                notify::stopping();
                self.messages.warning("Exiting Master process...");
                state.stopping = Some(signal);
                let hard = signal != Signal::SIGUSR1 && !state.ready;
                self.forward(if hard { Signal::SIGKILL } else { signal });
            }
            Signal::SIGUSR2 | Signal::SIGHUP => {
                self.messages.notice("Reloading HAProxy");
                self.forward(Signal::SIGUSR2);
                if self.worker == 0 {
                    self.replace();
                }
            }
            other => self.forward(other),
        }
    }

    fn forward(&self, signal: Signal) {
        signal_all(&[self.worker], signal);
    }

    /// The worker has ended with `code`: the exit status of the master, or `None` when it stays.
    fn bury(&mut self, code: u8, state: &mut State) -> Option<u8> {
        state.ended = None;
        let kind = if code >= 128 { signal_name(code - 128) } else { "Exit" };
        if !state.ready {
            self.messages.warning(&format!(
                "Failed to load worker ({}) exited with code {code} ({kind})",
                self.worker
            ));
            return Some(match state.stopping {
                Some(signal) => status_of_stop(128 + signal as u8),
                None => code,
            });
        }
        let text = format!("Current worker ({}) exited with code {code} ({kind})", self.worker);
        if code >= 128 {
            self.messages.alert(&text)
        } else {
            self.messages.warning(&text)
        }
        self.worker = 0;
        let crashed = !matches!(code, 0 | 130 | 143);
        if crashed && self.stay_on_failure && state.stopping.is_none() {
            self.messages.alert("no-exit-on-failure: waiting for a reload to start a worker.");
            return None;
        }
        let status = status_of_stop(code);
        self.messages.warning(&format!("All workers exited. Exiting... ({status})"));
        Some(status)
    }

    /// Starts again from the beginning in the same process: there is no worker that could reload.
    fn replace(&self) {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new("/proc/self/exe");
        let failed = command.arg0(&self.args.program).args(&self.args.words).env(REPLACED, "1").exec();
        self.messages.alert(&format!("Failed to reexecute the master process: {failed}"));
    }
}

/// Ends by SIGTERM, asked for or not, are success; every other status is the master's own.
fn status_of_stop(code: u8) -> u8 {
    if code == 143 { 0 } else { code }
}

/// `-sf` and `-st`: older processes are told once this one listens.
pub(super) fn tell_old(args: &Args) {
    let signal = match args.old_stop {
        OldStop::Finish => Signal::SIGUSR1,
        OldStop::Terminate => Signal::SIGTERM,
    };
    signal_all(&args.old_pids, signal);
}
