//! Disks that are full or do not answer.

use std::sync::atomic::Ordering;

use super::cluster::*;
use crate::region::map::{Health, NODE_LIVENESS};
use crate::region::seat::Consistency;
use crate::region::store::tests::{Disk, open};

/// Three nodes in a cluster, each on a disk of its own.
fn three() -> (Cluster, Vec<Arc<Disk>>) {
    let mut cluster = Cluster::new(0, false);
    cluster.expect = 3;
    let disks: Vec<_> = (0..3).map(|_| Disk::new(u64::MAX)).collect();
    let listeners: Vec<_> = (0..3).map(|_| free_address()).collect();
    for (n, (_, address)) in listeners.iter().enumerate() {
        let one = One { name: format!("n{}", n + 1), address: address.clone(), dir: None, running: None };
        cluster.nodes.push(one);
    }
    for (n, (listener, _)) in listeners.into_iter().enumerate() {
        let log = Some(open(&disks[n]).expect("a store"));
        let options = Options {
            log,
            liveness_timeout: Some(Duration::from_millis(3000)),
            ..cluster.options(n, listener)
        };
        cluster.nodes[n].running = Some(start(options).expect("a node"));
    }
    until("all in the catalog", || (0..3).all(|n| cluster.seat(n).map().nodes().count() == 3).then_some(()));
    (cluster, disks)
}

/// What the others say of a node: whether it lives, and why not.
fn said_of(cluster: &Cluster, by: usize, of: usize) -> (bool, String) {
    let map = cluster.seat(by).map();
    let name = cluster.nodes[of].name.clone();
    let check = map.check(&name, NODE_LIVENESS).expect("its liveness").clone();
    (check.status == Health::Passing, check.output.to_string())
}

