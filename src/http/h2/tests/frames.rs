//! Cases of frames: preface, SETTINGS, PING, GOAWAY, PRIORITY, WINDOW_UPDATE, RST_STREAM, and which streams they may
//! name.

use super::driver::*;
use crate::http::h2::{Code, Event, Options, PREFACE};

#[test]
fn prefaces() {
    let table = [
        ("pre-http1", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "GOAWAY(0,PROTOCOL)"),
        ("pre-partial", PREFACE[..10].to_vec(), ""),
        ("pre-only", PREFACE.to_vec(), ""),
        ("pre-nosettings", [&PREFACE[..], &get(1)].concat(), "GOAWAY(0,PROTOCOL)"),
        ("pre-ackfirst", [&PREFACE[..], &frame(SETTINGS, 1, 0, b"")].concat(), "GOAWAY(0,PROTOCOL)"),
    ];
    for (name, bytes, expected) in table {
        let mut peer = Peer::with(Options::default());
        assert_eq!(peer.send(&bytes).saw(), expected, "{name}");
        assert_eq!(peer.connection.is_over(), !expected.is_empty(), "{name}");
    }
}

fn set(list: &[(u16, u32)]) -> Vec<u8> {
    [settings(list), get(1)].concat()
}

#[test]
fn settings_frames() {
    const PROTOCOL: &str = "GOAWAY(0,PROTOCOL)";
    table(&[
        ("set-len5", frame(SETTINGS, 0, 0, b"12345"), "GOAWAY(0,FRAME_SIZE)"),
        ("set-sid1", frame(SETTINGS, 0, 1, b""), PROTOCOL),
        ("ack with a payload", frame(SETTINGS, 1, 0, &[0; 6]), "GOAWAY(0,FRAME_SIZE)"),
        ("set-push2", set(&[(2, 2)]), PROTOCOL),
        ("set-iws-big", set(&[(4, 1 << 31)]), "GOAWAY(0,FLOW_CONTROL)"),
        ("set-mfs-small", set(&[(5, 16383)]), PROTOCOL),
        ("set-mfs-big", set(&[(5, 1 << 24)]), PROTOCOL),
        ("set-mfs-ok", set(&[(5, (1 << 24) - 1)]), OK),
        ("set-unknown", set(&[(0xff, 7)]), OK),
        ("set-extconn2", set(&[(8, 2)]), PROTOCOL),
        ("set-mhl0", set(&[(6, 0)]), OK),
    ]);
}

#[test]
fn set_hts_0() {
    let mut peer = Peer::server();
    let mut head = response(200, crate::http::BodyLen::None);
    head.put(b"x-a", b"1");
    peer.origin = Origin::Silent;
    for stream in [1, 3, 5] {
        peer.send(&get(stream));
        peer.connection.respond(stream, &head, true).expect("live");
    }
    peer.send(&settings(&[(1, 0)])).send(&get(7));
    let at = peer.connection.output().len();
    peer.connection.respond(7, &head, true).expect("live");
    let sent = peer.connection.output()[at..].to_vec();
    assert_eq!(sent[9..11], [0x20, 0x88], "the size first, then no reference to an entry");
    peer.look();
    assert_eq!(peer.fields.iter().filter(|f| *f == "x-a: 1\n").count(), 4);
}

#[test]
fn set_iws_overflow() {
    let mut peer = Peer::server();
    peer.origin = Origin::Silent;
    peer.send(&get(1)).send(&update(1, (1 << 31) - 1 - 65535)).send(&settings(&[(4, 70_000)]));
    assert_eq!(peer.saw(), "GOAWAY(1,FLOW_CONTROL)");
}

