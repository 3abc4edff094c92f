//! The agent's thread: it waits for packets, links, orders and time, in this order, and carries out what the machine says.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::base::clock::{self, MS, SEC};
use crate::base::{Millis, Nanos};
use crate::os::child::run_in_real_time;
use crate::os::epoll::{Epoll, Events, IN};
use crate::os::netlink::Event;

use super::super::machine::{Action, Cause, Group, Member, Router, State, Step, Track, Verdict};
use super::super::packet::{Advert, decode, encode, inside_ipv4};
use super::super::spec::{Family, InstanceSpec, Spec, TrackSpec, TrackerKind};
use super::accept::{self, Envelope};
use super::addresses::Held;
use super::apart::SILENT_NS;
use super::heartbeat::{self, Heartbeat, News};
use super::network::{FIRST_TOKEN, Kernel, Network};
use super::notify::{Audience, Notifier, Told};
use super::order::{Listener, Order, Orders};
use super::renewer::Renewer;
use super::script;
use super::status::{Counters, InstanceStatus, Shown, Status};
use super::watch;

const ORDERS: u64 = 0;
const CHANGES: u64 = 1;
const HEARTBEATS: u64 = 2;
/// Packets that are taken of one socket before the clock is looked at again.
const PACKETS: usize = 256;
/// Longer than any advert that this agent understands.
const ROOM: usize = 9_216;
/// The same complaint is made so often at most.
const COMPLAIN_NS: Nanos = 60 * SEC;

/// What the loop knows of an instance beside its machine.
struct Port {
    source: Option<IpAddr>,
    /// Counts IPv4 packets.
    id: u16,
    counters: Counters,
    complained_ns: Option<Nanos>,
    since_ms: Millis,
    heartbeat: Option<Heartbeat>,
}

pub(super) struct Loop {
    spec: Spec,
    router: Router,
    ports: Vec<Port>,
    network: Network,
    held: Held,
    epoll: Epoll,
    orders: Orders,
    listener: Listener,
    notifier: Notifier,
    status: Shown,
    /// Number of the configuration that runs.
    generation: u64,
    /// What looks at trackers; ends when it is dropped.
    runners: Vec<script::Runner>,
    watch: Option<watch::Watch>,
    /// What was reported of the process's own world.
    reported: Vec<(TrackerKind, Verdict)>,
    start_at: Option<Nanos>,
    /// In a process of its own: when the proxy has been silent for too long. 0: it is.
    alive_until: Option<Nanos>,
    is_stopping: bool,
}

impl Loop {
    pub(super) fn new(
        kernel: Kernel,
        spec: Spec,
        listener: Listener,
        orders: Orders,
        status: Shown,
        renewer: Renewer,
        is_apart: bool,
    ) -> io::Result<Loop> {
        let epoll = Epoll::new()?;
        let network = Network::new(kernel)?;
        epoll.add(orders.waker().as_raw_fd(), IN, ORDERS)?;
        epoll.add(network.kernel.monitor.as_raw_fd(), IN, CHANGES)?;
        let notifier = Notifier::start(Audience::of(&spec), listener.clone())?;
        let now = clock::now_ns();
        let mut agent = Loop {
            router: router(&spec, is_apart, now),
            alive_until: is_apart.then_some(now + SILENT_NS),
            ports: Vec::new(),
            held: Held::new(spec.instances.len(), Arc::new(renewer)),
            start_at: Some(now + spec.start_delay.as_nanos() as u64),
            spec,
            network,
            epoll,
            orders,
            listener,
            notifier,
            status,
            generation: 0,
            runners: Vec::new(),
            watch: None,
            reported: Vec::new(),
            is_stopping: false,
        };
        agent.ports = agent.spec.instances.iter().map(|_| Port::new()).collect();
        agent.network.open(&agent.spec.instances, &agent.epoll)?;
        agent.start_trackers();
        agent.open_heartbeats();
        agent.publish();
        Ok(agent)
    }

