//! A client connection: connection rules, then one stream (TCP) or one after the other (HTTP).

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::{MS, Nanos, SEC};
use crate::config::Proxy;
use crate::model::{Mode, ProxyId};
use crate::os::socket::Peer;
use crate::rt::Conn;
use crate::rules::{self, Outcome, Txn, Vars};

use super::access;
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::listener::{ClientSlot, ListenerCell};
use super::preface;
use super::stream::{self, Next};
use super::transfer::Patience;
use super::tunnel;
use super::worker::{View, Worker};

/// How long a connection counts as busy after a response.
const LINGER: Nanos = SEC;

/// What a connection keeps from request to request; nothing of it is a buffer.
pub struct Session {
    pub worker: &'static Worker,
    pub listener: Rc<ListenerCell>,
    /// The configuration the current (or next) request runs under.
    pub view: Rc<View>,
    pub front: ProxyId,
    pub conn: Rc<Conn>,
    pub client: rules::Endpoint,
    local: Cell<Option<rules::Endpoint>>,
    /// Both ends of the connection, once `tcp-request session` rules said otherwise for the session.
    own: Option<Box<(rules::Endpoint, rules::Endpoint)>>,
    pub accepted: Nanos,
    pub accept_date_us: u64,
    /// How long the client's PROXY header took.
    pub handshake: Nanos,
    /// Requests begun so far.
    pub requests: u32,
    /// `sess` variables.
    pub vars: Vars,
    /// Bytes of the next request that came with this one.
    pub pending: Option<Buf>,
    /// Until when the next request must have begun, and that of the head under way.
    pub idle_until: Nanos,
    slot: ClientSlot,
}

pub(super) fn endpoint_of(peer: Peer) -> rules::Endpoint {
    match peer {
        Peer::Inet(addr) => rules::Endpoint::Inet(addr),
        Peer::Unix => rules::Endpoint::Unix,
    }
}

impl Session {
    pub fn new(
        worker: &'static Worker,
        listener: Rc<ListenerCell>,
        fd: OwnedFd,
        peer: Peer,
        slot: ClientSlot,
    ) -> Session {
        let view = worker.view();
        let front = listener.proxy.get();
        Session {
            worker,
            view,
            front,
            conn: Rc::new(Conn::accepted(worker.rt, fd)),
            client: endpoint_of(peer),
            local: Cell::new(None),
            own: None,
            accepted: worker.rt.now(),
            accept_date_us: worker.date_us(),
            handshake: 0,
            requests: 0,
            vars: Vars::default(),
            pending: None,
            idle_until: 0,
            listener,
            slot,
        }
    }

    /// Our end of the client's connection; asks the kernel once.
    pub fn local(&self) -> rules::Endpoint {
        if let Some(local) = self.local.get() {
            return local;
        }
        let local = self.conn.local().map(endpoint_of).unwrap_or_default();
        self.local.set(Some(local));
        local
    }

    /// Takes the newest configuration. False when the frontend or listener is gone, or the process stops: the session
    /// then ends, with the response to a request that it has in hand.
    pub fn renew(&mut self) -> bool {
        if self.listener.stopped.get() {
            return false;
        }
        let newest = self.worker.view();
        if !Rc::ptr_eq(&newest, &self.view) {
            let front = self.listener.proxy.get();
            if !self.slot.is_of(&newest.config().proxy(front).live) {
                return false;
            }
            self.front = front;
            self.view = newest;
        }
        !self.worker.shared.stopping.load(Ordering::Relaxed)
    }

    /// Waits for the first bytes of a request. Between requests no configuration is held: an idle connection takes the
    /// one that is newest when it speaks.
    async fn wait(&mut self, until: Nanos) -> std::io::Result<()> {
        if self.requests > 0 {
            self.view = self.worker.no_view();
        }
        self.conn.readable(until).await
    }

    /// Fills in what a transaction knows of its connection.
    pub fn introduce(&self, txn: &mut Txn) {
        txn.client = self.client;
        txn.timers.accepted = self.accepted;
        txn.timers.handshake = self.handshake;
        txn.accept_date_us = self.accept_date_us;
        txn.session_requests = self.requests;
        let proxy = self.view.config().proxy(self.front);
        if proxy.needs_local_address {
            txn.local = self.local();
        }
        (txn.conn_client, txn.conn_local) = self.own.as_deref().copied().unwrap_or((txn.client, txn.local));
    }

