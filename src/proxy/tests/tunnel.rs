//! Connections that become tunnels: upgrades and CONNECT.

use super::rig::{GET, OK, Rig, Wire, answers};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";

fn tunnel(lines: &[&str]) -> (Rig, Wire, Wire) {
    let rig = Rig::listen(&[lines, &["server s1 10.0.0.1:80"][..]].concat());
    let mut client = rig.client();
    client.send(UPGRADE);
    let mut server = rig.server("s1");
    let asked = server.take().to_lowercase();
    assert!(asked.contains("connection: upgrade\r\n") && asked.contains("upgrade: chat\r\n"), "{asked}");
    server.send(SWITCHED);
    let text = client.take().to_lowercase();
    assert!(text.starts_with("http/1.1 101 ") && text.contains("connection: upgrade\r\n"), "{text}");
    (rig, client, server)
}

#[test]
fn an_upgrade_makes_a_tunnel() {
    let (rig, mut client, mut server) = tunnel(&[]);
    client.send("ping");
    assert_eq!(server.take(), "ping");
    server.send("pong");
    assert_eq!(client.take(), "pong");
    server.leave();
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 101 -- 0"]);
    assert_eq!(rig.idle("s1"), 0);
}

#[test]
fn bytes_behind_the_heads_belong_to_the_tunnel() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(format!("{UPGRADE}early"));
    let mut server = rig.server("s1");
    assert!(server.take().ends_with("\r\n\r\n"), "nobody knows yet that it is a tunnel");
    server.send(format!("{SWITCHED}hello"));
    assert!(client.take().ends_with("\r\n\r\nhello"));
    assert_eq!(server.take(), "early");
}

#[test]
fn the_rest_of_the_requests_body_goes_before_the_tunnel() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(UPGRADE.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 6\r\n\r\nabc"));
    let mut server = rig.server("s1");
    assert!(server.take().ends_with("abc"));
    server.send(SWITCHED);
    assert_eq!(answers(&client.take()), [101]);
    client.send("defping");
    assert_eq!(server.take(), "defping");
    server.send("pong");
    assert_eq!(client.take(), "pong");
}

#[test]
fn an_upgrade_that_is_declined_leaves_http() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(UPGRADE);
    let mut server = rig.server("s1");
    server.take();
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    client.send(GET);
    assert!(server.take().starts_with("GET / "));
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
}

#[test]
fn connect_makes_a_tunnel_where_the_server_takes_it() {
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(connect);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\n\r\nhello");
    assert!(client.take().ends_with("\r\n\r\nhello"));
    client.send("ping");
    assert_eq!(server.take(), "ping");
    client.leave();
    assert!(server.has_ended());

    let mut client = rig.client();
    client.send(connect);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!(answers(&client.take()), [403]);
    client.send(GET);
    assert!(server.take().starts_with("GET / "), "it is HTTP as before");
}

#[test]
fn timeout_tunnel_counts_in_a_tunnel() {
    let (rig, mut client, mut server) = tunnel(&["timeout tunnel 60s"]);
    rig.pass(59_000);
    server.send("x");
    assert_eq!(client.take(), "x");
    rig.pass(59_999);
    assert!(!client.has_ended());
    rig.pass(1);
    assert!(client.has_ended());
    assert!(server.has_ended());
    let log = rig.log();
    assert!(log == ["p/s1 101 cD 0"] || log == ["p/s1 101 sD 0"], "{log:?}");
}

#[test]
fn rules_set_the_time_of_a_tunnel() {
    for rule in ["http-request set-timeout tunnel 40s", "http-response set-timeout tunnel 40s"] {
        let (rig, mut client, _server) = tunnel(&["timeout tunnel 5s", rule]);
        rig.pass(39_999);
        assert!(!client.has_ended(), "{rule}");
        rig.pass(1);
        assert!(client.has_ended(), "{rule}");
    }
}

#[test]
fn without_timeout_tunnel_the_sides_have_their_own() {
    let (rig, mut client, _server) = tunnel(&[]);
    rig.pass(9_999);
    assert!(!client.has_ended());
    rig.pass(1);
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 101 cD 0"]);
}
