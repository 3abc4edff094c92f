//! Cases of what an HTTP/1 origin says (`m-*`, `o-*`), as HTTP/2 has it.

use super::driver::*;
use crate::http::Head;
use crate::http::h2::{Connection, Options};

/// The fields that the answer has, and its frames.
fn sent(text: &str, end: bool, edit: impl Fn(&mut Head)) -> (String, String) {
    let mut peer = Peer::server();
    peer.origin = Origin::Silent;
    peer.send(&get(1));
    let mut head = h1(text, true);
    edit(&mut head);
    peer.connection.respond(1, &head, end).expect("live");
    peer.look();
    (peer.fields.concat(), peer.saw())
}

#[test]
fn responses_of_http_1() {
    let table = [
        (
            "m-chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Mixed: A\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
            false,
            ":status: 200\nx-mixed: A\nset-cookie: a=1\nset-cookie: b=2\n",
            "H(1,200)",
        ),
        (
            "m-trail",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nConnection: x-t\r\nX-T: 1\r\n\r\n",
            false,
            ":status: 200\ntrailer: X-T\n",
            "H(1,200)",
        ),
        (
            "m-304",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 55\r\nETag: \"x\"\r\n\r\n",
            true,
            ":status: 304\ncontent-length: 55\netag: \"x\"\n",
            "H(1,304,ES)",
        ),
        (
            "m-205",
            "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n",
            true,
            ":status: 205\ncontent-length: 0\n",
            "H(1,205,ES)",
        ),
        (
            "m-close",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nX-Close: 1\r\n\r\n",
            false,
            ":status: 200\nx-close: 1\n",
            "H(1,200)",
        ),
        (
            "m-1xx",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
            false,
            ":status: 103\nlink: </a>\n",
            "H(1,103)",
        ),
        (
            "m-upresp",
            "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\nProxy-Connection: a\r\nKeep-Alive: b\r\n\
             Content-Length: 2\r\nTE: gzip\r\n\r\n",
            false,
            ":status: 200\ncontent-length: 2\nte: gzip\n",
            "H(1,200)",
        ),
    ];
    for (name, text, end, fields, frames) in table {
        assert_eq!(sent(text, end, |_| {}), (fields.into(), frames.into()), "{name}");
    }
}

#[test]
fn what_rules_made_of_a_response() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
    let (fields, _) = sent(text, false, |head| {
        head.set(b"X-New", b"1");
        head.remove(b"x");
        head.set_body(crate::http::BodyLen::Length(7));
    });
    assert_eq!(fields, ":status: 200\nx-new: 1\ncontent-length: 7\n");
}

/// o-hugehdr-mfs: no frame is larger than what the client takes.
#[test]
fn a_large_head_is_cut() {
    let mut connection = Connection::new(Options::default());
    let mut head = Head::default();
    let hello = [&crate::http::h2::PREFACE[..], &settings(&[]), &get(1)].concat();
    assert!(connection.receive(0, &hello, &mut 0, &mut head).is_some());
    let before = connection.output().len();
    let mut answer = response(200, crate::http::BodyLen::None);
    for n in 0..40u8 {
        answer.put(b"x-large", &[b'a' + n % 26; 1000]);
    }
    connection.respond(1, &answer, true).expect("live");
    let mut rest = &connection.output()[before..];
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_be_bytes([0, rest[0], rest[1], rest[2]]) as usize;
        assert!(len <= 16_384);
        kinds.push((rest[3], rest[4]));
        rest = &rest[9 + len..];
    }
    assert_eq!(kinds, [(HEADERS, ES), (CONTINUATION, 0), (CONTINUATION, EH)]);
}

/// Frames of many streams lie in one output.
#[test]
fn many_streams_leave_together() {
    let mut connection = Connection::new(Options::default());
    let mut head = Head::default();
    let all: Vec<u8> = (0..50).flat_map(|n| get(2 * n + 1)).collect();
    let hello = [&crate::http::h2::PREFACE[..], &settings(&[]), &all].concat();
    let mut at = 0;
    let answer = response(200, crate::http::BodyLen::Length(2));
    let mut answered = 0;
    while let Some(event) = connection.receive(0, &hello, &mut at, &mut head) {
        let crate::http::h2::Event::Head { stream, .. } = event else { panic!("{event:?}") };
        connection.respond(stream, &answer, false).expect("live");
        assert_eq!(connection.send_data(stream, b"ok", true), Ok(2));
        answered += 1;
    }
    assert_eq!((answered, connection.streams()), (50, 0));
    assert!(connection.output().len() < 50 * 40, "one buffer, {} bytes", connection.output().len());
    let n = connection.output().len();
    connection.advance(n);
    assert!(connection.output().is_empty());
}

/// What an idle connection costs.
#[test]
fn an_idle_connection_is_small() {
    let mut peer = Peer::server();
    peer.send(&get(1)).send(&get(3));
    let c = &peer.connection;
    let heap = c.out.capacity() + c.partial.capacity();
    assert_eq!((heap, c.streams()), (0, 0));
    assert!(std::mem::size_of::<Connection>() < 700, "{}", std::mem::size_of::<Connection>());
}
