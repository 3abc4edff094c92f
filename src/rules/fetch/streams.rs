//! Connections that carry many streams: how many, how many they may carry, and what their peers did wrong.

use crate::conn::link::Carriage;
use crate::lang::Entry;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{Fetch, Needs};

const C: Needs = Needs::Client;
const S: Needs = Needs::Server;

fn int(value: u32) -> Option<Sample<'static>> {
    Some(Sample::Int(i64::from(value)))
}

/// The server's connection; there is none before a server was asked.
fn server(ctx: Ctx<'_>) -> Option<Carriage> {
    ctx.env.server_name().map(|_| ctx.env.server_carriage())
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(
        Entry::full("fc_glitches", "", "Faults of the client that were counted.", "fc_glitches", "3.0"),
        T::Int,
        C,
        |_, ctx, _| int(ctx.env.client_carriage().glitches),
    ),
    Fetch::new(
        Entry::full("bc_glitches", "", "Faults of the server that were counted.", "bc_glitches", "3.0"),
        T::Int,
        S,
        |_, ctx, _| int(server(ctx)?.glitches),
    ),
    Fetch::new(
        Entry::full("fc_nb_streams", "", "Streams of the client's connection.", "fc_nb_streams", "3.0"),
        T::Int,
        C,
        |_, ctx, _| int(ctx.env.client_carriage().streams),
    ),
    Fetch::new(
        Entry::full("bc_nb_streams", "", "Streams of the server's connection.", "bc_nb_streams", "3.0"),
        T::Int,
        S,
        |_, ctx, _| int(server(ctx)?.streams),
    ),
    Fetch::new(
        Entry::full(
            "fc_settings_streams_limit",
            "",
            "Streams that the client's connection may have at once.",
            "fc_settings_streams_limit",
            "3.1",
        ),
        T::Int,
        C,
        |_, ctx, _| int(ctx.env.client_carriage().limit),
    ),
    Fetch::new(
        Entry::full(
            "bc_settings_streams_limit",
            "",
            "Streams that the server's connection may have at once.",
            "bc_settings_streams_limit",
            "3.1",
        ),
        T::Int,
        S,
        |_, ctx, _| int(server(ctx)?.limit),
    ),
    Fetch::new(
        Entry::full("bc_http_major", "", "Major HTTP version on the server's side.", "bc_http_major", "1.7"),
        T::Int,
        S,
        |_, ctx, _| server(ctx).map(|c| Sample::Int(if c.is_http2 { 2 } else { 1 })),
    ),
];