/// Proposes at every node for a while, whatever comes of it.
fn trouble_for(cluster: &Cluster, time: Duration) {
    let end = clock::now_ms() + time.as_millis() as u64;
    let mut turn = 0;
    while clock::now_ms() < end {
        for n in cluster.running() {
            let seat = cluster.seat(n);
            cluster.runtime.spawn(async move { seat.propose(put(&format!("t{turn}"), "1")).await });
        }
        turn += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Every node takes a write within the time that it takes to elect a few times.
fn take_writes(cluster: &Cluster, when: &str) {
    let freed = clock::now_ms();
    for n in cluster.running() {
        until(&format!("write at {n}, {when}"), || cluster.put(n, "after", when).ok());
        let took = clock::now_ms() - freed;
        assert!(took < 15_000, "{when}: node {n} takes a write after {took} ms");
    }
}

fn fresh(cluster: &Cluster, n: usize) -> Result<(), SeatError> {
    let seat = cluster.seat(n);
    cluster.runtime.block_on(async move { seat.fresh(Consistency::Default).await.map(drop) })
}

#[test]
fn a_leader_whose_disk_hangs_hands_over_and_says_why_it_answers_nothing() {
    let (cluster, disks) = three();
    let old = cluster.leader();
    let other = (old + 1) % 3;
    cluster.put(other, "a", "1").expect("a put");
    disks[old].hung.store(true, Ordering::SeqCst);
    let hung = clock::now_ms();
    // What is on its way when it hangs may be lost; nothing is known of it yet.
    let _ = cluster.put(other, "a", "2");
    until("a put under another leader", || cluster.put(other, "b", "1").ok());
    assert!(clock::now_ms() - hung < 15_000, "within a few election timeouts and one request");
    let new = cluster.leader_of(&[other, (old + 2) % 3]);
    let asked = clock::now_ms();
    let refused = fresh(&cluster, old);
    assert!(matches!(&refused, Err(SeatError::Disk(why)) if why.contains("has not answered")), "{refused:?}");
    assert!(clock::now_ms() - asked < 1000 && cluster.seat(old).leader().is_none());
    let why = until("its verdict", || Some(said_of(&cluster, new, old)).filter(|(lives, _)| !lives)).1;
    assert!(why.contains("the disk has not answered") || why.contains("not live"), "{why}");
    disks[old].hung.store(false, Ordering::SeqCst);
    until("the old one to catch up", || cluster.value(old, "b"));
    until("a read there", || fresh(&cluster, old).ok());
    until("its verdict again", || Some(()).filter(|()| said_of(&cluster, new, old).0));
    cluster.put(old, "c", "1").expect("a put there again");
}

/// What survives a leader does not stand against each other, though both notice in the same moment and a vote takes
/// its time to be written.
#[test]
fn slow_disks_split_no_vote() {
    const ROUNDS: u64 = 10;
    let (cluster, disks) = three();
    disks.iter().for_each(|disk| disk.slow_ms.store(60, Ordering::SeqCst));
    let addresses: Vec<String> = cluster.nodes.iter().map(|one| one.address.clone()).collect();
    let (mut elections, mut took) = (0, Vec::new());
    for round in 0..ROUNDS {
        let old = cluster.leader();
        cluster.put(old, "a", &format!("{round}")).expect("a put");
        until("all to follow", || {
            (0..3).all(|n| cluster.value(n, "a") == Some(format!("{round}"))).then_some(())
        });
        let (term, cut) = (cluster.seat(old).status().term, clock::now_ms());
        let others = [(old + 1) % 3, (old + 2) % 3];
        others.iter().for_each(|other| cluster.cables.cut(&addresses[old], &addresses[*other]));
        let new = cluster.leader_of(&others);
        took.push(clock::now_ms() - cut);
        elections += cluster.seat(new).status().term - term;
        cluster.cables.mend();
    }
    println!("{ROUNDS} leaders lost, {elections} elections, another after {took:?} ms");
    assert_eq!(elections, ROUNDS, "another after {took:?} ms");
}

#[test]
fn a_follower_whose_disk_is_full_is_critical_with_the_cause_and_refuses_at_once() {
    let (cluster, disks) = three();
    let leader = cluster.leader();
    let (full, third) = ((leader + 1) % 3, (leader + 2) % 3);
    disks[full].full.store(true, Ordering::SeqCst);
    cluster.put(third, "a", "1").expect("the two others are a quorum");
    let why = until("its verdict", || Some(said_of(&cluster, third, full)).filter(|(lives, _)| !lives)).1;
    assert!(why.contains("cannot do its part") && (why.contains("space") || why.contains("full")), "{why}");
    let asked = clock::now_ms();
    let read = fresh(&cluster, full);
    assert!(matches!(read, Ok(()) | Err(SeatError::Disk(_))), "{read:?}");
    cluster.put(full, "b", "1").expect("what it is told goes to the leader, and is done");
    assert!(clock::now_ms() - asked < 3000, "at once");
    assert_eq!(cluster.value(leader, "b").as_deref(), Some("1"));
    assert_eq!(cluster.leader(), leader, "it deposes nobody");
    disks[full].full.store(false, Ordering::SeqCst);
    until("its verdict again", || Some(()).filter(|()| said_of(&cluster, third, full).0));
    until("a read there", || fresh(&cluster, full).ok());
    until("what it missed", || cluster.value(full, "b"));
}

#[test]
fn every_node_takes_writes_soon_after_disks_were_full() {
    let (cluster, disks) = three();
    let fill =
        |who: &[usize], full: bool| who.iter().for_each(|n| disks[*n].full.store(full, Ordering::SeqCst));
    let full_for = |who: &[usize], ms: u64, when: &str| {
        fill(who, true);
        trouble_for(&cluster, Duration::from_millis(ms));
        fill(who, false);
        take_writes(&cluster, when);
    };
    for ms in [300, 2000] {
        let leader = cluster.leader();
        let (next, last) = ((leader + 1) % 3, (leader + 2) % 3);
        full_for(&[leader], ms, "the leader's was full");
        full_for(&[next], ms, "one was full");
        full_for(&[next, last], ms, "two were full");
        full_for(&[0, 1, 2], ms, "all were full");
        // Whoever is to be elected cannot write that it stands, or for whom it votes.
        let leader = cluster.leader();
        let address = |n: usize| cluster.nodes[n].address.clone();
        fill(&[(leader + 1) % 3], true);
        (0..3).filter(|n| *n != leader).for_each(|n| cluster.cables.cut(&address(leader), &address(n)));
        trouble_for(&cluster, Duration::from_millis(ms));
        cluster.cables.mend();
        trouble_for(&cluster, Duration::from_millis(ms / 3));
        fill(&[(leader + 1) % 3], false);
        take_writes(&cluster, "one was full in an election");
    }
}

#[test]
fn a_node_whose_protocol_ended_refuses_at_once_and_is_critical_with_the_cause() {
    let (cluster, disks) = three();
    let leader = cluster.leader();
    let (ended, third) = ((leader + 1) % 3, (leader + 2) % 3);
    // Its writes are an error from now on, which is final for this node.
    cluster.handle(ended).node.log.close();
    cluster.put(third, "a", "1").expect("the two others are a quorum");
    let refused = until("its refusal", || match fresh(&cluster, ended) {
        Err(SeatError::Disk(why)) => Some(why),
        _ => None,
    });
    assert!(refused.contains("the protocol has ended here"), "{refused}");
    let why = until("its verdict", || Some(said_of(&cluster, third, ended)).filter(|(lives, _)| !lives)).1;
    assert!(why.contains("the protocol has ended here"), "{why}");
    drop(disks);
}
