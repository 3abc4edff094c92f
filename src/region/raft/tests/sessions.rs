//! Sessions whose node, or whose leader, is gone.

use super::cluster::*;
use crate::region::map::{Command, Session};

const TTL_MS: u64 = 3_000;

fn create(cluster: &Cluster, n: usize, id: &str) {
    let session = Session {
        id: id.into(),
        node: cluster.nodes[n].name.as_str().into(),
        ttl_ms: TTL_MS,
        ..Session::default()
    };
    let seat = cluster.seat(n);
    until("the node in the catalog", || seat.map().node(&session.node).map(drop));
    let made = cluster.runtime.block_on(seat.propose(Command::SessionCreate(session)));
    assert!(!format!("{made:?}").contains("Refused"), "{made:?}");
}

fn renew(cluster: &Cluster, n: usize, id: &str) -> Result<bool, SeatError> {
    let (seat, id) = (cluster.seat(n), id.into());
    cluster.runtime.block_on(async move { seat.renew(id).await })
}

#[test]
fn a_session_of_a_dead_member_ends_and_one_that_is_renewed_anywhere_does_not() {
    let mut cluster = Cluster::new(3, false);
    let leader = cluster.leader();
    let (dies, other) = ((leader + 1) % 3, (leader + 2) % 3);
    create(&cluster, dies, "dead");
    create(&cluster, dies, "renewed");
    assert!(renew(&cluster, dies, "dead").expect("renewed"));
    cluster.kill(dies);
    let killed = clock::now_ms();
    let seat = cluster.seat(other);
    until("its end", || {
        assert!(renew(&cluster, other, "renewed").expect("renewed, whoever is dead"));
        seat.map().session("dead").is_none().then_some(())
    });
    let took = clock::now_ms() - killed;
    assert!((TTL_MS..2 * TTL_MS + 2_000).contains(&took), "{took} ms");
    assert!(seat.map().session("renewed").is_some());
    assert!(!renew(&cluster, other, "dead").expect("an answer"));
}

#[test]
fn a_session_of_the_leader_that_dies_ends_in_its_time_too() {
    let mut cluster = Cluster::new(3, false);
    let leader = cluster.leader();
    create(&cluster, leader, "s");
    create(&cluster, leader, "t");
    cluster.kill(leader);
    let killed = clock::now_ms();
    let other = cluster.leader();
    let seat = cluster.seat(other);
    until("its end", || {
        // Without a leader nobody is told that it is renewed.
        let _ = renew(&cluster, other, "t");
        seat.map().session("s").is_none().then_some(())
    });
    let took = clock::now_ms() - killed;
    assert!((TTL_MS..2 * TTL_MS + 2_000).contains(&took), "{took} ms");
    assert!(seat.map().session("t").is_some());
}

#[test]
fn a_session_ends_in_its_time_however_often_another_leads() {
    let cluster = Cluster::new(3, false);
    create(&cluster, cluster.leader(), "s");
    create(&cluster, cluster.leader(), "t");
    let made = clock::now_ms();
    let seat = cluster.seat(0);
    until("its end", || {
        let leader = cluster.leader();
        cluster.runtime.block_on(cluster.handle(leader).step_down());
        let next = cluster.leader();
        // Between two leaders nobody is told that it is renewed.
        let _ = renew(&cluster, next, "t");
        std::thread::sleep(Duration::from_millis(200));
        seat.map().session("s").is_none().then_some(())
    });
    let took = clock::now_ms() - made;
    assert!((TTL_MS..2 * TTL_MS + 2_000).contains(&took), "{took} ms");
    assert!(seat.map().session("t").is_some(), "what was renewed under one leader stands under the next");
}
