//! Timeouts, by the virtual clock: each ends what it names, at its time and not before.

use super::rig::{GET, OK, Reception, Rig, answers};

#[test]
fn a_silent_server_is_given_up_after_timeout_server() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    rig.pass(19_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [504]);
    assert!(server.has_ended());
    assert_eq!(rig.log(), ["p/s1 504 sH 0"]);
}

#[test]
fn a_server_that_falls_silent_within_its_body_is_cut() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    for _ in 0..3 {
        rig.pass(19_999);
        server.send("x");
        assert_ne!(client.take(), "", "each byte renews it");
    }
    rig.pass(20_000);
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 200 sD 0"]);
}

#[test]
fn interim_responses_renew_timeout_server() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    for status in [102, 103, 102] {
        rig.pass(19_000);
        server.send(format!("HTTP/1.1 {status} x\r\n\r\n"));
        assert_eq!(answers(&client.take()), [status]);
    }
    rig.pass(19_000);
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
}

#[test]
fn the_server_may_be_silent_while_the_client_still_sends() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    let mut server = rig.server("s1");
    for byte in ["a", "b", "c", "d", "e"] {
        rig.pass(9_000);
        client.send(byte);
    }
    assert!(server.take().ends_with("abcde"));
    rig.pass(19_999);
    assert_eq!(client.take(), "", "it counts from the last byte of the request");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [504]);
}

#[test]
fn a_client_that_falls_silent_within_its_body_is_told_408() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    let mut server = rig.server("s1");
    server.take();
    rig.pass(9_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [408]);
    assert!(server.has_ended());
    assert_eq!(rig.log(), ["p/s1 408 cD 0"]);
}

#[test]
fn a_client_that_does_not_read_is_cut_after_timeout_client() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
    server.offer(vec![b'x'; 9_000_000]);
    rig.pass(9_999);
    assert_eq!(rig.log(), [""; 0]);
    rig.pass(1);
    assert_eq!(rig.log(), ["p/s1 200 cD 0"]);
    client.take();
    assert!(client.has_ended());
}

#[test]
fn a_connection_that_does_not_come_about_is_given_up_after_timeout_connect() {
    let rig = Rig::listen(&["retries 0", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Hangs);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(2_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!(rig.log(), ["p/s1 503 sC 0"]);
    let counted = (rig.count("s1").err_conn, rig.back("p").err_conn, rig.count("s1").http_req);
    assert_eq!(counted, (1, 1, 0));
}

#[test]
fn a_connection_that_comes_about_late_carries_the_request() {
    let rig = Rig::listen(&["retries 0", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Hangs);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(2_900);
    let mut server = rig.server("s1");
    server.establish();
    assert!(server.take().starts_with("GET / "));
    rig.pass(5_000);
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
}

#[test]
fn a_request_waits_in_the_queue_as_long_as_timeout_queue_says() {
    let rig = Rig::listen(&["timeout queue 5s", "server s1 10.0.0.1:80 maxconn 1"]);
    let (mut first, mut second) = (rig.client(), rig.client());
    first.send(GET);
    second.send(GET);
    rig.pass(4_999);
    assert_eq!(second.take(), "");
    rig.pass(1);
    assert_eq!(answers(&second.take()), [503]);
    assert_eq!(rig.log(), ["p/<NOSRV> 503 sQ 0"]);
    assert_eq!(first.take(), "");
}

#[test]
fn timeout_connect_counts_in_the_queue_where_there_is_no_timeout_queue() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80 maxconn 1"]);
    let (mut first, mut second) = (rig.client(), rig.client());
    first.send(GET);
    second.send(GET);
    rig.pass(2_999);
    assert_eq!(second.take(), "");
    rig.pass(1);
    assert_eq!(answers(&second.take()), [503]);
}

#[test]
fn a_tarpit_answers_at_its_time() {
    let rig = Rig::listen(&["timeout tarpit 6s", "http-request tarpit", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(5_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [500]);
    assert_eq!(rig.log(), ["p/<NOSRV> 500 PT 0"]);
    assert_eq!(rig.front("p").denied_req, 1);
}

#[test]
fn rules_set_timeouts() {
    let set = |rule: &str| {
        let rig = Rig::listen(&[
            "retries 0",
            &format!("http-request set-timeout {rule}"),
            "server s1 10.0.0.1:80 maxconn 1",
        ]);
        let mut client = rig.client();
        client.send(GET);
        (rig, client)
    };
    let (rig, mut client) = set("server 5s");
    let _server = rig.server("s1");
    rig.pass(4_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [504], "server");

    let (rig, _first) = set("queue 1s");
    let mut second = rig.client();
    second.send(GET);
    rig.pass(999);
    assert_eq!(second.take(), "");
    rig.pass(1);
    assert_eq!(answers(&second.take()), [503], "queue");

    let rig = Rig::listen(&["retries 0", "http-request set-timeout connect 7s", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Hangs);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(6_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [503], "connect");

    let rig = Rig::listen(&["http-request set-timeout client 2s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    rig.pass(1_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [408], "client");
}

#[test]
fn set_timeout_tarpit_moves_the_answer() {
    let rig = Rig::listen(&[
        "timeout tarpit 6s",
        "http-request set-timeout tarpit 2s",
        "http-request tarpit",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(1_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [500]);
}

#[test]
fn a_tarpit_of_a_backend_has_the_backends_time() {
    let rig = Rig::new(
        "frontend f\n bind :80\n timeout tarpit 9s\n default_backend b\n\
         backend b\n timeout tarpit 2s\n http-request tarpit\n server s1 10.0.0.1:80\n",
    );
    let mut client = rig.client();
    client.send(GET);
    rig.pass(1_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [500]);
}
