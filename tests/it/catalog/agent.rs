//! Services and checks of an agent, and what the catalog and health then say.

use serde_json::json;

use super::served::Served;

#[test]
fn a_service_as_python_and_as_go_register_it() {
    let node = Served::start();
    let python = r#"{"name":"web","id":"web#1","address":"10.0.0.1","port":80,"tags":["a"],"enabletagoverride":true,
        "tagged_addresses":{"lan":{"address":"10.0.0.1","port":8080}},"meta":{"Some_Key":"v"},
        "checks":[{"ttl":"10s"},{"http":"http://10.0.0.1/","interval":"5s","header":{"x-a":["b"]}}]}"#;
    node.ok("/v1/agent/service/register", python);
    node.ok("/v1/agent/service/register", r#"{"Name":"db","Check":{"TTL":"15s","Status":"passing"}}"#);
    assert_eq!(
        node.get("/v1/agent/services").json()["db"],
        json!({ "ID": "db", "Service": "db", "Tags": [], "Meta": {}, "Port": 0, "Address": "",
                "Weights": { "Passing": 1, "Warning": 1 }, "EnableTagOverride": false, "Datacenter": "dc1" })
    );
    let web = &node.get("/v1/health/service/web?tag=A").json()[0];
    assert_eq!(web["Service"]["TaggedAddresses"]["lan"], json!({ "Address": "10.0.0.1", "Port": 8080 }));
    assert_eq!(web["Service"]["Meta"], json!({ "Some_Key": "v" }));
    let ids: Vec<_> = web["Checks"].as_array().into_iter().flatten().map(|c| &c["CheckID"]).collect();
    assert_eq!(ids, ["serfHealth", "service:web#1:1", "service:web#1:2"]);
    assert_eq!(web["Checks"][2]["Definition"]["HTTP"], "http://10.0.0.1/");
    assert_eq!(node.get("/v1/health/service/db?passing").json()[0]["Checks"][1]["CheckID"], "service:db");
    node.ok("/v1/agent/service/deregister/web%231", "");
    assert_eq!(node.get("/v1/agent/service/web%231").status, 404);
    assert_eq!(node.put("/v1/agent/service/deregister/web%231", "").status, 404);
    assert_eq!(node.get("/v1/agent/checks").json().as_object().map(|o| o.len()), Some(1));
}

#[test]
fn a_registration_that_changes_nothing_moves_no_index_and_forgets_no_status() {
    let node = Served::start();
    let body = r#"{"Name":"web","Check":{"TTL":"10s"}}"#;
    node.ok("/v1/agent/service/register", body);
    node.ok("/v1/agent/check/pass/service:web?note=fine", "");
    let before = node.get("/v1/health/service/web?passing");
    assert_eq!(before.json()[0]["Checks"][1]["Output"], "fine");
    node.ok("/v1/agent/service/register", body);
    let after = node.get("/v1/health/service/web?passing");
    assert_eq!((after.body.as_str(), after.index()), (before.body.as_str(), before.index()));
}

