//! The page.

use std::io::{BufRead, BufReader};

use isobar::region::soft::{Load, Record};
use serde_json::{Value, json};

use super::served::{Served, settings};

#[test]
fn the_page_and_its_files() {
    let node = Served::start();
    let root = node.get("/");
    assert_eq!((root.status, root.headers["location"].as_str()), (302, "/ui"));
    let page = node.get("/ui");
    assert!(page.headers["content-security-policy"].contains("script-src 'self'"));
    for file in ["/ui/page.css", "/ui/page.js"] {
        assert!(page.body.contains(file), "{file}");
        assert_eq!(node.get(file).status, 200, "{file}");
    }
    assert_eq!(node.get("/ui/../Cargo.toml").status, 404);
}

#[test]
fn the_overview_counts_by_the_worst_check() {
    let node = Served::start();
    for (id, status) in [("a", "passing"), ("b", "warning"), ("c", "critical"), ("d", "passing")] {
        let body = format!(
            r#"{{"Name":"web","ID":"{id}","Tags":["t"],"Check":{{"TTL":"60s","Status":"{status}"}}}}"#
        );
        node.ok("/v1/agent/service/register", &body);
    }
    let (service, region) = ("web".into(), "eu".into());
    let load = Load { service, region, sessions: 3, capacity: 10, servers: 2 };
    node.api.seat.soft().publish("web@eu", Record::Load(load)).expect("room");
    let seen = node.get("/ui/overview").json();
    let web = seen["services"].as_array().into_iter().flatten().find(|s| s["name"] == "web");
    let load = json!([{ "region": "eu", "sessions": 3, "capacity": 10, "servers": 2 }]);
    let wanted =
        json!({ "name": "web", "tags": ["t"], "load": load, "passing": 2, "warning": 1, "critical": 1 });
    assert_eq!(web, Some(&wanted));
    assert_eq!(
        (&seen["node"], &seen["leader"], &seen["nodes"][0]["leader"]),
        (&json!("lb1"), &json!("lb1"), &json!(true))
    );
    let trouble: Vec<&Value> = seen["trouble"].as_array().into_iter().flatten().collect();
    let told: Vec<(&Value, &Value)> = trouble.iter().map(|row| (&row["instance"], &row["status"])).collect();
    assert_eq!(
        told,
        [(&json!("c"), &json!("critical")), (&json!("b"), &json!("warning"))],
        "the worst first"
    );
    assert!(trouble[0]["since"].as_u64() > Some(0) && seen["troubles"] == 2, "{seen}");
    let node = (&seen["nodes"][0]["alive"], &seen["nodes"][0]["role"]);
    assert_eq!(node, (&json!(true), &json!("agent")), "one that is watched and has no seat");
    let guarded = Served::with(isobar::catalog::Settings { read_token: Some("look".into()), ..settings() });
    assert_eq!(guarded.get("/ui/overview").status, 403);
    assert_eq!(guarded.get("/ui/events").status, 403);
}

#[test]
fn a_change_is_told_to_who_listens() {
    let node = Served::start();
    let mut lines = BufReader::new(node.send("GET", "/ui/events", "", b"")).lines();
    let mut event = || -> Value {
        let line = lines.find_map(|line| Some(line.expect("a line").strip_prefix("data: ")?.to_owned()));
        serde_json::from_str(&line.expect("an event")).expect("JSON")
    };
    let first = event();
    assert_eq!((&first["node"], &first["leader"]), (&json!("lb1"), &json!("lb1")));
    node.ok("/v1/kv/k", "v");
    assert!(event()["index"].as_u64() > first["index"].as_u64());
}
