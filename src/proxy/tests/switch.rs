//! Connections in TCP mode that become HTTP, by a rule or by their backend.

use super::h2::Client;
use super::rig::{GET, OK, Rig, answers};

const SWITCH: &str = "frontend p\n bind :80\n log-format \"%b %ST %ts\"\n tcp-request inspect-delay 2s\n \
                      tcp-request content switch-mode http proto h2 if { req.payload(0,3) -m str PRI }\n \
                      tcp-request content switch-mode http if HTTP\n http-request set-header x-front 1\n \
                      use_backend bytes if { path -m beg /bytes }\n default_backend web\n\
                      backend web\n mode http\n server s1 10.0.0.1:80\n\
                      backend bytes\n server s2 10.0.0.2:80\n";

#[test]
fn a_rule_makes_it_http_1() {
    let rig = Rig::tcp(SWITCH);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "GET / HTTP/1.1\r\nHost: h\r\nx-front: 1\r\n\r\n");
    server.send(OK);
    assert_eq!(client.take(), OK);
    client.send(GET);
    assert_eq!(server.take(), "GET / HTTP/1.1\r\nHost: h\r\nx-front: 1\r\n\r\n", "it stays HTTP");
    server.send(OK);
    assert_eq!(client.take(), OK);
    assert_eq!(rig.log(), ["web 200 --", "web 200 --"]);
}

#[test]
fn a_rule_makes_it_http_2() {
    let rig = Rig::tcp(SWITCH);
    let mut client = Client::of(rig.client());
    client.get("/a");
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "GET /a HTTP/1.1\r\nhost: h\r\nx-front: 1\r\n\r\n");
    server.send(OK);
    assert_eq!(client.saw(), ["1: HTTP/1.1 200 OK content-length: 2", "1> ok END"]);
    assert_eq!(rig.log(), ["web 200 --"]);
}

/// `proto h2` takes nothing else.
#[test]
fn what_is_said_to_be_http_2_has_to_be() {
    let rig = Rig::tcp(
        "frontend p\n bind :80\n tcp-request content switch-mode http proto h2\n default_backend web\n\
         backend web\n mode http\n server s1 10.0.0.1:80\n",
    );
    let mut client = rig.client();
    client.send(GET);
    let bytes = client.take_bytes();
    assert_eq!(bytes[bytes.len() - 4..], [0, 0, 0, 1], "GOAWAY PROTOCOL_ERROR");
    assert!(client.has_ended());
}

/// The backend's mode does the same; the preface of HTTP/2 is understood there, too.
#[test]
fn a_backend_makes_it_http() {
    let text = "frontend p\n bind :80\n http-request set-header x-front 1\n default_backend web\n\
                backend web\n mode http\n server s1 10.0.0.1:80\n";
    let rig = Rig::tcp(text);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "GET / HTTP/1.1\r\nHost: h\r\nx-front: 1\r\n\r\n");
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    let mut client = Client::of(rig.client());
    client.get("/b");
    let mut server = rig.server("s1");
    assert_eq!(server.take(), "GET /b HTTP/1.1\r\nhost: h\r\nx-front: 1\r\n\r\n");
    server.send(OK);
    assert_eq!(client.saw().len(), 2);
}

/// What is HTTP does not become TCP again: as HAProxy does it, there is no answer.
#[test]
fn http_cannot_go_to_a_backend_in_tcp_mode() {
    let rig = Rig::tcp(SWITCH);
    let mut client = rig.client();
    client.send("GET /bytes HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.take(), "");
    assert!(client.has_ended());
    assert_eq!(rig.opened("s2"), 0);
    assert_eq!(rig.log(), ["bytes 500 IR"]);
}

/// TCP rules look at the first request once, and what they have noted of it is there for those of HTTP.
#[test]
fn rules_run_once_and_their_variables_stay() {
    let count = "tcp-request content set-var(sess.n) var(sess.n),add(1) if { var(sess.n) -m found }\n \
                 tcp-request content set-var(sess.n) int(1) unless { var(sess.n) -m found }\n \
                 tcp-request content set-var(txn.t) str(seen)\n ";
    for switch in ["tcp-request content switch-mode http if HTTP\n ", ""] {
        let rig = Rig::tcp(&format!(
            "frontend p\n bind :80\n tcp-request inspect-delay 2s\n {count}{switch}\
             http-request set-header x-n %[var(sess.n)]/%[var(txn.t)]\n default_backend web\n\
             backend web\n mode http\n server s1 10.0.0.1:80\n"
        ));
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        let asked = server.take();
        assert!(asked.contains("x-n: 1/seen\r\n"), "{switch}: {asked}");
        server.send(OK);
        client.take();
        client.send(GET);
        let asked = server.take();
        assert!(asked.contains("x-n: 2/seen\r\n"), "{switch}: {asked}");
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
}
