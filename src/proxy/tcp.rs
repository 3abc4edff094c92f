//! A connection in TCP mode: content rules, backend, server, and bytes in both directions.

use std::io::ErrorKind;
use std::rc::Rc;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::MS;
use crate::config::Proxy;
use crate::http::{Parse, Reason};
use crate::model::{Mode, Seen};
use crate::rt::NEVER;
use crate::rules::{Txn, Wait};

use super::access;
use super::downstream::Downstream;
use super::end::{Cause, End, Halt, Phase};
use super::env::StreamEnv;
use super::name;
use super::retry::Failure;
use super::route::Attempt;
use super::session::{Current, Session};
use super::stream::Stream;
use super::transfer::{Patience, Way};
use super::tunnel::{self, Begun, Ends};
use super::verdict::{self, Stage, Step};
use super::version::Carries;

/// What becomes of a connection whose TCP stream is over.
pub enum Then {
    Close,
    /// A rule or its backend says that it speaks HTTP: so does the connection from here on.
    Http,
    /// A rule says that it speaks HTTP/2.
    Http2,
}

/// Serves a connection in TCP mode from its first byte to its log line.
pub async fn serve(s: &Session, down: &mut Downstream, txn: &mut Txn, current: &Current) -> Then {
    txn.request_no = s.worker.next_request();
    txn.timers.request_start = s.accepted;
    txn.timers.request_done = s.worker.rt.now();
    txn.request_date_us = s.accept_date_us;
    let patience = Rc::new(Patience::new(0, 0, 0));
    let mut stream = Stream::new(s, down, txn, current, &patience);
    match stream.choose().await {
        Ok(Then::Http) => {
            let chosen = stream.route.back_id;
            drop(stream);
            down.become_http(chosen);
            return Then::Http;
        }
        Ok(Then::Http2) => return Then::Http2,
        Ok(Then::Close) => {
            let result = stream.forward().await;
            stream.finish(result);
        }
        Err(halt) => stream.finish(Err(halt)),
    }
    Then::Close
}

