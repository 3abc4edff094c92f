//! WebSockets towards servers of either version (RFC 8441), and the word `ws`.

use super::h2::Client;
use super::h2_server::{Server, server_of};
use super::rig::{Rig, answers};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Protocol: chat\r\n\r\n";

fn rig(words: &str) -> Rig {
    Rig::listen(&["timeout tunnel 60s", &format!("server s1 10.0.0.1:80 {words}")])
}

/// Both directions of an open one, and its end.
fn exchange(server: &mut Server, send: &mut dyn FnMut(&[u8]), take: &mut dyn FnMut() -> String) {
    send(b"ping");
    assert_eq!(server.saw(), ["1> ping"]);
    server.machine.send_data(1, b"pong", false).expect("live");
    server.turn();
    assert_eq!(take(), "pong");
}

#[test]
fn from_http_1_to_http_2() {
    let rig = rig("proto h2");
    let mut client = rig.client();
    client.send(ASK);
    let mut server = server_of(&rig);
    let saw = server.saw();
    assert_eq!(saw.len(), 1, "{saw:?}");
    assert!(saw[0].starts_with("1: GET /chat host: h, "), "{saw:?}");
    assert!(saw[0].contains("upgrade: websocket") && saw[0].contains("sec-websocket-version: 13"), "{saw:?}");
    assert!(!saw[0].contains("dGhlIHNhbXBsZSBub25jZQ=="), "the key is not for HTTP/2: {saw:?}");
    server.head(1, 101, &[("sec-websocket-protocol", "chat")], false);
    let answer = client.take();
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert!(answer.contains("\r\nsec-websocket-protocol: chat\r\n"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    client.send(b"ping");
    assert_eq!(server.saw(), ["1> ping"]);
    server.machine.send_data(1, b"pong", false).expect("live");
    server.turn();
    assert_eq!(client.take(), "pong");
    client.finish();
    assert_eq!(server.saw(), ["1>  END"]);
    server.machine.send_data(1, b"", true).expect("live");
    server.turn();
    assert!(client.has_ended());
    assert_eq!(rig.log(), ["p/s1 101 -- 0"]);
}

#[test]
fn from_http_2_to_http_2() {
    let rig = rig("proto h2");
    let mut client = Client::of(rig.client());
    let stream = client.ask(ASK, false);
    let mut server = server_of(&rig);
    assert!(server.saw()[0].starts_with("1: GET /chat host: h, "));
    server.head(1, 101, &[], false);
    assert_eq!(client.saw(), ["1: HTTP/1.1 200 OK"]);
    let client = std::cell::RefCell::new(client);
    exchange(&mut server, &mut |bytes| client.borrow_mut().data(stream, bytes, false), &mut || {
        client.borrow_mut().saw().concat().replace("1> ", "")
    });
}

/// A server that does not take them says so in its SETTINGS; other answers go on as they are.
#[test]
fn servers_that_do_not_open_one() {
    let one = rig("proto h2");
    let mut client = one.client();
    client.send(ASK);
    let mut wire = one.server("s1");
    wire.take_bytes();
    assert_eq!(client.take(), "", "its SETTINGS are waited for");
    wire.send([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(answers(&client.take()), [502]);
    let two = rig("proto h2");
    let mut client = two.client();
    client.send(ASK);
    let mut server = server_of(&two);
    server.saw();
    server.head(1, 403, &[("x-why", "no")], true);
    let answer = client.take();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\nx-why: no\r\n"), "{answer}");
}

/// `ws h1` and `ws h2` beside what other requests are asked with.
#[test]
fn a_version_of_their_own() {
    let one = rig("proto h2 ws h1");
    let mut client = one.client();
    client.send(ASK);
    let asked = one.server("s1").take();
    assert!(asked.starts_with("GET /chat HTTP/1.1\r\n"), "{asked}");
    let two = rig("ws h2");
    let mut client = two.client();
    client.send(ASK);
    let mut server = server_of(&two);
    assert!(server.saw()[0].starts_with("1: GET /chat host: h, "));
    server.head(1, 101, &[], false);
    assert_eq!(answers(&client.take()), [101]);
    let mut client = two.client();
    client.send(super::rig::GET);
    assert_eq!(two.server("s1").take(), super::rig::GET, "other requests speak HTTP/1");
    let three = rig("ws auto");
    let mut client = three.client();
    client.send(ASK);
    assert!(three.server("s1").take().starts_with("GET /chat HTTP/1.1\r\n"));
}
