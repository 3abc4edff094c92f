//! What flows leave in counters, and a flow's log line when it ends.

use crate::base::Nanos;
use crate::model::ProxyCounters;
use crate::proxy::access;
use crate::proxy::end::{Cause, Phase};
use crate::proxy::env::StreamEnv;
use crate::proxy::route::Route;
use crate::proxy::worker::Worker;

use super::choice;
use super::flow::Flow;

/// Adds what went to the server (`up`) and to the client.
pub fn count_bytes(flow: &mut Flow, up: u64, down: u64) {
    flow.bytes_in += up;
    flow.bytes_out += down;
    let add = |counters: &ProxyCounters| {
        counters.bytes_in.add(up);
        counters.bytes_out.add(down);
    };
    let config = flow.view.config();
    add(config.proxy(flow.front).live.front.counters.mine());
    add(config.proxy(flow.back).live.back.counters.mine());
    if let Some(listener) = flow.slot.counters() {
        add(listener);
    }
    if let Some(server) = flow.server() {
        let counters = server.live.counters.mine();
        counters.bytes_in.add(up);
        counters.bytes_out.add(down);
    }
}

/// Counts a server that refused a flow's datagrams.
pub fn count_refusal(flow: &Flow) {
    flow.view.config().proxy(flow.back).live.back.counters.mine().err_conn.inc();
    if let Some(server) = flow.server() {
        server.live.counters.mine().err_conn.inc();
    }
}

/// Counts a flow that goes to another server.
pub fn count_move(flow: &mut Flow) {
    flow.moves += 1;
    flow.view.config().proxy(flow.back).live.back.counters.mine().wredis.inc();
    if let Some(server) = &flow.left {
        server.live.counters.mine().wredis.inc();
    }
}

fn span_us(from: Nanos, to: Nanos) -> u64 {
    if from == 0 || to == 0 { 0 } else { to.saturating_sub(from) / 1000 }
}

/// Counts and logs a flow that has ended.
pub fn conclude(worker: &'static Worker, mut flow: Flow) {
    let now = worker.rt.now();
    let view = flow.view.clone();
    let mut route = Route::new(&view, flow.front);
    route.choose(Some(flow.back));
    let counters = route.back.live.back.counters.mine();
    let server = flow.server().cloned();
    let end = flow.end;
    if let (Phase::Data, Cause::ServerTimeout) = (end.phase, end.cause) {
        route.front.live.front.counters.mine().srv_aborts.inc();
        counters.srv_aborts.inc();
        if let Some(server) = &server {
            server.live.counters.mine().srv_aborts.inc();
        }
    }
    if end.phase == Phase::Connect || end.phase == Phase::Queue {
        counters.err_conn.inc();
    } else if let Some(server) = &server {
        let (connect, answer) = (span_us(flow.accepted, flow.chosen), span_us(flow.chosen, flow.answered));
        let total = span_us(flow.accepted, now);
        let server = server.live.counters.mine();
        server.timed.inc();
        server.connect_time_us.add(connect);
        server.response_time_us.add(answer);
        server.total_time_us.add(total);
        counters.timed.inc();
        counters.connect_time_us.add(connect);
        counters.response_time_us.add(answer);
        counters.total_time_us.add(total);
    }
    flow.detach();
    if route.front.log.targets.is_empty() {
        return;
    }
    let mut txn = worker.take_txn();
    choice::introduce(&mut txn, flow.origin.peer, flow.local);
    txn.vars = std::mem::take(&mut flow.vars);
    txn.request_no = worker.next_request();
    (txn.accept_date_us, txn.request_date_us) = (flow.accept_date_us, flow.accept_date_us);
    let timers = &mut txn.timers;
    (timers.accepted, timers.request_start, timers.request_done) =
        (flow.accepted, flow.accepted, flow.accepted);
    (timers.queue_done, timers.connected, timers.response) = (flow.chosen, flow.chosen, flow.chosen);
    timers.closed = now;
    (txn.bytes_in, txn.bytes_out) = (flow.bytes_in, flow.bytes_out);
    (txn.retries, txn.redispatched) = (flow.moves, flow.moves > 0);
    txn.set_end(end.flags());
    let bind = flow.ear.cell.bind.get();
    // As of a connection: its backend and its server no longer count it in the line, its frontend does.
    drop(flow.counted);
    let env = StreamEnv::apart(worker, bind, &route, server.as_ref());
    access::log_of(&env, &mut txn, &route, server.as_ref(), end.cause != Cause::Normal);
    worker.keep_txn(txn);
}
