//! A client agent of three members: what is registered with it is everybody's, a member may go, and when the agent dies
//! its node does; then its whole region (jobs 9, 19 and 20 of the operator's day).

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::api::Api;
use super::cluster::{API, Cluster, Node, SOON, loopback};
use super::forming::FILES;
use crate::support::origin::Origin;
use crate::support::place::wait_until;
use crate::support::program;

const METRICS: &str = r#"
frontend metrics
    bind "${OWN}:9101"
    http-request use-service prometheus-exporter if { path /metrics }
"#;

fn three() -> Cluster {
    let node = |n: usize| {
        let own = loopback(n as u8);
        let node = Node::new(own, &format!("{}{METRICS}", FILES[n])).env("OWN", own);
        let peers = ["ISOBAR_A", "ISOBAR_B", "ISOBAR_C"].iter().enumerate();
        peers.fold(node, |node, (peer, name)| node.env(name, loopback(peer as u8)))
    };
    Cluster::new((0..3).map(node).collect())
}

/// A client agent's process; killed when dropped.
struct Agent {
    child: Child,
}

impl Agent {
    fn start(data: &std::path::Path) -> Agent {
        let members = [0, 1].map(|n| format!("{}:{API}", loopback(n))).join(",");
        let child = Command::new(program::under_test())
            .arg("agent")
            .arg(format!("-join={members}"))
            .args(["-node", "box", "-region=eu-west", "-data-dir"])
            .arg(data)
            .arg(format!("-http-addr={}", address()))
            .stdin(Stdio::null())
            .spawn()
            .expect("an agent");
        let agent = Agent { child };
        assert!(wait_until(SOON, || get("/v1/agent/self").is_some()), "the agent does not serve");
        agent
    }

