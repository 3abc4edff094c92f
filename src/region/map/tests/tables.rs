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

fn version(desk: &mut Desk, command: Command) -> u64 {
    match desk.run(command) {
        Reply::Id { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_documents_versions_are_never_used_again() {
    let mut desk = Desk::default();
    assert_eq!(version(&mut desk, document("one", Some(0))), 1);
    assert_eq!(version(&mut desk, document("two", None)), 2);
    assert_eq!(desk.refused(document("x", Some(1))), r#"document "main" is at version 2, not 1"#);
    assert_eq!(version(&mut desk, document("three", Some(2))), 3);
    let found = desk.map.document("main").unwrap();
    assert_eq!((&*found.text, found.version, found.at), (&b"three"[..], 3, desk.at));
    desk.done(Command::DocumentDelete { name: name("main") });
    assert!(desk.map.document("main").is_none());
    assert_eq!(desk.refused(document("x", Some(3))), r#"document "main" is at version 0, not 3"#);
    assert_eq!(version(&mut desk, document("four", Some(0))), 4);
    assert_eq!(desk.refused(Command::DocumentDelete { name: name("x") }), r#"unknown document "x""#);
}

#[test]
fn a_documents_history_is_bounded() {
    let mut desk = Desk::default();
    for n in 1..=DOCUMENT_VERSIONS as u64 + 3 {
        assert_eq!(version(&mut desk, document(&n.to_string(), None)), n);
    }
    let versions: Vec<u64> = desk.map.history("main").map(|document| document.version).collect();
    assert_eq!(versions.len(), DOCUMENT_VERSIONS);
    assert_eq!((versions[0], versions[DOCUMENT_VERSIONS - 1]), (35, 4));
}

#[test]
fn a_forgotten_document_starts_above_all_that_were_forgotten() {
    let mut desk = Desk::default();
    let put = |text: &str| Command::DocumentPut {
        name: name(text),
        text: "x".into(),
        author: name(""),
        expected: None,
    };
    for _ in 0..7 {
        desk.done(put("0"));
    }
    desk.done(Command::DocumentDelete { name: name("0") });
    for n in 0..1024 {
        let other = format!("d{n}");
        desk.done(put(&other));
        desk.done(Command::DocumentDelete { name: name(&other) });
    }
    assert_eq!(version(&mut desk, put("0")), 8);
    assert_eq!(version(&mut desk, put("d5")), 2, "it is remembered");
    assert_eq!(version(&mut desk, put("never")), 8);
}

#[test]
fn the_newest_events_are_kept() {
    let mut desk = Desk::default();
    for n in 0..EVENTS + 10 {
        desk.done(Command::EventFire(Event { id: name(&n.to_string()), ..Event::default() }));
    }
    let ids: Vec<&str> = desk.map.events().map(|event| &*event.id).collect();
    assert_eq!((ids.len(), ids[0], ids[EVENTS - 1]), (EVENTS, "10", "265"));
    assert_eq!(desk.map.events().next_back().unwrap().index, desk.map.index());
    assert_eq!(desk.touched, [Topic::Events]);
}

#[test]
fn a_members_id_is_the_index_that_admitted_it() {
    let mut desk = Desk::default();
    desk.done(Command::Nothing);
    let member = Member { name: name("lb1"), ..Member::default() };
    let id = version(&mut desk, Command::MemberPut(member.clone()));
    assert_eq!(id, 2);
    assert_eq!(desk.refused(Command::MemberPut(member.clone())), r#"name "lb1" is taken"#);
    let changed = Member { id, create_index: id, role: Role::Manager, alive: true, ..member.clone() };
    desk.done(Command::MemberPut(changed.clone()));
    assert_eq!(desk.touched, [Topic::Members]);
    let found = desk.map.member(id).unwrap();
    assert_eq!((found.role, found.create_index, found.modify_index), (Role::Manager, 2, 4));
    desk.done(Command::MemberPut(changed.clone()));
    assert_eq!(desk.touched, []);
    desk.done(Command::MemberDelete { id });
    assert_eq!(desk.refused(Command::MemberDelete { id }), "unknown member 2");
    assert_eq!(desk.refused(Command::MemberPut(changed)), "unknown member 2");
    let next = version(&mut desk, Command::MemberPut(member));
    assert_eq!(next, desk.map.index());
}

#[test]
fn regions_and_secrets() {
    let mut desk = Desk::default();
    let eu = Region { name: name("eu"), location: Some((53.3, -6.2)), ..Region::default() };
    let index = desk.done(Command::RegionPut(eu.clone()));
    desk.done(Command::RegionPut(eu.clone()));
    assert_eq!(desk.map.region("eu").unwrap().modify_index, index);
    desk.done(Command::RegionPut(Region { state: RegionState::Drain, ..eu }));
    assert_eq!(desk.map.region("eu").unwrap().create_index, index);
    assert_eq!(desk.map.index_of(&Topic::Regions), desk.map.index());
    desk.done(Command::RegionDelete { name: name("eu") });
    assert_eq!(desk.refused(Command::RegionDelete { name: name("eu") }), r#"unknown region "eu""#);
    assert!(desk.refused(Command::RegionPut(Region::default())).contains("missing"));
    desk.done(Command::SecretPut { name: name("ca"), value: "pem".into() });
    assert_eq!(desk.map.secret("ca").unwrap(), "pem");
}

#[test]
fn a_query_is_found_by_id_and_name() {
    let mut desk = Desk::default();
    let query = |id: &str, text: &str| Query { id: name(id), name: name(text), ..Query::default() };
    let index = desk.done(Command::QueryPut(query("1", "web")));
    desk.done(Command::QueryPut(query("1", "web")));
    assert_eq!(desk.map.query("web").unwrap().modify_index, index);
    assert_eq!(desk.refused(Command::QueryPut(query("2", "web"))), r#"name "web" is taken"#);
    desk.done(Command::QueryPut(query("1", "shop")));
    assert!(desk.map.query("web").is_none());
    assert_eq!(&*desk.map.query("shop").unwrap().id, "1");
    desk.done(Command::QueryPut(query("2", "")));
    desk.done(Command::QueryPut(query("3", "")));
    assert_eq!(desk.map.queries().count(), 3);
    desk.done(Command::QueryDelete { id: name("1") });
    assert!(desk.map.query("shop").is_none());
    assert_eq!(desk.refused(Command::QueryDelete { id: name("1") }), r#"unknown prepared query "1""#);
}
