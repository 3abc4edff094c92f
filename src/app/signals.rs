//! Signals turned into events for the control thread (management manual, section 4).

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::os::process::name_thread;
use crate::os::signal::{STEERING, Signal, Signals, die_by};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGTERM, SIGINT: stop now, closing what is open. The process ends by this signal ([`super::program::Exit`]).
    Stop(Signal),
    /// SIGUSR1: stop listening, and leave when the last connection has closed.
    SoftStop,
    /// SIGUSR2 (and SIGHUP to a master): read the configuration again and swap it in.
    Reload,
    /// SIGTTOU: stop listening, keep serving.
    Pause,
    /// SIGTTIN: listen again.
    Resume,
    /// SIGHUP without a master: log the state of every server.
    DumpServers,
    /// The runtime API has put something into the request queue of the control thread.
    Asked,
    /// SIGQUIT: HAProxy frees its memory pools. Nothing to do here.
    Quit,
}

impl Event {
    /// What a signal means to a process that carries traffic; `None` for signals that are not for steering.
    pub fn of(signal: Signal) -> Option<Event> {
        Some(match signal {
            Signal::SIGTERM | Signal::SIGINT => Event::Stop(signal),
            Signal::SIGUSR1 => Event::SoftStop,
            Signal::SIGUSR2 => Event::Reload,
            Signal::SIGTTOU => Event::Pause,
            Signal::SIGTTIN => Event::Resume,
            Signal::SIGHUP => Event::DumpServers,
            Signal::SIGQUIT => Event::Quit,
            _ => return None,
        })
    }
}

/// Takes the steering signals for this process. Call before any thread is started: threads inherit it.
pub fn take() -> std::io::Result<Signals> {
    Signals::block(STEERING)
}

/// Starts the thread that reads the signals. A second SIGTERM or SIGINT ends the process at once, for the control
/// thread that got the first one may be stuck. The sender is for others that steer.
pub fn watch(signals: Signals) -> std::io::Result<(Sender<Event>, Receiver<Event>)> {
    let (sender, receiver) = channel();
    let others = sender.clone();
    let work = move || {
        name_thread("signals");
        let mut stopping = false;
        while let Ok(signal) = signals.wait() {
            let Some(event) = Event::of(signal) else { continue };
            if let Event::Stop(signal) = event {
                if stopping {
                    die_by(signal);
                }
                stopping = true;
            }
            if sender.send(event).is_err() {
                // Nobody listens any more: the end is near, and signals have their usual effect again.
                if matches!(event, Event::Stop(_)) {
                    die_by(signal);
                }
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(work)?;
    Ok((others, receiver))
}
