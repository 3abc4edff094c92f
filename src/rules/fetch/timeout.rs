//! Timeouts: as the proxies have them, and as rules set them for the stream at hand.

use crate::lang::Entry;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::{Ctx, TimeoutOverrides};

use super::entry::{Fetch, Needs};

type Field = fn(&TimeoutOverrides) -> Option<u64>;

fn ms(value: Option<u64>) -> Option<Sample<'static>> {
    Some(Sample::Int(i64::try_from(value.unwrap_or(0)).unwrap_or(i64::MAX)))
}

/// As configured.
fn configured<'a>(ctx: Ctx<'a>, field: Field) -> Option<Sample<'a>> {
    ms(field(&ctx.env.timeouts()))
}

/// As in force.
fn current<'a>(ctx: Ctx<'a>, field: Field) -> Option<Sample<'a>> {
    ms(field(&ctx.txn.timeouts).or_else(|| field(&ctx.env.timeouts())))
}

const N: Needs = Needs::Nothing;

macro_rules! fetch {
    ($value:ident, $name:literal, $field:ident, $doc:literal, $since:literal) => {
        Fetch::new(Entry::full($name, "", $doc, $name, $since), T::Int, N, |_, ctx, _| {
            $value(ctx, |t| t.$field)
        })
    };
}

pub static FETCHES: &[Fetch] = &[
    fetch!(
        configured,
        "fe_client_timeout",
        client_ms,
        "The frontend's 'timeout client' in milliseconds.",
        "3.0"
    ),
    fetch!(
        current,
        "cur_client_timeout",
        client_ms,
        "'timeout client' as in force for this stream, in milliseconds.",
        "3.0"
    ),
    fetch!(
        configured,
        "be_connect_timeout",
        connect_ms,
        "The backend's 'timeout connect' in milliseconds.",
        "3.1"
    ),
    fetch!(
        current,
        "cur_connect_timeout",
        connect_ms,
        "'timeout connect' as in force for this stream, in milliseconds.",
        "3.1"
    ),
    fetch!(configured, "be_queue_timeout", queue_ms, "The backend's 'timeout queue' in milliseconds.", "3.1"),
    fetch!(
        current,
        "cur_queue_timeout",
        queue_ms,
        "'timeout queue' as in force for this stream, in milliseconds.",
        "3.1"
    ),
    fetch!(
        configured,
        "be_server_timeout",
        server_ms,
        "The backend's 'timeout server' in milliseconds.",
        "2.4"
    ),
    fetch!(
        current,
        "cur_server_timeout",
        server_ms,
        "'timeout server' as in force for this stream, in milliseconds.",
        "2.4"
    ),
    fetch!(
        configured,
        "be_tarpit_timeout",
        tarpit_ms,
        "The backend's 'timeout tarpit' in milliseconds.",
        "3.1"
    ),
    Fetch::new(
        Entry::full(
            "fe_tarpit_timeout",
            "",
            "The frontend's 'timeout tarpit' in milliseconds.",
            "fe_tarpit_timeout",
            "3.1",
        ),
        T::Int,
        N,
        |_, ctx, _| ms(Some(ctx.env.frontend_tarpit_ms())),
    ),
    fetch!(
        current,
        "cur_tarpit_timeout",
        tarpit_ms,
        "'timeout tarpit' as in force for this stream, in milliseconds.",
        "3.1"
    ),
    fetch!(
        configured,
        "be_tunnel_timeout",
        tunnel_ms,
        "The backend's 'timeout tunnel' in milliseconds.",
        "2.4"
    ),
    fetch!(
        current,
        "cur_tunnel_timeout",
        tunnel_ms,
        "'timeout tunnel' as in force for this stream, in milliseconds.",
        "2.4"
    ),
];
