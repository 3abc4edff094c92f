//! The life of a client's connection: connection rules, then one stream (TCP) or one after the other (HTTP).

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::base::clock::{MS, Nanos, SEC};
use crate::config::Proxy;
use crate::conn::proxy_protocol::Fault;
use crate::conn::{Link, introduction};
use crate::model::{Mode, ProxyCounters};
use crate::os::socket::Peer;

use super::access;
use super::downstream::Downstream;
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::h2;
use super::listener::{ClientSlot, ListenerCell};
use super::route::Route;
use super::session::{Current, Session};
use super::sticking;
use super::stream::Next;
use super::tcp::{self, Then};
use super::tls;
use super::transaction;
use super::transfer::Patience;
use super::verdict::{self, Stage};
use super::worker::Worker;

/// How long a connection counts as busy after a response.
const LINGER: Nanos = SEC;

/// Serves an accepted connection for as long as it lives. What an idle connection keeps stands in the future once: an
/// `async fn` would keep its arguments beside what is made of them.
pub(super) fn run(
    worker: &'static Worker,
    listener: Rc<ListenerCell>,
    fd: OwnedFd,
    peer: Peer,
    slot: ClientSlot,
) -> impl Future<Output = ()> + 'static {
    let mut current = Current { view: worker.view(), front: listener.proxy.get() };
    let front = current.view.config().proxy(current.front).front.as_ref();
    let is_tls = front.and_then(|f| f.binds.get(listener.bind.get())).is_some_and(|b| b.tls.is_on);
    let accepted = if is_tls { Link::accepted_tls } else { Link::accepted };
    let link = Rc::new(accepted(worker.rt, fd));
    let mut down = Downstream::h1(link.clone());
    let session = Session::new(worker, listener, link, peer, slot);
    async move {
        if serve(&session, &mut down, &mut current).await == Next::Http2 {
            let first = down.pending().take();
            drop(down);
            Box::pin(h2::serve::run(session, current, first)).await;
        }
    }
}

async fn serve(session: &Session, down: &mut Downstream, current: &mut Current) -> Next {
    let mode = {
        let proxy = current.view.config().proxy(current.front);
        if proxy.options.tcpka_client {
            session.link.set_keepalive();
        }
        if !admits(session, current, Stage::Connection)
            || !introduced(session, current).await
            || (session.link.tls().is_some() && !Box::pin(tls::secured(session, current)).await)
            || !admits(session, current, Stage::Session)
        {
            return Next::Close;
        }
        count_session(session.worker, proxy, session.counters());
        sticking::count_session(session);
        if proxy.mode == Mode::Http && speaks_h2(session, proxy) {
            return Next::Http2;
        }
        proxy.mode
    };
    if mode == Mode::Tcp {
        let mut txn = session.take_txn(current.view.config().proxy(current.front));
        let then = Box::pin(tcp::serve(session, down, &mut txn, current)).await;
        match then {
            Then::Http => session.hand_over(txn),
            Then::Http2 => {
                session.keep_txn(txn);
                return Next::Http2;
            }
            Then::Close => {
                session.keep_txn(txn);
                reset(session);
                return Next::Close;
            }
        }
    }
    let next = http(session, down, current).await;
    if next == Next::Close {
        reset(session);
    }
    next
}

/// `proto h2`, or what was agreed on with TLS: the client speaks HTTP/2 without being asked.
fn speaks_h2(session: &Session, proxy: &Proxy) -> bool {
    tls::bind(session, proxy).is_some_and(|b| b.proto_h2)
        || session.link.tls().is_some_and(|tls| tls.speaks(b"h2"))
}

/// `option nolinger` of the frontend: the end is told, and what is not sent by then is thrown away.
fn reset(session: &Session) {
    let view = session.worker.view();
    let proxy = view.config().proxies.get(session.listener.proxy.get().0 as usize);
    if proxy.is_some_and(|proxy| proxy.options.nolinger) {
        session.link.shutdown_write();
        session.link.set_no_linger();
    }
}

/// A session of the frontend begins; `listener` is what its listener counts apart.
pub fn count_session(worker: &Worker, proxy: &Proxy, listener: Option<&ProxyCounters>) {
    let live = &proxy.live.front;
    let now_ms = worker.rt.now() / MS;
    live.counters.mine().sess_tot.inc();
    if let Some(listener) = listener {
        listener.sess_tot.inc();
    }
    live.sess_rate_max.raise(u64::from(live.sess_rate.add(now_ms, 1)));
    live.last_session_ms.store(now_ms, Ordering::Relaxed);
    let shared = &worker.shared;
    shared.sess_rate_max.raise(u64::from(shared.sess_rate.add(now_ms, 1)));
}

