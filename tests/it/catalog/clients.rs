//! What clients of Consul ask beside the catalog itself: pages, autopilot, a mesh that is not there, anonymous tokens.

use serde_json::json;

use super::served::{Served, settings};
use isobar::catalog::Settings;

fn node() -> Served {
    let node = Served::start();
    node.ok(
        "/v1/agent/service/register",
        r#"{"Name":"web","Port":80,"Tags":["a","b"],"Check":{"TTL":"30s"}}"#,
    );
    node
}

#[test]
fn pages_get_everything_summed_up() {
    let node = node();
    let services = node.get("/v1/internal/ui/services").json();
    let web = services.as_array().expect("rows").iter().find(|row| row["Name"] == "web").expect("it").clone();
    assert_eq!(web["InstanceCount"], 1);
    assert_eq!(web["Tags"], json!(["a", "b"]));
    assert_eq!(web["Nodes"], json!(["lb1"]));
    // The liveness of its node passes, its own check does not yet.
    assert_eq!((&web["ChecksPassing"], &web["ChecksCritical"]), (&json!(1), &json!(1)));
    let nodes = node.get("/v1/internal/ui/nodes").json();
    assert_eq!(nodes[0]["Node"], "lb1");
    let names = nodes[0]["Services"].as_array().expect("rows").iter().map(|s| s["Service"].clone());
    assert!(names.eq(["consul", "web"].map(serde_json::Value::from)), "{nodes}");
    assert_eq!(node.get("/v1/internal/ui/node/lb1").json()["Checks"].as_array().map(Vec::len), Some(2));
    assert_eq!(node.get("/v1/internal/ui/node/none").body, "null");
    let overview = node.get("/v1/internal/ui/catalog-overview").json();
    assert_eq!(overview["Nodes"][0]["Total"], 1);
    let of = |name: &str| {
        overview["Services"]
            .as_array()
            .expect("rows")
            .iter()
            .find(|row| row["Name"] == name)
            .expect("it")
            .clone()
    };
    assert_eq!((&of("web")["Critical"], &of("consul")["Passing"]), (&json!(1), &json!(1)));
}

#[test]
fn what_is_not_there_is_said_in_the_form_that_clients_read() {
    let node = node();
    let roots = node.get("/v1/connect/ca/roots");
    assert_eq!(roots.json()["Roots"], json!([]));
    assert!(roots.index() >= 1, "a client watches it");
    assert_eq!(node.get("/v1/exported-services").body, "[]");
    assert_eq!(node.get("/v1/imported-services").body, "[]");
    assert_eq!(node.get("/v1/acl/replication").json()["Enabled"], false);
    let state = node.get("/v1/operator/autopilot/state").json();
    assert_eq!((&state["Healthy"], &state["Leader"]), (&json!(true), &json!("1")));
    assert_eq!(state["Servers"]["1"]["Status"], "leader");
    assert_eq!(state["Voters"], json!(["1"]));
    let health = node.get("/v1/health/service/web").json();
    assert_eq!(health[0]["Service"]["Proxy"], json!({ "Mode": "", "MeshGateway": {}, "Expose": {} }));
    assert_eq!(health[0]["Service"]["Connect"], json!({}));
    assert_eq!(health[0]["Node"]["PeerName"], "");
    assert_eq!(health[0]["Checks"][0]["PeerName"], "");
    let catalog = node.get("/v1/catalog/service/web").json();
    assert_eq!((&catalog[0]["ServiceConnect"], &catalog[0]["PeerName"]), (&json!({}), &json!("")));
}

#[test]
fn a_path_without_its_slash_is_sent_on() {
    let node = node();
    let moved = node.get("/v1/kv?recurse&keys");
    assert_eq!((moved.status, moved.headers["location"].as_str()), (301, "/v1/kv/?recurse&keys"));
    assert_eq!(node.get("/v1/kv").headers["location"], "/v1/kv/");
}

