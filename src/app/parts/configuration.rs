//! The whole configuration: every part, and the one way from a change to its commit.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Millis, clock};
use crate::config::{Config, legacy};
use crate::lang::load::{Input, LoadOptions, Loaded, load};
use crate::lang::render::{self, Style};
use crate::os::opener::Opener;

use super::super::change::Change;
use super::super::documents::Documents;
use super::super::environment::environment;
use super::super::messages::Messages;
use super::super::program::{BindError, Settings, Start};
use super::super::{figures, version};
use super::part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};
use super::preview::Preview;
use super::vip;

/// How long what was made ready for a document is kept.
const PREPARED_MS: Millis = 30_000;

/// The parts, together.
pub struct Configuration {
    parts: Vec<Box<dyn Part>>,
    /// The words that begin sections, of all parts.
    kinds: Vec<&'static str>,
    documents: Documents,
    /// Known once it runs.
    process: Option<Arc<Process>>,
    /// Whether a value is built in every part and waits for a commit.
    ready_for: Option<Candidate>,
}

/// A document of the region map for which everything is made ready, until that is in the map.
struct Candidate {
    name: String,
    text: Bytes,
    until_ms: Millis,
}

/// What came of reading the files; printed already.
pub struct Outcome {
    pub loaded: Loaded,
    pub preview: Preview,
    /// Whether every part has a value.
    pub built: bool,
    pub warned: bool,
}

impl Configuration {
    pub fn new(rows: &[&Row], handles: &Handles) -> Configuration {
        Configuration {
            parts: rows.iter().map(|row| (row.make)(handles)).collect(),
            kinds: rows.iter().flat_map(|row| (row.sections)()).collect(),
            documents: handles.documents.clone(),
            process: None,
            ready_for: None,
        }
    }

    /// Loads the files of the command line, builds every part of them and says what is wrong with them.
    pub fn build(&mut self, start: &Start<'_>) -> Outcome {
        let mut loaded = self.load(start);
        let mut legacy = legacy::modernize(&mut loaded, start.args.legacy);
        let mut preview = Preview::of(&loaded.sections);
        if self.documents.kept_in(preview.data_dir.clone()) && self.documents.were_read() {
            // Where copies of documents are is said by the files that include them.
            loaded = self.load(start);
            legacy = legacy::modernize(&mut loaded, start.args.legacy);
            preview = Preview::of(&loaded.sections);
        }
        for name in self.documents.missing() {
            start
                .messages
                .warning(&format!("document '{name}' is not in the region map yet: nothing is included."));
        }
        self.build_parts(&mut loaded, &preview, start);
        if !legacy {
            legacy::hint(&mut loaded);
        }
        start.messages.report(&render::report(&loaded.diagnostics, &loaded.sources, &style(start)));
        let (built, warned) = (!loaded.diagnostics.has_alerts(), loaded.diagnostics.has_warnings());
        if !built {
            self.abandon(start.opener);
        }
        Outcome { loaded, preview, built, warned }
    }

    fn load(&self, start: &Start<'_>) -> Loaded {
        self.documents.begin();
        let facts = version::facts(start.args);
        // A file in another language is read by its part.
        let ours = start.args.files.iter().filter(|path| !vip::is_keepalived(path, start.opener));
        let inputs: Vec<Input> = ours.cloned().map(Input::Path).collect();
        let options = LoadOptions {
            read: &|path| start.opener.read(path),
            list: &|path| start.opener.list_files(path),
            document: &|name| Some(self.documents.text(name)),
            legacy: start.args.legacy,
            ..LoadOptions::new(&facts, environment(start.args), &self.kinds)
        };
        load(&inputs, options)
    }

    /// The proxy's configuration as it was built, for a rehearsal.
    pub fn lend(&mut self) -> Option<Arc<Config>> {
        self.parts.iter_mut().find_map(|part| part.lend())
    }

    /// The files in today's syntax, and whether all of their lines could be read.
    pub fn modernized(&self, start: &Start<'_>) -> (String, bool) {
        let mut loaded = self.load(start);
        let changes = legacy::plan(&loaded.sections, legacy::Target::Haproxy);
        for change in changes.iter().filter(|change| change.is_lossy) {
            loaded.diagnostics.warning(change.at, change.note.clone());
        }
        start.messages.report(&render::report(&loaded.diagnostics, &loaded.sources, &style(start)));
        (legacy::print(&loaded, &changes), !loaded.diagnostics.has_alerts())
    }

    fn build_parts(&mut self, loaded: &mut Loaded, preview: &Preview, start: &Start<'_>) {
        let (workers, maxconn) = match &self.process {
            Some(process) => (process.workers, process.maxconn()),
            None => (preview.workers(), start.args.maxconn.unwrap_or(0)),
        };
        let maxconn = if maxconn > 0 { maxconn } else { preview.expected_maxconn() };
        let reading = Reading { loaded, preview, args: start.args, opener: start.opener, workers, maxconn };
        self.parts.iter_mut().for_each(|part| part.loaded(&reading));
        if reading.loaded.diagnostics.has_alerts() {
            return;
        }
        let findings: Vec<_> = self.parts.iter_mut().flat_map(|part| part.build(&reading).list).collect();
        loaded.diagnostics.list.extend(findings);
    }

    /// What the process has to know of what was built, before it starts.
    pub fn require(&self, settings: &mut Settings) {
        self.parts.iter().for_each(|part| part.require(settings));
    }

    /// Makes every part ready. May be called again after a failure: what was built is kept.
    pub fn prepare(&mut self, start: &Start<'_>, workers: usize) -> Result<(), BindError> {
        let means = Means { args: start.args, opener: start.opener, workers };
        self.parts.iter_mut().try_for_each(|part| part.prepare(&means))
    }

