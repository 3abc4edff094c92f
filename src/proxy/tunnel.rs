//! TCP mode, and what follows an accepted Upgrade or CONNECT: bytes in both directions until both have ended.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::Poll;

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::MS;
use crate::config::{Proxy, Timeouts};
use crate::model::{ProxyId, Seen, Server};
use crate::rt::{Conn, NEVER};
use crate::rules::{Ctx, Outcome, Txn};

use super::access;
use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::route::{Attempt, Chooser, switch};
use super::server::Upstream;
use super::session::Session;
use super::stream::BackendSlot;
use super::transfer::{Broken, Extent, Patience, Side, Way};
use super::worker::View;

/// The two connections of a tunnel.
pub struct Ends {
    pub client: Rc<Conn>,
    pub server: Rc<Conn>,
}

/// Bytes that went through, and why it ended if not by both sides' wish.
pub struct Moved {
    pub up: u64,
    pub down: u64,
    pub end: Option<End>,
}

/// `timeout tunnel` rules both sides where it is set.
pub fn timeouts(front: &Proxy, back: &Proxy) -> (u64, u64) {
    let tunnel = if back.timeouts.tunnel > 0 { back.timeouts.tunnel } else { front.timeouts.tunnel };
    if tunnel > 0 { (tunnel, tunnel) } else { (front.timeouts.client, back.timeouts.server) }
}

