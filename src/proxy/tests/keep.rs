//! Which connections outlive a request: the client's and the server's, by what both said and what options and rules add.

use super::rig::{GET, OK, Rig, answers};

/// A request and its response, and which of the two connections may carry another one.
struct Case {
    lines: &'static [&'static str],
    request: &'static str,
    response: &'static str,
    client_stays: bool,
    server_stays: bool,
}

const PLAIN: Case = Case { lines: &[], request: GET, response: OK, client_stays: true, server_stays: true };

const CLOSE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\nHost: h\r\n\r\n";
const OLD_KEEP: &str = "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n";

fn check(cases: &[Case]) {
    for case in cases {
        let Case { lines, request, response, client_stays, server_stays } = case;
        let rig = Rig::listen(&[*lines, &["server s1 10.0.0.1:80"]].concat());
        let mut client = rig.client();
        client.send(request);
        let mut server = rig.server("s1");
        let asked = server.take().to_lowercase();
        server.send(response);
        if !response.contains("Length") && !response.contains("chunked") {
            server.finish();
        }
        let answer = client.take().to_lowercase();
        let what = format!("{lines:?} {request:?} {response:?}: {asked:?} {answer:?}");
        assert!(answer.starts_with("http/1.") && answer.contains(" 200 ok\r\n"), "{what}");
        assert_eq!(!client.has_ended(), *client_stays, "client: {what}");
        assert_eq!(rig.idle("s1") == 1, *server_stays, "server: {what}");
        assert_eq!(!server.has_ended(), *server_stays, "server: {what}");
        // What is said and what is done are one.
        let says_close = answer.contains("connection: close\r\n");
        if !request.contains("HTTP/1.0") {
            assert_eq!(says_close, !client_stays, "said to the client: {what}");
        }
    }
}

#[test]
fn both_stay_by_default() {
    check(&[PLAIN]);
}

#[test]
fn the_client_says_whether_its_connection_stays() {
    check(&[
        Case { request: CLOSE, client_stays: false, ..PLAIN },
        Case { request: OLD, client_stays: false, ..PLAIN },
        Case { request: OLD_KEEP, ..PLAIN },
        Case {
            request: "GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\n",
            client_stays: false,
            ..PLAIN
        },
    ]);
}

#[test]
fn the_server_says_whether_its_connection_stays() {
    check(&[
        Case {
            response: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            server_stays: false,
            ..PLAIN
        },
        Case { response: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", server_stays: false, ..PLAIN },
        Case {
            response: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            ..PLAIN
        },
        Case { response: "HTTP/1.1 200 OK\r\n\r\nok", client_stays: false, server_stays: false, ..PLAIN },
    ]);
}

#[test]
fn options_end_one_or_both() {
    check(&[
        Case { lines: &["option http-server-close"], server_stays: false, ..PLAIN },
        Case { lines: &["option httpclose"], client_stays: false, server_stays: false, ..PLAIN },
        Case {
            lines: &["option http-server-close"],
            request: CLOSE,
            client_stays: false,
            server_stays: false,
            ..PLAIN
        },
    ]);
}

#[test]
fn rules_end_one_or_the_other() {
    check(&[
        Case { lines: &["http-request set-header Connection close"], server_stays: false, ..PLAIN },
        Case { lines: &["http-response set-header Connection close"], client_stays: false, ..PLAIN },
        Case { lines: &["http-after-response set-header Connection close"], client_stays: false, ..PLAIN },
        Case { lines: &["http-response add-header Connection close"], client_stays: false, ..PLAIN },
    ]);
}

#[test]
fn the_server_is_told_that_its_connection_ends() {
    for line in ["option http-server-close", "option httpclose", "http-request set-header Connection close"] {
        let rig = Rig::listen(&[line, "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(GET);
        let request = rig.server("s1").take().to_lowercase();
        assert_eq!(request.matches("connection: close\r\n").count(), 1, "{line}: {request}");
    }
}

#[test]
fn a_request_behind_the_last_one_is_not_served() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(format!("{CLOSE}{GET}"));
    let mut server = rig.server("s1");
    server.take();
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert!(client.has_ended());
    assert_eq!(server.take(), "");
    assert_eq!(rig.log().len(), 1);
}

#[test]
fn an_idle_client_is_let_go_after_http_keep_alive() {
    let rig = Rig::listen(&[
        "timeout http-keep-alive 3s",
        "timeout http-request 1s",
        "timeout client 9s",
        "server s1 10.0.0.1:80",
    ]);
    let mut client = rig.client();
    let (_server, _) = rig.exchange(&mut client, "s1");
    rig.log();
    rig.pass(2_999);
    assert!(!client.has_ended());
    rig.pass(1);
    assert!(client.has_ended(), "without a word");
    assert_eq!(rig.log(), [""; 0]);
}

#[test]
fn http_request_counts_for_the_idle_where_there_is_no_http_keep_alive() {
    let rig = Rig::listen(&["timeout http-request 2s", "timeout client 9s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let (_server, _) = rig.exchange(&mut client, "s1");
    rig.pass(1_999);
    assert!(!client.has_ended());
    rig.pass(1);
    assert!(client.has_ended());
}

#[test]
fn the_next_request_has_a_time_of_its_own() {
    let rig =
        Rig::listen(&["timeout http-keep-alive 9s", "timeout http-request 2s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let (_server, _) = rig.exchange(&mut client, "s1");
    rig.log();
    rig.pass(5_000);
    client.send("GET /next HTTP/1.1\r\n");
    rig.pass(1_999);
    assert_eq!(client.take(), "");
    rig.pass(1);
    assert_eq!(answers(&client.take()), [408]);
    assert_eq!(rig.log(), ["p/<NOSRV> 408 cR 0"]);
}

#[test]
fn a_client_may_end_its_direction_and_still_be_answered() {
    let rig = Rig::listen(&["no option abortonclose", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    client.finish();
    let mut server = rig.server("s1");
    server.take();
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let rig = Rig::listen(&["option abortonclose", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    client.leave();
    assert!(server.has_ended());
    assert_eq!(rig.log(), ["p/s1 400 CH 0"]);
    assert_eq!(rig.served("s1"), 0);
    assert_eq!(rig.count("s1").cli_aborts, 1);
}
