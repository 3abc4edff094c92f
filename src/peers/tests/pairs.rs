//! Sessions of our own with each other: who has what in the end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::session::{Event, Memory, Session, Shared};
use super::support::{NOW, get, ours, said, session, set, shared, talk};

fn one() -> Arc<[Shared]> {
    [shared("t", "type integer size 1k expire 60s store gpc0")].into()
}

fn ranked(rank: u8) -> Arc<[Shared]> {
    let tables = one();
    tables[0].table.share(rank, None);
    tables
}

#[test]
fn changes_reach_the_other_side_and_do_not_come_back() {
    let (a, b) = (ranked(0), ranked(1));
    let (mut at_a, mut at_b) = (ours(&a), ours(&b));
    set(&a[0], 1, 5);
    talk(&mut at_a, &mut at_b);
    assert_eq!(get(&b[0], 1), Some(5));
    assert_eq!((at_b.tally.updates_sent, at_a.tally.updates_sent), (0, 1));
    set(&b[0], 1, 6);
    talk(&mut at_a, &mut at_b);
    assert_eq!((get(&a[0], 1), at_a.tally.updates_sent), (Some(6), 1));
    assert_eq!(at_a.progress()[0].acked, 1);
}

#[test]
fn changes_of_one_moment_end_alike() {
    for round in 0..20_u32 {
        let (a, b) = (ranked(0), ranked(1));
        let (mut at_a, mut at_b) = (ours(&a), ours(&b));
        set(&a[0], round, 10);
        set(&b[0], round, 3);
        if round % 2 == 0 {
            set(&a[0], round, 11);
        }
        talk(&mut at_a, &mut at_b);
        assert!(get(&a[0], round).is_some());
        assert_eq!(get(&a[0], round), get(&b[0], round));
    }
    // Without versions, as with HAProxy, they swap.
    let (a, b) = (ranked(0), ranked(1));
    let (mut at_a, mut at_b) = (session(&a), session(&b));
    set(&a[0], 1, 10);
    set(&b[0], 1, 3);
    talk(&mut at_a, &mut at_b);
    assert_eq!((get(&a[0], 1), get(&b[0], 1)), (Some(3), Some(10)));
}

#[test]
fn three_that_all_change_the_same_keys_end_alike() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below) as usize
    };
    let nodes: Vec<_> = (0..3).map(ranked).collect();
    let links = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
    let mut sessions: Vec<Session> = links.iter().map(|(from, _)| ours(&nodes[*from])).collect();
    let mut wires: Vec<VecDeque<u8>> = vec![VecDeque::new(); links.len()];
    for step in 0..4000_u64 {
        match draw(3) {
            0 if step < 3000 => set(&nodes[draw(3)][0], draw(5) as u32, step),
            1 => {
                let at = draw(6);
                sessions[at].note_news();
                wires[at].extend(said(&mut sessions[at]));
            }
            _ => {
                let at = draw(6);
                let n = draw(60).min(wires[at].len());
                let bytes: Vec<u8> = wires[at].drain(..n).collect();
                // The other end of the same link.
                sessions[at ^ 1].receive(&bytes, NOW).expect("good messages");
            }
        }
    }
    for _ in 0..10 {
        for at in 0..6 {
            sessions[at].note_news();
            wires[at].extend(said(&mut sessions[at]));
            let bytes: Vec<u8> = wires[at].drain(..).collect();
            sessions[at ^ 1].receive(&bytes, NOW).expect("good messages");
        }
    }
    for key in 0..5 {
        let values: Vec<_> = nodes.iter().map(|node| get(&node[0], key)).collect();
        assert!(values[0].is_some() && values.iter().all(|value| *value == values[0]), "{key}: {values:?}");
    }
}

#[test]
fn a_lesson_tells_everything_and_is_confirmed() {
    let (a, b) = (ranked(0), ranked(1));
    for key in 0..900 {
        set(&a[0], key, u64::from(key) + 1);
    }
    let (mut at_a, mut at_b) = (session(&a), session(&b));
    at_b.ask();
    at_a.receive(&said(&mut at_b), NOW).expect("a request");
    let mut taught = false;
    for _ in 0..1000 {
        // In small pieces.
        at_a.fill(NOW, 100, true);
        let out = at_a.out().to_vec();
        at_a.clear();
        taught |= at_b.receive(&out, NOW).expect("good messages").contains(&Event::Taught(true));
        at_a.receive(&said(&mut at_b), NOW).expect("good messages");
    }
    assert!(taught);
    assert!((0..900).all(|key| get(&b[0], key) == Some(i64::from(key) + 1)));
    // What was taught is known: it is not told again.
    assert_eq!(at_a.tally.updates_sent, 900);
    let mut again = Session::new(a.clone(), 1, false, &at_a.memory());
    assert_eq!(said(&mut again), b"");
}

#[test]
fn what_was_not_acknowledged_is_told_again() {
    let (a, b) = (ranked(0), ranked(1));
    let mut at_a = session(&a);
    set(&a[0], 1, 5);
    said(&mut at_a);
    let mut memory = Memory::default();
    memory.join(at_a.memory());
    let (mut at_a, mut at_b) = (Session::new(a.clone(), 1, false, &memory), session(&b));
    talk(&mut at_a, &mut at_b);
    assert_eq!(get(&b[0], 1), Some(5));
    memory.join(at_a.memory());
    assert_eq!(said(&mut Session::new(a.clone(), 1, false, &memory)), b"");
}

#[test]
fn an_entry_of_a_peer_lives_as_long_as_there() {
    let (a, b) = (one(), one());
    set(&a[0], 1, 5);
    let (mut at_a, mut at_b) = (session(&a), session(&b));
    at_a.fill(NOW + 20_000, usize::MAX, true);
    at_b.receive(at_a.out(), NOW).expect("good messages");
    let left = b[0].table.look(&crate::stick::Key::integer(1), NOW, |entry| entry.remaining_ms());
    assert_eq!(left, Some(40_000));
    // A peer of version 2.0 is told no times.
    let mut old = Session::new(a.clone(), 0, false, &Memory::default());
    old.fill(NOW + 20_000, usize::MAX, true);
    let c = one();
    session(&c).receive(old.out(), NOW).expect("good messages");
    let left = c[0].table.look(&crate::stick::Key::integer(1), NOW, |entry| entry.remaining_ms());
    assert_eq!(left, Some(60_000));
}

#[test]
fn a_table_that_only_receives_tells_nothing() {
    let tables: Arc<[Shared]> = [shared("t", "type integer size 1k expire 60s store gpc0 recv-only")].into();
    set(&tables[0], 1, 5);
    assert_eq!(said(&mut session(&tables)), b"");
}
