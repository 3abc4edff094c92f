//! Bodies on their way: lengths and chunks, uploads that fail or go on too long, answers that come before their end.

use super::rig::{GET, OK, Rig, answers};

const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").expect("a head").1
}

#[test]
fn an_upload_goes_on_as_it_comes() {
    for (head, parts) in [
        (POST, ["01234", "567", "89"]),
        (CHUNKED, ["5\r\n01234\r\n5", "\r\n56789\r\n", "0\r\nX: trailer\r\n\r\n"]),
    ] {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(head);
        let mut server = rig.server("s1");
        assert_eq!(body(&server.take()), "");
        for part in parts {
            client.send(part);
            assert_eq!(server.take(), part);
        }
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
        assert_eq!(rig.idle("s1"), 1);
        assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
    }
}

#[test]
fn a_download_goes_on_as_it_comes() {
    for (framing, parts) in [
        ("Content-Length: 10", ["01234", "567", "89"]),
        ("Transfer-Encoding: chunked", ["5\r\n01234\r\n5", "\r\n56789\r\n", "0\r\nX: trailer\r\n\r\n"]),
    ] {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        server.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        assert_eq!(body(&client.take()), "");
        for part in parts {
            server.send(part);
            assert_eq!(client.take(), part);
        }
        assert_eq!(rig.idle("s1"), 1);
        assert_eq!(rig.log(), ["p/s1 200 -- 0"]);
    }
}

#[test]
fn large_bodies_arrive_whole() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", large.len()));
    let mut server = rig.server("s1");
    server.take();
    let (mut sent, mut received) = (0, Vec::new());
    while sent < large.len() {
        sent += client.offer(&large[sent..]);
        received.extend(server.take_bytes());
    }
    assert!(received == large, "the upload");
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large.len()));
    client.take();
    let (mut sent, mut received) = (0, Vec::new());
    while sent < large.len() {
        sent += server.offer(&large[sent..]);
        received.extend(client.take_bytes());
    }
    assert!(received == large, "the download");
    assert_eq!(rig.idle("s1"), 1);
    let counted = rig.front("p");
    assert!(counted.bytes_in > 3_000_000 && counted.bytes_out > 3_000_000);
}

#[test]
fn a_malformed_chunk_ends_the_request_and_both_connections() {
    for bad in ["zz\r\n", "5\r\n01234xx", "-1\r\n", "fffffffffffffffff\r\n"] {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(CHUNKED);
        let mut server = rig.server("s1");
        client.send("2\r\nab\r\n");
        client.send(bad);
        assert_eq!(answers(&client.take()), [400], "{bad:?}");
        assert!(client.has_ended(), "{bad:?}");
        server.take();
        assert!(server.has_ended(), "{bad:?}");
        assert_eq!(rig.idle("s1"), 0);
        assert_eq!(rig.log(), ["p/s1 400 PD 0"], "{bad:?}");
    }
}

#[test]
fn a_client_that_leaves_within_its_body_takes_the_server_connection_along() {
    for head in [POST, CHUNKED] {
        let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(head);
        client.send("2\r\nab");
        let mut server = rig.server("s1");
        server.take();
        client.leave();
        assert!(server.has_ended());
        assert_eq!(rig.idle("s1"), 0);
        assert_eq!(rig.served("s1"), 0);
        assert_eq!(rig.log(), ["p/s1 400 CD 0"]);
    }
}

/// The server answers while the upload is under way. Its connection must not meet another request before the rest of
/// this one went through it.
#[test]
fn the_connection_of_an_unfinished_upload_is_nobody_elses() {
    for head in [POST, CHUNKED] {
        let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(head);
        let mut server = rig.server("s1");
        server.take();
        server.send(OK);
        assert_eq!(answers(&client.take()), [200], "the answer does not wait for the body");
        let mut other = rig.client();
        other.send(GET);
        assert_eq!(rig.opened("s1"), 2);
        assert_eq!(server.take(), "");
        client.leave();
        assert!(server.has_ended(), "its request was never whole");
        other.leave();
        let mut third = rig.client();
        third.send(GET);
        assert_eq!(server.take(), "");
    }
}

#[test]
fn an_upload_that_ends_behind_its_answer_leaves_both_connections_well() {
    for (head, rest) in [(POST, "0123456789"), (CHUNKED, "a\r\n0123456789\r\n0\r\n\r\n")] {
        let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(head);
        let mut server = rig.server("s1");
        server.take();
        server.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        assert_eq!(answers(&client.take()), [413]);
        client.send(format!("{rest}{GET}"));
        let text = server.take();
        assert_eq!(text.strip_prefix(rest).map(|next| next.starts_with("GET / ")), Some(true), "{text}");
        server.send(OK);
        assert_eq!(answers(&client.take()), [200]);
        assert_eq!(rig.opened("s1"), 1);
        assert_eq!(rig.log(), ["p/s1 413 -- 0", "p/s1 200 -- 0"]);
    }
}

