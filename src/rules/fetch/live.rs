//! Live figures of proxies and servers: connections, sessions, queues, rates.

use std::sync::atomic::Ordering::Relaxed;

use crate::base::clock;
use crate::lang::Entry;
use crate::model::ProxyLive;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Fetch, Needs};

const N: Needs = Needs::Nothing;
const BACKEND: ArgSpec = ArgSpec::new(1, &[ArgKind::Backend]);
const FRONTEND: ArgSpec = ArgSpec::new(1, &[ArgKind::Frontend]);
const SERVER: ArgSpec = ArgSpec::new(1, &[ArgKind::Server]);

fn proxy<'a>(args: &'a [Arg], ctx: Ctx<'a>) -> Option<&'a ProxyLive> {
    ctx.env.proxy(args.proxy(0))
}

/// A frontend that is not named is the current one.
fn frontend<'a>(args: &'a [Arg], ctx: Ctx<'a>) -> Option<&'a ProxyLive> {
    match args.proxy(0) {
        "" => ctx.env.proxy(ctx.env.frontend_name()),
        name => ctx.env.proxy(name),
    }
}

fn int(value: u32) -> Option<Sample<'static>> {
    Some(Sample::Int(i64::from(value)))
}

fn server<'a>(args: &'a [Arg], ctx: Ctx<'a>) -> Option<(bool, u32)> {
    match args.first()? {
        Arg::Server { backend, server } => ctx.env.server(backend, server),
        _ => None,
    }
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full("nbsrv", "[<backend>]", "Usable servers of a backend.", "nbsrv(static)", "1.3"),
        T::Int,
        N,
        |a, ctx, _| ctx.env.usable_servers(a.proxy(0)).and_then(int),
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full(
            "be_conn",
            "[<backend>]",
            "Current sessions of a backend, queued ones too.",
            "be_conn(app)",
            "1.3",
        ),
        T::Int,
        N,
        |a, ctx, _| int(proxy(a, ctx)?.back.cur.load(Relaxed)),
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full("fe_conn", "[<frontend>]", "Current sessions of a frontend.", "fe_conn(www)", "1.3"),
        T::Int,
        N,
        |a, ctx, _| int(frontend(a, ctx)?.front.cur.load(Relaxed)),
    )
    .args(FRONTEND),
    Fetch::new(
        Entry::full("queue", "[<backend>]", "Requests that wait in a backend's queue.", "queue(app)", "1.3"),
        T::Int,
        N,
        |a, ctx, _| int(proxy(a, ctx)?.queue.len()),
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full(
            "avg_queue",
            "[<backend>]",
            "Requests that wait in a backend's queue, per usable server, rounded up.",
            "avg_queue(app)",
            "1.3",
        ),
        T::Int,
        N,
        |a, ctx, _| {
            let queued = proxy(a, ctx)?.queue.len();
            int(match ctx.env.usable_servers(a.proxy(0))? {
                0 => queued.saturating_mul(2),
                servers => queued.div_ceil(servers),
            })
        },
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full(
            "be_sess_rate",
            "[<backend>]",
            "Sessions per second of a backend.",
            "be_sess_rate(app)",
            "1.3",
        ),
        T::Int,
        N,
        |a, ctx, _| int(proxy(a, ctx)?.back.sess_rate.read(ctx.env.now_ns() / clock::MS)),
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full(
            "fe_sess_rate",
            "[<frontend>]",
            "Sessions per second of a frontend.",
            "fe_sess_rate(www)",
            "1.3",
        ),
        T::Int,
        N,
        |a, ctx, _| int(frontend(a, ctx)?.front.sess_rate.read(ctx.env.now_ns() / clock::MS)),
    )
    .args(FRONTEND),
    Fetch::new(
        Entry::full(
            "fe_req_rate",
            "[<frontend>]",
            "Requests per second of a frontend.",
            "fe_req_rate(www)",
            "1.5",
        ),
        T::Int,
        N,
        |a, ctx, _| int(frontend(a, ctx)?.front.req_rate.read(ctx.env.now_ns() / clock::MS)),
    )
    .args(FRONTEND),
    Fetch::new(
        Entry::full(
            "srv_is_up",
            "[<backend>/]<server>",
            "Whether a server is up.",
            "srv_is_up(app/s1)",
            "1.3",
        ),
        T::Bool,
        N,
        |a, ctx, _| server(a, ctx).map(|(up, _)| Sample::Bool(up)),
    )
    .args(SERVER),
    Fetch::new(
        Entry::full(
            "srv_conn",
            "[<backend>/]<server>",
            "Current sessions of a server.",
            "srv_conn(app/s1)",
            "1.5",
        ),
        T::Int,
        N,
        |a, ctx, _| server(a, ctx).and_then(|(_, sessions)| int(sessions)),
    )
    .args(SERVER),
];
