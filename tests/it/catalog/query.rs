//! Prepared queries and events.

use serde_json::json;

use super::served::Served;

#[test]
fn a_query_is_kept_found_and_executed() {
    let node = Served::start();
    for (id, tag, status) in [("a", "blue", "passing"), ("b", "green", "warning"), ("c", "blue", "critical")]
    {
        let body = format!(
            r#"{{"Name":"web","ID":"{id}","Tags":["{tag}"],"Check":{{"TTL":"60s","Status":"{status}"}}}}"#
        );
        node.ok("/v1/agent/service/register", &body);
    }
    let body = r#"{"name":"q","service":{"service":"web","onlypassing":false,"tags":["!none"]},"dns":{"ttl":"10s"}}"#;
    let made = node.ask("POST", "/v1/query", "", body.as_bytes());
    let id = made.json()["ID"].as_str().expect("an id").to_owned();
    assert_eq!(node.get(&format!("/v1/query/{id}")).json()[0]["Name"], "q");
    let found = node.get("/v1/query/q/execute").json();
    assert_eq!((&found["DNS"]["TTL"], &found["Datacenter"]), (&json!("10s"), &json!("dc1")));
    let mut ids: Vec<_> =
        found["Nodes"].as_array().into_iter().flatten().map(|n| n["Service"]["ID"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["\"a\"", "\"b\""]);
    assert_eq!(node.get("/v1/query/q/execute?limit=1").json()["Nodes"].as_array().map(Vec::len), Some(1));
    node.ok(&format!("/v1/query/{id}"), r#"{"Name":"q","Service":{"Service":"web","OnlyPassing":true}}"#);
    assert_eq!(node.get("/v1/query/q/execute").json()["Nodes"].as_array().map(Vec::len), Some(1));
    assert_eq!(node.ask("DELETE", &format!("/v1/query/{id}"), "", b"").status, 200);
    assert_eq!(node.get("/v1/query/q/execute").status, 404);
    assert_eq!(node.get("/v1/query").body, "[]");
}

#[test]
fn a_template_answers_for_names_that_begin_so() {
    let node = Served::start();
    node.ok("/v1/agent/service/register", r#"{"Name":"mysql"}"#);
    let body = r#"{"Name":"geo-db","Template":{"Type":"name_prefix_match","Regexp":"^geo-db-(.*?)-([^\\-]+?)$"},
        "Service":{"Service":"${match(1)}"}}"#;
    assert_eq!(node.ask("POST", "/v1/query", "", body.as_bytes()).status, 200);
    assert_eq!(
        node.get("/v1/query/geo-db-mysql-main/execute").json()["Nodes"].as_array().map(Vec::len),
        Some(1)
    );
    let explained = node.get("/v1/query/geo-db-mysql-main/explain").json();
    assert_eq!(explained["Query"]["Service"]["Service"], "mysql");
    for bad in [
        r#"{"Service":{}}"#,
        r#"{"Name":"x"}"#,
        r#"{"Service":{"Service":"a"},"DNS":{"TTL":"soon"}}"#,
        r#"{"Service":{"Service":"a"},"Template":{"Type":"what"}}"#,
        r#"{"Service":{"Service":"a"},"Template":{"Type":"name_prefix_match","Regexp":"("}}"#,
    ] {
        assert_eq!(node.ask("POST", "/v1/query", "", bad.as_bytes()).status, 400, "{bad}");
    }
}

#[test]
fn events_are_fired_and_listed() {
    let node = Served::start();
    let fired = node.put("/v1/event/fire/deploy?node=lb.*", "now").json();
    assert_eq!((&fired["Payload"], &fired["NodeFilter"]), (&json!("bm93"), &json!("lb.*")));
    node.ok("/v1/event/fire/other", "");
    let listed = node.get("/v1/event/list?name=deploy").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!((&listed[0]["ID"], &listed[0]["LTime"]), (&fired["ID"], &fired["LTime"]));
    assert_eq!(node.put("/v1/event/fire/deploy?service=(", "").status, 400);
    assert_eq!(node.put("/v1/event/fire/deploy?tag=a", "").status, 400);
}
