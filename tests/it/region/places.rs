//! Nodes that come back at another address, and nodes that leave their cluster and join anew with nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::api::{Api, Failed, Reply};
use super::cluster::{API, SOON};
use super::faults::Ground;
use crate::support::place::wait_until;

/// Of the network on which the hosts are.
pub const PREFIX: u8 = 16;
/// What a member takes to leave: as its API says, and with a cluster that elects meanwhile.
const LEAVING: Duration = Duration::from_secs(60);
/// Until a node that left votes again: also one of which the others do not know yet that it left.
const JOINING: Duration = Duration::from_secs(60);

/// What makes the nodes that form the first cluster believe each other.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The configuration of a node among nodes at these addresses: each finds the others where they are now.
pub fn text_of(n: usize, addresses: &[IpAddr], tls: bool) -> String {
    let trust = if tls { format!("ssl\n join-token {SECRET}") } else { "insecure".into() };
    text_with(n, addresses, &format!("{trust}\n expect {}", addresses.len()))
}

fn text_with(n: usize, addresses: &[IpAddr], trust: &str) -> String {
    let join: Vec<String> = addresses.iter().map(|address| format!("{address}:7400")).collect();
    let address = addresses[n];
    format!(
        "region-map\n node n{n}\n bind {address}:7400 {trust}\n data-dir \"${{ISOBAR_DATA}}/n{n}/map\"\n \
         retry-join {}\n http-api {address}:{API} insecure\n",
        join.join(" ")
    )
}

/// The address of a node that moved so often, or others before it.
pub fn address(n: usize, moves: usize) -> IpAddr {
    Ipv4Addr::new(10, 77, (moves % 250) as u8, n as u8 + 1).into()
}

/// Gives a node a configuration with the addresses that all have now. `token`: of the cluster that it is to join.
fn stands(ground: &mut Ground<'_>, node: usize, token: Option<&str>) {
    let addresses: Vec<IpAddr> = ground.cluster.nodes.iter().map(|node| node.address).collect();
    let text = match token {
        Some(token) => text_with(node, &addresses, &format!("ssl\n join-token {token}")),
        None => text_of(node, &addresses, ground.tls),
    };
    ground.cluster.nodes[node].becomes(addresses[node], &text);
}

/// Ends a node, killed or in good order, and gives its host another address.
pub fn moves(ground: &mut Ground<'_>, node: usize, killed: bool) {
    match killed {
        true => ground.cluster.kill(node),
        false => ground.cluster.stop(node),
    }
    ground.moves += 1;
    let to = address(node, ground.moves);
    ground.wires.moves(ground.lab, node, &to.to_string(), PREFIX);
    ground.cluster.nodes[node].address = to;
    ground.traffic.moved(node, SocketAddr::new(to, API));
}

/// Starts it there, and waits until the others know.
pub fn arrives(ground: &mut Ground<'_>, node: usize) {
    stands(ground, node, None);
    ground.cluster.start(node);
    let known = || ground.cluster.writes(node) && is_voter_of_all(ground, node);
    assert!(wait_until(SOON, known), "node {node} moved; it says:\n{}", ground.cluster.nodes[node].said());
}

/// Whether each of the others knows the node as a voter where it is.
fn is_voter_of_all(ground: &Ground<'_>, node: usize) -> bool {
    let place = format!("{}:7400", ground.cluster.nodes[node].address);
    let knows = |other: &super::cluster::Node| {
        let mut api = other.api().patience(Duration::from_secs(2));
        let reply = api.get("/v1/operator/raft/configuration?stale");
        reply.is_ok_and(|reply| {
            let servers = if reply.status == 200 { reply.json()["Servers"].clone() } else { return false };
            let servers = servers.as_array().cloned().unwrap_or_default();
            servers.len() == ground.cluster.nodes.len()
                && servers.iter().any(|one| one["Address"] == *place && one["Voter"] == true)
        })
    };
    ground.cluster.nodes.iter().all(knows)
}

/// Makes a node leave, as `isobar cluster leave --force` does, or as Consul's agents do. False when it kept its place,
/// as the latter does where the others could not go on without it.
pub fn leaves(ground: &mut Ground<'_>, node: usize, by_force: bool) -> bool {
    let path = if by_force { "/v1/isobar/cluster/leave?force" } else { "/v1/agent/leave" };
    let reply = ground.cluster.nodes[node].api().patience(LEAVING).put(path, "");
    match reply {
        Ok(Reply { status: 200, .. }) => {
            if let Err(said) = ground.cluster.ends(node, SOON) {
                panic!("node {node} left and does not end; it says:\n{said}");
            }
        }
        // It may have ended before its answer was read.
        Err(Failed::Unknown) if ground.cluster.ends(node, Duration::from_secs(3)).is_ok() => {}
        Ok(reply) => {
            eprintln!("node {node} does not leave by {path}: {} {}", reply.status, reply.body.trim());
            return false;
        }
        Err(failed) => {
            eprintln!("node {node} does not leave by {path}: {failed:?}");
            return false;
        }
    }
    let map = ground.cluster.dir().join(format!("n{node}/map"));
    std::fs::remove_dir_all(&map).unwrap_or_else(|e| panic!("{}: {e}", map.display()));
    true
}

/// Starts it with nothing, and waits until it votes.
pub fn joins(ground: &mut Ground<'_>, node: usize) {
    let until = Instant::now() + JOINING;
    let left = || until.saturating_duration_since(Instant::now());
    let mut token = None;
    if ground.tls {
        let other = &ground.cluster.nodes[(node + 1) % ground.cluster.nodes.len()];
        wait_until(left(), || {
            token = token_of(&mut other.api());
            token.is_some()
        });
        assert!(token.is_some(), "no join token; who was asked says:\n{}", other.said());
    }
    stands(ground, node, token.as_deref());
    ground.cluster.start(node);
    let votes = wait_until(left(), || is_voter_of_all(ground, node));
    assert!(votes, "node {node} does not vote; it says:\n{}", ground.cluster.nodes[node].said());
}

/// Where the cluster has an authority, nobody joins without one: the secret of those that formed it is of no use then.
fn token_of(api: &mut Api) -> Option<String> {
    let shown = api.get("/v1/isobar/cluster/join-token/manager").ok().filter(|reply| reply.status == 200)?;
    shown.json()["Token"].as_str().map(str::to_owned)
}
