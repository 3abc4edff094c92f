//! From a route to a connection, and what follows when a try fails: the same for TCP and HTTP.

use crate::base::buf::Buf;
use crate::config::Backend;
use crate::http::Method;
use crate::model::Seen;

use super::end::{Cause, End, Phase};
use super::env::StreamEnv;
use super::exchange::BAD_GATEWAY;
use super::route::{Attempt, Chooser};
use super::stream::{Halt, Stream};

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

impl Stream<'_> {
    /// A server, its slot and a connection (which may still be under way).
    pub(super) async fn obtain(&mut self, attempt: &mut Attempt, http: bool) -> Result<(), Halt> {
        loop {
            let chooser = Chooser::of(self.s, &self.route);
            let slot = {
                let env = StreamEnv::of(self.s, &self.route, None);
                chooser.slot(self.txn, attempt, &env).await?
            };
            self.txn.timers.queue_done = self.now();
            match chooser.connect(slot, http) {
                Ok(hold) => {
                    self.hold = Some(hold);
                    return Ok(());
                }
                Err((slot, _)) => {
                    slot.server.live.counters.mine().err_conn.inc();
                    slot.server.live.seen(Seen::ConnectFailed);
                    self.route.back.live.back.counters.mine().err_conn.inc();
                    self.tried = Some(slot.server.clone());
                    drop(slot);
                    if attempt.retries == 0 {
                        return Err(End::new(Cause::ServerAbort, Phase::Connect, 503).into());
                    }
                    self.count_retry(attempt);
                    self.choose_again(attempt, true).await;
                }
            }
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
        let whole = self.down.can_repeat(&self.txn.req);
        let idempotent = is_idempotent(self.txn.req.method);
        let reused = self.hold.as_ref().is_some_and(|h| h.upstream.is_reused());
        let (again, end) = match &failure {
            Failure::Connect { reused: true, .. } => (true, BAD_GATEWAY),
            Failure::Connect { timeout: true, .. } => {
                (on.conn_failure, End::new(Cause::ServerTimeout, Phase::Connect, 503))
            }
            Failure::Connect { .. } => (on.conn_failure, End::new(Cause::ServerAbort, Phase::Connect, 503)),
            // An idle connection that ended while the request was under way: as good as not sent, if repeating
            // it does no harm.
            Failure::Empty if reused && idempotent && whole => (true, BAD_GATEWAY),
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
            || (matches!(failure, Failure::Empty) && reused);
        self.count_failure(&failure, stale);
        self.tell_failure(&failure, stale);
        let again = again && self.hold.as_ref().is_none_or(|h| h.cut().is_none());
        if !again || (!stale && attempt.retries == 0) {
            return Err(end.into());
        }
        let failed = self.hold.take();
        self.upload = None;
        self.txn.res.buf = Buf::default();
        self.txn.res.reset();
        if stale {
            return Ok(());
        }
        self.tried = failed.map(|hold| hold.slot.server.clone());
        self.count_retry(attempt);
        let pauses = matches!(failure, Failure::Connect { timeout: false, .. });
        self.choose_again(attempt, pauses).await;
        Ok(())
    }

    fn count_retry(&mut self, attempt: &mut Attempt) {
        attempt.retries -= 1;
        self.txn.retries += 1;
        self.route.back.live.back.counters.mine().wretr.inc();
        if let Some(server) = &self.tried {
            server.live.counters.mine().wretr.inc();
        }
    }

    /// The next try goes to another server where that is due, else to the same one after a pause.
    async fn choose_again(&mut self, attempt: &mut Attempt, pauses: bool) {
        let chooser = Chooser::of(self.s, &self.route);
        if chooser.redispatches(attempt) {
            attempt.choose = true;
            if let Some(server) = &self.tried {
                let set = self.route.view.servers(self.route.id());
                attempt.failed = set.and_then(|set| set.by_name(&server.spec.name).map(|(i, _)| i));
                server.live.counters.mine().wredis.inc();
            }
            self.route.back.live.back.counters.mine().wredis.inc();
            self.txn.redispatched = true;
            self.txn.unstick();
        } else if pauses {
            let rt = self.s.worker.rt;
            rt.sleep_until(rt.now() + chooser.turn_around_ns()).await;
        }
    }

    /// Tells `observe` what went wrong.
    fn tell_failure(&self, failure: &Failure, stale: bool) {
        let Some(hold) = self.hold.as_ref().filter(|h| !stale && h.cut().is_none()) else { return };
        hold.slot.server.live.seen(match failure {
            Failure::Connect { .. } => Seen::ConnectFailed,
            Failure::Empty | Failure::Cut => Seen::Closed,
            Failure::Junk => Seen::BadHeaders,
            Failure::Timeout => Seen::ReadTimeout,
            Failure::Status | Failure::Halt(_) => return,
        });
    }

    fn count_failure(&mut self, failure: &Failure, stale: bool) {
        let (Some(hold), false) = (&mut self.hold, stale) else { return };
        hold.keep = false;
        let server = hold.slot.server.live.counters.mine();
        let back = self.route.back.live.back.counters.mine();
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
}

/// Methods that may be sent again without asking (RFC 9110 section 9.2.2).
fn is_idempotent(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Head | Method::Put | Method::Delete | Method::Options | Method::Trace
    )
}
