//! From a backend to a connection: which server, when (slots and queues), and over which connection.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use crate::balance::{self, Method};
use crate::base::Nanos;
use crate::base::clock::{MS, SEC};
use crate::config::global::H2Tune;
use crate::config::proxy::{Frontend, ServerTarget, SwitchTarget};
use crate::config::{Backend, Config, HttpReuse, Proxy};
use crate::conn::Link;
use crate::model::queue::Rank;
use crate::model::{Pick, ProxyId, ProxyLive, Server, ServerSet, Ticket, WaitQueue};
use crate::rt::Remote;
use crate::rules::witness::{self, Event};
use crate::rules::{self, Ctx, Found, Priority, Txn};

use super::downstream::Downstream;
use super::end::{Cause, End, Phase};
use super::server::{ServerSlot, acquire, serve_queues};
use super::server_name::Greeting;
use super::session::Session;
use super::takeover;
use super::upstream::{Hold, Upstream};
use super::version::{Carries, Speech, Version, speech};
use super::view::{Servers, View};
use super::worker::Worker;

/// The proxies that a stream goes through, and the configuration that says what they are.
pub struct Route<'a> {
    pub view: &'a Rc<View>,
    pub config: &'a Config,
    pub front_id: ProxyId,
    pub front: &'a Proxy,
    pub back_id: Option<ProxyId>,
    /// The frontend itself until a backend was chosen.
    pub back: &'a Proxy,
    /// A rule's own question goes this way: nothing of it is for the client.
    pub is_aside: bool,
    slot: Option<BackendSlot<'a>>,
}

impl<'a> Route<'a> {
    pub fn new(view: &'a Rc<View>, front_id: ProxyId) -> Route<'a> {
        let config = view.config();
        let front = config.proxy(front_id);
        Route { view, config, front_id, front, back_id: None, back: front, is_aside: false, slot: None }
    }

    /// The way of a rule's own question to a backend, beside this one. `None`: there is no such backend.
    pub fn aside(&self, backend: &str) -> Option<Route<'a>> {
        let id = *self.config.backends.get(backend)?;
        let back = self.config.proxy(id);
        Some(Route { back_id: Some(id), back, is_aside: true, ..Route::new(self.view, self.front_id) })
    }

    /// The backend that was switched to, else `default_backend`; a `listen` proxy is its own. False: there is none.
    pub fn choose(&mut self, switched: Option<ProxyId>) -> bool {
        let in_use = |id: &ProxyId| is_in_use(self.config.proxy(*id));
        let default = || self.front.front.as_ref().and_then(|f| f.default_backend).filter(in_use);
        let id = switched.or_else(default).or_else(|| self.front.back.as_ref().map(|_| self.front_id));
        if let Some(id) = id {
            self.back_id = Some(id);
            self.back = self.config.proxy(id);
            if switched.is_none() {
                let how = if default().is_some() { "default_backend" } else { "its own servers" };
                let name = || self.back.name.to_string();
                witness::note(|| Event::Backend { name: name(), how, at: None });
            }
        }
        id.is_some()
    }

    /// The stream counts in its backend from here on, for as long as it lives or until it leaves.
    pub fn enter(&mut self, now_ms: u64) {
        self.slot = Some(BackendSlot::enter(self.back, now_ms));
    }

    pub fn leave(&mut self) {
        self.slot = None;
    }

    /// The backend, or the frontend while none was chosen.
    pub fn id(&self) -> ProxyId {
        self.back_id.unwrap_or(self.front_id)
    }

    /// A client that ends its direction has left (`option abortonclose`).
    pub fn aborts(&self) -> bool {
        self.back.options.abortonclose.unwrap_or(self.front.mode.has_messages())
    }

    /// The backend is another proxy than the frontend.
    pub fn has_two(&self) -> bool {
        self.back_id.is_some_and(|back| back != self.front_id)
    }

    /// Frontend and backend are one proxy.
    pub fn is_one(&self) -> bool {
        self.back_id == Some(self.front_id)
    }
}

/// Counts a stream in its backend for as long as it lives.
struct BackendSlot<'a>(&'a ProxyLive);

