//! Transactions: results, errors, and that nothing remains of one that fails.

use bytes::Bytes;

use super::support::*;
use crate::region::map::*;

fn put(key: &str, value: &str, when: PutWhen) -> TxnOp {
    TxnOp::KvPut { key: name(key), value: Bytes::copy_from_slice(value.as_bytes()), flags: 3, when }
}

fn get(key: &str) -> TxnOp {
    TxnOp::KvGet { key: name(key) }
}

fn kv_results(results: Vec<TxnResult>) -> Vec<(String, String, Index)> {
    let show = |result| match result {
        TxnResult::Kv(entry) => {
            let value = String::from_utf8_lossy(&entry.value).into_owned();
            (entry.key.to_string(), value, entry.modify_index)
        }
        other => panic!("{other:?}"),
    };
    results.into_iter().map(show).collect()
}

#[test]
fn operations_see_those_before_them() {
    let mut world = World::default();
    let results = world.txn(vec![
        TxnOp::KvCheckNotExists { key: name("a") },
        put("a", "1", PutWhen::Always),
        get("a"),
        put("a", "2", PutWhen::Cas(1)),
        put("b", "3", PutWhen::Cas(0)),
        TxnOp::KvGetTree { key: name("") },
        TxnOp::KvCheckIndex { key: name("a"), index: 1 },
        TxnOp::KvDelete { key: name("a"), when: DeleteWhen::Always },
    ]);
    let row = |key: &str, value: &str| (key.to_string(), value.to_string(), 1);
    assert_eq!(
        kv_results(results.unwrap()),
        [row("a", ""), row("a", "1"), row("a", ""), row("b", ""), row("a", "2"), row("b", "3"), row("a", ""),]
    );
    assert!(world.map.entry("a").is_none());
    assert_eq!(world.map.entry("b").unwrap().flags, 3);
}

#[test]
fn one_that_fails_undoes_all_and_every_error_is_told() {
    let mut world = World::default();
    world.done(put_node("n"));
    world.done(Command::SessionCreate(session("s", "n", &[])));
    world.done(Command::SessionCreate(session("t", "n", &[])));
    world.done(acquire("held", "s"));
    let before = world.map.clone();
    let key = |text: &str| name(text);
    let errors = world.txn(vec![
        put("new", "1", PutWhen::Always),
        get("absent"),
        put("held", "x", PutWhen::Cas(1)),
        put("held", "x", PutWhen::Acquire(name("t"))),
        put("held", "x", PutWhen::Release(name("t"))),
        put("held", "x", PutWhen::Acquire(name("u"))),
        TxnOp::KvDelete { key: key("held"), when: DeleteWhen::Cas(1) },
        TxnOp::KvCheckNotExists { key: key("held") },
        TxnOp::KvCheckIndex { key: key("held"), index: 1 },
        TxnOp::KvCheckIndex { key: key("absent"), index: 1 },
        TxnOp::KvCheckSession { key: key("held"), session: key("t") },
        TxnOp::KvCheckSession { key: key("absent"), session: key("t") },
    ]);
    let said: Vec<(u32, &str)> =
        errors.as_ref().unwrap_err().iter().map(|(op, what)| (*op, &**what)).collect();
    assert_eq!(
        said,
        [
            (1, r#"key "absent" doesn't exist"#),
            (2, r#"failed to set key "held", index is stale"#),
            (3, r#"failed to lock key "held", lock is already held"#),
            (4, r#"failed to unlock key "held", lock isn't held, or is held by another session"#),
            (5, r#"invalid session "u""#),
            (6, r#"failed to delete key "held", index is stale"#),
            (7, r#"key "held" exists"#),
            (8, r#"failed index check for key "held", current modify index 4 != 1"#),
            (9, r#"failed to check index, key "absent" doesn't exist"#),
            (10, r#"failed session check for key "held", current session "s" != "t""#),
            (11, r#"failed to check session, key "absent" doesn't exist"#),
        ]
    );
    assert_eq!(world.touched, []);
    assert_eq!(Map { index: world.map.index(), ..before }, world.map);
}

#[test]
fn the_catalog_too() {
    let mut world = World::default();
    let results = world.txn(vec![
        TxnOp::NodePut { node: node("n"), cas: Some(0) },
        TxnOp::ServicePut { instance: instance("n", "web", "web"), cas: None },
        TxnOp::CheckPut { check: check("n", "c", "web", Health::Passing), cas: Some(0) },
        TxnOp::NodeGet { name: name("n") },
        TxnOp::ServiceGet { node: name("n"), id: name("web") },
        TxnOp::CheckGet { node: name("n"), id: name("c") },
    ]);
    let results = results.unwrap();
    assert_eq!(results[..3], results[3..]);
    assert!(matches!(&results[2], TxnResult::Check(check) if &*check.service == "web"));

    let errors = world.txn(vec![
        TxnOp::NodePut { node: node("n"), cas: Some(0) },
        TxnOp::ServicePut { instance: instance("n", "web", "web"), cas: Some(9) },
        TxnOp::ServicePut { instance: instance("m", "web", "web"), cas: None },
        TxnOp::CheckDelete { node: name("n"), id: name("c"), cas: Some(9) },
        TxnOp::CheckPut { check: check("n", "d", "nope", Health::Passing), cas: None },
        TxnOp::NodeGet { name: name("m") },
        TxnOp::ServiceGet { node: name("m"), id: name("x") },
        TxnOp::CheckGet { node: name("m"), id: name("x") },
    ]);
    assert_eq!(
        errors.unwrap_err().into_iter().map(|(_, what)| what).collect::<Vec<_>>(),
        [
            r#"failed to set node "n", index is stale"#,
            r#"failed to set service "web" on node "n", index is stale"#,
            r#"missing node registration for "m""#,
            r#"failed to delete check "c" on node "n", index is stale"#,
            r#"unknown service ID "nope""#,
            r#"node "m" doesn't exist"#,
            r#"service "x" on node "m" doesn't exist"#,
            r#"check "x" on node "m" doesn't exist"#,
        ]
    );
    let gone = world.txn(vec![
        TxnOp::ServiceDelete { node: name("n"), id: name("web"), cas: Some(1) },
        TxnOp::NodeDelete { name: name("n"), cas: Some(1) },
    ]);
    assert_eq!(gone, Ok(vec![]));
    assert_eq!(world.map.nodes().count(), 0);
}

#[test]
fn a_session_may_end_in_one() {
    let mut world = World::default();
    world.done(put_node("n"));
    world.done(Command::SessionCreate(session("s", "n", &[])));
    world.done(acquire("k", "s"));
    let done = world.txn(vec![TxnOp::SessionDestroy { id: name("s") }, get("k")]);
    assert!(matches!(&done.unwrap()[..], [TxnResult::Kv(entry)] if entry.session.is_none()));
    assert!(world.map.session("s").is_none());
}
