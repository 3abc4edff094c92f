//! From a route to a connection, and what follows when a try fails: the same for TCP and HTTP.

use std::io::ErrorKind;

use crate::base::buf::Buf;
use crate::config::Backend;
use crate::http::{Head, Method};
use crate::model::{Seen, Server};
use crate::rules::{Reply, Txn};

use super::end::{BAD_GATEWAY, Cause, End, Halt, Phase};
use super::env::StreamEnv;
use super::greeting::greeting;
use super::route::{Attempt, Chooser, Route};
use super::stream::Stream;
use super::version::Carries;

/// What went wrong with one try.
pub(super) enum Failure {
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

/// Where a server's `redir` sends a request.
fn redirection(req: &Head, server: &Server) -> Option<Box<Reply>> {
    let prefix = server.spec.redir.as_deref()?;
    if !matches!(req.method, Method::Get | Method::Head) {
        return None;
    }
    let prefix = if prefix == "/" { "" } else { prefix };
    let location = [prefix.as_bytes(), req.path_and_query()].concat();
    let field = |name: &[u8], value: &[u8]| (name.into(), value.into());
    let fields = vec![
        field(b"cache-control", b"no-cache"),
        field(b"content-length", b"0"),
        field(b"location", &location),
    ];
    Some(Box::new(Reply { status: 302, fields, close: true, ..Reply::default() }))
}

impl Stream<'_> {
    /// A server, its slot and a connection (which may still be under way).
    pub(super) async fn obtain(&mut self, attempt: &mut Attempt, carries: Carries) -> Result<(), Halt> {
        loop {
            let chooser = Chooser::of(self.s, &self.route, self.down);
            let slot = {
                let env = StreamEnv::of(self.s, &self.route, None);
                chooser.slot(self.txn, attempt, &env).await
            };
            if attempt.full.is_none() && !matches!(slot, Err(End { phase: Phase::Connect, .. })) {
                self.txn.timers.queue_done = self.now();
            }
            self.tried = attempt.full.take().or(self.tried.take());
            let slot = slot.inspect_err(|end| self.count_no_server(*end))?;
            if let Some(left) = attempt.left.take() {
                count_next_try(&self.route, self.txn, &left, left.live.uid != slot.server().live.uid);
            }
            if carries != Carries::Bytes
                && let Some(reply) = redirection(&self.txn.req, slot.server())
            {
                chooser.count_session(slot.server());
                self.tried = Some(slot.server().clone());
                return Err(Halt::Reply { reply, denied: false });
            }
            let begin = greeting(self.s, &self.route, self.txn, slot.server());
            match chooser.connect(slot, carries, begin).await {
                Ok(hold) => {
                    self.hold = Some(hold);
                    return Ok(());
                }
                Err((slot, e)) => {
                    // The client left while hands were shaken.
                    if e.kind() == ErrorKind::ConnectionAborted {
                        return Err(End::new(Cause::ClientAbort, Phase::Connect, 0).into());
                    }
                    if e.kind() == ErrorKind::Unsupported {
                        return Err(End::new(Cause::Proxy, Phase::Connect, 503).into());
                    }
                    slot.server().live.seen(Seen::ConnectFailed);
                    self.tried = Some(slot.server().clone());
                    drop(slot);
                    if attempt.retries == 0 {
                        self.count_connect_error();
                        let is_late = e.kind() == ErrorKind::TimedOut;
                        let cause = if is_late { Cause::ServerTimeout } else { Cause::ServerAbort };
                        return Err(End::new(cause, Phase::Connect, 503).into());
                    }
                    // No use in waiting: no server was asked.
                    self.try_again(attempt, false).await?;
                }
            }
        }
    }

    /// The whole request can be sent once more, and no rule forbids it.
    pub(super) fn may_repeat(&self) -> bool {
        !self.txn.no_repeat && self.down.can_repeat(&self.txn.req)
    }

    fn count_no_server(&self, end: End) {
        if end.cause != Cause::ClientAbort {
            self.route.back.live.back.counters.mine().err_conn.inc();
        }
    }

    /// No connection could be made, and no other try is left: once a request, however often it was tried.
    fn count_connect_error(&self) {
        self.route.back.live.back.counters.mine().err_conn.inc();
        if let Some(server) = &self.tried {
            server.live.counters.mine().err_conn.inc();
        }
    }

