//! TCP mode: content rules, tunnels and their ends, and connections that become HTTP.

use std::io::ErrorKind;

use super::rig::{GET, OK, Reception, Rig, answers};

#[test]
fn bytes_go_both_ways_and_each_end_ends_its_direction() {
    let rig = Rig::listen_tcp(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("ping");
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "ping");
    client.finish();
    assert!(server.has_ended());
    server.send("pong");
    assert_eq!(client.take(), "pong");
    server.finish();
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 -- 0 4>4"]);
    let counted = rig.front("p");
    assert_eq!((counted.bytes_in, counted.bytes_out, counted.sess_tot), (4, 4, 1));
}

#[test]
fn rules_judge_what_a_server_says_first() {
    let reject = "tcp-response content reject if { res.payload(0,3) -m str bad }";
    let rig = Rig::listen_tcp(&["tcp-response inspect-delay 5s", reject, "server s1 10.0.0.1:80"]);
    for (said, flags, answer, out) in [("bad news", "PD", "", 8), ("good", "--", "good", 4)] {
        let mut client = rig.client();
        client.send("ping");
        let mut server = rig.server("s1");
        // The client's bytes do not wait for the server's.
        assert_eq!(server.take(), "ping");
        client.send("more");
        assert_eq!(server.take(), "more");
        server.send(&said[..2]);
        assert_eq!(client.take(), "", "not known yet");
        server.send(&said[2..]);
        assert_eq!(client.take(), answer);
        if answer.is_empty() {
            assert!(client.has_ended() && server.has_ended());
        } else {
            client.finish();
            server.finish();
        }
        assert_eq!(rig.log(), [format!("p/s1 {flags} 0 8>{out}")]);
    }
    assert_eq!(rig.count("s1").denied_resp, 1);
}

#[test]
fn rules_on_responses_wait_for_their_delay_and_no_longer() {
    let reject = "tcp-response content reject if WAIT_END { res.len lt 9 }";
    let rig = Rig::listen_tcp(&["tcp-response inspect-delay 5s", reject, "server s1 10.0.0.1:80"]);
    for (said, is_rejected) in [("short", true), ("long enough", false)] {
        let mut client = rig.client();
        client.send("x");
        let mut server = rig.server("s1");
        server.send(said);
        rig.pass(4_999);
        assert!(client.take().is_empty() && !client.has_ended());
        rig.pass(1);
        assert_eq!(client.take(), if is_rejected { "" } else { said });
        assert_eq!(client.has_ended(), is_rejected);
    }
}

