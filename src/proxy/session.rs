//! `Session`: what all streams of a client's connection share. What belongs to one of them, or to the HTTP/1 connection
//! that carries them one by one, lies in the stream and in its downstream.

use std::cell::{Cell, OnceCell, RefCell};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::fast::FixedState;

use crate::base::clock::{MS, Nanos};
use crate::config::Proxy;
use crate::conn::link::Carriage;
use crate::conn::proxy_protocol::Received;
use crate::conn::{Link, Tls};
use crate::model::server::ServerLive;
use crate::model::{ProxyCounters, ProxyId, Server};
use crate::os::connection;
use crate::os::socket::Peer;
use crate::rules::track::Slots;
use crate::rules::{self, Endpoint, SilentDrop, Txn, Vars};

use super::h2::mux::Mux;
use super::listener::{ClientSlot, ListenerCell};
use super::view::View;
use super::worker::Worker;

/// What all streams of a client's connection share.
pub struct Session {
    pub worker: &'static Worker,
    pub listener: Rc<ListenerCell>,
    /// The place of the listener's line in the frontend's when the client came.
    pub(super) bind: usize,
    pub(super) link: Rc<Link>,
    pub(super) client: Cell<Endpoint>,
    pub(super) local: Cell<Option<Endpoint>>,
    pub accepted: Nanos,
    pub accept_date_us: u64,
    /// How long the client's PROXY header took.
    pub(super) handshake: Cell<Nanos>,
    /// A rule wants the client's PROXY header.
    pub(super) expects_proxy: Cell<bool>,
    /// What that told besides addresses.
    received: OnceCell<Box<Received>>,
    /// What carries its streams, of a connection that speaks HTTP/2.
    pub(super) mux: OnceCell<Rc<Mux>>,
    /// A rule ends the connection without a word (`silent-drop`).
    pub(super) is_mute: Cell<bool>,
    /// Requests begun so far.
    requests: Cell<u32>,
    /// `sess` variables; a stream has them while it runs.
    vars: Cell<Vars>,
    /// What few sessions need.
    rare: RefCell<Option<Box<Rare>>>,
    slot: ClientSlot,
}

/// What few sessions need, so that the others do not pay for it.
#[derive(Default)]
struct Rare {
    /// Both ends of the connection, once `tcp-request session` rules said otherwise for the session.
    peers: Option<(Endpoint, Endpoint)>,
    /// Idle connections to servers that no other client may use.
    own: Vec<Own>,
    /// The server of the last request, where it is preferred.
    last: Option<u64>,
    /// What the session tracks in stick tables.
    counters: Option<Arc<Slots>>,
    /// What a stream tracked that goes on as another one.
    handed: Option<Slots>,
    /// The client has authenticated a server connection: it stays with that server.
    keeps_server: bool,
}

/// A server connection of one client's own.
struct Own {
    server: Private,
    link: Rc<Link>,
    /// The name that the server was asked for with TLS.
    name: u64,
    uses: u32,
    epoch: u32,
}

/// Counts one idle connection of a server that belongs to one client.
struct Private(Arc<ServerLive>);

