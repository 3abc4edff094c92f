//! Sessions: what ends them, and what ends with them.

use super::support::*;
use crate::region::map::*;

fn world() -> World {
    let mut world = World::default();
    world.done(put_node("n"));
    let checks = vec![
        check("n", NODE_LIVENESS, "", Health::Passing),
        check("n", "disk", "", Health::Passing),
        check("n", "bad", "", Health::Critical),
    ];
    world.done(put_checks("n", checks));
    world
}

fn create(session: Session) -> Command {
    Command::SessionCreate(session)
}

#[test]
fn what_a_session_stands_on_must_stand() {
    let mut world = world();
    assert!(world.refused(create(session("s", "m", &[]))).contains(r#"node registration for "m""#));
    assert_eq!(world.refused(create(session("s", "n", &["nope"]))), r#"unknown check "nope""#);
    assert_eq!(world.refused(create(session("s", "n", &["bad"]))), r#"check "bad" is critical"#);
    let index = world.done(create(session("s", "n", &["disk"])));
    assert_eq!(world.map.session("s").unwrap().create_index, index);
    assert_eq!(world.map.index_of(&Topic::Session(name("s"))), index);
    assert_eq!(world.refused(create(session("s", "n", &[]))), r#"name "s" is taken"#);
    assert_eq!(world.map.sessions_on("n").count(), 1);
}

#[test]
fn a_critical_check_ends_those_that_name_it() {
    let mut world = world();
    world.done(create(session("s1", "n", &["disk", NODE_LIVENESS])));
    world.done(create(session("s2", "n", &[NODE_LIVENESS])));
    world.done(acquire("k", "s1"));
    world.done(status("n", "disk", Health::Warning));
    assert!(world.map.session("s1").is_some());
    let index = world.done(status("n", "disk", Health::Critical));
    assert!(world.map.session("s1").is_none());
    assert!(world.map.session("s2").is_some());
    assert_eq!(world.map.entry("k").unwrap().session, None);
    for topic in [Topic::Sessions, Topic::Session(name("s1")), Topic::Key(name("k"))] {
        assert_eq!(world.map.index_of(&topic), index);
        assert!(world.touched.contains(&topic));
    }
    world.done(gone("n", None, Some(NODE_LIVENESS)));
    assert!(world.map.session("s2").is_none(), "so does the end of a check");
}

#[test]
fn a_check_of_a_service_ends_sessions_too() {
    let mut world = world();
    world.done(put(instance("n", "web", "web"), vec![check("n", "w", "web", Health::Passing)]));
    let on_service = |id: &str| Session { service_checks: names(&["w"]), ..session(id, "n", &[]) };
    world.done(create(on_service("s1")));
    world.done(put_checks("n", vec![check("n", "w", "web", Health::Critical)]));
    assert!(world.map.session("s1").is_none());
    world.done(status("n", "w", Health::Passing));
    world.done(create(on_service("s2")));
    world.done(gone("n", Some("web"), None));
    assert!(world.map.session("s2").is_none());
}

#[test]
fn locks_are_released_or_their_keys_deleted() {
    let mut world = world();
    let deleting = Session { behavior: Behavior::Delete, ..session("s1", "n", &[]) };
    world.done(create(deleting));
    world.done(create(session("s2", "n", &[])));
    for (key, session) in [("mine", "s1"), ("also", "s1"), ("theirs", "s2")] {
        world.done(acquire(key, session));
    }
    let index = world.done(Command::SessionDestroy { id: name("s1") });
    assert!(world.map.entry("mine").is_none() && world.map.entry("also").is_none());
    assert_eq!(world.map.index_of(&Topic::Key(name("mine"))), index);
    world.done(Command::SessionDestroy { id: name("s2") });
    let entry = world.map.entry("theirs").unwrap();
    assert_eq!((&*entry.value, entry.session.as_ref(), entry.lock_index), (&b"held"[..], None, 1));
    world.done(Command::SessionDestroy { id: name("s2") });
    assert_eq!(world.touched, []);
}

#[test]
fn a_lost_lock_is_delayed_by_the_proposers_clock() {
    let mut world = world();
    world.done(create(Session { lock_delay_ms: 5_000, ..session("s1", "n", &[]) }));
    world.done(create(session("s2", "n", &[])));
    world.done(acquire("k", "s1"));
    world.done(Command::SessionDestroy { id: name("s1") });
    let until = world.at + 5_000;
    assert_eq!(world.map.lock_delay("k"), Some(until));
    assert!(!world.held(acquire("k", "s2")));
    let errors = world.txn(vec![TxnOp::KvPut {
        key: name("k"),
        value: "x".into(),
        flags: 0,
        when: PutWhen::Acquire(name("s2")),
    }]);
    assert_eq!(errors, Err(vec![(0, r#"failed to lock key "k" due to lock delay"#.into())]));
    world.at = until - 1_001;
    assert!(!world.held(acquire("k", "s2")));
    assert!(world.held(acquire("k", "s2")), "at {until}");
    assert_eq!(world.map.lock_delay("k"), None, "forgotten when over");
}

#[test]
fn a_query_ends_with_its_session() {
    let mut world = world();
    world.done(create(session("s", "n", &[])));
    let bound = Query { id: name("q"), name: name("web"), session: name("s"), ..Query::default() };
    world.done(Command::QueryPut(bound.clone()));
    world.done(Command::QueryPut(Query { id: name("p"), ..Query::default() }));
    world.done(Command::SessionDestroy { id: name("s") });
    assert!(world.map.query("q").is_none() && world.map.query("web").is_none());
    assert!(world.map.query("p").is_some());
    assert!(world.touched.contains(&Topic::Queries));
    assert_eq!(world.refused(Command::QueryPut(bound)), r#"invalid session "s""#);
}
