//! Which topics a change moves and wakes, and which it leaves alone.

use super::super::tombstone::TOMBSTONES;
use super::support::*;
use crate::region::map::*;

fn service(text: &str) -> Topic {
    Topic::Service(name(text))
}

fn key(text: &str) -> Topic {
    Topic::Key(name(text))
}

fn prefix(text: &str) -> Topic {
    Topic::Prefix(name(text))
}

/// Nodes `n` and `m`; `web` on both, `db` on `n` alone.
fn world() -> World {
    let mut world = World::default();
    for command in [
        put_node("n"),
        put_node("m"),
        put(instance("n", "web", "web"), vec![check("n", "w", "web", Health::Passing)]),
        put(instance("m", "web", "web"), vec![]),
        put(instance("n", "db", "db"), vec![]),
    ] {
        world.done(command);
    }
    world
}

#[test]
fn a_service_moves_alone() {
    let mut world = world();
    let others = [service("db"), service("missing"), Topic::Node(name("m")), Topic::Services, Topic::Nodes];
    let before = world.indexes(&others);
    let index = world.done(status("n", "w", Health::Critical));
    assert_eq!(world.map.index_of(&service("web")), index);
    assert_eq!(world.map.index_of(&Topic::Node(name("n"))), index);
    assert_eq!(world.map.index_of(&Topic::Checks), index);
    assert_eq!(world.indexes(&others), before);
    for other in others {
        assert!(!world.touched.contains(&other), "{other:?}");
    }
}

#[test]
fn a_missing_service_is_not_moved_by_the_end_of_another() {
    let mut world = world();
    assert_eq!(world.map.index_of(&service("missing")), 0);
    let index = world.done(gone("n", Some("db"), None));
    assert_eq!(world.indexes(&[service("db"), service("missing")]), [index, 0]);
    let index = world.done(put(instance("n", "x", "missing"), vec![]));
    assert_eq!(world.map.index_of(&service("missing")), index);
    assert!(world.touched.contains(&service("missing")));
}

#[test]
fn what_is_of_a_node_is_seen_in_every_service_on_it() {
    let mut world = world();
    let index = world.done(put_checks("n", vec![check("n", "disk", "", Health::Warning)]));
    assert_eq!(world.indexes(&[service("web"), service("db")]), [index; 2]);

    let moved = Node { address: name("10.9.9.9"), ..node("m") };
    let index = world.done(register(Registration { node: moved, ..Registration::default() }));
    assert_eq!(world.indexes(&[service("web"), Topic::Nodes]), [index; 2]);
    assert!(world.map.index_of(&service("db")) < index, "it is not on m");
}

#[test]
fn a_key_moves_alone_and_its_end_too() {
    let mut world = World::default();
    let first = world.done(set("a/1", "x"));
    let second = world.done(set("a/2", "x"));
    assert_eq!(world.indexes(&[key("a/1"), key("a/2"), key("a/3")]), [first, second, 0]);
    assert_eq!(
        world.indexes(&[prefix("a/"), prefix("a/1"), prefix("b"), prefix("")]),
        [second, first, 0, second]
    );
    world.done(set("a/2", "x"));
    assert_eq!(world.map.index_of(&key("a/2")), second, "an equal value is no change");

    let third = world.done(delete("a/1", DeleteWhen::Always));
    assert_eq!(
        world.indexes(&[key("a/1"), key("a/2"), prefix("a/"), prefix("a/1"), prefix("")]),
        [third, second, third, third, third]
    );
    let fourth = world.done(set("a/1", "y"));
    assert_eq!(world.indexes(&[key("a/1"), prefix("a/")]), [fourth; 2]);
}

#[test]
fn what_was_forgotten_leaves_a_floor() {
    let mut world = World::default();
    world.done(set("dir/key", "x"));
    let seen = world.done(delete("dir/", DeleteWhen::Tree));
    assert_eq!(world.map.index_of(&prefix("dir/")), seen);
    let kept = world.done(set("kept", "x"));
    let mut forgotten = 0;
    for n in 0..=TOMBSTONES {
        world.done(set("other", &n.to_string()));
        let other = format!("gone/{n}");
        world.done(set(&other, "x"));
        let last = world.done(delete(&other, DeleteWhen::Always));
        if n == TOMBSTONES / 8 {
            forgotten = last;
        }
    }
    let now = world.map.index_of(&prefix("dir/"));
    assert!(now >= forgotten, "{now}: the oldest quarter was forgotten at once");
    assert!(now < world.map.index(), "and the rest was not");
    assert_eq!(world.map.index_of(&key("kept")), kept, "what stands is not moved");
    assert!(world.map.index_of(&key("dir/key")) >= seen);
    assert_eq!(world.map.kv.gone.iter().count(), TOMBSTONES + 1 - TOMBSTONES / 4 + 1);
}

#[test]
fn each_proposal_of_an_entry_has_an_index_of_its_own() {
    let mut map = Map::default();
    let propose = |command| Proposal { at: 1, command };
    let batch = vec![
        propose(set("a", "1")),
        propose(Command::DocumentDelete { name: name("nope") }),
        propose(set("a", "2")),
    ];
    let reply = map.apply(10, propose(Command::Batch(batch)), &mut Vec::new());
    assert_eq!(
        reply,
        Reply::Batch(vec![
            Reply::Held { held: true, index: 10 },
            Reply::Refused(Refusal::UnknownDocument(name("nope"))),
            Reply::Held { held: true, index: 12 },
        ])
    );
    let reply = map.apply(11, propose(kv("a", "3", PutWhen::Cas(10))), &mut Vec::new());
    assert_eq!(
        reply,
        Reply::Held { held: false, index: 13 },
        "the first value was not the last of its entry"
    );
    let reply = map.apply(12, propose(kv("a", "3", PutWhen::Cas(12))), &mut Vec::new());
    assert_eq!(reply, Reply::Held { held: true, index: 14 });
    let reply = map.apply(40, propose(Command::Nothing), &mut Vec::new());
    assert_eq!((reply, map.index()), (Reply::Done { index: 40 }, 40));
}
