//! What the rest of the program brings to [`start`](super::start::start), and what it is handed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::config::Config;
use crate::lang::source::SourceMap;

use super::args::{Args, DumpConfig};
use super::messages::Messages;
use super::notifier::Notifier;
use super::permit::Permit;
use super::signals::Event;
use crate::os::identity::Identity;
use crate::os::limits::{Budget, Wanted};
use crate::os::opener::Opener;
use crate::os::signal::Signal;

/// What `global` says about the process. Flags of the command line are laid over it here, except where noted.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub daemon: bool,
    pub master_worker: bool,
    /// `master-worker no-exit-on-failure`
    pub stay_on_failure: bool,
    pub quiet: bool,
    pub zero_warning: bool,
    pub pidfile: Option<PathBuf>,
    pub identity: Identity,
    /// `-n` and `-m` are laid over it.
    pub limits: Wanted,
    /// `no strict-limits`: a limit that cannot be set is a warning.
    pub lax_limits: bool,
    pub set_dumpable: bool,
    /// Whether anything at all listens, `stats socket` too: without it `-c` exits with 2, and a process without a
    /// master does not start.
    pub listens: bool,
    /// Whether loading printed any warning.
    pub warned: bool,
}

/// What a program is handed while it starts.
pub struct Start<'a> {
    pub args: &'a Args,
    pub opener: &'a Opener,
    pub messages: &'a Messages,
}

/// What it is handed to run.
pub struct Life {
    pub args: Args,
    pub opener: Opener,
    pub messages: Messages,
    /// `maxconn` and descriptors, with `maxconn` computed when none was given.
    pub budget: Budget,
    pub notifier: Arc<Notifier>,
    pub events: Receiver<Event>,
    /// For events that are no signals.
    pub steering: Sender<Event>,
}

/// Listening failed.
#[derive(Debug)]
pub struct BindError {
    /// An address was in use: worth another try once older processes (`-sf`) let go of it.
    pub in_use: bool,
    pub message: String,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(u8),
    /// By the signal that stopped it, as a process without a handler would.
    Signal(Signal),
}

/// What the rest of the program brings. Everything before [`Program::run`] is called in a single-threaded process and
/// must not start a thread.
pub trait Program: Sized {
    /// `-cc`.
    fn condition(&self, args: &Args, text: &str) -> Result<bool, String>;

    /// `isobar explain`; `None` for an unknown name.
    fn explain(&self, name: &str) -> Result<String, String>;

    /// `-dK<classes>`.
    fn keywords(&self, classes: &str) -> String;

    /// Reads and checks the configuration, printing what it finds. `None` when it cannot be used. Files are opened
    /// through `start.opener`, here and later, so that a reload may open them again.
    fn load(&mut self, start: &Start<'_>) -> Option<Settings>;

    /// `isobar trace`, `isobar test`: a configuration that nothing runs on, and its text. `None` when it cannot be used;
    /// what was found was printed.
    fn rehearse(&mut self, _start: &Start<'_>) -> Option<(Arc<Config>, SourceMap)> {
        None
    }

    /// `isobar check --modernize`: the files in today's syntax, and whether all of their lines could be read.
    fn modernized(&self, start: &Start<'_>) -> (String, bool);

    /// `-dC`: the configuration as it was read.
    fn configuration(&self, dump: DumpConfig) -> String;

    /// What the privileged process may open once the privileges are dropped.
    fn permit(&self, args: &Args) -> Permit;

    /// Binds every listening socket through `start.opener`. Called again after a failure with `in_use`: what it bound
    /// before must have been let go. `last`: nobody will try again.
    fn bind(&mut self, start: &Start<'_>, last: bool) -> Result<(), BindError>;

    /// Starts the threads, calls [`Notifier::ready`], and returns when the process is to end.
    fn run(self, life: Life) -> Exit;
}
