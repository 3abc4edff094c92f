//! Connections: addresses and ports of both sides, names and ids of what carries them.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::lang::{Entry, Status};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Endpoint;

use super::entry::{Fetch, Needs};

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
    Fetch::new(
        Entry::full(
            "src_is_local",
            "",
            "Whether the client's address is one of this machine's.",
            "src_is_local",
            "1.5",
        )
        .with(Status::Partial("only loopback addresses and the connection's own local address count")),
        T::Bool,
        C,
        |_, ctx, _| {
            let ip = ctx.txn.client.inet()?.ip();
            Some(Sample::Bool(ip.is_loopback() || ctx.txn.local.inet().is_some_and(|l| l.ip() == ip)))
        },
    ),
    Fetch::new(
        Entry::full(
            "dst_is_local",
            "",
            "Whether the destination is one of this machine's addresses.",
            "dst_is_local",
            "1.5",
        )
        .with(Status::Partial("true for every accepted connection: transparent binding is not known here")),
        T::Bool,
        C,
        |_, ctx, _| ctx.txn.local.inet().map(|_| Sample::Bool(true)),
    ),
];
