//! A worker's flows and sockets: bursts in, bursts out.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::base::Nanos;
use crate::base::clock::{MS, SEC};
use crate::config::Proxy;
use crate::model::Seen;
use crate::os::burst::{Intake, MOST, Origin, Outlet, Piece};
use crate::os::socket::{self, Peer};
use crate::proxy::connection::count_session;
use crate::proxy::end::{Cause, End, Phase};
use crate::proxy::listener::{Listen, ListenerCell};
use crate::proxy::route::Route;
use crate::proxy::worker::Worker;
use crate::rt::{Datagrams, NEVER, TaskId};

use super::account;
use super::choice;
use super::flow::{Ear, Flow, InBackend, Pipe, Upstream, preface};
use super::table::{FlowId, Key, Table};

/// Most servers that are tried for one burst.
const TRIES: usize = 4;
/// How late a silent flow may end.
const LATE: Nanos = SEC;

/// What a worker has of `mode udp`.
struct Plane {
    worker: &'static Worker,
    ears: RefCell<Vec<Rc<Ear>>>,
    table: RefCell<Table<Flow>>,
    /// Whoever uses these never waits meanwhile.
    intake: RefCell<Intake>,
    outlet: RefCell<Outlet>,
    /// The task that ends silent flows, and when it looks next.
    keeper: Cell<TaskId>,
    looks_at: Cell<Nanos>,
}

thread_local! {
    static PLANE: Cell<Option<&'static Plane>> = const { Cell::new(None) };
}

/// Listens on exactly the sockets of `list`. Called after [`Worker::replace`]: flows take the new configuration.
pub fn listen(worker: &'static Worker, list: &[Listen]) {
    let plane = match PLANE.with(Cell::get) {
        Some(plane) => plane,
        None if list.is_empty() => return,
        None => Plane::start(worker),
    };
    plane.listen(list);
    plane.renew();
}

