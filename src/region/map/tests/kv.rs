//! Keys: conditions, locks, trees.

use std::collections::BTreeMap;

use super::support::*;
use crate::region::map::*;

fn world() -> World {
    let mut world = World::default();
    world.done(put_node("n"));
    world.done(Command::SessionCreate(session("s1", "n", &[])));
    world.done(Command::SessionCreate(session("s2", "n", &[])));
    world
}

fn lock(world: &World, key: &str) -> (Option<String>, u64) {
    let entry = world.map.entry(key).unwrap();
    (entry.session.as_ref().map(|id| id.to_string()), entry.lock_index)
}

#[test]
fn compare_and_set() {
    let mut world = world();
    assert!(!world.held(kv("k", "v", PutWhen::Cas(7))), "it is not there");
    let index = world.done(kv("k", "v", PutWhen::Cas(0)));
    assert!(!world.held(kv("k", "w", PutWhen::Cas(0))), "it is there");
    assert!(!world.held(kv("k", "w", PutWhen::Cas(index - 1))));
    let next = world.done(kv("k", "w", PutWhen::Cas(index)));
    let entry = world.map.entry("k").unwrap();
    assert_eq!((entry.create_index, entry.modify_index, &*entry.value), (index, next, &b"w"[..]));

    assert!(!world.held(delete("k", DeleteWhen::Cas(0))));
    assert!(!world.held(delete("k", DeleteWhen::Cas(index))));
    assert!(world.held(delete("k", DeleteWhen::Cas(next))));
    assert!(world.held(delete("k", DeleteWhen::Cas(next))), "it is gone already");
    assert_eq!(world.refused(set("", "x")), "missing key name");
}

#[test]
fn a_lock_has_one_holder() {
    let mut world = world();
    assert!(world.held(acquire("k", "s1")));
    assert_eq!(lock(&world, "k"), (Some("s1".into()), 1));
    assert!(!world.held(acquire("k", "s2")));
    let index = world.map.index_of(&Topic::Key(name("k")));
    assert!(world.held(acquire("k", "s1")), "its holder may again");
    assert_eq!(world.map.index_of(&Topic::Key(name("k"))), index);
    world.done(set("k", "written by another"));
    assert_eq!(lock(&world, "k"), (Some("s1".into()), 1), "a plain write leaves the lock alone");

    assert!(!world.held(kv("k", "v", PutWhen::Release(name("s2")))));
    assert!(!world.held(kv("k", "v", PutWhen::Release(name("nobody")))));
    assert!(world.held(kv("k", "v", PutWhen::Release(name("s1")))));
    assert_eq!(lock(&world, "k"), (None, 1));
    assert!(world.held(acquire("k", "s2")), "released by its holder: no delay");
    assert_eq!(lock(&world, "k"), (Some("s2".into()), 2));
    assert_eq!(world.refused(acquire("k", "nobody")), r#"invalid session "nobody""#);
    assert!(!world.held(kv("absent", "v", PutWhen::Release(name("s1")))));
}

#[test]
fn a_deleted_key_is_no_longer_held() {
    let mut world = world();
    world.done(acquire("k", "s1"));
    world.done(delete("k", DeleteWhen::Always));
    world.done(Command::SessionDestroy { id: name("s1") });
    assert!(!world.touched.contains(&Topic::Key(name("k"))));
    assert!(world.held(acquire("k", "s2")), "and has no delay");
}

#[test]
fn a_tree_is_every_key_that_begins_so() {
    let mut world = world();
    for key in ["a", "a/", "a/b", "a/b/c", "ab", "b", "ä/x"] {
        world.done(set(key, key));
    }
    let under = |world: &World, prefix: &str| {
        world.map.entries(prefix).map(|entry| entry.key.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(under(&world, "a/"), "a/ a/b a/b/c");
    assert_eq!(under(&world, "a"), "a a/ a/b a/b/c ab");
    assert_eq!(under(&world, ""), "a a/ a/b a/b/c ab b ä/x");
    assert_eq!(under(&world, "zz"), "");
    world.done(delete("a/", DeleteWhen::Tree));
    assert_eq!(world.touched.len(), 3);
    assert_eq!(under(&world, ""), "a ab b ä/x");
    world.done(delete("", DeleteWhen::Tree));
    assert_eq!(under(&world, ""), "");
}

#[test]
fn thousands_come_and_go() {
    let mut world = World::default();
    let mut model = BTreeMap::new();
    let mut seed = 7u64;
    for round in 0..30_000u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = format!("{}/{}", (seed >> 33) % 7, (seed >> 40) % 900);
        // Two phases in turn: the map fills, then it empties.
        if ((seed >> 60) < 11) == (round / 5_000 % 2 == 0) {
            world.run(set(&key, &round.to_string()));
            model.insert(key, round.to_string());
        } else {
            world.run(delete(&key, DeleteWhen::Always));
            model.remove(&key);
        }
        if round % 1_000 == 999 {
            let prefix = format!("{}/{}", seed % 7, seed % 10);
            for prefix in ["", &prefix] {
                let found = world.map.entries(prefix).map(|entry| (&*entry.key, &*entry.value));
                let expected = model.iter().filter(|(key, _)| key.starts_with(prefix));
                assert!(found.eq(expected.map(|(key, value)| (key.as_str(), value.as_bytes()))), "{prefix}");
            }
        }
    }
}
