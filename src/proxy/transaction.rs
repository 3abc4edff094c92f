//! One HTTP transaction: its phases in order, each a function named like the phase.
//!
//! receive -> http-request rules (frontend) -> use_backend -> rules (backend) -> server and queue -> send ->
//! response -> http-response rules -> forward -> log.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::clock::MS;
use crate::config::{Backend, HttpConnection, Proxy};
use crate::http::{BodyLen, FieldKind, Head, Hop, Method, Version};
use crate::model::Mode;
use crate::model::applet::Applet;
use crate::rules::{Ctx, RuleSet, Sticky, Txn, Wait};

use super::connection;
use super::downstream::{Downstream, Unread};
use super::end::{Cause, End, Halt, Phase};
use super::env::StreamEnv;
use super::name;
use super::retry::Failure;
use super::route::Attempt;
use super::session::{Current, Session};
use super::stream::{Next, Stream};
use super::tls;
use super::transfer::{Patience, Side};
use super::verdict::{self, Stage, Step};
use super::version::Carries;

/// Serves one request from its first bytes, which lie in `txn.req.buf`, to its log line.
pub async fn run(
    s: &Session,
    down: &mut Downstream,
    txn: &mut Txn,
    current: &Current,
    patience: &Rc<Patience>,
) -> Next {
    let mut stream = Stream::new(s, down, txn, current, patience);
    match stream.receive().await {
        Ok(()) => {}
        Err(Some(end)) => return stream.fail_request(end).await,
        Err(None) => return Next::Http2,
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
    /// Reads until the request head is complete. The error `None`: what came is no request, but HTTP/2.
    async fn receive(&mut self) -> Result<(), Option<End>> {
        let rt = self.s.worker.rt;
        let first = self.s.begin_request() == 0;
        if !first {
            self.s.worker.resumed.set(self.s.worker.resumed.get().wrapping_add(1));
        }
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
        let received = self.down.receive_head(&mut self.txn.req, &options, bufsize, until).await;
        received.map_err(|unread| match unread {
            Unread::Preface if first && self.may_become_h2() => {
                self.s.forget_request();
                None
            }
            Unread::Preface => Some(End::new(Cause::Proxy, Phase::Request, 505)),
            Unread::Bad { status, at } => {
                self.keep_invalid_request(at);
                Some(End::new(Cause::Proxy, Phase::Request, status))
            }
            Unread::Timeout => Some(End::new(Cause::ClientTimeout, Phase::Request, 408)),
            Unread::Closed => Some(End::new(Cause::ClientAbort, Phase::Request, 400)),
        })?;
        let req = &self.txn.req;
        let hosts = req.fields.iter().filter(|f| f.kind == FieldKind::Host).count();
        // RFC 9112 section 3.2: two Hosts are read in two ways.
        if hosts > 1 {
            return Err(Some(End::new(Cause::Proxy, Phase::Request, 400)));
        }
        let has_odd_chunks = req.version == Version::Http10 && req.body == BodyLen::Chunked;
        self.note_received();
        if has_odd_chunks {
            self.txn.req.modernise();
            self.keep_client = false;
        }
        Ok(())
    }

    fn may_become_h2(&self) -> bool {
        let front = self.route.front;
        !front.options.disable_h2_upgrade && !tls::bind(self.s, front).is_some_and(|bind| bind.proto_h1)
    }

    fn note_received(&mut self) {
        let now = self.now();
        self.asked = self.txn.req.method;
        self.txn.has_req = true;
        self.txn.timers.request_done = now;
        self.txn.bytes_in += self.txn.req.len as u64;
        self.track_request();
        let front = &self.route.front.live.front;
        let now_ms = now / MS;
        front.req_rate_max.raise(u64::from(front.req_rate.add(now_ms, 1)));
        if self.route.front.needs_uri_line {
            self.keep_uri_line();
        }
        self.keep_client = self.txn.req.keep_alive
            && self.route.front.options.http_connection != HttpConnection::Close
            && !self.s.is_over();
        self.capture_request();
    }

    /// From the complete request head to the last byte of the response.
    async fn transact(&mut self) -> Result<(), Halt> {
        let after_tcp = self.down.chosen();
        self.monitor()?;
        if looks_at_requests(self.route.front) {
            self.request_rules(self.route.front, Stage::Front, after_tcp.is_some()).await?;
            if self.is_cached() {
                return self.serve_cached().await;
            }
        }
        let switched = after_tcp.flatten().or_else(|| self.switch());
        self.route.choose(switched);
        if self.route.back.mode == Mode::Tcp && self.route.back_id.is_some() {
            // A connection that was switched to HTTP does not become one of TCP again.
            self.txn.status = 500;
            return Err(Halt::Drop(End::new(Cause::Internal, Phase::Request, 0)));
        }
        self.enter_backend();
        if !self.route.is_one() && looks_at_requests(self.route.back) {
            self.request_rules(self.route.back, Stage::Back, false).await?;
            if self.is_cached() {
                return self.serve_cached().await;
            }
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
        self.route.front.live.front.counters.mine().intercepted.inc();
        Err(Halt::End(End::new(Cause::Local, Phase::Request, if failed { 503 } else { 200 })))
    }

    /// `after_tcp`: those of TCP have run.
    async fn request_rules(&mut self, proxy: &'a Proxy, stage: Stage, after_tcp: bool) -> Result<(), Halt> {
        if proxy.options.http_buffer_request && !self.txn.body_awaited {
            self.await_body(0, 0).await?;
        }
        // Rules on a request wait for no more of it.
        let inspect_over = std::mem::replace(&mut self.txn.inspect_over, true);
        let done = if after_tcp { Ok(()) } else { self.run_rules(&proxy.rules.tcp_content, stage).await };
        if let Err(halt) = done {
            self.txn.inspect_over = inspect_over;
            if stage == Stage::Front && matches!(halt, Halt::Drop(_)) {
                // Not read as a request yet, as far as logs and counters go.
                self.txn.has_req = false;
                self.txn.uri_line.clear();
            }
            return Err(self.unfinished(halt));
        }
        let done = self.run_rules(&proxy.rules.http_request, stage).await;
        self.txn.inspect_over = inspect_over;
        if !self.txn.hints.is_empty() {
            self.send_hints().await?;
        }
        if let Err(halt) = done {
            return Err(self.unfinished(halt));
        }
        if let Some(applet) = self.statistics(proxy) {
            self.run_rules(&proxy.stats_rules, stage).await?;
            return Err(Halt::Service(applet));
        }
        self.run_rules(&proxy.rules.redirect, stage).await
    }

    /// A request that rules drop, or cannot carry out their edits of, does not count as read in the log's times.
    fn unfinished(&mut self, halt: Halt) -> Halt {
        if matches!(halt, Halt::Drop(_) | Halt::End(End { status: verdict::RULE_FAILED, .. })) {
            self.txn.timers.request_done = 0;
        }
        halt
    }

    /// `stats uri`: asked for by GET, HEAD or POST.
    fn statistics(&self, proxy: &Proxy) -> Option<Arc<dyn Applet>> {
        let stats = proxy.stats.as_ref()?;
        let asks = matches!(self.txn.req.method, Method::Get | Method::Head | Method::Post);
        if asks && stats.serves(self.txn.req.path_and_query()) { stats.applet.clone() } else { None }
    }

    async fn run_rules(&mut self, rules: &RuleSet, stage: Stage) -> Result<(), Halt> {
        if rules.is_empty() {
            return Ok(());
        }
        let mut at = 0;
        loop {
            let outcome = {
                let server = self.hold.as_ref().map(|h| h.slot.server());
                let upstream = self.hold.as_ref().map(|h| &h.upstream);
                let env = StreamEnv::of(self.s, &self.route, server).over(upstream);
                let outcome = rules.run(self.txn, &env, &mut at);
                verdict::count_rewrites(self.txn, stage, (&self.route, self.s), server);
                outcome
            };
            if verdict::interpret(outcome, stage, &self.route, self.s)? != Step::Wait {
                return Ok(());
            }
            match self.txn.wait {
                Wait::Body { time_ms, at_least } => self.await_body(time_ms, at_least).await?,
                Wait::Pause { time_ms } => self.pause(time_ms).await?,
                Wait::Data | Wait::Paused => self.await_body(0, 0).await?,
                Wait::Name => name::look_up(self.txn, self.s.worker.rt).await,
                Wait::Answer => Box::pin(self.consult()).await?,
            }
        }
    }

    /// `pause`: time goes by, unless the client leaves.
    pub(super) async fn pause(&mut self, time_ms: u64) -> Result<(), Halt> {
        let rt = self.s.worker.rt;
        let held = rt.sleep_until(rt.after_ms(time_ms));
        if self.down.unless_left(self.route.aborts(), held).await.is_none() {
            let phase = if self.txn.res.is_complete() { Phase::Headers } else { Phase::Request };
            return Err(End::new(Cause::ClientAbort, phase, 0).into());
        }
        self.txn.wait = Wait::Paused;
        let now = rt.now();
        self.patience.renew(Side::Client, now);
        self.patience.renew(Side::Server, now);
        Ok(())
    }

    /// `early-hint`: an interim response with the fields that rules made. A client of HTTP/1.0 knows none.
    async fn send_hints(&mut self) -> Result<(), Halt> {
        let hints = std::mem::take(&mut self.txn.hints);
        if self.txn.req.version == Version::Http10 {
            return Ok(());
        }
        for fields in hints.split(|(name, _)| name.is_empty()) {
            let mut head = Head::default();
            head.begin_response(103, b"Early Hints", BodyLen::None);
            for (name, value) in fields {
                head.put(name, value);
            }
            let until = self.s.worker.rt.after_ms(self.route.front.timeouts.client);
            match self.down.send_message(&head, Hop::AsIs, &[], until).await {
                Ok(n) => self.txn.bytes_out += n as u64,
                Err(_) => return Err(End::new(Cause::ClientAbort, Phase::Request, 0).into()),
            }
        }
        Ok(())
    }

    pub(super) fn enter_backend(&mut self) {
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

    /// Sends the request to a server, retrying as the backend says, and forwards the response.
    async fn exchange(&mut self) -> Result<(), Halt> {
        let no_server = End::new(Cause::ServerAbort, Phase::Connect, 503);
        let Some(back) = self.route.back.back.as_ref() else {
            // Without a backend the request does not count as complete.
            self.txn.timers.request_done = 0;
            return Err(no_server.into());
        };
        if self.down.has_left(false) {
            return Err(self.given_up());
        }
        let mut attempt = Attempt::new(back, self.txn);
        self.make_unique_id();
        self.judge_persistence(back);
        if self.has_filters() {
            self.prepare_filters();
        }
        if let Some(cookie) = back.cookie.as_deref() {
            let forced = self.is_forced(back);
            self.read_cookie(cookie, forced);
            self.txn.sticky.is_direct = forced || self.txn.sticky.server != 0;
        }
        if !back.sticking.is_empty() {
            let is_assigned = self.txn.sticky.server != 0 || self.is_forced(back);
            self.find_sticky(back, is_assigned);
        }
        self.reach(back, &mut attempt).await?;
        self.respond().await
    }

    /// The client has left, or has taken its request back, before any server was asked.
    fn given_up(&self) -> Halt {
        connection::count_invalid(self.s, self.route.front);
        self.route.back.live.back.counters.mine().cli_aborts.inc();
        End::new(Cause::ClientAbort, Phase::Request, 0).into()
    }

    /// From a backend to the head of a server's response, by as many tries as it says.
    pub(super) async fn reach(&mut self, back: &Backend, attempt: &mut Attempt) -> Result<(), Halt> {
        loop {
            let is_websocket = self.txn.req.is_websocket();
            let carries = if is_websocket { Carries::WebSocket } else { Carries::Requests };
            self.obtain(attempt, carries).await?;
            match self.try_once(attempt).await {
                Ok(()) => return Ok(()),
                Err(Failure::Halt(halt)) => return Err(halt),
                Err(failure) => self.after_failure(back, attempt, failure).await?,
            }
        }
    }

    async fn try_once(&mut self, attempt: &Attempt) -> Result<(), Failure> {
        self.send_request().await?;
        self.await_response(attempt.retries > 0).await
    }
}

/// Whether anything of a proxy looks at requests before a server is chosen.
fn looks_at_requests(proxy: &Proxy) -> bool {
    !proxy.rules.spare_requests() || proxy.stats.is_some() || proxy.options.http_buffer_request
}
