//! Tokens.

use super::served::{Served, settings};
use isobar::catalog::Settings;

const ROOT: &str = "X-Consul-Token: root\r\n";

fn guarded() -> Served {
    Served::with(Settings { write_token: Some("root".into()), read_token: Some("look".into()), ..settings() })
}

#[test]
fn a_token_comes_in_three_ways() {
    let node = guarded();
    assert_eq!(node.put("/v1/kv/k", "v").status, 403);
    assert!(node.put("/v1/kv/k", "v").body.starts_with("Permission denied"));
    assert_eq!(node.ask("PUT", "/v1/kv/k", ROOT, b"v").status, 200);
    assert_eq!(node.ask("PUT", "/v1/kv/k", "Authorization: Bearer root\r\n", b"v").status, 200);
    assert_eq!(node.put("/v1/kv/k?token=root", "v").status, 200);
    assert_eq!(node.put("/v1/kv/k?token=wrong", "v").status, 403);
    assert_eq!(node.get("/v1/kv/k").status, 403, "without a token nobody reads");
    assert_eq!(node.get("/v1/kv/k?token=look").status, 200);
    assert_eq!(node.put("/v1/kv/k?token=look", "v").status, 403);
    assert_eq!(node.get("/v1/acl/tokens?token=look").status, 403);
}

#[test]
fn everything_that_changes_something_needs_a_token() {
    let node = Served::with(Settings { write_token: Some("root".into()), ..settings() });
    node.ask("PUT", "/v1/kv/k", ROOT, b"v");
    node.ask("PUT", "/v1/agent/service/register", ROOT, br#"{"Name":"web","Check":{"TTL":"10s"}}"#);
    let session = node.ask("PUT", "/v1/session/create", ROOT, b"").json()["ID"].to_string();
    let session = session.trim_matches('"');
    assert_eq!(node.get("/v1/kv/k").status, 200, "reading is open");
    for (method, path, body) in [
        ("PUT", "/v1/kv/k", "v"),
        ("DELETE", "/v1/kv/k", ""),
        ("DELETE", "/v1/kv/?recurse", ""),
        ("PUT", "/v1/txn", r#"[{"KV":{"Verb":"set","Key":"k","Value":""}}]"#),
        ("PUT", "/v1/txn", r#"[{"Node":{"Verb":"set","Node":{"Node":"n","Address":"a"}}}]"#),
        ("PUT", "/v1/agent/service/register", r#"{"Name":"x"}"#),
        ("PUT", "/v1/agent/service/deregister/web", ""),
        ("PUT", "/v1/agent/service/maintenance/web?enable=true", ""),
        ("PUT", "/v1/agent/maintenance?enable=true", ""),
        ("PUT", "/v1/agent/check/register", r#"{"Name":"x","TTL":"1s"}"#),
        ("PUT", "/v1/agent/check/pass/service:web", ""),
        ("PUT", "/v1/agent/check/deregister/service:web", ""),
        ("PUT", "/v1/agent/leave", ""),
        ("PUT", "/v1/agent/reload", ""),
        ("PUT", "/v1/agent/force-leave/lb1", ""),
        ("PUT", "/v1/agent/token/default", "{}"),
        ("PUT", "/v1/catalog/register", r#"{"Node":"n","Address":"a"}"#),
        ("PUT", "/v1/catalog/deregister", r#"{"Node":"lb1"}"#),
        ("PUT", "/v1/session/create", ""),
        ("PUT", &format!("/v1/session/destroy/{session}"), ""),
        ("PUT", &format!("/v1/session/renew/{session}"), ""),
        ("POST", "/v1/query", r#"{"Name":"q","Service":{"Service":"web"}}"#),
        ("PUT", "/v1/event/fire/x", ""),
        ("PUT", "/v1/coordinate/update", r#"{"Node":"lb1","Coord":{"Vec":[0,0,0,0,0,0,0,0]}}"#),
        ("PUT", "/v1/config", r#"{"Kind":"mesh","Name":"mesh"}"#),
        ("PUT", "/v1/operator/autopilot/configuration", "{}"),
        ("DELETE", "/v1/operator/raft/peer?id=1", ""),
        ("GET", "/v1/snapshot", ""),
        ("PUT", "/v1/acl/token", "{}"),
        ("PUT", "/v1/acl/policy", r#"{"Name":"p"}"#),
    ] {
        let answer = node.ask(method, path, "", body.as_bytes());
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
    }
    assert_eq!(node.get("/v1/kv/k").status, 200, "nothing of it happened");
}

#[test]
fn a_policy_is_enforced() {
    let node = guarded();
    let rules = r#"{"Name":"apps","Rules":"key_prefix \"app/\" { policy = \"write\" } key_prefix \"app/secret\" { policy = \"deny\" } service \"web\" { policy = \"write\" }"}"#;
    let policy = node.ask("PUT", "/v1/acl/policy", ROOT, rules.as_bytes());
    assert_eq!(policy.status, 200, "{policy:?}");
    let token = node.ask("PUT", "/v1/acl/token", ROOT, br#"{"Policies":[{"Name":"apps"}]}"#).json();
    let secret = format!("X-Consul-Token: {}\r\n", token["SecretID"].as_str().expect("a secret"));
    let status =
        |method: &str, path: &str, body: &str| node.ask(method, path, &secret, body.as_bytes()).status;
    for key in ["app/a", "app/secret", "other"] {
        node.ask("PUT", &format!("/v1/kv/{key}"), ROOT, b"v");
    }
    assert_eq!(status("PUT", "/v1/kv/app/a", "w"), 200);
    assert_eq!(status("GET", "/v1/kv/app/secret", ""), 403);
    assert_eq!(status("GET", "/v1/kv/other", ""), 403);
    assert_eq!(status("DELETE", "/v1/kv/app/?recurse", ""), 403, "a key under it is denied");
    assert_eq!(node.ask("GET", "/v1/kv/?keys", &secret, b"").body, r#"["app/a"]"#);
    assert_eq!(status("PUT", "/v1/agent/service/register", r#"{"Name":"web"}"#), 200);
    assert_eq!(status("PUT", "/v1/agent/service/register", r#"{"Name":"db"}"#), 403);
    assert_eq!(status("PUT", "/v1/acl/policy", r#"{"Name":"more"}"#), 403);
    let accessor = token["AccessorID"].as_str().expect("an accessor");
    assert_eq!(node.ask("DELETE", &format!("/v1/acl/token/{accessor}"), ROOT, b"").status, 200);
    assert_eq!(status("GET", "/v1/kv/app/a", ""), 403, "the token is gone");
}

#[test]
fn without_tokens_access_control_is_off() {
    let node = Served::start();
    for path in ["/v1/acl/tokens", "/v1/acl/policies", "/v1/acl/token/self"] {
        let answer = node.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (401, "ACL support disabled"), "{path}");
    }
    assert_eq!(node.get("/v1/catalog/nodes?token=anything").status, 200);
}
