//! What stays when a node dies, leaves or is forgotten, and whose a name is.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::api::Api;
use super::cluster::{API, Cluster, Node, SOON, loopback};
use super::forming::three;
use crate::support::place::wait_until;
use crate::support::program;

fn json(cluster: &Cluster, n: usize, path: &str) -> Value {
    let reply = cluster.nodes[n].api().get(path).expect("an answer");
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.json()
}

fn put(cluster: &Cluster, n: usize, path: &str, body: &str) -> String {
    let reply = cluster.nodes[n].api().put(path, body).expect("an answer");
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.body
}

/// Which node leads, and the two others.
fn roles(cluster: &Cluster) -> (usize, usize, usize) {
    let leader = cluster.nodes[0].leader();
    let leads = |n: &usize| leader.starts_with(&format!("{}:", cluster.nodes[*n].address));
    let leader = (0..3).find(leads).unwrap_or_else(|| panic!("no node is at {leader:?}"));
    (leader, (leader + 1) % 3, (leader + 2) % 3)
}

fn name(cluster: &Cluster, n: usize) -> String {
    json(cluster, n, "/v1/agent/self")["Config"]["NodeName"].as_str().expect("a name").to_owned()
}

#[test]
fn a_lock_of_a_dead_member_is_free_within_twice_its_ttl() {
    let mut cluster = three();
    cluster.start_all();
    let (leader, dies, _) = roles(&cluster);
    let body = r#"{"Checks":[],"TTL":"10s","LockDelay":"0s","Behavior":"delete"}"#;
    let made: Value = serde_json::from_str(&put(&cluster, dies, "/v1/session/create", body)).expect("JSON");
    let id = made["ID"].as_str().expect("an id").to_owned();
    assert_eq!(put(&cluster, dies, &format!("/v1/kv/lock?acquire={id}"), "x"), "true");
    // By another member than the session's.
    let renewed = put(&cluster, leader, &format!("/v1/session/renew/{id}"), "");
    assert!(renewed.contains(&id));
    cluster.kill(dies);
    let killed = Instant::now();
    let path = format!("/v1/session/info/{id}");
    let ended = wait_until(SOON, || json(&cluster, leader, &path) == Value::Array(Vec::new()));
    let took = killed.elapsed();
    assert!(ended && took > Duration::from_secs(10) && took < Duration::from_secs(22), "{took:?}");
    assert_eq!(cluster.nodes[leader].api().get("/v1/kv/lock").expect("an answer").status, 404);
}

