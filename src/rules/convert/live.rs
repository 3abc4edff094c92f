//! Live figures of what a string names: backends, servers, frontends.

use crate::lang::Entry;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::{Ctx, ServerState};

use super::entry::{ConvFn, Converter};
use super::text::bytes;

/// The server of `[backend/]server`.
fn server(sample: Sample<'_>, ctx: Ctx<'_>) -> Option<ServerState> {
    let name = bytes(sample);
    let name = std::str::from_utf8(&name).ok()?;
    let (backend, server) = name.split_once('/').unwrap_or(("", name));
    ctx.env.server(backend, server)
}

const fn row(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    types: (T, &'static str),
    run: ConvFn,
) -> Converter {
    Converter::new(Entry::full(name, "", doc, example, types.1), T::Str, types.0, run)
}

pub static CONVERTERS: &[Converter] = &[
    row(
        "nbsrv",
        "Usable servers of the backend of this name.",
        "str(static),nbsrv",
        (T::Int, "2.5"),
        |s, _, ctx| {
            let name = bytes(s);
            let name = std::str::from_utf8(&name).ok().filter(|n| !n.is_empty())?;
            Some(Sample::Int(ctx.env.usable_servers(name)?.into()))
        },
    ),
    row(
        "srv_is_up",
        "Whether the server of this name is up.",
        "str(app/s1),srv_is_up",
        (T::Bool, "3.1"),
        |s, _, ctx| Some(Sample::Bool(server(s, ctx)?.is_up)),
    ),
    row(
        "srv_queue",
        "Requests that wait for the server of this name.",
        "req.cook(SRVID),srv_queue",
        (T::Int, "2.5"),
        |s, _, ctx| Some(Sample::Int(server(s, ctx)?.queued.into())),
    ),
    row(
        "fe_exists",
        "Whether there is a frontend of this name.",
        "str(www),fe_exists",
        (T::Bool, "3.3"),
        |s, _, ctx| Some(Sample::Bool(ctx.env.has_frontend(std::str::from_utf8(&bytes(s)).ok()?))),
    ),
];