impl Stream<'_> {
    /// The frontend's content rules and the backend they lead to.
    async fn choose(&mut self) -> Result<Then, Halt> {
        let front = self.route.front;
        if let Step::Switch { h2 } = self.content_rules(front, Stage::Front).await? {
            return Ok(if h2 { Then::Http2 } else { Then::Http });
        }
        if front.front.as_ref().is_some_and(|f| !f.switching.is_empty()) {
            self.read_ahead();
            self.look_for_http();
        }
        let switched = self.switch();
        if !self.route.choose(switched) {
            self.read_the_rest();
            return Err(Halt::Drop(End::new(Cause::ServerAbort, Phase::Connect, 0)));
        }
        let is_http = self.route.back.mode == Mode::Http && front.mode == Mode::Tcp;
        Ok(if is_http { Then::Http } else { Then::Close })
    }

    /// The backend's content rules, a server, and bytes until both sides have ended.
    async fn forward(&mut self) -> Result<(), Halt> {
        self.route.enter(self.now() / MS);
        if !self.route.is_one() {
            let back = self.route.back;
            self.content_rules(back, Stage::Back).await?;
        }
        if let Err(halt) = self.establish().await {
            self.read_the_rest();
            return Err(halt);
        }
        self.store_sticky();
        let Some(hold) = &self.hold else {
            return Err(Halt::Drop(End::new(Cause::ServerAbort, Phase::Connect, 0)));
        };
        let (front, back) = (self.route.front, self.route.back);
        let ends = Ends { client: self.down.link().clone(), server: hold.link().clone() };
        let (client_ms, server_ms) = tunnel::timeouts(front, back, &self.txn.timeouts);
        self.patience.restart(self.now(), client_ms, server_ms);
        let mut up = ends.up(self.patience, &[]);
        let begun = if back.rules.tcp_response.is_empty() {
            Begun::default()
        } else {
            let heard = Box::pin(self.response_content(back, &ends, &mut up)).await;
            if heard.is_err() {
                self.txn.bytes_in += up.moved;
                self.read_the_rest();
            }
            heard?
        };
        let Some(hold) = &self.hold else {
            return Err(Halt::Drop(End::new(Cause::ServerAbort, Phase::Data, 0)));
        };
        let is_cut = || hold.cut().is_some();
        let fin = (&front.timeouts, &back.timeouts);
        let moved = tunnel::run(&ends, (up, begun), self.patience.clone(), fin, is_cut).await;
        self.txn.bytes_in += moved.up;
        self.txn.bytes_out += moved.down;
        match (moved.end, hold.cut()) {
            (_, Some(cause)) => Err(Halt::Drop(End::new(cause, Phase::Data, 0))),
            (Some(end), None) => Err(Halt::Drop(end)),
            (None, None) => Ok(()),
        }
    }

    /// `tcp-request content` rules, which may wait for data until `inspect-delay` is over.
    async fn content_rules(&mut self, proxy: &Proxy, stage: Stage) -> Result<Step, Halt> {
        if proxy.rules.tcp_content.is_empty() {
            return Ok(Step::Done);
        }
        let rt = self.s.worker.rt;
        let delay_ms = proxy.rules.tcp_inspect_delay_ms;
        let until = if delay_ms == 0 { rt.now() } else { rt.after_ms(delay_ms) };
        let mut at = 0;
        loop {
            self.look_for_http();
            let outcome = {
                let env = StreamEnv::of(self.s, &self.route, None);
                let first = self.down.pending().as_ref().map_or(&[][..], Buf::data);
                self.txn.req_body = bytes::Bytes::copy_from_slice(first);
                proxy.rules.tcp_content.run(self.txn, &env, &mut at)
            };
            let step = verdict::interpret(outcome, stage, &self.route, self.s);
            let step = step.map_err(|halt| match halt {
                Halt::Reply { .. } => Halt::Drop(End::new(Cause::Proxy, Phase::Request, 0)),
                halt => halt,
            })?;
            if step == Step::Wait && self.txn.wait == Wait::Name {
                name::look_up(self.txn, self.s.worker.rt).await;
                continue;
            }
            if step != Step::Wait || self.txn.inspect_over {
                return Ok(step);
            }
            self.await_content(until).await;
        }
    }

    /// `tcp-response content` rules, on the first that the server says, for which they may wait until `inspect-delay` is
    /// over. What the client says goes on.
    async fn response_content(&mut self, back: &Proxy, ends: &Ends, up: &mut Way) -> Result<Begun, Halt> {
        let rt = self.s.worker.rt;
        let delay_ms = back.rules.tcp_response_inspect_delay_ms;
        let until = rt.after_ms(delay_ms);
        self.txn.inspect_over = delay_ms == 0;
        let (mut said, mut up_done, mut at) = (Buf::take(HEAD_SIZE), false, 0);
        loop {
            self.txn.res_body = bytes::Bytes::copy_from_slice(said.data());
            let server = self.hold.as_ref().map(|hold| hold.slot.server());
            let outcome = {
                let upstream = self.hold.as_ref().map(|hold| &hold.upstream);
                let env = StreamEnv::of(self.s, &self.route, server).over(upstream);
                back.rules.tcp_response.run(self.txn, &env, &mut at)
            };
            match verdict::interpret(outcome, Stage::Response, &self.route, self.s) {
                Ok(Step::Wait) if !self.txn.inspect_over => {}
                Ok(_) => break,
                Err(_) => {
                    if let Some(server) = server {
                        server.live.counters.mine().denied_resp.inc();
                    }
                    self.txn.bytes_out += said.len() as u64;
                    return Err(Halt::Drop(End::new(Cause::Proxy, Phase::Data, 0)));
                }
            }
            if said.room_len() == 0 {
                self.txn.inspect_over = true;
                continue;
            }
            match tunnel::hear(ends, up, &mut up_done, (said.room(), until)).await.map_err(Halt::Drop)? {
                Ok(n) if n > 0 => said.advance(n),
                _ => self.txn.inspect_over = true,
            }
        }
        self.txn.res_body = bytes::Bytes::new();
        Ok(Begun { up_done, said: Some(said) })
    }

    /// What the client has sent to no server: it has spoken, and is not reset for it.
    fn read_the_rest(&mut self) {
        self.read_ahead();
        self.txn.bytes_in += self.down.pending().as_ref().map_or(0, |first| first.len() as u64);
    }

    /// What the client has sent already, if nothing was read yet.
    fn read_ahead(&mut self) {
        if self.down.has_pending() {
            return;
        }
        let mut buf = Buf::take(HEAD_SIZE);
        if let Some(Ok(n)) = self.down.link().try_recv(buf.room())
            && n > 0
        {
            buf.advance(n);
            *self.down.pending() = Some(buf);
        }
    }

    /// Reads the bytes at hand as a request, so that HTTP criteria can decide: for it, or that it is none.
    fn look_for_http(&mut self) {
        let Some(first) = self.down.pending().as_ref().filter(|first| !first.is_empty()) else { return };
        let txn = &mut *self.txn;
        if txn.req.is_complete() || txn.is_not_http {
            return;
        }
        let mut buf = Buf::take(HEAD_SIZE.max(first.len()));
        buf.push(first.data());
        txn.req.reset();
        txn.req.buf = buf;
        let options = self.route.view.h1_request[self.route.front_id.0 as usize];
        if let Parse::Bad(bad) = txn.req.parse_request(&options) {
            txn.is_not_http = true;
            txn.is_http2 = bad.reason == Reason::Http2Preface;
            txn.req.reset();
        }
    }

    /// More of the client's first bytes, unless the time is over or the buffer full.
    async fn await_content(&mut self, until: u64) {
        let link = self.down.link().clone();
        let first = self.down.pending().get_or_insert_with(|| Buf::take(HEAD_SIZE));
        if first.room_len() == 0 {
            self.txn.inspect_over = true;
            return;
        }
        match link.recv(first.room(), until).await {
            Ok(n) if n > 0 => first.advance(n),
            _ => self.txn.inspect_over = true,
        }
    }

    /// A server that takes the connection. What the client has sent already goes with it; if nothing, the connection is
    /// waited for, as some protocols let the server speak first.
    async fn establish(&mut self) -> Result<(), Halt> {
        let Some(back) = self.route.back.back.as_ref() else {
            return Err(Halt::Drop(End::new(Cause::ServerAbort, Phase::Connect, 0)));
        };
        if !self.route.front.options.independent_streams {
            self.read_ahead();
        }
        let mut attempt = Attempt::new(back, self.txn);
        if back.balance_expr.is_some() {
            let first = self.down.pending().as_ref().map_or(&[][..], Buf::data);
            self.txn.req_body = bytes::Bytes::copy_from_slice(first);
        }
        if let Some(name) = back.desktop_cookie.as_deref().filter(|_| !self.is_forced(back)) {
            self.find_desktop(name);
        }
        if !back.sticking.is_empty() {
            let is_assigned = self.txn.sticky.server != 0 || self.is_forced(back);
            self.find_sticky(back, is_assigned);
        }
        loop {
            self.obtain(&mut attempt, Carries::Bytes).await?;
            match self.send_first().await {
                Ok(()) => break,
                Err(e) => {
                    let timeout = e.kind() == ErrorKind::TimedOut;
                    let failure = Failure::Connect { reused: false, timeout };
                    self.after_failure(back, &mut attempt, failure).await?;
                }
            }
        }
        if let Some(hold) = &mut self.hold {
            hold.was_used = true;
            hold.slot.server().live.seen(Seen::Connected);
        }
        self.txn.timers.connected = self.now();
        self.txn.timers.response = self.now();
        Ok(())
    }

    /// Sees a connection through: by its first data, or by waiting for it.
    async fn send_first(&mut self) -> std::io::Result<()> {
        let ms = self.txn.timeouts.connect_ms.unwrap_or(self.route.back.timeouts.connect);
        let until = if ms == 0 { NEVER } else { self.s.worker.rt.after_ms(ms) };
        let Some(hold) = &mut self.hold else { return Err(ErrorKind::NotConnected.into()) };
        let preface = hold.upstream.take_preface();
        let link = hold.link().clone();
        let Some(first) = self.down.pending().as_ref().filter(|first| !first.is_empty()) else {
            link.send_all(&preface, false, until).await.map_err(|(_, e)| e)?;
            return link.established(until).await;
        };
        link.send_all(&preface, true, until).await.map_err(|(_, e)| e)?;
        link.send_all(first.data(), false, until).await.map_err(|(_, e)| e)?;
        self.txn.bytes_in += first.data().len() as u64;
        *self.down.pending() = None;
        Ok(())
    }

    /// Counters and log line.
    fn finish(&mut self, result: Result<(), Halt>) {
        let end = match result {
            Ok(()) => End::default(),
            Err(Halt::End(end) | Halt::Drop(end)) => end,
            Err(_) => End::new(Cause::Proxy, Phase::Request, 0),
        };
        self.end = end;
        self.txn.timers.closed = self.now();
        self.txn.set_end(end.flags());
        self.route.leave();
        self.release_server();
        access::count_tcp(self);
        self.track_end();
        let hold = self.hold.take();
        let link = hold.as_ref().map(|hold| hold.link().clone());
        let server = hold.map(|hold| hold.slot.server().clone()).or(self.tried.take());
        if self.txn.bytes_in == 0 && self.route.front.options.dontlognull {
            return;
        }
        let failed = end.cause != Cause::Normal;
        access::log(self.s, self.txn, &self.route, (server.as_ref(), link.as_deref()), failed);
    }
}
