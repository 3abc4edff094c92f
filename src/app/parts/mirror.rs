//! The mirror of registries as a part. On a node without a `region-map` section it has a map of its own, in memory: its
//! jobs are scheduled in the same way.

use std::io;
use std::sync::Arc;

use crate::base::Live;
use crate::lang::Diagnostics;
use crate::mirror::language::{self, Inputs, keyword};
use crate::mirror::rule::Spec;
use crate::mirror::run::{Asked, Mirror};
use crate::os::opener::Opener;
use crate::os::process;
use crate::region::map::{Command, Member};
use crate::region::{Direct, Seat};

use super::super::documents::Documents;
use super::super::program::BindError;
use super::part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};

pub static MIRROR: Row = Row {
    name: "mirror",
    sections: || keyword::section_kinds().collect(),
    register: keyword::register,
    make: |handles| Box::new(MirrorPart::new(handles)),
};

struct MirrorPart {
    documents: Documents,
    asked: Arc<Live<Option<Asked>>>,
    built: Option<Spec>,
    running: Option<Mirror>,
    /// Rules that run.
    rules: usize,
    /// The map of a node that has no other.
    alone: Option<Seat>,
    process: Option<Arc<Process>>,
}

impl MirrorPart {
    fn new(handles: &Handles) -> MirrorPart {
        MirrorPart {
            documents: handles.documents.clone(),
            asked: handles.hub.mirror.clone(),
            built: None,
            running: None,
            rules: 0,
            alone: None,
            process: None,
        }
    }

    fn seat(&mut self) -> Seat {
        if let Some(seat) = self.documents.seat() {
            return seat;
        }
        self.alone.get_or_insert_with(alone).clone()
    }

    fn end(&mut self) {
        self.asked.store(Arc::new(None));
        self.running = None;
        self.rules = 0;
    }

    fn put(&mut self, spec: Spec) -> Result<(), String> {
        if spec.rules.is_empty() {
            self.end();
            return Ok(());
        }
        self.rules = spec.rules.len();
        match &self.running {
            Some(mirror) => mirror.change(spec),
            None => {
                let seat = self.seat();
                let mirror = Mirror::start(spec, seat).map_err(|e: io::Error| e.to_string())?;
                self.asked.store(Arc::new(Some(mirror.asked())));
                self.running = Some(mirror);
            }
        }
        Ok(())
    }
}

impl Part for MirrorPart {
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics {
        let (spec, diagnostics) = language::build(&Inputs {
            sections: reading.sections(),
            sources: &reading.loaded.sources,
            files: &|path| reading.opener.read(path),
        });
        self.built = spec;
        diagnostics
    }

    fn diff(&self) -> Plan {
        let mut plan = Plan::default();
        if let Some(built) = self.built.as_ref().filter(|_| self.process.is_some()) {
            let (now, then) = (self.rules, built.rules.len());
            if now != then {
                plan.changes.push(format!("{then} mirrors instead of {now}"));
            }
        }
        plan
    }

    fn prepare(&mut self, _means: &Means<'_>) -> Result<(), BindError> {
        Ok(())
    }

    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        self.process = Some(process.clone());
        Ok(())
    }

    fn commit(&mut self) {
        let Some(spec) = self.built.take() else { return };
        if let Err(e) = self.put(spec)
            && let Some(process) = &self.process
        {
            process.messages.alert(&format!("mirror: {e}"));
        }
    }

    fn abandon(&mut self, _opener: &Opener) {
        self.built = None;
    }

    /// Others go on with the jobs.
    fn steer(&mut self, order: &Order) {
        if *order == Order::Drain {
            self.end();
        }
    }

    fn stop(&mut self) {
        self.end();
        self.alone = None;
    }
}

/// A map of this node alone, of which it is the only member.
fn alone() -> Seat {
    let name = process::hostname();
    let seat = Direct::seat(&name, "");
    let me = Member { id: seat.status().id, name: name.as_str().into(), alive: true, ..Member::default() };
    let (asked, id) = (seat.clone(), me.id);
    // Applied at once.
    tokio::spawn(async move { asked.propose(Command::MemberPut(me)).await });
    seat.soft().members(id, std::iter::empty());
    seat
}
