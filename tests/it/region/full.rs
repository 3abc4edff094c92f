//! Disks that are full for a while: soon after there is room again every node takes writes, and a node ends with its
//! disk full.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Node, loopback};
use super::places::text_of;
use crate::support::place::wait_until;
use crate::support::program;

/// From when there is room again until every node takes a write: a few elections of a busy machine.
const BAR: Duration = Duration::from_secs(15);
/// Of each value, and between two of a node: the file has to grow while there is no room, and all that is ever written is
/// to be far less than what the disk has.
const VALUE: usize = 2_000;
const PAUSE: Duration = Duration::from_millis(20);

/// Three nodes, each on a disk of its own; `None` where there are no such disks.
fn three() -> Option<Cluster> {
    let addresses: Vec<_> = (1..=3).map(loopback).collect();
    let nodes = (0..3).map(|n| Node::new(addresses[n], &text_of(n, &addresses, false))).collect();
    let mut cluster = Cluster::new(nodes);
    if !cluster.on_disks() {
        program::skipped("region::full", "disks that fill need root, loop devices and mkfs.ext4");
        return None;
    }
    cluster.start_all();
    Some(cluster)
}

fn leader(cluster: &Cluster) -> usize {
    let mut found = None;
    let leads =
        |n: &usize| cluster.nodes[*n].leader().starts_with(&format!("{}:", cluster.nodes[*n].address));
    wait_until(BAR, || {
        found = (0..3).find(leads);
        found.is_some()
    });
    found.expect("a leader that says so")
}

/// Fills the disks of these nodes while all are written to.
fn full_for(cluster: &Cluster, who: &[usize], time: Duration) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for node in &cluster.nodes {
            scope.spawn(|| {
                let mut api = node.api().patience(Duration::from_secs(1));
                let value = "x".repeat(VALUE);
                for turn in 0.. {
                    let _ = api.put(&format!("/v1/kv/{}/{}", node.address, turn % 50), &value);
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    std::thread::sleep(PAUSE);
                }
            });
        }
        who.iter().for_each(|n| cluster.disk(*n).fill());
        std::thread::sleep(time);
        who.iter().for_each(|n| cluster.disk(*n).empty());
        over.store(true, Ordering::Relaxed);
    });
}

fn take_writes(cluster: &Cluster, when: &str) {
    let began = Instant::now();
    for n in 0..3 {
        let done = wait_until(BAR.saturating_sub(began.elapsed()), || cluster.writes(n));
        let took = began.elapsed();
        assert!(
            done,
            "{when}: node {n} takes no write after {took:?}; it said:\n{}",
            cluster.nodes[n].said()
        );
    }
    eprintln!("{when}: all take writes after {:?}", began.elapsed());
}

#[test]
fn every_node_takes_writes_soon_after_there_is_room_again() {
    let Some(mut cluster) = three() else { return };
    for seconds in [1, 4] {
        let time = Duration::from_secs(seconds);
        for others in [&[0][..], &[1], &[1, 2], &[0, 1, 2]] {
            let first = leader(&cluster);
            let who: Vec<usize> = others.iter().map(|n| (first + n) % 3).collect();
            full_for(&cluster, &who, time);
            take_writes(&cluster, &format!("{who:?} full for {time:?} under {first}"));
        }
    }
    // One that was started a moment ago has nothing of its log in memory.
    let first = leader(&cluster);
    cluster.kill(first);
    cluster.start(first);
    full_for(&cluster, &[first], Duration::from_secs(2));
    take_writes(&cluster, "started, and full at once");
    // It ends and is started again on what it had.
    let first = leader(&cluster);
    cluster.disk(first).fill();
    let _ =
        cluster.nodes[first].api().patience(Duration::from_secs(2)).put("/v1/kv/last", &"x".repeat(400_000));
    cluster.stop(first);
    cluster.disk(first).empty();
    cluster.start(first);
    take_writes(&cluster, "ended with a full disk");
}
