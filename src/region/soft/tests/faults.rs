//! What comes of loss, reordering, cuts, restarts and slow members.

use super::network::*;
use crate::base::clock::MS;

#[test]
fn a_change_is_seen_by_all_within_300_ms() {
    for seed in 0..4 {
        let mut network = Network::new(seed, 5);
        for id in 1..=5 {
            (0..1000).for_each(|n| network.publish(id, n, 0));
        }
        network.run(3000 * MS);
        network.assert_agreement(seed);
        for round in 1..50 {
            for _ in 0..1 + network.dice.below(20) {
                let (id, n) = (1 + network.dice.below(5), network.dice.below(1000));
                match network.dice.below(10) {
                    0 => network.withdraw(id, n),
                    _ => network.publish(id, n, round),
                }
            }
            let gap = network.dice.below(100);
            network.run(gap * MS);
        }
        network.run(300 * MS);
        network.assert_agreement(seed);
    }
}

/// Only what changed is told, once a moment, and nearly nothing while nothing changes.
#[test]
fn changes_gather_and_silence_is_cheap() {
    let mut network = Network::new(1, 5);
    for id in 1..=5 {
        (0..1000).for_each(|n| network.publish(id, n, 0));
    }
    network.run(2000 * MS);
    let before = network.messages;
    network.run(60_000 * MS);
    let idle = network.messages - before;
    assert!(idle <= 5 * 4 * 31, "{idle} messages of five idle nodes in a minute");
    let before = network.messages;
    for value in 1..=1000 {
        network.publish(1, value % 7, value);
        network.run(MS);
    }
    let busy = network.messages - before;
    assert!(busy <= 4 * 21 + 40, "{busy} messages of a second of changes");
}

#[test]
fn whatever_the_network_does_all_agree_once_it_is_whole() {
    for seed in 0..40 {
        let mut network = Network::new(seed, 5);
        network.loss_percent = network.dice.below(40);
        network.delay_ms = (0, 1 + network.dice.below(400));
        let mut incarnation = 1000;
        for step in 0..60 {
            let id = 1 + network.dice.below(5);
            match network.dice.below(20) {
                0 => {
                    // Also with a clock that was set back.
                    incarnation += 1;
                    let it = if network.dice.below(2) == 0 { incarnation } else { 7 };
                    network.restart(id, it);
                }
                1 | 2 => {
                    let other = 1 + network.dice.below(5);
                    network.cut.insert((id, other));
                }
                3 => network.cut.clear(),
                4 => {
                    let late = network.dice.below(3000) * MS;
                    network.slow.insert(id, late);
                }
                5 => network.slow.clear(),
                6 => {
                    // The map says for a while that it is dead.
                    network.live.remove(&id);
                    network.tell_members();
                }
                7 => {
                    network.live = (1..=5).collect();
                    network.tell_members();
                }
                8 => (0..300).for_each(|n| network.publish(id, n, step)),
                9..12 => (0..20).for_each(|n| network.withdraw(id, n)),
                _ => {
                    let n = network.dice.below(30);
                    network.publish(id, n, step);
                }
            }
            let pause = network.dice.below(600);
            network.run(pause * MS);
        }
        (network.loss_percent, network.delay_ms) = (0, (1, 3));
        network.cut.clear();
        network.slow.clear();
        network.live = (1..=5).collect();
        network.tell_members();
        network.run(SILENCE);
        network.assert_agreement(seed);
    }
}

#[test]
fn what_a_dead_node_said_is_gone_at_once_and_what_a_silent_one_said_after_its_time() {
    let mut network = Network::new(3, 3);
    (1..=3).for_each(|id| network.publish(id, 1, id));
    network.run(500 * MS);
    network.assert_agreement(3);
    network.kill(3);
    network.live.remove(&3);
    network.tell_members();
    assert!(network.seen(1, 3).is_empty() && network.seen(2, 3).is_empty());
    // The map does not know yet.
    network.cut.insert((2, 1));
    network.run(SILENCE - 3000 * MS);
    assert!(network.agrees(1, 2), "it may only be slow");
    network.run(4000 * MS);
    assert!(network.seen(1, 2).is_empty() && network.agrees(2, 1), "one direction is cut");
    network.cut.clear();
    network.run(2000 * MS);
    network.assert_agreement(3);
}

#[test]
fn one_that_starts_anew_is_told_all_and_what_it_said_before_is_gone() {
    let mut network = Network::new(4, 3);
    for id in 1..=3 {
        (0..1000).for_each(|n| network.publish(id, n, id));
    }
    network.run(2000 * MS);
    network.restart(2, 2000);
    network.publish(2, 5000, 1);
    network.run(300 * MS);
    network.assert_agreement(4);
    assert_eq!(network.seen(1, 2).len(), 1);
    // Its clock was set back: the others say so, and it takes a later incarnation.
    network.restart(2, 5);
    network.publish(2, 6000, 1);
    network.run(1500 * MS);
    network.assert_agreement(4);
    assert!(network.nodes[&1].view().node(2).expect("a node").incarnation > 2000);
}
