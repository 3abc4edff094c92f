//! Rules that hold a message, speak before its answer, or say how a server is to be had.

use super::rig::{GET, OK, Reception, Rig, answers};

#[test]
fn a_pause_takes_its_time() {
    let rig = Rig::listen(&[
        "http-request pause 500 if { path /slow }",
        "http-request pause req.hdr(x-ms) if { req.hdr(x-ms) -m found }",
        "http-response pause 200 if { status 200 }",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    client.send(GET.replace("/ ", "/slow "));
    assert_eq!(rig.opened("s1"), 0);
    rig.pass(499);
    assert_eq!(rig.opened("s1"), 0);
    rig.pass(2);
    let mut server = rig.server("s1");
    assert!(server.take().starts_with("GET /slow "));
    server.send(OK);
    assert_eq!(client.take(), "");
    rig.pass(201);
    assert_eq!(answers(&client.take()), [200]);
    client.send(GET.replace("Host", "X-Ms: 300\r\nHost"));
    assert_eq!(server.take(), "");
    rig.pass(301);
    assert!(server.take().starts_with("GET / "));
    client.leave();
}

#[test]
fn a_client_that_leaves_in_a_pause_takes_no_server() {
    let rig = Rig::listen(&["http-request pause 500", "option abortonclose", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    client.leave();
    rig.pass(1000);
    assert_eq!(rig.opened("s1"), 0);
}

#[test]
fn hints_come_before_the_answer() {
    let rig = Rig::listen(&[
        "http-request early-hint Link \"<%[path].css>; rel=preload\"",
        "http-request early-hint X-More yes if { path /more }",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    client.send(GET.replace("/ ", "/more "));
    assert_eq!(
        client.take(),
        "HTTP/1.1 103 Early Hints\r\nlink: </more.css>; rel=preload\r\n\r\nHTTP/1.1 103 Early Hints\r\nx-more: yes\r\n\r\n"
    );
    let mut server = rig.server("s1");
    server.take();
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    // HTTP/1.0 knows no interim responses.
    let mut old = rig.client();
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.take(), "");
}

#[test]
fn lower_classes_leave_the_queue_first() {
    for set in [
        "http-request set-priority-class req.hdr(x-p)",
        "http-request set-priority-offset req.hdr(x-p),mul(1000)",
    ] {
        let rig =
            Rig::listen(&[set, "http-reuse always", "timeout queue 1m", "server s1 10.0.0.1:80 maxconn 1"]);
        let mut first = rig.client();
        first.send(GET);
        let mut server = rig.server("s1");
        server.take();
        let mut waiting = Vec::new();
        for priority in ["3", "1", "-5", "2", "1"] {
            let mut client = rig.client();
            client.send(
                GET.replace("/ ", &format!("/{priority} "))
                    .replace("Host", &format!("X-P: {priority}\r\nHost")),
            );
            waiting.push(client);
        }
        let mut order = Vec::new();
        for _ in 0..5 {
            server.send(OK);
            order.push(server.take().split(' ').nth(1).unwrap_or_default().to_owned());
        }
        assert_eq!(order, ["/-5", "/1", "/1", "/2", "/3"], "{set}");
    }
}

#[test]
fn classes_of_connections() {
    for set in [
        "tcp-request content set-priority-class src_port,sub(40000),mul(-1)",
        "tcp-request content set-priority-offset src_port,sub(40000),mul(-1)",
    ] {
        let rig = Rig::listen_tcp(&[set, "timeout queue 1m", "server s1 10.0.0.1:80 maxconn 1"]);
        let mut first = rig.client();
        first.send("first");
        let server = rig.server("s1");
        let mut clients = [rig.client(), rig.client()];
        clients[0].send("second");
        clients[1].send("third");
        server.leave();
        // Ports of later clients are higher, so their classes lower.
        assert_eq!(rig.server("s1").take(), "third", "{set}");
    }
}

#[test]
fn retries_of_a_stream() {
    for (rule, expected) in [
        ("http-request set-retries 0", "p/s1 503 SC 0"),
        ("http-request set-retries int(2)", "p/s1 503 SC 2"),
        ("tcp-request content set-retries 1", "p/s1 503 SC 1"),
        ("http-request set-retries int(500)", "p/s1 503 SC 3"),
    ] {
        let rig = Rig::listen(&[rule, "retries 3", "server s1 10.0.0.1:80"]);
        rig.receive("s1", Reception::Refused);
        let mut client = rig.client();
        client.send(GET);
        rig.pass(10_000);
        assert_eq!(answers(&client.take()), [503], "{rule}");
        assert_eq!(rig.log(), [expected], "{rule}");
    }
}

#[test]
fn the_forwarded_field_names_who_asks() {
    let rig = Rig::listen(&["option forwarded proto host for-expr str(hidden)", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let asked = rig.server("s1").take();
    assert!(asked.contains("\r\nforwarded: proto=http;host=\"h\";for=_hidden\r\n"), "{asked}");
}

#[test]
fn lines_that_rules_write() {
    for (set, expected) in [
        ("tcp-request connection do-log", "p/<NOSRV> -1 -- 0"),
        ("tcp-request session do-log", "p/<NOSRV> -1 -- 0"),
        ("tcp-request content do-log", "p/<NOSRV> -1 -- 0"),
        ("http-request do-log", "p/<NOSRV> -1 -- 0"),
        ("tcp-response content do-log", "p/s1 -1 -- 0"),
        ("http-response do-log", "p/s1 200 -- 0"),
        ("http-after-response do-log", "p/s1 200 -- 0"),
    ] {
        let rig = Rig::listen(&[set, "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        rig.exchange(&mut client, "s1");
        client.leave();
        let lines = rig.log();
        assert_eq!(lines.len(), 2, "{set}: {lines:?}");
        assert_eq!(lines[0], expected, "{set}");
    }
}
