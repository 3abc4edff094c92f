//! Queries that wait.

use std::time::{Duration, Instant};

use super::served::{Served, receive, settings};

/// Long enough that a wait is one, short enough for a test.
const A_WHILE: Duration = Duration::from_millis(300);

fn settled(what: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Starts a query that waits, and returns once it does.
fn waiting(node: &Served, path: &str) -> std::net::TcpStream {
    let before = node.api.parked_now();
    let stream = node.send("GET", path, "", b"");
    assert!(settled(|| node.api.parked_now() == before + 1), "{path} does not wait");
    stream
}

#[test]
fn a_key_wakes_who_waits_for_it_and_nobody_else() {
    let node = Served::start();
    node.ok("/v1/kv/mine", "1");
    let index = node.get("/v1/kv/mine").index();
    let stream = waiting(&node, &format!("/v1/kv/mine?index={index}&wait=60s"));
    node.ok("/v1/kv/other", "1");
    node.ok("/v1/agent/service/register", r#"{"Name":"web"}"#);
    std::thread::sleep(A_WHILE);
    assert_eq!(node.api.parked_now(), 1, "still waiting");
    node.ok("/v1/kv/mine", "2");
    let answer = receive(stream);
    assert_eq!(answer.json()[0]["Value"], "Mg==");
    assert!(answer.index() > index);
    assert_eq!(answer.headers["x-consul-query-backend"], "blocking-query");
}

#[test]
fn a_service_that_does_not_exist_yet_wakes_only_its_own_waiters() {
    let node = Served::start();
    let absent = node.get("/v1/health/service/new");
    assert_eq!(absent.json(), serde_json::json!([]));
    let stream = waiting(&node, &format!("/v1/health/service/new?index={}&wait=60s", absent.index()));
    for n in 0..20 {
        node.ok("/v1/agent/service/register", &format!(r#"{{"Name":"other{n}"}}"#));
    }
    std::thread::sleep(A_WHILE);
    assert_eq!(node.api.parked_now(), 1);
    node.ok("/v1/agent/service/register", r#"{"Name":"new"}"#);
    assert_eq!(receive(stream).json()[0]["Service"]["ID"], "new");
}

#[test]
fn a_check_of_the_node_wakes_who_waits_for_a_service_on_it() {
    let node = Served::start();
    node.ok("/v1/agent/service/register", r#"{"Name":"web"}"#);
    let index = node.get("/v1/health/service/web").index();
    let stream = waiting(&node, &format!("/v1/health/service/web?index={index}&wait=60s&passing"));
    node.ok("/v1/agent/maintenance?enable=true&reason=work", "");
    assert_eq!(receive(stream).json(), serde_json::json!([]));
}

#[test]
fn a_wait_ends_in_time_with_the_same_index() {
    let node = Served::start();
    node.ok("/v1/kv/k", "1");
    let index = node.get("/v1/kv/k").index();
    let start = Instant::now();
    let answer = receive(node.send("GET", &format!("/v1/kv/k?index={index}&wait=800ms"), "", b""));
    let waited = start.elapsed();
    assert_eq!(answer.index(), index);
    assert!(waited >= Duration::from_millis(795), "{waited:?}");
    // Above it is the sixteenth, then only how busy this machine is.
    assert!(waited < Duration::from_millis(850 + 400), "{waited:?}");
}

#[test]
fn nothing_waits_for_what_already_changed() {
    let node = Served::start();
    node.ok("/v1/kv/k", "1");
    let start = Instant::now();
    assert_eq!(node.get("/v1/kv/k?index=1&wait=60s").status, 200);
    assert_eq!(node.get("/v1/kv/k?index=0&wait=60s").status, 200);
    assert!(start.elapsed() < Duration::from_secs(5));
    for bad in ["index=x", "index=5&wait=soon"] {
        assert_eq!(node.get(&format!("/v1/kv/k?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn a_waiter_is_freed_when_its_peer_closes() {
    let node = Served::start();
    let index = node.get("/v1/kv/k").index();
    let watches = node.api.seat.view().watches();
    let own = watches.len();
    let streams: Vec<_> =
        (0..20).map(|_| waiting(&node, &format!("/v1/kv/k?index={index}&wait=10m"))).collect();
    assert_eq!(node.api.parked_now(), 20);
    assert_eq!(watches.len(), own + 20);
    drop(streams);
    assert!(settled(|| node.api.parked_now() == 0), "{} left", node.api.parked_now());
    assert!(settled(|| watches.len() == own));
}

#[test]
fn the_places_to_wait_are_bounded() {
    let node = Served::with(isobar::catalog::Settings { parked: 2, ..settings() });
    let index = node.get("/v1/kv/k").index();
    let path = format!("/v1/kv/k?index={index}&wait=60s");
    let _waiting = [waiting(&node, &path), waiting(&node, &path)];
    assert_eq!(node.get(&path).status, 429);
    assert_eq!(node.get("/v1/kv/k").status, 404, "who does not wait is served");
}

#[test]
fn an_agent_s_service_is_waited_for_by_hash() {
    let node = Served::start();
    node.ok("/v1/agent/service/register", r#"{"Name":"web","Port":80}"#);
    let first = node.get("/v1/agent/service/web");
    let hash = first.headers["x-consul-contenthash"].clone();
    assert_eq!(first.json()["ContentHash"], *hash);
    let stream = waiting(&node, &format!("/v1/agent/service/web?hash={hash}&wait=60s"));
    node.ok("/v1/agent/service/register", r#"{"Name":"web","Port":81}"#);
    let second = receive(stream);
    assert_eq!(second.json()["Port"], 81);
    assert_ne!(second.headers["x-consul-contenthash"], hash);
}
