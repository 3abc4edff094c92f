//! Connections: addresses and ports of both sides, names and ids of what carries them.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::lang::Entry;
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::{Ctx, Endpoint};

use super::entry::{Fetch, FetchFn, Needs};

const C: Needs = Needs::Client;
const S: Needs = Needs::Server;
const N: Needs = Needs::Nothing;

/// An address as a sample; IPv4 in IPv6 stays IPv6, as the socket has it.
pub fn address(end: Endpoint) -> Option<Sample<'static>> {
    Some(match end.inet()?.ip() {
        IpAddr::V4(a) => Sample::Ipv4(a),
        IpAddr::V6(a) => Sample::Ipv6(a),
    })
}

fn port(end: Endpoint) -> Option<Sample<'static>> {
    end.inet().map(|a: SocketAddr| Sample::Int(i64::from(a.port())))
}

fn text(s: &str) -> Option<Sample<'_>> {
    Some(Sample::Str(Cow::Borrowed(s.as_bytes())))
}

/// Whether an end of a connection is this machine.
fn local(ctx: Ctx<'_>, end: Endpoint) -> Option<Sample<'static>> {
    Some(Sample::Bool(ctx.env.is_local(end.inet()?.ip())))
}

const fn is_local(name: &'static str, doc: &'static str, since: &'static str, run: FetchFn) -> Fetch {
    Fetch::new(Entry::full(name, "", doc, name, since), T::Bool, C, run)
}

pub static FETCHES: &[Fetch] = &[
    Fetch::new(Entry::full("src", "", "The client's address.", "src", "1.3"), T::Addr, C, |_, ctx, _| {
        address(ctx.txn.client)
    }),
    Fetch::new(
        Entry::full("src_port", "", "The client's port.", "src_port", "1.3"),
        T::Int,
        C,
        |_, ctx, _| port(ctx.txn.client),
    ),
    Fetch::new(
        Entry::full("dst", "", "The address the client connected to.", "dst", "1.3"),
        T::Addr,
        C,
        |_, ctx, _| address(ctx.txn.local),
    ),
    Fetch::new(
        Entry::full("dst_port", "", "The port the client connected to.", "dst_port", "1.3"),
        T::Int,
        C,
        |_, ctx, _| port(ctx.txn.local),
    ),
    Fetch::new(
        Entry::full("fc_src", "", "The client's address at the connection's level.", "fc_src", "2.5"),
        T::Addr,
        C,
        |_, ctx, _| address(ctx.txn.conn_client),
    ),
    Fetch::new(
        Entry::full("fc_src_port", "", "The client's port at the connection's level.", "fc_src_port", "2.5"),
        T::Int,
        C,
        |_, ctx, _| port(ctx.txn.conn_client),
    ),
    Fetch::new(
        Entry::full("fc_dst", "", "The destination address at the connection's level.", "fc_dst", "2.5"),
        T::Addr,
        C,
        |_, ctx, _| address(ctx.txn.conn_local),
    ),
    Fetch::new(
        Entry::full(
            "fc_dst_port",
            "",
            "The destination port at the connection's level.",
            "fc_dst_port",
            "2.5",
        ),
        T::Int,
        C,
        |_, ctx, _| port(ctx.txn.conn_local),
    ),
    Fetch::new(
        Entry::full("bc_src", "", "Our address on the server's connection.", "bc_src", "2.6"),
        T::Addr,
        S,
        |_, ctx, _| address(ctx.txn.server_local),
    ),
    Fetch::new(
        Entry::full("bc_src_port", "", "Our port on the server's connection.", "bc_src_port", "2.6"),
        T::Int,
        S,
        |_, ctx, _| port(ctx.txn.server_local),
    ),
    Fetch::new(
        Entry::full("bc_dst", "", "The server's address.", "bc_dst", "2.6"),
        T::Addr,
        S,
        |_, ctx, _| address(ctx.txn.server_remote),
    ),
    Fetch::new(
        Entry::full("bc_dst_port", "", "The server's port.", "bc_dst_port", "2.6"),
        T::Int,
        S,
        |_, ctx, _| port(ctx.txn.server_remote),
    ),
    Fetch::new(
        Entry::full("fe_name", "", "The frontend's name.", "fe_name", "1.8"),
        T::Str,
        N,
        |_, ctx, _| text(ctx.env.frontend_name()),
    ),
    Fetch::new(
        Entry::full("be_name", "", "The backend's name.", "be_name", "1.8"),
        T::Str,
        N,
        |_, ctx, _| text(ctx.env.backend_name()),
    ),
    Fetch::new(
        Entry::full("srv_name", "", "The server's name, once one was chosen.", "srv_name", "1.8"),
        T::Str,
        S,
        |_, ctx, _| ctx.env.server_name().and_then(text),
    ),
    Fetch::new(
        Entry::full("so_name", "", "The name of the bind line.", "so_name", "2.2"),
        T::Str,
        C,
        |_, ctx, _| text(ctx.env.listener_name()),
    ),
    Fetch::new(Entry::full("fe_id", "", "The frontend's number.", "fe_id", "1.5"), T::Int, N, |_, ctx, _| {
        Some(Sample::Int(i64::from(ctx.env.ids().0)))
    }),
    Fetch::new(Entry::full("be_id", "", "The backend's number.", "be_id", "1.5"), T::Int, N, |_, ctx, _| {
        Some(Sample::Int(i64::from(ctx.env.ids().1)))
    }),
    Fetch::new(Entry::full("srv_id", "", "The server's number.", "srv_id", "1.5"), T::Int, S, |_, ctx, _| {
        ctx.env.server_name().map(|_| Sample::Int(i64::from(ctx.env.ids().2)))
    }),
    Fetch::new(
        Entry::full("so_id", "", "The number of the bind line.", "so_id", "1.5"),
        T::Int,
        C,
        |_, ctx, _| Some(Sample::Int(i64::from(ctx.env.ids().3))),
    ),
    Fetch::new(
        Entry::full("fc_http_major", "", "Major HTTP version on the client's side.", "fc_http_major", "1.7"),
        T::Int,
        C,
        |_, ctx, _| {
            Some(Sample::Int(match ctx.txn.req.version {
                crate::http::head::Version::Http2 => 2,
                _ => 1,
            }))
        },
    ),
    is_local("src_is_local", "Whether the client's address is one of this machine's.", "1.5", |_, ctx, _| {
        local(ctx, ctx.txn.client)
    }),
    is_local(
        "dst_is_local",
        "Whether the destination is one of this machine's addresses.",
        "1.5",
        |_, ctx, _| local(ctx, ctx.txn.local),
    ),
    is_local(
        "fc_src_is_local",
        "Whether the connection's source is one of this machine's addresses.",
        "2.8",
        |_, ctx, _| local(ctx, ctx.txn.conn_client),
    ),
    is_local(
        "fc_dst_is_local",
        "Whether the connection's destination is one of this machine's addresses.",
        "2.8",
        |_, ctx, _| local(ctx, ctx.txn.conn_local),
    ),
    Fetch::new(
        Entry::full("fe_defbe", "", "The backend that default_backend names.", "fe_defbe", "2.0"),
        T::Str,
        N,
        |_, ctx, _| ctx.env.default_backend().and_then(text),
    ),
    Fetch::new(
        Entry::full(
            "bc_reused",
            "",
            "Whether the server's connection carried a request before this one.",
            "bc_reused",
            "3.2",
        ),
        T::Bool,
        S,
        |_, ctx, _| ctx.env.server_is_reused().map(Sample::Bool),
    ),
];