/// Forwards until both directions have ended. `first` was read from the client already. When the server has ended its
/// direction, `is_over` tells whether that ends the other one too.
pub async fn run(
    ends: &Ends,
    first: Vec<u8>,
    (client_ms, server_ms): (u64, u64),
    fin: (&Timeouts, &Timeouts),
    is_over: impl Fn() -> bool,
) -> Moved {
    let rt = ends.client.rt();
    let patience = Rc::new(Patience::new(rt.now(), client_ms, server_ms));
    let (client, server) = ((ends.client.clone(), Side::Client), (ends.server.clone(), Side::Server));
    let mut up = Way::new(client.clone(), server.clone(), patience.clone(), Extent::Close, true);
    let mut down = Way::new(server, client, patience.clone(), Extent::Close, true);
    if !first.is_empty() {
        let mut buf = Buf::take(HEAD_SIZE.max(first.len()));
        buf.push(&first);
        let _ = up.begin_with(buf);
    }
    let (mut up_done, mut down_done) = (false, false);
    let end = poll_fn(|_| {
        if !up_done {
            match up.poll() {
                Poll::Ready(Ok(())) => {
                    up_done = true;
                    ends.server.shutdown_write();
                    if fin.0.client_fin > 0 {
                        patience.change(Side::Client, fin.0.client_fin, rt.now());
                    }
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Some(tunnel_end(&broken, Side::Client))),
                Poll::Pending => {}
            }
        }
        if !down_done {
            match down.poll() {
                Poll::Ready(Ok(())) => {
                    down_done = true;
                    if is_over() {
                        return Poll::Ready(None);
                    }
                    ends.client.shutdown_write();
                    if fin.1.server_fin > 0 {
                        patience.change(Side::Server, fin.1.server_fin, rt.now());
                    }
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Some(tunnel_end(&broken, Side::Server))),
                Poll::Pending => {}
            }
        }
        if up_done && down_done { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    Moved { up: up.moved, down: down.moved, end }
}

/// `from` is the side that the broken direction reads.
fn tunnel_end(broken: &Broken, from: Side) -> End {
    let (side, e) = match (broken, from) {
        (Broken::Read(e), side) => (side, Some(e)),
        (Broken::Write(e), Side::Client) => (Side::Server, Some(e)),
        (Broken::Write(e), Side::Server) => (Side::Client, Some(e)),
        (_, side) => (side, None),
    };
    let late = e.is_some_and(|e| e.kind() == ErrorKind::TimedOut);
    let cause = match (side, late) {
        (Side::Client, true) => Cause::ClientTimeout,
        (Side::Client, false) => Cause::ClientAbort,
        (Side::Server, true) => Cause::ServerTimeout,
        (Side::Server, false) => Cause::ServerAbort,
    };
    End::new(cause, Phase::Data, 0)
}

/// Serves a connection in TCP mode from its first byte to its log line.
pub async fn serve(s: &mut Session, txn: &mut Txn, view: &Rc<View>) {
    let config = view.config();
    let front = config.proxy(s.front);
    s.introduce(txn);
    let now = s.worker.rt.now();
    txn.request_no = s.worker.next_request();
    txn.timers.request_start = s.accepted;
    txn.timers.request_done = now;
    txn.request_date_us = s.accept_date_us;
    let mut tcp = Tcp { s, txn, view, front, back: front, back_id: None, upstream: None, tried: None };
    let end = tcp.transact().await.err().unwrap_or_default();
    let Tcp { s, txn, back, back_id, mut upstream, tried, .. } = tcp;
    txn.timers.closed = s.worker.rt.now();
    txn.set_end(end.flags());
    if let Some(upstream) = &mut upstream {
        upstream.release(s.worker);
    }
    access::count_tcp(front, back, back_id, upstream.as_ref(), txn, end);
    let server = upstream.take().map(|u| u.slot.server.clone()).or(tried);
    access::log(s, txn, view, back_id, server.as_ref(), end.cause != Cause::Normal);
}

struct Tcp<'a> {
    s: &'a mut Session,
    txn: &'a mut Txn,
    view: &'a Rc<View>,
    front: &'a Proxy,
    back: &'a Proxy,
    back_id: Option<ProxyId>,
    upstream: Option<Upstream>,
    /// The server that failed last.
    tried: Option<Server>,
}

impl<'a> Tcp<'a> {
    async fn transact(&mut self) -> Result<(), End> {
        let rt = self.s.worker.rt;
        let mut first = Buf::default();
        self.content_rules(self.front, &mut first).await?;
        self.choose_backend()?;
        let back = self.back;
        let _slot = BackendSlot::enter(back, rt.now() / MS);
        if self.back_id != Some(self.s.front) {
            self.content_rules(back, &mut first).await?;
        }
        self.connect(&mut first).await?;
        let Some(conn) = self.upstream.as_ref().and_then(|u| u.conn.clone()) else {
            return Err(End::new(Cause::ServerAbort, Phase::Connect, 0));
        };
        let sent = first.len() as u64;
        drop(first);
        let ends = Ends { client: self.s.conn.clone(), server: conn };
        let patience = timeouts(self.front, back);
        let is_cut = || self.upstream.as_ref().is_some_and(|u| u.cut().is_some());
        let moved = run(&ends, Vec::new(), patience, (&self.front.timeouts, &back.timeouts), is_cut).await;
        self.txn.bytes_in += moved.up + sent;
        self.txn.bytes_out += moved.down;
        let cut = self.upstream.as_ref().and_then(Upstream::cut);
        match (moved.end, cut) {
            (_, Some(cause)) => Err(End::new(cause, Phase::Data, 0)),
            (Some(end), None) => Err(end),
            (None, None) => Ok(()),
        }
    }

    fn env(&self) -> StreamEnv<'_> {
        StreamEnv::of(self.s, self.view, self.back_id, self.upstream.as_ref().map(|u| &u.slot.server))
    }

    /// `tcp-request content` rules, which may wait for data until `inspect-delay` is over.
    async fn content_rules(&mut self, proxy: &Proxy, first: &mut Buf) -> Result<(), End> {
        if proxy.rules.tcp_content.is_empty() {
            return Ok(());
        }
        let rt = self.s.worker.rt;
        let until = rt.after_ms(proxy.rules.tcp_inspect_delay_ms);
        let mut at = 0;
        loop {
            let outcome = {
                let env = StreamEnv::of(self.s, self.view, self.back_id, None);
                self.txn.req_body = bytes::Bytes::copy_from_slice(first.data());
                proxy.rules.tcp_content.run(self.txn, &env, &mut at)
            };
            match outcome {
                Outcome::Close { .. } | Outcome::Final { .. } => {
                    proxy.live.front.counters.mine().denied_req.inc();
                    return Err(End::new(Cause::Proxy, Phase::Request, 0));
                }
                Outcome::Error => return Err(End::new(Cause::Internal, Phase::Request, 0)),
                Outcome::Wait if !self.txn.inspect_over => {
                    if first.capacity() == 0 {
                        *first = Buf::take(HEAD_SIZE);
                    }
                    let full = first.room_len() == 0;
                    let until = if proxy.rules.tcp_inspect_delay_ms == 0 { rt.now() } else { until };
                    match self.s.conn.recv(first.room(), until).await {
                        Ok(n) if n > 0 => first.advance(n),
                        _ => self.txn.inspect_over = true,
                    }
                    self.txn.inspect_over |= full;
                }
                _ => return Ok(()),
            }
        }
    }

    fn choose_backend(&mut self) -> Result<(), End> {
        let rules = self.front.front.as_ref();
        let chosen = rules.and_then(|f| {
            let env = self.env();
            let ctx = Ctx { txn: self.txn, env: &env };
            switch(&f.switching, self.view.config(), ctx).or(f.default_backend)
        });
        let id = chosen.or_else(|| self.front.back.as_ref().map(|_| self.s.front));
        let Some(id) = id else { return Err(End::new(Cause::ServerAbort, Phase::Connect, 0)) };
        self.back_id = Some(id);
        self.back = self.view.config().proxy(id);
        Ok(())
    }

    /// A server that takes the connection. What the client has sent already goes with it; if nothing, the
    /// connection is waited for, as some protocols let the server speak first.
    async fn connect(&mut self, first: &mut Buf) -> Result<(), End> {
        let id = self.back_id.unwrap_or(self.s.front);
        let Some(back) = self.back.back.as_ref() else {
            return Err(End::new(Cause::ServerAbort, Phase::Connect, 0));
        };
        let rt = self.s.worker.rt;
        if first.is_empty() && !self.front.options.independent_streams {
            let mut buf = Buf::take(HEAD_SIZE);
            if let Some(Ok(n)) = self.s.conn.try_recv(buf.room()) {
                buf.advance(n);
                *first = buf;
            }
        }
        let mut attempt = Attempt::new(back);
        loop {
            let env = StreamEnv::of(self.s, self.view, self.back_id, None);
            let chooser = Chooser { session: self.s, view: self.view, proxy: self.back, id };
            let slot = chooser.slot(self.txn, &mut attempt, &env).await?;
            self.txn.timers.queue_done = rt.now();
            let failed = match chooser.connect(slot, false) {
                Ok(upstream) => {
                    let conn = upstream.conn.clone();
                    self.upstream = Some(upstream);
                    let until = if self.back.timeouts.connect == 0 {
                        NEVER
                    } else {
                        rt.after_ms(self.back.timeouts.connect)
                    };
                    let preface = self.upstream.as_mut().map(|u| std::mem::take(&mut u.preface));
                    match conn {
                        Some(conn) => establish(&conn, &preface.unwrap_or_default(), first, until).await,
                        None => Err(ErrorKind::NotConnected.into()),
                    }
                }
                Err((_, e)) => Err(e),
            };
            let Err(e) = failed else {
                if let Some(upstream) = &self.upstream {
                    upstream.slot.server.live.seen(Seen::Connected);
                }
                self.txn.timers.connected = rt.now();
                self.txn.timers.response = rt.now();
                return Ok(());
            };
            let late = e.kind() == ErrorKind::TimedOut;
            if let Some(upstream) = self.upstream.take() {
                upstream.slot.server.live.counters.mine().err_conn.inc();
                upstream.slot.server.live.seen(Seen::ConnectFailed);
                self.tried = Some(upstream.slot.server.clone());
            }
            self.back.live.back.counters.mine().err_conn.inc();
            if attempt.retries == 0 {
                let cause = if late { Cause::ServerTimeout } else { Cause::ServerAbort };
                return Err(End::new(cause, Phase::Connect, 0));
            }
            attempt.retries -= 1;
            self.txn.retries += 1;
            self.back.live.back.counters.mine().wretr.inc();
            if chooser.redispatches(&attempt) {
                attempt.choose = true;
                let failed = self.tried.as_ref().map(|s| s.spec.name.clone());
                attempt.failed = failed.and_then(|name| {
                    self.view.servers(id).and_then(|set| set.by_name(&name).map(|(i, _)| i))
                });
                self.back.live.back.counters.mine().wredis.inc();
                self.txn.redispatched = true;
            } else if !late {
                rt.sleep_until(rt.now() + chooser.turn_around_ns()).await;
            }
        }
    }
}

/// Sees a connection through: by its first data, or by waiting for it.
async fn establish(conn: &Conn, preface: &[u8], first: &Buf, until: u64) -> std::io::Result<()> {
    conn.send_all(preface, !first.is_empty(), until).await?;
    if first.is_empty() {
        conn.writable(until).await?;
        return conn.take_error().map_or(Ok(()), Err);
    }
    conn.send_all(first.data(), false, until).await
}
