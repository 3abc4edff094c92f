//! Who is alive, and which region is: what a new leader says of those it has not heard yet, and to the moment.

use std::collections::BTreeSet;

use super::cluster::*;
use crate::region::map::Topic;

const LIVENESS: Duration = Duration::from_millis(1500);
const REGION: Duration = Duration::from_millis(2500);

/// Three nodes, each in a region of its name.
fn three() -> Cluster {
    let mut cluster = Cluster::new(0, false);
    cluster.expect = 3;
    let listeners: Vec<_> = (0..3).map(|_| free_address()).collect();
    for (n, (_, address)) in listeners.iter().enumerate() {
        let one = One { name: format!("n{}", n + 1), address: address.clone(), dir: None, running: None };
        cluster.nodes.push(one);
    }
    for (n, (listener, _)) in listeners.into_iter().enumerate() {
        let options = Options {
            region: cluster.nodes[n].name.clone(),
            liveness_timeout: Some(LIVENESS),
            region_timeout: Some(REGION),
            ..cluster.options(n, listener)
        };
        cluster.nodes[n].running = Some(start(options).expect("a node"));
    }
    cluster
}

/// Every member in the catalog, with a UUID of its own.
fn ids(cluster: &Cluster, n: usize) -> BTreeSet<String> {
    let map = cluster.seat(n).map();
    map.nodes()
        .filter(|node| uuid::Uuid::parse_str(&node.id).is_ok())
        .map(|node| node.id.to_string())
        .collect()
}

#[test]
fn a_new_leader_declares_nobody_dead_and_a_lost_region_to_the_moment() {
    let mut cluster = three();
    let leader = cluster.leader();
    until("all in the catalog", || (ids(&cluster, leader).len() == 3).then_some(()));
    let name = cluster.nodes[leader].name.clone();
    let killed = clock::now_ms();
    cluster.kill(leader);
    let other = cluster.running().next().expect("a node that runs");
    let seat = cluster.seat(other);
    // Whatever happens until the region of the dead is lost, the others live all the time.
    let mut looked = 0;
    let lost = until("the region of the dead lost", || {
        let map = seat.map();
        for member in map.members().filter(|member| *member.name != *name) {
            assert!(member.alive, "{} is said to be dead", member.name);
            assert!(map.outage(&member.region).is_none(), "{} is said to be lost", member.region);
        }
        looked += 1;
        map.outage(&name).filter(|outage| outage.lost).map(|outage| (outage.clone(), clock::now_ms()))
    });
    let took = lost.1 - killed;
    // Not before its time, and at most the machine's own slowness after it.
    let at_most = REGION.as_millis() as u64 + 3000;
    assert!((2000..at_most).contains(&took), "{took} ms after the kill, looked {looked} times");
    assert_eq!(&*lost.0.cause, "its only node was not heard for 2500 ms");
    assert!(!seat.map().members().any(|member| member.alive && *member.name == *name));

    // Another leads once more: who is dead does not live because of that.
    let leader = cluster.leader();
    let index = seat.map().index_of(&Topic::Regions);
    cluster.runtime.block_on(cluster.handle(leader).step_down());
    until("another leader", || (cluster.leader() != leader).then_some(()));
    let end = clock::now_ms() + 2000;
    while clock::now_ms() < end {
        let map = seat.map();
        let dead = map.members().find(|member| *member.name == *name).expect("the dead");
        assert!(!dead.alive && map.index_of(&Topic::Regions) == index, "it came back from the dead");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_node_keeps_its_uuid_with_its_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let alone = || Options { name: "only".into(), data_dir: Some(dir.path().into()), ..Options::default() };
    let shown = |seat: &Seat| {
        until("the node", || {
            seat.map().node("only").map(|node| node.id.to_string()).filter(|id| !id.is_empty())
        })
    };
    let (seat, handle) = start(alone()).expect("a node");
    let id = shown(&seat);
    assert_eq!(handle.node_id().as_deref(), Some(id.as_str()));
    handle.shutdown();
    let (seat, handle) = start(alone()).expect("a node again");
    assert_eq!((shown(&seat), handle.node_id()), (id.clone(), Some(id)));
}
