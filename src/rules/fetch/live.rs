//! Live figures of proxies and servers: connections, sessions, queues, rates.

use std::sync::atomic::Ordering::Relaxed;

use crate::base::clock;
use crate::lang::Entry;
use crate::model::ProxyLive;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::{Ctx, ServerState};

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

fn server<'a>(args: &'a [Arg], ctx: Ctx<'a>) -> Option<ServerState> {
    match args.first()? {
        Arg::Server { backend, server } => ctx.env.server(backend, server),
        _ => None,
    }
}

macro_rules! of_server {
    ($name:literal, $example:literal, $doc:literal, $since:literal, $field:ident) => {
        Fetch::new(
            Entry::full($name, "[<backend>/]<server>", $doc, $example, $since),
            T::Int,
            N,
            |a, ctx, _| int(server(a, ctx)?.$field),
        )
        .args(SERVER)
    };
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
        |a, ctx, _| Some(Sample::Bool(server(a, ctx)?.is_up)),
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
        |a, ctx, _| int(server(a, ctx)?.sessions),
    )
    .args(SERVER),
    Fetch::new(
        Entry::full(
            "srv_conn_free",
            "[<backend>/]<server>",
            "Sessions that a server still has room for; -1 without a limit.",
            "srv_conn_free(app/s1)",
            "2.0",
        ),
        T::Int,
        N,
        |a, ctx, _| Some(Sample::Int(server(a, ctx)?.free.unwrap_or(-1))),
    )
    .args(SERVER),
    of_server!("srv_queue", "srv_queue(app/s1)", "Requests that wait for a server.", "1.8", queued),
    of_server!("srv_weight", "srv_weight(app/s1)", "The weight that a server has now.", "1.8", weight),
    of_server!(
        "srv_uweight",
        "srv_uweight(app/s1)",
        "The weight that an operator gave a server.",
        "2.0",
        user_weight
    ),
    of_server!(
        "srv_iweight",
        "srv_iweight(app/s1)",
        "The weight that a server began with.",
        "2.0",
        initial_weight
    ),
    of_server!(
        "srv_sess_rate",
        "srv_sess_rate(app/s1)",
        "Sessions per second of a server.",
        "1.5",
        sess_rate
    ),
    Fetch::new(
        Entry::full(
            "be_conn_free",
            "[<backend>]",
            "Sessions that the servers of a backend still have room for; -1 where one has no limit.",
            "be_conn_free(app)",
            "2.0",
        ),
        T::Int,
        N,
        |a, ctx, _| Some(Sample::Int(ctx.env.room(a.proxy(0), false).unwrap_or(-1))),
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full(
            "connslots",
            "[<backend>]",
            "The same with their queues (maxqueue).",
            "connslots(app)",
            "1.3",
        ),
        T::Int,
        N,
        |a, ctx, _| Some(Sample::Int(ctx.env.room(a.proxy(0), true).unwrap_or(-1))),
    )
    .args(BACKEND),
    Fetch::new(
        Entry::full(
            "dst_conn",
            "",
            "Connections of the listener that the client came by.",
            "dst_conn",
            "1.3",
        ),
        T::Int,
        Needs::Client,
        |_, ctx, _| int(ctx.env.listener_connections()),
    ),
    Fetch::new(
        Entry::full("stopping", "", "Whether the process is about to end.", "stopping", "2.0"),
        T::Bool,
        N,
        |_, ctx, _| Some(Sample::Bool(ctx.env.is_stopping())),
    ),
];
