//! The request to the server and the response back: sending, retries, forwarding.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::task::Poll;

use crate::base::buf::{BODY_SIZE, Buf, HEAD_SIZE};
use crate::base::clock::MS;
use crate::config::{Backend, HttpConnection};
use crate::http::{BodyLen, Chunks, Hop, Parse, Slices, Version};
use crate::model::Seen;
use crate::rt::{Conn, NEVER};

use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::route::{Attempt, Chooser};
use super::stream::{Halt, Received, Stream, is_idempotent};
use super::transfer::{Broken, Extent, Side, Way};

/// What went wrong with one try.
enum Failure {
    /// The connection could not be made, or an idle one had ended; nothing was processed.
    Connect {
        reused: bool,
        timeout: bool,
    },
    /// The server closed before it said anything.
    Empty,
    /// It closed within the head.
    Cut,
    /// It answered with a status that `retry-on` names.
    Status,
    /// It said nonsense.
    Junk,
    Timeout,
    /// Final.
    Halt(Halt),
}

pub(super) const BAD_GATEWAY: End = End::new(Cause::ServerAbort, Phase::Headers, 502);

impl Stream<'_> {
    /// Sends the request to a server, retrying as the backend says, and forwards the response.
    pub(super) async fn exchange(&mut self) -> Result<(), Halt> {
        let no_server = End::new(Cause::ServerAbort, Phase::Connect, 503);
        let Some(back) = self.back.back.as_ref() else {
            // Without a backend the request does not count as complete.
            self.txn.timers.request_done = 0;
            return Err(no_server.into());
        };
        let mut attempt = Attempt::new(back);
        self.make_unique_id();
        if let Some(cookie) = back.cookie.as_deref() {
            let forced = self.is_forced(back);
            self.read_cookie(cookie, forced);
            self.txn.sticky.is_direct = forced || self.txn.sticky.server != 0;
        }
        loop {
            self.obtain(&mut attempt).await?;
            self.tries_left = attempt.retries;
            match self.try_once().await {
                Ok(()) => break,
                Err(Failure::Halt(halt)) => return Err(halt),
                Err(failure) => self.after_failure(back, &mut attempt, failure).await?,
            }
        }
        self.respond().await
    }

    fn make_unique_id(&mut self) {
        let Some(front) = self.front.front.as_ref() else { return };
        let Some(format) = front.unique_id_format.clone() else { return };
        if self.txn.unique_id.is_none() {
            let mut id = Vec::new();
            format.render(crate::rules::Ctx { txn: self.txn, env: &self.env() }, &mut id);
            self.txn.unique_id = Some(id.into());
        }
        if let (Some(name), Some(id)) = (&front.unique_id_header, &self.txn.unique_id) {
            self.txn.req.add(name, id);
        }
    }

    /// A server, its slot and a connection (which may still be under way).
    async fn obtain(&mut self, attempt: &mut Attempt) -> Result<(), Halt> {
        let id = self.back_id.unwrap_or(self.s.front);
        let env = StreamEnv::of(self.s, self.view, self.back_id, None);
        loop {
            let chooser = Chooser { session: self.s, view: self.view, proxy: self.back, id };
            let slot = chooser.slot(self.txn, attempt, &env).await?;
            self.txn.timers.queue_done = self.s.worker.rt.now();
            match chooser.connect(slot, true) {
                Ok(upstream) => {
                    self.upstream = Some(upstream);
                    return Ok(());
                }
                Err((slot, _)) => {
                    slot.server.live.counters.mine().err_conn.inc();
                    slot.server.live.seen(Seen::ConnectFailed);
                    self.back.live.back.counters.mine().err_conn.inc();
                    drop(slot);
                    if attempt.retries == 0 {
                        return Err(End::new(Cause::ServerAbort, Phase::Connect, 503).into());
                    }
                    attempt.retries -= 1;
                    self.txn.retries += 1;
                    let until = self.s.worker.rt.now() + chooser.turn_around_ns();
                    self.s.worker.rt.sleep_until(until).await;
                }
            }
        }
    }

    async fn try_once(&mut self) -> Result<(), Failure> {
        self.send_request().await?;
        self.await_response().await
    }

    /// `retry-on 503 ...`, while another try is left and the request can be sent again.
    fn is_retried(&self, status: u16) -> bool {
        let listed = self.back.back.as_ref().is_some_and(|b| b.retry_on.statuses.contains(&status));
        listed && self.tries_left > 0 && self.can_repeat()
    }

    /// The whole request lies in its buffer.
    fn can_repeat(&self) -> bool {
        self.upload.is_none() && matches!(self.received, Received::Whole(end) if end >= self.txn.req.len)
    }

    /// The head, and the part of the body that is there, in one write.
    async fn send_request(&mut self) -> Result<(), Failure> {
        let Some(upstream) = self.upstream.as_mut() else { return Err(Failure::Empty) };
        let Some(conn) = upstream.conn.clone() else { return Err(Failure::Empty) };
        let reused = upstream.uses > 0;
        if let Some(name) = self.back.back.as_ref().and_then(|b| b.send_name_header.as_deref()) {
            self.txn.req.set(name, upstream.slot.server.spec.name.as_bytes());
        }
        let keep_server = self.back.options.http_connection == HttpConnection::KeepAlive
            && self.front.options.http_connection == HttpConnection::KeepAlive;
        let pretend = self.back.options.http_pretend_keepalive;
        let hop = if self.txn.req.upgrade {
            Hop::Upgrade
        } else if keep_server || pretend {
            Hop::KeepAlive
        } else {
            Hop::Close
        };
        upstream.keep = keep_server && upstream.slot.server.spec.send_proxy == 0;
        let preface = std::mem::take(&mut upstream.preface);
        let now = conn.rt().now();
        let connect_until = if reused {
            later(now, self.back.timeouts.server)
        } else {
            later(now, self.back.timeouts.connect)
        };
        let (extent, have) = body_in_buffer(self.txn).map_err(|end| Failure::Halt(end.into()))?;
        let sent = {
            let mut slices = Slices::new();
            if !preface.is_empty() {
                slices.push(&preface);
            }
            self.txn.req.slices(hop, &mut slices);
            let body =
                self.txn.req.buf.written().get(self.txn.req.len..self.txn.req.len + have).unwrap_or_default();
            slices.push(body);
            send(&conn, &slices, connect_until).await.map(|()| slices.len() - preface.len())
        };
        match sent {
            Ok(n) => self.request_sent(n),
            Err((0, e)) => {
                return Err(Failure::Connect { reused, timeout: e.kind() == ErrorKind::TimedOut });
            }
            Err(_) => {}
        }
        let client_ms = self.txn.timeouts.client_ms.unwrap_or(self.front.timeouts.client);
        let server_ms = self.txn.timeouts.server_ms.unwrap_or(self.back.timeouts.server);
        self.patience.restart(conn.rt().now(), client_ms, server_ms);
        self.upload = match extent {
            None => None,
            Some(extent) => {
                let from = (self.s.conn.clone(), Side::Client);
                Some(Way::new(from, (conn, Side::Server), self.patience.clone(), extent, true))
            }
        };
        self.received =
            if self.upload.is_some() { Received::Partly } else { Received::Whole(self.txn.req.len + have) };
        Ok(())
    }

    fn request_sent(&mut self, n: usize) {
        let now = self.now();
        if self.txn.timers.connected == 0 || self.txn.retries > 0 {
            self.txn.timers.connected = now;
        }
        self.txn.bytes_in += n.saturating_sub(self.txn.req.len) as u64;
        if let Some(conn) = self.upstream.as_ref().and_then(|u| u.conn.as_ref())
            && (self.back.needs_server_address || self.front.needs_server_address)
        {
            self.txn.server_local = conn.local().map(super::session::endpoint_of).unwrap_or_default();
        }
        if let Some(upstream) = &self.upstream {
            upstream.slot.server.live.seen(Seen::Connected);
            self.txn.server_remote = match upstream.slot.server.spec.address {
                crate::model::Address::Inet(a) => crate::rules::Endpoint::Inet(a),
                _ => crate::rules::Endpoint::Unix,
            };
        }
    }

    /// Reads until the head of a final response is complete, forwarding the request's body meanwhile.
    async fn await_response(&mut self) -> Result<(), Failure> {
        loop {
            self.read_head().await?;
            let status = self.txn.res.status;
            if let Some(upstream) = &self.upstream {
                let good = status < 500 || matches!(status, 501 | 505);
                upstream.slot.server.live.seen(if good { Seen::GoodResponse } else { Seen::WrongStatus });
            }
            if status >= 200 || status == 101 {
                return if self.is_retried(status) { Err(Failure::Status) } else { Ok(()) };
            }
            self.forward_interim().await.map_err(Failure::Halt)?;
        }
    }

    async fn read_head(&mut self) -> Result<(), Failure> {
        let Some(upstream) = self.upstream.as_ref() else { return Err(Failure::Empty) };
        let Some(conn) = upstream.conn.clone() else { return Err(Failure::Empty) };
        if self.txn.res.buf.capacity() == 0 {
            self.txn.res.buf = Buf::take(if upstream.large_responses { BODY_SIZE } else { HEAD_SIZE });
        }
        let options = self.view.h1_response[self.back_id.unwrap_or(self.s.front).0 as usize];
        let method = self.txn.req.method;
        loop {
            if !self.txn.res.buf.is_empty() {
                match self.txn.res.parse_response(method, &options) {
                    Parse::Done => return Ok(()),
                    Parse::Bad(bad) => {
                        self.keep_invalid_response(bad.at);
                        return Err(Failure::Junk);
                    }
                    Parse::More if self.txn.res.buf.room_len() == 0 => return Err(Failure::Junk),
                    Parse::More => {}
                }
            }
            let got = self.receive_some(&conn, NEVER).await;
            match got {
                Ok(0) if self.txn.res.buf.is_empty() => return Err(Failure::Empty),
                Ok(0) => return Err(Failure::Cut),
                Ok(n) => self.txn.res.buf.advance(n),
                Err(Got::Server(e)) if e.kind() == ErrorKind::TimedOut => return Err(Failure::Timeout),
                Err(Got::Server(_)) if self.txn.res.buf.is_empty() => return Err(Failure::Empty),
                Err(Got::Server(_)) => return Err(Failure::Cut),
                Err(Got::Client(end)) => return Err(Failure::Halt(end.into())),
            }
        }
    }

    /// Bytes from the server, while the upload goes on.
    pub(super) async fn receive_some(&mut self, conn: &Conn, limit: u64) -> Result<usize, Got> {
        let Stream { txn, upload, patience, received, surplus, .. } = self;
        poll_fn(|_| {
            if let Some(way) = upload.as_mut() {
                match way.poll() {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => {
                        txn.bytes_in += way.moved;
                        *received = Received::Whole(txn.req.buf.written().len());
                        *surplus = std::mem::take(&mut way.surplus);
                        *upload = None;
                        patience.renew(Side::Server, conn.rt().now());
                    }
                    Poll::Ready(Err(broken)) => {
                        txn.bytes_in += way.moved;
                        *upload = None;
                        if let Some(end) = upload_end(&broken) {
                            return Poll::Ready(Err(Got::Client(end)));
                        }
                        // The server does not want the rest; it may have said why.
                    }
                }
            }
            // While the client is still sending, its timeout counts and the server's does not.
            let until = if upload.is_some() { NEVER } else { patience.until(Side::Server) };
            conn.poll_recv(txn.res.buf.room(), until.min(limit)).map_err(Got::Server)
        })
        .await
    }

    /// 100 and 103 go to the client as they came; one of HTTP/1.0 does not know them.
    async fn forward_interim(&mut self) -> Result<(), Halt> {
        if self.txn.req.version != Version::Http10 {
            let mut slices = Slices::new();
            self.txn.res.slices(Hop::AsIs, &mut slices);
            let until = self.patience.until(Side::Client);
            let n = slices.len();
            if send(&self.s.conn, &slices, until).await.is_err() {
                return Err(End::new(Cause::ClientAbort, Phase::Headers, 0).into());
            }
            self.txn.bytes_out += n as u64;
        }
        let res = &mut self.txn.res;
        let used = res.len.saturating_sub(res.buf.start());
        res.buf.consume(used);
        if res.buf.is_empty() {
            res.buf.clear();
        }
        res.reset();
        Ok(())
    }

    /// Decides about another try, and waits for its time.
    async fn after_failure(
        &mut self,
        back: &Backend,
        attempt: &mut Attempt,
        failure: Failure,
    ) -> Result<(), Halt> {
        let on = &back.retry_on;
        let whole = self.can_repeat();
        let idempotent = is_idempotent(self.txn.req.method);
        let (again, end) = match &failure {
            Failure::Connect { reused: true, .. } => (true, BAD_GATEWAY),
            Failure::Connect { timeout: true, .. } => {
                (on.conn_failure, End::new(Cause::ServerTimeout, Phase::Connect, 503))
            }
            Failure::Connect { .. } => (on.conn_failure, End::new(Cause::ServerAbort, Phase::Connect, 503)),
            // An idle connection that ended while the request was under way: as good as not sent, if repeating
            // it does no harm.
            Failure::Empty if self.was_reused() && idempotent && whole => (true, BAD_GATEWAY),
            Failure::Empty => (on.empty_response && whole, BAD_GATEWAY),
            Failure::Status => (whole, BAD_GATEWAY),
            Failure::Cut => (on.junk_response && whole, BAD_GATEWAY),
            Failure::Junk => (on.junk_response && whole, End::new(Cause::Proxy, Phase::Headers, 502)),
            Failure::Timeout => {
                (on.response_timeout && whole, End::new(Cause::ServerTimeout, Phase::Headers, 504))
            }
            Failure::Halt(_) => (false, BAD_GATEWAY),
        };
        let stale = matches!(failure, Failure::Connect { reused: true, .. })
            || (matches!(failure, Failure::Empty) && self.was_reused());
        self.count_failure(&failure, stale);
        self.tell_failure(&failure, stale);
        let again = again && self.upstream.as_ref().is_none_or(|u| u.cut().is_none());
        if !again || (!stale && attempt.retries == 0) {
            return Err(end.into());
        }
        let failed = self.upstream.take();
        self.upload = None;
        self.txn.res.buf = Buf::default();
        self.txn.res.reset();
        if stale {
            return Ok(());
        }
        attempt.retries -= 1;
        self.txn.retries += 1;
        self.back.live.back.counters.mine().wretr.inc();
        let id = self.back_id.unwrap_or(self.s.front);
        let chooser = Chooser { session: self.s, view: self.view, proxy: self.back, id };
        let same = !chooser.redispatches(attempt);
        if let Some(upstream) = failed {
            upstream.slot.server.live.counters.mine().wretr.inc();
            if !same {
                attempt.choose = true;
                attempt.failed = self
                    .view
                    .servers(id)
                    .and_then(|set| set.by_name(&upstream.slot.server.spec.name).map(|(i, _)| i));
                upstream.slot.server.live.counters.mine().wredis.inc();
                self.back.live.back.counters.mine().wredis.inc();
                self.txn.redispatched = true;
                self.txn.unstick();
            }
        }
        if same && matches!(failure, Failure::Connect { timeout: false, .. }) {
            let pause = Chooser { session: self.s, view: self.view, proxy: self.back, id }.turn_around_ns();
            let rt = self.s.worker.rt;
            rt.sleep_until(rt.now() + pause).await;
        }
        Ok(())
    }

    /// Tells `observe` what went wrong.
    fn tell_failure(&self, failure: &Failure, stale: bool) {
        let Some(upstream) = self.upstream.as_ref().filter(|u| !stale && u.cut().is_none()) else { return };
        upstream.slot.server.live.seen(match failure {
            Failure::Connect { .. } => Seen::ConnectFailed,
            Failure::Empty | Failure::Cut => Seen::Closed,
            Failure::Junk => Seen::BadHeaders,
            Failure::Timeout => Seen::ReadTimeout,
            Failure::Status | Failure::Halt(_) => return,
        });
    }

    fn was_reused(&self) -> bool {
        self.upstream.as_ref().is_some_and(|u| u.uses > 0)
    }

    fn count_failure(&mut self, failure: &Failure, stale: bool) {
        let (Some(upstream), false) = (&mut self.upstream, stale) else { return };
        upstream.keep = false;
        let (server, back) = (upstream.slot.server.live.counters.mine(), self.back.live.back.counters.mine());
        match failure {
            Failure::Connect { .. } => {
                server.err_conn.inc();
                back.err_conn.inc();
            }
            Failure::Halt(_) => {}
            _ => {
                server.err_resp.inc();
                back.err_resp.inc();
            }
        }
    }

    /// Gives the server's connection back.
    pub(super) fn finish_server(&mut self) {
        if let Some(upstream) = &mut self.upstream {
            upstream.release(self.s.worker);
        }
    }
}

