//! An archive that was taken under load, in clusters of other sizes.

use std::sync::atomic::{AtomicBool, Ordering};

use super::cluster::*;
use crate::region::map::{ARCHIVE_PIECE, Command, Map, Piece, unzip_archive};

/// An archive without its gzip.
fn archive(map: &Map) -> Vec<u8> {
    let mut zipped = Vec::new();
    map.write_archive(&mut zipped).expect("an archive");
    unzip_archive(&zipped).expect("an archive")
}

#[test]
fn an_archive_taken_under_load_is_the_same_map_in_a_cluster_of_another_size() {
    let three = Cluster::new(3, false);
    let (leader, stop) = (three.leader(), AtomicBool::new(false));
    let taken = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut n = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                three.put(leader, &format!("k{}", n % 5000), &"v".repeat(400)).expect("a put");
                n += 1;
            }
            n
        });
        until("some load", || (three.seat(leader).map().entries("").count() > 300).then_some(()));
        // Those that follow apply what comes meanwhile.
        let taken = three.seat((leader + 1) % 3).map();
        stop.store(true, Ordering::Relaxed);
        assert!(load.join().expect("the load") > 300);
        taken
    });
    let whole = archive(&taken);
    for size in [1, 5] {
        let fresh = Cluster::new(size, false);
        let at = fresh.leader();
        let (seat, count) = (fresh.seat(at), whole.len().div_ceil(ARCHIVE_PIECE));
        for (number, data) in whole.chunks(ARCHIVE_PIECE).enumerate() {
            let data = bytes::Bytes::copy_from_slice(data);
            let (archive, last) = ("a".into(), number + 1 == count);
            let piece = Piece { archive, number: number as u64, data, last };
            fresh.runtime.block_on(seat.propose(Command::Restore(Box::new(piece)))).expect("taken over");
        }
        for n in 0..size {
            // The members of this cluster come back into its catalog by themselves; keys are as they were.
            let same = || fresh.seat(n).map().entries("").eq(taken.entries("")).then_some(());
            until("the same keys", same);
            until("the nodes of before", || {
                let map = fresh.seat(n).map();
                taken.nodes().all(|node| map.node(&node.name).is_some()).then_some(())
            });
        }
        fresh.put(at, "after", "1").expect("it lives on");
        let entry = seat.map().entry("after").cloned().expect("it");
        assert!(entry.modify_index > taken.index(), "indexes go on");
        let own = fresh.nodes[at].name.clone();
        until("its own node", || seat.map().check(&own, crate::region::map::NODE_LIVENESS).cloned());
    }
}
