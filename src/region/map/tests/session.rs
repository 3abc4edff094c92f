//! Sessions: what ends them, and what ends with them.

use super::support::*;
use crate::region::map::*;

fn desk() -> Desk {
    let mut desk = Desk::default();
    desk.done(put_node("n"));
    let checks = vec![
        check("n", NODE_LIVENESS, "", Health::Passing),
        check("n", "disk", "", Health::Passing),
        check("n", "bad", "", Health::Critical),
    ];
    desk.done(put_checks("n", checks));
    desk
}

fn create(session: Session) -> Command {
    Command::SessionCreate(session)
}

#[test]
fn what_a_session_stands_on_must_stand() {
    let mut desk = desk();
    assert!(desk.refused(create(session("s", "m", &[]))).contains(r#"node registration for "m""#));
    assert_eq!(desk.refused(create(session("s", "n", &["nope"]))), r#"unknown check "nope""#);
    assert_eq!(desk.refused(create(session("s", "n", &["bad"]))), r#"check "bad" is critical"#);
    let index = desk.done(create(session("s", "n", &["disk"])));
    assert_eq!(desk.map.session("s").unwrap().create_index, index);
    assert_eq!(desk.map.index_of(&Topic::Session(name("s"))), index);
    assert_eq!(desk.refused(create(session("s", "n", &[]))), r#"name "s" is taken"#);
    assert_eq!(desk.map.sessions_on("n").count(), 1);
}

#[test]
fn a_critical_check_ends_those_that_name_it() {
    let mut desk = desk();
    desk.done(create(session("s1", "n", &["disk", NODE_LIVENESS])));
    desk.done(create(session("s2", "n", &[NODE_LIVENESS])));
    desk.done(acquire("k", "s1"));
    desk.done(status("n", "disk", Health::Warning));
    assert!(desk.map.session("s1").is_some());
    let index = desk.done(status("n", "disk", Health::Critical));
    assert!(desk.map.session("s1").is_none());
    assert!(desk.map.session("s2").is_some());
    assert_eq!(desk.map.entry("k").unwrap().session, None);
    for topic in [Topic::Sessions, Topic::Session(name("s1")), Topic::Key(name("k"))] {
        assert_eq!(desk.map.index_of(&topic), index);
        assert!(desk.touched.contains(&topic));
    }
    desk.done(gone("n", None, Some(NODE_LIVENESS)));
    assert!(desk.map.session("s2").is_none(), "so does the end of a check");
}

#[test]
fn a_check_of_a_service_ends_sessions_too() {
    let mut desk = desk();
    desk.done(put(instance("n", "web", "web"), vec![check("n", "w", "web", Health::Passing)]));
    let on_service = |id: &str| Session { service_checks: names(&["w"]), ..session(id, "n", &[]) };
    desk.done(create(on_service("s1")));
    desk.done(put_checks("n", vec![check("n", "w", "web", Health::Critical)]));
    assert!(desk.map.session("s1").is_none());
    desk.done(status("n", "w", Health::Passing));
    desk.done(create(on_service("s2")));
    desk.done(gone("n", Some("web"), None));
    assert!(desk.map.session("s2").is_none());
}

#[test]
fn locks_are_released_or_their_keys_deleted() {
    let mut desk = desk();
    let deleting = Session { behavior: Behavior::Delete, ..session("s1", "n", &[]) };
    desk.done(create(deleting));
    desk.done(create(session("s2", "n", &[])));
    for (key, session) in [("mine", "s1"), ("also", "s1"), ("theirs", "s2")] {
        desk.done(acquire(key, session));
    }
    let index = desk.done(Command::SessionDestroy { id: name("s1") });
    assert!(desk.map.entry("mine").is_none() && desk.map.entry("also").is_none());
    assert_eq!(desk.map.index_of(&Topic::Key(name("mine"))), index);
    desk.done(Command::SessionDestroy { id: name("s2") });
    let entry = desk.map.entry("theirs").unwrap();
    assert_eq!((&*entry.value, entry.session.as_ref(), entry.lock_index), (&b"held"[..], None, 1));
    desk.done(Command::SessionDestroy { id: name("s2") });
    assert_eq!(desk.touched, []);
}

#[test]
fn a_lost_lock_is_delayed_by_the_proposers_clock() {
    let mut desk = desk();
    desk.done(create(Session { lock_delay_ms: 5_000, ..session("s1", "n", &[]) }));
    desk.done(create(session("s2", "n", &[])));
    desk.done(acquire("k", "s1"));
    desk.done(Command::SessionDestroy { id: name("s1") });
    let until = desk.at + 5_000;
    assert_eq!(desk.map.lock_delay("k"), Some(until));
    assert!(!desk.held(acquire("k", "s2")));
    let errors = desk.txn(vec![TxnOp::KvPut {
        key: name("k"),
        value: "x".into(),
        flags: 0,
        when: PutWhen::Acquire(name("s2")),
    }]);
    assert_eq!(errors, Err(vec![(0, r#"failed to lock key "k" due to lock delay"#.into())]));
    desk.at = until - 1_001;
    assert!(!desk.held(acquire("k", "s2")));
    assert!(desk.held(acquire("k", "s2")), "at {until}");
    assert_eq!(desk.map.lock_delay("k"), None, "forgotten when over");
}

#[test]
fn a_query_ends_with_its_session() {
    let mut desk = desk();
    desk.done(create(session("s", "n", &[])));
    let bound = Query { id: name("q"), name: name("web"), session: name("s"), ..Query::default() };
    desk.done(Command::QueryPut(bound.clone()));
    desk.done(Command::QueryPut(Query { id: name("p"), ..Query::default() }));
    desk.done(Command::SessionDestroy { id: name("s") });
    assert!(desk.map.query("q").is_none() && desk.map.query("web").is_none());
    assert!(desk.map.query("p").is_some());
    assert!(desk.touched.contains(&Topic::Queries));
    assert_eq!(desk.refused(Command::QueryPut(bound)), r#"invalid session "s""#);
}