impl Plane {
    fn start(worker: &'static Worker) -> &'static Plane {
        let plane: &'static Plane = Box::leak(Box::new(Plane {
            worker,
            ears: RefCell::default(),
            table: RefCell::default(),
            intake: RefCell::default(),
            outlet: RefCell::default(),
            keeper: Cell::new(0),
            looks_at: Cell::new(NEVER),
        }));
        plane.keeper.set(worker.rt.spawn(plane.keep()));
        PLANE.with(|cell| cell.set(Some(plane)));
        plane
    }

    fn listen(&'static self, list: &[Listen]) {
        let mut ears = self.ears.borrow_mut();
        ears.retain(|ear| {
            let kept = list.iter().find(|listen| listen.id == ear.cell.id);
            match kept {
                Some(listen) => ear.cell.moved(listen),
                None => {
                    ear.cell.stopped.set(true);
                    self.worker.rt.wake(ear.cell.task.get());
                }
            }
            kept.is_some()
        });
        for listen in list {
            if ears.iter().any(|ear| ear.cell.id == listen.id) {
                continue;
            }
            let socket = Datagrams::new(self.worker.rt, listen.fd.clone());
            let ear = Rc::new(Ear { cell: ListenerCell::of(listen), socket });
            ear.cell.task.set(self.worker.rt.spawn(self.hear(ear.clone())));
            ears.push(ear);
        }
    }

    /// Takes flows over into the newest configuration. Those whose listening socket, frontend, backend or server is gone
    /// end.
    fn renew(&'static self) {
        let ids = self.table.borrow().ids();
        for id in ids {
            let kept = {
                let mut table = self.table.borrow_mut();
                let Some(flow) = table.flow(id) else { continue };
                let kept = !flow.ear.cell.stopped.get() && choice::renew(self.worker, flow);
                let patience = patience(flow);
                if kept {
                    table.set_patience(id, patience);
                }
                kept
            };
            if !kept {
                self.end(id, End::new(Cause::Killed, Phase::Data, 0));
            }
        }
        self.look();
    }

    /// Ends silent flows, a second late at most.
    async fn keep(&'static self) {
        loop {
            std::future::poll_fn(|_| {
                if self.worker.rt.now() >= self.looks_at.get() {
                    return std::task::Poll::Ready(());
                }
                self.worker.rt.arm(self.looks_at.get());
                std::task::Poll::Pending
            })
            .await;
            let now = self.worker.rt.now();
            loop {
                let expired = self.table.borrow_mut().expired(now);
                let Some(id) = expired else { break };
                let end = self.table.borrow_mut().flow(id).map(|flow| match flow.answered {
                    0 => End::new(Cause::ServerTimeout, Phase::Data, 0),
                    _ => End::default(),
                });
                self.end(id, end.unwrap_or_default());
            }
            self.looks_at.set(self.next_look());
        }
    }

    /// When the next flow may be over. Many that end one after the other end together, once a second.
    fn next_look(&self) -> Nanos {
        let Some(due) = self.table.borrow().next_due() else { return NEVER };
        let now = self.worker.rt.now();
        if due > now + LATE { due } else { due.max(now + LATE / 10) }
    }

    /// Makes the keeper look in time for the earliest end.
    fn look(&self) {
        let next = self.next_look();
        if next < self.looks_at.get() {
            self.looks_at.set(next);
            self.worker.rt.wake(self.keeper.get());
        }
    }

    /// Receives what clients send, for as long as the socket is listened on.
    async fn hear(&'static self, ear: Rc<Ear>) {
        loop {
            let ready = ear.socket.readable(|| ear.cell.stopped.get()).await;
            if ear.cell.stopped.get() || ready.is_err() {
                return;
            }
            self.take_burst(&ear);
        }
    }

    fn take_burst(&'static self, ear: &Rc<Ear>) {
        let mut intake = self.intake.borrow_mut();
        let count = match intake.receive(ear.socket.fd()) {
            Ok(count) => count,
            Err(e) => return ear.socket.took(0, e.kind() != ErrorKind::Interrupted),
        };
        let (mut total, mut at) = (0, 0);
        while at < count {
            let origin = intake.origin(at);
            let mut datagrams = Vec::with_capacity(MOST);
            while at < count && intake.origin(at) == origin {
                datagrams.extend(intake.datagrams(at));
                at += 1;
            }
            total += datagrams.iter().map(|d| d.len()).sum::<usize>();
            if let Some(origin) = origin {
                self.forward(ear, &origin, &datagrams);
            }
        }
        ear.socket.took(total, count < MOST);
    }

    /// Sends a client's datagrams on to its flow's server.
    fn forward(&'static self, ear: &Rc<Ear>, origin: &Origin, datagrams: &[&[u8]]) {
        let key = Key { listener: ear.cell.id, client: origin.peer, asked: origin.asked };
        let known = self.table.borrow().find(&key);
        if let Some(id) = known.or_else(|| self.open(ear, origin, key)) {
            self.send_up(id, datagrams);
        }
    }

    /// A flow for who has none yet, if there may be one.
    fn open(&'static self, ear: &Rc<Ear>, origin: &Origin, key: Key) -> Option<FlowId> {
        let worker = self.worker;
        let (view, front) = (worker.view(), ear.cell.proxy.get());
        let proxy = view.config().proxies.get(front.0 as usize)?;
        let Some(slot) = worker.client_slot(&ear.cell) else {
            proxy.live.front.counters.mine().err_req.inc();
            return None;
        };
        worker.note_client(&slot);
        let local = local(ear, origin, proxy);
        let mut txn = worker.take_txn();
        choice::introduce(&mut txn, origin.peer, local);
        let mut route = Route::new(&view, front);
        let goes_on = choice::admits(worker, ear, &route, &mut txn) && {
            count_session(worker, proxy, slot.counters());
            choice::switch(worker, ear, &mut route, &txn)
        };
        let vars = std::mem::take(&mut txn.vars);
        worker.keep_txn(txn);
        let back = route.back_id.filter(|_| goes_on)?;
        let now = worker.rt.now();
        let flow = Flow {
            ear: ear.clone(),
            origin: *origin,
            local,
            slot,
            front,
            back,
            counted: InBackend::enter(&view.config().proxy(back).live, now / MS),
            view: view.clone(),
            upstream: None,
            left: None,
            avoid: None,
            vars,
            accepted: now,
            accept_date_us: worker.date_us(),
            chosen: 0,
            answered: 0,
            bytes_in: 0,
            bytes_out: 0,
            moves: 0,
            end: End::default(),
        };
        let patience = patience(&flow);
        let id = self.table.borrow_mut().open(key, patience, now, flow);
        self.look();
        Some(id)
    }

    /// Sends datagrams to a flow's server, which is chosen where there is none. One that refuses is left for another.
    fn send_up(&'static self, id: FlowId, datagrams: &[&[u8]]) {
        for _ in 0..TRIES {
            let mut table = self.table.borrow_mut();
            let Some(flow) = table.flow(id) else { return };
            if !flow.has_way() {
                flow.detach();
                if let Err(end) = self.attach(id, flow) {
                    drop(table);
                    return self.end(id, end);
                }
            }
            let Some(up) = &flow.upstream else { return };
            let pieces: Vec<Piece<'_>> =
                datagrams.iter().map(|bytes| Piece { before: &up.before, bytes }).collect();
            match self.outlet.borrow_mut().send(up.pipe.socket.fd(), None, &pieces) {
                Ok(sent) => {
                    let octets = datagrams[..sent.min(datagrams.len())].iter().map(|d| d.len() as u64).sum();
                    account::count_bytes(flow, octets, 0);
                    return table.touch(id, self.worker.rt.now());
                }
                Err(e) if is_refusal(&e) => refused(flow),
                // Too long for the way, or no room: lost, as networks lose.
                Err(_) => return table.touch(id, self.worker.rt.now()),
            }
        }
    }

    /// Gives a flow a server and a socket to it.
    fn attach(&'static self, id: FlowId, flow: &mut Flow) -> Result<(), End> {
        let slot = choice::server(self.worker, flow)?;
        let config = flow.view.config();
        let back = config.proxy(flow.back).back.as_ref().ok_or(choice::NO_SERVER)?;
        let server = slot.server();
        let failed = End::new(Cause::Resource, Phase::Connect, 0);
        // Before its address is read: one that moves meanwhile is left by the next datagram.
        let epoch = server.live.epoch();
        let pipe = Pipe::open(self.worker.rt, server, back, flow.local.port()).map_err(|_| failed)?;
        let before = preface(server, flow);
        if flow.left.is_some() {
            account::count_move(flow);
        }
        if flow.chosen == 0 {
            flow.chosen = self.worker.rt.now();
        }
        pipe.task.set(self.worker.rt.spawn(self.answers(id, pipe.clone())));
        flow.upstream = Some(Upstream { slot, epoch, pipe, before });
        flow.left = None;
        Ok(())
    }

    /// Sends back what a flow's server answers.
    async fn answers(&'static self, id: FlowId, pipe: Rc<Pipe>) {
        loop {
            let ready = pipe.socket.readable(|| pipe.over.get()).await;
            if pipe.over.get() || ready.is_err() {
                return;
            }
            self.send_back(id, &pipe);
        }
    }

    fn send_back(&'static self, id: FlowId, pipe: &Pipe) {
        let mut intake = self.intake.borrow_mut();
        let mut table = self.table.borrow_mut();
        let Some(flow) = table.flow(id) else { return };
        let count = match intake.receive(pipe.socket.fd()) {
            Ok(count) => count,
            Err(e) if is_refusal(&e) => return refused(flow),
            Err(e) => return pipe.socket.took(0, e.kind() != ErrorKind::Interrupted),
        };
        let pieces: Vec<Piece<'_>> = (0..count)
            .flat_map(|at| intake.datagrams(at))
            .map(|bytes| Piece { before: &[], bytes })
            .collect();
        let octets: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        pipe.socket.took(octets, count < MOST);
        // What cannot be sent is lost, as networks lose.
        let _ = self.outlet.borrow_mut().send(flow.ear.socket.fd(), Some(&flow.origin), &pieces);
        account::count_bytes(flow, 0, octets as u64);
        let now = self.worker.rt.now();
        if flow.answered == 0 {
            flow.answered = now;
        }
        // It speaks: if it refused before, that is over.
        flow.avoid = None;
        if let Some(up) = &flow.upstream {
            up.slot.server().live.seen(Seen::Connected);
        }
        table.touch(id, now);
    }

    /// Ends a flow.
    fn end(&'static self, id: FlowId, end: End) {
        let closed = self.table.borrow_mut().close(id);
        if let Some(mut flow) = closed {
            flow.end = end;
            account::conclude(self.worker, flow);
        }
    }
}

