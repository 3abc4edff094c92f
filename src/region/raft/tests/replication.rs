//! What is put on one node is seen on all; leaders come and go.

use std::time::Duration;

use super::cluster::*;
use crate::region::seat::Consistency;

#[test]
fn three_nodes_elect_a_leader_and_replicate() {
    let cluster = Cluster::new(3, false);
    let leader = cluster.leader();
    for n in 0..3 {
        let key = format!("from/{n}");
        cluster.put(n, &key, "1").expect("a put");
        assert_eq!(cluster.value(n, &key).as_deref(), Some("1"), "one reads what one wrote");
        for other in 0..3 {
            for how in [Consistency::Default, Consistency::Consistent] {
                let seat = cluster.seat(other);
                cluster.runtime.block_on(async move { seat.fresh(how).await }).expect("a fresh read");
                assert_eq!(cluster.value(other, &key).as_deref(), Some("1"), "on {other}, by {how:?}");
            }
        }
    }
    let status = cluster.seat(leader).status();
    assert_eq!(status.voters, vec![1, 2, 3]);
    let seat = cluster.seat((leader + 1) % 3);
    assert_eq!(seat.leader().expect("a leader").id, leader as u64 + 1);
    until("all members in the map", || (seat.map().members().filter(|m| m.alive).count() == 3).then_some(()));
    until("all nodes in the catalog", || (seat.map().nodes().count() == 3).then_some(()));
}

#[test]
fn a_killed_leader_is_replaced_and_catches_up_when_it_returns() {
    let mut cluster = Cluster::new(3, true);
    let first = cluster.leader();
    cluster.put(first, "a", "1").expect("a put");
    cluster.kill(first);
    let second = cluster.leader();
    assert_ne!(first, second);
    let other = (0..3).find(|n| *n != first && *n != second).expect("a third");
    cluster.put(other, "a", "2").expect("a put under the new leader");
    cluster.restart(first);
    until("the old leader to catch up", || (cluster.value(first, "a")? == "2").then_some(()));
    // Everything again from the disks.
    (0..3).for_each(|n| cluster.kill(n));
    (0..3).for_each(|n| cluster.restart(n));
    let leader = cluster.leader();
    until("what the disks held", || (cluster.value(leader, "a")? == "2").then_some(()));
    cluster.put((leader + 1) % 3, "a", "3").expect("a put after all were down");
}

#[test]
fn a_leader_cut_off_from_its_followers_says_so_and_reads_stale() {
    let cluster = Cluster::new(3, false);
    let old = cluster.leader();
    cluster.put(old, "a", "1").expect("a put");
    let others: Vec<usize> = (0..3).filter(|n| *n != old).collect();
    for other in &others {
        cluster.cables.cut(&cluster.nodes[old].address, &cluster.nodes[*other].address);
    }
    let new = until("another leader", || {
        others.iter().copied().find(|n| cluster.seat(*n).status().state == RaftState::Leader)
    });
    cluster.put(new, "a", "2").expect("a put on the majority's side");
    assert_eq!(cluster.put(old, "a", "3"), Err(SeatError::NoLeader));
    let seat = cluster.seat(old);
    for how in [Consistency::Default, Consistency::Consistent] {
        let read = cluster.runtime.block_on(seat.fresh(how));
        assert_eq!(read, Err(SeatError::NoLeader), "{how:?}");
    }
    assert!(!cluster.runtime.block_on(seat.fresh(Consistency::Stale)).expect("a stale read").known_leader);
    assert_eq!(cluster.value(old, "a").as_deref(), Some("1"));
    cluster.cables.mend();
    until("the old leader to follow", || (cluster.value(old, "a")? == "2").then_some(()));
}

#[test]
fn a_leader_steps_down_when_asked() {
    let cluster = Cluster::new(3, false);
    let old = cluster.leader();
    cluster.put(old, "a", "1").expect("a put");
    let began = clock::now_ms();
    cluster.runtime.block_on(cluster.handle(old).step_down());
    let new = until("another leader", || {
        (0..3).find(|n| *n != old && cluster.seat(*n).leader().is_some_and(|l| l.id == *n as u64 + 1))
    });
    println!("another led after {} ms", clock::now_ms() - began);
    cluster.put(old, "a", "2").expect("a put through the new leader");
    assert_eq!(cluster.value(old, "a").as_deref(), Some("2"));
    assert_ne!(new, old);
}