    /// Starts the parts, which have prepared, and puts their first values in place. Called on the control runtime.
    pub fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        // The map may know newer documents as soon as the node has its seat.
        self.documents.activated();
        self.process = Some(process.clone());
        self.parts.iter_mut().try_for_each(|part| part.start(process))?;
        self.parts.iter_mut().for_each(|part| part.commit());
        Ok(())
    }

    /// Reads the configuration again and puts it in place, or leaves everything as it is and says why.
    pub fn change(&mut self, change: &Change) -> bool {
        let Some(process) = self.process.clone() else { return false };
        let ready = self.ready_for.take().filter(|c| self.documents.is_current(&c.name, &c.text));
        if matches!(change, Change::Map(_)) && ready.is_some() {
            self.commit();
            figures::swapped(true, process.generation());
            return true;
        }
        process.notifier.reloading();
        let plan = self.make_ready(&process, &process.messages, change.is_a_save());
        if let Some(plan) = &plan {
            say(plan, &process.messages);
            self.commit();
        }
        let success = plan.is_some();
        match change {
            Change::Files(paths) => tell_of_save(paths, success, &process),
            Change::Map(_) if !success => self.documents.refused(&process.messages.log()),
            _ => {}
        }
        process.notifier.reloaded(success);
        figures::swapped(success, process.generation());
        success
    }

    /// Makes everything ready for a document of the region map, and keeps that until it expires. An error is what is
    /// wrong, in lines.
    pub fn make_ready_for(&mut self, name: String, text: Bytes) -> Result<(), String> {
        let Some(process) = self.process.clone() else { return Err("this node is starting".into()) };
        let messages = Messages::default();
        messages.set_quiet(true);
        let documents = self.documents.clone();
        let plan = documents.trying(&name, &text, || self.make_ready(&process, &messages, false));
        plan.ok_or_else(|| messages.log())?;
        self.ready_for = Some(Candidate { name, text, until_ms: clock::now_ms() + PREPARED_MS });
        Ok(())
    }

    /// Builds and prepares every part, or abandons all. What was made ready before does not fit beside what runs next.
    /// With `listening`, what would listen nowhere is refused, as it is at the start.
    fn make_ready(&mut self, process: &Process, messages: &Messages, listening: bool) -> Option<Plan> {
        self.ready_for = None;
        self.abandon(&process.opener);
        let start = Start { args: &process.args, opener: &process.opener, messages };
        if !self.build(&start).built {
            return None;
        }
        let mut settings = Settings::default();
        self.require(&mut settings);
        if listening && !settings.listens {
            messages.alert("No enabled listener found (check for 'bind' directives) !");
            self.abandon(&process.opener);
            return None;
        }
        let mut plan = Plan::default();
        self.parts.iter().for_each(|part| plan.extend(part.diff()));
        match self.prepare(&start, process.workers) {
            Ok(()) => Some(plan),
            Err(e) => {
                messages.alert(&e.message);
                self.abandon(&process.opener);
                None
            }
        }
    }

    fn commit(&mut self) {
        let Some(process) = self.process.clone() else { return };
        let _inside = process.runtime.enter();
        self.parts.iter_mut().for_each(|part| part.commit());
        self.documents.activated();
    }

    fn abandon(&mut self, opener: &Opener) {
        self.parts.iter_mut().for_each(|part| part.abandon(opener));
    }

    pub fn steer(&mut self, order: &Order) {
        self.parts.iter_mut().for_each(|part| part.steer(order));
    }

    /// Whether a soft stop is over.
    pub fn is_idle(&self) -> bool {
        self.parts.iter().all(|part| part.is_idle())
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Millis) {
        if self.ready_for.take_if(|candidate| candidate.until_ms <= now).is_some()
            && let Some(process) = self.process.clone()
        {
            self.abandon(&process.opener);
        }
        self.parts.iter_mut().for_each(|part| part.turn(now));
    }

    /// Ends everything.
    pub fn stop(&mut self) {
        let Some(process) = self.process.clone() else { return };
        let _inside = process.runtime.enter();
        self.abandon(&process.opener);
        self.parts.iter_mut().for_each(|part| part.stop());
    }
}

/// How findings are shown.
fn style(start: &Start<'_>) -> Style {
    Style {
        pid: std::process::id(),
        pretty: start.args.pretty,
        color: render::wants_color(),
        diag: start.args.diagnostics,
    }
}

/// Most lines about a refused save that go to the log.
const LOGGED: usize = 10;

/// Nobody asked for it and nobody waits for an answer: what came of a save is in the log of the process too.
fn tell_of_save(paths: &[PathBuf], success: bool, process: &Process) {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    let paths = paths.join(", ");
    if success {
        let text = format!("watch-config: changed on disk: {paths}; the new configuration is in place.");
        process.messages.notice(&text);
        process.hooks.log("", NOTICE, &text);
        return;
    }
    let said = process.messages.log();
    for line in said.lines().filter(|line| line.starts_with("[ALERT]")).take(LOGGED) {
        process.hooks.log("", ERR, line);
    }
    let text = format!(
        "watch-config: changed on disk: {paths}; it cannot be used, and the configuration goes on as it was."
    );
    process.messages.warning(&text);
    process.hooks.log("", ERR, &text);
}

/// Levels of syslog.
const ERR: u8 = 3;
const NOTICE: u8 = 5;

fn say(plan: &Plan, messages: &Messages) {
    for what in &plan.after_restart {
        messages.warning(&format!("{what}: its new lines hold after a restart."));
    }
    if !plan.changes.is_empty() {
        messages.notice(&format!("New configuration: {}.", plan.changes.join(", ")));
    }
}