/// What the client said was no request.
pub(super) fn count_invalid(session: &Session, proxy: &Proxy) {
    proxy.live.front.counters.mine().err_req.inc();
    if let Some(listener) = session.counters() {
        listener.err_req.inc();
    }
}

/// `accept-proxy`, or a rule that expects a header: the client is who it says. False: there is none, which was logged and
/// counted.
async fn introduced(session: &Session, current: &Current) -> bool {
    let proxy = current.view.config().proxy(current.front);
    if !session.expects_proxy.get() && !tls::bind(session, proxy).is_some_and(|b| b.accept_proxy) {
        return true;
    }
    let rt = session.worker.rt;
    let ms = positive(proxy.timeouts.client_hs, proxy.timeouts.client);
    let taken = Box::pin(introduction::receive(&session.link, rt.after_ms(ms))).await;
    session.handshake.set(rt.now().saturating_sub(session.accepted));
    let (ends, fault) = match taken {
        Ok((ends, received)) => {
            session.note_received(received);
            (ends, None)
        }
        Err((fault, ends)) => (ends, Some(fault)),
    };
    if let Some((client, local)) = ends {
        session.speak_for(client, local);
    }
    let Some(fault) = fault else { return true };
    count_invalid(session, proxy);
    // Who says nothing at all may be left out of the log.
    let is_null = matches!(fault, Fault::Empty | Fault::Aborted);
    if !(is_null && proxy.options.dontlognull) {
        let mut txn = session.take_txn(proxy);
        txn.timers.request_start = session.accepted;
        txn.timers.closed = rt.now();
        txn.request_date_us = session.accept_date_us;
        txn.set_end(End::new(Cause::ClientAbort, Phase::Request, 0).flags());
        access::log_failed(session, &mut txn, &Route::new(&current.view, current.front), fault.text());
        session.keep_txn(txn);
    }
    false
}

/// `tcp-request connection` rules, or those of `session`. False: the connection is to be closed.
fn admits(session: &Session, current: &Current, stage: Stage) -> bool {
    let proxy = current.view.config().proxy(current.front);
    let set = match stage {
        Stage::Connection => &proxy.rules.tcp_connection,
        _ => &proxy.rules.tcp_session,
    };
    if set.is_empty() {
        return true;
    }
    let mut txn = session.take_txn(proxy);
    txn.local = session.local();
    session.introduce_local(&mut txn);
    let route = Route::new(&current.view, current.front);
    let env = StreamEnv::of(session, &route, None);
    session.lend_counters(&mut txn);
    let outcome = set.run(&mut txn, &env, &mut 0);
    session.take_counters(&mut txn);
    let admitted = verdict::interpret(outcome, stage, &route, session).is_ok();
    session.readdress(&txn);
    session.expects_proxy.set(session.expects_proxy.get() || txn.expects_proxy);
    session.keep_txn(txn);
    admitted
}

/// Takes the newest configuration between two requests. False: the connection ends here. One that is over and has sent
/// a request already is still answered.
fn renew(session: &Session, down: &Downstream, current: &mut Current) -> bool {
    let is_new = session.requests() == 0;
    if !is_new && session.is_ending() && !down.has_pending() && !down.link().is_readable() {
        return false;
    }
    match session.renew() {
        Some(newest) => {
            *current = newest;
            true
        }
        None => is_new || down.has_pending(),
    }
}

/// An idle connection is this small future; what serves requests is boxed, so that the idle do not pay for it.
async fn http(session: &Session, down: &mut Downstream, current: &mut Current) -> Next {
    loop {
        if !renew(session, down, current) {
            return Next::Close;
        }
        if !down.has_pending() && !down.link().is_readable() {
            let until = wait_limit(session, down, current);
            if session.requests() > 0 {
                // An idle connection holds no configuration: it takes the newest when it speaks.
                current.view = session.worker.no_view();
            }
            if let Err(e) = next_request(session, down, until).await {
                if e.kind() == ErrorKind::TimedOut && session.requests() == 0 {
                    Box::pin(silent_client(session, down, current)).await;
                }
                return Next::Close;
            }
            continue;
        }
        let next = Box::pin(busy(session, down, current)).await;
        if next != Next::KeepAlive {
            return next;
        }
    }
}

