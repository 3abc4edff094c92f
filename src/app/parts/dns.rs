//! The DNS responder as a part: a server for each `dns` section, which stays as long as a section of its name does.

use std::io;
use std::sync::Arc;

use crate::base::clock;
use crate::dns;
use crate::dns::explain::{self, Responders};
use crate::dns::server::{Server, Sockets};
use crate::dns::spec::{Responder, Spec};
use crate::lang::Diagnostics;
use crate::os::opener::Opener;

use super::super::documents::Documents;
use super::super::program::{BindError, Settings};
use super::part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};

pub static DNS: Row = Row {
    name: "dns",
    sections: || dns::keyword::section_kinds().collect(),
    register: dns::keyword::register,
    make: |handles| Box::new(DnsPart::new(handles)),
};

struct DnsPart {
    documents: Documents,
    responders: Responders,
    /// Drawn once, so that a reload does not make cookies worthless.
    random: [u8; 16],
    built: Option<Spec>,
    ready: Vec<Sockets>,
    running: Vec<Running>,
    process: Option<Arc<Process>>,
}

struct Running {
    name: Arc<str>,
    server: Server,
}

impl DnsPart {
    fn new(handles: &Handles) -> DnsPart {
        DnsPart {
            documents: handles.documents.clone(),
            responders: handles.hub.responders.clone(),
            random: *uuid::Uuid::new_v4().as_bytes(),
            built: None,
            ready: Vec::new(),
            running: Vec::new(),
            process: None,
        }
    }

    fn sockets_of(&self, name: &str) -> Sockets {
        let running = self.running.iter().find(|running| *running.name == *name);
        running.map_or_else(Sockets::default, |running| running.server.sockets().clone())
    }

    /// Starts a server, or gives one that runs its new configuration.
    fn put(&mut self, responder: Responder, sockets: Sockets) -> io::Result<()> {
        let seat = self.documents.seat();
        match self.running.iter_mut().find(|running| running.name == responder.name) {
            Some(running) => running.server.change(responder, sockets, seat.as_ref()),
            None => {
                let name = responder.name.clone();
                let server = Server::start(responder, sockets, seat.as_ref())?;
                self.running.push(Running { name, server });
                Ok(())
            }
        }
    }
}

impl Part for DnsPart {
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics {
        let (spec, diagnostics) = dns::language::build(&dns::language::Inputs {
            sections: reading.sections(),
            sources: &reading.loaded.sources,
            resolve: &|name| reading.opener.resolve(name),
            env: &|name| reading.variable(name),
            files: &|path| reading.opener.read(path),
            now_s: clock::wall().as_secs() as u32,
            random: self.random,
        });
        self.built = spec;
        diagnostics
    }

    fn require(&self, settings: &mut Settings) {
        settings.listens |= self.built.iter().flat_map(|spec| &spec.responders).any(|r| !r.binds.is_empty());
    }

    fn diff(&self) -> Plan {
        let mut plan = Plan::default();
        let Some(built) = self.built.as_ref().filter(|_| self.process.is_some()) else { return plan };
        let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} dns {what}"));
        let is_new = |r: &&Responder| !self.running.iter().any(|running| running.name == r.name);
        let is_gone = |r: &&Running| !built.responders.iter().any(|responder| responder.name == r.name);
        plan.changes.extend(count(built.responders.iter().filter(is_new).count(), "added"));
        plan.changes.extend(count(self.running.iter().filter(is_gone).count(), "removed"));
        plan
    }

    fn prepare(&mut self, means: &Means<'_>) -> Result<(), BindError> {
        self.ready.clear();
        let Some(built) = &self.built else { return Ok(()) };
        for responder in &built.responders {
            let before = self.sockets_of(&responder.name);
            let sockets = Sockets::bind(responder, &before, means.opener).map_err(|e| BindError {
                in_use: e.in_use,
                message: format!("Starting dns {}: {e}", responder.name),
            })?;
            self.ready.push(sockets);
        }
        Ok(())
    }

    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        self.process = Some(process.clone());
        Ok(())
    }

    fn commit(&mut self) {
        let Some(built) = self.built.take() else { return };
        self.running.retain(|running| built.responders.iter().any(|r| r.name == running.name));
        for (responder, sockets) in built.responders.into_iter().zip(std::mem::take(&mut self.ready)) {
            let name = responder.name.clone();
            if let Err(e) = self.put(responder, sockets)
                && let Some(process) = &self.process
            {
                process.messages.alert(&format!("dns {name}: {e}"));
            }
        }
        let shown = |running: &Running| explain::Responder {
            name: running.name.clone(),
            state: running.server.state(),
            tally: running.server.tally(),
        };
        self.responders.put(self.running.iter().map(shown).collect());
    }

    fn abandon(&mut self, _opener: &Opener) {
        self.built = None;
        self.ready.clear();
    }

    fn steer(&mut self, order: &Order) {
        // Whoever takes over has the same addresses.
        if *order == Order::Drain {
            self.running.clear();
        }
    }

    fn stop(&mut self) {
        self.running.clear();
    }
}