#[test]
fn pings_and_unknown_frames() {
    let then = |bytes: Vec<u8>| [bytes, get(1)].concat();
    let continued =
        [frame(HEADERS, ES, 1, &get_with(&[])), frame(0x42, 0, 1, b"x"), frame(CONTINUATION, EH, 1, b"")];
    table(&[
        ("ping-ok", frame(PING, 0, 0, b"12345678"), "PONG"),
        ("ping-sid1", frame(PING, 0, 1, b"12345678"), "GOAWAY(0,PROTOCOL)"),
        ("ping-len7", frame(PING, 0, 0, b"1234567"), "GOAWAY(0,FRAME_SIZE)"),
        ("ping-ackunsol", then(frame(PING, 1, 0, b"12345678")), OK),
        ("goaway-sid1", frame(GOAWAY, 0, 1, &[0; 8]), "GOAWAY(0,PROTOCOL)"),
        ("goaway-then-req", then(frame(GOAWAY, 0, 0, &[0; 8])), OK),
        ("unk-sid0", then(frame(0x42, 0xff, 0, b"abc")), OK),
        ("unk-idle", then(frame(0x42, 0, 5, b"abc")), OK),
        ("unk-big", frame(0x42, 0, 0, &[0; 20_000]), "GOAWAY(0,FRAME_SIZE)"),
        ("unk-in-cont", continued.concat(), "GOAWAY(1,PROTOCOL)"),
        ("prio-update", then(frame(0x10, 0, 0, b"\0\0\0\x01u=1")), OK),
        ("rbit", frame(HEADERS, EH | ES, 0x8000_0001, &get_with(&[])), OK),
        ("flags-junk", frame(HEADERS, EH | ES | 0xd2, 1, &get_with(&[])), OK),
        ("push", frame(PUSH, EH, 1, &[0; 8]), "GOAWAY(0,PROTOCOL)"),
    ]);
}

