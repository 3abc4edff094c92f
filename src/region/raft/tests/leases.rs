//! Leases in a cluster that runs: they change hands when their holder dies or is cut off, and not when the leader does.

use super::cluster::*;
use crate::base::clock::MS;
use crate::region::lease::{HeldLease, acquire};

const LENGTH: Duration = Duration::from_millis(2500);

/// Whoever waits for it on a node.
fn waiting(cluster: &Cluster, n: usize, length: Duration) -> tokio::task::JoinHandle<HeldLease> {
    let seat = cluster.seat(n);
    cluster.runtime.spawn(async move { acquire(&seat, "job", length).await.expect("a lease") })
}

fn got(cluster: &Cluster, waiting: tokio::task::JoinHandle<HeldLease>) -> HeldLease {
    cluster.runtime.block_on(waiting).expect("a lease")
}

/// The leader and two that do not lead.
fn three(cluster: &Cluster) -> (usize, usize, usize) {
    let leader = cluster.leader();
    (leader, (leader + 1) % 3, (leader + 2) % 3)
}

#[test]
fn a_lease_of_the_dead_is_had_after_its_length_and_one_that_is_released_at_once() {
    let mut cluster = Cluster::new(3, true);
    let (_, a, b) = three(&cluster);
    let first = got(&cluster, waiting(&cluster, a, LENGTH));
    let next = waiting(&cluster, b, LENGTH);
    std::thread::sleep(LENGTH * 2);
    assert!(first.is_held() && !next.is_finished(), "it is renewed while it is wanted");
    cluster.kill(a);
    let (killed, until) = (clock::now_ns(), first.held_until());
    let second = got(&cluster, next);
    let now = clock::now_ns();
    assert!(now > until && !first.is_held(), "{} ms too early", (until - now) / MS);
    // In the time that it is to take, and the machine's own slowness.
    assert!(now - killed < LENGTH.as_nanos() as u64 + 2000 * MS, "{} ms", (now - killed) / MS);
    assert!(second.term() > first.term() && second.is_held());

    let other = cluster.running().find(|n| *n != b).expect("a node that runs");
    let next = waiting(&cluster, other, LENGTH);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!next.is_finished());
    let released = clock::now_ns();
    cluster.runtime.block_on(second.release());
    let third = got(&cluster, next);
    assert!(clock::now_ns() - released < 1000 * MS);
    // Dropping it releases it, too.
    let next = waiting(&cluster, b, LENGTH);
    let dropped = clock::now_ns();
    cluster.runtime.block_on(async move { drop(third) });
    got(&cluster, next);
    assert!(clock::now_ns() - dropped < 1000 * MS);
}

#[test]
fn a_holder_outlives_the_leader_and_knows_itself_when_it_is_cut_off() {
    let length = Duration::from_secs(6);
    let mut cluster = Cluster::new(3, true);
    let (leader, a, b) = three(&cluster);
    let first = got(&cluster, waiting(&cluster, a, length));
    cluster.kill(leader);
    let end = clock::now_ms() + 8000;
    while clock::now_ms() < end {
        assert!(first.is_held(), "another leader gives it its length once more");
        std::thread::sleep(Duration::from_millis(20));
    }
    cluster.restart(leader);
    let next = waiting(&cluster, b, length);
    until("all three", || (cluster.seat(b).map().members().filter(|m| m.alive).count() == 3).then_some(()));
    let addresses: Vec<String> = cluster.nodes.iter().map(|one| one.address.clone()).collect();
    cluster.cables.cut(&addresses[a], &addresses[b]);
    cluster.cables.cut(&addresses[a], &addresses[leader]);
    let lost = cluster.runtime.spawn(async move {
        first.lost().await;
        assert!(!first.is_held());
        (clock::now_ns(), first)
    });
    let second = got(&cluster, next);
    let had = clock::now_ns();
    let (lost, first) = cluster.runtime.block_on(lost).expect("lost");
    assert!(lost < had, "it was had {} ms before it was lost", (lost - had) / MS);
    assert!(second.term() > first.term());
}
