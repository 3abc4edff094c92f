//! Options that change what a connection goes through, each beside what happens without it.

use super::rig::{GET, OK, Reception, Rig, Wire, answers};

const S1: &str = "server s1 10.0.0.1:80";

/// Whether a request whose body is still to come has reached the server.
fn is_sent_early(lines: &[&str]) -> bool {
    let rig = Rig::listen(&[lines, &[S1][..]].concat());
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf ");
    let early = rig.try_server("s1").is_some();
    client.send("again");
    assert!(early || rig.try_server("s1").is_some_and(|mut server| server.take().ends_with("half again")));
    early
}

/// The address that the client went to, as a rule says.
#[test]
fn transparent() {
    for line in ["option transparent", "transparent"] {
        let rig = Rig::new(&format!(
            "listen p\n bind :80\n {line}\n http-request set-dst str(10.0.0.9)\n http-request set-dst-port int(81)\n\
             backend far\n server s9 10.0.0.9:81\n"
        ));
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s9");
        assert_eq!(server.take(), GET, "{line}");
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
    }
}

#[test]
fn http_buffer_request() {
    assert!(is_sent_early(&[]));
    assert!(!is_sent_early(&["option http-buffer-request"]));
}

#[test]
fn http_ignore_probes() {
    for (option, said, lines) in [("", 1, 1), ("option http-ignore-probes", 0, 0)] {
        let rig = Rig::listen(&[option, S1]);
        let mut silent = rig.client();
        rig.pass(10_001);
        assert_eq!(answers(&silent.take()).len(), said, "{option}");
        assert_eq!(rig.log().len(), lines, "{option}");
        assert!(silent.has_ended());
    }
}

#[test]
fn http_pretend_keepalive() {
    for (option, tells) in [("", true), ("option http-pretend-keepalive", false)] {
        let rig = Rig::listen(&["option http-server-close", option, S1]);
        let mut client = rig.client();
        client.send(GET);
        let text = rig.server("s1").take().to_lowercase();
        assert_eq!(text.contains("connection: close"), tells, "{option}: {text}");
    }
}

#[test]
fn http_keep_alive() {
    for (option, tells) in [("", true), ("option http-keep-alive", false)] {
        let rig = Rig::listen(&["option httpclose", option, S1]);
        let mut client = rig.client();
        let (_server, text) = rig.exchange(&mut client, "s1");
        assert_eq!(text.to_lowercase().contains("connection: close"), tells, "{option}: {text}");
    }
}

