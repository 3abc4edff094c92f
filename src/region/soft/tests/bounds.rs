//! What is not taken, and what cannot be read.

use bytes::Bytes;

use super::network::*;
use crate::base::clock::MS;
use crate::region::map::Name;
use crate::region::soft::*;

fn put(kind: u8, name: &str, body: Bytes) -> crate::region::soft::message::Put {
    crate::region::soft::message::Put { kind, name: name.into(), version: 1, body }
}

fn message(puts: Vec<crate::region::soft::message::Put>, seq: u64) -> Message {
    let (node, to, incarnation, upto) = (2, 1, 1, 9);
    Message { node, to, incarnation, seq, upto, whole: true, last: true, puts, ..Message::default() }
}

fn receiver(limits: Limits) -> Exchange {
    let mut one = node(1, 1, limits);
    let names: Vec<(u64, Name)> = vec![(1, name(1)), (2, name(2))];
    one.members(1, names.iter().map(|(id, name)| (*id, name)));
    one
}

#[test]
fn a_node_that_exceeds_is_refused_and_what_it_said_before_stands() {
    let mut one = receiver(Limits { records: 2, ..Limits::default() });
    let body = || record(1).encode();
    let (answer, changed) = one.heard(&message(vec![put(3, "a", body())], 1), MS);
    assert_eq!((answer, changed), (Answer::Taken, true));
    let many = ["a", "b", "c"].map(|name| put(3, name, body())).to_vec();
    let (answer, changed) = one.heard(&message(many, 2), MS);
    assert_eq!((answer, changed), (Answer::Refused("a node has at most 2 soft records".into()), false));
    assert_eq!(one.view().node(2).map(Records::len), Some(1));
    let long = message(vec![put(3, &"x".repeat(5000), body())], 3);
    assert!(matches!(one.heard(&long, MS).0, Answer::Refused(why) if why.contains("at most 4096")));
}

#[test]
fn a_refused_node_is_told_why_and_tries_again_later() {
    let mut network = Network::new(1, 2);
    network.nodes.insert(2, node(2, 1, Limits { records: 3, ..Limits::default() }));
    network.tell_members();
    (0..4).for_each(|n| network.publish(1, n, 1));
    network.run(2000 * MS);
    assert!(network.seen(2, 1).is_empty());
    let before = network.messages;
    network.run(10_000 * MS);
    assert!(network.messages - before < 40, "{}", network.messages - before);
    network.withdraw(1, 0);
    network.run(2000 * MS);
    network.assert_agreement(1);
}

#[test]
fn a_kind_that_is_not_known_is_passed_over() {
    let mut one = receiver(Limits::default());
    let puts = vec![put(200, "new", Bytes::from_static(b"\xff\xff")), put(3, "a", record(4).encode())];
    assert_eq!(one.heard(&message(puts, 1), MS), (Answer::Taken, true));
    let records = one.view().node(2).expect("a node");
    assert_eq!(
        (records.len(), records.record(Kind::Progress, "a").map(|r| (**r).clone())),
        (1, Some(record(4)))
    );
    // Bytes that are none of the kind, too.
    let puts = vec![put(1, "broken", Bytes::from_static(b"\xff"))];
    assert_eq!(one.heard(&message(puts, 2), MS), (Answer::Taken, true));
    assert!(one.view().node(2).is_none_or(Records::is_empty));
}

#[test]
fn what_is_not_for_this_node_or_not_of_a_live_one_is_not_taken() {
    let mut one = receiver(Limits::default());
    let other = Message { to: 3, ..message(Vec::new(), 1) };
    assert_eq!(one.heard(&other, MS).0, Answer::NotYet);
    let stranger = Message { node: 9, ..message(Vec::new(), 1) };
    assert_eq!(one.heard(&stranger, MS).0, Answer::NotYet);
    assert_eq!(one.heard(&message(Vec::new(), 5), MS).0, Answer::Taken);
    assert_eq!(one.heard(&message(Vec::new(), 5), MS).0, Answer::Late);
    assert_eq!(
        one.heard(&Message { incarnation: 0, ..message(Vec::new(), 9) }, MS).0,
        Answer::Known { incarnation: 1 }
    );
    let gap = Message { whole: false, from: 10, upto: 11, ..message(Vec::new(), 6) };
    assert_eq!(one.heard(&gap, MS).0, Answer::Whole);
}

#[test]
fn every_kind_comes_back_from_its_bytes_and_the_bytes_stay_as_they_are() {
    let load = Load { service: "web".into(), region: "eu".into(), sessions: 300, capacity: 4, servers: 2 };
    let share = Share { table: "t".into(), key: Bytes::from_static(b"k\0"), values: vec![1, 2] };
    let progress = Progress { job: "j".into(), done_bytes: 1, total_bytes: 2, location: "x".into() };
    let all = [
        (Record::Load(load), 1, &b"\x03web\x02eu\xac\x02\x04\x02"[..]),
        (Record::Share(share), 2, b"\x01t\x02k\0\x02\x01\x02"),
        (Record::Progress(progress), 3, b"\x01j\x01\x02\x01x"),
    ];
    for (record, number, bytes) in all {
        assert_eq!((record.kind().number(), &*record.encode()), (number, bytes));
        assert_eq!(Record::decode(number, bytes), Some(record));
        assert_eq!(Record::decode(number, &bytes[..bytes.len() - 1]), None);
    }
    assert!(decode::<Message>(b"").is_none() && decode::<Message>(b"\x02\0").is_none());
}

#[test]
fn loads_of_a_service_add_up_over_nodes() {
    let mut one = receiver(Limits::default());
    let load = |sessions, capacity| {
        let (service, region) = ("web".into(), "eu".into());
        Record::Load(Load { service, region, sessions, capacity, servers: 2 })
    };
    one.publish((Kind::Load, "web".into()), load(3, 10), MS).expect("room");
    one.heard(&message(vec![put(1, "web", load(4, 10).encode())], 1), MS);
    let sum = one.view().load("web", "eu");
    assert_eq!((sum.sessions, sum.capacity, sum.servers), (7, 20, 2));
    one.publish((Kind::Load, "web".into()), load(3, 0), MS).expect("room");
    assert_eq!(one.view().load("web", "eu").capacity, 0);
    assert_eq!(one.view().load("web", "us").sessions, 0);
}
