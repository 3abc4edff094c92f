//! TLS of a client's connection: the handshake before its first stream, and what is told when it fails.

use std::future::poll_fn;

use crate::base::clock::MS;
use crate::config::proxy::Bind;
use crate::config::{Config, Proxy};
use crate::conn::tls::{Fault, fault_text};
use crate::conn::{Link, Tls};
use crate::rt::NEVER;

use super::access;
use super::end::{Cause, End, Phase};
use super::route::Route;
use super::session::{Current, Session};

/// The `bind` line that a session's listener comes from.
pub(super) fn bind<'p>(session: &Session, proxy: &'p Proxy) -> Option<&'p Bind> {
    proxy.front.as_ref()?.binds.get(session.bind)
}

/// Shakes hands with a client that is to speak TLS. False: nothing comes of it, which was logged and counted.
pub(super) async fn secured(session: &Session, current: &Current) -> bool {
    let Link::Tls(tls) = &*session.link else { return true };
    let proxy = current.view.config().proxy(current.front);
    let Some(endpoint) = bind(session, proxy).and_then(|bind| bind.tls.endpoint.clone()) else {
        return false;
    };
    tls.serve(endpoint);
    let times = &proxy.timeouts;
    let ms = if times.client_hs > 0 { times.client_hs } else { times.client };
    let until = if ms == 0 { NEVER } else { session.accepted.saturating_add(ms.saturating_mul(MS)) };
    let shaken = poll_fn(|_| tls.poll_handshake(until)).await;
    let rt = session.worker.rt;
    session.handshake.set(rt.now().saturating_sub(session.accepted));
    if shaken.is_ok() {
        if !tls.is_resumed() {
            let shared = &session.worker.shared;
            shared.tls_key_rate_max.raise(u64::from(shared.tls_key_rate.add(rt.now() / MS, 1)));
        }
        return true;
    }
    if let Some(fault) = tls.fault() {
        failed(session, current, tls, &fault);
    }
    false
}

fn failed(session: &Session, current: &Current, tls: &Tls, fault: &Fault) {
    let config: &Config = current.view.config();
    let proxy = config.proxy(current.front);
    if matches!(fault, Fault::Closed) && proxy.options.dontlognull {
        return;
    }
    let mut txn = session.take_txn(proxy);
    txn.timers.request_start = session.accepted;
    txn.timers.closed = session.worker.rt.now();
    txn.request_date_us = session.accept_date_us;
    txn.set_end(End::new(Cause::ClientAbort, Phase::Request, 0).flags());
    let route = Route::new(&current.view, current.front);
    access::log_failed(session, &mut txn, &route, fault_text(tls.fault_code()));
    session.keep_txn(txn);
}