pub(super) enum Got {
    Server(io::Error),
    Client(End),
}

pub(super) fn later(now: u64, ms: u64) -> u64 {
    if ms == 0 { NEVER } else { now.saturating_add(ms * MS) }
}

/// What of the request's body lies behind its head already, and what is to come.
pub(super) fn body_in_buffer(txn: &crate::rules::Txn) -> Result<(Option<Extent>, usize), End> {
    let req = &txn.req;
    let received = req.buf.written().get(req.len..).unwrap_or_default();
    match req.body {
        BodyLen::Length(n) => {
            let have = n.min(received.len() as u64);
            let left = n - have;
            Ok(((left > 0).then_some(Extent::Length(left)), have as usize))
        }
        BodyLen::Chunked => {
            let mut chunks = Chunks::new(false);
            match chunks.scan(received) {
                Ok(scan) if chunks.is_done() => Ok((None, scan.consumed)),
                Ok(scan) => Ok((Some(Extent::Chunked(Box::new(chunks))), scan.consumed)),
                Err(bad) => Err(End::new(Cause::Proxy, Phase::Data, bad.status)),
            }
        }
        _ => Ok((None, 0)),
    }
}

/// All slices, in one call while the kernel takes them. The error tells how much was written before it.
pub(super) async fn send(conn: &Conn, slices: &Slices<'_>, until: u64) -> Result<(), (usize, io::Error)> {
    if let [one] = slices.as_slice() {
        return send_one(conn, one, until).await;
    }
    let mut list: smallvec::SmallVec<[IoSlice<'_>; 16]> = slices.iter().map(IoSlice::new).collect();
    let mut rest = &mut list[..];
    let mut written = 0;
    while !rest.is_empty() {
        match poll_fn(|_| conn.poll_send_slices(rest, false, until)).await {
            Ok(n) => {
                written += n;
                IoSlice::advance_slices(&mut rest, n);
            }
            Err(e) => return Err((written, e)),
        }
    }
    Ok(())
}

async fn send_one(conn: &Conn, bytes: &[u8], until: u64) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match poll_fn(|_| conn.poll_send(&bytes[written..], false, until)).await {
            Ok(n) => written += n,
            Err(e) => return Err((written, e)),
        }
    }
    Ok(())
}

pub(super) fn client_end(e: &io::Error) -> End {
    if e.kind() == ErrorKind::TimedOut {
        End::new(Cause::ClientTimeout, Phase::Data, 0)
    } else {
        End::new(Cause::ClientAbort, Phase::Data, 0)
    }
}

fn upload_end(broken: &Broken) -> Option<End> {
    match broken {
        Broken::Read(e) if e.kind() == ErrorKind::TimedOut => {
            Some(End::new(Cause::ClientTimeout, Phase::Data, 408))
        }
        Broken::Read(_) | Broken::Short => Some(End::new(Cause::ClientAbort, Phase::Data, 400)),
        Broken::Malformed => Some(End::new(Cause::Proxy, Phase::Data, 400)),
        Broken::Write(_) => None,
    }
}