impl<'a> BackendSlot<'a> {
    /// A stream begins in a backend.
    fn enter(proxy: &'a Proxy, now_ms: u64) -> BackendSlot<'a> {
        let live = &proxy.live.back;
        let current = live.cur.fetch_add(1, Ordering::AcqRel) + 1;
        let slot = BackendSlot(&proxy.live);
        live.max.raise(u64::from(current));
        live.sess_rate_max.raise(u64::from(live.sess_rate.add(now_ms, 1)));
        live.last_session_ms.store(now_ms, Ordering::Relaxed);
        live.counters.mine().sess_tot.inc();
        slot
    }
}

impl Drop for BackendSlot<'_> {
    fn drop(&mut self) {
        self.0.back.cur.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A backend is switched to while it is neither disabled nor unpublished.
fn is_in_use(back: &Proxy) -> bool {
    !back.disabled && !back.live.unpublished.load(Ordering::Relaxed)
}

/// The backend that the first matching `use_backend` line names, or the default one where it takes `force-be-switch` to
/// get there. Backends that are not in use are passed over without that.
pub fn switch(front: &Frontend, config: &Config, ctx: Ctx<'_>) -> Option<ProxyId> {
    let switching = &front.switching;
    let may_switch = |id: &ProxyId| {
        is_in_use(config.proxy(*id)) || switching.forced.iter().any(|condition| condition.eval(ctx))
    };
    let (mut at, mut found) = (0, Found::default());
    loop {
        at = switching.candidates.next(at, ctx, &mut found);
        let Some(rule) = switching.lines.get(at) else {
            let unused = |id: &ProxyId| !is_in_use(config.proxy(*id));
            let default = front.default_backend.filter(unused).filter(may_switch)?;
            let name = || config.proxy(default).name.to_string();
            witness::note(|| Event::Backend { name: name(), how: "default_backend", at: None });
            return Some(default);
        };
        at += 1;
        if rule.condition.as_ref().is_some_and(|c| !c.eval(ctx)) {
            continue;
        }
        let target = match &rule.target {
            SwitchTarget::Backend(id) => Some(*id),
            SwitchTarget::Dynamic(format) => format.render_for(ctx, |name| {
                std::str::from_utf8(name).ok().and_then(|n| config.backends.get(n)).copied()
            }),
        };
        if let Some(id) = target.filter(may_switch) {
            witness::note(|| Event::Backend {
                name: config.proxy(id).name.to_string(),
                how: "use_backend",
                at: Some(rule.at),
            });
            return Some(id);
        }
    }
}

/// How often, and with which server, a request was tried.
pub struct Attempt {
    /// Tries left after the current one.
    pub retries: u32,
    /// Those that there were at first.
    pub allowed: u32,
    /// The server that failed last.
    pub failed: Option<usize>,
    /// Choose anew rather than try the same server again.
    pub choose: bool,
    /// Neither a cookie nor a rule decides any more, as the server they name cannot be had.
    balanced: bool,
    /// The server was not picked by the balancer.
    is_direct: bool,
    chosen: Option<(Servers, usize)>,
    /// The server that could not even be waited for.
    pub full: Option<Server>,
    /// The server that another one is to be chosen for: whether one was is known by its slot.
    pub left: Option<Server>,
}

impl Attempt {
    pub fn new(back: &Backend, txn: &Txn) -> Attempt {
        let allowed = txn.retries_wanted.unwrap_or(back.retries);
        Attempt {
            retries: allowed,
            allowed,
            failed: None,
            choose: true,
            balanced: false,
            is_direct: false,
            chosen: None,
            full: None,
            left: None,
        }
    }
}

/// What choosing needs to know, the same for streams of both modes.
pub struct Chooser<'c> {
    session: &'c Session,
    view: &'c Rc<View>,
    pub(super) proxy: &'c Proxy,
    id: ProxyId,
    client: &'c Downstream,
    /// The end of the client's direction counts as its leaving.
    aborts: bool,
    /// See [`Route::is_aside`].
    is_aside: bool,
}

impl<'c> Chooser<'c> {
    pub fn of(session: &'c Session, route: &Route<'c>, client: &'c Downstream) -> Chooser<'c> {
        let (view, proxy, id) = (route.view, route.back, route.id());
        let (aborts, is_aside) = (route.aborts(), route.is_aside);
        Chooser { session, view, proxy, id, client, aborts, is_aside }
    }

    pub(super) fn back(&self) -> Option<&'c Backend> {
        self.proxy.back.as_ref()
    }