#[test]
fn goaway_err_lets_what_runs_finish() {
    let mut peer = Peer::server();
    peer.origin = Origin::Silent;
    peer.send(&get(1)).send(&frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(peer.events.last(), Some(&Event::GoAway { last: 0, code: Code::PROTOCOL }));
    assert!(!peer.connection.is_done());
    peer.connection.respond(1, &response(200, crate::http::BodyLen::None), true).expect("live");
    assert!(peer.connection.is_done());
}

#[test]
fn resets_and_priorities() {
    let prio = |kind, flags: u8, payload: &[u8]| frame(kind, flags, 1, payload);
    let with_block = |first: &[u8]| prio(HEADERS, EH | ES | PRIO, &[first, &get_with(&[])].concat());
    table(&[
        ("rst-idle", prio(RST, 0, &[0, 0, 0, 8]), "GOAWAY(0,PROTOCOL)"),
        ("rst-len3", [post(1, &[]), prio(RST, 0, b"123")].concat(), "GOAWAY(1,FRAME_SIZE)"),
        ("rst-sid0", frame(RST, 0, 0, &[0; 4]), "GOAWAY(0,PROTOCOL)"),
        ("prio-len4", prio(PRIORITY, 0, b"1234"), "RST(1,FRAME_SIZE)"),
        ("prio-sid0", frame(PRIORITY, 0, 0, b"\0\0\0\0\x01"), "GOAWAY(0,PROTOCOL)"),
        ("prio-self", [prio(PRIORITY, 0, b"\0\0\0\x01\x01"), get(1)].concat(), OK),
        ("hprio-ok", with_block(b"\0\0\0\0\x01"), OK),
        ("hprio-self", with_block(b"\0\0\0\x01\x01"), OK),
        ("hprio-short", prio(HEADERS, EH | ES | PRIO, b"123"), "GOAWAY(0,FRAME_SIZE)"),
    ]);
}

#[test]
fn window_updates() {
    let in_body = |bytes: Vec<u8>| [post(1, &[]), bytes].concat();
    table(&[
        ("wu0-conn", update(0, 0), "GOAWAY(0,PROTOCOL)"),
        ("wu0-stream", in_body(update(1, 0)), "RST(1,PROTOCOL)"),
        ("wu-over-stream", in_body(update(1, (1 << 31) - 1)), "RST(1,FLOW_CONTROL)"),
        ("wu-over-conn", update(0, (1 << 31) - 1), "GOAWAY(0,FLOW_CONTROL)"),
        ("wu-len3", frame(UPDATE, 0, 0, b"123"), "GOAWAY(0,FRAME_SIZE)"),
        ("wu-idle", update(1, 10), "GOAWAY(0,PROTOCOL)"),
        ("wu-rbit", [update(0, 0x8000_0005), get(1)].concat(), OK),
    ]);
}

#[test]
fn sizes_of_frames() {
    let long = get_with(&[("x", &"a".repeat(16_385))]);
    table(&[
        ("data-16385", [post(1, &[]), frame(DATA, 0, 1, &[0; 16_385])].concat(), "GOAWAY(1,FRAME_SIZE)"),
        ("data-16384", [post(1, &[]), frame(DATA, ES, 1, &[0; 16_384])].concat(), OK),
        ("hdr-16385", frame(HEADERS, EH | ES, 1, &long), "GOAWAY(0,FRAME_SIZE)"),
        ("hdr-len-max", vec![0xff, 0xff, 0xff, 1, 5, 0, 0, 0, 1], "GOAWAY(0,FRAME_SIZE)"),
    ]);
}

/// What stands in a stream's state (RFC 9113 section 5.1).
#[test]
fn states_of_streams() {
    let open = post(1, &[]);
    let rst = frame(RST, 0, 1, &[0, 0, 0, 8]);
    let data = frame(DATA, 0, 1, b"x");
    let trailers = frame(HEADERS, EH | ES, 1, &block(&[("x-t", "v")]));
    table(&[
        ("data-idle", data.clone(), "GOAWAY(0,PROTOCOL)"),
        ("hdr-even", frame(HEADERS, EH | ES, 2, &get_with(&[])), "GOAWAY(0,PROTOCOL)"),
        ("hdr-sid0", frame(HEADERS, EH | ES, 0, &get_with(&[])), "GOAWAY(0,PROTOCOL)"),
        ("hdr-maxid", get((1 << 31) - 1), "H(2147483647,200) D(2147483647,ES)"),
        ("st-data-closed", [get(1), data.clone()].concat(), "H(1,200) D(1,ES) RST(1,STREAM_CLOSED)"),
        ("st-hdr-closed", [get(1), get(1)].concat(), "H(1,200) D(1,ES) GOAWAY(1,STREAM_CLOSED)"),
        ("st-wu-closed", [get(1), update(1, 9), get(3)].concat(), "H(1,200) D(1,ES) H(3,200) D(3,ES)"),
        ("st-rst-closed", [get(1), rst.clone(), get(3)].concat(), "H(1,200) D(1,ES) H(3,200) D(3,ES)"),
        (
            "st-data-afterrst",
            [open.clone(), rst.clone(), data.clone(), get(3)].concat(),
            "RST(1,STREAM_CLOSED) H(3,200) D(3,ES)",
        ),
        ("st-hdr-afterrst", [open, rst, trailers].concat(), "GOAWAY(1,STREAM_CLOSED)"),
        ("st-skip", [get(5), update(3, 9), get(7)].concat(), "H(5,200) D(5,ES) H(7,200) D(7,ES)"),
    ]);
}

#[test]
fn a_running_request_takes_nothing_more() {
    for (name, late) in [
        ("data-after-es", frame(DATA, 0, 1, b"x")),
        ("hdr-after-es", frame(HEADERS, EH | ES, 1, &get_with(&[]))),
    ] {
        let mut peer = Peer::server();
        peer.origin = Origin::Silent;
        assert_eq!(peer.send(&get(1)).send(&late).saw(), "RST(1,STREAM_CLOSED)", "{name}");
        let gone = Event::Reset { stream: 1, code: Code::STREAM_CLOSED, ours: true };
        assert_eq!(peer.events.last(), Some(&gone), "{name}");
        peer.origin = Origin::Answers;
        assert_eq!(
            peer.send(&late.clone()).send(&get(3)).saw(),
            "H(3,200) D(3,ES)",
            "{name}: the rest is skipped"
        );
    }
}

/// st-early-413, st-deny, act-return-post: answered before the body has come.
#[test]
fn an_early_answer_asks_the_client_to_stop() {
    let mut peer = Peer::server();
    peer.send(&post(1, &[("content-length", "100")]));
    peer.connection.respond(1, &response(403, crate::http::BodyLen::None), true).expect("live");
    peer.connection.finish(1);
    let late = [frame(DATA, 0, 1, &[0; 50]), frame(DATA, ES, 1, &[0; 50]), get(3)].concat();
    assert_eq!(peer.send(&late).saw(), "H(1,403,ES) RST(1,NO_ERROR) H(3,200) D(3,ES)");
    assert_eq!(peer.body, b"", "nobody gets it");
}

/// stop-idle: first all that is on its way is let in, then no more.
#[test]
fn leaving_takes_two_steps() {
    let mut peer = Peer::server();
    peer.send(&get(1));
    peer.connection.leave(false);
    peer.connection.leave(false);
    peer.send(&get(3));
    assert_eq!(peer.saw(), "H(1,200) D(1,ES) GOAWAY(2147483647,NO_ERROR) H(3,200) D(3,ES)");
    peer.connection.leave(true);
    peer.send(&[post(5, &[]), frame(DATA, 0, 5, b"late"), update(5, 7), frame(RST, 0, 5, &[0; 4])].concat());
    assert_eq!(peer.saw(), "GOAWAY(3,NO_ERROR)");
    assert!(peer.connection.is_done() && !peer.connection.is_over());
}