    /// Takes over the addresses that rules of the connection or the session gave it.
    fn readdress(&mut self, txn: &Txn) {
        if (txn.client, txn.local) != (self.client, self.local()) {
            if (txn.client, txn.local) != (txn.conn_client, txn.conn_local) {
                self.own = Some(Box::new((txn.conn_client, txn.conn_local)));
            }
            self.client = txn.client;
            self.local.set(Some(txn.local));
        }
    }
}

/// Lives as long as the connection.
pub async fn run(mut session: Session) {
    let view = session.view.clone();
    let proxy = view.config().proxy(session.front);
    if proxy.options.tcpka_client {
        crate::os::socket::set_keepalive(session.conn.fd());
    }
    if !admits(&mut session, proxy, true) || !introduced(&mut session, proxy).await {
        return;
    }
    if !admits(&mut session, proxy, false) {
        return;
    }
    let live = &proxy.live.front;
    let now_ms = session.worker.rt.now() / MS;
    live.counters.mine().sess_tot.inc();
    live.sess_rate.add(now_ms, 1);
    live.sess_rate_max.raise(u64::from(live.sess_rate.read(now_ms)));
    live.last_session_ms.store(now_ms, Ordering::Relaxed);
    let shared = &session.worker.shared;
    shared.sess_rate.add(now_ms, 1);
    shared.sess_rate_max.raise(u64::from(shared.sess_rate.read(now_ms)));
    match proxy.mode {
        Mode::Tcp => {
            let mut txn = session.worker.take_txn();
            Box::pin(tunnel::serve(&mut session, &mut txn, &view)).await;
            session.worker.keep_txn(txn);
        }
        _ => {
            drop(view);
            http(session).await;
        }
    }
}

/// `accept-proxy`: the client is who the header says. False: there is none.
async fn introduced(session: &mut Session, proxy: &Proxy) -> bool {
    let bind = proxy.front.as_ref().and_then(|f| f.binds.get(session.listener.bind.get()));
    if !bind.is_some_and(|b| b.accept_proxy) {
        return true;
    }
    let rt = session.worker.rt;
    let ms = positive(proxy.timeouts.client_hs, proxy.timeouts.client);
    let Some(ends) = Box::pin(preface::receive(&session.conn, rt.after_ms(ms))).await else {
        proxy.live.front.counters.mine().err_req.inc();
        return false;
    };
    session.handshake = rt.now().saturating_sub(session.accepted);
    if let Some((client, local)) = ends {
        session.client = rules::Endpoint::Inet(client);
        session.local.set(Some(rules::Endpoint::Inet(local)));
    }
    true
}

/// `tcp-request connection` rules, or those of `session`. False: the connection is to be closed.
fn admits(session: &mut Session, proxy: &Proxy, of_connection: bool) -> bool {
    let counters = proxy.live.front.counters.mine();
    let (set, denied) = match of_connection {
        true => (&proxy.rules.tcp_connection, &counters.denied_conn),
        false => (&proxy.rules.tcp_session, &counters.denied_sess),
    };
    if set.is_empty() {
        return true;
    }
    let view = session.view.clone();
    let mut txn = session.worker.take_txn();
    txn.local = session.local();
    session.introduce(&mut txn);
    std::mem::swap(&mut session.vars, &mut txn.vars);
    let env = StreamEnv::of(session, &view, None, None);
    let mut accepted = true;
    if let Outcome::Close { silent } = set.run(&mut txn, &env, &mut 0) {
        denied.inc();
        if silent {
            crate::os::socket::set_no_linger(session.conn.fd());
        }
        accepted = false;
    }
    std::mem::swap(&mut session.vars, &mut txn.vars);
    session.readdress(&txn);
    session.worker.keep_txn(txn);
    accepted
}

/// An idle connection is this small future; what serves requests is boxed, so that the idle do not pay for it.
async fn http(mut session: Session) {
    loop {
        if !session.renew() && session.requests > 0 && session.pending.is_none() {
            return;
        }
        if session.pending.is_none() && !session.conn.is_readable() {
            let until = wait_limit(&session);
            if let Err(e) = session.wait(until).await {
                if e.kind() == std::io::ErrorKind::TimedOut && session.requests == 0 {
                    Box::pin(silent_client(&mut session)).await;
                }
                return;
            }
            continue;
        }
        if Box::pin(busy(&mut session)).await == Next::Close {
            return;
        }
    }
}

