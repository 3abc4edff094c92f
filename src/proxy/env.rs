//! What rules and log formats look up beside the transaction: names and live figures of the running configuration.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use crate::balance::{WEIGHT_SCALE, effective_weight};
use crate::base::Nanos;
use crate::base::clock::MS;
use crate::conn::link::Carriage;
use crate::conn::proxy_protocol::Received;
use crate::conn::{Link, Tls};
use crate::lang::FileId;
use crate::model::{ProxyId, ProxyLive, Server};
use crate::os::connection::{self, TcpInfo};
use crate::rules::{Ctx, Env, Packets, Reply, ServerState, TimeoutOverrides, Txn};

use super::route::Route;
use super::session::Session;
use super::upstream::Upstream;
use super::view::View;
use super::worker::Worker;

/// A stream's surroundings.
pub struct StreamEnv<'a> {
    worker: &'static Worker,
    /// The place of the listener's line in the frontend's.
    bind: usize,
    /// What came over a connection has one.
    session: Option<&'a Session>,
    pub view: &'a View,
    pub front: ProxyId,
    pub back: Option<ProxyId>,
    pub server: Option<&'a Server>,
    /// The server's connection.
    upstream: Option<&'a Upstream>,
    /// The same once nothing else of it is left: while a line is written.
    at_end: Option<&'a Link>,
}

impl<'a> StreamEnv<'a> {
    /// Made from a stream's parts, because rules change its transaction meanwhile.
    pub(super) fn of(session: &'a Session, route: &Route<'a>, server: Option<&'a Server>) -> Self {
        let of = Some(session);
        StreamEnv {
            session: of,
            ..StreamEnv::apart(session.worker, session.listener.bind.get(), route, server)
        }
    }

    /// Of what comes over no connection.
    pub fn apart(
        worker: &'static Worker,
        bind: usize,
        route: &Route<'a>,
        server: Option<&'a Server>,
    ) -> Self {
        StreamEnv {
            worker,
            bind,
            session: None,
            view: route.view,
            front: route.front_id,
            back: route.back_id,
            server,
            upstream: None,
            at_end: None,
        }
    }

    pub(super) fn worker(&self) -> &'static Worker {
        self.worker
    }

    /// The same where the server's connection is known.
    pub(super) fn over(self, upstream: Option<&'a Upstream>) -> Self {
        StreamEnv { upstream, ..self }
    }

    /// The same where the server's connection is over, and only what it was is told.
    pub(super) fn after(self, at_end: Option<&'a Link>) -> Self {
        StreamEnv { at_end, ..self }
    }

    fn link(&self) -> Option<&'a Link> {
        self.upstream.map(|upstream| &**upstream.link()).or(self.at_end)
    }
}

/// Streams that a server still has room for; `None` without a limit.
fn free(server: &Server) -> Option<i64> {
    let limit = Some(server.live.maxconn.load(Ordering::Relaxed)).filter(|n| *n > 0)?;
    Some(i64::from(limit) - i64::from(server.live.served.load(Ordering::Relaxed)))
}

impl StreamEnv<'_> {
    fn backend_id(&self, name: &str) -> Option<ProxyId> {
        if name.is_empty() {
            return Some(self.back.unwrap_or(self.front));
        }
        self.view.config().backends.get(name).copied()
    }
}

