//! A server's response on its way to the client: rules, head, body, and the tunnel that an upgrade makes of both
//! connections.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::Poll;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::config::Proxy;
use crate::conn::link::Stopped;
use crate::http::{BodyLen, Chunks, Hop, Version};
use crate::rules::{RuleSet, Wait};

use super::end::{BAD_GATEWAY, Cause, End, Halt, Phase};
use super::env::StreamEnv;
use super::exchange::{Got, client_end};
use super::h2::websocket;
use super::passage::{Leaving, Passage, whole};
use super::stream::{Scanned, Stream};
use super::transfer::{Broken, Extent, Side, Way};
use super::tunnel::{self, Begun, Ends};
use super::verdict::{self, Stage, Step};

impl Stream<'_> {
    /// The response: rules, head with the first part of the body in one write, the rest of the body.
    pub(super) async fn respond(&mut self) -> Result<(), Halt> {
        self.txn.timers.response = self.now();
        self.capture_response();
        self.track_response();
        self.store_sticky();
        if self.txn.res.status == 101 && !self.txn.req.upgrade {
            // Nobody asked for another protocol.
            return Err(End::new(Cause::Proxy, Phase::Headers, 502).into());
        }
        if self.txn.req.version == Version::Http2 && self.txn.res.status == 101 && !self.is_accepted() {
            return Err(BAD_GATEWAY.into());
        }
        if self.txn.res.version == Version::Http10 && self.txn.res.body == BodyLen::Chunked {
            self.txn.res.modernise();
            self.keep_client = false;
        }
        if self.txn.res.status == 101 || self.txn.res.body == BodyLen::Tunnel {
            return self.upgrade().await;
        }
        self.note_authentication();
        self.judge_response();
        if self.has_response_rules() {
            self.response_rules().await?;
        }
        let (extent, taken) = self.note_body()?;
        let wire = self.txn.res.body;
        let has_body = self.txn.res.settle(self.asked);
        self.txn.status = self.txn.res.status;
        // What follows an interim response belongs to the same request: a rule that makes one ends the connection.
        self.keep_client &= !self.txn.res.closes_by_rule() && !self.s.is_over() && self.txn.status >= 200;
        if !has_body {
            self.send_head(0).await?;
            return self.skip_body(&extent).await;
        }
        self.keep_client &= self.txn.res.body != BodyLen::UntilClose;
        let decodes = wire == BodyLen::Chunked && self.txn.req.version == Version::Http10;
        if (decodes || self.has_filters())
            && let Some(passage) = self.response_passage(wire)
        {
            return self.respond_through(passage, wire, taken).await;
        }
        self.send_head(taken).await?;
        self.txn.res.buf = Buf::default();
        match (extent.is_done(), &self.upload) {
            (true, None) => Ok(()),
            (true, Some(_)) => self.finish_upload().await,
            (false, _) => self.forward_body(extent, None).await,
        }
    }

    /// The server opens the WebSocket that was asked for: of a client that speaks HTTP/2 the key is ours, and nobody else
    /// looks at the answer to it (RFC 8441 section 5).
    fn is_accepted(&self) -> bool {
        let answer = self.txn.res.field(b"sec-websocket-accept");
        !self.txn.req.is_websocket() || answer == Some(websocket::accept(&self.txn.req).as_bytes())
    }

    /// NTLM and Negotiate authenticate the connection and not the request: it belongs to this client from here on.
    fn note_authentication(&mut self) {
        let res = &self.txn.res;
        let name: &[u8] = match res.status {
            401 => b"www-authenticate",
            407 => b"proxy-authenticate",
            _ => return,
        };
        let of_connection = |scheme: &[u8]| {
            scheme
                .get(..4)
                .is_some_and(|s| s.eq_ignore_ascii_case(b"ntlm") || s.eq_ignore_ascii_case(b"nego"))
        };
        if let Some(hold) = &mut self.hold
            && res.list_values(name).any(of_connection)
        {
            hold.is_private = true;
            self.s.keep_server(hold.slot.server());
        }
    }

    /// How the body comes from the server: what is still to come, and how much of it lies behind the head. Decides
    /// whether its connection can be used again.
    pub(super) fn note_body(&mut self) -> Result<(Extent, usize), Halt> {
        let res = &self.txn.res;
        let received = res.rest().len();
        let (extent, taken) = match res.body {
            BodyLen::None | BodyLen::Tunnel => (Extent::Length(0), 0),
            BodyLen::Length(n) => {
                let taken = n.min(received as u64);
                (Extent::Length(n - taken), taken as usize)
            }
            BodyLen::Chunked => match self.scanned.take().filter(|scanned| scanned.of == received) {
                Some(Scanned { chunks, consumed, .. }) => (Extent::Chunked(chunks), consumed),
                None => {
                    let mut chunks = Box::new(Chunks::new(true));
                    let scan = chunks.scan(res.rest());
                    let scan = scan.map_err(|_| End::new(Cause::Proxy, Phase::Headers, 502))?;
                    (Extent::Chunked(chunks), scan.consumed)
                }
            },
            BodyLen::UntilClose => (Extent::Close, received),
        };
        if let Some(hold) = &mut self.hold {
            hold.keep &= res.keep_alive && res.body != BodyLen::UntilClose && taken == received;
            let large = received >= HEAD_SIZE / 2 || matches!(extent, Extent::Length(n) if n > 0);
            if large != hold.large_responses {
                self.s.worker.pools.note_size(hold.slot.server(), large);
            }
        }
        Ok((extent, taken))
    }

    async fn send_head(&mut self, taken: usize) -> Result<(), Halt> {
        let hop = Hop::to_client(self.keep_client, self.txn.req.version);
        let until = self.patience.until(Side::Client);
        self.answered = true;
        self.responding = true;
        if taken > self.down.link().window() {
            self.make_little();
        }
        let sent = self.down.send_head(&self.txn.res, hop, taken, until).await;
        self.note_head(sent)
    }

    /// The response may have to wait for its reader, one of many: meanwhile the request takes no more room than it fills.
    fn make_little(&mut self) {
        if self.down.is_one_of_many() {
            self.txn.req.buf.fit();
        }
    }

    pub(super) fn note_head(&mut self, sent: Result<usize, Stopped>) -> Result<(), Halt> {
        match sent {
            Ok(n) => {
                self.txn.bytes_out += n as u64;
                if self.route.front.options.log_asap {
                    self.log_early();
                }
                Ok(())
            }
            Err((n, e)) => {
                self.txn.bytes_out += n as u64;
                Err(client_end(&e).into())
            }
        }
    }

    /// The server sends a body to a client that expects none: what is not here already is not waited for.
    async fn skip_body(&mut self, extent: &Extent) -> Result<(), Halt> {
        if let Some(hold) = &mut self.hold {
            hold.keep &= extent.is_done();
        }
        self.finish_upload().await
    }

    /// A body that something is done to: what of it lies behind the head goes with the head, the rest as it comes.
    async fn respond_through(
        &mut self,
        mut passage: Box<Passage>,
        wire: BodyLen,
        taken: usize,
    ) -> Result<(), Halt> {
        if passage.leaving() != Leaving::AsCame {
            return self.respond_reframed(passage, wire, taken).await;
        }
        let (mut extent, now) = (whole(wire, true), self.now());
        let begun = self.txn.res.rest().get(..taken).unwrap_or_default();
        passage.take(&mut extent, begun, now, &mut Vec::new()).map_err(|broken| download_end(&broken))?;
        self.send_head(taken).await?;
        self.go_on_through(passage, extent).await
    }

    async fn respond_reframed(
        &mut self,
        mut passage: Box<Passage>,
        wire: BodyLen,
        taken: usize,
    ) -> Result<(), Halt> {
        let (mut extent, mut out, now) = (whole(wire, true), Vec::new(), self.now());
        let begun = self.txn.res.rest().get(..taken).unwrap_or_default();
        passage.take(&mut extent, begun, now, &mut out).map_err(|broken| download_end(&broken))?;
        let hop = Hop::to_client(self.keep_client, self.txn.req.version);
        let until = self.patience.until(Side::Client);
        (self.answered, self.responding) = (true, true);
        let sent = self.down.send_message(&self.txn.res, hop, &out, until).await;
        self.note_head(sent)?;
        self.go_on_through(passage, extent).await
    }

    async fn go_on_through(&mut self, passage: Box<Passage>, extent: Extent) -> Result<(), Halt> {
        self.txn.res.buf = Buf::default();
        if extent.is_done() {
            self.finish_upload().await
        } else {
            self.forward_body(extent, Some(passage)).await
        }
    }

    /// Something of the configuration looks at responses or changes them.
    fn has_response_rules(&self) -> bool {
        let has =
            |proxy: &Proxy| !proxy.rules.spare_responses() || !proxy.rules.http_after_response.is_empty();
        let sets_cookie = self.route.back.back.as_ref().is_some_and(|b| b.cookie.is_some());
        let checks = self.route.back.options.checkcache;
        has(self.route.front) || sets_cookie || checks || (!self.route.is_one() && has(self.route.back))
    }

    /// `http-response` of the backend, then of the frontend, then `http-after-response` likewise.
    pub(super) async fn response_rules(&mut self) -> Result<(), Halt> {
        let (back, front) = (self.route.back, self.route.front);
        let spares = back.rules.spare_responses();
        if !spares {
            // Those of TCP wait for no more of a response than its head.
            let inspect_over = std::mem::replace(&mut self.txn.inspect_over, true);
            let done = self.run_response(&back.rules.tcp_response).await;
            self.txn.inspect_over = inspect_over;
            done?;
        }
        self.txn.status = self.txn.res.status;
        if !spares {
            self.run_response(&back.rules.http_response).await?;
        }
        if self.route.has_two() && !front.rules.spare_responses() {
            self.run_response(&front.rules.http_response).await?;
        }
        if back.options.checkcache && self.leaks_cookie() {
            return Err(self.withhold());
        }
        self.write_cookie();
        self.after_response();
        Ok(())
    }

    /// `option checkcache` keeps the response back.
    fn withhold(&mut self) -> Halt {
        verdict::count_denial(Stage::Response, &self.route, self.s);
        if let Some(hold) = &self.hold {
            hold.slot.server().live.counters.mine().denied_resp.inc();
        }
        self.txn.timers.response = 0;
        End::new(Cause::Proxy, Phase::Headers, 502).into()
    }

    async fn run_response(&mut self, rules: &RuleSet) -> Result<(), Halt> {
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
                verdict::count_rewrites(self.txn, Stage::Response, (&self.route, self.s), server);
                outcome
            };
            match verdict::interpret(outcome, Stage::Response, &self.route, self.s) {
                Ok(Step::Wait) if matches!(self.txn.wait, Wait::Pause { .. }) => {}
                Ok(Step::Wait) if !self.txn.response_awaited => {}
                Ok(_) => return Ok(()),
                Err(halt) => {
                    if let (Halt::Reply { denied: true, .. } | Halt::Drop(_), Some(hold)) =
                        (&halt, &self.hold)
                    {
                        hold.slot.server().live.counters.mine().denied_resp.inc();
                    }
                    if let (Halt::End(End { status: verdict::RULE_FAILED, .. }), Some(hold)) =
                        (&halt, &self.hold)
                    {
                        hold.slot.server().live.counters.mine().internal_errors.inc();
                    }
                    if !matches!(halt, Halt::Reply { denied: false, .. } | Halt::Drop(_)) {
                        // What the server said was no valid response.
                        self.txn.timers.response = 0;
                    }
                    return Err(halt);
                }
            }
            match self.txn.wait {
                Wait::Pause { time_ms } => {
                    Box::pin(self.pause(time_ms)).await?;
                    continue;
                }
                // What the cache has is here already.
                Wait::Body { time_ms, at_least } if self.hold.is_some() => {
                    Box::pin(self.await_response_body(time_ms, at_least)).await?;
                }
                Wait::Body { .. } | Wait::Data | Wait::Paused | Wait::Name | Wait::Answer => {}
            }
            self.txn.response_awaited = true;
        }
    }

    /// `http-response wait-for-body`: reads on behind the head, as far as it fits its buffer, for `time_ms` at most.
    pub(super) async fn await_response_body(&mut self, time_ms: u64, at_least: u64) -> Result<(), Halt> {
        let until = self.s.worker.rt.after_ms(time_ms);
        let bufsize = self.route.config.global.tune.bufsize;
        self.txn.res.buf.grow(bufsize);
        while self.txn.res.buf.room_len() > 0 {
            let bytes = self.txn.res.rest();
            let is_enough = match self.txn.res.body {
                BodyLen::Length(n) => bytes.len() as u64 >= n,
                BodyLen::Chunked => {
                    let mut chunks = Chunks::new(true);
                    chunks.scan(bytes).is_err() || chunks.is_done()
                }
                BodyLen::UntilClose => false,
                BodyLen::None | BodyLen::Tunnel => true,
            };
            if is_enough || (at_least > 0 && bytes.len() as u64 >= at_least) {
                break;
            }
            match self.receive_some(until).await {
                // The body ends with the connection, which has ended.
                Ok(0) if self.txn.res.body == BodyLen::UntilClose => break,
                Ok(0) => return Err(BAD_GATEWAY.into()),
                Ok(n) => self.txn.res.buf.advance(n),
                Err(Got::Server(e)) if e.kind() == ErrorKind::TimedOut => {
                    return Err(End::new(Cause::ServerTimeout, Phase::Data, 504).into());
                }
                Err(Got::Server(_)) => return Err(BAD_GATEWAY.into()),
                Err(Got::Client(end)) => return Err(end.into()),
            }
        }
        Ok(())
    }

    async fn forward_body(&mut self, extent: Extent, passage: Option<Box<Passage>>) -> Result<(), Halt> {
        let Some(server) = self.hold.as_ref().map(|h| h.link().clone()) else {
            return Err(BAD_GATEWAY.into());
        };
        self.make_little();
        let client = self.down.link().clone();
        let (from, to) = ((server, Side::Server), (client.clone(), Side::Client));
        let mut down = Way::new(from, to, self.patience.clone(), extent).through(passage);
        self.restart_patience();
        let result = poll_fn(|_| {
            // A client that breaks off its request gets no more of the response.
            if let Err(end) = self.poll_upload() {
                return Poll::Ready(Err(Halt::from(end)));
            }
            match down.poll().map_err(|broken| Halt::from(download_end(&broken))) {
                Poll::Pending if client.is_broken() => {
                    Poll::Ready(Err(End::new(Cause::ClientAbort, Phase::Data, 0).into()))
                }
                Poll::Pending => {
                    // Its end is to wake us, though nothing is read from it.
                    let _ = client.watch();
                    Poll::Pending
                }
                other => other,
            }
        })
        .await;
        self.txn.bytes_out += down.moved;
        result?;
        if let Some(hold) = &mut self.hold {
            hold.keep &= down.surplus.is_empty();
        }
        self.finish_upload().await
    }

    /// The response is complete while the request is not. The rest of it is still taken, by the server as long as it
    /// listens, so that a client that sends all before it reads comes to read.
    pub(super) async fn finish_upload(&mut self) -> Result<(), Halt> {
        if let Some(way) = &mut self.upload {
            if self.hold.as_ref().is_some_and(|h| !h.keep) {
                if self.down.is_one_of_many() {
                    self.upload = None;
                    return Ok(());
                }
                way.discard();
            }
            poll_fn(|_| match self.poll_upload() {
                Ok(()) if self.upload.is_some() => Poll::Pending,
                other => Poll::Ready(other),
            })
            .await?;
        }
        Ok(())
    }

    /// 101, or 2xx to CONNECT: from here on bytes are just bytes.
    async fn upgrade(&mut self) -> Result<(), Halt> {
        self.keep_client = false;
        self.response_rules().await?;
        self.txn.status = self.txn.res.status;
        let hop = if self.txn.res.status == 101 { Hop::Upgrade } else { Hop::AsIs };
        let until = self.patience.until(Side::Client);
        self.answered = true;
        let taken = self.txn.res.rest().len();
        let sent = self.down.send_head(&self.txn.res, hop, taken, until).await;
        self.txn.bytes_out += sent.map_err(|(_, e)| client_end(&e))? as u64;
        self.txn.res.buf = Buf::default();
        let Some(hold) = &mut self.hold else { return Ok(()) };
        hold.keep = false;
        let ends = Ends { client: self.down.link().clone(), server: hold.link().clone() };
        let (front, back) = (self.route.front, self.route.back);
        let (client_ms, server_ms) = tunnel::timeouts(front, back, &self.txn.timeouts);
        self.patience.restart(self.s.worker.rt.now(), client_ms, server_ms);
        let up = match self.upload.take() {
            // The rest of the request's body goes before what follows it.
            Some(way) => way.into_tunnel(self.patience.clone()),
            None => {
                let first = self.down.pending().take();
                let first = first.as_ref().map_or(self.txn.req.rest(), Buf::data);
                ends.up(self.patience, first)
            }
        };
        self.txn.req.buf.clear();
        self.down.end_upload(Vec::new());
        let fin = (&front.timeouts, &back.timeouts);
        // HTTP knows no half-closed connection: what the server has ended is over.
        let moved = tunnel::run(&ends, (up, Begun::default()), self.patience.clone(), fin, || true).await;
        self.txn.bytes_in += moved.up;
        self.txn.bytes_out += moved.down;
        moved.end.map_or(Ok(()), |end| Err(Halt::Drop(end)))
    }
}

fn download_end(broken: &Broken) -> End {
    match broken {
        Broken::Read(e) if e.kind() == ErrorKind::TimedOut => End::new(Cause::ServerTimeout, Phase::Data, 0),
        Broken::Read(_) | Broken::Short | Broken::Malformed => End::new(Cause::ServerAbort, Phase::Data, 0),
        Broken::Write(e) => client_end(e),
    }
}
