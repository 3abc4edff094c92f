//! What is logged and counted of a request, and when.

use super::rig::{GET, OK, Rig, answers};

#[test]
fn logasap_writes_the_line_with_the_head() {
    let rig = Rig::listen(&["option logasap", "log-format \"%ST %B %Tt %ts\"", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    rig.pass(100);
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
    let log = rig.log();
    assert_eq!(log.len(), 1);
    assert!(log[0].starts_with("200 +") && log[0].contains(" +100 "), "{log:?}");
    server.send("lf");
    assert!(client.take().ends_with("half"));
    assert_eq!(rig.log(), [""; 0], "one line a request");
}

#[test]
fn dontlog_normal_leaves_faults() {
    let rig = Rig::listen(&["option dontlog-normal", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let (server, _) = rig.exchange(&mut client, "s1");
    assert_eq!(rig.log(), [""; 0]);
    client.send(GET);
    server.leave();
    let mut next = rig.server("s1");
    next.take();
    next.send("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answers(&client.take()), [503]);
    assert_eq!(rig.log(), ["p/s1 503 -- 0"]);
}

#[test]
fn times_are_those_of_the_phases() {
    let rig = Rig::listen(&[
        "log-format \"%Tq %Tw %Tc %Tr %Tt\"",
        "timeout queue 60s",
        "server s1 10.0.0.1:80 maxconn 1",
    ]);
    let mut first = rig.client();
    first.send(GET);
    let mut server = rig.server("s1");
    let mut second = rig.client();
    rig.pass(10);
    second.send("GET / HTTP/1.1\r\n");
    rig.pass(20);
    second.send("Host: h\r\n\r\n");
    rig.pass(300);
    server.take();
    server.send(OK);
    rig.log();
    let mut server = rig.try_server("s1").unwrap_or(server);
    rig.pass(4_000);
    server.send(OK);
    let log = rig.log();
    assert_eq!(log, ["30 300 0 4000 4330"]);
}

#[test]
fn a_request_is_counted_where_it_went() {
    let rig = Rig::new(
        "frontend f\n bind :80\n http-request deny if { path /no }\n default_backend b\n\
         backend b\n http-request deny if { path /later }\n http-response deny if { res.hdr(x) -m found }\n \
         server s1 10.0.0.1:80\n",
    );
    let mut client = rig.client();
    rig.exchange(&mut client, "s1");
    client.send(GET.replace("/ ", "/no "));
    assert_eq!(answers(&client.take()), [403]);
    client.send(GET.replace("/ ", "/later "));
    assert_eq!(answers(&client.take()), [403]);
    assert_eq!((rig.front("f").denied_req, rig.back("b").denied_req), (2, 1));
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answers(&client.take()), [502]);
    let (front, back, server) = (rig.front("f"), rig.back("b"), rig.count("s1"));
    assert_eq!((front.denied_resp, back.denied_resp, server.denied_resp), (1, 1, 1));
    assert_eq!((front.http_req, back.http_req, server.http_req), (4, 3, 2));
    assert_eq!((front.rsp_2xx, front.rsp_4xx, front.rsp_5xx), (1, 2, 1));
    assert_eq!((server.rsp_2xx, server.rsp_5xx), (2, 0), "what it said, not what was made of it");
    assert_eq!(rig.log(), ["b/s1 200 -- 0", "f/<NOSRV> 403 PR 0", "b/<NOSRV> 403 PR 0", "b/s1 502 PH 0"]);
}

#[test]
fn a_target_that_is_changed_while_it_is_read_is_logged() {
    for (target, logged) in [
        ("http://h", "GET http://h/ HTTP/1.1"),
        ("http://h:80/x", "GET http://h:80/x HTTP/1.1"),
        ("/x?y", "GET /x?y HTTP/1.1"),
    ] {
        let rig = Rig::listen(&["log-format %r", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let mut server = rig.server("s1");
        server.take();
        server.send(OK);
        let log = rig.log();
        assert_eq!(log.len(), 1);
        assert!(!log[0].contains("BADREQ"), "{target}: {log:?}");
        if target.ends_with("x") || target.starts_with('/') {
            assert_eq!(log[0].replace(":80", ""), logged.replace(":80", ""), "{target}");
        }
    }
}

#[test]
fn a_service_of_the_proxys_own_counts_as_intercepted() {
    let rig = Rig::listen(&[
        "http-request return status 200 content-type text/plain string hi",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    client.send(GET);
    assert!(client.take().ends_with("\r\n\r\nhi"));
    let front = rig.front("p");
    assert_eq!((front.intercepted, front.denied_req, front.rsp_2xx), (1, 0, 1));
    assert_eq!(rig.log(), ["p/<NOSRV> 200 LR 0"]);
}