    pub(super) fn worker(&self) -> &'static Worker {
        self.session.worker
    }

    fn now_ms(&self) -> u64 {
        self.worker().rt.now() / MS
    }

    /// The hash of what the backend's algorithm goes by.
    fn hash(&self, txn: &Txn, ctx: Ctx<'_>) -> Option<u32> {
        let back = self.back()?;
        let spec = &back.balance;
        match &spec.method {
            Method::Source => match txn.client.inet()?.ip() {
                std::net::IpAddr::V4(ip) => balance::hash_key(spec, &ip.octets()),
                std::net::IpAddr::V6(ip) => balance::hash_key(spec, &ip.octets()),
            },
            Method::Uri { .. } | Method::UrlParam { .. } => balance::hash_key(spec, txn.req.target_bytes()),
            Method::Header { name, .. } => {
                let value = txn.req.list_values(name).next()?;
                balance::hash_key(spec, value)
            }
            Method::Expr(_) => {
                let sample = back.balance_expr.as_ref()?.eval(ctx)?;
                balance::hash_key(spec, &rules::cast::text(sample))
            }
            _ => None,
        }
    }

    fn pick(&self, set: &ServerSet, hash: Option<u32>, avoid: Option<usize>) -> Option<usize> {
        let pick = Pick {
            hash,
            avoid,
            random: self.worker().random(),
            backend_cur: self.proxy.live.back.cur.load(Ordering::Relaxed),
            now: self.now_ms(),
        };
        set.balancer.pick(&set.list, &pick)
    }

    fn forced(&self, set: &ServerSet, ctx: Ctx<'_>) -> Option<usize> {
        let back = self.back()?;
        for rule in back.use_server.iter().filter(|rule| rule.condition.eval(ctx)) {
            let found = match &rule.target {
                ServerTarget::Server(name) => set.by_name(name),
                ServerTarget::Dynamic(format) => {
                    let mut name = Vec::new();
                    format.render(ctx, &mut name);
                    std::str::from_utf8(&name).ok().and_then(|n| set.by_name(n))
                }
            };
            if let Some((index, server)) = found {
                let persist = self.proxy.options.persist || ctx.txn.sticky.is_forced;
                return (server.live.is_up() || persist).then_some(index);
            }
        }
        None
    }

    /// Chooses a server and takes one of its slots, waiting in a queue when there is none.
    pub async fn slot(
        &self,
        txn: &mut Txn,
        attempt: &mut Attempt,
        ctx_env: &dyn rules::Env,
    ) -> Result<ServerSlot, End> {
        let no_server = End::new(Cause::ServerAbort, Phase::Connect, 503);
        let back = self.back().ok_or(no_server)?;
        loop {
            let ctx = Ctx { txn, env: ctx_env };
            if attempt.choose || attempt.chosen.is_none() {
                let set = self.view.servers(self.id).ok_or(no_server)?;
                let direct = match attempt.balanced {
                    true => None,
                    false => self.forced(&set, ctx).or_else(|| persisted(txn, &set)),
                };
                attempt.is_direct = direct.is_some();
                let index = direct
                    .or_else(|| self.last(&set, attempt))
                    .or_else(|| self.pick(&set, self.hash(txn, ctx), attempt.failed));
                match index {
                    Some(index) => {
                        if !self.is_aside {
                            witness::note(|| self.told(&set.list[index], txn, direct.is_some(), attempt));
                        }
                        if !attempt.is_direct && attempt.failed != Some(index) {
                            self.count_balanced(&set.list[index]);
                        }
                        attempt.chosen = Some((set, index));
                    }
                    None => {
                        let (active, backup) = balance::usable_counts(&set.list);
                        if active + backup == 0 {
                            return Err(no_server);
                        }
                        // All are full: the first slot that frees, of any of them.
                        let server = self.wait(txn, &self.proxy.live.queue, &set, None).await?;
                        return match server.and_then(|s| self.locate(&s)) {
                            Some((set, index)) => {
                                self.count_balanced(&set.list[index]);
                                Ok(self.hold(set, index))
                            }
                            None => continue,
                        };
                    }
                }
                attempt.choose = false;
            }
            let Some((set, index)) = attempt.chosen.clone() else { continue };
            let Some(server) = set.list.get(index) else { return Err(no_server) };
            let nobody_waits = server.live.queue.is_empty();
            if nobody_waits && acquire(server, &self.proxy.live, back.fullconn, self.now_ms()) {
                return Ok(self.hold(set, index));
            }
            if server.spec.maxqueue > 0 && server.live.queue.len() >= server.spec.maxqueue {
                self.turn_away(txn, attempt, server, index)?;
                continue;
            }
            match self.wait(txn, &server.live.queue, &set, Some(server)).await? {
                Some(_) => {
                    // The line may be another one by now.
                    let (set, index) = self.locate(server).unwrap_or((set.clone(), index));
                    return Ok(self.hold(set, index));
                }
                None => attempt.choose = true,
            }
        }
    }