/// Serves requests for as long as one follows the other soon: making this future anew costs more than waiting in it.
async fn busy(session: &Session, down: &mut Downstream, current: &mut Current) -> Next {
    let rt = session.worker.rt;
    let patience = Rc::new(Patience::new(0, 0, 0));
    loop {
        let mut txn = session.take_txn(current.view.config().proxy(current.front));
        if !down.receive_first(&mut txn.req) {
            session.hand_over(txn);
            if down.link().is_readable() {
                // The end of the stream, or an error.
                log_empty(session, current);
                return Next::Close;
            }
            return Next::KeepAlive;
        }
        let next = transaction::run(session, down, &mut txn, current, &patience).await;
        session.keep_txn(txn);
        if next != Next::KeepAlive {
            return next;
        }
        down.idle_until(idle_limit(current, rt.now()));
        if !session.is_up_to_date(current) && !renew(session, down, current) {
            return Next::Close;
        }
        if !down.has_pending() && !down.link().is_readable() {
            let Some(_seat) = session.worker.linger() else { return Next::KeepAlive };
            let until = down.until().min(rt.now() + LINGER);
            current.view = session.worker.no_view();
            if next_request(session, down, until).await.is_err() {
                return Next::KeepAlive; // idle from now on, or at its end, which is found there
            }
            if !renew(session, down, current) {
                return Next::Close;
            }
        }
    }
}

/// Waits until something can be read, or the session is over for a client that has been served.
async fn next_request(session: &Session, down: &Downstream, until: Nanos) -> std::io::Result<()> {
    let mut readable = std::pin::pin!(down.link().readable(until));
    std::future::poll_fn(|context| match readable.as_mut().poll(context) {
        Poll::Pending if session.requests() > 0 && session.is_ending() => {
            Poll::Ready(Err(ErrorKind::ConnectionAborted.into()))
        }
        Poll::Pending => {
            if let Some(at) = session.ends_at()
                && at < until
            {
                session.worker.rt.arm(at);
            }
            Poll::Pending
        }
        polled => polled,
    })
    .await
}

fn positive(ms: u64, otherwise: u64) -> u64 {
    if ms > 0 { ms } else { otherwise }
}

/// Until when the first byte of the next request may come.
fn wait_limit(session: &Session, down: &Downstream, current: &Current) -> Nanos {
    if session.requests() > 0 {
        return down.until();
    }
    let timeouts = &current.view.config().proxy(current.front).timeouts;
    let ms = positive(timeouts.http_request, timeouts.client);
    if ms == 0 { crate::rt::NEVER } else { session.accepted.saturating_add(ms * MS) }
}

fn idle_limit(current: &Current, now: Nanos) -> Nanos {
    let timeouts = &current.view.config().proxy(current.front).timeouts;
    let ms = positive(timeouts.http_keep_alive, positive(timeouts.http_request, timeouts.client));
    if ms == 0 { crate::rt::NEVER } else { now.saturating_add(ms * MS) }
}

/// A client that connected and said nothing in time: 408, unless such connections are to be ignored.
async fn silent_client(session: &Session, down: &mut Downstream, current: &Current) {
    let proxy = current.view.config().proxy(current.front);
    if proxy.options.http_ignore_probes {
        return;
    }
    let mut txn = session.take_txn(proxy);
    let end = End::new(Cause::ClientTimeout, Phase::Request, 408);
    transaction::refuse(session, down, &mut txn, current, end).await;
    session.keep_txn(txn);
}

/// A connection that ended before it said anything is logged unless `dontlognull` or `http-ignore-probes`.
fn log_empty(session: &Session, current: &Current) {
    if session.requests() > 0 {
        return;
    }
    let proxy = current.view.config().proxy(current.front);
    if proxy.options.dontlognull || proxy.options.http_ignore_probes {
        return;
    }
    count_invalid(session, proxy);
    let mut txn = session.take_txn(proxy);
    txn.timers.request_start = session.accepted;
    txn.timers.closed = session.worker.rt.now();
    txn.request_date_us = session.accept_date_us;
    txn.status = 400;
    txn.set_end(End::new(Cause::ClientAbort, Phase::Request, 400).flags());
    let route = Route::new(&current.view, current.front);
    access::log(session, &mut txn, &route, (None, None), true);
    session.keep_txn(txn);
}
