//! A server's response on its way to the client: rules, head, body, and the tunnel that an upgrade makes of both
//! connections.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::Poll;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::http::{BodyLen, Chunks, Hop, Slices, Version};
use crate::rules::{Outcome, RuleSet, Txn, Wait};

use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::exchange::{BAD_GATEWAY, Got, client_end, later, send};
use super::stream::{Halt, Received, Stream, capture};
use super::transfer::{Broken, Extent, Side, Way};
use super::tunnel;

impl Stream<'_> {
    /// The response: rules, head with the first part of the body in one write, the rest of the body.
    pub(super) async fn respond(&mut self) -> Result<(), Halt> {
        let now = self.now();
        self.txn.timers.response = now;
        self.capture_response();
        if self.txn.res.status == 101 && !self.txn.req.upgrade {
            // Nobody asked for another protocol.
            return Err(End::new(Cause::Proxy, Phase::Headers, 502).into());
        }
        if self.txn.res.version == Version::Http10 && self.txn.res.body == BodyLen::Chunked {
            self.txn.res.modernise();
            self.keep_client = false;
        }
        if self.txn.res.status == 101 || self.txn.res.body == BodyLen::Tunnel {
            return self.upgrade().await;
        }
        self.response_rules().await?;
        self.txn.status = self.txn.res.status;
        let res = &self.txn.res;
        let body = res.body;
        let received = res.buf.written().len().saturating_sub(res.len);
        let keep_server = res.keep_alive && !matches!(body, BodyLen::UntilClose | BodyLen::Tunnel);
        let mut extent = match body {
            BodyLen::None | BodyLen::Tunnel => Extent::Length(0),
            BodyLen::Length(n) => Extent::Length(n),
            BodyLen::Chunked => Extent::Chunked(Box::new(Chunks::new(true))),
            BodyLen::UntilClose => Extent::Close,
        };
        let taken = match &mut extent {
            Extent::Length(n) => {
                let taken = (*n).min(received as u64);
                *n -= taken;
                taken as usize
            }
            Extent::Chunked(chunks) => {
                let bytes = &res.buf.written()[res.len..];
                match chunks.scan(bytes) {
                    Ok(scan) => scan.consumed,
                    Err(_) => return Err(End::new(Cause::Proxy, Phase::Headers, 502).into()),
                }
            }
            Extent::Close => received,
        };
        if let Some(upstream) = &mut self.upstream {
            upstream.keep &= keep_server && taken == received;
            let large = received >= HEAD_SIZE / 2 || extent_len(&extent) > 0;
            if large != upstream.large_responses {
                self.s.worker.pools.note_size(&upstream.slot.server, large);
            }
        }
        self.keep_client &= body != BodyLen::UntilClose;
        if body == BodyLen::Chunked && self.txn.req.version == Version::Http10 {
            return self.respond_decoded().await;
        }
        self.send_head(taken).await?;
        let done = match &extent {
            Extent::Length(n) => *n == 0,
            Extent::Chunked(chunks) => chunks.is_done(),
            Extent::Close => false,
        };
        self.txn.res.buf = Buf::default();
        if done { self.finish_upload().await } else { self.forward_body(extent).await }
    }

    async fn send_head(&mut self, taken: usize) -> Result<(), Halt> {
        let hop = Hop::to_client(self.keep_client, self.txn.req.version);
        let res = &self.txn.res;
        let mut slices = Slices::new();
        res.slices(hop, &mut slices);
        let written = res.buf.written();
        match untouched(&slices, written, res.len) {
            // Nothing was done to the head: it leaves with the body behind it as one piece.
            Some(start) => {
                slices.clear();
                slices.push(written.get(start..res.len + taken).unwrap_or_default());
            }
            None => slices.push(written.get(res.len..res.len + taken).unwrap_or_default()),
        }
        let until = self.patience.until(Side::Client);
        self.answered = true;
        match send(&self.s.conn, &slices, until).await {
            Ok(()) => {
                self.txn.bytes_out += slices.len() as u64;
                Ok(())
            }
            Err((n, e)) => {
                self.txn.bytes_out += n as u64;
                Err(client_end(&e).into())
            }
        }
    }

    /// A chunked response for a client of HTTP/1.0: without the chunks, and ended by the connection's end.
    async fn respond_decoded(&mut self) -> Result<(), Halt> {
        self.keep_client = false;
        let received = self.txn.res.buf.written().get(self.txn.res.len..).unwrap_or_default().to_vec();
        self.txn.res.set_body(BodyLen::UntilClose);
        self.send_head(0).await?;
        let mut chunks = Chunks::new(true);
        let Some(conn) = self.upstream.as_ref().and_then(|u| u.conn.clone()) else {
            return Err(BAD_GATEWAY.into());
        };
        let broken = End::new(Cause::ServerAbort, Phase::Data, 0);
        let mut input = received;
        loop {
            let mut data = Vec::with_capacity(input.len());
            chunks.decode(&input, |part| data.extend_from_slice(part)).map_err(|_| broken)?;
            let until = self.patience.until(Side::Client);
            self.s.conn.send_all(&data, false, until).await.map_err(|e| client_end(&e))?;
            self.txn.bytes_out += data.len() as u64;
            self.patience.renew(Side::Client, self.now());
            if chunks.is_done() {
                return Ok(());
            }
            input.resize(HEAD_SIZE, 0);
            let n = conn
                .recv(&mut input, later(self.now(), self.back.timeouts.server))
                .await
                .map_err(|_| broken)?;
            if n == 0 {
                return Err(broken.into());
            }
            input.truncate(n);
        }
    }

    fn capture_response(&mut self) {
        let Some(front) = self.front.front.as_ref() else { return };
        if let Some(wanted) = &front.cookie_capture {
            self.txn.res_cookie = super::persist::captured(&self.txn.res, b"set-cookie", wanted);
        }
        for (slot, wanted) in self.txn.res_captures.iter_mut().zip(&front.res_captures) {
            if let Some(name) = wanted.name.as_deref() {
                *slot = capture(self.txn.res.values(name).last(), wanted.len);
            }
        }
    }

    /// `http-response` of the backend, then of the frontend, then `http-after-response` likewise.
    async fn response_rules(&mut self) -> Result<(), Halt> {
        let (back, front) = (self.back, self.front);
        let same = self.back_id == Some(self.s.front);
        self.run_response(&back.rules.tcp_response).await?;
        self.run_response(&back.rules.http_response).await?;
        if !same {
            self.run_response(&front.rules.http_response).await?;
        }
        self.write_cookie();
        self.after_response();
        Ok(())
    }

    async fn run_response(&mut self, rules: &RuleSet) -> Result<(), Halt> {
        if rules.is_empty() {
            return Ok(());
        }
        let mut at = 0;
        while self.run_response_from(rules, &mut at)? {
            if let Wait::Body { time_ms, at_least } = self.txn.wait {
                Box::pin(self.await_response_body(time_ms, at_least)).await?;
            }
            self.txn.response_awaited = true;
        }
        Ok(())
    }

    /// True when the rules wait for the response's body.
    fn run_response_from(&mut self, rules: &RuleSet, at: &mut usize) -> Result<bool, Halt> {
        let env =
            StreamEnv::of(self.s, self.view, self.back_id, self.upstream.as_ref().map(|u| &u.slot.server));
        match rules.run(self.txn, &env, at) {
            Outcome::Wait if !self.txn.response_awaited => Ok(true),
            Outcome::Final { reply, denied } => {
                if denied {
                    // What the server said was no valid response.
                    self.txn.timers.response = 0;
                    self.back.live.back.counters.mine().denied_resp.inc();
                }
                Err(Halt::Reply { reply: Box::new(reply), denied })
            }
            Outcome::Error => {
                self.txn.timers.response = 0;
                Err(End::new(Cause::Internal, Phase::Headers, 500).into())
            }
            Outcome::Close { .. } => Err(Halt::Drop(End::new(Cause::Proxy, Phase::Headers, 0))),
            _ => Ok(false),
        }
    }

    /// `http-response wait-for-body`: reads on behind the head, as far as it fits its buffer, for `time_ms` at most.
    async fn await_response_body(&mut self, time_ms: u64, at_least: u64) -> Result<(), Halt> {
        let Some(conn) = self.upstream.as_ref().and_then(|u| u.conn.clone()) else { return Ok(()) };
        let until = conn.rt().after_ms(time_ms);
        while self.txn.res.buf.room_len() > 0 {
            let res = &self.txn.res;
            let bytes = res.buf.written().get(res.len..).unwrap_or_default();
            let is_enough = match res.body {
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
            match self.receive_some(&conn, until).await {
                Ok(0) if res_ends(self.txn) => break,
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

    async fn forward_body(&mut self, extent: Extent) -> Result<(), Halt> {
        let Some(conn) = self.upstream.as_ref().and_then(|u| u.conn.clone()) else {
            return Err(BAD_GATEWAY.into());
        };
        let mut down = Way::new(
            (conn, Side::Server),
            (self.s.conn.clone(), Side::Client),
            self.patience.clone(),
            extent,
            true,
        );
        self.patience.renew(Side::Client, self.now());
        self.patience.renew(Side::Server, self.now());
        let client = self.s.conn.clone();
        let Stream { txn, upload, received, surplus, .. } = self;
        let result = poll_fn(|_| {
            if let Some(way) = upload.as_mut()
                && let Poll::Ready(result) = way.poll()
            {
                txn.bytes_in += way.moved;
                if result.is_ok() {
                    *received = Received::Whole(txn.req.buf.written().len());
                    *surplus = std::mem::take(&mut way.surplus);
                }
                *upload = None;
            }
            match down.poll() {
                Poll::Pending if client.is_broken() => {
                    Poll::Ready(Err(Broken::Write(ErrorKind::ConnectionReset.into())))
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
        match result {
            Ok(()) => {
                if let Some(upstream) = &mut self.upstream {
                    upstream.keep &= down.surplus.is_empty();
                }
                self.finish_upload().await
            }
            Err(broken) => Err(download_end(&broken).into()),
        }
    }

    /// The response is complete while the request is not: the rest of the request decides nothing any more.
    async fn finish_upload(&mut self) -> Result<(), Halt> {
        if self.upload.take().is_some() {
            self.keep_client = false;
            if let Some(upstream) = &mut self.upstream {
                upstream.keep = false;
            }
        }
        Ok(())
    }

    /// 101, or 2xx to CONNECT: from here on bytes are just bytes.
    async fn upgrade(&mut self) -> Result<(), Halt> {
        self.keep_client = false;
        self.response_rules().await?;
        self.txn.status = self.txn.res.status;
        let hop = if self.txn.res.status == 101 { Hop::Upgrade } else { Hop::AsIs };
        let received = self.txn.res.buf.written().len().saturating_sub(self.txn.res.len);
        {
            let res = &self.txn.res;
            let mut slices = Slices::new();
            res.slices(hop, &mut slices);
            slices.push(res.buf.written().get(res.len..res.len + received).unwrap_or_default());
            let until = self.patience.until(Side::Client);
            self.answered = true;
            send(&self.s.conn, &slices, until).await.map_err(|(_, e)| client_end(&e))?;
            self.txn.bytes_out += slices.len() as u64;
        }
        self.txn.res.buf = Buf::default();
        let Some(upstream) = &mut self.upstream else { return Ok(()) };
        upstream.keep = false;
        let Some(conn) = upstream.conn.clone() else { return Ok(()) };
        let mut first = Vec::new();
        if self.upload.is_none() {
            let req = &self.txn.req;
            first = req.buf.written().get(req.len..).unwrap_or_default().to_vec();
        }
        self.upload = None;
        self.txn.req.buf.clear();
        self.received = Received::Whole(0);
        let (client_ms, server_ms) = tunnel::timeouts(self.front, self.back);
        let ends = tunnel::Ends { client: self.s.conn.clone(), server: conn };
        let fin = (&self.front.timeouts, &self.back.timeouts);
        // HTTP knows no half-closed connection: what the server has ended is over.
        let moved = tunnel::run(&ends, first, (client_ms, server_ms), fin, || true).await;
        self.txn.bytes_in += moved.up;
        self.txn.bytes_out += moved.down;
        match moved.end {
            None => Ok(()),
            Some(end) => Err(Halt::Drop(end)),
        }
    }
}

/// The body ends with the connection, which has ended.
fn res_ends(txn: &Txn) -> bool {
    txn.res.body == BodyLen::UntilClose
}

/// Where a head that is written as it was received begins, if this one is: it then ends at `len`.
fn untouched(slices: &Slices<'_>, written: &[u8], len: usize) -> Option<usize> {
    let [one] = slices.as_slice() else { return None };
    let start = len.checked_sub(one.len())?;
    std::ptr::eq(written.get(start..len)?.as_ptr(), one.as_ptr()).then_some(start)
}

fn extent_len(extent: &Extent) -> u64 {
    match extent {
        Extent::Length(n) => *n,
        Extent::Chunked(_) => 0,
        Extent::Close => 0,
    }
}

fn download_end(broken: &Broken) -> End {
    match broken {
        Broken::Read(e) if e.kind() == ErrorKind::TimedOut => End::new(Cause::ServerTimeout, Phase::Data, 0),
        Broken::Read(_) | Broken::Short | Broken::Malformed => End::new(Cause::ServerAbort, Phase::Data, 0),
        Broken::Write(e) => client_end(e),
    }
}
