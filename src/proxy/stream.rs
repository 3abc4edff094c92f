//! One HTTP transaction: its phases in order, each a function named like the phase.
//!
//! receive -> http-request rules (frontend) -> use_backend -> rules (backend) -> server and queue -> send ->
//! response -> http-response rules -> forward -> log.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::clock::MS;
use crate::config::{HttpConnection, Proxy};
use crate::http::{BodyLen, FieldKind, Method, Version};
use crate::model::applet::Applet;
use crate::model::{ProxyId, Server};
use crate::rules::{Ctx, Reply, RuleSet, Sticky, Txn, Wait};

use super::access;
use super::downstream::{Downstream, Unread};
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::route::Route;
use super::session::{Current, Session};
use super::transfer::{Patience, Way};
use super::upstream::Hold;
use super::verdict::{self, Stage, Step};

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

/// A transaction under way.
pub struct Stream<'a> {
    pub s: &'a Session,
    pub down: &'a mut Downstream,
    pub txn: &'a mut Txn,
    pub route: Route<'a>,
    /// The server it has, if any.
    pub hold: Option<Hold>,
    /// The server that failed last.
    pub tried: Option<Server>,
    /// The rest of the request's body on its way to the server.
    pub upload: Option<Way>,
    pub patience: &'a Rc<Patience>,
    /// The method that the client asked with, whatever rules make of it.
    pub asked: Method,
    /// The client's connection may carry another request after this one.
    pub keep_client: bool,
    /// The response head was sent, in part at least: no other answer can be.
    pub answered: bool,
    /// `monitor-uri`: neither logged nor held against anyone.
    is_monitor: bool,
    /// What ended it early, for counters and logs.
    pub end: End,
}

/// Serves one request from its first bytes, which lie in `txn.req.buf`, to its log line.
pub async fn run(
    s: &Session,
    down: &mut Downstream,
    txn: &mut Txn,
    current: &Current,
    patience: &Rc<Patience>,
) -> Next {
    let mut stream = Stream::new(s, down, txn, current, patience);
    if let Err(end) = stream.receive().await {
        return stream.fail_request(end).await;
    }
    let result = stream.transact().await;
    stream.conclude(result).await
}

