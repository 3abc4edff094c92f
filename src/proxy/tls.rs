//! TLS of a client's connection: the handshake before its first stream, and what is told when it fails; and the name that
//! a server is asked for.

use std::future::poll_fn;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};

use crate::base::clock::MS;
use crate::config::proxy::Bind;
use crate::config::{Config, Proxy};
use crate::conn::tls::{Fault, fault_text};
use crate::conn::{Link, Tls};
use crate::model::{Address, Server, ServerTls};
use crate::rt::NEVER;
use crate::rules::{Ctx, Sample, SampleType, Txn};
use crate::tls::server_name;

use super::access;
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::route::Route;
use super::session::{Current, Session};

/// The `bind` line that a session's listener comes from.
pub(super) fn bind<'p>(session: &Session, proxy: &'p Proxy) -> Option<&'p Bind> {
    proxy.front.as_ref()?.binds.get(session.listener.bind.get())
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

/// The name that a server is asked for with TLS (`sni`); also of servers without TLS, where it is none.
#[derive(Debug, Default)]
pub struct ServerName(Option<Vec<u8>>);

/// The name for a request to this server.
pub(super) fn name_of(route: &Route<'_>, txn: &Txn, env: &StreamEnv<'_>, server: &Server) -> ServerName {
    if server.spec.tls.is_none() {
        return ServerName::default();
    }
    let snis = route.back.back.as_ref().map(|back| &back.snis);
    let expr = snis.and_then(|snis| snis.get(&*server.spec.name).or_else(|| snis.get("")));
    let sample = expr.and_then(|expr| expr.eval_as(Ctx { txn, env }, SampleType::Str));
    ServerName(sample.and_then(|sample| match sample {
        Sample::Str(name) | Sample::Bin(name) => Some(without_port(&name).to_vec()),
        _ => None,
    }))
}

/// The name in what may be a Host field: TLS sends no port, and nothing else that is no name.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host.iter().skip(at + 1).all(u8::is_ascii_digit) => host.get(..at).unwrap_or(host),
        _ => host,
    }
}

impl ServerName {
    /// Connections that are to be told apart by it have another one; 0: no name.
    pub fn hash(&self) -> u64 {
        self.0.as_ref().map_or(0, |name| foldhash::fast::FixedState::default().hash_one(name) | 1)
    }

    /// The connection speaks TLS from here on, after `preface`.
    pub fn secure(&self, link: Link, how: &ServerTls, to: &Address, preface: &[u8]) -> io::Result<Link> {
        let Link::Plain(conn) = link else { return Ok(link) };
        let ip = to.inet().map_or(IpAddr::from(Ipv4Addr::UNSPECIFIED), |to| to.ip());
        let name = server_name(self.0.as_deref(), ip).ok_or(ErrorKind::InvalidInput)?;
        let tls = Tls::new(conn);
        let begun = tls.greet(how.upstream.config(), name, preface);
        begun.map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?;
        Ok(Link::Tls(Box::new(tls)))
    }
}
