//! How a request comes in: whole or in pieces, behind another one, too late, too long, malformed, or not at all.

use super::rig::{GET, OK, Rig, answers};

#[test]
fn a_head_may_come_byte_by_byte() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    for byte in GET.as_bytes() {
        assert_eq!(rig.opened("s1"), 0, "a server was asked before the head was complete");
        client.send([*byte]);
    }
    assert_eq!(rig.server("s1").take().to_lowercase(), GET.to_lowercase());
}

#[test]
fn an_empty_line_before_a_request_is_skipped() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("\r\n");
    client.send(GET);
    assert!(rig.server("s1").take().starts_with("GET / HTTP/1.1\r\n"));
}

#[test]
fn requests_in_one_packet_are_served_one_after_the_other() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(["/a ", "/b ", "/c "].map(|path| GET.replace("/ ", path)).concat());
    let mut server = rig.server("s1");
    for path in ["/a", "/b", "/c"] {
        let request = server.take();
        assert!(request.starts_with(&format!("GET {path} ")), "{request}");
        assert_eq!(request.matches("GET").count(), 1, "the next one was sent before the answer");
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
    assert_eq!(rig.opened("s1"), 1);
    assert_eq!(rig.log().len(), 3);
}

#[test]
fn a_request_behind_the_body_of_another_one_is_served() {
    for body in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(format!("POST /a HTTP/1.1\r\nHost: h\r\n{body}{GET}"));
        let mut server = rig.server("s1");
        let first = server.take();
        assert!(first.contains("hello") && !first.contains("GET"), "{first}");
        server.send(OK);
        assert!(server.take().starts_with("GET / "));
        server.send(OK);
        assert_eq!(answers(&client.take()), [200, 200]);
    }
}

#[test]
fn malformed_requests_are_refused_and_the_connection_ends() {
    for request in [
        "GET\r\n\r\n",
        "GET / HTTP/1.1 x\r\n\r\n",
        "G<T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\n: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nx\x00y: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 \x0b\r\n\r\n",
    ] {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(request);
        let text = client.take();
        assert!(text.starts_with("HTTP/1.1 400 Bad request\r\n"), "{request:?}: {text}");
        assert!(client.has_ended(), "{request:?}");
        assert_eq!(rig.opened("s1"), 0, "{request:?}");
        assert_eq!(rig.log(), ["p/<NOSRV> 400 PR 0"], "{request:?}");
        assert_eq!(rig.front("p").err_req, 1, "{request:?}");
    }
}

#[test]
fn what_follows_a_malformed_request_is_not_served() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(format!("GET / HTTP/1.1 x\r\n\r\n{GET}"));
    assert_eq!(answers(&client.take()), [400]);
    assert!(client.has_ended());
    assert_eq!(rig.opened("s1"), 0);
}

#[test]
fn a_head_may_be_as_long_as_the_buffer_less_its_reserve() {
    let rig = Rig::listen_in(" tune.bufsize 4096\n tune.maxrewrite 1024\n", &["server s1 10.0.0.1:80"]);
    for (long, status) in [(2900, 200), (3100, 431)] {
        let mut client = rig.client();
        client.send(format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(long)));
        if let Some(mut server) = rig.try_server("s1") {
            server.take();
            server.send(OK);
        }
        assert_eq!(answers(&client.take()), [status], "{long}");
    }
}

#[test]
fn a_client_that_says_nothing_is_told_408_after_http_request() {
    let rig = Rig::listen(&["timeout http-request 4s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    rig.pass(3_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [408]);
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/<NOSRV> 408 cR 0"]);
}

#[test]
fn probes_are_ignored_on_demand() {
    let rig = Rig::listen(&["timeout http-request 4s", "option http-ignore-probes", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    rig.pass(4_000);
    assert!(client.has_ended());
    rig.client().leave();
    assert_eq!(rig.log(), [""; 0]);
}

#[test]
fn timeout_client_counts_where_there_is_no_http_request() {
    let rig = Rig::listen(&["timeout client 7s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\n");
    rig.pass(6_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [408]);
}

#[test]
fn bytes_that_trickle_in_do_not_renew_http_request() {
    let rig = Rig::listen(&["timeout http-request 4s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\n");
    for n in 0..3 {
        rig.pass(1_000);
        client.send(format!("X{n}: x\r\n"));
    }
    rig.pass(999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [408]);
    assert_eq!(rig.log(), ["p/<NOSRV> 408 cR 0"]);
}

#[test]
fn a_client_that_leaves_within_its_head_is_a_bad_request() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHo");
    client.finish();
    assert_eq!(answers(&client.take()), [400]);
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/<NOSRV> 400 CR 0"]);
}

#[test]
fn an_empty_connection_is_logged_unless_null_is_not() {
    for (option, lines) in [("option dontlognull", 0), ("no option dontlognull", 1)] {
        let rig = Rig::listen(&[option, "server s1 10.0.0.1:80"]);
        rig.client().leave();
        let log = rig.log();
        assert_eq!(log.len(), lines, "{option}: {log:?}");
        assert!(log.iter().all(|line| line == "p/<NOSRV> 400 CR 0"), "{log:?}");
        assert_eq!(rig.front("p").conn_tot, 1);
    }
}

#[test]
fn an_idle_connection_that_ends_says_nothing() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    rig.exchange(&mut client, "s1");
    rig.log();
    client.leave();
    assert_eq!(rig.log(), [""; 0]);
    assert_eq!(rig.front("p").err_req, 0);
}

#[test]
fn monitor_uri_is_answered_without_a_server_or_a_line() {
    let rig = Rig::listen(&[
        "monitor-uri /alive",
        "acl dead nbsrv lt 1",
        "monitor fail if dead",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    client.send("GET /alive HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answers(&client.take()), [200]);
    client.send("GET /alive/x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(rig.opened("s1"), 1, "another path is traffic");
    assert_eq!(rig.log(), [""; 0]);
}

#[test]
fn a_frontend_has_as_many_clients_as_maxconn_says() {
    let rig = Rig::listen(&["maxconn 2", "server s1 10.0.0.1:80"]);
    let first = rig.client();
    let _second = rig.client();
    assert!(rig.try_client("p").is_none());
    first.leave();
    assert!(rig.try_client("p").is_some());
}
