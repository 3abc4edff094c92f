//! The request to the server, and the head of its response.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::Poll;

use crate::base::Nanos;
use crate::base::buf::Buf;
use crate::config::HttpConnection;
use crate::conn::link::Stopped;
use crate::http::{BodyLen, Chunks, Hop, Parse, Version};
use crate::model::Seen;
use crate::rt::NEVER;

use super::access;
use super::downstream::body_at_hand;
use super::end::{BAD_GATEWAY, Cause, End, Halt, Phase};
use super::h2::server::is_refusal;
use super::passage::{Leaving, Passage, whole};
use super::retry::Failure;
use super::stream::{Scanned, Stream};
use super::transfer::{Broken, Extent, Side, Way, buffer_for};

/// Why nothing more comes from the server.
pub(super) enum Got {
    Server(io::Error),
    Client(End),
}

impl Stream<'_> {
    /// What the request says about the server's connection, and whether that may be kept.
    fn hop_to_server(&self) -> (Hop, bool) {
        let keeps = |c: HttpConnection| c == HttpConnection::KeepAlive;
        let (front, back) = (&self.route.front.options, &self.route.back.options);
        let keep =
            keeps(back.http_connection) && keeps(front.http_connection) && !self.txn.req.closes_by_rule();
        let hop = if self.txn.req.upgrade {
            Hop::Upgrade
        } else if keep || (back.http_pretend_keepalive && !self.txn.req.closes_by_rule()) {
            Hop::KeepAlive
        } else {
            Hop::Close
        };
        (hop, keep)
    }

    /// The head, and the part of the body that is there, in one write.
    pub(super) async fn send_request(&mut self) -> Result<(), Failure> {
        let (hop, keep) = self.hop_to_server();
        let Some(hold) = self.hold.as_mut() else { return Err(Failure::Empty) };
        let reused = hold.upstream.is_reused();
        if let Some(name) = self.route.back.back.as_ref().and_then(|b| b.send_name_header.as_deref()) {
            self.txn.req.set(name, hold.slot.server().spec.name.as_bytes());
        }
        hold.keep = keep;
        let timeouts = &self.route.back.timeouts;
        let set = self.txn.timeouts;
        let server_ms = set.server_ms.unwrap_or(timeouts.server);
        let connect_ms = set.connect_ms.unwrap_or(timeouts.connect);
        let rt = self.s.worker.rt;
        let until = rt.after_ms(if reused { server_ms } else { connect_ms });
        let (extent, have) = body_at_hand(&self.txn.req)
            .map_err(|status| Failure::Halt(End::new(Cause::Proxy, Phase::Data, status).into()))?;
        if self.has_filters()
            && let Some(passage) = self.request_passage()
        {
            return self.send_through(passage, hop, have, until).await;
        }
        let Some(hold) = self.hold.as_mut() else { return Err(Failure::Empty) };
        // Only a connection that is still under way takes time in which a client may leave.
        let sent = match reused {
            true => Some(hold.upstream.send_head(&self.txn.req, hop, have, until).await),
            false => {
                let sending = hold.upstream.send_head(&self.txn.req, hop, have, until);
                self.down.unless_left(self.route.aborts(), sending).await
            }
        };
        self.begin_upload(sent, extent, None)
    }

    /// The same where something is done to the request's body.
    async fn send_through(
        &mut self,
        mut passage: Box<Passage>,
        hop: Hop,
        have: usize,
        until: Nanos,
    ) -> Result<(), Failure> {
        let wire = self.txn.req.body;
        let (mut extent, mut out, now) = (whole(wire, false), Vec::new(), self.now());
        let begun = self.txn.req.rest().get(..have).unwrap_or_default();
        passage
            .take(&mut extent, begun, now, &mut out)
            .map_err(|_| Failure::Halt(End::new(Cause::Proxy, Phase::Data, 400).into()))?;
        let Some(hold) = self.hold.as_mut() else { return Err(Failure::Empty) };
        let sent = if passage.leaving() == Leaving::AsCame {
            let sending = hold.upstream.send_head(&self.txn.req, hop, have, until);
            self.down.unless_left(self.route.aborts(), sending).await
        } else {
            self.txn.req.set_body(BodyLen::Chunked);
            let sending = hold.upstream.send_message(&self.txn.req, hop, &out, until);
            let sent = self.down.unless_left(self.route.aborts(), sending).await;
            // What is received, now and for another try, is as it was.
            self.txn.req.body = wire;
            sent
        };
        self.begin_upload(sent, (!extent.is_done()).then_some(extent), Some(passage))
    }

    /// The request's head was sent, or was not; `extent` is what is to follow.
    fn begin_upload(
        &mut self,
        sent: Option<Result<usize, Stopped>>,
        extent: Option<Extent>,
        passage: Option<Box<Passage>>,
    ) -> Result<(), Failure> {
        let is_sent = matches!(sent, Some(Ok(_)));
        let reused = self.hold.as_ref().is_some_and(|hold| hold.upstream.is_reused());
        let Some(sent) = sent else {
            return Err(Failure::Halt(End::new(Cause::ClientAbort, Phase::Connect, 0).into()));
        };
        match sent {
            Ok(n) => self.request_sent(n),
            // A WebSocket, which the server does not take over HTTP/2.
            Err((0, e)) if e.kind() == ErrorKind::Unsupported => {
                return Err(Failure::Halt(BAD_GATEWAY.into()));
            }
            Err((0, e)) => {
                return Err(Failure::Connect { reused, timeout: e.kind() == ErrorKind::TimedOut });
            }
            // The server may have said why before it closed.
            Err(_) => {}
        }
        self.restart_patience();
        let Some(hold) = self.hold.as_mut() else { return Err(Failure::Empty) };
        self.upload = extent.map(|extent| {
            self.down.begin_upload();
            let (from, to) = (self.down.link().clone(), hold.link().clone());
            Way::new((from, Side::Client), (to, Side::Server), self.patience.clone(), extent).through(passage)
        });
        hold.was_used = true;
        hold.request_sent = self.upload.is_none() && is_sent;
        Ok(())
    }

    /// Both sides may be silent for as long as the configuration, or a rule, says.
    pub(super) fn restart_patience(&self) {
        let set = self.txn.timeouts;
        let client_ms = set.client_ms.unwrap_or(self.route.front.timeouts.client);
        let server_ms = set.server_ms.unwrap_or(self.route.back.timeouts.server);
        self.patience.restart(self.now(), client_ms, server_ms);
    }

    fn request_sent(&mut self, n: usize) {
        let now = self.now();
        if self.txn.timers.connected == 0 || self.txn.retries > 0 {
            self.txn.timers.connected = now;
        }
        self.txn.bytes_in += n.saturating_sub(self.txn.req.len) as u64;
        let Some(hold) = &self.hold else { return };
        if self.route.back.needs_server_address || self.route.front.needs_server_address {
            self.txn.server_local = hold.link().local().map(super::session::end_of).unwrap_or_default();
        }
        hold.slot.server().live.seen(Seen::Connected);
        self.txn.server_remote = match hold.slot.server().spec.address {
            crate::model::Address::Inet(a) => crate::rules::Endpoint::Inet(a),
            _ => crate::rules::Endpoint::Unix,
        };
    }

    /// Reads until the head of a final response is complete, forwarding the request's body meanwhile.
    pub(super) async fn await_response(&mut self, may_retry: bool) -> Result<(), Failure> {
        loop {
            self.read_head().await?;
            let status = self.txn.res.status;
            if let Some(hold) = &self.hold {
                let good = status < 500 || matches!(status, 501 | 505);
                hold.slot.server().live.seen(if good { Seen::GoodResponse } else { Seen::WrongStatus });
            }
            let is_final = status >= 200 || status == 101;
            if is_final && may_retry && self.is_retried(status) {
                return Err(Failure::Status);
            }
            if let Some(hold) = &self.hold {
                access::count_received(hold, status);
            }
            if is_final {
                return Ok(());
            }
            self.forward_interim().await.map_err(Failure::Halt)?;
        }
    }

    /// `retry-on 503 ...`, where the request can be sent again.
    fn is_retried(&self, status: u16) -> bool {
        let listed = self.route.back.back.as_ref().is_some_and(|b| b.retry_on.statuses.contains(&status));
        listed && self.may_repeat()
    }

    async fn read_head(&mut self) -> Result<(), Failure> {
        let Some(hold) = self.hold.as_ref() else { return Err(Failure::Empty) };
        if self.txn.res.buf.capacity() == 0 {
            let size = buffer_for(hold.large_responses, self.down.link().window());
            self.txn.res.buf = Buf::take(size);
        }
        let bufsize = self.route.config.global.tune.bufsize;
        let options = self.route.view.h1_response[self.route.id().0 as usize];
        let method = self.txn.req.method;
        loop {
            if !self.txn.res.buf.is_empty() {
                match self.txn.res.parse_response(method, &options) {
                    Parse::Done if self.body_begins() => return Ok(()),
                    Parse::Done => return Err(Failure::Junk),
                    Parse::Bad(bad) => {
                        self.keep_invalid_response(bad.at);
                        return Err(Failure::Junk);
                    }
                    Parse::More if self.txn.res.buf.room_len() > 0 => {}
                    Parse::More if self.txn.res.buf.capacity() < bufsize => self.txn.res.buf.grow(bufsize),
                    Parse::More => return Err(Failure::Junk),
                }
            }
            match self.receive_some(NEVER).await {
                Ok(0) if self.txn.res.buf.is_empty() => return Err(Failure::Empty),
                Ok(0) => return Err(Failure::Cut),
                Ok(n) => self.txn.res.buf.advance(n),
                Err(Got::Server(e)) if e.kind() == ErrorKind::TimedOut => return Err(Failure::Timeout),
                // The request was not looked at: as good as not sent, if it can be sent again.
                Err(Got::Server(e)) if is_refusal(&e) && self.may_repeat() => {
                    return Err(Failure::Connect { reused: false, timeout: false });
                }
                Err(Got::Server(_)) if self.txn.res.buf.is_empty() => return Err(Failure::Empty),
                Err(Got::Server(_)) => return Err(Failure::Cut),
                Err(Got::Client(end)) => return Err(Failure::Halt(end.into())),
            }
        }
    }

    /// Whether what lies behind the response's head is the beginning of its body, as far as that can be told. What a
    /// scan of chunks found is kept for when the body is forwarded.
    fn body_begins(&mut self) -> bool {
        let res = &self.txn.res;
        if res.body != BodyLen::Chunked {
            return true;
        }
        let mut chunks = Box::new(Chunks::new(true));
        let Ok(scan) = chunks.scan(res.rest()) else { return false };
        self.scanned = Some(Scanned { chunks, consumed: scan.consumed, of: res.rest().len() });
        true
    }

    /// Bytes from the server, while the upload goes on.
    pub(super) async fn receive_some(&mut self, limit: u64) -> Result<usize, Got> {
        let aborts = self.route.aborts();
        poll_fn(|_| {
            if let Err(end) = self.poll_upload() {
                return Poll::Ready(Err(Got::Client(end)));
            }
            if self.upload.is_none() && self.down.has_left(aborts) {
                return Poll::Ready(Err(Got::Client(End::new(Cause::ClientAbort, Phase::Headers, 400))));
            }
            // While the client is still sending, its timeout counts and the server's does not.
            let waits = self.upload.as_ref().is_none_or(Way::is_discarding);
            let until = if waits { self.patience.until(Side::Server) } else { NEVER };
            let Some(hold) = &self.hold else {
                return Poll::Ready(Err(Got::Server(ErrorKind::NotConnected.into())));
            };
            let polled = hold.upstream.poll_recv(self.txn.res.buf.room(), until.min(limit));
            if polled.is_pending() {
                self.down.watch_soon();
            }
            polled.map_err(Got::Server)
        })
        .await
    }

    /// Moves what can be moved of the request's body. The error: the client left, or what it sends is no body.
    pub(super) fn poll_upload(&mut self) -> Result<(), End> {
        let Some(way) = self.upload.as_mut() else { return Ok(()) };
        let result = match way.poll() {
            Poll::Pending => return Ok(()),
            Poll::Ready(result) => result,
        };
        if let Err(Broken::Write(_)) = result {
            // The server does not want the rest, and may have said why; the client is to come to its end.
            way.discard();
            return self.poll_upload();
        }
        self.txn.bytes_in += way.moved;
        match result {
            Ok(()) => {
                let discarded = way.is_discarding();
                self.down.end_upload(std::mem::take(&mut way.surplus));
                if let Some(hold) = &mut self.hold {
                    hold.request_sent = !discarded;
                }
                self.upload = None;
                self.patience.renew(Side::Server, self.s.worker.rt.now());
                Ok(())
            }
            Err(broken) => {
                self.upload = None;
                Err(match broken {
                    Broken::Read(e) if e.kind() == ErrorKind::TimedOut => {
                        End::new(Cause::ClientTimeout, Phase::Data, 408)
                    }
                    Broken::Malformed => End::new(Cause::Proxy, Phase::Data, 400),
                    _ => End::new(Cause::ClientAbort, Phase::Data, 400),
                })
            }
        }
    }

    /// 100 and 103 go to the client as they came; one of HTTP/1.0 does not know them. The server has shown that it is
    /// at work, and the next head may be as long as this one.
    async fn forward_interim(&mut self) -> Result<(), Halt> {
        if self.txn.req.version != Version::Http10 && !self.route.is_aside {
            let until = self.patience.until(Side::Client);
            match self.down.send_head(&self.txn.res, Hop::AsIs, 0, until).await {
                Ok(n) => self.txn.bytes_out += n as u64,
                Err(_) => return Err(End::new(Cause::ClientAbort, Phase::Headers, 0).into()),
            }
        }
        self.patience.renew(Side::Server, self.now());
        let res = &mut self.txn.res;
        let used = res.len.saturating_sub(res.buf.start());
        res.buf.consume(used);
        res.buf.compact();
        res.reset();
        Ok(())
    }
}

pub(super) fn client_end(e: &io::Error) -> End {
    if e.kind() == ErrorKind::TimedOut {
        End::new(Cause::ClientTimeout, Phase::Data, 0)
    } else {
        End::new(Cause::ClientAbort, Phase::Data, 0)
    }
}