    /// Which server was chosen, and by what.
    fn told(&self, server: &Server, txn: &Txn, is_direct: bool, attempt: &Attempt) -> Event {
        let how = match self.back() {
            _ if is_direct && txn.sticky.server == server.live.uid => "persistence".to_owned(),
            _ if is_direct => "use-server".to_owned(),
            _ if attempt.failed.is_some() => "another try".to_owned(),
            Some(back) => format!("balance {}", back.balance.method.name()),
            None => String::new(),
        };
        Event::Server { name: server.spec.name.to_string(), how }
    }

    /// The chosen server's queue is full: another server, where one may be chosen, or none at once.
    fn turn_away(
        &self,
        txn: &mut Txn,
        attempt: &mut Attempt,
        server: &Server,
        index: usize,
    ) -> Result<(), End> {
        let counters = server.live.counters.mine();
        if !attempt.is_direct || !self.proxy.options.redispatch {
            counters.err_conn.inc();
            attempt.full = Some(server.clone());
            return Err(End::new(Cause::ServerAbort, Phase::Queue, 503));
        }
        counters.wredis.inc();
        self.proxy.live.back.counters.mine().wredis.inc();
        attempt.choose = true;
        attempt.balanced = true;
        attempt.failed = Some(index);
        txn.redispatched = true;
        txn.unstick();
        Ok(())
    }

    /// The balancer chose this server, whatever comes of it.
    fn count_balanced(&self, server: &Server) {
        server.live.counters.mine().lbtot.inc();
        self.proxy.live.back.counters.mine().lbtot.inc();
    }

