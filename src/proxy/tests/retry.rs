//! Tries that fail: which are repeated, where, when, and what is counted.

use std::io::ErrorKind;

use super::rig::{GET, OK, Reception, Rig, answers};

const TWO: [&str; 2] = ["server s1 10.0.0.1:80", "server s2 10.0.0.2:80"];

#[test]
fn a_refused_connection_is_tried_again_after_a_pause() {
    let rig = Rig::listen(&["retries 2", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Refused);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    rig.receive("s1", Reception::Open);
    rig.pass(1_000);
    let mut server = rig.server("s1");
    assert!(server.take().starts_with("GET / "));
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log(), ["p/s1 200 -- 2"]);
    assert_eq!((rig.count("s1").wretr, rig.count("s1").err_conn), (2, 0));
}

/// No server was asked: there is nothing to wait for.
#[test]
fn a_connection_that_cannot_be_begun_is_tried_again_at_once() {
    let rig = Rig::listen(&["retries 2", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Fails(ErrorKind::ConnectionRefused));
    let mut client = rig.client();
    client.send(GET);
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!(rig.log(), ["p/s1 503 SC 2"]);
    assert_eq!((rig.count("s1").wretr, rig.count("s1").err_conn), (2, 1));
}

#[test]
fn after_the_last_try_the_client_is_told_503() {
    let rig = Rig::listen(&["retries 3", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Refused);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(3_000);
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!(rig.opened("s1"), 4);
    assert_eq!(rig.log(), ["p/s1 503 SC 3"]);
    let (front, back, server) = (rig.front("p"), rig.back("p"), rig.count("s1"));
    assert_eq!((server.err_conn, server.wretr, server.http_req, server.srv_aborts), (1, 3, 0, 0));
    assert_eq!((back.err_conn, back.wretr, back.http_req, back.rsp_5xx, back.srv_aborts), (1, 3, 1, 1, 0));
    assert_eq!((front.http_req, front.rsp_5xx), (1, 1));
    assert_eq!((server.rsp_5xx, rig.served("s1")), (0, 0));
}

#[test]
fn redispatch_goes_to_another_server() {
    let rig = Rig::listen(&[&["option redispatch 1", "retries 3"][..], &TWO].concat());
    rig.receive("s1", Reception::Refused);
    let mut client = rig.client();
    client.send(GET);
    let mut other = rig.server("s2");
    assert!(other.take().starts_with("GET / "), "at once");
    other.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log(), ["p/s2 200 -- +1"]);
    let back = rig.back("p");
    assert_eq!((back.wredis, back.wretr, rig.count("s1").wredis, rig.count("s1").err_conn), (1, 0, 1, 0));
}

#[test]
fn the_last_try_goes_to_another_server() {
    let lines = ["option redispatch", "balance leastconn", "retries 2", "cookie S insert"];
    let servers = ["server s1 10.0.0.1:80 cookie a", "server s2 10.0.0.2:80 cookie b"];
    let rig = Rig::listen(&[&lines[..], &servers].concat());
    rig.receive("s1", Reception::Refused);
    let mut client = rig.client();
    client.send(GET.replace("Host", "Cookie: S=a\r\nHost"));
    assert!(rig.try_server("s2").is_none());
    rig.pass(1_000);
    let mut other = rig.server("s2");
    other.take();
    other.send(OK);
    let text = client.take();
    assert!(text.contains("S=b"), "{text}");
    assert_eq!(rig.opened("s1"), 2);
    assert_eq!((rig.back("p").wretr, rig.back("p").wredis), (1, 1));
    assert_eq!(rig.log(), ["p/s2 200 -- +2"]);
}

#[test]
fn without_redispatch_a_server_keeps_its_request() {
    let rig = Rig::listen(&[&["no option redispatch", "retries 1"][..], &TWO].concat());
    rig.receive("s1", Reception::Refused);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(1_000);
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!((rig.opened("s1"), rig.opened("s2")), (2, 0));
}

#[test]
fn a_connection_that_fails_at_once_is_redispatched_like_any_other() {
    for kind in [ErrorKind::NotFound, ErrorKind::AddrNotAvailable, ErrorKind::PermissionDenied] {
        let rig = Rig::listen(&[&["option redispatch", "retries 2"][..], &TWO].concat());
        rig.receive("s1", Reception::Fails(kind));
        let mut client = rig.client();
        client.send(GET);
        rig.pass(2_000);
        let mut other = rig.server("s2");
        other.take();
        other.send(OK);
        assert_eq!(answers(&client.take()), [200], "{kind:?}");
    }
}

#[test]
fn connections_that_hang_are_tried_again_without_a_pause() {
    let rig = Rig::listen(&["retries 1", "timeout connect 2s", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Hangs);
    let mut client = rig.client();
    client.send(GET);
    rig.pass(2_000);
    assert_eq!(rig.opened("s1"), 2);
    rig.pass(1_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!(rig.log(), ["p/s1 503 sC 1"]);
}

#[test]
fn a_client_that_leaves_ends_the_tries() {
    let lines = ["option abortonclose", "retries 6", "server s1 10.0.0.1:80"];
    for reception in [Reception::Refused, Reception::Hangs] {
        let rig = Rig::listen(&lines);
        rig.receive("s1", reception);
        let mut client = rig.client();
        client.send(GET);
        rig.pass(1_500);
        let before = rig.opened("s1");
        client.leave();
        rig.pass(20_000);
        assert_eq!(rig.opened("s1"), before, "{reception:?}");
        let log = rig.log();
        assert_eq!(log.len(), 1, "{reception:?}");
        assert!(log[0].contains(" CC "), "{reception:?}: {log:?}");
        assert_eq!(rig.served("s1"), 0, "{reception:?}");
    }
}

/// What a server does instead of answering, and the `retry-on` that asks it once more.
const FAULTS: [(&str, &str, u16, &str); 4] = [
    ("empty-response", "", 502, "SH"),
    ("junk-response", "nonsense\r\n\r\n", 502, "PH"),
    ("503", "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", 503, "--"),
    ("response-timeout", "wait", 504, "sH"),
];

#[test]
fn retry_on_says_what_is_asked_once_more() {
    for (retry_on, fault, _, _) in FAULTS {
        let rig = Rig::listen(&[&format!("retry-on {retry_on}"), "retries 1", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        if fault == "wait" {
            rig.pass(20_000);
        } else {
            server.send(fault);
            server.leave();
        }
        let mut again = rig.server("s1");
        assert!(again.take().starts_with("GET / "), "{retry_on}");
        again.send(OK);
        assert_eq!(answers(&client.take()), [200], "{retry_on}");
        assert_eq!(rig.log(), ["p/s1 200 -- 1"], "{retry_on}");
        assert!(rig.count("s1").wretr > 0, "{retry_on}");
        // What is asked once more is no error, unless it came and was no response.
        assert_eq!(rig.count("s1").err_resp, u64::from(retry_on == "junk-response"), "{retry_on}");
    }
}

#[test]
fn without_retry_on_the_client_is_told() {
    for (retry_on, fault, status, flags) in FAULTS {
        let rig = Rig::listen(&["retries 3", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        if fault == "wait" {
            rig.pass(20_000);
        } else {
            server.send(fault);
            server.leave();
        }
        assert_eq!(answers(&client.take()), [status], "{retry_on}");
        assert_eq!(rig.opened("s1"), 1, "{retry_on}");
        assert_eq!(rig.log(), [format!("p/s1 {status} {flags} 0")], "{retry_on}");
    }
}

#[test]
fn the_last_fault_is_what_the_client_is_told() {
    let rig = Rig::listen(&["retry-on 503", "retries 1", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    for _ in 0..2 {
        let mut server = rig.server("s1");
        server.take();
        server.send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    }
    assert!(client.take().ends_with("\r\n\r\nbusy"), "the server's own words");
    assert_eq!(rig.opened("s1"), 2);
}

#[test]
fn where_no_server_is_up_the_client_is_told_at_once() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80 disabled"]);
    let mut client = rig.client();
    client.send(GET);
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!(rig.log(), ["p/<NOSRV> 503 SC 0"]);
    assert_eq!(rig.back("p").err_conn, 1);
    client.send(GET);
    assert_eq!(answers(&client.take()), [503], "the connection goes on");
}