#[test]
fn a_report_that_says_nothing_new_costs_no_entry_in_the_log() {
    let node = Served::start();
    node.ok("/v1/agent/check/register", r#"{"Name":"ping","TTL":"10s"}"#);
    node.ok("/v1/agent/check/pass/ping", "");
    let index = node.api.seat.status().last_log;
    for _ in 0..10 {
        node.ok("/v1/agent/check/pass/ping", "");
    }
    node.ok("/v1/agent/check/update/ping", r#"{"status":"passing"}"#);
    assert_eq!(node.api.seat.status().last_log, index);
    assert_eq!(node.agent.heard.lock().expect("no panic").len(), 12, "but the agent hears of each");
    node.ok("/v1/agent/check/warn/ping?note=slow", "");
    assert_eq!(node.api.seat.status().last_log, index + 1);
    assert_eq!(node.get("/v1/agent/checks").json()["ping"]["Status"], "warning");
    assert_eq!(node.ask("GET", "/v1/agent/check/fail/ping", "", b"").status, 200, "old clients use GET");
}

#[test]
fn what_cannot_be_is_refused() {
    let node = Served::start();
    for (path, body, status) in [
        ("/v1/agent/service/register", "{}", 400),
        ("/v1/agent/service/register", "{", 400),
        ("/v1/agent/service/register", r#"{"Name":"a","Port":"x"}"#, 400),
        ("/v1/agent/service/register", r#"{"Name":"a","Address":"0.0.0.0"}"#, 400),
        ("/v1/agent/service/register", r#"{"Name":"a","Check":{"HTTP":"http://x"}}"#, 400),
        ("/v1/agent/service/register", r#"{"Name":"a","Meta":{"a b":"c"}}"#, 400),
        ("/v1/agent/check/register", r#"{"Name":"a"}"#, 400),
        ("/v1/agent/check/register", r#"{"TTL":"1s"}"#, 400),
        ("/v1/agent/check/register", r#"{"Name":"a","Args":["/bin/true"],"Interval":"1s"}"#, 400),
        ("/v1/agent/check/register", r#"{"Name":"a","TTL":"1s","ServiceID":"none"}"#, 404),
        ("/v1/agent/check/pass/none", "", 404),
        ("/v1/agent/check/pass/serfHealth", "", 404),
        ("/v1/agent/maintenance", "", 400),
        ("/v1/agent/service/maintenance/none?enable=true", "", 404),
        ("/v1/agent/reload", "", 500),
        ("/v1/agent/force-leave/none", "", 500),
        ("/v1/catalog/register", r#"{"Node":"n"}"#, 400),
        ("/v1/catalog/register", r#"{"Node":"n","Address":"a","Datacenter":"dc2"}"#, 500),
        ("/v1/catalog/register", r#"{"ID":"no-uuid","Node":"n","Address":"a"}"#, 400),
    ] {
        let answer = node.put(path, body);
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        assert!(answer.headers["content-type"].starts_with("text/plain"), "{path} {body}");
    }
}

/// Status of the members by name.
fn members(node: &Served) -> Vec<(String, u64)> {
    let all = node.get("/v1/agent/members").json();
    let rows = all.as_array().into_iter().flatten();
    rows.map(|one| (one["Name"].as_str().unwrap_or("").to_owned(), one["Status"].as_u64().unwrap_or(0)))
        .collect()
}

#[test]
fn who_leaves_is_leaving_then_left_and_comes_back_alive() {
    let node = Served::start();
    let id = "11111111-2222-3333-4444-555555555555";
    let stands = |status: &str| {
        let check = format!(r#"{{"CheckID":"serfHealth","Name":"Serf Health Status","Status":"{status}"}}"#);
        let body = format!(r#"{{"Node":"box","ID":"{id}","Address":"10.0.0.9","Check":{check}}}"#);
        node.ok("/v1/catalog/register", &body);
    };
    let is = |status: u64| vec![("box".to_owned(), status), ("lb1".to_owned(), 1)];
    let says =
        |id: &str| node.put("/v1/isobar/agent/leaving", &format!(r#"{{"Node":"box","ID":"{id}"}}"#)).status;
    stands("passing");
    assert_eq!(members(&node), is(1));
    assert_eq!(says("66666666-2222-3333-4444-555555555555"), 409, "another of that name");
    assert_eq!(says(id), 200);
    assert_eq!(members(&node), is(2));
    stands("critical");
    assert_eq!(members(&node), is(3), "it said so before it fell silent");
    // The leader looks at it when it looks at itself, at least once a minute.
    let gone = || node.get("/v1/catalog/node/box").body == "null";
    let mut turns = 0..200;
    while !gone() && turns.next().is_some() {
        node.ok("/v1/agent/check/register", &format!(r#"{{"Name":"turn{}","TTL":"60s"}}"#, turns.start));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(gone(), "it is in the catalog still");
    stands("passing");
    assert_eq!(members(&node), is(1));
    stands("critical");
    assert_eq!(members(&node), is(4), "it failed and said nothing");
    stands("passing");
    assert_eq!(says(id), 200);
    node.ok("/v1/catalog/deregister", r#"{"Node":"box"}"#);
    assert_eq!(members(&node), is(3));
    let left = node.get("/v1/agent/members").json()[0].clone();
    assert_eq!((&left["Addr"], &left["Tags"]["id"]), (&"10.0.0.9".into(), &id.into()), "{left}");
    assert_eq!(node.get("/v1/catalog/node/box").body, "null");
    stands("passing");
    assert_eq!(members(&node), is(1), "it is back");
    // One that failed is made to leave, and then to be forgotten.
    assert_eq!(node.put("/v1/agent/force-leave/box", "").status, 500, "it lives");
    stands("critical");
    node.ok("/v1/agent/force-leave/box", "");
    assert_eq!(members(&node), is(3));
    node.ok("/v1/agent/force-leave/box", "");
    assert_eq!(members(&node), is(3));
    node.ok("/v1/agent/force-leave/box?prune", "");
    assert_eq!(members(&node), [("lb1".to_owned(), 1)]);
    assert_eq!(node.put("/v1/agent/force-leave/box", "").status, 500, "nothing is known of it");
    assert_eq!(node.get("/v1/kv/?keys").status, 404, "no key of a client");
}

#[test]
fn catalog_and_health_list_a_service_in_the_same_order() {
    let node = Served::start();
    for n in [5, 3, 9, 1] {
        let body = format!(
            r#"{{"Node":"n{n}","Address":"10.0.0.{n}","Service":{{"Service":"web","ID":"web-{n}","Tags":["v{n}"]}}}}"#
        );
        node.ok("/v1/catalog/register", &body);
    }
    let catalog = node.get("/v1/catalog/service/web").json();
    let health = node.get("/v1/health/service/web").json();
    let ids = |list: &serde_json::Value, at: &str| -> Vec<String> {
        let rows = list.as_array().into_iter().flatten();
        rows.map(|row| row.pointer(at).and_then(|v| v.as_str()).unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(ids(&catalog, "/ServiceID"), ids(&health, "/Service/ID"));
    assert_eq!(ids(&catalog, "/ServiceID"), ["web-1", "web-3", "web-5", "web-9"]);
    assert_eq!(
        node.get("/v1/catalog/services").json(),
        json!({ "consul": [], "web": ["v1", "v3", "v5", "v9"] })
    );
    let filtered =
        node.get("/v1/catalog/service/web?filter=ServiceTags%20contains%20v3%20or%20Node%20==%20n9");
    assert_eq!(ids(&filtered.json(), "/ServiceID"), ["web-3", "web-9"]);
    for path in ["/v1/catalog/nodes", "/v1/catalog/service/web", "/v1/health/service/web", "/v1/agent/checks"]
    {
        assert_eq!(node.get(&format!("{path}?filter=Nope%20==%20x")).status, 400, "{path}");
    }
    assert_eq!(node.get("/v1/catalog/node/none").body, "null");
    assert_eq!(node.get("/v1/health/state/odd").status, 400);
}

#[test]
fn the_health_of_a_service_as_a_status() {
    let node = Served::start();
    node.ok("/v1/agent/service/register", r#"{"Name":"web","Check":{"TTL":"10s","Status":"passing"}}"#);
    let word = |status: u16, text: &str| {
        for path in ["id/web", "name/web"] {
            let answer = node.get(&format!("/v1/agent/health/service/{path}?format=text"));
            assert_eq!((answer.status, answer.body.as_str()), (status, text), "{path}");
        }
    };
    word(200, "passing");
    node.ok("/v1/agent/check/warn/service:web", "");
    word(429, "warning");
    node.ok("/v1/agent/service/maintenance/web?enable=true", "");
    word(503, "maintenance");
    node.ok("/v1/agent/service/maintenance/web?enable=false", "");
    node.ok("/v1/agent/check/fail/service:web", "");
    word(503, "critical");
    assert_eq!(node.get("/v1/agent/health/service/id/none").status, 404);
    assert_eq!(node.get("/v1/agent/health/service/name/web").json()[0]["AggregatedStatus"], "critical");
}

#[test]
fn near_sorts_by_what_nodes_reported() {
    let node = Served::start();
    for (name, x) in [("far", 0.3), ("close", 0.01), ("lb1", 0.0)] {
        let body = format!(r#"{{"Node":"{name}","Address":"10.0.0.1","Service":{{"Service":"web"}}}}"#);
        node.ok("/v1/catalog/register", &body);
        let coord =
            format!(r#"{{"Node":"{name}","Coord":{{"Vec":[{x},0,0,0,0,0,0,0],"Error":1.5,"Height":0}}}}"#);
        node.ok("/v1/coordinate/update", &coord);
    }
    let names = |path: &str| -> Vec<String> {
        let list = node.get(path).json();
        let name = |row: &serde_json::Value| row["Node"].as_str().unwrap_or_default().to_owned();
        list.as_array().into_iter().flatten().map(name).collect()
    };
    assert_eq!(names("/v1/catalog/nodes"), ["close", "far", "lb1"]);
    assert_eq!(names("/v1/catalog/service/web?near=_agent"), ["lb1", "close", "far"]);
    assert_eq!(names("/v1/catalog/nodes?near=far"), ["far", "close", "lb1"]);
    assert_eq!(node.put("/v1/coordinate/update", r#"{"Node":"lb1","Coord":{"Vec":[1]}}"#).status, 400);
}

#[test]
fn a_check_of_a_node_without_an_agent_keeps_its_definition_for_a_monitor() {
    let node = Served::start();
    let body = |name: &str| {
        format!(
            r#"{{"Node":"{name}","Address":"10.0.0.9","NodeMeta":{{"external-node":"true"}},"Check":{{"Name":"up",
            "Status":"passing","Definition":{{"HTTP":"http://10.0.0.9/","Interval":"30s"}}}},"SkipNodeUpdate":true}}"#
        )
    };
    node.ok("/v1/catalog/register", &body("printer"));
    let found = node.get("/v1/health/state/any?node-meta=external-node:true").json();
    assert_eq!(
        found[0]["Definition"],
        json!({ "HTTP": "http://10.0.0.9/", "Method": "GET", "Interval": "30s" })
    );
    node.ok("/v1/catalog/register", &body("lb1"));
    let own = node.get("/v1/health/node/lb1?filter=Name%20==%20up").json();
    assert_eq!(own[0]["Definition"], json!({}), "nobody makes an agent run a check but through it");
}