    /// Decides about another try, and waits for its time.
    pub(super) async fn after_failure(
        &mut self,
        back: &Backend,
        attempt: &mut Attempt,
        failure: Failure,
    ) -> Result<(), Halt> {
        let on = &back.retry_on;
        let whole = self.may_repeat();
        let reused = self.hold.as_ref().is_some_and(|h| h.upstream.is_reused());
        let (again, end) = match &failure {
            Failure::Connect { reused: true, .. } => (true, BAD_GATEWAY),
            Failure::Connect { timeout: true, .. } => {
                (on.conn_failure, End::new(Cause::ServerTimeout, Phase::Connect, 503))
            }
            Failure::Connect { .. } => (on.conn_failure, End::new(Cause::ServerAbort, Phase::Connect, 503)),
            // An idle connection that ended while the request was under way: as good as not sent, if sending it
            // twice changes nothing.
            Failure::Empty if reused && whole && (self.txn.req.method.is_safe() || self.route.is_aside) => {
                (true, BAD_GATEWAY)
            }
            Failure::Empty | Failure::Cut => (on.empty_response && whole, BAD_GATEWAY),
            Failure::Status => (whole, BAD_GATEWAY),
            Failure::Junk => (on.junk_response && whole, End::new(Cause::Proxy, Phase::Headers, 502)),
            Failure::Timeout => {
                (on.response_timeout && whole, End::new(Cause::ServerTimeout, Phase::Headers, 504))
            }
            Failure::Halt(_) => (false, BAD_GATEWAY),
        };
        let stale = matches!(failure, Failure::Connect { reused: true, .. })
            || (matches!(failure, Failure::Empty) && reused);
        if stale && !again && self.s.requests() > 1 {
            // Its connection ends as the server's did: the client knows whether it may ask again.
            self.is_logged = true;
            return Err(Halt::Drop(end));
        }
        self.tell_failure(&failure, stale);
        let again = again && self.hold.as_ref().is_none_or(|h| h.cut().is_none());
        let gives_up = !again || (!stale && attempt.retries == 0);
        self.count_failure(&failure, stale, gives_up);
        if self.down.has_left(self.route.aborts()) && matches!(failure, Failure::Connect { .. }) {
            return Err(End::new(Cause::ClientAbort, Phase::Connect, 0).into());
        }
        if gives_up {
            return Err(end.into());
        }
        let failed = self.hold.take();
        self.upload = None;
        self.txn.res.buf = Buf::default();
        self.txn.res.reset();
        if stale {
            return Ok(());
        }
        self.tried = failed.map(|hold| hold.slot.server().clone());
        let pauses = matches!(failure, Failure::Connect { timeout: false, .. });
        self.try_again(attempt, pauses).await
    }

    /// The next try goes to another server where that is due, else to the same one, after a pause.
    async fn try_again(&mut self, attempt: &mut Attempt, pauses: bool) -> Result<(), Halt> {
        attempt.retries -= 1;
        self.txn.retries += 1;
        let chooser = Chooser::of(self.s, &self.route, self.down);
        if chooser.redispatches(self.txn, attempt) {
            attempt.choose = true;
            if let Some(server) = &self.tried {
                let set = self.route.view.servers(self.route.id());
                attempt.failed = set.and_then(|set| set.by_name(&server.spec.name).map(|(i, _)| i));
            }
            attempt.left = self.tried.clone();
            self.txn.unstick();
            return Ok(());
        }
        if let Some(server) = &self.tried {
            count_next_try(&self.route, self.txn, server, false);
        }
        if pauses {
            let rt = self.s.worker.rt;
            let pause = rt.sleep_until(rt.now() + chooser.turn_around_ns());
            let left = self.down.unless_left(self.route.aborts(), pause).await.is_none();
            if left {
                return Err(End::new(Cause::ClientAbort, Phase::Connect, 0).into());
            }
        }
        Ok(())
    }

    /// Tells `observe` what went wrong.
    fn tell_failure(&self, failure: &Failure, stale: bool) {
        let Some(hold) = self.hold.as_ref().filter(|h| !stale && h.cut().is_none()) else { return };
        hold.slot.server().live.seen(match failure {
            Failure::Connect { .. } => Seen::ConnectFailed,
            Failure::Empty | Failure::Cut => Seen::Closed,
            Failure::Junk => Seen::BadHeaders,
            Failure::Timeout => Seen::ReadTimeout,
            Failure::Status | Failure::Halt(_) => return,
        });
    }

    fn count_failure(&mut self, failure: &Failure, stale: bool, gives_up: bool) {
        let Some(hold) = self.hold.as_mut().filter(|_| !stale) else { return };
        hold.keep = false;
        self.tried = Some(hold.slot.server().clone());
        match failure {
            Failure::Connect { .. } if gives_up => self.count_connect_error(),
            // A response that is asked for once more is no error, unless it came and was none.
            Failure::Empty | Failure::Cut | Failure::Timeout if !gives_up => {}
            Failure::Connect { .. } | Failure::Status | Failure::Halt(_) => {}
            _ => {
                hold.slot.server().live.counters.mine().err_resp.inc();
                self.route.back.live.back.counters.mine().err_resp.inc();
            }
        }
    }
}

/// The next try, after one that this server failed: at another one, or at the same.
fn count_next_try(route: &Route<'_>, txn: &mut Txn, failed: &Server, is_elsewhere: bool) {
    let (back, server) = (route.back.live.back.counters.mine(), failed.live.counters.mine());
    if is_elsewhere {
        back.wredis.inc();
        server.wredis.inc();
        txn.redispatched = true;
    } else {
        back.wretr.inc();
        server.wretr.inc();
    }
}
