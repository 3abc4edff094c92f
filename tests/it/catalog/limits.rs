//! Requests that are too large, too many, or not what they claim to be.

use std::io::{Read, Write};
use std::time::Duration;

use super::served::{Served, receive};

#[test]
fn bodies_are_bounded() {
    let node = Served::start();
    let value = vec![b'v'; 512 << 10];
    assert_eq!(node.ask("PUT", "/v1/kv/k", "", &value).body, "true");
    let larger = vec![b'v'; (512 << 10) + 1];
    assert_eq!(node.ask("PUT", "/v1/kv/k", "", &larger).status, 413);
    let mut stream = std::net::TcpStream::connect(node.address).expect("connected");
    let head = "PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    for _ in 0..3 {
        stream.write_all(b"40000\r\n").expect("sent");
        stream.write_all(&value[..0x40000]).expect("sent");
        stream.write_all(b"\r\n").expect("sent");
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
    assert_eq!(receive(stream).status, 413, "in chunks it is as large");
    assert_eq!(node.get("/v1/kv/k?raw").body.len(), value.len(), "the first value stands");
    let config = format!(r#"{{"Name":"x","Tags":["{}"]}}"#, "t".repeat(1 << 20));
    assert_eq!(node.put("/v1/agent/service/register", &config).status, 413);
}

#[test]
fn deep_and_broken_json_costs_nothing() {
    let node = Served::start();
    for body in
        ["[".repeat(100_000), "{\"a\":".repeat(50_000), "\u{0}".into(), "nul".into(), "[]".into(), "7".into()]
    {
        for path in ["/v1/agent/service/register", "/v1/catalog/register", "/v1/session/create"] {
            assert_eq!(node.put(path, &body).status, 400, "{path}");
        }
    }
    assert_eq!(node.put("/v1/txn", &"[".repeat(100_000)).status, 400);
    assert_eq!(node.get(&format!("/v1/catalog/nodes?filter={}", "(".repeat(5_000))).status, 400);
}

#[test]
fn paths_and_methods_that_are_not_there() {
    let node = Served::start();
    assert_eq!(node.get("/v1/nothing").status, 404);
    assert_eq!(node.get("/v2/kv/a").status, 404);
    let wrong = node.ask("POST", "/v1/kv/a", "", b"");
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.headers["allow"], "GET,PUT,DELETE");
    assert_eq!(node.ask("OPTIONS", "/v1/kv/a", "", b"").status, 200);
    assert!(node.get("/v1/").body.contains("/v1/health/service/"));
    assert_eq!(node.get("/v1/catalog/service/").status, 400);
    assert_eq!(node.get("/v1/catalog/nodes?stale&consistent").status, 400);
    assert_eq!(node.get("/v1/catalog/nodes?dc=dc2").body, "No path to datacenter");
}

/// Two HEAD requests among them: their answers have no body.
#[test]
fn a_client_that_keeps_its_connection_is_served_on_it() {
    let node = Served::start();
    let mut stream = std::net::TcpStream::connect(node.address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let request = "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request.replace("GET", "HEAD").repeat(2).as_bytes()).expect("sent");
    stream.write_all(request.repeat(2).as_bytes()).expect("sent");
    stream
        .write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answers");
    assert_eq!(text.matches("HTTP/1.1 200").count(), 5, "{text}");
    assert_eq!(text.matches("\r\n\r\n\"").count(), 3, "{text}");
}

#[test]
fn connections_beyond_the_bound_wait_for_their_turn() {
    let settings = isobar::catalog::Settings { connections: 2, ..super::served::settings() };
    let node = Served::with(settings);
    let idle: Vec<_> =
        (0..2).map(|_| std::net::TcpStream::connect(node.address).expect("connected")).collect();
    std::thread::sleep(Duration::from_millis(100));
    let stream = node.send("GET", "/v1/status/leader", "", b"");
    let mut probe = stream.try_clone().expect("a clone");
    probe.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(probe.read(&mut [0; 1]).is_err(), "it must wait");
    drop(idle);
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    assert_eq!(receive(stream).status, 200);
}

#[test]
fn a_length_is_said_in_one_way() {
    let node = Served::start();
    for head in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let mut stream = std::net::TcpStream::connect(node.address).expect("connected");
        let first = "GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(first.as_bytes()).expect("sent");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 200");
        std::thread::sleep(Duration::from_millis(50));
        let second = format!(
            "PUT /v1/kv/two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        // In pieces, as a network may bring it.
        for piece in second.as_bytes().chunks(7) {
            stream.write_all(piece).expect("sent");
        }
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest);
        assert!(rest.contains("HTTP/1.1 400"), "{rest}");
    }
    assert_eq!(node.get("/v1/kv/two").status, 404);
}

#[test]
fn one_that_has_been_silent_makes_room_for_one_who_asks() {
    let settings = isobar::catalog::Settings { connections: 4, ..super::served::settings() };
    let node = Served::with(settings);
    let silent: Vec<_> =
        (0..40).map(|_| std::net::TcpStream::connect(node.address).expect("connected")).collect();
    let began = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(node.get("/v1/status/leader").status, 200);
    }
    // Each of the forty has its second, four at a time.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    drop(silent);
}

#[test]
fn bodies_that_come_slowly_hold_what_came_and_no_more() {
    let node = Served::start();
    let mut slow: Vec<_> = (0..200)
        .map(|n| {
            let mut stream = std::net::TcpStream::connect(node.address).expect("connected");
            let head = format!("PUT /v1/kv/slow/{n} HTTP/1.1\r\nHost: x\r\nContent-Length: 524288\r\n\r\n");
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        })
        .collect();
    // A hundred megabytes were announced, and none came.
    assert_eq!(node.ask("PUT", "/v1/kv/k", "", &vec![b'v'; 512 << 10]).body, "true");
    slow.iter_mut().for_each(|stream| stream.write_all(&[b'v'; 1000]).expect("sent"));
    assert_eq!(node.ask("PUT", "/v1/kv/k", "", &vec![b'w'; 512 << 10]).body, "true");
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let node = Served::start();
    node.ok("/v1/agent/service/register", r#"{"Name":"web"}"#);
    let query = br#"{"Name":"q","Service":{"Service":"web"}}"#;
    for headers in ["Sec-Fetch-Site: cross-site\r\n", "Origin: http://evil.example\r\n", "Origin: null\r\n"] {
        assert_eq!(node.ask("POST", "/v1/query", headers, query).status, 403, "{headers}");
        assert_eq!(
            node.ask("GET", "/v1/agent/service/deregister/web", headers, b"").status,
            403,
            "{headers}"
        );
        assert_eq!(node.ask("GET", "/v1/agent/services", headers, b"").status, 200, "{headers}");
    }
    assert_eq!(node.ask("POST", "/v1/query", "Origin: http://x\r\n", query).status, 200, "its own page does");
    assert_eq!(node.get("/v1/agent/service/web").status, 200);
}
