//! What a finished transaction leaves behind: counters and its log line.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use crate::balance::{self, Method};
use crate::base::clock::MS;
use crate::config::Backend;
use crate::conn::Link;
use crate::lang::{Diagnostics, Span};
use crate::model::{Mode, ProxyCounters, Server};
use crate::rules::witness;
use crate::rules::{BuildCtx, Ctx, Env, LogFormat, LogUse, Txn};

use super::end::{Cause, Phase};
use super::env::StreamEnv;
use super::line::{self, INFO};
use super::route::Route;
use super::session::Session;
use super::stream::Stream;
use super::upstream::Hold;

/// The level of a line about a failed transaction with `log-separate-errors`.
const ERR: u8 = 3;

/// What begins the line of a connection without a stream.
static FAILED: LazyLock<LogFormat> = LazyLock::new(|| {
    let mut diags = Diagnostics::default();
    let parse = |ctx: &mut BuildCtx<'_>| {
        LogFormat::parse_bytes(b"%ci:%cp [%t] %f/", Span::default(), LogUse::Log, ctx)
    };
    BuildCtx::with_nothing(&mut diags, parse).unwrap_or_default()
});

macro_rules! count_status {
    ($counters:expr, $status:expr) => {
        match $status / 100 {
            1 => $counters.rsp_1xx.inc(),
            2 => $counters.rsp_2xx.inc(),
            3 => $counters.rsp_3xx.inc(),
            4 => $counters.rsp_4xx.inc(),
            5 => $counters.rsp_5xx.inc(),
            _ => $counters.rsp_other.inc(),
        }
    };
}

fn span_us(from: u64, to: u64) -> u64 {
    if from == 0 || to == 0 { 0 } else { to.saturating_sub(from) / 1000 }
}

macro_rules! count_times {
    ($counters:expr, $spans:expr) => {
        let [queue, connect, response, total] = $spans;
        $counters.timed.inc();
        $counters.queue_time_us.add(queue);
        $counters.connect_time_us.add(connect);
        $counters.response_time_us.add(response);
        $counters.total_time_us.add(total);
    };
}

macro_rules! count_end {
    ($counters:expr, $cause:expr) => {
        match $cause {
            Cause::ClientAbort | Cause::ClientTimeout => $counters.cli_aborts.inc(),
            Cause::ServerAbort | Cause::ServerTimeout => $counters.srv_aborts.inc(),
            _ => {}
        }
    };
}

fn count_side(counters: &ProxyCounters, txn: &Txn) {
    counters.bytes_in.add(txn.bytes_in);
    counters.bytes_out.add(txn.bytes_out);
}

/// Adds a finished HTTP transaction to the counters of frontend, backend and server.
pub(super) fn count(stream: &Stream<'_>) {
    let txn = &*stream.txn;
    let front = stream.route.front.live.front.counters.mine();
    count_side(front, txn);
    if let Some(listener) = stream.s.counters() {
        count_side(listener, txn);
    }
    // What `tcp-request content` rules reject is no request yet.
    if txn.has_req || stream.end.status > 0 {
        front.http_req.inc();
    }
    count_status!(front, txn.status);
    let of_client = matches!(stream.end.cause, Cause::ClientAbort | Cause::ClientTimeout);
    // Before its response a server's failure counts as an error and not as an abort.
    let aborted = (of_client && stream.end.phase != Phase::Request) || stream.responding;
    if aborted {
        count_end!(front, stream.end.cause);
    }
    if stream.route.back_id.is_some() {
        count_back(stream, aborted);
    }
}

/// Adds it to the counters of its backend and its server.
pub(super) fn count_back(stream: &Stream<'_>, aborted: bool) {
    let txn = &*stream.txn;
    let back = stream.route.back.live.back.counters.mine();
    count_side(back, txn);
    count_status!(back, txn.status);
    if aborted {
        count_end!(back, stream.end.cause);
    }
    let Some(hold) = stream.hold.as_ref().filter(|hold| hold.was_used) else { return };
    let server = hold.slot.server().live.counters.mine();
    server.bytes_in.add(txn.bytes_in);
    server.bytes_out.add(txn.bytes_out);
    if aborted {
        count_end!(server, stream.end.cause);
        if stream.end.cause == Cause::ServerAbort {
            server.err_resp.inc();
            back.err_resp.inc();
        }
    }
    count_server_times(hold, back, txn);
    if let Some(Backend { balance: balance::Spec { method: Method::PeakEwma, .. }, .. }) =
        &stream.route.back.back
    {
        let t = &txn.timers;
        hold.slot.server().live.latency.note(span_us(t.connected, t.response), t.closed / MS);
    }
}

