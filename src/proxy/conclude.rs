//! The end of a transaction: what the proxy itself has to say, counters, the log line, and what becomes of the
//! client's connection.

use crate::http::BodyLen;

use super::access;
use super::connection;
use super::downstream::body_at_hand;
use super::end::{Cause, End, Halt, Phase};
use super::stream::{Next, Stream};
use super::transfer::{Side, Way};

impl Stream<'_> {
    /// Error in the request itself: answer it and log.
    pub(super) async fn fail_request(&mut self, end: End) -> Next {
        let options = &self.route.front.options;
        connection::count_invalid(self.s, self.route.front);
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
        self.track_bad_request();
        self.conclude(Err(Halt::End(end))).await
    }

    /// Answers what the proxy itself has to say, logs and counts.
    pub(super) async fn conclude(&mut self, result: Result<(), Halt>) -> Next {
        match result {
            Ok(()) => {
                // A body that ends with the connection does not tell by itself that it is whole.
                if matches!(self.txn.res.body, BodyLen::UntilClose | BodyLen::Tunnel) {
                    self.end = self.cut_short(self.end);
                }
                self.txn.set_end(self.end.flags());
            }
            Err(halt) => {
                self.track_halt(&halt);
                self.halt(halt).await;
            }
        }
        self.txn.timers.closed = self.now();
        self.route.leave();
        self.release_server();
        access::count(self);
        self.track_end();
        // The slot is free before the line is written: the line does not count its own request.
        let is_logged = !self.is_monitor && !self.is_logged && !self.route.front.log.targets.is_empty();
        let hold = self.hold.take().filter(|_| is_logged);
        let link = hold.as_ref().map(|h| h.link().clone());
        let server = hold.map(|h| h.slot.server().clone());
        let server = server.or_else(|| {
            self.tried.take().filter(|_| matches!(self.end.phase, Phase::Connect | Phase::Queue))
        });
        if is_logged {
            let failed = self.txn.termination[0] != b'-' && self.txn.termination[0] != b'L';
            access::log(self.s, self.txn, &self.route, (server.as_ref(), link.as_deref()), failed);
        }
        drop(link);
        self.untrack();
        if self.keep_client && self.is_served && self.take_rest().await.is_err() {
            return Next::Close;
        }
        if self.keep_client && self.down.finish(&self.txn.req) {
            return Next::KeepAlive;
        }
        self.drain().await;
        Next::Close
    }

    /// The rest of the request's body can be taken: it lies here, or its sender waits for no invitation.
    pub(super) fn can_drain(&self) -> bool {
        let req = &self.txn.req;
        (!req.expect_continue || !req.rest().is_empty()) && body_at_hand(req).is_ok()
    }

    /// Takes the rest of the request's body, which nobody wants any more.
    async fn take_rest(&mut self) -> Result<(), Halt> {
        if self.down.is_one_of_many() {
            return Ok(()); // it is told to stop
        }
        match (&mut self.upload, body_at_hand(&self.txn.req)) {
            (Some(way), _) => way.discard(),
            (None, Ok((Some(extent), _))) => {
                self.down.begin_upload();
                let from = (self.down.link().clone(), Side::Client);
                self.upload = Some(Way::drain(from, self.patience.clone(), extent));
            }
            (None, _) => return Ok(()),
        }
        self.restart_patience();
        self.finish_upload().await
    }

    /// The client was answered before it had sent all: the rest is taken and thrown away, for as long as it comes without
    /// a pause of `timeout client`. A close before that would reset the connection, and the answer with it.
    async fn drain(&mut self) {
        let of_client = matches!(self.end.cause, Cause::ClientAbort | Cause::ClientTimeout);
        let is_cut = self.responding && self.end.cause != Cause::Normal;
        if !self.answered || of_client || is_cut || !self.txn.has_req || self.down.is_whole(&self.txn.req) {
            return;
        }
        if self.can_drain() && !self.down.is_one_of_many() {
            // It is told that nothing more comes.
            self.down.link().shutdown_write();
            let _ = self.take_rest().await;
        }
    }

    /// `logasap`: the line is written when the response's head is there; figures that still grow say so.
    pub(super) fn log_early(&mut self) {
        if self.is_monitor || std::mem::replace(&mut self.is_logged, true) {
            return;
        }
        let now = self.now();
        let closed = std::mem::replace(&mut self.txn.timers.closed, now);
        self.txn.log_early = true;
        self.txn.set_end(self.end.flags());
        let server = self.hold.as_ref().map(|h| h.slot.server());
        let link = self.hold.as_ref().map(|h| h.link().clone());
        access::log(self.s, self.txn, &self.route, (server, link.as_deref()), false);
        self.txn.log_early = false;
        self.txn.timers.closed = closed;
    }
}