    fn end(&mut self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address() -> SocketAddr {
    SocketAddr::new(loopback(3), API)
}

fn api() -> Api {
    Api::new(address())
}

fn get(path: &str) -> Option<Value> {
    let reply = api().get(path).ok().filter(|reply| reply.status == 200)?;
    Some(reply.json())
}

fn put(path: &str, body: &str) {
    let reply = api().put(path, body).expect("an answer");
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
}

fn seen(cluster: &Cluster, n: usize, path: &str) -> Value {
    cluster.nodes[n].api().get(path).expect("an answer").json()
}

/// Waits until a member's answer is as it should be; how long that took.
fn until(cluster: &Cluster, n: usize, path: &str, is_so: impl Fn(&Value) -> bool) -> Duration {
    let began = Instant::now();
    let mut last = Value::Null;
    let done = wait_until(SOON, || {
        let reply = cluster.nodes[n].api().get(path);
        last = reply.ok().filter(|r| r.status == 200).map_or(Value::Null, |r| r.json());
        is_so(&last)
    });
    assert!(done, "{path} at node {n}: {last}; it said:\n{}", cluster.nodes[n].said());
    began.elapsed()
}

fn passing(cluster: &Cluster, n: usize, count: usize) {
    until(cluster, n, "/v1/health/service/web?passing", |v| v.as_array().is_some_and(|l| l.len() == count));
}

fn liveness(status: &'static str) -> impl Fn(&Value) -> bool {
    move |checks| {
        let serf =
            checks.as_array().and_then(|list| list.iter().find(|c| c["CheckID"] == "serfHealth").cloned());
        serf.is_some_and(|check| check["Status"] == status)
    }
}

fn region(cluster: &Cluster, n: usize, name: &str) -> Value {
    seen(cluster, n, &format!("/v1/isobar/region/{name}"))
}

fn register(origin: &Origin) {
    let (ip, port) = (origin.addr().ip(), origin.addr().port());
    let http = format!(
        r#"{{"CheckID":"up","Name":"up","HTTP":"http://{ip}:{port}/","Interval":"1s","Timeout":"1s"}}"#
    );
    let ttl = r#"{"CheckID":"beat","Name":"beat","TTL":"60s"}"#;
    let body =
        format!(r#"{{"Name":"web","ID":"w1","Address":"{ip}","Port":{port},"Checks":[{http},{ttl}]}}"#);
    put("/v1/agent/service/register", &body);
}

/// What goes through the agent to a member.
fn passes_on(cluster: &Cluster) {
    put("/v1/kv/by/agent", "value");
    assert_eq!(cluster.nodes[2].api().get("/v1/kv/by/agent?raw").expect("an answer").body, "value");
    let reply = api().put("/v1/session/create", r#"{"Name":"mine","TTL":"30s"}"#).expect("an answer");
    let id = reply.json()["ID"].as_str().expect("a session").to_owned();
    assert_eq!(seen(cluster, 1, &format!("/v1/session/info/{id}"))[0]["Node"], "box");
    let waiting = std::thread::spawn(|| {
        let first = get("/v1/kv/by/agent").expect("a value");
        let index = first[0]["ModifyIndex"].as_u64().expect("an index");
        let reply = api().patience(SOON).get(&format!("/v1/kv/by/agent?index={index}&wait=20s&raw"));
        reply.expect("an answer").body
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(!waiting.is_finished(), "a query that waits");
    assert_eq!(cluster.nodes[1].api().put("/v1/kv/by/agent", "other").expect("an answer").status, 200);
    assert_eq!(waiting.join().expect("no panic"), "other");
}

#[test]
fn an_agent_speaks_for_its_host_and_its_death_is_noticed() {
    let mut cluster = three();
    cluster.start_all();
    let data = tempfile::tempdir().expect("a directory");
    let mut agent = Agent::start(data.path());
    let mut origin = Origin::named("one");
    until(&cluster, 2, "/v1/catalog/node/box", |node| {
        node["Node"]["ID"].as_str().is_some_and(|id| id.len() == 36)
    });
    register(&origin);
    let there = seen(&cluster, 2, "/v1/catalog/service/web");
    assert_eq!(
        (&there[0]["Node"], &there[0]["ServiceID"]),
        (&"box".into(), &"w1".into()),
        "known at once: {there}"
    );
    assert_eq!(there[0]["ServiceChecks"], Value::Null);
    put("/v1/agent/check/pass/beat", "");
    passing(&cluster, 1, 1);
    (0..3).for_each(|n| assert!(wait_until(SOON, || cluster.nodes[n].ask() == "one"), "node {n}"));
    assert_eq!(get("/v1/agent/services").expect("services")["w1"]["Service"], "web");
    let members = get("/v1/agent/members").expect("members");
    assert_eq!(members.as_array().map(Vec::len), Some(4), "{members}");
    passes_on(&cluster);

    origin.kill();
    passing(&cluster, 1, 0);
    origin.revive();
    passing(&cluster, 1, 1);

    // The member that it asks goes, and with it all of the region but the agent: the region lives.
    cluster.kill(0);
    put("/v1/kv/by/agent", "still");
    passing(&cluster, 1, 1);
    assert!(get("/v1/kv/by/agent").is_some());
    until(&cluster, 1, "/v1/health/node/a", liveness("critical"));
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(region(&cluster, 1, "eu-west")["Status"], "up");
    until(&cluster, 1, "/v1/health/node/box", liveness("passing"));

    agent.end(Signal::SIGKILL);
    let took = until(&cluster, 1, "/v1/health/node/box", liveness("critical"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    until(&cluster, 2, "/v1/isobar/region/eu-west", |region| region["Status"] == "lost");
    let lost = region(&cluster, 1, "eu-west");
    assert_eq!(lost["Cause"], "none of its 2 nodes was heard for 5000 ms", "{lost}");
    assert!(lost["Since"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{lost}");
    assert_eq!(lost["ServicesLost"][0]["Service"], "web", "{lost}");
    let line = "Region eu-west is LOST, other regions take over: none of its 2 nodes was heard for 5000 ms. Decided at ";
    assert!(wait_until(SOON, || cluster.nodes[1].said().contains(line)), "{}", cluster.nodes[1].said());
    let metrics = || Api::new(SocketAddr::new(loopback(1), 9101)).get("/metrics").expect("metrics").body;
    let text = metrics();
    for line in
        ["isobar_region_up{region=\"eu-west\"} 0", "isobar_region_failovers_total{region=\"eu-west\"} 1"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }

    // What it had is there again, from its own disk.
    let agent = Agent::start(data.path());
    put("/v1/agent/check/pass/beat", "");
    passing(&cluster, 1, 1);
    until(&cluster, 1, "/v1/isobar/region/eu-west", |region| region["Status"] == "up");
    let back = "Region eu-west is BACK, it takes traffic again: a node of it was heard again.";
    assert!(wait_until(SOON, || cluster.nodes[1].said().contains(back)), "{}", cluster.nodes[1].said());
    assert!(metrics().contains("isobar_region_up{region=\"eu-west\"} 1"));

    leaves(&cluster, agent, data.path());
}

/// It leaves by a signal, comes back, and leaves as its own operator tells it to.
fn leaves(cluster: &Cluster, mut agent: Agent, data: &std::path::Path) {
    agent.end(Signal::SIGTERM);
    let gone = cluster.nodes[1].api().get("/v1/catalog/node/box").expect("an answer");
    assert!(gone.body.contains("null"), "it left: {}", gone.body);
    let standing = |status: u64| {
        move |members: &Value| {
            let of = |one: &Value| one["Name"] == "box" && one["Status"] == status;
            members.as_array().is_some_and(|all| all.iter().any(of))
        }
    };
    until(cluster, 1, "/v1/agent/members", standing(3));
    until(cluster, 2, "/v1/agent/members", standing(3));
    let mut agent = Agent::start(data);
    until(cluster, 2, "/v1/agent/members", standing(1));
    // It says so before it answers.
    put("/v1/agent/leave", "");
    let said = seen(cluster, 1, "/v1/agent/members");
    assert!(standing(2)(&said) || standing(3)(&said), "{said}");
    until(cluster, 2, "/v1/agent/members", standing(3));
    let _ = agent.child.wait();
}
