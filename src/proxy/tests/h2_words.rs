//! Words of the configuration about HTTP/2, fetches, logs, and listeners that go.

use super::h2::Client;
use super::h2_server::server_of;
use super::rig::{GET, OK, Rig};

/// Of a request with `:authority` the whole target is logged, and so is it fetched.
#[test]
fn whole_targets() {
    let rig = Rig::listen(&[
        "log-format \"%r %HU %HV %[capture.req.uri]\"",
        "http-request set-uri /new if { path /uri }",
        "http-request set-path /new if { path /path }",
        "http-request set-header host other if { path /host }",
        "http-request set-header x-url %[url]",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = Client::of(rig.client());
    for (path, sent, url) in [
        ("/x?a=b", "/x?a=b", "http://h/x?a=b"),
        ("/uri", "/new", "/new"),
        ("/path", "/new", "http://h/new"),
        ("/host", "/host", "http://other/host"),
    ] {
        client.get(path);
        let mut server = rig.try_server("s1").unwrap_or_else(|| rig.server("s1"));
        let asked = server.take();
        assert!(asked.starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{asked}");
        assert!(asked.contains(&format!("x-url: {url}\r\n")), "{asked}");
        server.send(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        server.finish();
        client.saw();
        let whole = format!("http://h{path}");
        assert_eq!(rig.log(), [format!("GET {whole} HTTP/2.0 {whole} HTTP/2.0 {path}")]);
    }
    client.ask("OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n", true);
    assert!(rig.server("s1").take().starts_with("OPTIONS * HTTP/1.1\r\n"));
    rig.pass(20_000);
    assert_eq!(rig.log(), ["OPTIONS http://h HTTP/2.0 http://h HTTP/2.0 -"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    assert!(server.take().contains("x-url: /\r\n"));
    server.send(OK);
    assert_eq!(rig.log(), ["GET / HTTP/1.1 / HTTP/1.1 /"]);
}

const COUNTS: &str = "http-request set-header x-c %[fc_http_major]/%[fc_nb_streams]/%[fc_settings_streams_limit]/\
                      %[fc_glitches]";

#[test]
fn figures_of_connections() {
    let rig = Rig::listen_in(
        " tune.h2.fe.max-concurrent-streams 7\n tune.h2.be.max-concurrent-streams 5",
        &[
            COUNTS,
            "http-response set-header x-c %[bc_http_major]/%[bc_nb_streams]/%[bc_settings_streams_limit]/%[bc_glitches]",
            "http-reuse always",
            "server s1 10.0.0.1:80 proto h2",
        ],
    );
    let mut client = Client::of(rig.client());
    client.wire.send([0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(3));
    client.get("/");
    let mut server = server_of(&rig);
    client.get("/");
    let saw = server.saw();
    assert!(saw[0].contains("x-c: 2/1/7/3") && saw[1].contains("x-c: 2/2/7/3"), "{saw:?}");
    server.wire.send([0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(4));
    server.answer(1, "ok");
    let saw = client.saw();
    assert!(saw[0].contains("x-c: 2/2/5/4") || saw[0].contains("x-c: 2/1/5/4"), "{saw:?}");
    let one = Rig::listen(&[
        COUNTS,
        "http-response set-header x-c %[bc_http_major]/%[bc_nb_streams]/%[bc_settings_streams_limit]/%[bc_glitches]",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = one.client();
    client.send(GET);
    let mut server = one.server("s1");
    assert!(server.take().contains("x-c: 1/1/1/0\r\n"));
    server.send(OK);
    assert!(client.take().contains("x-c: 1/1/1/0\r\n"));
}

#[test]
fn servers_are_told_what_is_tuned() {
    let rig = Rig::listen_in(
        " tune.h2.be.initial-window-size 70000\n tune.h2.be.max-concurrent-streams 1\n tune.h2.be.glitches-threshold 5",
        &["http-reuse always", "server s1 10.0.0.1:80 proto h2"],
    );
    let (mut a, mut b) = (rig.client(), rig.client());
    a.send(GET);
    let mut wire = rig.server("s1");
    let first = wire.take_bytes();
    let settings = &first[24 + 9..24 + 9 + usize::from(first[24 + 2])];
    assert!(settings.chunks(6).any(|s| s == [0, 4, 0, 1, 0x11, 0x70]), "{settings:?}");
    b.send(GET);
    assert_eq!(rig.opened("s1"), 2, "one stream is all that a connection carries");
    wire.send([0, 0, 0, 4, 0, 0, 0, 0, 0].repeat(8));
    let bytes = wire.take_bytes();
    assert_eq!(bytes[bytes.len() - 4..], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
}

/// `tune.h2.fe.max-total-streams`: the last one is served, and the connection ends.
#[test]
fn a_connection_carries_so_many_streams() {
    let rig = Rig::listen_in(" tune.h2.fe.max-total-streams 2", &["server s1 10.0.0.1:80"]);
    let mut client = Client::of(rig.client());
    client.get("/");
    let (mut one, mut two) = (rig.server("s1"), {
        client.get("/");
        rig.server("s1")
    });
    assert_eq!(client.saw(), ["goaway 3 NO_ERROR"]);
    one.send(OK);
    two.send(OK);
    assert_eq!(client.saw().len(), 4);
    assert!(client.wire.has_ended());
}

/// Who is idle when its listener goes is told at once; who waits for an answer gets it.
#[test]
fn a_listener_that_goes_takes_leave() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let (mut idle, mut busy) = (Client::of(rig.client()), Client::of(rig.client()));
    busy.get("/");
    rig.shut("p");
    assert_eq!(idle.saw(), ["goaway 2147483647 NO_ERROR", "goaway 0 NO_ERROR"]);
    assert!(idle.wire.has_ended());
    assert_eq!(busy.saw(), ["goaway 2147483647 NO_ERROR"]);
    rig.server("s1").send(OK);
    let saw = busy.saw();
    assert_eq!(saw.last().map(|s| &s[..]), Some("goaway 1 NO_ERROR"), "{saw:?}");
    assert_eq!(saw.len(), 3);
    assert!(busy.wire.has_ended());
}

/// A reload that keeps the listener disturbs no stream.
#[test]
fn a_reload_disturbs_nobody() {
    let text = "listen p\n bind :80\n server s1 10.0.0.1:80\n";
    let rig = Rig::new(text);
    let mut client = Client::of(rig.client());
    client.get("/a");
    let mut server = rig.server("s1");
    rig.reload(text);
    server.send(OK);
    assert_eq!(client.saw(), ["1: HTTP/1.1 200 OK content-length: 2", "1> ok END"]);
    client.get("/b");
    assert_eq!(client.saw(), [""; 0]);
    assert!(client.machine.has_room(), "no GOAWAY");
}

/// to-body-wait, o-hugehdr.
#[test]
fn rules_that_wait_and_heads_that_are_long() {
    let rig = Rig::listen(&["http-request wait-for-body time 1s if METH_POST", "server s1 10.0.0.1:80"]);
    let mut client = Client::of(rig.client());
    let stream = client.ask("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n", false);
    client.data(stream, b"abc", false);
    rig.pass(1_100);
    let saw = client.saw();
    assert!(saw[0].starts_with("1: HTTP/1.1 408 "), "{saw:?}");
    assert_eq!(saw.last().map(|s| &s[..]), Some("1: reset NO_ERROR"));
    client.get("/");
    let long = "v".repeat(12_000);
    rig.server("s1").send(format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\nContent-Length: 2\r\n\r\nok"));
    assert_eq!(client.saw(), [&format!("3: HTTP/1.1 200 OK x-long: {long} content-length: 2"), "3> ok END"]);
}

/// fin-before, fin-idle: an answer that is about to come is waited for, whatever the client has ended; a body that can
/// never come is not.
#[test]
fn a_client_that_ends_its_direction() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = Client::of(rig.client());
    client.get("/");
    client.wire.finish();
    rig.pass(50);
    rig.server("s1").send(OK);
    assert_eq!(client.saw(), ["1: HTTP/1.1 200 OK content-length: 2", "1> ok END"]);
    assert!(client.wire.has_ended());
    let mut client = Client::of(rig.client());
    client.get("/");
    let mut server = rig.server("s1");
    server.take();
    client.wire.finish();
    rig.pass(200);
    assert!(server.has_ended());
    let mut client = Client::of(rig.client());
    let stream = client.ask("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n", false);
    client.data(stream, b"abc", false);
    let mut server = rig.server("s1");
    server.take();
    client.wire.finish();
    assert!(server.has_ended());
    assert_eq!(rig.log().len(), 3);
    assert_eq!(rig.worker.current_connections(), 0);
}

/// act-silent-drop: the client hears nothing.
#[test]
fn a_rule_that_drops_a_client_says_nothing() {
    let rig = Rig::listen(&["http-request silent-drop if { path /drop }", "server s1 10.0.0.1:80"]);
    let mut client = Client::of(rig.client());
    assert_eq!(client.saw(), [""; 0]);
    client.get("/drop");
    assert_eq!(client.saw(), [""; 0]);
    assert!(client.wire.has_ended());
    assert_eq!(rig.log(), ["p/<NOSRV> -1 PR 0"]);
}

/// srv-goaway0close: the connection goes with what it did not look at.
#[test]
fn a_server_that_leaves_and_closes() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80 proto h2"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = server_of(&rig);
    server.turn();
    server.wire.send([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    server.wire.finish();
    rig.pass(1_000);
    let mut other = server_of(&rig);
    assert_eq!(other.saw(), ["1: GET / host: h END"]);
    other.answer(1, "ok");
    assert!(client.take().starts_with("HTTP/1.1 200 OK\r\n"));
}
