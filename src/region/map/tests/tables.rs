//! Queries, events, regions, members, secrets, documents.

use super::support::*;
use crate::region::map::*;

fn document(text: &str, expected: Option<u64>) -> Command {
    Command::DocumentPut {
        name: name("main"),
        text: text.as_bytes().to_vec().into(),
        author: name("me"),
        expected,
    }
}

fn version(world: &mut World, command: Command) -> u64 {
    match world.run(command) {
        Reply::Id { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_documents_versions_are_never_used_again() {
    let mut world = World::default();
    assert_eq!(version(&mut world, document("one", Some(0))), 1);
    assert_eq!(version(&mut world, document("two", None)), 2);
    assert_eq!(world.refused(document("x", Some(1))), r#"document "main" is at version 2, not 1"#);
    assert_eq!(version(&mut world, document("three", Some(2))), 3);
    let found = world.map.document("main").unwrap();
    assert_eq!((&*found.text, found.version, found.at), (&b"three"[..], 3, world.at));
    world.done(Command::DocumentDelete { name: name("main") });
    assert!(world.map.document("main").is_none());
    assert_eq!(world.refused(document("x", Some(3))), r#"document "main" is at version 0, not 3"#);
    assert_eq!(version(&mut world, document("four", Some(0))), 4);
    assert_eq!(world.refused(Command::DocumentDelete { name: name("x") }), r#"unknown document "x""#);
}

#[test]
fn a_documents_history_is_bounded() {
    let mut world = World::default();
    for n in 1..=DOCUMENT_VERSIONS as u64 + 3 {
        assert_eq!(version(&mut world, document(&n.to_string(), None)), n);
    }
    let versions: Vec<u64> = world.map.history("main").map(|document| document.version).collect();
    assert_eq!(versions.len(), DOCUMENT_VERSIONS);
    assert_eq!((versions[0], versions[DOCUMENT_VERSIONS - 1]), (35, 4));
}

#[test]
fn a_forgotten_document_starts_above_all_that_were_forgotten() {
    let mut world = World::default();
    let put = |text: &str| Command::DocumentPut {
        name: name(text),
        text: "x".into(),
        author: name(""),
        expected: None,
    };
    for _ in 0..7 {
        world.done(put("0"));
    }
    world.done(Command::DocumentDelete { name: name("0") });
    for n in 0..1024 {
        let other = format!("d{n}");
        world.done(put(&other));
        world.done(Command::DocumentDelete { name: name(&other) });
    }
    assert_eq!(version(&mut world, put("0")), 8);
    assert_eq!(version(&mut world, put("d5")), 2, "it is remembered");
    assert_eq!(version(&mut world, put("never")), 8);
}

#[test]
fn the_newest_events_are_kept() {
    let mut world = World::default();
    for n in 0..EVENTS + 10 {
        world.done(Command::EventFire(Event { id: name(&n.to_string()), ..Event::default() }));
    }
    let ids: Vec<&str> = world.map.events().map(|event| &*event.id).collect();
    assert_eq!((ids.len(), ids[0], ids[EVENTS - 1]), (EVENTS, "10", "265"));
    assert_eq!(world.map.events().next_back().unwrap().index, world.map.index());
    assert_eq!(world.touched, [Topic::Events]);
}

#[test]
fn a_members_id_is_the_index_that_admitted_it() {
    let mut world = World::default();
    world.done(Command::Nothing);
    let member = Member { name: name("lb1"), ..Member::default() };
    let id = version(&mut world, Command::MemberPut(member.clone()));
    assert_eq!(id, 2);
    assert_eq!(world.refused(Command::MemberPut(member.clone())), r#"name "lb1" is taken"#);
    let changed = Member { id, create_index: id, role: Role::Manager, alive: true, ..member.clone() };
    world.done(Command::MemberPut(changed.clone()));
    assert_eq!(world.touched, [Topic::Members]);
    let found = world.map.member(id).unwrap();
    assert_eq!((found.role, found.create_index, found.modify_index), (Role::Manager, 2, 4));
    world.done(Command::MemberPut(changed.clone()));
    assert_eq!(world.touched, []);
    world.done(Command::MemberDelete { id });
    assert_eq!(world.refused(Command::MemberDelete { id }), "unknown member 2");
    assert_eq!(world.refused(Command::MemberPut(changed)), "unknown member 2");
    let next = version(&mut world, Command::MemberPut(member));
    assert_eq!(next, world.map.index());
}

#[test]
fn regions_and_secrets() {
    let mut world = World::default();
    let eu = Region { name: name("eu"), location: Some((53.3, -6.2)), ..Region::default() };
    let index = world.done(Command::RegionPut(eu.clone()));
    world.done(Command::RegionPut(eu.clone()));
    assert_eq!(world.map.region("eu").unwrap().modify_index, index);
    world.done(Command::RegionPut(Region { state: RegionState::Drain, ..eu }));
    assert_eq!(world.map.region("eu").unwrap().create_index, index);
    assert_eq!(world.map.index_of(&Topic::Regions), world.map.index());
    world.done(Command::RegionDelete { name: name("eu") });
    assert_eq!(world.refused(Command::RegionDelete { name: name("eu") }), r#"unknown region "eu""#);
    assert!(world.refused(Command::RegionPut(Region::default())).contains("missing"));
    world.done(Command::SecretPut { name: name("ca"), value: "pem".into() });
    assert_eq!(world.map.secret("ca").unwrap(), "pem");
}

#[test]
fn a_query_is_found_by_id_and_name() {
    let mut world = World::default();
    let query = |id: &str, text: &str| Query { id: name(id), name: name(text), ..Query::default() };
    let index = world.done(Command::QueryPut(query("1", "web")));
    world.done(Command::QueryPut(query("1", "web")));
    assert_eq!(world.map.query("web").unwrap().modify_index, index);
    assert_eq!(world.refused(Command::QueryPut(query("2", "web"))), r#"name "web" is taken"#);
    world.done(Command::QueryPut(query("1", "shop")));
    assert!(world.map.query("web").is_none());
    assert_eq!(&*world.map.query("shop").unwrap().id, "1");
    world.done(Command::QueryPut(query("2", "")));
    world.done(Command::QueryPut(query("3", "")));
    assert_eq!(world.map.queries().count(), 3);
    world.done(Command::QueryDelete { id: name("1") });
    assert!(world.map.query("shop").is_none());
    assert_eq!(world.refused(Command::QueryDelete { id: name("1") }), r#"unknown prepared query "1""#);
}