    pub(super) fn run(mut self, queue: &Receiver<Order>) {
        if self.alive_until.is_none()
            && let Err(e) = run_in_real_time()
        {
            self.listener.note(&format!("no real-time priority ({e}): a busy host may delay adverts"));
        }
        let mut events = Events::default();
        let mut room = vec![0; ROOM];
        let mut changed = true;
        while !(self.is_stopping && self.router.is_over()) {
            if changed {
                self.publish();
            }
            let wait = self.wait_for();
            if let Err(e) = self.epoll.wait_for(&mut events, wait) {
                self.listener.warn(&format!("waiting failed: {e}"));
                break;
            }
            let ready: Vec<u64> = (0..events.len()).map(|i| events.event(i).token).collect();
            let mut steps = Vec::new();
            self.router.expire(clock::now_ns(), &mut steps);
            self.carry_out(std::mem::take(&mut steps));
            // Packets before the clock: an agent that slept is not to take its silence for the others'.
            for token in ready.iter().filter(|token| **token >= FIRST_TOKEN) {
                self.packets(*token, &mut room, &mut steps);
            }
            if ready.contains(&HEARTBEATS) {
                self.hear(&mut steps);
            }
            if ready.contains(&CHANGES) {
                self.changes(&mut steps);
            }
            if ready.contains(&ORDERS) {
                self.orders.waker().clear();
                queue.try_iter().for_each(|order| self.order(order, &mut steps));
            }
            self.clock(&mut steps);
            changed = !steps.is_empty() || !ready.is_empty();
            self.carry_out(steps);
            self.held.renew(&self.network, clock::now_ns());
        }
        self.publish();
        for member in 0..self.spec.instances.len() {
            if let Err(e) = self.held.release(&mut self.network, member) {
                self.listener.warn(&format!("{}: releasing: {e}", self.spec.instances[member].name));
            }
        }
    }

    /// How long nothing is due; `None`: until something comes.
    fn wait_for(&self) -> Option<Duration> {
        let beats = self.ports.iter().filter_map(|port| port.heartbeat.as_ref()).map(Heartbeat::due).min();
        let alive = self.alive_until.filter(|at| *at > 0);
        let due =
            [self.router.due(), self.held.due(), self.start_at, beats, alive].into_iter().flatten().min();
        due.map(|due| Duration::from_nanos(due.saturating_sub(clock::now_ns())))
    }

    /// Does what is due.
    fn clock(&mut self, steps: &mut Vec<Step>) {
        let now = clock::now_ns();
        if self.start_at.take_if(|at| *at <= now).is_some() {
            self.begin(now, steps);
        }
        if self.alive_until.is_some_and(|at| at > 0 && at <= now) {
            self.alive_until = Some(0);
            self.proxy_is(now, Verdict::Down, steps);
        }
        self.router.turn(now, steps);
        self.beat(now, steps);
    }

    /// Whether the proxy, in another process, lives.
    fn proxy_is(&mut self, now: Nanos, verdict: Verdict, steps: &mut Vec<Step>) {
        let tracker = self.spec.trackers.len() + self.spec.instances.len();
        self.router.observe(now, tracker, verdict, steps);
    }

    /// Opens the heartbeats that are configured. Without one VRRP's timers hold.
    fn open_heartbeats(&mut self) {
        let start = clock::wall().as_micros() as u64;
        for (spec, port) in self.spec.instances.iter().zip(&mut self.ports) {
            // The old one has the port of the new.
            port.heartbeat = None;
            let Some(wanted) = &spec.heartbeat else { continue };
            let opened = Heartbeat::open(wanted, spec.vrid, start, clock::now_ns())
                .and_then(|beat| self.epoll.add(beat.fd(), IN, HEARTBEATS).map(|()| beat));
            match opened {
                Ok(beat) => port.heartbeat = Some(beat),
                Err(e) => self.listener.warn(&format!("{}: heartbeat: {e}", spec.name)),
            }
        }
    }

    /// Sends heartbeats that are due, and notices those that do not come.
    fn beat(&mut self, now: Nanos, steps: &mut Vec<Step>) {
        for member in 0..self.ports.len() {
            let instance = &self.router.instances()[member];
            let (word, priority) = (heartbeat::word(instance.state(), instance.holds()), instance.priority());
            let Some(beat) = &mut self.ports[member].heartbeat else { continue };
            beat.send(now, word, priority);
            if let Some(news) = beat.look(now) {
                self.follow_heartbeat(now, member, news, steps);
            }
        }
    }