/// Serves requests for as long as one follows the other soon: making this future anew costs more than waiting in it.
async fn busy(session: &mut Session) -> Next {
    let rt = session.worker.rt;
    let patience = Rc::new(Patience::new(0, 0, 0));
    loop {
        let mut txn = session.worker.take_txn();
        if !receive_first(session, &mut txn) {
            session.worker.keep_txn(txn);
            if session.conn.is_readable() {
                // The end of the stream, or an error.
                log_empty(session);
                return Next::Close;
            }
            return Next::KeepAlive;
        }
        session.introduce(&mut txn);
        std::mem::swap(&mut txn.vars, &mut session.vars);
        let next = stream::run(session, &mut txn, &patience).await;
        std::mem::swap(&mut txn.vars, &mut session.vars);
        session.vars.clear(rules::VarScope::Txn);
        session.worker.keep_txn(txn);
        if next == Next::Close {
            return Next::Close;
        }
        session.idle_until = idle_limit(session, rt.now());
        if !session.renew() && session.pending.is_none() {
            return Next::Close;
        }
        if session.pending.is_none() && !session.conn.is_readable() {
            let Some(_seat) = session.worker.linger() else { return Next::KeepAlive };
            let until = session.idle_until.min(rt.now() + LINGER);
            if session.wait(until).await.is_err() {
                return Next::KeepAlive; // idle from now on, or at its end, which is found there
            }
            if !session.renew() {
                return Next::Close;
            }
        }
    }
}

/// First bytes of a request into a pooled buffer. False: there were none, and the buffer is back.
fn receive_first(session: &mut Session, txn: &mut Txn) -> bool {
    if let Some(buf) = session.pending.take() {
        txn.req.buf = buf;
        return true;
    }
    txn.req.buf = Buf::take(HEAD_SIZE);
    match session.conn.try_recv(txn.req.buf.room()) {
        Some(Ok(n)) if n > 0 => {
            txn.req.buf.advance(n);
            true
        }
        _ => false,
    }
}

fn positive(ms: u64, otherwise: u64) -> u64 {
    if ms > 0 { ms } else { otherwise }
}

/// Until when the first byte of the next request may come.
fn wait_limit(session: &Session) -> Nanos {
    if session.requests > 0 {
        return session.idle_until;
    }
    let timeouts = &session.view.config().proxy(session.front).timeouts;
    let ms = positive(timeouts.http_request, timeouts.client);
    if ms == 0 { crate::rt::NEVER } else { session.accepted.saturating_add(ms * MS) }
}

fn idle_limit(session: &Session, now: Nanos) -> Nanos {
    let timeouts = &session.view.config().proxy(session.front).timeouts;
    let ms = positive(timeouts.http_keep_alive, positive(timeouts.http_request, timeouts.client));
    if ms == 0 { crate::rt::NEVER } else { now.saturating_add(ms * MS) }
}

/// A client that connected and said nothing in time: 408, unless such connections are to be ignored.
async fn silent_client(session: &mut Session) {
    let view = session.view.clone();
    let proxy = view.config().proxy(session.front);
    if proxy.options.http_ignore_probes {
        return;
    }
    let mut txn = session.worker.take_txn();
    session.introduce(&mut txn);
    stream::refuse(session, &mut txn, End::new(Cause::ClientTimeout, Phase::Request, 408)).await;
    session.worker.keep_txn(txn);
}

/// A connection that ended before it said anything is logged unless `dontlognull`.
fn log_empty(session: &mut Session) {
    if session.requests > 0 {
        return;
    }
    let view = session.view.clone();
    let proxy = view.config().proxy(session.front);
    if proxy.options.dontlognull {
        return;
    }
    proxy.live.front.counters.mine().err_req.inc();
    let mut txn = session.worker.take_txn();
    session.introduce(&mut txn);
    txn.timers.request_start = session.accepted;
    txn.timers.closed = session.worker.rt.now();
    txn.request_date_us = session.accept_date_us;
    let end = End::new(Cause::ClientAbort, Phase::Request, 400);
    txn.status = 400;
    txn.set_end(end.flags());
    access::log(session, &mut txn, &view, None, None, true);
    session.worker.keep_txn(txn);
}
