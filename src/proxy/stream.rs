//! One HTTP transaction: its phases in order, each a function named like the phase.
//!
//! receive -> http-request rules (frontend) -> use_backend -> rules (backend) -> server and queue -> send ->
//! response -> http-response rules -> forward -> log.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::MS;
use crate::config::proxy::RestrictNames;
use crate::config::{Config, Proxy};
use crate::http::{BodyLen, FieldKind, Method, Parse, Version};
use crate::model::applet::Applet;
use crate::model::{ProxyId, ProxyLive};
use crate::rules::{Outcome, Reply, RuleSet, Sticky, Txn, Wait};

use super::access;
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::exchange::body_in_buffer;
use super::server::Upstream;
use super::session::Session;
use super::transfer::{Patience, Way};
use super::worker::View;

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    KeepAlive,
    Close,
}

/// Why a phase does not go on to the next one.
pub enum Halt {
    /// The proxy answers this; `denied` by a rule.
    Reply { reply: Box<Reply>, denied: bool },
    /// Answered after `timeout tarpit`.
    Tarpit(Box<Reply>),
    /// A service inside the process answers.
    Service(Arc<dyn Applet>),
    /// The transaction failed.
    End(End),
    /// The connection is closed without an answer.
    Drop(End),
}

impl From<End> for Halt {
    fn from(end: End) -> Halt {
        Halt::End(end)
    }
}

/// Counts a stream in its backend for as long as it lives.
pub(super) struct BackendSlot(Arc<ProxyLive>);

impl BackendSlot {
    /// A stream begins in a backend.
    pub(super) fn enter(proxy: &Proxy, now_ms: u64) -> BackendSlot {
        let live = &proxy.live.back;
        let current = live.cur.fetch_add(1, Ordering::AcqRel) + 1;
        let slot = BackendSlot(proxy.live.clone());
        live.max.raise(u64::from(current));
        live.sess_rate.add(now_ms, 1);
        live.sess_rate_max.raise(u64::from(live.sess_rate.read(now_ms)));
        live.last_session_ms.store(now_ms, Ordering::Relaxed);
        live.counters.mine().sess_tot.inc();
        slot
    }
}

impl Drop for BackendSlot {
    fn drop(&mut self) {
        self.0.back.cur.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How much of a request was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// What lies in its buffer; nobody took a body from it.
    Buffered,
    /// Its body is being forwarded.
    Partly,
    /// All of it; what lies behind this place of the buffer belongs to the next one.
    Whole(usize),
}

/// A transaction under way.
pub struct Stream<'a> {
    pub s: &'a mut Session,
    pub txn: &'a mut Txn,
    pub view: &'a Rc<View>,
    pub config: &'a Config,
    pub front: &'a Proxy,
    /// The frontend itself until a backend was chosen.
    pub back: &'a Proxy,
    pub back_id: Option<ProxyId>,
    backend_slot: Option<BackendSlot>,
    pub upstream: Option<Upstream>,
    /// The client's connection may carry another request after this one.
    pub keep_client: bool,
    /// The response head was sent, in part at least: no other answer can be.
    pub answered: bool,
    pub tries_left: u32,
    /// Bytes of the next request that came with the end of this one's body.
    pub surplus: Vec<u8>,
    /// How far the request's body was received.
    pub received: Received,
    /// `monitor-uri`: neither logged nor held against anyone.
    is_monitor: bool,
    /// The rest of the request's body on its way to the server.
    pub upload: Option<Way>,
    pub patience: &'a Rc<Patience>,
    /// What ended it early, for counters and logs.
    pub end: End,
}

/// Serves one request from its first bytes, which lie in `txn.req.buf`, to its log line.
pub async fn run(s: &mut Session, txn: &mut Txn, patience: &Rc<Patience>) -> Next {
    let view = s.view.clone();
    let mut stream = Stream::new(s, txn, &view, patience);
    if let Err(end) = stream.receive().await {
        return stream.fail_request(end).await;
    }
    let result = stream.transact().await;
    stream.conclude(result).await
}