#[test]
fn the_client_ends_its_upload_though_the_server_has_left() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    let length = 2_000_000;
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
    server.leave();
    client.send(vec![b'x'; length]);
    assert_eq!(answers(&client.take()), [413]);
    let mut left = rig.client();
    rig.exchange(&mut left, "s1");
    assert_eq!(rig.opened("s1"), 2);
}

#[test]
fn an_answer_of_the_proxys_own_reaches_a_client_that_still_sends() {
    for rule in
        ["http-request deny", "http-request return status 403", "http-request redirect location /x code 302"]
    {
        let rig = Rig::listen(&[rule, "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        let length = 2_000_000;
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"));
        client.send(vec![b'x'; length]);
        let text = client.take();
        assert!(matches!(answers(&text)[..], [403] | [302]), "{rule}: {text}");
    }
}

#[test]
fn a_streamed_body_is_never_sent_again() {
    for fault in ["", "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200", "nonsense\r\n\r\n"] {
        let rig = Rig::listen(&["retry-on all-retryable-errors", "retries 3", "server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(POST);
        let mut server = rig.server("s1");
        client.send("0123456789");
        assert!(server.take().ends_with("0123456789"));
        server.send(fault);
        server.leave();
        let status = if fault.contains("503") { 503 } else { 502 };
        assert_eq!(answers(&client.take()), [status], "{fault:?}");
        rig.pass(60_000);
        assert_eq!(rig.opened("s1"), 1, "{fault:?}");
    }
}

#[test]
fn a_body_that_is_at_hand_is_sent_again() {
    let rig = Rig::listen(&["retry-on empty-response", "retries 3", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(format!("{POST}0123456789"));
    let mut server = rig.server("s1");
    assert!(server.take().ends_with("0123456789"));
    server.leave();
    let mut again = rig.server("s1");
    let text = again.take();
    assert!(text.starts_with("POST / ") && text.ends_with("\r\n\r\n0123456789"), "{text}");
    again.send(OK);
    assert_eq!(answers(&client.take()), [200]);
    assert_eq!(rig.log(), ["p/s1 200 -- 1"]);
}

#[test]
fn a_server_that_cuts_its_body_short_is_told_from_one_that_does_not() {
    for (framing, sent) in [("Content-Length: 9", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")] {
        let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
        let mut client = rig.client();
        client.send(GET);
        let mut server = rig.server("s1");
        server.take();
        server.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{sent}"));
        server.leave();
        assert!(client.take().ends_with(sent));
        assert!(client.has_ended());
        assert_eq!(rig.log(), ["p/s1 200 SD 0"], "{framing}");
        let server = rig.count("s1");
        assert_eq!((server.srv_aborts, server.err_resp), (1, 1), "{framing}");
    }
}

#[test]
fn a_client_that_leaves_within_the_answer_ends_the_server_connection() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    client.reset();
    assert!(server.has_ended());
    assert_eq!(rig.log(), ["p/s1 200 CD 0"]);
    assert_eq!(rig.count("s1").cli_aborts, 1);
}

#[test]
fn a_body_behind_the_announced_one_ends_the_server_connection() {
    let rig = Rig::listen(&["http-reuse always", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(GET);
    let mut server = rig.server("s1");
    server.take();
    server.send(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
    assert!(client.take().ends_with("\r\n\r\nok"));
    assert_eq!(rig.idle("s1"), 0);
    client.send(GET);
    assert_eq!(rig.opened("s1"), 2);
}

#[test]
fn a_client_is_asked_for_the_body_that_rules_wait_for() {
    let rig = Rig::listen(&["http-request wait-for-body time 3s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(answers(&client.take()), [100]);
    assert_eq!(rig.opened("s1"), 0);
    client.send("0123456789");
    let request = rig.server("s1").take();
    assert!(request.ends_with("\r\n\r\n0123456789") && !request.contains("100-continue"), "{request}");
}

#[test]
fn wait_for_body_waits_as_long_as_it_says() {
    let rig = Rig::listen(&["http-request wait-for-body time 3s", "server s1 10.0.0.1:80"]);
    let mut client = rig.client();
    client.send(format!("{POST}012"));
    rig.pass(2_999);
    assert_eq!((client.take(), rig.opened("s1")), (String::new(), 0));
    rig.pass(1);
    assert_eq!((answers(&client.take()), rig.opened("s1")), (vec![408], 0));
}