/// The network says that nobody takes datagrams there (ICMP).
fn is_refusal(e: &io::Error) -> bool {
    let codes = [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::EHOSTDOWN];
    e.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// A flow's server does not take its datagrams: the next one goes to another, if there is one.
fn refused(flow: &mut Flow) {
    account::count_refusal(flow);
    if let Some(up) = &flow.upstream {
        let live = &up.slot.server().live;
        flow.avoid = Some(live.uid);
        live.seen(Seen::ConnectFailed);
    }
    flow.detach();
}

/// How long both sides of a flow may be silent: the shorter one of the two timeouts; 0: for ever.
fn patience(flow: &Flow) -> Nanos {
    let config = flow.view.config();
    let both = [config.proxy(flow.front).timeouts.client, config.proxy(flow.back).timeouts.server];
    both.into_iter().filter(|ms| *ms > 0).min().unwrap_or(0).saturating_mul(MS)
}

/// The address of ours that a client asked.
fn local(ear: &Ear, origin: &Origin, proxy: &Proxy) -> SocketAddr {
    let bind = proxy.front.as_ref().and_then(|front| front.binds.get(ear.cell.bind.get()));
    let bound = bind.and_then(|bind| bind.address.inet()).or_else(|| match socket::local(ear.socket.fd()) {
        Ok(Peer::Inet(address)) => Some(address),
        _ => None,
    });
    let mut local = bound.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    if let Some(asked) = origin.asked {
        local.set_ip(match asked.ip {
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
            ip => ip,
        });
    }
    local
}