    fn hear(&mut self, steps: &mut Vec<Step>) {
        let now = clock::now_ns();
        for member in 0..self.ports.len() {
            let news = self.ports[member].heartbeat.as_mut().and_then(|beat| beat.receive(now));
            if let Some(news) = news {
                self.follow_heartbeat(now, member, news, steps);
            }
        }
    }

    fn follow_heartbeat(&mut self, now: Nanos, member: usize, news: News, steps: &mut Vec<Step>) {
        let Some(peer) = self.ports[member].heartbeat.as_ref().map(Heartbeat::peer) else { return };
        let text = match news {
            News::Silent(ns) => format!("no heartbeat from {} for {} ms", peer.ip(), ns / MS),
            News::Leaving => format!("{} leaves", peer.ip()),
            // Both may have been master meanwhile.
            News::Back => return self.router.speak(now, member, steps),
        };
        // Where a third router is the master, the peer's end is none of ours.
        let master = self.router.instances()[member].master();
        if master.is_none_or(|master| master.address == peer.ip()) {
            self.router.take_over(now, member, Cause::Heartbeat(Arc::from(text)), steps);
        }
    }

    /// Lets the machines start. Addresses that a predecessor left stay until another master has spoken.
    fn begin(&mut self, now: Nanos, steps: &mut Vec<Step>) {
        for (member, spec) in self.spec.instances.iter().enumerate() {
            if !spec.settings.fenced
                && Held::is_there(&self.network, spec)
                && self.held.take(&mut self.network, member, spec, now).is_ok()
            {
                self.router.adopt(now, member);
            } else {
                Held::sweep(&mut self.network, spec);
            }
        }
        self.links(steps);
        self.router.start(now, steps);
    }

    /// Looks at what links and addresses mean for each instance and for trackers.
    fn links(&mut self, steps: &mut Vec<Step>) {
        if let Err(e) = self.network.open(&self.spec.instances, &self.epoll) {
            self.listener.warn(&format!("opening sockets: {e}"));
        }
        let moving = moving(&self.spec);
        let now = clock::now_ns();
        if self.start_at.is_some() {
            return;
        }
        if let Some(until) = self.alive_until {
            self.proxy_is(now, up(until > 0), steps);
        }
        for (i, tracker) in self.spec.trackers.iter().enumerate() {
            if tracker.kind == TrackerKind::Interface {
                let is_up = self.network.link(&tracker.name).is_some_and(|link| link.is_up);
                self.router.observe(now, i, up(is_up), steps);
            }
        }
        for (i, spec) in self.spec.instances.iter().enumerate() {
            let source = self.network.source(spec, &moving);
            self.ports[i].source = source;
            self.router.set_source(i, source);
            let has_link = spec.interface.is_empty()
                || self.network.link(&spec.interface).is_some_and(|link| link.is_up);
            let is_up = has_link && source.is_some();
            self.router.observe(now, self.spec.trackers.len() + i, up(is_up), steps);
        }
    }

