//! Framing follows what the client asked and what is sent to it, whatever rules made of method, status and fields.

use super::rig::{GET, OK, Rig, answers};

/// What the client gets for `request` when the server answers with `response`, and what the server was asked.
fn ask(lines: &[&str], request: &str, response: &str) -> (Rig, String, String) {
    let rig = Rig::listen(&[lines, &["server s1 10.0.0.1:80"][..]].concat());
    let mut client = rig.client();
    client.send(request);
    let mut server = rig.server("s1");
    let asked = server.take();
    server.send(response);
    let text = client.take();
    // What follows on the connection is the next response, or its end.
    if !client.has_ended() && !text.is_empty() {
        client.send("GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let mut next = rig.try_server("s1").unwrap_or(server);
        assert!(next.take().starts_with("GET /next "));
        next.send("HTTP/1.1 299 Next\r\nContent-Length: 0\r\n\r\n");
        assert!(client.take().starts_with("HTTP/1.1 299 "), "{lines:?} {request:?} {response:?}");
        assert!(client.has_ended());
    }
    (rig, asked, text)
}

fn is_one_head(text: &str) -> bool {
    text.ends_with("\r\n\r\n") && text.matches("\r\n\r\n").count() == 1
}

const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn responses_without_a_body_are_heads_alone() {
    for (request, response) in [
        (HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (HEAD, "HTTP/1.1 200 OK\r\n\r\n"),
        (GET, "HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (GET, "HTTP/1.1 304 Not Modified\r\n\r\n"),
        (GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let (rig, _, text) = ask(&[], request, response);
        assert!(is_one_head(&text), "{request:?} {response:?}: {text}");
        assert_eq!(rig.opened("s1"), 1, "{response:?}: its connection is of use");
    }
}

#[test]
fn a_length_that_tells_of_another_answer_stays() {
    for (request, response) in [
        (HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ] {
        let (_, _, text) = ask(&[], request, response);
        assert!(text.to_lowercase().contains("content-length: 5\r\n"), "{text}");
    }
}

#[test]
fn answers_of_the_proxys_own_are_heads_for_head() {
    for rule in [
        "http-request deny",
        "http-request return status 200 content-type text/plain string hello",
        "http-request redirect location /x",
        "http-request auth",
        "http-request set-method GET\n http-request deny",
    ] {
        let rig = Rig::listen(&[rule, "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(HEAD);
        let text = client.take();
        assert!(is_one_head(&text), "{rule}: {text}");
        client.send(HEAD);
        assert!(is_one_head(&client.take()), "{rule}: the connection goes on");
    }
}

#[test]
fn a_body_that_answers_head_goes_nowhere() {
    let (rig, _, text) = ask(&["http-reuse always"], HEAD, OK);
    assert!(is_one_head(&text), "{text}");
    assert_eq!(rig.opened("s1"), 2, "who sends a body where none is asked for is not asked again");
}

#[test]
fn interim_responses_go_before_the_final_one() {
    for status in [100, 102, 103] {
        let interim = format!("HTTP/1.1 {status} x\r\nLink: y\r\n\r\n");
        let (_, _, text) = ask(&[], GET, &format!("{interim}{interim}{OK}"));
        assert_eq!(answers(&text), [status, status, 200]);
        assert!(text.ends_with("\r\n\r\nok"));
    }
}

#[test]
fn http_1_0_gets_no_interim_response() {
    let old = "GET / HTTP/1.0\r\n\r\n";
    let (rig, _, text) = ask(&[], old, &format!("HTTP/1.1 103 x\r\nLink: y\r\n\r\n{OK}"));
    assert_eq!(answers(&text), [200]);
    let counted = rig.count("s1");
    assert_eq!((counted.rsp_1xx, counted.rsp_2xx), (1, 1));
}

#[test]
fn a_long_interim_head_leaves_room_for_the_final_one() {
    let long = "x".repeat(9_000);
    let response = format!(
        "HTTP/1.1 103 x\r\nLink: {long}\r\n\r\nHTTP/1.1 200 OK\r\nX: {long}\r\nContent-Length: 2\r\n\r\nok"
    );
    let (_, _, text) = ask(&[], GET, &response);
    assert_eq!(answers(&text), [103, 200]);
    assert!(text.ends_with("\r\n\r\nok"));
}

#[test]
fn a_protocol_that_nobody_asked_for_is_no_answer() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    assert_eq!(answers(&client.take()), [502]);
    assert!(server.has_ended());
    assert_eq!(rig.log(), ["p/s1 502 PH 0"]);
}

#[test]
fn chunks_win_over_a_length() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let mut server = rig.server("s1");
    let asked = server.take().to_lowercase();
    assert!(!asked.contains("content-length") && asked.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{asked}");
    server.send(OK);
    assert_eq!(answers(&client.take()), [200]);
}

#[test]
fn malformed_responses_are_502_and_end_the_server_connection() {
    for response in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        server.send(response);
        assert_eq!(answers(&client.take()), [502], "{response:?}");
        assert!(server.has_ended(), "{response:?}");
        assert_eq!(rig.log(), ["p/s1 502 PH 0"], "{response:?}");
    }
}