/// Counts a head that a server sent, an interim one too, as it came. Only what it answered counts as a request to it.
pub(super) fn count_received(hold: &Hold, status: u16) {
    let server = hold.slot.server().live.counters.mine();
    count_status!(server, status);
    if status >= 200 || status == 101 {
        server.http_req.inc();
    }
}

fn count_server_times(hold: &Hold, back: &ProxyCounters, txn: &Txn) {
    let server = hold.slot.server().live.counters.mine();
    let t = &txn.timers;
    let spans = [
        span_us(t.request_done, t.queue_done),
        span_us(t.queue_done, t.connected),
        span_us(t.connected, t.response),
        span_us(t.request_start, t.closed),
    ];
    count_times!(server, spans);
    count_times!(back, spans);
}

/// Adds a finished TCP stream.
pub(super) fn count_tcp(stream: &Stream<'_>) {
    let (txn, cause) = (&*stream.txn, stream.end.cause);
    count_side(stream.route.front.live.front.counters.mine(), txn);
    if let Some(listener) = stream.s.counters() {
        count_side(listener, txn);
    }
    if stream.route.back_id.is_none() {
        return;
    }
    let counters = stream.route.back.live.back.counters.mine();
    count_side(counters, txn);
    if stream.end.phase == Phase::Data {
        count_end!(stream.route.front.live.front.counters.mine(), cause);
        count_end!(counters, cause);
    }
    if let Some(hold) = stream.hold.as_ref().filter(|hold| hold.was_used) {
        let server = hold.slot.server().live.counters.mine();
        server.bytes_in.add(txn.bytes_in);
        server.bytes_out.add(txn.bytes_out);
        if stream.end.phase == Phase::Data {
            count_end!(server, cause);
            if cause == Cause::ServerAbort {
                server.err_resp.inc();
                counters.err_resp.inc();
            }
        }
        count_server_times(hold, counters, txn);
    }
}

/// Writes the log line of a transaction, as the frontend's `log` lines say.
pub(super) fn log(
    s: &Session,
    txn: &mut Txn,
    route: &Route<'_>,
    (server, link): (Option<&Server>, Option<&Link>),
    failed: bool,
) {
    log_of(&StreamEnv::of(s, route, server).after(link), txn, route, server, failed);
}

/// The same of a transaction that may have come over no connection.
pub fn log_of(env: &StreamEnv<'_>, txn: &mut Txn, route: &Route<'_>, server: Option<&Server>, failed: bool) {
    let front = route.front;
    let spec = &front.log;
    if (spec.targets.is_empty() || txn.log_level == Some(255)) && !witness::is_asked() {
        return;
    }
    if front.options.dontlog_normal && !failed && txn.retries == 0 && !txn.redispatched && txn.status < 500 {
        return;
    }
    // The line of a proxy without a format tells of a connection with a request.
    let is_request = matches!(front.mode, Mode::Tcp | Mode::Udp) || txn.has_req;
    if spec.format.is_none() && !is_request {
        return;
    }
    let format =
        if failed { spec.error_format.as_ref().or(spec.format.as_ref()) } else { spec.format.as_ref() };
    let format = format.map_or_else(|| line::unformatted(front.mode), |f| &**f);
    txn.actconn = env.worker().current_connections();
    txn.feconn = front.live.front.cur.load(Ordering::Relaxed);
    txn.beconn = route.back_id.map_or(0, |_| route.back.live.back.cur.load(Ordering::Relaxed));
    txn.srvconn = server.map_or(0, |s| s.live.served.load(Ordering::Relaxed));
    let level = txn.log_level.unwrap_or(if failed && front.options.log_separate_errors { ERR } else { INFO });
    let ctx = Ctx { txn, env };
    line::write(env.worker(), (route.config, front), ctx, level, |line| format.render(ctx, line));
}

/// The line of a connection that came to nothing before its first stream: `error-log-format`, else what went wrong.
pub(super) fn log_failed(s: &Session, txn: &mut Txn, route: &Route<'_>, text: &str) {
    let front = route.front;
    if front.log.targets.is_empty() {
        return;
    }
    if front.log.error_format.is_some() {
        return log(s, txn, route, (None, None), true);
    }
    let env = StreamEnv::of(s, route, None);
    let ctx = Ctx { txn, env: &env };
    let level = if front.options.log_separate_errors { ERR } else { INFO };
    line::write(s.worker, (route.config, front), ctx, level, |line| {
        FAILED.render(ctx, line);
        match env.listener_name() {
            "" => line.extend_from_slice(env.ids().3.to_string().as_bytes()),
            name => line.extend_from_slice(name.as_bytes()),
        }
        line.extend_from_slice(b": ");
        line.extend_from_slice(text.as_bytes());
    });
}
