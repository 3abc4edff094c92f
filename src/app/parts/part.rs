//! The contract of a part of the configuration, and what a part is handed at each step.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::base::Millis;
use crate::check::runner::Checks;
use crate::config::Config;
use crate::lang::load::Loaded;
use crate::lang::registry::Registry;
use crate::lang::{Diagnostics, Places, Section};
use crate::os::limits::Budget;
use crate::os::opener::Opener;
use crate::proxy::Shared;

use super::super::args::Args;
use super::super::change::ControlHandle;
use super::super::documents::Documents;
use super::super::health::HealthHooks;
use super::super::messages::Messages;
use super::super::notifier::Notifier;
use super::super::program::{BindError, Settings};
use super::super::services::{Current, Hub, Services};
use super::preview::Preview;

/// One part of the configuration: what it says in the language, and its value that runs.
///
/// A part goes through a change in this order, always together with all others:
///
/// 1. [`build`](Part::build) makes a value from sections and keeps it beside the one that runs.
/// 2. [`diff`](Part::diff) says what that value changes.
/// 3. [`prepare`](Part::prepare) does everything that can fail, and changes nothing.
/// 4. [`commit`](Part::commit), which cannot fail, puts the value in place; or [`abandon`](Part::abandon) lets go of what
///    was built and prepared.
///
/// The first time [`start`](Part::start) comes between the third step and the fourth, when threads may run.
pub trait Part {
    /// Learns what was read, whether that can be used or not; comes before `build`, and alone when it cannot.
    fn loaded(&mut self, _reading: &Reading<'_>) {}

    /// Builds the value of the sections and keeps it until it is committed or abandoned. It touches nothing that runs. An
    /// alert among the findings means that there is no value.
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics;

    /// What the process has to know of the value that was built, before it starts.
    fn require(&self, _settings: &mut Settings) {}

    /// Gives what was built away, to be used without any of the other steps.
    fn lend(&mut self) -> Option<Arc<Config>> {
        None
    }

    /// What the value that was built changes.
    fn diff(&self) -> Plan {
        Plan::default()
    }

    /// Does everything that can fail: binds, opens, reads, asks for what is permitted. When it is called again, it first
    /// lets go of what it had prepared.
    fn prepare(&mut self, means: &Means<'_>) -> Result<(), BindError>;

    /// Starts what runs for as long as the process does: threads, stores. Called once, on the control runtime, after all
    /// parts have prepared and before the first commit.
    fn start(&mut self, _process: &Arc<Process>) -> io::Result<()> {
        Ok(())
    }

    /// Puts in place what was prepared. Called on the control runtime.
    fn commit(&mut self);

    /// Lets go of what was built and prepared; what runs goes on.
    fn abandon(&mut self, opener: &Opener);

    /// Does what is asked of whatever runs.
    fn steer(&mut self, _order: &Order) {}

    /// Whether nothing is left that a soft stop would wait for.
    fn is_idle(&self) -> bool {
        true
    }

    /// Does what is due, several times a second.
    fn turn(&mut self, _now: Millis) {}

    /// Ends what runs. Called on the control runtime.
    fn stop(&mut self);
}

/// What is asked of parts that run and is no change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop listening, or listen again.
    Pause(bool),
    /// The end is near: connections end with what is under way, while new ones are still taken.
    Farewell,
    /// Take nothing new and finish what there is.
    Drain,
    /// Close the listeners of a frontend for good.
    ShutdownFrontend(Arc<str>),
}

/// The line of a part in the table.
pub struct Row {
    pub name: &'static str,
    /// The words that begin its sections.
    pub sections: fn() -> Vec<&'static str>,
    /// Hands its keyword entries to the registry.
    pub register: fn(&mut Registry),
    pub make: fn(&Handles) -> Box<dyn Part>,
}

/// What parts share before anything runs.
#[derive(Clone)]
pub struct Handles {
    pub hub: Hub,
    pub services: Arc<Services>,
    pub documents: Documents,
    /// Where words of the language name files and addresses.
    pub places: Arc<Places>,
}

/// What a part is built from.
pub struct Reading<'a> {
    pub loaded: &'a Loaded,
    pub preview: &'a Preview,
    pub args: &'a Args,
    pub opener: &'a Opener,
    /// Number of data workers.
    pub workers: usize,
    /// `maxconn` of the process: what runs, else what is expected.
    pub maxconn: u32,
}

impl Reading<'_> {
    pub fn sections(&self) -> &[Section] {
        &self.loaded.sections
    }

    /// A variable of the environment as the configuration left it.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.loaded.env.get(name).map(|v| String::from_utf8_lossy(v).into_owned())
    }
}

/// What a part prepares with.
pub struct Means<'a> {
    pub args: &'a Args,
    pub opener: &'a Opener,
    pub workers: usize,
}

/// What a new value changes, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is different once the change is in place: `2 servers added`.
    pub changes: Vec<String>,
    /// What cannot be had before a restart; said as a warning.
    pub after_restart: Vec<String>,
}

impl Plan {
    pub fn extend(&mut self, other: Plan) {
        self.changes.extend(other.changes);
        self.after_restart.extend(other.after_restart);
    }
}

/// The process around the parts, once it runs.
pub struct Process {
    pub args: Args,
    pub opener: Opener,
    pub messages: Messages,
    pub notifier: Arc<Notifier>,
    pub budget: Budget,
    pub runtime: Handle,
    pub handle: Mutex<ControlHandle>,
    pub workers: usize,
    pub shared: Arc<Shared>,
    pub current: Current,
    pub hooks: Arc<HealthHooks>,
    pub checks: Arc<Mutex<Checks>>,
}

impl Process {
    /// `maxconn` as it holds now.
    pub fn maxconn(&self) -> u32 {
        self.shared.maxconn.load(Ordering::Relaxed)
    }

    /// Number of the configuration that runs.
    pub fn generation(&self) -> u64 {
        (*self.current.load()).as_ref().map_or(0, |config| config.generation)
    }

    pub fn handle(&self) -> ControlHandle {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
