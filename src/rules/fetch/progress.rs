//! How the transaction went: dates, timers, byte counts, retries, termination.

use std::borrow::Cow;

use crate::base::clock::MS;
use crate::lang::Entry;
use crate::rules::args::{ArgKind, ArgSpec, Args};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::timing;

use super::constant::{check_unit, in_unit};
use super::entry::{Fetch, FetchFn, Needs};

const UNIT: ArgSpec = ArgSpec::new(0, &[ArgKind::Str]);
const E: Needs = Needs::End;

const fn int(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    since: &'static str,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, example, since), T::Int, E, run)
}

fn ms(value: Option<i64>) -> Option<Sample<'static>> {
    value.map(Sample::Int)
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full(
            "accept_date",
            "[s|ms|us]",
            "When the connection was accepted.",
            "accept_date(ms)",
            "2.8",
        ),
        T::Int,
        Needs::Client,
        |a, ctx, _| Some(Sample::Int(in_unit(ctx.txn.accept_date_us, a.int(0).unwrap_or(0)))),
    )
    .args(UNIT)
    .check(|a, _| check_unit(a, 0)),
    Fetch::new(
        Entry::full(
            "request_date",
            "[s|ms|us]",
            "When the request's first byte came.",
            "request_date(us)",
            "2.8",
        ),
        T::Int,
        Needs::RequestHead,
        |a, ctx, _| Some(Sample::Int(in_unit(ctx.txn.request_date_us, a.int(0).unwrap_or(0)))),
    )
    .args(UNIT)
    .check(|a, _| check_unit(a, 0)),
    int("bytes_in", "Bytes from the client.", "bytes_in", "2.7", |_, ctx, _| {
        Some(Sample::Int(ctx.txn.bytes_in as i64))
    }),
    int("bytes_out", "Bytes towards the client.", "bytes_out", "2.7", |_, ctx, _| {
        Some(Sample::Int(ctx.txn.bytes_out as i64))
    }),
    int("req.bytes_in", "Bytes of the request from the client.", "req.bytes_in", "3.3", |_, ctx, _| {
        Some(Sample::Int(ctx.txn.bytes_in as i64))
    }),
    int("req.bytes_out", "Bytes of the request to the server.", "req.bytes_out", "3.3", |_, ctx, _| {
        Some(Sample::Int(ctx.txn.bytes_in as i64))
    }),
    int("res.bytes_out", "Bytes of the response to the client.", "res.bytes_out", "3.3", |_, ctx, _| {
        Some(Sample::Int(ctx.txn.bytes_out as i64))
    }),
    int("res.bytes_in", "Bytes of the response from the server.", "res.bytes_in", "3.3", |_, ctx, _| {
        Some(Sample::Int(ctx.txn.bytes_out as i64))
    }),
    int(
        "txn.timer.total",
        "Milliseconds from the first byte of the request to the end (%Ta).",
        "txn.timer.total",
        "2.9",
        |_, ctx, _| ms(Some(timing::active(&ctx.txn.timers, ctx.env.now_ns()))),
    ),
    int(
        "txn.timer.user",
        "Milliseconds as the user saw them (%Tu).",
        "txn.timer.user",
        "2.9",
        |_, ctx, _| ms(Some(timing::user(&ctx.txn.timers, ctx.env.now_ns()))),
    ),
    int(
        "fc.timer.total",
        "Milliseconds since the connection was accepted (%Tt).",
        "fc.timer.total",
        "2.9",
        |_, ctx, _| ms(Some(timing::total(&ctx.txn.timers, ctx.env.now_ns()))),
    ),
    int(
        "fc.timer.handshake",
        "Milliseconds of handshakes (%Th).",
        "fc.timer.handshake",
        "2.9",
        |_, ctx, _| ms(Some((ctx.txn.timers.handshake / MS) as i64)),
    ),
    int(
        "req.timer.idle",
        "Milliseconds without a byte before the request (%Ti).",
        "req.timer.idle",
        "2.9",
        |_, ctx, _| ms(Some(timing::idle(&ctx.txn.timers))),
    ),
    int(
        "req.timer.hdr",
        "Milliseconds to receive the request's head (%TR).",
        "req.timer.hdr",
        "2.9",
        |_, ctx, _| ms(Some(timing::head(&ctx.txn.timers))),
    ),
    int("req.timer.tq", "%Th + %Ti + %TR.", "req.timer.tq", "2.9", |_, ctx, _| {
        ms(Some(timing::tq(&ctx.txn.timers)))
    }),
    int("req.timer.queue", "Milliseconds in the queue (%Tw).", "req.timer.queue", "2.9", |_, ctx, _| {
        ms(Some(timing::queue(&ctx.txn.timers)))
    }),
    int(
        "bc.timer.connect",
        "Milliseconds to connect to the server (%Tc).",
        "bc.timer.connect",
        "2.9",
        |_, ctx, _| ms(Some(timing::connect(&ctx.txn.timers))),
    ),
    int(
        "res.timer.hdr",
        "Milliseconds the server took to answer (%Tr).",
        "res.timer.hdr",
        "2.9",
        |_, ctx, _| ms(Some(timing::response(&ctx.txn.timers))),
    ),
    int(
        "res.timer.data",
        "Milliseconds of transfer after the head (%Td).",
        "res.timer.data",
        "2.9",
        |_, ctx, _| ms(Some(timing::data(&ctx.txn.timers, ctx.env.now_ns()))),
    ),
    int(
        "bc_be_queue",
        "Requests that were before this one in the backend's queue (%bq).",
        "bc_be_queue",
        "2.9",
        |_, ctx, _| Some(Sample::Int(i64::from(ctx.txn.backend_queue))),
    ),
    int(
        "bc_srv_queue",
        "Requests that were before this one in the server's queue (%sq).",
        "bc_srv_queue",
        "2.9",
        |_, ctx, _| Some(Sample::Int(i64::from(ctx.txn.server_queue))),
    ),
    int(
        "txn.conn_retries",
        "How often connecting was tried again (%rc).",
        "txn.conn_retries",
        "2.9",
        |_, ctx, _| Some(Sample::Int(i64::from(ctx.txn.retries))),
    ),
    Fetch::new(
        Entry::full(
            "txn.redispatched",
            "",
            "Whether another server was taken after a failure.",
            "txn.redispatched",
            "2.9",
        ),
        T::Bool,
        E,
        |_, ctx, _| Some(Sample::Bool(ctx.txn.redispatched)),
    ),
    int(
        "txn.id32",
        "The number of this transaction in the process (%rt).",
        "txn.id32",
        "2.9",
        |_, ctx, _| Some(Sample::Int((ctx.txn.request_no & 0xffff_ffff) as i64)),
    ),
    Fetch::new(
        Entry::full(
            "txn.sess_term_state",
            "",
            "The two letters of the termination state (%ts).",
            "txn.sess_term_state",
            "2.9",
        ),
        T::Str,
        E,
        |_, ctx, _| Some(Sample::Str(Cow::Borrowed(ctx.txn.termination.get(..2)?))),
    ),
    int("act_conn", "Connections of the whole process.", "act_conn", "2.8", |_, ctx, _| {
        Some(Sample::Int(i64::from(ctx.env.connections())))
    }),
];