#[test]
fn allbackups() {
    for (option, expected) in [("", [2, 0]), ("option allbackups", [1, 1])] {
        let rig = Rig::listen(&[
            "http-reuse never",
            option,
            "server s1 10.0.0.1:80 backup",
            "server s2 10.0.0.2:80 backup",
        ]);
        let mut clients: Vec<Wire> = (0..2).map(|_| rig.client()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        assert_eq!(["s1", "s2"].map(|name| rig.opened(name)), expected, "{option}");
    }
}

/// Names of fields with blanks.
#[test]
fn accept_unsafe_violations() {
    let dubious = "GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n";
    for (option, status) in [
        ("", 400),
        ("option accept-unsafe-violations-in-http-request", 200),
        ("option accept-invalid-http-request", 200),
    ] {
        let rig = Rig::listen(&[option, S1]);
        let mut client = rig.client();
        client.send(dubious);
        if let Some(mut server) = rig.try_server("s1") {
            server.take();
            server.send(OK);
        }
        assert_eq!(answers(&client.take()), [status], "{option}");
    }
    for (option, status) in [
        ("", 502),
        ("option accept-unsafe-violations-in-http-response", 200),
        ("option accept-invalid-http-response", 200),
    ] {
        let rig = Rig::listen(&[option, S1]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        server.send("HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(answers(&client.take()), [status], "{option}");
    }
}

/// A client of TCP that leaves while its connection to the server is under way.
#[test]
fn abortonclose() {
    for (option, goes_on) in [("", true), ("option abortonclose", false)] {
        let rig = Rig::listen_tcp(&[option, "server s1 10.0.0.1:80 maxconn 1"]);
        let mut first = rig.client();
        first.send("first");
        let mut server = rig.server("s1");
        server.take();
        let mut second = rig.client();
        second.send("second");
        second.finish();
        first.leave();
        server.leave();
        rig.settle();
        let reached = rig.try_server("s1").is_some();
        assert_eq!(reached, goes_on, "{option}");
    }
}

/// Times that only a connection that is under way, or ended by one side, goes by.
#[test]
fn timeouts_of_tunnels() {
    for (line, at) in [("timeout client 10s", 10_000), ("timeout tunnel 60s", 60_000)] {
        let rig = Rig::listen_tcp(&["timeout client 10s", "timeout server 10s", line, S1]);
        let mut client = rig.client();
        client.send("a");
        let mut server = rig.server("s1");
        server.take();
        server.send("b");
        client.take();
        rig.pass(at - 100);
        assert!(!client.has_ended(), "{line}");
        rig.pass(200);
        assert!(client.has_ended(), "{line}");
    }
}

#[test]
fn timeouts_of_half_closed_tunnels() {
    for (line, by_client) in [("timeout client-fin 2s", false), ("timeout server-fin 2s", true)] {
        for (line, at) in [("", 10_000), (line, 2000)] {
            let rig = Rig::listen_tcp(&["timeout server 10s", line, S1]);
            let mut client = rig.client();
            client.send("a");
            let mut server = rig.server("s1");
            server.take();
            if by_client {
                client.finish();
            } else {
                server.finish();
            }
            let other = if by_client { &mut server } else { &mut client };
            other.take();
            rig.pass(at - 100);
            let lines = rig.log().len();
            rig.pass(200);
            assert_eq!((lines, rig.log().len()), (0, 1), "{line} {by_client}");
        }
    }
}

#[test]
fn timeouts_of_requests() {
    for (line, at) in [("timeout client 10s", 10_000), ("timeout http-request 3s", 3000)] {
        let rig = Rig::listen(&[line, S1]);
        let mut client = rig.client();
        client.send("GET / HT");
        rig.pass(at - 100);
        assert_eq!(client.take(), "", "{line}");
        rig.pass(200);
        assert_eq!(answers(&client.take()), [408], "{line}");
    }
    for (line, at) in [("timeout client 10s", 10_000), ("timeout http-keep-alive 3s", 3000)] {
        let rig = Rig::listen(&[line, S1]);
        let mut client = rig.client();
        rig.exchange(&mut client, "s1");
        rig.pass(at - 100);
        assert!(!client.has_ended(), "{line}");
        rig.pass(200);
        assert!(client.has_ended(), "{line}");
    }
}

#[test]
fn timeout_tarpit() {
    for (line, at) in [("", 3000), ("timeout tarpit 1s", 1000)] {
        let rig = Rig::listen(&["http-request tarpit", line, S1]);
        let mut client = rig.client();
        client.send(GET);
        rig.pass(at - 100);
        assert_eq!(client.take(), "", "{line}");
        rig.pass(200);
        assert_eq!(answers(&client.take()), [500], "{line}");
    }
}

/// A response rule gives the stream another time for its server.
#[test]
fn set_timeout_of_a_response() {
    for (line, at) in [("", 20_000), ("http-response set-timeout server 2s", 2000)] {
        let rig = Rig::listen(&[line, S1]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        server.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        client.take();
        rig.pass(at - 100);
        let lines = rig.log().len();
        rig.pass(200);
        assert_eq!((lines, rig.log()), (0, vec!["p/s1 200 sD 0".to_owned()]), "{line}");
    }
}

/// New sessions of a frontend in a second.
#[test]
fn rate_limit_sessions() {
    for (line, admitted) in [("", 5), ("rate-limit sessions 2", 2)] {
        let rig = Rig::listen(&[line, S1]);
        let clients: Vec<_> = (0..5).filter_map(|_| rig.try_client("p")).collect();
        assert_eq!(clients.len(), admitted, "{line}");
    }
}

/// How many idle connections a server keeps, and for how long.
#[test]
fn limits_of_servers() {
    let idle = |line: &str, ms: u64| {
        let rig = Rig::listen(&["http-reuse always", line]);
        let mut clients: Vec<Wire> = (0..3).map(|_| rig.client()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        for client in &mut clients {
            let mut server = rig.server("s1");
            server.take();
            server.send(OK);
            // It stays open on this side.
            std::mem::forget(server);
            client.take();
        }
        rig.pass(ms);
        rig.idle("s1")
    };
    assert_eq!(idle(S1, 100), 3);
    assert_eq!(idle("server s1 10.0.0.1:80 pool-max-conn 1", 100), 1);
    assert_eq!(idle("server s1 10.0.0.1:80 pool-purge-delay 2s", 100), 3);
    assert_eq!(idle("server s1 10.0.0.1:80 pool-purge-delay 2s", 4000), 0);
    assert!(idle(S1, 4000) > 0);
}

/// `fullconn` is what dynamic limits of servers are measured by.
#[test]
fn fullconn() {
    for (line, opened) in [("fullconn 1000", 1), ("fullconn 2", 3)] {
        let rig = Rig::listen(&[line, "server s1 10.0.0.1:80 minconn 1 maxconn 3"]);
        rig.receive("s1", Reception::Open);
        let mut clients: Vec<Wire> = (0..3).map(|_| rig.client()).collect();
        clients.iter_mut().for_each(|client| client.send(GET));
        assert_eq!(rig.opened("s1"), opened, "{line}");
    }
}
