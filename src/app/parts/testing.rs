//! A part for tests: its section `trial` says a word, and it can be told to refuse. Whatever it goes through is noted.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use crate::lang::registry::{Kind, Registry};
use crate::lang::{Diagnostics, Entry};
use crate::os::opener::Opener;

use super::super::program::{BindError, Settings};
use super::part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};

pub(super) static TRIAL: Row = Row {
    name: "trial",
    sections: || vec!["trial"],
    register,
    make: |_: &Handles| Box::new(TrialPart::default()),
};

static ENTRIES: [Entry; 3] = [
    Entry::full("trial", "", "A part that is tried.", "trial", "isobar"),
    Entry::full("word", "<text>", "What runs.", "word hello", "isobar"),
    Entry::full("refuse", "", "Makes preparing fail.", "refuse", "isobar"),
];

fn register(registry: &mut Registry) {
    registry.add(Kind::Section, &ENTRIES[..1]);
    registry.add(Kind::In("trial"), &ENTRIES[1..]);
}

thread_local! {
    static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What the part went through since the last time.
pub(super) fn steps() -> Vec<String> {
    STEPS.take()
}

fn note(step: impl Into<String>) {
    STEPS.with_borrow_mut(|steps| steps.push(step.into()));
}

#[derive(Default)]
struct TrialPart {
    runs: String,
    built: Option<(String, bool)>,
    prepared: Option<String>,
}

impl Part for TrialPart {
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let mut built = (String::new(), false);
        for line in reading.sections().iter().filter(|s| s.kind() == "trial").flat_map(|s| &s.lines) {
            match line.str(0) {
                "word" => built.0 = line.str(1).to_owned(),
                "refuse" => built.1 = true,
                other => diagnostics.alert(line.span, format!("unknown keyword '{other}'")),
            }
        }
        note(format!("build {}", built.0));
        self.built = (!diagnostics.has_alerts()).then_some(built);
        diagnostics
    }

    fn require(&self, settings: &mut Settings) {
        settings.listens |= self.built.is_some();
    }

    fn diff(&self) -> Plan {
        let word = self.built.as_ref().map(|(word, _)| word.clone()).unwrap_or_default();
        let changes = (word != self.runs).then(|| format!("the word is '{word}'"));
        Plan { changes: changes.into_iter().collect(), after_restart: Vec::new() }
    }

    fn prepare(&mut self, _means: &Means<'_>) -> Result<(), BindError> {
        match &self.built {
            Some((_, true)) => {
                note("prepare refused");
                Err(BindError { in_use: false, message: "trial: refused as told".into() })
            }
            Some((word, false)) => {
                note(format!("prepare {word}"));
                self.prepared = Some(word.clone());
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn start(&mut self, _process: &Arc<Process>) -> io::Result<()> {
        note("start");
        Ok(())
    }

    fn commit(&mut self) {
        self.built = None;
        self.runs = self.prepared.take().unwrap_or_default();
        note(format!("commit {}", self.runs));
    }

    fn abandon(&mut self, _opener: &Opener) {
        let prepared = self.prepared.take();
        if self.built.take().is_some() || prepared.is_some() {
            note("abandon");
        }
    }

    fn steer(&mut self, order: &Order) {
        note(format!("{order:?}"));
    }

    fn stop(&mut self) {
        note(format!("stop {}", self.runs));
    }
}