#[test]
fn what_was_registered_with_a_member_comes_back() {
    let mut cluster = three();
    cluster.start_all();
    let (_, away, other) = roles(&cluster);
    put(&cluster, away, "/v1/agent/service/register", r#"{"Name":"web","Port":80,"Check":{"TTL":"60s"}}"#);
    put(&cluster, away, "/v1/agent/service/register", r#"{"Name":"gone","Port":81}"#);
    put(&cluster, away, "/v1/agent/service/deregister/gone", "");
    let named = name(&cluster, away);
    cluster.kill(away);
    let forgotten = || {
        let path = format!("/v1/agent/force-leave/{named}");
        cluster.nodes[other].api().put(&path, "").is_ok_and(|reply| reply.status == 200)
    };
    assert!(wait_until(SOON, forgotten), "it is not down");
    assert_eq!(json(&cluster, other, "/v1/catalog/service/web"), Value::Array(Vec::new()));
    cluster.start(away);
    let back = |cluster: &Cluster| {
        let found = json(cluster, other, "/v1/catalog/service/web");
        found.as_array().is_some_and(|all| all.len() == 1 && all[0]["ServicePort"] == 80)
    };
    assert!(wait_until(SOON, || back(&cluster)), "it said:\n{}", cluster.nodes[away].said());
    let checks = || json(&cluster, away, "/v1/agent/checks").as_object().map(|all| all.len());
    assert!(wait_until(SOON, || checks() == Some(1)), "{:?} checks", checks());
    // Somebody takes the living node out of the catalog, then the service alone.
    for body in [format!(r#"{{"Node":"{named}"}}"#), format!(r#"{{"Node":"{named}","ServiceID":"web"}}"#)] {
        put(&cluster, other, "/v1/catalog/deregister", &body);
        assert!(wait_until(SOON, || back(&cluster)), "{body}: it said:\n{}", cluster.nodes[away].said());
    }
    let services = json(&cluster, away, "/v1/agent/services");
    assert_eq!(
        services.as_object().map(|all| all.len()),
        Some(1),
        "what was taken away stays away: {services}"
    );
}

#[test]
fn a_leader_leaves_and_is_gone() {
    let mut cluster = three();
    cluster.start_all();
    let (leader, one, _) = roles(&cluster);
    let reply = cluster.nodes[leader].api().put("/v1/agent/leave", "").expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
    let address = cluster.nodes[leader].address.to_string();
    let gone = || {
        let servers = json(&cluster, one, "/v1/operator/raft/configuration?stale");
        !servers.to_string().contains(&address) && servers["Servers"].as_array().map(Vec::len) == Some(2)
    };
    assert!(wait_until(SOON, gone), "{}", json(&cluster, one, "/v1/operator/raft/configuration?stale"));
    assert!(cluster.writes(one));
}

#[test]
fn a_node_knows_itself_from_its_first_answer_on() {
    let own = loopback(3);
    let text = r#"
region-map
    node only
    bind "${OWN}:7400"
    data-dir "${ISOBAR_DATA}/only"
    http-api "${OWN}:8500"
    retry-join "${OWN}:7400"
    expect 1
"#;
    let mut cluster = Cluster::new(vec![Node::new(own, text).env("OWN", own)]);
    cluster.start(0);
    let wrote = || cluster.nodes[0].api().put("/v1/kv/k", "v").is_ok_and(|reply| reply.body == "true");
    assert!(wait_until(SOON, wrote));
    for path in ["/v1/agent/members", "/v1/catalog/nodes", "/v1/health/state/any"] {
        assert_eq!(json(&cluster, 0, path).as_array().map(Vec::len), Some(1), "{path}");
    }
}

/// A client agent; killed when dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_second_of_two_agents_of_one_name_is_not_heard() {
    let mut cluster = three();
    cluster.start_all();
    let place = |n: u16| format!("{}:{}", loopback(3), API + n);
    let agent = |n: u16| {
        let child = Command::new(program::under_test())
            .arg("agent")
            .arg(format!("-join={}:{API}", loopback(0)))
            .args(["-node", "dup"])
            .arg(format!("-http-addr={}", place(n)))
            .stdin(Stdio::null())
            .spawn();
        let agent = Agent(child.expect("an agent"));
        let mut api = Api::new(place(n).parse().expect("an address"));
        assert!(wait_until(SOON, || api.get("/v1/agent/self").is_ok()), "the agent does not serve");
        (agent, api)
    };
    let (_first, mut one) = agent(1);
    let known = || json(&cluster, 0, "/v1/catalog/nodes").to_string().contains("\"dup\"");
    assert!(wait_until(SOON, known));
    let (_second, mut two) = agent(2);
    one.put("/v1/agent/service/register", r#"{"Name":"s1"}"#).expect("an answer");
    let _ = two.put("/v1/agent/service/register", r#"{"Name":"s2"}"#);
    assert!(wait_until(SOON, || json(&cluster, 1, "/v1/catalog/services").get("s1").is_some()));
    for _ in 0..30 {
        let services = json(&cluster, 1, "/v1/catalog/services");
        assert!(services.get("s1").is_some() && services.get("s2").is_none(), "{services}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let said: String = cluster.nodes.iter().map(Node::said).collect();
    assert!(said.contains("an agent is not heard: the name \"dup\" is that of ID"), "{said}");
}
