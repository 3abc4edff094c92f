//! What the kernel knows of connections (TCP_INFO), and the packet that one began with.

use std::borrow::Cow;

use crate::lang::Entry;
use crate::os::connection::TcpInfo;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::build::BuildCtx;
use crate::rules::sample::{Sample, SampleType as T};

use super::entry::{Fetch, FetchFn, Needs};

const UNIT: ArgSpec = ArgSpec::new(0, &[ArgKind::Str]);

/// Milliseconds unless microseconds are asked for.
fn check_unit(args: &mut Vec<Arg>, _: &mut BuildCtx<'_>) -> Result<(), String> {
    let per_ms = match args.as_slice().str(0) {
        b"" | b"ms" => 1000,
        b"us" => 1,
        other => return Err(format!("'{}' is not 'us' or 'ms'", String::from_utf8_lossy(other))),
    };
    *args = vec![Arg::Int(per_ms)];
    Ok(())
}

/// Microseconds in the unit that the argument has become.
fn time(args: &[Arg], us: u32) -> Option<Sample<'static>> {
    Some(Sample::Int(i64::from(us) / args.int(0).unwrap_or(1000)))
}

fn count(info: Option<TcpInfo>, of: fn(TcpInfo) -> u32) -> Option<Sample<'static>> {
    info.map(of).map(|n| Sample::Int(n.into()))
}

const fn row(name: &'static str, doc: &'static str, needs: Needs, run: FetchFn) -> Fetch {
    // HAProxy takes an argument, which says nothing.
    Fetch::new(Entry::full(name, "", doc, name, "1.7"), T::Int, needs, run).args(UNIT)
}

const fn timed(
    name: &'static str,
    example: &'static str,
    doc: &'static str,
    since: &'static str,
    needs: Needs,
    run: FetchFn,
) -> Fetch {
    Fetch::new(Entry::full(name, "[ms|us]", doc, example, since), T::Int, needs, run)
        .args(UNIT)
        .check(check_unit)
}

const C: Needs = Needs::Client;
const S: Needs = Needs::Server;

pub static FETCHES: &[Fetch] = &[
    timed(
        "fc_rtt",
        "fc_rtt(us)",
        "The round trip time of the client's connection.",
        "1.7",
        C,
        |a, ctx, _| time(a, ctx.env.client_tcp()?.rtt_us),
    ),
    timed(
        "fc_rttvar",
        "fc_rttvar(us)",
        "How much the client's round trip time varies.",
        "1.7",
        C,
        |a, ctx, _| time(a, ctx.env.client_tcp()?.rttvar_us),
    ),
    timed(
        "bc_rtt",
        "bc_rtt(us)",
        "The round trip time of the server's connection.",
        "2.8",
        S,
        |a, ctx, _| time(a, ctx.env.server_tcp()?.rtt_us),
    ),
    timed(
        "bc_rttvar",
        "bc_rttvar(us)",
        "How much the server's round trip time varies.",
        "2.8",
        S,
        |a, ctx, _| time(a, ctx.env.server_tcp()?.rttvar_us),
    ),
    row("fc_unacked", "Segments to the client that are not acknowledged.", C, |_, ctx, _| {
        count(ctx.env.client_tcp(), |i| i.unacked)
    }),
    row("fc_sacked", "Segments to the client that are acknowledged out of order.", C, |_, ctx, _| {
        count(ctx.env.client_tcp(), |i| i.sacked)
    }),
    row("fc_lost", "Segments to the client that are held lost.", C, |_, ctx, _| {
        count(ctx.env.client_tcp(), |i| i.lost)
    }),
    row("fc_retrans", "Segments to the client that were sent again.", C, |_, ctx, _| {
        count(ctx.env.client_tcp(), |i| i.retrans)
    }),
    row("fc_fackets", "Segments up to the last one that is acknowledged out of order.", C, |_, ctx, _| {
        count(ctx.env.client_tcp(), |i| i.fackets)
    }),
    row("fc_reordering", "How far out of order segments may come.", C, |_, ctx, _| {
        count(ctx.env.client_tcp(), |i| i.reordering)
    }),
    Fetch::new(
        Entry::full(
            "fc_saved_syn",
            "",
            "The packet that the client's connection began with (bind ... tcp-ss); once.",
            "fc_saved_syn",
            "3.4",
        ),
        T::Bin,
        C,
        |_, ctx, _| ctx.env.saved_syn().map(|packet| Sample::Bin(Cow::Owned(packet))),
    ),
];
