//! What a reload tells the region map, and what stands in the first moments of a node.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::api::Api;
use super::cluster::SOON;
use crate::support::Proxy;
use crate::support::place::wait_until;

const TEXT: &str = r#"
region eu
    location 53 -6
    state active

region-map
    node only region eu
    data-dir {dir}/map
    http-api {ip}:{port:api}

frontend in
    mode http
    bind {ip}:{port:web}
"#;

fn region(proxy: &Proxy, name: &str) -> Value {
    let reply = Api::new(proxy.addr("api")).get(&format!("/v1/isobar/region/{name}"));
    reply.ok().filter(|r| r.status == 200).map_or(Value::Null, |r| r.json())
}

fn edit(proxy: &Proxy, from: &str, to: &str) {
    let path = proxy.dir().join("haproxy.cfg");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    assert!(text.contains(from));
    std::fs::write(&path, text.replace(from, to)).expect("written");
    proxy.signal(Signal::SIGUSR2);
}

#[test]
fn regions_reach_the_map_at_a_reload() {
    let proxy = Proxy::on(TEXT).start();
    assert!(wait_until(SOON, || region(&proxy, "eu")["State"] == "active"), "{}", proxy.stderr());
    edit(&proxy, "    state active\n", "    state drain\n    failover us\nregion us\n    location 40 -74\n");
    let told = || {
        let eu = region(&proxy, "eu");
        eu["State"] == "drain" && eu["Failover"][0] == "us" && region(&proxy, "us")["Status"] == "up"
    };
    assert!(wait_until(SOON, told), "{} {}", region(&proxy, "eu"), proxy.stderr());
    assert!(!proxy.stderr().contains("after a restart"));
    edit(&proxy, "region-map\n", "region-map\n    script-checks\n");
    let warned =
        || proxy.stderr().contains("the 'region-map' section changed: its new lines hold after a restart.");
    assert!(wait_until(SOON, warned), "{}", proxy.stderr());
}

#[test]
fn what_is_asked_first_waits_for_the_node_s_own_entry() {
    let proxy = Proxy::on(TEXT).spawn();
    let mut api = Api::new(proxy.addr("api")).patience(Duration::from_secs(20));
    let mut first = None;
    let answered = wait_until(SOON, || {
        first = api.put("/v1/session/create", "{}").ok();
        first.is_some()
    });
    let first = first.filter(|_| answered).expect("an answer");
    assert_eq!(first.status, 200, "{}", first.body);
    let reply = api.put("/v1/agent/service/register", r#"{"Name":"web","Port":80}"#).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
    let node = api.get("/v1/catalog/node/only").expect("an answer").json();
    assert_eq!(node["Node"]["ID"].as_str().map(str::len), Some(36), "{node}");
}