/// Answers a request that never came with an error.
pub async fn refuse(s: &mut Session, txn: &mut Txn, end: End) {
    let view = s.view.clone();
    let patience = Rc::new(Patience::new(0, 0, 0));
    let mut stream = Stream::new(s, txn, &view, &patience);
    stream.txn.timers.request_start = stream.s.accepted;
    stream.txn.request_date_us = stream.s.accept_date_us;
    stream.fail_request(end).await;
}

impl<'a> Stream<'a> {
    fn new(
        s: &'a mut Session,
        txn: &'a mut Txn,
        view: &'a Rc<View>,
        patience: &'a Rc<Patience>,
    ) -> Stream<'a> {
        let config = view.config();
        let front = config.proxy(s.front);
        Stream {
            s,
            txn,
            view,
            config,
            front,
            back: front,
            back_id: None,
            backend_slot: None,
            upstream: None,
            keep_client: false,
            answered: false,
            tries_left: 0,
            surplus: Vec::new(),
            received: Received::Buffered,
            is_monitor: false,
            upload: None,
            patience,
            end: End::default(),
        }
    }

    pub fn env<'e>(&'e self) -> StreamEnv<'e> {
        StreamEnv::of(self.s, self.view, self.back_id, self.upstream.as_ref().map(|u| &u.slot.server))
    }

    pub fn now(&self) -> u64 {
        self.s.worker.rt.now()
    }

    /// Reads until the request head is complete.
    async fn receive(&mut self) -> Result<(), End> {
        let rt = self.s.worker.rt;
        let first = self.s.requests == 0;
        self.s.requests += 1;
        self.txn.request_no = self.s.worker.next_request();
        self.txn.timers.request_start = if first { self.s.accepted } else { rt.now() };
        self.txn.request_date_us = if first { self.s.accept_date_us } else { self.s.worker.date_us() };
        let timeouts = &self.front.timeouts;
        let limit_ms = if timeouts.http_request > 0 { timeouts.http_request } else { timeouts.client };
        let until = if limit_ms == 0 {
            crate::rt::NEVER
        } else {
            self.txn.timers.request_start.saturating_add(limit_ms * MS)
        };
        let options = self.view.h1_request[self.s.front.0 as usize];
        loop {
            match self.txn.req.parse_request(&options) {
                Parse::Done => break,
                Parse::Bad(bad) => {
                    self.keep_invalid_request(bad.at);
                    return Err(End::new(Cause::Proxy, Phase::Request, bad.status));
                }
                Parse::More => {}
            }
            if self.txn.req.buf.room_len() == 0 {
                if self.txn.req.buf.start() == 0 {
                    return Err(End::new(Cause::Proxy, Phase::Request, 400));
                }
                self.txn.req.buf.compact();
                continue;
            }
            let n = self.s.conn.recv(self.txn.req.buf.room(), until).await.map_err(|e| {
                if e.kind() == std::io::ErrorKind::TimedOut {
                    End::new(Cause::ClientTimeout, Phase::Request, 408)
                } else {
                    End::new(Cause::ClientAbort, Phase::Request, 400)
                }
            })?;
            if n == 0 {
                return Err(End::new(Cause::ClientAbort, Phase::Request, 400));
            }
            self.txn.req.buf.advance(n);
        }
        let req = &self.txn.req;
        let hosts = req.fields.iter().filter(|f| f.kind == FieldKind::Host).count();
        // RFC 9112 section 3.2: two Hosts are read in two ways.
        if hosts > 1 {
            return Err(End::new(Cause::Proxy, Phase::Request, 400));
        }
        let has_odd_chunks = req.version == Version::Http10 && req.body == BodyLen::Chunked;
        self.note_received();
        if has_odd_chunks {
            self.txn.req.modernise();
            self.keep_client = false;
        }
        Ok(())
    }

    fn note_received(&mut self) {
        let now = self.now();
        self.txn.has_req = true;
        self.txn.timers.request_done = now;
        self.txn.bytes_in += self.txn.req.len as u64;
        let front = &self.front.live.front;
        let now_ms = now / MS;
        front.req_rate.add(now_ms, 1);
        front.req_rate_max.raise(u64::from(front.req_rate.read(now_ms)));
        if self.front.needs_uri_line {
            self.keep_uri_line();
        }
        self.keep_client = self.txn.req.keep_alive
            && self.front.options.http_connection != crate::config::HttpConnection::Close
            && !self.s.worker.shared.stopping.load(Ordering::Relaxed);
        self.capture_request();
    }

    /// Method, target and version as received, for logs and `capture.req.*`.
    fn keep_uri_line(&mut self) {
        let req = &self.txn.req;
        let line = req.bytes(req.start_line);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let most = self.config.global.tune.http_logurilen.saturating_sub(1);
        self.txn.uri_line.clear();
        self.txn.uri_line.extend_from_slice(&line[..line.len().min(most)]);
    }

    fn capture_request(&mut self) {
        let Some(front) = self.front.front.as_ref() else { return };
        if let Some(wanted) = &front.cookie_capture {
            self.txn.req_cookie = super::persist::captured(&self.txn.req, b"cookie", wanted);
        }
        if front.req_captures.is_empty() && front.res_captures.is_empty() {
            return;
        }
        self.txn.req_captures = front
            .req_captures
            .iter()
            .map(|c| c.name.as_deref().and_then(|n| capture(self.txn.req.values(n).last(), c.len)))
            .collect();
        self.txn.res_captures = front.res_captures.iter().map(|_| None).collect();
    }

    /// From the complete request head to the last byte of the response.
    async fn transact(&mut self) -> Result<(), Halt> {
        self.monitor()?;
        self.request_rules(self.front).await?;
        self.choose_backend()?;
        if self.back_id != Some(self.s.front) {
            self.request_rules(self.back).await?;
        }
        self.serve_inside()?;
        self.restrict_names()?;
        self.mark_forwarded();
        self.exchange().await
    }

    /// `monitor-uri` and `monitor fail`.
    fn monitor(&mut self) -> Result<(), Halt> {
        let Some(front) = self.front.front.as_ref() else { return Ok(()) };
        let Some(uri) = front.monitor_uri.as_deref() else { return Ok(()) };
        if self.txn.req.target_bytes() != uri && self.txn.req.path_and_query() != uri {
            return Ok(());
        }
        let env = self.env();
        let ctx = crate::rules::Ctx { txn: self.txn, env: &env };
        let failed = front.monitor_fail.iter().any(|c| c.eval(ctx));
        self.is_monitor = true;
        Err(Halt::End(End::new(Cause::Local, Phase::Request, if failed { 503 } else { 200 })))
    }

    async fn request_rules(&mut self, proxy: &'a Proxy) -> Result<(), Halt> {
        if proxy.options.http_buffer_request && !self.txn.body_awaited {
            self.await_body(0, 0).await?;
        }
        if !proxy.rules.tcp_content.is_empty() {
            self.run_rules(&proxy.rules.tcp_content, proxy).await?;
        }
        if let Some(stats) = proxy.stats.as_ref().filter(|s| s.serves(self.txn.req.path_and_query()))
            && let Some(applet) = stats.applet.clone()
        {
            if !proxy.rules.http_request.is_empty() {
                self.run_rules(&proxy.rules.http_request, proxy).await?;
            }
            if !proxy.stats_rules.is_empty() {
                self.run_rules(&proxy.stats_rules, proxy).await?;
            }
            return Err(Halt::Service(applet));
        }
        if !proxy.rules.http_request.is_empty() {
            self.run_rules(&proxy.rules.http_request, proxy).await?;
        }
        Ok(())
    }

    async fn run_rules(&mut self, rules: &'a RuleSet, proxy: &'a Proxy) -> Result<(), Halt> {
        let mut at = 0;
        loop {
            // The environment borrows what the rules do not change.
            let env = StreamEnv::of(
                self.s,
                self.view,
                self.back_id,
                self.upstream.as_ref().map(|u| &u.slot.server),
            );
            let outcome = rules.run(self.txn, &env, &mut at);
            let counters = if self.back_id.is_some() { &proxy.live.back } else { &proxy.live.front };
            match outcome {
                Outcome::Continue | Outcome::Stop => return Ok(()),
                Outcome::Final { reply, denied } => {
                    if denied {
                        counters.counters.mine().denied_req.inc();
                    }
                    return Err(Halt::Reply { reply: Box::new(reply), denied });
                }
                Outcome::Tarpit { reply } => {
                    counters.counters.mine().denied_req.inc();
                    return Err(Halt::Tarpit(Box::new(reply)));
                }
                Outcome::Service(applet) => return Err(Halt::Service(applet)),
                Outcome::Close { silent } => {
                    counters.counters.mine().denied_req.inc();
                    if silent {
                        crate::os::socket::set_no_linger(self.s.conn.fd());
                    }
                    return Err(Halt::Drop(End::new(Cause::Proxy, Phase::Request, 0)));
                }
                Outcome::Error => {
                    counters.counters.mine().internal_errors.inc();
                    return Err(Halt::End(End::new(Cause::Internal, Phase::Request, 500)));
                }
                Outcome::Wait => {
                    let (time_ms, at_least) = match self.txn.wait {
                        Wait::Body { time_ms, at_least } => (time_ms, at_least),
                        Wait::Data => (0, 0),
                    };
                    self.await_body(time_ms, at_least).await?;
                }
            }
        }
    }

    /// `use_backend`, `default_backend`; a `listen` proxy is its own backend.
    fn choose_backend(&mut self) -> Result<(), Halt> {
        let id = self.switch().or_else(|| self.front.front.as_ref().and_then(|f| f.default_backend));
        let id = id.or_else(|| self.front.back.as_ref().map(|_| self.s.front));
        let Some(id) = id else { return Ok(()) };
        self.back_id = Some(id);
        self.back = self.config.proxy(id);
        self.backend_slot = Some(BackendSlot::enter(self.back, self.now() / MS));
        self.back.live.back.counters.mine().http_req.inc();
        if self.back.back.as_ref().is_some_and(|b| b.cookie.is_some()) {
            self.txn.sticky = Sticky { request: b'N', response: b'N', ..Sticky::default() };
        }
        Ok(())
    }

    fn switch(&self) -> Option<ProxyId> {
        let front = self.front.front.as_ref()?;
        if front.switching.is_empty() {
            return None;
        }
        let env = self.env();
        let ctx = crate::rules::Ctx { txn: self.txn, env: &env };
        super::route::switch(&front.switching, self.config, ctx)
    }

    /// `mode haterm`, or a backend without servers whose stats page was not asked for.
    fn serve_inside(&mut self) -> Result<(), Halt> {
        if let Some(applet) = self.front.front.as_ref().and_then(|f| f.applet.clone()) {
            return Err(Halt::Service(applet));
        }
        Ok(())
    }

    /// `option http-restrict-req-hdr-names`.
    fn restrict_names(&mut self) -> Result<(), Halt> {
        let wanted = self.back.options.http_restrict_req_hdr_names;
        if matches!(wanted, RestrictNames::Default | RestrictNames::Preserve) {
            return Ok(());
        }
        let odd = |name: &[u8]| !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        let names: Vec<Vec<u8>> =
            self.txn.req.fields().filter(|(name, _)| odd(name)).map(|(name, _)| name.to_vec()).collect();
        if !names.is_empty() && wanted == RestrictNames::Reject {
            self.back.live.back.counters.mine().denied_req.inc();
            return Err(End::new(Cause::Proxy, Phase::Request, 403).into());
        }
        for name in names {
            self.txn.req.remove(&name);
        }
        Ok(())
    }

    /// `option forwardfor`, `originalto`, `unique-id-header`, `http-send-name-header` come before the server is known.
    fn mark_forwarded(&mut self) {
        let (front, back) = (&self.front.options, &self.back.options);
        add_forwarded(self.txn, [&front.forwardfor, &back.forwardfor], self.txn.client);
        if front.originalto.is_some() || back.originalto.is_some() {
            if self.txn.local == crate::rules::Endpoint::None {
                self.txn.local = self.s.local();
            }
            add_forwarded(self.txn, [&front.originalto, &back.originalto], self.txn.local);
        }
    }

    /// Error in the request itself: answer it and log.
    async fn fail_request(&mut self, end: End) -> Next {
        let counters = self.front.live.front.counters.mine();
        counters.err_req.inc();
        self.keep_client = false;
        let first = self.s.requests <= 1;
        if !first && self.txn.req.buf.is_empty() {
            // An idle connection that ended: nothing to say, nothing to log.
            return Next::Close;
        }
        if end.cause == Cause::ClientAbort && self.txn.req.buf.is_empty() && self.front.options.dontlognull {
            return Next::Close;
        }
        if end.cause == Cause::ClientTimeout
            && self.front.options.http_ignore_probes
            && self.txn.req.buf.is_empty()
        {
            return Next::Close;
        }
        self.conclude(Err(Halt::End(end))).await
    }

    /// Answers what the proxy itself has to say, logs and counts.
    async fn conclude(&mut self, result: Result<(), Halt>) -> Next {
        match result {
            Ok(()) => {
                // A body that ends with the connection does not tell by itself that it is whole.
                if matches!(self.txn.res.body, BodyLen::UntilClose | BodyLen::Tunnel) {
                    self.end = self.cut_short(self.end);
                }
                self.txn.set_end(self.end.flags());
            }
            Err(halt) => self.halt(halt).await,
        }
        self.txn.timers.closed = self.now();
        self.backend_slot = None;
        self.finish_server();
        access::count(self);
        // The slot is free before the line is written: the line does not count its own request.
        let is_logged = !self.is_monitor && !self.front.log.targets.is_empty();
        let server = self.upstream.take().and_then(|u| is_logged.then(|| u.slot.server.clone()));
        if is_logged {
            let failed = self.txn.termination[0] != b'-' && self.txn.termination[0] != b'L';
            access::log(self.s, self.txn, self.view, self.back_id, server.as_ref(), failed);
        }
        if self.keep_client && !self.request_unread_body() {
            self.keep_rest();
            return Next::KeepAlive;
        }
        Next::Close
    }

    /// The end of a stream whose server's sessions were shut down is not the server's doing.
    pub(super) fn cut_short(&self, end: End) -> End {
        let of_client =
            matches!(end.cause, Cause::ClientAbort | Cause::ClientTimeout | Cause::Local | Cause::Proxy);
        match self.upstream.as_ref().and_then(Upstream::cut) {
            Some(cause) if !of_client => {
                End { cause, phase: if end.phase == Phase::None { Phase::Data } else { end.phase }, ..end }
            }
            _ => end,
        }
    }

    /// Where the request ends in its buffer; `None` while part of it is still to be received, and then the
    /// connection cannot carry another request.
    fn request_end(&self) -> Option<usize> {
        match self.received {
            Received::Buffered => match body_in_buffer(self.txn) {
                Ok((None, have)) => Some(self.txn.req.len + have),
                _ => None,
            },
            Received::Partly => None,
            Received::Whole(end) => Some(end),
        }
    }

    pub(super) fn request_unread_body(&self) -> bool {
        self.request_end().is_none()
    }

    /// Bytes behind the request go on to the next one.
    fn keep_rest(&mut self) {
        let Some(end) = self.request_end() else { return };
        let rest = match &self.surplus[..] {
            [] => self.txn.req.buf.written().get(end..).unwrap_or_default(),
            surplus => surplus,
        };
        if !rest.is_empty() && self.s.pending.is_none() {
            let mut buf = Buf::take(HEAD_SIZE.max(rest.len()));
            buf.push(rest);
            self.s.pending = Some(buf);
        }
    }
}

/// A copy of at most `len` bytes.
pub(super) fn capture(value: Option<&[u8]>, len: usize) -> Option<Box<[u8]>> {
    value.map(|v| v[..v.len().min(len)].into())
}

/// Adds an address for the server. What the client wrote stays alone only where neither frontend nor backend adds to
/// it; what either excepts is left out; the backend's name for the field counts, if it asks at all.
fn add_forwarded(txn: &mut Txn, asked: [&Option<crate::config::ForwardFor>; 2], end: crate::rules::Endpoint) {
    let asked = || asked.into_iter().flatten();
    let (Some(last), Some(addr)) = (asked().last(), end.inet()) else { return };
    if asked().all(|f| f.if_none) && txn.req.field(&last.header).is_some() {
        return;
    }
    if asked().flat_map(|f| &f.except).any(|net| net.contains(&addr.ip())) {
        return;
    }
    txn.req.add(&last.header, addr.ip().to_string().as_bytes());
}

/// Methods that may be sent again without asking (RFC 9110 section 9.2.2).
pub(super) fn is_idempotent(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options | Method::Trace
    )
}