#[test]
fn a_server_may_speak_first() {
    let rig = Rig::listen_tcp(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let mut server = rig.server("s1");
    server.send("220 hello");
    assert_eq!(client.take(), "220 hello");
}

#[test]
fn large_transfers_arrive_whole() {
    let rig = Rig::listen_tcp(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let mut server = rig.server("s1");
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    while sent < large.len() {
        sent += server.offer(&large[sent..]);
        received.extend(client.take_bytes());
    }
    assert!(received == large);
}

#[test]
fn the_silent_side_is_named() {
    // (timeout client, timeout server, who is blamed)
    for (client_s, server_s, flags) in [(5, 9, "cD"), (9, 5, "sD")] {
        let rig = Rig::listen_tcp(&[
            &format!("timeout client {client_s}s"),
            &format!("timeout server {server_s}s"),
            "server s1 10.0.0.1:80",
        ]);
        let mut client = rig.client();
        client.send("x");
        let mut server = rig.server("s1");
        server.take();
        rig.pass(4_999);
        assert!(!client.has_ended());
        rig.pass(1);
        assert!(client.has_ended() && server.has_ended());
        assert_eq!(rig.log(), [format!("p/s1 {flags} 0 1>0")]);
    }
}

/// `client-fin` counts once the client was told that the server has ended, and `server-fin` likewise.
#[test]
fn a_side_that_is_half_closed_has_its_own_time() {
    for (fin, by_client, ends_s, flags) in [
        ("client-fin", true, 6, "sD"),
        ("client-fin", false, 1, "cD"),
        ("server-fin", true, 1, "sD"),
        ("server-fin", false, 5, "cD"),
    ] {
        let rig = Rig::listen_tcp(&[
            "timeout client 5s",
            "timeout server 6s",
            &format!("timeout {fin} 1s"),
            "server s1 10.0.0.1:80",
        ]);
        let mut client = rig.client();
        client.send("x");
        let mut server = rig.server("s1");
        server.take();
        if by_client {
            client.finish()
        } else {
            server.finish()
        }
        rig.pass(ends_s * 1_000 - 1);
        assert_eq!(rig.log(), [""; 0], "{fin} {by_client}");
        rig.pass(1);
        assert_eq!(rig.log(), [format!("p/s1 {flags} 0 1>0")], "{fin} {by_client}");
    }
}

#[test]
fn connections_that_fail_are_redispatched() {
    let lines = ["option redispatch 1", "retries 2", "server s1 10.0.0.1:80", "server s2 10.0.0.2:80"];
    let rig = Rig::listen_tcp(&lines);
    rig.receive("s1", Reception::Fails(ErrorKind::ConnectionRefused));
    let mut client = rig.client();
    client.send("first");
    let mut server = rig.server("s2");
    assert_eq!(server.take(), "first");
    server.leave();
    client.leave();
    assert_eq!(rig.back("p").wredis, 1);
    assert_eq!(rig.log(), ["p/s2 -- +1 5>0"]);
}

#[test]
fn the_last_failure_closes_the_connection() {
    let rig = Rig::listen_tcp(&["retries 2", "server s1 10.0.0.1:80"]);
    rig.receive("s1", Reception::Fails(ErrorKind::ConnectionRefused));
    let mut client = rig.client();
    assert!(client.has_ended());
    let counted = rig.count("s1");
    assert_eq!((counted.err_conn, counted.wretr, rig.back("p").err_conn), (1, 2, 1));
    assert_eq!(rig.log(), ["p/s1 SC 2 0>0"]);
}

#[test]
fn without_a_server_the_connection_is_closed() {
    let rig = Rig::listen_tcp(&["server s1 10.0.0.1:80 disabled"]);
    let mut client = rig.client();
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/<NOSRV> SC 0 0>0"]);
}

#[test]
fn connection_rules_turn_away_before_a_byte() {
    let rig =
        Rig::listen_tcp(&["tcp-request connection reject if { src 192.0.2.0/24 }", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    assert!(client.has_ended());
    let counted = rig.front("p");
    assert_eq!((counted.denied_conn, counted.sess_tot, rig.opened("s1")), (1, 0, 0));
}

#[test]
fn content_rules_wait_for_what_they_need() {
    let rig = Rig::tcp(
        "frontend f\n bind :80\n tcp-request inspect-delay 5s\n tcp-request content accept if { req.len gt 4 }\n \
         use_backend b if { req.payload(0,5) -m str hello }\n default_backend a\n\
         backend a\n server s1 10.0.0.1:80\nbackend b\n server s2 10.0.0.2:80\n",
    );
    let mut client = rig.client();
    for part in ["he", "l"] {
        client.send(part);
        assert_eq!((rig.opened("s1"), rig.opened("s2")), (0, 0));
    }
    client.send("lo you");
    assert_eq!(rig.server("s2").take(), "hello you");

    let mut slow = rig.client();
    slow.send("hi");
    rig.pass(4_999);
    assert_eq!(rig.opened("s1"), 0);
    rig.pass(1);
    assert_eq!(rig.server("s1").take(), "hi", "the delay is over");
}

#[test]
fn http_criteria_decide_as_soon_as_they_can() {
    for (bytes, opened) in
        [("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1), ("SSH-2.0-x\r\n\r\n", 0), ("\x16\x03\x01\0\0", 0)]
    {
        let rig = Rig::listen_tcp(&[
            "tcp-request inspect-delay 5s",
            "tcp-request content reject if !HTTP",
            "server s1 10.0.0.1:80",
        ]);
        let mut client = rig.client();
        client.send(bytes);
        assert_eq!(rig.opened("s1"), opened, "{bytes:?}");
        assert_eq!(client.has_ended(), opened == 0, "{bytes:?}");
    }
}

#[test]
fn header_criteria_choose_in_tcp_mode() {
    let rig = Rig::tcp(
        "frontend f\n bind :80\n tcp-request inspect-delay 5s\n tcp-request content accept if HTTP\n \
         use_backend b if { req.hdr(host) -m str b }\n default_backend a\n\
         backend a\n server s1 10.0.0.1:80\nbackend b\n server s2 10.0.0.2:80\n",
    );
    for part in [&["GET / HTTP/1.1\r\nHost: b\r\n\r\n"][..], &["GET / HTTP/1.1\r\nHo", "st: b\r\n\r\n"]] {
        let mut client = rig.client();
        part.iter().for_each(|part| client.send(part));
        assert_eq!(rig.server("s2").take(), part.concat());
    }
    assert_eq!(rig.opened("s1"), 0);
}

const UPGRADED: &str = "\
frontend f
    bind :80
    default_backend app
backend app
    mode http
    http-request deny if { path /admin }
    http-request set-header X-B app
    server s1 10.0.0.1:80
";

#[test]
fn an_http_backend_makes_the_connection_http() {
    let rig = Rig::tcp(UPGRADED);
    let mut client = rig.client();
    client.send(GET.replace("/ ", "/admin "));
    assert_eq!((answers(&client.take()), rig.opened("s1")), (vec![403], 0));

    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    assert!(server.take().to_lowercase().contains("x-b: app\r\n"));
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    client.send(GET);
    let text = server.take();
    assert!(text.to_lowercase().contains("x-b: app\r\n"), "the next request too: {text}");
}

#[test]
fn what_is_not_http_is_400_for_an_http_backend() {
    let rig = Rig::tcp(UPGRADED);
    let mut client = rig.client();
    client.send("SSH-2.0-x\r\n\r\n");
    assert_eq!((answers(&client.take()), rig.opened("s1")), (vec![400], 0));
    assert!(client.has_ended());
}

#[test]
fn connections_without_a_byte_are_not_logged_with_dontlognull() {
    for (option, lines) in [("option dontlognull", 0), ("no option dontlognull", 1)] {
        let rig = Rig::listen_tcp(&[option, "server s1 10.0.0.1:80"]);
        let client = rig.client();
        client.leave();
        rig.server("s1").leave();
        assert_eq!(rig.log().len(), lines, "{option}");
    }
}

#[test]
fn the_proxy_header_says_who_the_client_is() {
    let rig = Rig::tcp(
        "frontend f\n bind :80 accept-proxy\n use_backend b if { src 203.0.113.7 }\n default_backend a\n\
         backend a\n server s1 10.0.0.1:80\nbackend b\n server s2 10.0.0.2:80\n",
    );
    let mut client = rig.client();
    client.send("PROXY TCP4 203.0.113.7 198.51.1.1 5 80\r");
    assert_eq!((rig.opened("s1"), rig.opened("s2")), (0, 0));
    client.send("\nhello");
    assert_eq!(rig.server("s2").take(), "hello");

    let mut wrong = rig.client();
    wrong.send("hello\r\n");
    assert!(wrong.has_ended());
    let mut silent = rig.client();
    rig.pass(10_000);
    assert!(silent.has_ended());
    assert_eq!((rig.opened("s1"), rig.front("f").err_req), (0, 2));
}
