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
        assert!(next.take().contains(" /next "));
        next.send("HTTP/1.1 299 Next\r\nContent-Length: 0\r\n\r\n");
        let last = client.take();
        assert!(last.starts_with("HTTP/1.1 ") && is_one_head(&last), "{lines:?} {request:?} {response:?}");
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
fn statuses_without_a_body_that_rules_set_take_the_body_off() {
    for set in
        ["http-response set-status 204", "http-response set-status 304", "http-after-response set-status 204"]
    {
        for response in [
            OK,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf",
        ] {
            let (_, _, text) = ask(&[set], GET, response);
            assert!(is_one_head(&text), "{set} {response:?}: {text}");
            assert!(!text.contains("204") || !text.to_lowercase().contains("content-length"), "{text}");
            assert!(!text.contains("204") || !text.to_lowercase().contains("transfer-encoding"), "{text}");
        }
    }
}

#[test]
fn an_answer_that_a_rule_gives_a_body_says_that_it_is_empty() {
    for response in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"] {
        let (_, _, text) = ask(&["http-response set-status 200"], GET, response);
        assert!(is_one_head(&text) && text.to_lowercase().contains("content-length: 0\r\n"), "{text}");
    }
}

#[test]
fn the_clients_own_method_counts() {
    let (_, asked, text) = ask(&["http-request set-method GET"], HEAD, OK);
    assert!(asked.starts_with("GET / "));
    assert!(is_one_head(&text), "{text}");

    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let (_, asked, text) = ask(&["http-request set-method HEAD"], GET, empty);
    assert!(asked.starts_with("HEAD / "));
    assert!(is_one_head(&text) && text.to_lowercase().contains("content-length: 0\r\n"), "{text}");
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
fn a_chunked_response_is_decoded_for_http_1_0() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4;x=y\r\n you\r\n0\r\nT: t\r\n\r\n";
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let mut server = rig.server("s1");
    server.take();
    for part in response.as_bytes().chunks(20) {
        server.send(part);
    }
    let text = client.take();
    assert!(text.ends_with("\r\n\r\nhello you"), "{text}");
    assert!(!text.to_lowercase().contains("chunked"), "{text}");
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
}

#[test]
fn a_decoded_response_ends_as_any_other() {
    for (how, flags) in [("silence", "sD"), ("server", "SD"), ("client", "CD"), ("junk", "SD")] {
        let rig = Rig::listen(&["http-request set-timeout server 3s", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send("GET / HTTP/1.0\r\n\r\n");
        let mut server = rig.server("s1");
        server.take();
        server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha");
        assert!(client.take().ends_with("\r\n\r\nha"));
        rig.pass(2_999);
        server.send("lf\r\n");
        rig.pass(2_999);
        assert_eq!((client.take().as_str(), rig.log().len()), ("lf", 0), "each byte renews the time");
        match how {
            "silence" => rig.pass(1),
            "server" => server.leave(),
            "client" => client.reset(),
            _ => server.send("zz\r\n"),
        }
        assert_eq!(rig.log(), [format!("p/s1 200 {flags} 0")], "{how}");
        assert_eq!(rig.idle("s1"), 0, "{how}");
    }
}

/// What a server sends behind its body must never be read as the answer to somebody else.
#[test]
fn a_body_behind_a_decoded_one_ends_the_server_connection() {
    let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send("GET / HTTP/1.0\r\n\r\n");
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    server.send(format!("2\r\nok\r\n0\r\n\r\n{}", &OK[..20]));
    assert!(client.take().ends_with("\r\n\r\nok"));
    assert_eq!(rig.idle("s1"), 0);
    assert!(server.has_ended());
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