impl Env for StreamEnv<'_> {
    fn frontend_name(&self) -> &str {
        &self.view.config().proxy(self.front).name
    }

    fn backend_name(&self) -> &str {
        &self.view.config().proxy(self.back.unwrap_or(self.front)).name
    }

    fn count_lookup(&self, found: bool) {
        let config = self.view.config();
        let counters = match self.back.filter(|back| *back != self.front) {
            Some(back) => config.proxy(back).live.back.counters.mine(),
            None => config.proxy(self.front).live.front.counters.mine(),
        };
        counters.cache_lookups.inc();
        counters.cache_hits.add(u64::from(found));
    }

    fn timeouts(&self) -> TimeoutOverrides {
        let config = self.view.config();
        let back = &config.proxy(self.back.unwrap_or(self.front)).timeouts;
        TimeoutOverrides {
            client_ms: Some(config.proxy(self.front).timeouts.client),
            server_ms: Some(back.server),
            tunnel_ms: Some(back.tunnel),
            connect_ms: Some(back.connect),
            queue_ms: Some(back.queue),
            tarpit_ms: Some(back.tarpit),
        }
    }

    fn frontend_tarpit_ms(&self) -> u64 {
        self.view.config().proxy(self.front).timeouts.tarpit
    }

    fn server_name(&self) -> Option<&str> {
        self.server.map(|s| &*s.spec.name)
    }

    fn listener_name(&self) -> &str {
        let front = self.view.config().proxy(self.front).front.as_ref();
        front.and_then(|f| f.binds.get(self.bind)).and_then(|b| b.name.as_deref()).unwrap_or("")
    }

    fn ids(&self) -> (u32, u32, u32, u32) {
        let config = self.view.config();
        let front = config.proxy(self.front);
        let bind = front.front.as_ref().and_then(|f| f.binds.get(self.bind)).map_or(0, |b| b.id);
        let back = self.back.map_or(0, |b| config.proxy(b).uid);
        (front.uid, back, self.server.map_or(0, |s| s.spec.id), bind)
    }

    fn proxy(&self, name: &str) -> Option<&ProxyLive> {
        let config = self.view.config();
        let id = self.backend_id(name).or_else(|| config.frontends.get(name).copied())?;
        Some(&config.proxy(id).live)
    }

    fn usable_servers(&self, backend: &str) -> Option<u32> {
        let set = self.view.servers(self.backend_id(backend)?)?;
        let (active, backup) = crate::balance::usable_counts(&set.list);
        Some(if active > 0 { active } else { backup })
    }

    fn server(&self, backend: &str, server: &str) -> Option<ServerState> {
        let id = self.backend_id(backend)?;
        let set = self.view.servers(id)?;
        let (_, server) = set.by_name(server)?;
        let live = &server.live;
        let now = self.worker.rt.now() / MS;
        Some(ServerState {
            is_up: live.is_up(),
            sessions: live.served.load(Ordering::Relaxed),
            queued: live.queue.len(),
            free: free(server),
            initial_weight: server.spec.weight,
            user_weight: live.user_weight.load(Ordering::Relaxed),
            weight: effective_weight(server, now).div_ceil(WEIGHT_SCALE),
            sess_rate: live.sess_rate.read(now),
        })
    }

    fn room(&self, backend: &str, with_queues: bool) -> Option<i64> {
        let set = self.view.servers(self.backend_id(backend)?)?;
        let serves = |s: &&Server| s.live.is_usable();
        let active = set.list.iter().any(|s| s.live.is_usable() && !s.spec.backup);
        let mut room = 0;
        for server in set.list.iter().filter(serves).filter(|s| with_queues || s.spec.backup != active) {
            room += free(server)?;
            if with_queues {
                let limit = i64::from(Some(server.spec.maxqueue).filter(|n| *n > 0)?);
                room += limit - i64::from(server.live.queue.len());
            }
        }
        Some(room)
    }

    fn has_frontend(&self, name: &str) -> bool {
        self.view.config().frontends.contains_key(name)
    }

    fn default_backend(&self) -> Option<&str> {
        let config = self.view.config();
        let id = config.proxy(self.front).front.as_ref()?.default_backend?;
        Some(&config.proxy(id).name)
    }

    fn listener_connections(&self) -> u32 {
        self.session.map_or(0, Session::listener_connections)
    }

    fn is_stopping(&self) -> bool {
        self.worker.shared.stopping.load(Ordering::Relaxed)
    }

    fn file(&self, id: FileId) -> Option<&str> {
        self.view.config().files.get(usize::from(id.0)).map(|name| &**name)
    }

    fn client_tcp(&self) -> Option<TcpInfo> {
        connection::tcp_info(self.session?.link.fd())
    }

    fn server_tcp(&self) -> Option<TcpInfo> {
        connection::tcp_info(self.link()?.fd())
    }

    fn saved_syn(&self) -> Option<Vec<u8>> {
        connection::saved_syn(self.session?.link.fd())
    }

    fn server_is_reused(&self) -> Option<bool> {
        self.upstream.map(Upstream::is_reused)
    }

    fn tell_client(&self, packets: Packets) {
        let Some(session) = self.session else { return };
        connection::say(session.link.fd(), packets.mark, packets.tos);
    }

    fn log_now(&self, txn: &Txn) {
        super::line::now(self, txn);
    }

    fn is_local(&self, address: IpAddr) -> bool {
        connection::is_local(address)
    }

    fn now_ns(&self) -> Nanos {
        self.worker.rt.now()
    }

    fn date_us(&self) -> u64 {
        self.worker.date_us()
    }

    fn hostname(&self) -> &str {
        &self.worker.shared.hostname
    }

    fn pid(&self) -> u32 {
        self.worker.shared.pid
    }

    fn random(&self) -> u64 {
        self.worker.random()
    }

    fn connections(&self) -> u32 {
        self.worker.current_connections()
    }

    fn client_tls(&self) -> Option<&Tls> {
        self.session?.link.tls()
    }

    fn received(&self) -> Option<&Received> {
        self.session?.received()
    }

    fn server_tls(&self) -> Option<&Tls> {
        self.link()?.tls()
    }

    fn client_carriage(&self) -> Carriage {
        self.session.map(Session::carriage).unwrap_or_default()
    }

    fn server_carriage(&self) -> Carriage {
        self.link().map(Link::carriage).unwrap_or_default()
    }

    fn error_page(&self, status: u16, txn: &Txn) -> Option<Reply> {
        let config = self.view.config();
        let of = |id: ProxyId| config.proxy(id).errors.page(status);
        let page = self.back.and_then(of).or_else(|| of(self.front))?;
        Some(page.render_page(Ctx { txn, env: self }))
    }
}
