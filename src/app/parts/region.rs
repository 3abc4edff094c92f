//! The region map as a part: this node's seat, what the file says of regions, and servers that come from the map.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::discovery::{Discovery, Resolve, load, shares};
use crate::lang::Diagnostics;
use crate::os::opener::Opener;
use crate::proxy::Shared;
use crate::region;
use crate::region::spec::Spec;

use super::super::asked::Mirroring;
use super::super::documents::{Documents, Preparing};
use super::super::program::{BindError, Settings};
use super::super::seat::{Around, SeatSockets, Seated};
use super::super::services::{Current, Hub};
use super::part::{Handles, Means, Part, Plan, Process, Reading, Row};

pub static REGION: Row = Row {
    name: "region",
    sections: || region::keyword::section_kinds().collect(),
    register: region::keyword::register,
    make: |handles| Box::new(RegionPart::new(handles)),
};

struct RegionPart {
    documents: Documents,
    current: Current,
    hub: Hub,
    built: Option<Spec>,
    /// Bound while there are privileges, until the node takes its seat.
    sockets: SeatSockets,
    /// A seat is taken at the start or not at all.
    started: bool,
    seated: Option<Seated>,
    /// Servers from the region map.
    discovery: Option<Discovery>,
}

impl RegionPart {
    fn new(handles: &Handles) -> RegionPart {
        RegionPart {
            documents: handles.documents.clone(),
            current: handles.hub.current.clone(),
            hub: handles.hub.clone(),
            built: None,
            sockets: SeatSockets::default(),
            started: false,
            seated: None,
            discovery: None,
        }
    }

    /// Gives backends the servers that the map has for them.
    fn find_servers(&mut self) {
        if let (Some(discovery), Some(config)) = (&mut self.discovery, &*self.current.load()) {
            discovery.follow(config);
        }
    }
}

impl Part for RegionPart {
    fn build(&mut self, reading: &Reading<'_>) -> Diagnostics {
        let (spec, diagnostics) = region::language::build(&region::language::Inputs {
            sections: reading.sections(),
            sources: &reading.loaded.sources,
            resolve: &|name| reading.opener.resolve(name),
            env: &|name| reading.variable(name),
        });
        self.built = spec;
        diagnostics
    }

    fn require(&self, settings: &mut Settings) {
        settings.listens |= self.built.as_ref().is_some_and(Spec::listens);
    }

    fn diff(&self) -> Plan {
        let mut plan = Plan::default();
        if let (Some(seated), Some(spec)) = (&self.seated, &self.built)
            && seated.needs_restart(spec)
        {
            plan.after_restart.push("the 'region-map' section changed".into());
        }
        plan
    }

    fn prepare(&mut self, means: &Means<'_>) -> Result<(), BindError> {
        if let Some(spec) = self.built.as_ref().filter(|_| !self.started) {
            self.sockets = SeatSockets::default();
            self.sockets = SeatSockets::bind(spec, means.opener)?;
        }
        Ok(())
    }

    /// Takes part in the region map. What its store holds is known before the first connection is taken.
    fn start(&mut self, process: &Arc<Process>) -> io::Result<()> {
        self.started = true;
        let (Some(spec), sockets) = (&self.built, std::mem::take(&mut self.sockets)) else { return Ok(()) };
        let around = Around {
            steering: process.handle(),
            responders: self.hub.responders.clone(),
            mirror: Arc::new(Mirroring(self.hub.mirror.clone())),
            vips: (self.hub.vips.clone(), self.hub.vip_agent.clone()),
        };
        self.seated = Seated::start(spec, sockets, &process.opener, around, process.budget.api)
            .map_err(io::Error::other)?;
        let Some(seated) = &self.seated else { return Ok(()) };
        let seat = seated.seat.clone();
        let opener = process.opener.clone();
        // Names go through the opener when there is one.
        let names: Resolve = Arc::new(move |name| opener.resolve(name).ok()?.first().copied());
        self.discovery = Some(Discovery::new(seat.clone(), process.hooks.clone(), process.workers, names));
        tokio::spawn(load::tell_node(seat.clone(), measure(process.shared.clone())));
        let current = self.current.clone();
        let tables =
            move || (*current.load()).as_ref().map(|config| config.tables.clone()).unwrap_or_default();
        tokio::spawn(shares::run(seat.clone(), tables));
        let documents = self.documents.clone();
        documents.take_seat(seat.clone());
        let handle = Arc::new(process.handle());
        seated.answer(Arc::new(Preparing { documents: documents.clone(), handle: handle.clone() }));
        tokio::spawn(documents.follow(seat, handle));
        self.find_servers();
        Ok(())
    }

    fn commit(&mut self) {
        self.find_servers();
        if let (Some(seated), Some(spec)) = (&mut self.seated, self.built.take()) {
            seated.tell_regions(&spec);
        }
    }

    fn abandon(&mut self, _opener: &Opener) {
        self.built = None;
        self.sockets = SeatSockets::default();
    }

    fn stop(&mut self) {
        if let Some(seated) = self.seated.take() {
            seated.stop();
        }
    }
}

/// The node's client connections and how many it takes; nothing once it stops.
fn measure(shared: Arc<Shared>) -> impl Fn() -> Option<(u64, u64)> + Send + Sync + 'static {
    move || {
        let read = |count: &AtomicU32| u64::from(count.load(Ordering::Relaxed));
        (!shared.stopping.load(Ordering::Relaxed)).then(|| (read(&shared.current), read(&shared.maxconn)))
    }
}
