//! The files `conf/region-*.cfg`: three nodes form a cluster, serve what is registered at any of them, and go on when
//! nodes die (jobs 8 and 21 of the operator's day).

use std::time::Duration;

use super::cluster::{Cluster, Node, SOON, loopback};
use crate::support::origin::Origin;
use crate::support::place::wait_until;

pub const FILES: [&str; 3] = [
    include_str!("../../../conf/region-a.cfg"),
    include_str!("../../../conf/region-b.cfg"),
    include_str!("../../../conf/region-c.cfg"),
];

pub fn three() -> Cluster {
    let node = |n: usize| {
        let mut node = Node::new(loopback(n as u8), FILES[n]);
        for (peer, name) in ["ISOBAR_A", "ISOBAR_B", "ISOBAR_C"].iter().enumerate() {
            node = node.env(name, loopback(peer as u8));
        }
        node
    };
    Cluster::new((0..3).map(node).collect())
}

/// Registers an origin at a node as the instance `id` of `web`.
pub fn register(cluster: &Cluster, n: usize, id: &str, origin: &Origin) {
    let addr = origin.addr();
    let body = format!(r#"{{"Name":"web","ID":"{id}","Address":"{}","Port":{}}}"#, addr.ip(), addr.port());
    let reply = cluster.nodes[n].api().put("/v1/agent/service/register", &body).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
}

pub fn deregister(cluster: &Cluster, n: usize, id: &str) {
    let path = format!("/v1/agent/service/deregister/{id}");
    let reply = cluster.nodes[n].api().put(&path, "").expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// Waits until the frontend of `n` has answered so a few times in a row.
fn serves(cluster: &Cluster, n: usize, wanted: &str) {
    let mut last = String::new();
    let done = wait_until(SOON, || {
        (0..4).all(|_| {
            last = cluster.nodes[n].ask();
            last == wanted
        })
    });
    assert!(done, "node {n} serves {last:?} instead of {wanted:?}; it said:\n{}", cluster.nodes[n].said());
}

#[test]
fn three_nodes_form_serve_and_survive() {
    let mut cluster = three();
    cluster.start_all();
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    serves(&cluster, 0, "503");

    register(&cluster, 0, "w1", &one);
    (0..3).for_each(|n| serves(&cluster, n, "one"));
    register(&cluster, 2, "w2", &two);
    deregister(&cluster, 0, "w1");
    (0..3).for_each(|n| serves(&cluster, n, "two"));

    cluster.kill(1);
    let went_on = wait_until(SOON, || cluster.writes(0) && cluster.writes(2));
    assert!(went_on, "two of three take no writes");
    [0, 2].iter().for_each(|&n| serves(&cluster, n, "two"));
    register(&cluster, 0, "w1", &one);
    deregister(&cluster, 2, "w2");
    [0, 2].iter().for_each(|&n| serves(&cluster, n, "one"));

    cluster.start(1);
    cluster.settle();
    serves(&cluster, 1, "one");
}

#[test]
fn without_a_quorum_a_node_serves_what_it_knows_and_refuses_writes() {
    let mut cluster = three();
    cluster.start_all();
    let one = Origin::named("one");
    register(&cluster, 2, "w1", &one);
    serves(&cluster, 2, "one");
    let put = cluster.nodes[0].api().put("/v1/kv/known", "value").expect("an answer");
    assert_eq!((put.status, put.body.as_str()), (200, "true"));
    let read = |cluster: &Cluster| cluster.nodes[2].api().get("/v1/kv/known?stale&raw").expect("an answer");
    assert!(wait_until(SOON, || read(&cluster).body == "value"));

    cluster.kill(0);
    cluster.kill(1);
    let mut last = String::new();
    let refused = wait_until(SOON, || {
        let reply = cluster.nodes[2].api().put("/v1/kv/refused", "other").expect("an answer in time");
        last = format!("{} {}", reply.status, reply.body);
        last == "500 No cluster leader"
    });
    assert!(refused, "a write without a quorum: {last}");
    let reply = cluster.nodes[2].api().get("/v1/kv/known").expect("an answer in time");
    assert_eq!((reply.status, reply.body.as_str()), (500, "No cluster leader"), "a default read");
    // The registered instance is the node's own, so that it does not count as dead.
    for _ in 0..10 {
        let stale = read(&cluster);
        assert_eq!((stale.status, stale.body.as_str()), (200, "value"), "a stale read");
        assert_eq!(cluster.nodes[2].ask(), "one", "routing");
        std::thread::sleep(Duration::from_millis(300));
    }

    cluster.start(0);
    let mended = wait_until(SOON, || cluster.writes(2) && cluster.writes(0));
    assert!(mended, "two of three again, and no writes; they said:\n{}", cluster.nodes[0].said());
    assert_eq!(cluster.nodes[0].api().get("/v1/kv/known?raw").expect("an answer").body, "value");
    serves(&cluster, 0, "one");
}