    fn changes(&mut self, steps: &mut Vec<Step>) {
        loop {
            let events = match self.network.kernel.monitor.changes() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => events,
                Err(e) => {
                    self.listener.warn(&format!("netlink: {e}"));
                    vec![Event::Lost]
                }
            };
            let is_lost = events.contains(&Event::Lost);
            for event in events {
                if let Event::AddressGone(address) = &event
                    && self.held.holds(address)
                {
                    self.held.renew_now(clock::now_ns());
                }
                if let Event::Address(address) = &event {
                    let back = self.held.is_back(address).into_iter();
                    steps.extend(back.map(|member| Step { member, action: Action::Announce { repeat: 1 } }));
                }
                if let Err(e) = self.network.apply(event) {
                    self.listener.warn(&format!("netlink: {e}"));
                }
            }
            if is_lost {
                break;
            }
        }
        self.links(steps);
    }

    fn packets(&mut self, token: u64, room: &mut [u8], steps: &mut Vec<Step>) {
        let Some((interface, family)) = self.network.key_of(token) else { return };
        for _ in 0..PACKETS {
            let Some(socket) = self.network.socket(&interface, family) else { return };
            match socket.receive(room) {
                Ok(Some(got)) => {
                    let envelope =
                        Envelope { source: got.source, destination: got.destination, ttl: got.ttl };
                    self.packet(&room[got.start..got.end], &interface, family, envelope, steps);
                }
                Ok(None) => return,
                // A link that went down; netlink tells of it.
                Err(_) => return,
            }
        }
    }

    fn packet(
        &mut self,
        message: &[u8],
        interface: &str,
        family: Family,
        envelope: Envelope,
        steps: &mut Vec<Step>,
    ) {
        let Some(vrid) = message.get(1).copied() else { return };
        let is_it =
            |spec: &InstanceSpec| spec.vrid == vrid && spec.family == family && spec.interface == interface;
        let Some(member) = self.spec.instances.iter().position(is_it) else { return };
        let now = clock::now_ns();
        let spec = &self.spec.instances[member];
        let checked = match decode(message, envelope.source, envelope.destination) {
            Ok(advert) => accept::check(spec, self.ports[member].source, &advert, envelope)
                .map(|()| advert)
                .map_err(|why| (why == accept::Drop::Own, why.to_string())),
            Err(bad) => Err((false, bad.to_string())),
        };
        let port = &mut self.ports[member];
        match checked {
            Ok(advert) => {
                port.counters.received += 1;
                self.router.receive(now, member, &advert, envelope.source, steps);
            }
            Err((true, _)) => {}
            Err((false, why)) => {
                port.counters.dropped += 1;
                if port.complained_ns.is_none_or(|at| now >= at + COMPLAIN_NS) {
                    port.complained_ns = Some(now);
                    self.listener
                        .warn(&format!("{}: advert from {} dropped: {why}", spec.name, envelope.source));
                }
            }
        }
    }

    fn order(&mut self, order: Order, steps: &mut Vec<Step>) {
        let now = clock::now_ns();
        match order {
            Order::Apply(spec) => self.apply(spec, steps),
            Order::Observe(generation, tracker, verdict) if generation == self.generation => {
                self.observe(now, tracker, verdict, steps);
            }
            Order::Observe(..) => {}
            Order::Report(kind, verdict) => {
                self.reported.retain(|(known, _)| *known != kind);
                let found = self.spec.trackers.iter().position(|tracker| tracker.kind == kind);
                self.reported.push((kind, verdict));
                if let Some(tracker) = found {
                    self.observe(now, tracker, verdict, steps);
                }
            }
            Order::Move(name, true) => {
                if let Some(member) = self.member(&name)
                    && !self.router.move_here(now, member, steps)
                {
                    self.listener.warn(&format!("{name}: an operator wants it here, which cannot be"));
                }
            }
            Order::Move(name, false) => {
                if let Some(member) = self.member(&name) {
                    self.router.move_away(now, member, steps);
                }
            }
            Order::Priority(name, priority) => {
                if let Some(member) = self.member(&name) {
                    self.spec.instances[member].settings.priority = priority;
                    self.listener.note(&format!("{name}: an operator gives it the priority {priority}"));
                    self.router.set_base(now, member, priority, steps);
                }
            }
            Order::Lease(name, until) => {
                if let Some(member) = self.member(&name) {
                    self.router.lease(now, member, until, steps);
                }
            }
            Order::Alive => {
                if self.alive_until.replace(now + SILENT_NS) == Some(0) {
                    self.proxy_is(now, Verdict::Up, steps);
                }
            }
            Order::Orphaned => {
                if !self.is_stopping {
                    self.listener.warn("the proxy is gone: giving up all addresses");
                }
                (self.is_stopping, self.start_at) = (true, None);
                self.router.stop(now, steps);
                self.router.abandon();
            }
            Order::Stop => {
                self.is_stopping = true;
                self.start_at = None;
                self.router.stop(now, steps);
            }
        }
    }

    fn member(&self, name: &str) -> Option<usize> {
        self.spec.instances.iter().position(|spec| *spec.name == *name)
    }

    fn observe(&mut self, now: Nanos, tracker: usize, verdict: Verdict, steps: &mut Vec<Step>) {
        if let Some(spec) = self.spec.trackers.get(tracker)
            && self.router.verdict(tracker) != verdict
        {
            let word = match verdict {
                Verdict::Up => "up".into(),
                Verdict::Down => "down".into(),
                Verdict::Unknown => "unknown".into(),
                Verdict::Level(n) => n.to_string(),
            };
            self.listener.note(&format!("{} is {word}", spec.name));
        }
        let before: Vec<u8> = self.router.instances().iter().map(|i| i.priority()).collect();
        self.router.observe(now, tracker, verdict, steps);
        for (i, before) in before.into_iter().enumerate() {
            let after = self.router.instances()[i].priority();
            if before != after {
                self.listener.note(&format!("{}: priority {before} -> {after}", self.spec.instances[i].name));
            }
        }
    }

    /// Goes on with another configuration.
    fn apply(&mut self, spec: Spec, steps: &mut Vec<Step>) {
        if spec == self.spec || self.is_stopping {
            return;
        }
        let now = clock::now_ns();
        let identity = |spec: &InstanceSpec| {
            let settings = &spec.settings;
            let key = (spec.vrid, spec.family, settings.version, settings.fenced);
            (spec.name.clone(), spec.interface.clone(), key)
        };
        let there =
            |new: &InstanceSpec| self.spec.instances.iter().position(|old| identity(old) == identity(new));
        let pairs: Vec<(usize, usize)> =
            spec.instances.iter().enumerate().filter_map(|(here, new)| Some((here, there(new)?))).collect();
        // Who is left out gives up; nobody waits for the next master, which may be configured here.
        for old in (0..self.spec.instances.len()).filter(|old| pairs.iter().all(|(_, kept)| kept != old)) {
            let mut out = Vec::new();
            self.router.step_down(now, old, Cause::Stop, &mut out);
            // Also a lease that was only asked for.
            if self.spec.instances[old].settings.fenced {
                out.push(Step { member: old, action: Action::Yield });
            }
            self.carry_out(out);
            let _ = self.held.release(&mut self.network, old);
        }
        let mut router = router(&spec, self.alive_until.is_some(), now);
        router.go_on_from(&self.router, &pairs);
        let mut held = Held::new(spec.instances.len(), self.held.renewer());
        let mut ports: Vec<Port> = spec.instances.iter().map(|_| Port::new()).collect();
        let none = Held::new(0, self.held.renewer());
        let (old_spec, mut old_held) =
            (std::mem::replace(&mut self.spec, spec), std::mem::replace(&mut self.held, none));
        for (here, old) in &pairs {
            std::mem::swap(&mut ports[*here], &mut self.ports[*old]);
            let same = old_spec.instances[*old].addresses == self.spec.instances[*here].addresses
                && old_spec.instances[*old].excluded == self.spec.instances[*here].excluded;
            if !router.instances()[*here].holds() {
                continue;
            }
            let spec = &self.spec.instances[*here];
            if let Err(e) = held.take(&mut self.network, *here, spec, now) {
                self.listener.warn(&format!("{}: taking addresses: {e}", spec.name));
            }
            if !same {
                old_held.release_others(&mut self.network, *old, &held, *here);
                steps.push(Step { member: *here, action: Action::Announce { repeat: 1 } });
            }
        }
        (self.router, self.held, self.ports) = (router, held, ports);
        self.notifier.address(Audience::of(&self.spec));
        self.generation += 1;
        self.start_trackers();
        self.open_heartbeats();
        self.links(steps);
        self.router.start(now, steps);
    }

    fn start_trackers(&mut self) {
        (self.runners, self.watch) = (Vec::new(), None);
        let generation = self.generation;
        let mut watched = Vec::new();
        for (i, tracker) in self.spec.trackers.iter().enumerate() {
            let (orders, now) = (self.orders.clone(), clock::now_ns());
            match &tracker.kind {
                TrackerKind::Script(spec) => {
                    let tell = move |verdict| orders.give(Order::Observe(generation, i, verdict));
                    match script::start(spec.clone(), tell) {
                        Ok(runner) => self.runners.push(runner),
                        Err(e) => self.listener.warn(&format!("{}: {e}", tracker.name)),
                    }
                }
                TrackerKind::Process { .. } | TrackerKind::File { .. } => {
                    watched.push((i, tracker.kind.clone()))
                }
                TrackerKind::Interface => {}
                kind => {
                    let known = self.reported.iter().find(|(known, _)| known == kind);
                    let verdict = known.map_or(Verdict::Unknown, |(_, verdict)| *verdict);
                    self.router.observe(now, i, verdict, &mut Vec::new());
                }
            }
        }
        if !watched.is_empty() {
            let orders = self.orders.clone();
            let tell = move |tracker, verdict| orders.give(Order::Observe(generation, tracker, verdict));
            match watch::start(watched, tell) {
                Ok(watch) => self.watch = Some(watch),
                Err(e) => self.listener.warn(&format!("tracking processes and files: {e}")),
            }
        }
    }

    fn carry_out(&mut self, steps: Vec<Step>) {
        for Step { member, action } in steps {
            let done = match action {
                Action::Advert { priority } => self.send(member, priority),
                Action::Take => {
                    let (spec, now) = (&self.spec.instances[member], clock::now_ns());
                    self.held.take(&mut self.network, member, spec, now)
                }
                Action::Release => self.held.release(&mut self.network, member),
                Action::Announce { repeat } => self.held.announce(&self.network, member, repeat),
                Action::Moved { from, to, cause } => {
                    self.moved(member, from, to, &cause);
                    Ok(())
                }
                Action::Claim | Action::Yield => {
                    self.listener.wish(&self.spec.instances[member].name, action == Action::Claim);
                    Ok(())
                }
            };
            if let Err(e) = done {
                self.complain(member, &e);
            }
        }
    }

    fn complain(&mut self, member: usize, error: &io::Error) {
        let (spec, now) = (&self.spec.instances[member], clock::now_ns());
        let port = &mut self.ports[member];
        if port.complained_ns.is_none_or(|at| now >= at + COMPLAIN_NS) {
            port.complained_ns = Some(now);
            let hint = match error.kind() {
                io::ErrorKind::PermissionDenied => " (CAP_NET_ADMIN is needed to move addresses)",
                _ => "",
            };
            self.listener.warn(&format!("{}: {error}{hint}", spec.name));
        }
    }

    fn send(&mut self, member: usize, priority: u8) -> io::Result<()> {
        let (spec, port) = (&self.spec.instances[member], &mut self.ports[member]);
        let Some(source) = port.source else { return Ok(()) };
        let Some(socket) = self.network.socket(&spec.interface, spec.family) else { return Ok(()) };
        let advert = Advert {
            version: spec.settings.version,
            vrid: spec.vrid,
            priority,
            interval_ns: spec.settings.interval_ns,
            addresses: spec.addresses.iter().map(|address| address.address).collect(),
            password: spec.password,
        };
        let (index, mut result) = (self.network.index(&spec.interface), Ok(()));
        let peers = spec.peers.iter().map(|peer| peer.address);
        let group = (!spec.is_unicast()).then_some(spec.group);
        for destination in peers.chain(group) {
            let message = encode(&advert, source, destination, spec.checksum);
            let packet = match (source, destination) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    port.id = port.id.wrapping_add(1).max(1);
                    inside_ipv4(&message, from, to, spec.ttl, port.id)
                }
                _ => message,
            };
            // A peer that cannot be reached keeps no other from hearing.
            match socket.send(&packet, source, destination, index) {
                Ok(()) => port.counters.sent += 1,
                Err(e) if e.kind() == io::ErrorKind::NetworkDown => {}
                Err(e) => result = Err(e),
            }
        }
        result
    }

    fn moved(&mut self, member: usize, from: State, to: State, cause: &Cause) {
        let (spec, port) = (&self.spec.instances[member], &mut self.ports[member]);
        port.since_ms = clock::wall().as_millis() as u64;
        port.counters.became_master += u64::from(to == State::Master);
        port.counters.released_master += u64::from(from == State::Master);
        if let Some(beat) = &mut port.heartbeat {
            let instance = &self.router.instances()[member];
            beat.say(heartbeat::word(to, instance.holds()), instance.priority());
        }
        let (name, from_name, to_name) = (&spec.name, from.name(), to.name());
        self.listener.note(&format!("{name}: {from_name} -> {to_name}: {cause}"));
        let priority = self.router.instances()[member].priority();
        let tell = |what, name: &str, notify| {
            self.notifier.tell(Told { what, name: name.to_owned(), state: to, priority, notify });
        };
        tell("INSTANCE", name, spec.notify.clone());
        // A group has moved once its last member has.
        let group = self.spec.groups.iter().find(|group| group.members.contains(&member));
        let states = self.router.instances();
        if let Some(group) = group.filter(|g| to != State::Stopped && g.members.last() == Some(&member))
            && group.members.iter().all(|i| states[*i].state() == to)
        {
            tell("GROUP", &group.name, group.notify.clone());
        }
    }

    fn publish(&self) {
        let instances = self.spec.instances.iter().enumerate().map(|(i, spec)| {
            let instance = &self.router.instances()[i];
            InstanceStatus {
                name: spec.name.clone(),
                interface: spec.interface.clone(),
                vrid: spec.vrid,
                state: instance.state(),
                priority: spec.settings.priority,
                effective_priority: instance.priority(),
                version: spec.settings.version.number(),
                interval: Duration::from_nanos(spec.settings.interval_ns),
                tracks: spec.tracks.iter().filter_map(|track| tracked(&self.spec, track)).collect(),
                held: self.held.of(i),
                addresses: spec.addresses.iter().chain(&spec.excluded).map(|a| a.address).collect(),
                since: std::time::Duration::from_millis(self.ports[i].since_ms),
                cause: instance.since().1.to_string(),
                master: instance.master().map(|master| (master.address, master.priority)),
                counters: self.ports[i].counters,
            }
        });
        let status = Status { instances: instances.collect() };
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

impl Port {
    fn new() -> Port {
        Port {
            source: None,
            id: 0,
            counters: Counters::default(),
            complained_ns: None,
            since_ms: clock::wall().as_millis() as u64,
            heartbeat: None,
        }
    }
}

fn up(is_up: bool) -> Verdict {
    if is_up { Verdict::Up } else { Verdict::Down }
}

/// As `keepalived.data` has it.
fn tracked(spec: &Spec, track: &TrackSpec) -> Option<String> {
    let reverse = if track.reverse { " reverse" } else { "" };
    Some(format!("{} weight {}{reverse}", spec.trackers.get(track.tracker)?.name, track.weight))
}

/// Every address that moves: none of them is one that adverts come from.
fn moving(spec: &Spec) -> HashSet<IpAddr> {
    let all = spec.instances.iter().flat_map(|spec| spec.addresses.iter().chain(&spec.excluded));
    all.map(|address| address.address).collect()
}

/// The machines of a configuration. After its trackers come the links of its instances, and where the agent is a process of
/// its own the proxy, which all depend on.
fn router(spec: &Spec, is_apart: bool, now: Nanos) -> Router {
    let track =
        |track: &TrackSpec| Track { tracker: track.tracker, weight: track.weight, reverse: track.reverse };
    let members = spec.instances.iter().enumerate().map(|(i, instance)| {
        let link = spec.trackers.len() + i;
        let own = instance.tracks_interface.then_some(Track { tracker: link, weight: 0, reverse: false });
        let proxy = spec.trackers.len() + spec.instances.len();
        let proxy = is_apart.then_some(Track { tracker: proxy, weight: 0, reverse: false });
        Member {
            name: instance.name.clone(),
            settings: instance.settings.clone(),
            tracks: instance.tracks.iter().map(track).chain(own).chain(proxy).collect(),
            link: Some(link),
        }
    });
    let groups = spec.groups.iter().map(|group| Group {
        name: Arc::from(&*group.name),
        members: group.members.clone(),
        tracks: group.tracks.iter().map(track).collect(),
        weights: group.weights,
    });
    let links = spec.instances.iter().map(|instance| Arc::from(format!("interface {}", instance.interface)));
    let proxy = is_apart.then(|| Arc::from("the proxy"));
    let names = spec.trackers.iter().map(|tracker| tracker.name.clone()).chain(links).chain(proxy);
    Router::new(members.collect(), groups.collect(), names.collect(), now)
}