#[test]
fn one_that_lags_gets_a_snapshot() {
    let mut cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    let behind = (leader + 1) % 3;
    cluster.put(leader, "before", "1").expect("a put");
    cluster.kill(behind);
    for n in 0..50 {
        cluster.put(leader, &format!("many/{n}"), &"x".repeat(40_000)).expect("a put");
    }
    let raft = cluster.handle(leader).node.raft.get().expect("raft").clone();
    cluster.runtime.block_on(async {
        raft.trigger().snapshot().await.expect("a snapshot");
        let built = |m: &crate::region::raft::node::Metrics| m.snapshot.is_some();
        raft.wait(Some(Duration::from_secs(20))).metrics(built, "a snapshot").await.expect("a snapshot");
        let upto = raft.metrics().borrow().snapshot.expect("a snapshot").index;
        raft.trigger().purge_log(upto).await.expect("a purge");
        let purged = |m: &crate::region::raft::node::Metrics| m.purged.is_some_and(|id| id.index == upto);
        raft.wait(Some(Duration::from_secs(20))).metrics(purged, "a purge").await.expect("a purge");
    });
    cluster.restart(behind);
    until("the one that lagged", || cluster.value(behind, "many/49"));
    assert_eq!(cluster.value(behind, "before").as_deref(), Some("1"));
    // And it starts again from the snapshot that it was given.
    cluster.kill(behind);
    cluster.restart(behind);
    assert!(cluster.value(behind, "many/49").is_some());
}

#[test]
fn a_leader_whose_disk_is_full_lets_another_lead_and_goes_on_reading() {
    use crate::region::store::tests::{Disk, open};
    let mut cluster = Cluster::new(3, false);
    let disks: Vec<_> = (0..3).map(|_| Disk::new(u64::MAX)).collect();
    // The same three again, each on a disk of its own.
    for n in 0..3 {
        cluster.kill(n);
    }
    for (n, disk) in disks.iter().enumerate() {
        let address = cluster.nodes[n].address.clone();
        let listener = until("the port again", || TcpListener::bind(&address).ok());
        let log = Some(open(disk).expect("a store"));
        let options = Options { log, ..cluster.options(n, listener) };
        cluster.nodes[n].running = Some(start(options).expect("a node"));
    }
    let old = cluster.leader();
    cluster.put(old, "a", "1").expect("a put");
    disks[old].full.store(true, std::sync::atomic::Ordering::SeqCst);
    // Whatever becomes of this one.
    let _ = cluster.put(old, "a", "2");
    let new = until("another leader", || {
        (0..3).find(|n| *n != old && cluster.seat(*n).leader().is_some_and(|l| l.id == *n as u64 + 1))
    });
    cluster.put(new, "b", "1").expect("a put under the new leader");
    assert!(cluster.value(old, "a").is_some(), "stale reads go on");
    disks[old].full.store(false, std::sync::atomic::Ordering::SeqCst);
    until("the old one to catch up", || cluster.value(old, "b"));
    cluster.put(old, "c", "1").expect("a put there again");
}

#[test]
fn one_alone_on_a_full_disk_refuses_writes_and_says_why() {
    use crate::region::store::tests::{Disk, open};
    let disk = Disk::new(u64::MAX);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let log = Some(open(&disk).expect("a store"));
    let (seat, _handle) = start(Options { name: "only".into(), log, ..Options::default() }).expect("a node");
    runtime.block_on(seat.propose(put("a", "1"))).expect("a put");
    disk.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = until("a refusal", || match runtime.block_on(seat.propose(put("a", "2"))) {
        Err(e @ SeatError::Disk(_)) => Some(e.to_string()),
        _ => None,
    });
    assert!(refused.contains("cannot write its log"), "{refused}");
    runtime.block_on(seat.fresh(Consistency::Default)).expect("a read");
    disk.full.store(false, std::sync::atomic::Ordering::SeqCst);
    until("a write again", || runtime.block_on(seat.propose(put("a", "3"))).ok());
    assert_eq!(value(&seat, "a").as_deref(), Some("3"));
}

/// The protocol counts entries: without a rule of its own the log of large values would have no bound to speak of.
#[test]
fn a_log_of_large_values_is_shortened_by_its_bytes() {
    let cluster = Cluster::new(3, true);
    let leader = cluster.leader();
    let value = "x".repeat(400_000);
    for n in 0..120 {
        cluster.put(leader, &format!("large/{}", n % 4), &value).expect("a put");
    }
    let raft = cluster.handle(leader).node.raft.get().expect("raft").clone();
    until("the log to be shortened", || {
        raft.metrics().borrow().purged.is_some_and(|id| id.index > 40).then_some(())
    });
    for node in 0..3 {
        let node = &cluster.handle(node).node;
        let purged = || node.metrics().and_then(|metrics| metrics.purged).map_or(0, |id| id.index);
        until("every node's log to be short", || {
            (node.log.bytes_from(purged() + 1) < 40 << 20).then_some(())
        });
    }
    assert_eq!(cluster.value(leader, "large/3").map(|value| value.len()), Some(400_000));
}
