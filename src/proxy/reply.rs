//! Answers of the proxy's own: rules, services, errors. They take the same way as a server's response: a head that
//! `http-after-response` rules may edit, then a body.

use bytes::Bytes;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::http::{BodyLen, Chunks, H1Options, Hop, Method, Parse, status};
use crate::model::applet::{Applet, AppletBody, AppletReply, AppletRequest};
use crate::rules::{Env, Reply, ReplyBody};

use super::end::{Cause, End, Halt, Phase};
use super::env::StreamEnv;
use super::passage::Leaving;
use super::stream::Stream;
use super::transfer::Extent;
use super::verdict::{self, Stage};

/// Filler of services that send many bytes of no meaning.
static FILLER: [u8; 16384] = filler();

const fn filler() -> [u8; 16384] {
    let mut bytes = [b'.'; 16384];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = if i % 50 == 49 { b'\n' } else { b'0' + (i % 10) as u8 };
        i += 1;
    }
    bytes
}

/// What the head says of the body.
enum Framing {
    Length(u64),
    Chunked,
    /// Nothing: it answers HEAD, and how long the answer to GET would be is not known.
    Silent,
}

/// What follows the head.
enum Body {
    Bytes(Bytes),
    Filler { len: u64, chunked: bool },
}

impl Stream<'_> {
    /// Ends the transaction in another way than with a server's response.
    pub(super) async fn halt(&mut self, halt: Halt) {
        let end = match &halt {
            Halt::Reply { reply, denied: true } => End::new(Cause::Proxy, self.phase(), reply.status),
            Halt::Reply { reply, denied: false } => End::new(Cause::Local, self.phase(), reply.status),
            Halt::Tarpit(reply) => End::new(Cause::Proxy, Phase::Tarpit, reply.status),
            Halt::Service(_) => End::new(Cause::Local, Phase::Request, 0),
            Halt::End(end) | Halt::Drop(end) => *end,
        };
        let end = self.cut_short(end);
        self.end = end;
        self.txn.set_end(end.flags());
        if let Some(hold) = &mut self.hold {
            hold.keep = false;
        }
        if self.answered {
            self.keep_client = false;
            return;
        }
        // What was to become of a server's response does not concern what the proxy says itself.
        self.txn.compressed = None;
        match halt {
            Halt::Drop(_) => self.keep_client = false,
            Halt::End(end) => self.answer_error(end).await,
            Halt::Reply { reply, .. } => self.answer(&reply).await,
            Halt::Tarpit(reply) => {
                let rt = self.s.worker.rt;
                let ms = self.txn.timeouts.tarpit_ms.unwrap_or(self.route.back.timeouts.tarpit);
                let held = rt.sleep_until(rt.after_ms(ms.max(1)));
                if self.down.unless_left(self.route.aborts(), held).await.is_none() {
                    self.keep_client = false;
                }
                // The time it was held counts as spent in a queue.
                self.txn.timers.request_done = 0;
                self.txn.timers.queue_done = rt.now();
                self.answer(&reply).await;
            }
            Halt::Service(applet) => self.serve(&*applet).await,
        }
    }

    fn phase(&self) -> Phase {
        match self.txn.res.is_complete() {
            true => Phase::Headers,
            // A server was chosen, and its `redir` says where to go instead.
            false if self.txn.timers.queue_done > 0 => Phase::Connect,
            false => Phase::Request,
        }
    }

    async fn answer_error(&mut self, end: End) {
        if end.status == 0 {
            self.keep_client = false;
            return;
        }
        // The rest of a request that could not be read cannot be told from the next one.
        if end.phase == Phase::Request && end.cause != Cause::Local && end.status != verdict::RULE_FAILED {
            self.keep_client = false;
        }
        let page = self.env().error_page(end.status, self.txn);
        match page {
            Some(reply) => self.answer(&reply).await,
            None => {
                if !self.txn.has_req && !self.down.is_one_of_many() {
                    let text = status::unparsed_answer(end.status).or_else(|| status::unparsed_answer(400));
                    return self.answer_as_is(&text.unwrap_or_default(), end.status).await;
                }
                let bytes = status::default_answer(end.status).or_else(|| status::default_answer(500));
                self.answer_raw(&bytes.unwrap_or_default(), end.status).await;
            }
        }
    }

    /// A reply made by a rule or set for an error.
    async fn answer(&mut self, reply: &Reply) {
        if reply.close {
            self.keep_client = false;
        }
        self.answer_with(reply).await;
        if let Some(status) = reply.logged {
            self.txn.status = status;
        }
    }

    async fn answer_with(&mut self, reply: &Reply) {
        match &reply.body {
            ReplyBody::Raw(bytes) => self.answer_raw(bytes, reply.status).await,
            body => {
                let body = match body {
                    ReplyBody::Bytes(b) => b.clone(),
                    _ => Bytes::new(),
                };
                let reason = match reply.reason.as_deref() {
                    Some(reason) => reason,
                    None => status::reason_phrase(reply.status).as_bytes(),
                };
                let fields = reply.fields.iter().map(|(n, v)| (&n[..], &v[..]));
                self.begin(reply.status, reason, &Framing::Length(body.len() as u64), fields);
                self.emit(Body::Bytes(body), false).await;
            }
        }
    }

    /// A whole message as it stands in an error file.
    async fn answer_raw(&mut self, bytes: &[u8], code: u16) {
        self.txn.res.reset();
        self.txn.res.buf = Buf::take(HEAD_SIZE.max(bytes.len()));
        self.txn.res.buf.push(bytes);
        let options = H1Options { accept_unsafe: true, max_head: bytes.len().max(1), ..H1Options::default() };
        if self.txn.res.parse_response(Method::Get, &options) != Parse::Done {
            return self.answer_as_is(bytes, code).await;
        }
        if !self.txn.res.keep_alive || self.txn.res.body == BodyLen::UntilClose {
            self.keep_client = false;
        }
        let body = Bytes::copy_from_slice(self.txn.res.rest());
        self.emit(Body::Bytes(body), false).await;
    }

    /// Bytes as they are, and the connection ends with them.
    async fn answer_as_is(&mut self, bytes: &[u8], code: u16) {
        self.keep_client = false;
        self.answered = true;
        self.txn.status = code;
        if self.down.is_one_of_many() {
            return; // no message that it could be told of
        }
        let until = self.patience_of_client();
        if self.down.send_data(bytes, until).await.is_ok() {
            self.txn.bytes_out += bytes.len() as u64;
        }
    }

    /// Makes a response head: the framing stands where HAProxy has it.
    fn begin<'f>(
        &mut self,
        code: u16,
        reason: &[u8],
        framing: &Framing,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) {
        let res = &mut self.txn.res;
        res.buf = Buf::default();
        let body = match framing {
            Framing::Length(n) => BodyLen::Length(*n),
            Framing::Chunked => BodyLen::Chunked,
            Framing::Silent => BodyLen::None,
        };
        res.begin_response(code, reason, body);
        let mut digits = itoa::Buffer::new();
        let mut framing: Option<(&[u8], &[u8])> = match framing {
            Framing::Length(n) if code != 204 && code != 304 && code >= 200 => {
                Some((b"content-length", digits.format(*n).as_bytes()))
            }
            Framing::Length(_) | Framing::Silent => None,
            Framing::Chunked => Some((b"transfer-encoding", b"chunked")),
        };
        // First in redirects and built-in pages, else before the type of the content.
        let leads =
            fields.clone().next().is_none_or(|(name, _)| matches!(name, b"location" | b"cache-control"));
        // A page that has its length says where it stands.
        if fields.clone().any(|(name, _)| name == b"content-length") {
            framing = None;
        }
        for (at, (name, value)) in fields.enumerate() {
            if (at == 0 && leads) || name == b"content-type" {
                framing.take().inspect(|(name, value)| res.put(name, value));
            }
            res.put(name, value);
        }
        framing.inspect(|(name, value)| res.put(name, value));
    }

    fn patience_of_client(&self) -> u64 {
        self.s.worker.rt.after_ms(self.route.front.timeouts.client)
    }

    /// `http-after-response` of backend and frontend on whatever goes to the client.
    pub(super) fn after_response(&mut self) {
        let same = self.route.back_id.is_none() || self.route.is_one();
        let sets = [
            (!same).then_some(&self.route.back.rules.http_after_response),
            Some(&self.route.front.rules.http_after_response),
        ];
        for rules in sets.into_iter().flatten().filter(|r| !r.is_empty()) {
            let server = self.hold.as_ref().map(|h| h.slot.server());
            let upstream = self.hold.as_ref().map(|h| &h.upstream);
            let env = StreamEnv::of(self.s, &self.route, server).over(upstream);
            rules.run(self.txn, &env, &mut 0);
            verdict::count_rewrites(self.txn, Stage::Response, (&self.route, self.s), server);
        }
    }

    /// `passes`: what filters there are see it.
    async fn emit(&mut self, body: Body, passes: bool) {
        let passes = passes && self.has_filters();
        if passes {
            self.judge_response();
        }
        self.after_response();
        let sends_body = self.txn.res.settle(self.asked);
        let body = if passes && sends_body { self.filtered(body) } else { body };
        self.txn.status = self.txn.res.status;
        let is_over = self.txn.res.closes_by_rule() || self.s.is_over();
        self.keep_client &= (self.is_served || self.down.is_whole(&self.txn.req)) && !is_over;
        let hop = Hop::to_client(self.keep_client, self.txn.req.version);
        let until = self.patience_of_client();
        self.answered = true;
        let bytes = match &body {
            Body::Bytes(bytes) if sends_body => &bytes[..],
            _ => &[],
        };
        match self.down.send_message(&self.txn.res, hop, bytes, until).await {
            Ok(n) => self.txn.bytes_out += n as u64,
            Err((n, _)) => {
                self.txn.bytes_out += n as u64;
                self.client_left();
                return;
            }
        }
        if let (Body::Filler { len, chunked }, true) = (body, sends_body) {
            self.send_filler(len, chunked).await;
        }
    }

    /// What a service says passes the filters, as a server's response does.
    fn filtered(&mut self, body: Body) -> Body {
        let Body::Bytes(bytes) = &body else { return body };
        let wire = self.txn.res.body;
        let Some(mut passage) = self.response_passage(wire) else { return body };
        let (mut extent, mut out) = (Extent::Length(bytes.len() as u64), Vec::new());
        match passage.take(&mut extent, bytes, self.now(), &mut out) {
            Ok(_) if passage.leaving() != Leaving::AsCame => Body::Bytes(out.into()),
            _ => body,
        }
    }

    fn client_left(&mut self) {
        self.keep_client = false;
        if self.end.cause != Cause::Normal && self.end.cause != Cause::Local {
            return;
        }
        self.end = End::new(Cause::ClientAbort, Phase::Data, 0);
        self.txn.set_end(self.end.flags());
    }

    async fn send_filler(&mut self, len: u64, chunked: bool) {
        if chunked && len > 0 {
            let head = format!("{len:x}\r\n");
            if self.send_part(head.as_bytes()).await.is_err() {
                return self.client_left();
            }
        }
        let mut left = len;
        while left > 0 {
            let n = left.min(FILLER.len() as u64) as usize;
            if self.send_part(&FILLER[..n]).await.is_err() {
                return self.client_left();
            }
            left -= n as u64;
        }
        let tail: &[u8] = match (chunked, len) {
            (false, _) => b"",
            (true, 0) => b"0\r\n\r\n",
            (true, _) => b"\r\n0\r\n\r\n",
        };
        if self.send_part(tail).await.is_err() {
            self.client_left();
        }
    }

    async fn send_part(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let until = self.patience_of_client();
        self.down.send_data(bytes, until).await.map_err(|(_, e)| e)?;
        self.txn.bytes_out += bytes.len() as u64;
        Ok(())
    }

    /// A service inside the process.
    async fn serve(&mut self, applet: &dyn Applet) {
        if self.route.back_id.is_none() || self.route.is_one() {
            self.route.front.live.front.counters.mine().intercepted.inc();
        }
        self.txn.service = Some(applet.log_name());
        // It is its own server.
        let now = self.now();
        (self.txn.timers.queue_done, self.txn.timers.connected) = (now, now);
        if applet.reads_body(self.txn.req.method_bytes())
            && let Err(halt) = self.await_body(0, 0).await
        {
            return self.give_up_service(&halt).await;
        }
        if self.has_filters() {
            self.prepare_filters();
        }
        let reply = self.ask(applet);
        if reply.delay_ms > 0 {
            let rt = self.s.worker.rt;
            rt.sleep_until(rt.after_ms(reply.delay_ms)).await;
        }
        let is_old = self.txn.req.version == crate::http::Version::Http10;
        let (framing, body) = match reply.body {
            AppletBody::Bytes(bytes) => (Framing::Length(bytes.len() as u64), Body::Bytes(bytes)),
            AppletBody::None => (Framing::Silent, Body::Bytes(Bytes::new())),
            // HTTP/1.0 knows no chunks.
            AppletBody::Filler { len, chunked } if is_old || !chunked => {
                (Framing::Length(len), Body::Filler { len, chunked: false })
            }
            AppletBody::Filler { len, .. } => (Framing::Chunked, Body::Filler { len, chunked: true }),
        };
        let now = self.now();
        let timers = &mut self.txn.timers;
        (timers.queue_done, timers.connected, timers.response) = (now, now, now);
        let fields = reply.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        self.begin(reply.status, status::reason_phrase(reply.status).as_bytes(), &framing, fields);
        if reply.close {
            self.keep_client = false;
        }
        self.is_served = self.can_drain();
        self.emit(body, true).await;
    }

    /// What the service answers to the request, and to as much of its body as is here.
    fn ask(&self, applet: &dyn Applet) -> AppletReply {
        let req = &self.txn.req;
        let header = |name: &str| req.field(name.as_bytes()).map(<[u8]>::to_vec);
        let mut decoded = Vec::new();
        // What follows the body is the next request.
        let body = match req.body {
            BodyLen::Length(n) => {
                let received = req.rest();
                &received[..received.len().min(n as usize)]
            }
            BodyLen::Chunked => {
                // What is malformed ends the connection when it is drained.
                let _ = Chunks::new(false).decode(req.rest(), |part| decoded.extend_from_slice(part));
                &decoded[..]
            }
            _ => &[],
        };
        let env = self.env();
        let ctx = crate::rules::Ctx { txn: self.txn, env: &env };
        applet.call(&AppletRequest {
            method: req.method_bytes(),
            target: req.target_bytes(),
            body,
            is_whole: self.down.is_whole(req),
            header: &header,
            proxy: &self.route.back.name,
            is_admin: self.route.back.stats_admin.iter().any(|condition| condition.eval(ctx)),
        })
    }

    /// What was to be read did not come.
    async fn give_up_service(&mut self, halt: &Halt) {
        let Halt::End(end) = halt else { return };
        let mut end = *end;
        if end.cause == Cause::ClientTimeout {
            // It is the service that has waited for it.
            end = End::new(Cause::Local, Phase::Request, end.status);
        }
        self.end = end;
        self.txn.set_end(end.flags());
        self.keep_client = false;
        self.answer_error(end).await;
    }

    /// Reads the request's body into the head's buffer, as far as it fits there (`wait-for-body`, services).
    /// `time_ms` 0: `timeout http-request`; `at_least` bytes are enough, 0: the whole body.
    pub(super) async fn await_body(&mut self, time_ms: u64, at_least: u64) -> Result<(), Halt> {
        let timeouts = &self.route.front.timeouts;
        let ms =
            [time_ms, timeouts.http_request, timeouts.client].into_iter().find(|ms| *ms > 0).unwrap_or(0);
        let until = self.s.worker.rt.after_ms(ms);
        self.invite_body().await?;
        if !self.down.is_whole(&self.txn.req) {
            self.txn.req.buf.grow(self.route.config.global.tune.bufsize);
        }
        loop {
            if self.down.is_whole(&self.txn.req) || self.body_is_whole() {
                break;
            }
            let received = self.txn.req.rest().len() as u64;
            if self.txn.req.buf.room_len() == 0 || (at_least > 0 && received >= at_least) {
                break;
            }
            match self.down.receive_body(&mut self.txn.req, until).await {
                Ok(0) => return Err(End::new(Cause::ClientAbort, Phase::Request, 400).into()),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::TimedOut => {
                    return Err(End::new(Cause::ClientTimeout, Phase::Request, 408).into());
                }
                Err(_) => return Err(End::new(Cause::ClientAbort, Phase::Request, 400).into()),
            }
        }
        self.txn.body_awaited = true;
        Ok(())
    }

    /// The client may wait to be asked for its body (RFC 9110 section 10.1.1).
    async fn invite_body(&mut self) -> Result<(), Halt> {
        let req = &self.txn.req;
        if !req.expect_continue || !req.rest().is_empty() || self.down.is_whole(req) {
            return Ok(());
        }
        let until = self.patience_of_client();
        let sent = self.down.send_continue(until).await;
        sent.map_err(|_| Halt::from(End::new(Cause::ClientAbort, Phase::Request, 0)))?;
        self.txn.req.remove(b"expect");
        self.txn.req.expect_continue = false;
        Ok(())
    }

    /// A chunked body that lies in the buffer with its end.
    fn body_is_whole(&self) -> bool {
        if self.txn.req.body != BodyLen::Chunked {
            return false;
        }
        let mut chunks = Chunks::new(false);
        chunks.scan(self.txn.req.rest()).is_err() || chunks.is_done()
    }
}