    /// A session with this server begins: a connection to it stands or is under way.
    pub(super) fn count_session(&self, server: &Server) {
        let (live, now_ms) = (&server.live, self.now_ms());
        live.counters.mine().sess_tot.inc();
        live.sess_rate_max.raise(u64::from(live.sess_rate.add(now_ms, 1)));
        live.last_session_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The server of the session's last request, where it is preferred and has room.
    fn last(&self, set: &ServerSet, attempt: &Attempt) -> Option<usize> {
        if attempt.failed.is_some() {
            return None;
        }
        let uid = self.session.preferred(self.proxy.options.prefer_last_server)?;
        let index = set.list.iter().position(|s| s.live.uid == uid)?;
        let live = &set.list[index].live;
        let limit = live.maxconn.load(Ordering::Relaxed);
        let has_room = limit == 0 || live.served.load(Ordering::Relaxed) < limit;
        (live.is_usable() && has_room).then_some(index)
    }

    fn hold(&self, set: Servers, index: usize) -> ServerSlot {
        ServerSlot::hold(set, index, self.view.clone(), self.id, self.now_ms())
    }

    /// Where a server stands in the current set.
    fn locate(&self, server: &Server) -> Option<(Servers, usize)> {
        let set = self.view.servers(self.id)?;
        let index = set.list.iter().position(|s| s.live.uid == server.live.uid)?;
        Some((set, index))
    }

    /// Waits in `queue`. `None`: choose again.
    async fn wait(
        &self,
        txn: &mut Txn,
        queue: &WaitQueue,
        set: &ServerSet,
        only: Option<&Server>,
    ) -> Result<Option<Server>, End> {
        let rt = self.worker().rt;
        let (worker, task) = (rt.worker(), rt.current_task());
        let ticket = Ticket::new(rank(txn, rt.now()), move || {
            if let Some(remote) = Remote::of(worker) {
                remote.wake(task);
            }
        });
        let full = End::new(Cause::ServerAbort, Phase::Queue, 503);
        let before = queue.push(ticket.clone()).ok_or(full)?;
        match only {
            Some(_) => txn.server_queue = before + 1,
            None => txn.backend_queue = before + 1,
        }
        let guard = Waiting {
            queue,
            ticket: &ticket,
            proxy: self.proxy,
            fullconn: self.back().map_or(0, |b| b.fullconn),
            now_ms: self.now_ms(),
        };
        // Announced: now a slot that was freed meanwhile is seen by one side or the other.
        match only {
            Some(server) => serve_queues(server, &self.proxy.live, guard.fullconn, guard.now_ms),
            None => {
                for server in set.list.iter().filter(|s| s.live.is_usable()) {
                    serve_queues(server, &self.proxy.live, guard.fullconn, guard.now_ms);
                }
            }
        }
        let timeouts = &self.proxy.timeouts;
        let ms = if timeouts.queue > 0 { timeouts.queue } else { timeouts.connect };
        let until = rt.after_ms(txn.timeouts.queue_ms.unwrap_or(ms));
        poll_fn(|_| {
            if guard.ticket.is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.client.has_left(self.aborts) {
                return Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Queue, 0)));
            }
            if rt.now() >= until {
                return Poll::Ready(Err(End::new(Cause::ServerTimeout, Phase::Queue, 503)));
            }
            self.client.watch();
            rt.arm(until);
            Poll::Pending
        })
        .await?;
        Ok(guard.ticket.take())
    }

    /// The request may be lost on a connection that ends while nobody looks: it is the client's first, which therefore knows
    /// nothing of servers. A rule's own question is asked again.
    fn is_first(&self) -> bool {
        self.session.requests() <= 1 && !self.is_aside
    }

    /// A connection to the slot's server: the session's own, an idle one where `http-reuse` allows it, else a new one,
    /// which may still be under way.
    pub async fn connect(
        &self,
        slot: ServerSlot,
        carries: Carries,
        greeting: Greeting,
    ) -> Result<Hold, (ServerSlot, std::io::Error)> {
        let server = slot.server();
        let Speech { version, only } = speech(server, carries);
        let http = carries != Carries::Bytes;
        match version {
            Version::H2 if !self.worker().rehearses.get() => {
                return self.connect_h2(slot, greeting, only).await;
            }
            Version::Agreed => return Box::pin(self.negotiate(slot, greeting)).await,
            Version::H2 | Version::H1 => {}
        }
        let live = &server.live;
        let epoch = live.epoch();
        let back = self.proxy.live.back.counters.mine();
        // One that was this client's alone stays so: it may have authenticated itself on it.
        let name = greeting.hash();
        let own = if http { self.session.take_own(server, name) } else { None };
        let is_private = own.is_some() || self.is_never_shared(server);
        let reused = match own {
            None if http && !is_private => self.reuse(server, name).await,
            own => own,
        };
        let (link, uses) = match reused {
            Some((link, uses)) => {
                live.counters.mine().reuse.inc();
                back.reuse.inc();
                (link, uses)
            }
            None => {
                live.counters.mine().connect.inc();
                back.connect.inc();
                match self.opened(server, &greeting, only).await {
                    Ok(link) => {
                        link.belong_to(live.uid);
                        (Rc::new(link), 0)
                    }
                    Err(e) => return Err((slot, e)),
                }
            }
        };
        Ok(self.hold_h1(slot, (link, uses, greeting), epoch, is_private))
    }

    /// The stream's hold on a connection that speaks HTTP/1, or no HTTP at all.
    fn hold_h1(
        &self,
        slot: ServerSlot,
        (link, uses, greeting): (Rc<Link>, u32, Greeting),
        epoch: u32,
        is_private: bool,
    ) -> Hold {
        let server = slot.server();
        self.count_session(server);
        let used = server.live.used.fetch_add(1, Ordering::Relaxed) + 1;
        let large_responses = self.worker().pools.note_use(server, used);
        // TLS has it before its own first message.
        let is_first = uses == 0 && link.tls().is_none();
        let name = greeting.hash();
        let preface = if is_first { greeting.preface } else { Vec::new() };
        let upstream = Upstream::h1(link, uses, preface, name);
        let mut hold = Hold::new(slot, upstream, epoch);
        hold.large_responses = large_responses;
        hold.is_private = is_private;
        hold
    }

    /// A server that offers HTTP/2 with TLS: what it speaks is known once hands are shaken, or from a connection that
    /// stands.
    async fn negotiate(
        &self,
        slot: ServerSlot,
        greeting: Greeting,
    ) -> Result<Hold, (ServerSlot, std::io::Error)> {
        let server = slot.server();
        let live = &server.live;
        let (epoch, back) = (live.epoch(), self.proxy.live.back.counters.mine());
        let own = self.session.take_own(server, greeting.hash());
        let is_private = own.is_some() || self.is_private(server);
        let first = self.is_first();
        let shares = !(is_private || first && self.proxy.options.http_reuse == HttpReuse::Safe);
        if let Some(stream) = shares.then(|| self.worker().muxes.take(server, greeting.hash())).flatten() {
            live.counters.mine().reuse.inc();
            back.reuse.inc();
            return Ok(self.hold_h2(slot, stream, epoch));
        }
        let idle = match own {
            None if !is_private => self.reuse(server, greeting.hash()).await,
            own => own,
        };
        if let Some((link, uses)) = idle {
            live.counters.mine().reuse.inc();
            back.reuse.inc();
            return Ok(self.hold_h1(slot, (link, uses, greeting), epoch, is_private));
        }
        live.counters.mine().connect.inc();
        back.connect.inc();
        let link = match self.opened(server, &greeting, None).await {
            Ok(link) => link,
            Err(e) => return Err((slot, e)),
        };
        link.belong_to(live.uid);
        if let Err(e) = self.shaken(&link).await {
            return Err((slot, e));
        }
        if !link.tls().is_some_and(|tls| tls.speaks(b"h2")) {
            return Ok(self.hold_h1(slot, (Rc::new(link), 0, greeting), epoch, is_private));
        }
        let how = (!is_private, self.proxy.timeouts.server, epoch);
        let hash = greeting.hash();
        let stream = self.worker().muxes.open((server, self.tune()), (link, hash), Vec::new(), how);
        Ok(self.hold_h2(slot, stream, epoch))
    }

    /// Waits until hands are shaken with a server.
    async fn shaken(&self, link: &Link) -> std::io::Result<()> {
        let until = self.worker().rt.after_ms(self.proxy.timeouts.connect);
        let outcome = self.client.unless_left(self.aborts, link.established(until)).await;
        outcome.unwrap_or_else(|| Err(std::io::ErrorKind::ConnectionAborted.into()))
    }

    /// Waits until a server has agreed on HTTP/2, where it was offered alone: one that did not would take the frames for
    /// a broken request.
    async fn agreed_on_h2(&self, link: &Link) -> std::io::Result<()> {
        if link.tls().is_none() {
            return Ok(());
        }
        self.shaken(link).await?;
        match link.tls() {
            Some(tls) if !tls.speaks(b"h2") => Err(std::io::Error::other("HTTP/2 was not agreed on")),
            _ => Ok(()),
        }
    }

    fn hold_h2(&self, slot: ServerSlot, stream: super::h2::H2Server, epoch: u32) -> Hold {
        self.count_session(slot.server());
        slot.server().live.used.fetch_add(1, Ordering::Relaxed);
        Hold::new(slot, Upstream::H2(Box::new(stream)), epoch)
    }

    /// A stream of an HTTP/2 connection: of one that stands where `http-reuse` allows it, else of a new one.
    async fn connect_h2(
        &self,
        slot: ServerSlot,
        greeting: Greeting,
        only: Option<&'static [u8]>,
    ) -> Result<Hold, (ServerSlot, std::io::Error)> {
        let server = slot.server();
        let live = &server.live;
        let (epoch, back) = (live.epoch(), self.proxy.live.back.counters.mine());
        let reuse = self.proxy.options.http_reuse;
        let first = self.is_first();
        let muxes = &self.worker().muxes;
        let reused = match reuse {
            HttpReuse::Safe if first => None,
            _ if self.is_private(server) => None,
            _ => muxes.take(server, greeting.hash()),
        };
        let stream = match reused {
            Some(stream) => {
                live.counters.mine().reuse.inc();
                back.reuse.inc();
                stream
            }
            None => {
                live.counters.mine().connect.inc();
                back.connect.inc();
                match self.opened(server, &greeting, only).await {
                    Ok(link) => {
                        link.belong_to(live.uid);
                        if only.is_some()
                            && let Err(e) = self.agreed_on_h2(&link).await
                        {
                            return Err((slot, e));
                        }
                        let how = (!self.is_private(server), self.proxy.timeouts.server, epoch);
                        let hash = greeting.hash();
                        let preface = if link.tls().is_none() { greeting.preface } else { Vec::new() };
                        muxes.open((server, self.tune()), (link, hash), preface, how)
                    }
                    Err(e) => return Err((slot, e)),
                }
            }
        };
        Ok(self.hold_h2(slot, stream, epoch))
    }

    fn tune(&self) -> &'c H2Tune {
        &self.view.config().global.tune.h2
    }

    /// A connection that is opened in a client's name, or where sharing is forbidden, is of use to nobody else.
    fn is_private(&self, server: &Server) -> bool {
        server.spec.send_proxy > 0 || self.is_never_shared(server)
    }

    /// Where sharing is forbidden, and with `dispatch`, which is no server.
    fn is_never_shared(&self, server: &Server) -> bool {
        self.proxy.options.http_reuse == HttpReuse::Never || server.spec.is_dispatch()
    }

    /// An idle connection that other clients have used.
    async fn reuse(&self, server: &Server, key: u64) -> Option<(Rc<Link>, u32)> {
        let first = self.is_first();
        let proven_only = match self.proxy.options.http_reuse {
            HttpReuse::Never => return None,
            HttpReuse::Safe if first => return None,
            HttpReuse::Aggressive => first,
            _ => false,
        };
        let pools = &self.worker().pools;
        match pools.take(server, proven_only, key) {
            // What TLS knows of a connection stays with its worker.
            None if server.live.idle.load(Ordering::Relaxed) > 0 && server.tls().is_none() => {
                Box::pin(takeover::take(self.worker(), server, proven_only, key)).await
            }
            taken => taken,
        }
    }

    /// Whether the next try goes to another server: on the last retry, every `redispatch_every` retries, and at once
    /// where the algorithm does not care for this particular server and another one is up.
    pub fn redispatches(&self, txn: &Txn, attempt: &Attempt) -> bool {
        let options = &self.proxy.options;
        let may = options.redispatch && !txn.sticky.is_forced;
        let Some(back) = self.back().filter(|_| may) else { return false };
        let done = attempt.allowed.saturating_sub(attempt.retries);
        let every = options.redispatch_every;
        let due = if every > 0 { done.is_multiple_of(every as u32) } else { attempt.retries == 0 };
        let turns = !attempt.is_direct
            && matches!(
                back.balance.method,
                Method::RoundRobin
                    | Method::StaticRr
                    | Method::LeastConn
                    | Method::First
                    | Method::Random { .. }
                    | Method::PeakEwma
            );
        due || (turns
            && self.view.servers(self.id).is_some_and(|set| balance::usable_counts(&set.list).0 > 1))
    }

    /// The pause before the same server is tried again.
    pub fn turn_around_ns(&self) -> u64 {
        let connect = self.proxy.timeouts.connect;
        if connect == 0 { SEC } else { SEC.min(connect * MS) }
    }
}

/// A place in a queue that is left however the wait ends.
struct Waiting<'q> {
    queue: &'q WaitQueue,
    ticket: &'q Arc<Ticket>,
    proxy: &'q Proxy,
    fullconn: u32,
    now_ms: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.queue.cancel(self.ticket) {
            return;
        }
        // Granted at the same moment as it gave up: the slot goes to the next one.
        if let Some(server) = self.ticket.take() {
            server.live.served.fetch_sub(1, Ordering::SeqCst);
            serve_queues(&server, &self.proxy.live, self.fullconn, self.now_ms);
        }
    }
}

/// A stream's place in queues.
fn rank(txn: &Txn, now: Nanos) -> Rank {
    let Priority { class, offset_ms } = txn.priority;
    (class, now as i64 + i64::from(offset_ms) * MS as i64)
}

/// The server that a request is to go to again, by its place in the set.
fn persisted(txn: &Txn, set: &ServerSet) -> Option<usize> {
    let uid = txn.sticky.server;
    if uid == 0 { None } else { set.list.iter().position(|s| s.live.uid == uid) }
}
