//! Server connections that belong to one client: authenticated ones, and those that nobody may share.

use super::rig::{GET, OK, Rig, Wire, answers};

/// A client whose connection to the server was asked to authenticate itself with this field.
fn challenged(lines: &[&str], status: u16, field: &str) -> (Rig, Wire, Wire) {
    let rig = Rig::listen(&[lines, &["server s1 10.0.0.1:80"][..]].concat());
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send(format!("HTTP/1.1 {status} x\r\n{field}\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(answers(&client.take()), [status]);
    (rig, client, server)
}

#[test]
fn a_connection_that_is_being_authenticated_is_its_clients_alone() {
    for (status, field) in [
        (401, "WWW-Authenticate: NTLM"),
        (401, "WWW-Authenticate: NTLM TlRMTVNTUAACAAAA"),
        (401, "WWW-Authenticate: ntlm"),
        (401, "WWW-Authenticate: Negotiate"),
        (401, "WWW-Authenticate: Nego2"),
        (401, "WWW-Authenticate: Basic realm=\"x\", NTLM"),
        (401, "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Negotiate"),
        (407, "Proxy-Authenticate: NTLM"),
        (407, "Proxy-Authenticate: negotiate oYG2MIGzoAMK"),
    ] {
        let (rig, mut client, mut server) = challenged(&["http-reuse always"], status, field);
        let mut other = rig.client();
        other.send(GET);
        assert_eq!(rig.opened("s1"), 2, "{status} {field}: a stranger got it");
        client.send(GET);
        assert!(server.take().starts_with("GET / "), "{status} {field}: its client did not");
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
        client.send(GET);
        assert!(server.take().starts_with("GET / "), "{status} {field}: it stays its client's");
        server.send(OK);
        client.leave();
        assert!(server.has_ended(), "{status} {field}: it goes with its client");
    }
}

#[test]
fn other_challenges_leave_the_connection_to_all() {
    for (status, field) in [
        (401, "WWW-Authenticate: Basic realm=\"NTLM\""),
        (401, "Proxy-Authenticate: NTLM"),
        (407, "WWW-Authenticate: NTLM"),
        (403, "WWW-Authenticate: NTLM"),
    ] {
        let (rig, _client, mut server) = challenged(&["http-reuse always"], status, field);
        rig.client().send(GET);
        assert_eq!(rig.opened("s1"), 1, "{status} {field}");
        assert!(server.take().starts_with("GET / "));
    }
}

#[test]
fn an_authenticated_client_stays_with_its_server() {
    let rig = Rig::listen(&["balance roundrobin", "server s1 10.0.0.1:80", "server s2 10.0.0.2:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 401 x\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n");
    for _ in 0..3 {
        client.take();
        client.send(GET);
        assert!(server.take().starts_with("GET / "));
        server.send(OK);
    }
    assert_eq!((rig.opened("s1"), rig.opened("s2")), (1, 0));
}

#[test]
fn http_reuse_never_leaves_each_client_its_own() {
    let rig = Rig::listen(&["http-reuse never", "server s1 10.0.0.1:80"]);
    let (mut one, mut two) = (rig.client(), rig.client());
    let (mut first, _) = rig.exchange(&mut one, "s1");
    let (mut second, _) = rig.exchange(&mut two, "s1");
    for turn in 0..3 {
        let (client, server) = if turn == 1 { (&mut two, &mut second) } else { (&mut one, &mut first) };
        client.send(GET);
        assert!(server.take().starts_with("GET / "));
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
    assert_eq!((rig.opened("s1"), rig.idle("s1")), (2, 0));
    one.leave();
    assert!(first.has_ended());
    assert!(!second.has_ended());
}

#[test]
fn a_connection_in_a_clients_name_carries_its_header_once() {
    let rig = Rig::listen(&[
        "http-reuse always",
        "tcp-request connection set-dst ipv4(198.51.100.1)",
        "tcp-request connection set-dst-port int(80)",
        "server s1 10.0.0.1:80 send-proxy",
    ]);
    let (mut one, mut two) = (rig.client(), rig.client());
    one.send(GET);
    let mut first = rig.server("s1");
    let text = first.take();
    assert!(text.starts_with("PROXY ") && text.contains("192.0.2.1") && text.contains("40001"), "{text}");
    assert!(text.contains("\r\nGET / "), "{text}");
    first.send(OK);
    one.take();
    two.send(GET);
    let text = rig.server("s1").take();
    assert!(text.starts_with("PROXY ") && text.contains("40002"), "{text}");
    one.send(GET);
    assert!(first.take().starts_with("GET / "), "its own connection has said who it is");
    assert_eq!(rig.opened("s1"), 2);
}

#[test]
fn an_own_connection_that_the_server_ends_is_opened_anew() {
    let rig = Rig::listen(&["http-reuse never", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let (server, _) = rig.exchange(&mut client, "s1");
    server.leave();
    let (_server, text) = rig.exchange(&mut client, "s1");
    assert_eq!(answers(&text), [200]);
}
