//! Sessions and locks.

use serde_json::json;

use super::served::Served;

fn create(node: &Served, body: &str) -> String {
    let answer = node.put("/v1/session/create", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["ID"].as_str().expect("an id").to_owned()
}

#[test]
fn a_session_as_patroni_makes_it() {
    let node = Served::start();
    let id = create(&node, r#"{"name":"pg","behavior":"delete","lockdelay":"0.001s","ttl":"15.0s"}"#);
    let found = &node.get(&format!("/v1/session/info/{id}")).json()[0];
    assert_eq!(
        (&found["TTL"], &found["Behavior"], &found["LockDelay"], &found["NodeChecks"]),
        (&json!("15s"), &json!("delete"), &json!(1_000_000), &json!(["serfHealth"]))
    );
    assert_eq!(node.put(&format!("/v1/kv/leader?acquire={id}"), "a").body, "true");
    assert_eq!(node.get("/v1/kv/leader").json()[0]["Session"], *id);
    let other = create(&node, "");
    assert_eq!(node.put(&format!("/v1/kv/leader?acquire={other}"), "b").body, "false");
    assert_eq!(node.put(&format!("/v1/session/renew/{id}"), "").json()[0]["ID"], *id);
    node.ok(&format!("/v1/session/destroy/{id}"), "");
    assert_eq!(node.get("/v1/kv/leader").status, 404, "its behavior is to delete");
    assert_eq!(node.put(&format!("/v1/session/renew/{id}"), "").status, 404);
    assert_eq!(node.get(&format!("/v1/session/info/{id}")).body, "[]");
    assert_eq!(node.get("/v1/session/list").json().as_array().map(Vec::len), Some(1));
    assert_eq!(node.get("/v1/session/node/lb1").json()[0]["ID"], *other);
}

#[test]
fn errors_begin_with_the_words_that_clients_look_for() {
    let node = Served::start();
    for (body, status, words) in [
        (r#"{"ttl":"1s"}"#, 500, "Invalid Session TTL"),
        (r#"{"ttl":"48h"}"#, 500, "Invalid Session TTL"),
        (r#"{"ttl":"soon"}"#, 400, "Invalid Session TTL"),
        (r#"{"behavior":"keep"}"#, 400, "Invalid Behavior"),
        (r#"{"node":"none"}"#, 500, "missing node registration"),
        (r#"{"NodeChecks":["none"]}"#, 500, "unknown check"),
    ] {
        let answer = node.put("/v1/session/create", body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.body.to_lowercase().starts_with(&words.to_lowercase()), "{body}: {}", answer.body);
    }
}

#[test]
fn a_session_ends_with_a_check_and_its_lock_waits() {
    let node = Served::start();
    node.ok("/v1/agent/check/register", r#"{"Name":"up","TTL":"60s","Status":"passing"}"#);
    let id = create(&node, r#"{"NodeChecks":["up"],"LockDelay":"15s"}"#);
    assert_eq!(node.put(&format!("/v1/kv/lock?acquire={id}"), "a").body, "true");
    node.ok("/v1/agent/check/fail/up", "");
    assert_eq!(node.get("/v1/session/list").body, "[]");
    let entry = &node.get("/v1/kv/lock").json()[0];
    assert!(entry.get("Session").is_none() && entry["LockIndex"] == 1, "{entry}");
    let next = create(&node, "");
    assert_eq!(node.put(&format!("/v1/kv/lock?acquire={next}"), "b").body, "false", "lock delay");
}