impl Private {
    fn of(server: &Server) -> Private {
        server.live.idle_private.fetch_add(1, Ordering::Relaxed);
        Private(server.live.clone())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.0.idle_private.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Session {
    /// What is tracked lives on from here.
    fn drop(&mut self) {
        let Some(rare) = self.rare.get_mut() else { return };
        let now_ms = self.worker.rt.now() / MS;
        let slots = rare.counters.take().and_then(|slots| Arc::try_unwrap(slots).ok());
        slots.into_iter().chain(rare.handed.take()).for_each(|slots| slots.release(now_ms));
    }
}

/// Most idle server connections of a session's own.
const MOST_OWN: usize = 5;

/// What the connection's next stream begins with: the configuration, and its frontend there.
pub struct Current {
    pub view: Rc<View>,
    pub front: ProxyId,
}

pub(super) fn end_of(peer: Peer) -> Endpoint {
    match peer {
        Peer::Inet(addr) => Endpoint::Inet(addr),
        Peer::Unix => Endpoint::Unix,
    }
}

impl Session {
    pub(super) fn new(
        worker: &'static Worker,
        listener: Rc<ListenerCell>,
        link: Rc<Link>,
        peer: Peer,
        slot: ClientSlot,
    ) -> Session {
        Session {
            worker,
            link,
            client: Cell::new(end_of(peer)),
            local: Cell::new(None),
            accepted: worker.rt.now(),
            accept_date_us: worker.date_us(),
            handshake: Cell::new(0),
            expects_proxy: Cell::new(false),
            received: OnceCell::new(),
            mux: OnceCell::new(),
            is_mute: Cell::new(false),
            requests: Cell::new(0),
            vars: Cell::default(),
            rare: RefCell::default(),
            bind: listener.bind.get(),
            listener,
            slot,
        }
    }

    /// What the session's listener counts apart (`option socket-stats`).
    pub fn counters(&self) -> Option<&ProxyCounters> {
        self.slot.listener.counters()
    }

    /// The client's connection, where it speaks TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.link.tls()
    }

    /// What the client's PROXY header told besides addresses; `None` without one.
    pub fn received(&self) -> Option<&Received> {
        self.received.get().map(|received| &**received)
    }

    pub(super) fn note_received(&self, received: Received) {
        let _ = self.received.set(Box::new(received));
    }

    /// Who the client is: the peer, or whom its PROXY header or a rule names.
    pub fn client(&self) -> Endpoint {
        self.client.get()
    }

    /// Our end of the client's connection; asks the kernel once.
    pub fn local(&self) -> Endpoint {
        if let Some(local) = self.local.get() {
            return local;
        }
        let said = self.worker.rt.said_local().map(Endpoint::Inet);
        let local = said.unwrap_or_else(|| self.link.local().map(end_of).unwrap_or_default());
        self.local.set(Some(local));
        local
    }

    /// The client's connection is closed without a word: it is forgotten where we may do that, else a reset goes as far as
    /// the next hop. With `rst_ttl` it goes that far.
    pub fn forget(&self, drop: SilentDrop) {
        let fd = self.link.fd();
        if drop.rst_ttl.is_some() || !connection::forget(fd) {
            connection::set_hops(fd, drop.rst_ttl.unwrap_or(1));
        }
        self.link.set_no_linger();
        self.is_mute.set(true);
    }

    /// Connections of its listener.
    pub fn listener_connections(&self) -> u32 {
        self.slot.listener.cur.load(Ordering::Relaxed)
    }

    /// How the client's connection stands.
    pub fn carriage(&self) -> Carriage {
        self.mux.get().map(|mux| mux.carriage()).unwrap_or_default()
    }

    /// Requests begun so far.
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Counts a request; tells how many there were before it.
    pub(super) fn begin_request(&self) -> u32 {
        self.requests.replace(self.requests.get() + 1)
    }

    /// What seemed to be the first request was none.
    pub(super) fn forget_request(&self) {
        self.requests.set(self.requests.get().saturating_sub(1));
    }

    fn rare<T>(&self, f: impl FnOnce(&mut Rare) -> T) -> T {
        f(self.rare.borrow_mut().get_or_insert_default())
    }

    /// The server that the next request is to go to if it can: `option prefer-last-server` where the session has an
    /// idle connection of its own to it, or an authenticated connection.
    pub fn preferred(&self, wanted: bool) -> Option<u64> {
        let rare = self.rare.borrow();
        let rare = rare.as_ref()?;
        let has_own = |uid: &u64| wanted && rare.own.iter().any(|own| own.server.0.uid == *uid);
        rare.last.filter(|uid| rare.keeps_server || has_own(uid))
    }

    /// The client has authenticated itself on a connection to this server.
    pub fn keep_server(&self, server: &Server) {
        self.rare(|rare| {
            rare.keeps_server = true;
            rare.last = Some(server.live.uid);
        });
    }

    /// The request went to this server, and the next one may be meant to.
    pub fn note_server(&self, server: &Server) {
        self.rare(|rare| rare.last = Some(server.live.uid));
    }

    /// An intact server connection of the session's own.
    pub fn take_own(&self, server: &Server, name: u64) -> Option<(Rc<Link>, u32)> {
        let mut rare = self.rare.borrow_mut();
        let own = &mut rare.as_mut()?.own;
        let at = own.iter().position(|o| o.server.0.uid == server.live.uid && o.name == name)?;
        let Own { link, uses, epoch, .. } = own.remove(at);
        (epoch == server.live.epoch() && link.is_drained()).then_some((link, uses))
    }

    /// Keeps a server connection for the session's next request; the oldest one goes when there are too many.
    pub fn keep_own(&self, server: &Server, (link, name): (Rc<Link>, u64), (uses, epoch): (u32, u32)) {
        if server.live.epoch() != epoch || !link.is_drained() || link.watch().is_err() {
            return;
        }
        self.rare(|rare| {
            if rare.own.len() == MOST_OWN {
                rare.own.remove(0);
            }
            rare.own.push(Own { server: Private::of(server), link, name, uses, epoch });
        });
    }

    /// The newest configuration. `None` when the frontend is gone: the session then ends, with the response to a request
    /// that it has in hand.
    pub(super) fn renew(&self) -> Option<Current> {
        let view = self.worker.view();
        let front = self.listener.proxy.get();
        let proxy = view.config().proxies.get(front.0 as usize)?;
        self.slot.is_of(&proxy.live).then_some(Current { view, front })
    }

    /// The session goes on, and with this configuration.
    #[inline]
    pub(super) fn is_up_to_date(&self, current: &Current) -> bool {
        !self.is_over() && self.worker.holds(&current.view)
    }

    /// The listener is gone or the process stops: what is under way is the last.
    #[inline]
    pub fn is_over(&self) -> bool {
        match self.ends_at() {
            Some(at) => at <= self.worker.rt.now(),
            None => self.listener.stopped.get(),
        }
    }

    /// The process stops, and the session's time has come: it ends even while it is idle.
    #[inline]
    pub(super) fn is_ending(&self) -> bool {
        self.ends_at().is_some_and(|at| at <= self.worker.rt.now())
    }

    /// When the session is to end, in a process that stops.
    #[inline]
    pub(super) fn ends_at(&self) -> Option<Nanos> {
        self.worker.shared.stopping.load(Ordering::Acquire).then(|| self.draw_end())
    }

    #[cold]
    fn draw_end(&self) -> Nanos {
        // The same number each time, and another one for each session.
        let number = FixedState::default().hash_one((self.accepted, std::ptr::from_ref(self)));
        self.worker.shared.end_of(number)
    }

    /// Fills in what a transaction knows of its connection.
    fn introduce(&self, txn: &mut Txn, proxy: &Proxy) {
        txn.client = self.client();
        txn.timers.accepted = self.accepted;
        txn.timers.handshake = self.handshake.get();
        txn.accept_date_us = self.accept_date_us;
        txn.session_requests = self.requests.get();
        if proxy.needs_local_address {
            txn.local = self.local();
        }
        (txn.conn_client, txn.conn_local) = (txn.client, txn.local);
        if let Some(rare) = &mut *self.rare.borrow_mut() {
            if let Some(peers) = rare.peers {
                (txn.conn_client, txn.conn_local) = peers;
            }
            txn.counters.share(rare.counters.clone());
            if let Some(handed) = rare.handed.take() {
                txn.counters.set_own(handed);
            }
        }
    }

    /// Our end of the connection, as rules of the session see it.
    pub(super) fn introduce_local(&self, txn: &mut Txn) {
        txn.conn_local = self.peers().map_or(txn.local, |(_, local)| local);
    }

    fn peers(&self) -> Option<(Endpoint, Endpoint)> {
        self.rare.borrow().as_ref()?.peers
    }

    /// Takes over the addresses that rules of the connection or the session gave it.
    pub(super) fn readdress(&self, txn: &Txn) {
        if (txn.client, txn.local) != (self.client(), self.local()) {
            if (txn.client, txn.local) != (txn.conn_client, txn.conn_local) {
                let peers = (txn.conn_client, txn.conn_local);
                self.rare(|rare| rare.peers = Some(peers));
            }
            self.client.set(txn.client);
            self.local.set(Some(txn.local));
        }
    }

    /// The client speaks for another, as its PROXY header says; the connection keeps its own ends, or those that rules of
    /// the connection gave it.
    pub(super) fn speak_for(&self, client: SocketAddr, local: SocketAddr) {
        let peers = self.peers().unwrap_or((self.client(), self.local()));
        self.rare(|rare| rare.peers = Some(peers));
        self.client.set(Endpoint::Inet(client));
        self.local.set(Some(Endpoint::Inet(local)));
    }

    /// What the session tracks; its rules run with it as a stream's do with theirs.
    pub(super) fn lend_counters(&self, txn: &mut Txn) {
        txn.counters.unshare();
        let held = self.rare.borrow_mut().as_mut().and_then(|rare| rare.counters.take());
        if let Some(slots) = held.and_then(|slots| Arc::try_unwrap(slots).ok()) {
            txn.counters.set_own(slots);
        }
    }

    pub(super) fn take_counters(&self, txn: &mut Txn) {
        if let Some(own) = txn.counters.take_own() {
            self.rare(|rare| rare.counters = Some(Arc::new(own)));
        }
    }

    pub(super) fn counters_tracked(&self) -> Option<Arc<Slots>> {
        self.rare.borrow().as_ref()?.counters.clone()
    }

    /// A transaction's record for the next stream, with the session's variables in it.
    pub(super) fn take_txn(&self, proxy: &Proxy) -> Box<Txn> {
        let mut txn = self.worker.take_txn();
        self.introduce(&mut txn, proxy);
        txn.vars = self.vars.take();
        txn
    }

    /// Streams run beside each other: each has what variables there were when it began, and who ends last leaves its own.
    pub(super) fn lend_vars(&self, txn: &Txn) {
        if !txn.vars.list.is_empty() {
            self.vars.set(txn.vars.clone());
        }
    }

    /// Takes the variables of a stream that goes on as another one.
    pub(super) fn hand_over(&self, mut txn: Box<Txn>) {
        if let Some(own) = txn.counters.take_own() {
            self.rare(|rare| rare.handed = Some(own));
        }
        self.vars.set(std::mem::take(&mut txn.vars));
        self.worker.keep_txn(txn);
    }

    /// Takes the session's variables back.
    pub(super) fn keep_txn(&self, mut txn: Box<Txn>) {
        if !txn.counters.is_empty() {
            txn.counters.release(self.worker.rt.now() / MS);
        }
        let mut vars = std::mem::take(&mut txn.vars);
        vars.clear(rules::VarScope::Txn);
        self.vars.set(vars);
        self.worker.keep_txn(txn);
    }
}
