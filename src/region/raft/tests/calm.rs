//! Leadership stays where it is well, and moves quickly when it is to.

use super::cluster::*;

fn terms(cluster: &Cluster) -> Vec<u64> {
    cluster.running().map(|n| cluster.seat(n).status().term).collect()
}

/// A number from the environment, for `scripts/lab calm`.
fn given(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_member_that_was_cut_off_deposes_nobody_on_its_return() {
    let cluster = Cluster::new(3, false);
    let leader = cluster.leader();
    cluster.put(leader, "a", "1").expect("a put");
    let before = terms(&cluster);
    let addresses: Vec<String> = cluster.nodes.iter().map(|one| one.address.clone()).collect();
    let away_ms = given("ISOBAR_CALM_MS", 4000);
    for round in 0..given("ISOBAR_CALM_ROUNDS", 3) {
        let away = (leader + 1 + round as usize % 2) % 3;
        for other in (0..3).filter(|n| *n != away) {
            cluster.cables.cut(&addresses[away], &addresses[other]);
        }
        std::thread::sleep(Duration::from_millis(away_ms));
        cluster.put(leader, "a", &format!("{round}")).expect("a put without it");
        cluster.cables.mend();
        until("its return", || (cluster.value(away, "a")? == format!("{round}")).then_some(()));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!((cluster.leader(), terms(&cluster)), (leader, before.clone()), "round {round}");
        println!("round {round}: {away_ms} ms away, back without an election");
    }
}

#[test]
fn leadership_is_handed_over_within_a_few_round_trips() {
    let cluster = Cluster::new(3, true);
    cluster.put(0, "a", "1").expect("a put");
    let mut took = Vec::new();
    for _ in 0..5 {
        let old = cluster.leader();
        let began = clock::now_ms();
        cluster.runtime.block_on(cluster.handle(old).step_down());
        let new = cluster.leader();
        cluster.put(new, "a", "2").expect("a put under the new leader");
        took.push(clock::now_ms() - began);
        assert_ne!(old, new);
    }
    println!("handed over in {took:?} ms");
    took.sort_unstable();
    // Without waiting for the promises of followers to run out, which takes 800.
    let bar_ms = given("ISOBAR_HANDOVER_MS", 500);
    assert!(took[2] < bar_ms, "{took:?} ms");
}

#[test]
fn a_leader_is_demoted_and_one_that_leaves_is_gone_at_the_first_try() {
    let cluster = Cluster::new(4, true);
    until("four voters that the map knows", || {
        let seat = cluster.seat(0);
        (seat.status().voters.len() == 4 && seat.map().members().count() == 4).then_some(())
    });
    let leader = cluster.leader();
    let id = cluster.handle(leader).id();
    cluster.runtime.block_on(cluster.handle(leader).demote(id)).expect("demoted");
    let leader = cluster.leader();
    assert!(!cluster.seat(leader).status().voters.contains(&id));
    let id = cluster.handle(leader).id();
    cluster.runtime.block_on(cluster.handle(leader).depart()).expect("gone");
    let other = until("another leader", || {
        (0..4).filter(|n| *n != leader).find(|n| cluster.seat(*n).leader().is_some_and(|l| l.id != id))
    });
    let seat = cluster.seat(other);
    until("no trace of it, neither among the members nor in the catalog", || {
        let (map, name) = (seat.map(), &cluster.nodes[leader].name);
        let gone = map.member(id).is_none() && map.node(name).is_none();
        (gone && !seat.status().voters.contains(&id)).then_some(())
    });
}