#[test]
fn who_gives_no_token_may_do_what_the_anonymous_one_may() {
    const ANONYMOUS: &str = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
    let root = "X-Consul-Token: root\r\n";
    let all = Settings { write_token: Some("root".into()), read_token: Some("look".into()), ..settings() };
    let node = Served::with(all);
    let ask = |method: &str, path: &str, body: &str| node.ask(method, path, root, body.as_bytes());
    assert_eq!(node.put("/v1/kv/open/a", "v").status, 403);
    let rules = r#"{"Name":"open","Rules":"key_prefix \"open/\" { policy = \"write\" }"}"#;
    assert_eq!(ask("PUT", "/v1/acl/policy", rules).status, 200);
    let granted = ask("PUT", ANONYMOUS, r#"{"Policies":[{"Name":"open"}]}"#);
    assert_eq!(granted.status, 200, "{granted:?}");
    assert_eq!(granted.json()["SecretID"], "anonymous");
    assert_eq!(node.put("/v1/kv/open/a", "v").status, 200);
    assert_eq!(node.ask("PUT", "/v1/kv/open/a", "X-Consul-Token: anonymous\r\n", b"w").status, 200);
    assert_eq!(node.put("/v1/kv/other", "v").status, 403);
    let listed = ask("GET", "/v1/acl/tokens", "").json();
    let is_it = |token: &&serde_json::Value| token["SecretID"] == "anonymous";
    assert_eq!(listed.as_array().expect("tokens").iter().filter(is_it).count(), 1, "{listed}");
    assert_eq!(ask("DELETE", ANONYMOUS, "").status, 400);
    assert_eq!(ask("PUT", ANONYMOUS, r#"{"Policies":[]}"#).status, 200);
    assert_eq!(node.put("/v1/kv/open/a", "v").status, 403);
}

#[test]
fn the_map_knows_no_token_by_its_secret() {
    let all = Settings { write_token: Some("root".into()), ..settings() };
    let node = Served::with(all);
    let root = "X-Consul-Token: root\r\n";
    let made = node.ask("PUT", "/v1/acl/token", root, br#"{"Description":"d"}"#).json();
    let secret = made["SecretID"].as_str().expect("a secret").to_owned();
    let map = node.api.seat.map();
    assert!(map.entries("").all(|entry| !entry.key.contains(&secret)), "no key is the secret");
    let accessor = made["AccessorID"].as_str().expect("an accessor");
    let own = node.ask("GET", "/v1/acl/token/self", &format!("X-Consul-Token: {secret}\r\n"), b"").json();
    assert_eq!((&own["AccessorID"], &own["SecretID"]), (&made["AccessorID"], &made["SecretID"]));
    assert!(own.get("SecretDigest").is_none());
    let changed =
        node.ask("PUT", &format!("/v1/acl/token/{accessor}"), root, br#"{"Description":"e"}"#).json();
    assert_eq!((&changed["Description"], &changed["SecretID"]), (&json!("e"), &made["SecretID"]));
    let again = node.ask("GET", &format!("/v1/acl/token/{accessor}"), root, b"").json();
    assert_eq!(again["SecretID"], made["SecretID"]);
}

#[test]
fn a_monitor_gets_what_is_said_while_it_listens() {
    use std::io::Read;
    let node = node();
    assert_eq!(node.get("/v1/agent/monitor?loglevel=loud").status, 400);
    let mut stream = node.send("GET", "/v1/agent/monitor?loglevel=warn", "", b"");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("a head at once");
    assert_eq!(&head, b"HTTP/1.1 200");
    isobar::catalog::monitor(tracing::Level::INFO, "too little");
    isobar::catalog::monitor(tracing::Level::WARN, "of a test");
    let (mut text, mut piece) = (String::new(), [0; 1024]);
    while !text.contains("of a test") {
        let read = stream.read(&mut piece).expect("what was said");
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert!(text.contains("[WARN] of a test") && !text.contains("too little"), "{text}");
}