/// Answers a request that never came with an error.
pub async fn refuse(s: &Session, down: &mut Downstream, txn: &mut Txn, current: &Current, end: End) {
    let patience = Rc::new(Patience::new(0, 0, 0));
    let mut stream = Stream::new(s, down, txn, current, &patience);
    stream.txn.timers.request_start = s.accepted;
    stream.txn.request_date_us = s.accept_date_us;
    stream.fail_request(end).await;
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        s: &'a Session,
        down: &'a mut Downstream,
        txn: &'a mut Txn,
        current: &'a Current,
        patience: &'a Rc<Patience>,
    ) -> Stream<'a> {
        Stream {
            s,
            down,
            txn,
            route: Route::new(&current.view, current.front),
            hold: None,
            tried: None,
            upload: None,
            patience,
            asked: Method::Other,
            keep_client: false,
            answered: false,
            is_monitor: false,
            end: End::default(),
        }
    }

    pub fn env<'e>(&'e self) -> StreamEnv<'e> {
        StreamEnv::of(self.s, &self.route, self.hold.as_ref().map(|h| &h.slot.server))
    }

    pub fn now(&self) -> u64 {
        self.s.worker.rt.now()
    }

    /// Reads until the request head is complete.
    async fn receive(&mut self) -> Result<(), End> {
        let rt = self.s.worker.rt;
        let first = self.s.begin_request() == 0;
        self.txn.request_no = self.s.worker.next_request();
        self.txn.timers.request_start = if first { self.s.accepted } else { rt.now() };
        self.txn.request_date_us = if first { self.s.accept_date_us } else { self.s.worker.date_us() };
        let timeouts = &self.route.front.timeouts;
        let limit_ms = if timeouts.http_request > 0 { timeouts.http_request } else { timeouts.client };
        let until = if limit_ms == 0 {
            crate::rt::NEVER
        } else {
            self.txn.timers.request_start.saturating_add(limit_ms * MS)
        };
        let options = self.route.view.h1_request[self.route.front_id.0 as usize];
        let bufsize = self.route.config.global.tune.bufsize;
        self.down.receive_head(&mut self.txn.req, &options, bufsize, until).await.map_err(|unread| {
            match unread {
                Unread::Bad(status) => End::new(Cause::Proxy, Phase::Request, status),
                Unread::Timeout => End::new(Cause::ClientTimeout, Phase::Request, 408),
                Unread::Closed => End::new(Cause::ClientAbort, Phase::Request, 400),
            }
        })?;
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
        self.asked = self.txn.req.method;
        self.txn.has_req = true;
        self.txn.timers.request_done = now;
        self.txn.bytes_in += self.txn.req.len as u64;
        let front = &self.route.front.live.front;
        let now_ms = now / MS;
        front.req_rate.add(now_ms, 1);
        front.req_rate_max.raise(u64::from(front.req_rate.read(now_ms)));
        if self.route.front.needs_uri_line {
            self.keep_uri_line();
        }
        self.keep_client = self.txn.req.keep_alive
            && self.route.front.options.http_connection != HttpConnection::Close
            && !self.s.is_over();
        self.capture_request();
    }

    /// Method, target and version as received, for logs and `capture.req.*`.
    fn keep_uri_line(&mut self) {
        let req = &self.txn.req;
        let line = req.bytes(req.start_line);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let most = self.route.config.global.tune.http_logurilen.saturating_sub(1);
        self.txn.uri_line.clear();
        self.txn.uri_line.extend_from_slice(&line[..line.len().min(most)]);
    }

    fn capture_request(&mut self) {
        let Some(front) = self.route.front.front.as_ref() else { return };
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
        match self.down.chosen() {
            Some(chosen) => self.route.choose(Some(chosen)),
            None => {
                self.monitor()?;
                self.request_rules(self.route.front, Stage::Front).await?;
                let switched = self.switch();
                self.route.choose(switched)
            }
        };
        self.enter_backend();
        if !self.route.is_one() {
            self.request_rules(self.route.back, Stage::Back).await?;
        }
        self.serve_inside()?;
        self.restrict_names()?;
        self.mark_forwarded();
        self.exchange().await
    }

    /// `monitor-uri` and `monitor fail`.
    fn monitor(&mut self) -> Result<(), Halt> {
        let Some(front) = self.route.front.front.as_ref() else { return Ok(()) };
        let Some(uri) = front.monitor_uri.as_deref() else { return Ok(()) };
        if self.txn.req.target_bytes() != uri && self.txn.req.path_and_query() != uri {
            return Ok(());
        }
        let env = self.env();
        let ctx = Ctx { txn: self.txn, env: &env };
        let failed = front.monitor_fail.iter().any(|c| c.eval(ctx));
        self.is_monitor = true;
        Err(Halt::End(End::new(Cause::Local, Phase::Request, if failed { 503 } else { 200 })))
    }

    async fn request_rules(&mut self, proxy: &'a Proxy, stage: Stage) -> Result<(), Halt> {
        if proxy.options.http_buffer_request && !self.txn.body_awaited {
            self.await_body(0, 0).await?;
        }
        if !proxy.rules.tcp_content.is_empty() {
            self.run_rules(&proxy.rules.tcp_content, proxy, stage).await?;
        }
        if let Some(stats) = proxy.stats.as_ref().filter(|s| s.serves(self.txn.req.path_and_query()))
            && let Some(applet) = stats.applet.clone()
        {
            if !proxy.rules.http_request.is_empty() {
                self.run_rules(&proxy.rules.http_request, proxy, stage).await?;
            }
            if !proxy.stats_rules.is_empty() {
                self.run_rules(&proxy.stats_rules, proxy, stage).await?;
            }
            return Err(Halt::Service(applet));
        }
        if !proxy.rules.http_request.is_empty() {
            self.run_rules(&proxy.rules.http_request, proxy, stage).await?;
        }
        Ok(())
    }

    async fn run_rules(&mut self, rules: &RuleSet, proxy: &Proxy, stage: Stage) -> Result<(), Halt> {
        let mut at = 0;
        loop {
            let outcome = {
                let server = self.hold.as_ref().map(|h| &h.slot.server);
                let env = StreamEnv::of(self.s, &self.route, server);
                rules.run(self.txn, &env, &mut at)
            };
            if verdict::interpret(outcome, stage, proxy, self.down.link())? == Step::Done {
                return Ok(());
            }
            let (time_ms, at_least) = match self.txn.wait {
                Wait::Body { time_ms, at_least } => (time_ms, at_least),
                Wait::Data => (0, 0),
            };
            self.await_body(time_ms, at_least).await?;
        }
    }

    /// The first `use_backend` that applies.
    pub(super) fn switch(&self) -> Option<ProxyId> {
        let front = self.route.front.front.as_ref()?;
        if front.switching.is_empty() {
            return None;
        }
        let env = self.env();
        let ctx = Ctx { txn: self.txn, env: &env };
        super::route::switch(&front.switching, self.route.config, ctx)
    }

    fn enter_backend(&mut self) {
        if self.route.back_id.is_none() {
            return;
        }
        self.route.enter(self.now() / MS);
        self.route.back.live.back.counters.mine().http_req.inc();
        if self.route.back.back.as_ref().is_some_and(|b| b.cookie.is_some()) {
            self.txn.sticky = Sticky { request: b'N', response: b'N', ..Sticky::default() };
        }
    }

    /// `mode haterm`, or a backend without servers whose stats page was not asked for.
    fn serve_inside(&mut self) -> Result<(), Halt> {
        match self.route.front.front.as_ref().and_then(|f| f.applet.clone()) {
            Some(applet) => Err(Halt::Service(applet)),
            None => Ok(()),
        }
    }

    /// Error in the request itself: answer it and log.
    async fn fail_request(&mut self, end: End) -> Next {
        let options = &self.route.front.options;
        self.route.front.live.front.counters.mine().err_req.inc();
        self.keep_client = false;
        let is_silent = self.txn.req.buf.is_empty();
        let first = self.s.requests() <= 1;
        if is_silent
            && (!first // An idle connection that ended: nothing to say, nothing to log.
                || (end.cause == Cause::ClientAbort && options.dontlognull)
                || (end.cause == Cause::ClientTimeout && options.http_ignore_probes))
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
        self.route.leave();
        self.release_server();
        access::count(self);
        // The slot is free before the line is written: the line does not count its own request.
        let is_logged = !self.is_monitor && !self.route.front.log.targets.is_empty();
        let server = self.hold.take().and_then(|h| is_logged.then(|| h.slot.server.clone()));
        if is_logged {
            let failed = self.txn.termination[0] != b'-' && self.txn.termination[0] != b'L';
            access::log(self.s, self.txn, &self.route, server.as_ref(), failed);
        }
        if self.keep_client && self.down.finish(&self.txn.req) {
            return Next::KeepAlive;
        }
        Next::Close
    }

    /// Gives the server's connection back.
    pub(super) fn release_server(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.release(self.s.worker);
        }
    }

    /// The end of a stream whose server's sessions were shut down is not the server's doing.
    pub(super) fn cut_short(&self, end: End) -> End {
        let of_client =
            matches!(end.cause, Cause::ClientAbort | Cause::ClientTimeout | Cause::Local | Cause::Proxy);
        match self.hold.as_ref().and_then(Hold::cut) {
            Some(cause) if !of_client => {
                End { cause, phase: if end.phase == Phase::None { Phase::Data } else { end.phase }, ..end }
            }
            _ => end,
        }
    }
}

/// A copy of at most `len` bytes.
pub(super) fn capture(value: Option<&[u8]>, len: usize) -> Option<Box<[u8]>> {
    value.map(|v| v[..v.len().min(len)].into())
}
