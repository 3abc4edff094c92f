//! Cases of sizes, counts and floods.

use super::driver::*;
use crate::http::h2::{Event, Options};

/// A request that needs as many frames as it takes.
fn long(stream: u32, block: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = block.chunks(16_384).collect();
    let last = pieces.len() - 1;
    let piece = |(n, piece): (usize, &&[u8])| {
        let flags = (if n == last { EH } else { 0 }) | (if n == 0 { ES } else { 0 });
        frame(if n == 0 { HEADERS } else { CONTINUATION }, flags, stream, piece)
    };
    pieces.iter().enumerate().flat_map(piece).collect()
}

fn fields(n: usize, len: usize) -> Vec<u8> {
    let value = "v".repeat(len);
    let names: Vec<String> = (0..n).map(|n| format!("x-{n:03}")).collect();
    let list: Vec<(&str, &str)> = names.iter().map(|name| (&name[..], &value[..])).collect();
    get_with(&list)
}

const TOO_LARGE: &str = "H(1,431) D(1,ES)";

#[test]
fn sizes() {
    let bomb = {
        let entry = [&get_with(&[])[..], b"\x40\x01a\x7f\xa1\x1e", &[b'v'; 4000]].concat();
        let many = [get_with(&[]), vec![0xbe; 50]].concat();
        [post(1, &[]), long(3, &entry)[..].to_vec(), long(5, &many), frame(DATA, ES, 1, b"x")].concat()
    };
    table(&[
        ("sz-8k", long(1, &fields(8, 1000)), OK),
        ("sz-15k", long(1, &fields(15, 980)), OK),
        ("sz-15900", long(1, &fields(16, 980)), TOO_LARGE),
        ("sz-32k", long(1, &fields(32, 1000)), TOO_LARGE),
        ("sz-100k", long(1, &fields(99, 1000)), "GOAWAY(1,ENHANCE_YOUR_CALM)"),
        ("sz-n95", long(1, &fields(95, 1)), OK),
        ("sz-n100", long(1, &fields(100, 1)), OK),
        ("sz-n102", long(1, &fields(102, 1)), TOO_LARGE),
        ("sz-bomb", bomb, "H(3,200) D(3,ES) H(5,431) D(5,ES) H(1,200) D(1,ES)"),
        (
            "uri-10k",
            long(1, &block(&[GET[0], GET[1], (":path", &format!("/{}", "a".repeat(9_999))), GET[3]])),
            OK,
        ),
    ]);
}

#[test]
fn mcs_150() {
    let mut peer = Peer::server();
    peer.origin = Origin::Silent;
    let all: Vec<u8> = (0..150).flat_map(|n| get(2 * n + 1)).collect();
    let saw = peer.send(&all).saw();
    let expected: Vec<String> = (100..150).map(|n| format!("RST({},REFUSED)", 2 * n + 1)).collect();
    assert_eq!(saw, expected.join(" "));
    assert_eq!((peer.connection.streams(), peer.heads.len()), (100, 100));
    peer.connection.respond(1, &response(200, crate::http::BodyLen::None), true).expect("live");
    peer.origin = Origin::Answers;
    assert_eq!(peer.send(&get(301)).saw(), "H(1,200,ES) H(301,200) D(301,ES)");
}

/// What has no end is ended, and what a browser does is not.
#[test]
fn floods() {
    let rapid =
        |n: u32| (0..n).flat_map(|n| [get(2 * n + 1), frame(RST, 0, 2 * n + 1, &[0, 0, 0, 8])].concat());
    let madeyoureset = |n: u32| (0..n).flat_map(|n| [post(2 * n + 1, &[]), update(2 * n + 1, 0)].concat());
    let rows: [(&str, Vec<u8>); 9] = [
        ("fl-ping", frame(PING, 0, 0, b"12345678").repeat(5000)),
        ("fl-settings", settings(&[]).repeat(5000)),
        ("fl-prio", frame(PRIORITY, 0, 1, b"\0\0\0\0\x01").repeat(5000)),
        ("fl-wu", update(0, 1).repeat(5000)),
        ("fl-unk", frame(0x42, 0, 0, b"").repeat(5000)),
        ("fl-empty", [post(1, &[]), frame(DATA, 0, 1, b"").repeat(5000)].concat()),
        ("fl-rapidreset", rapid(500).collect()),
        ("fl-madeyoureset", madeyoureset(300).collect()),
        ("fl-malformed", (0..300).flat_map(|n| frame(HEADERS, EH, 2 * n + 1, b"")).collect()),
    ];
    for (name, bytes) in rows {
        let mut peer = Peer::server();
        peer.origin = Origin::Silent;
        let saw = peer.send(&bytes).saw();
        assert!(saw.ends_with(",ENHANCE_YOUR_CALM)"), "{name}: {}", &saw[saw.len().saturating_sub(100)..]);
        assert!(peer.connection.is_over(), "{name}");
    }
    let mut peer = Peer::server();
    peer.origin = Origin::Silent;
    peer.send(&rapid(200).collect::<Vec<_>>());
    assert!(!peer.connection.is_over(), "a page that is left in the middle");
}

/// While no stream may begin, the head of one stays unread, and what is behind it; it loses nothing by that.
#[test]
fn a_stream_waits_until_it_may_begin() {
    let hello = [&crate::http::h2::PREFACE[..], &settings(&[])].concat();
    let bytes = [get(1), frame(RST, 0, 1, &[0, 0, 0, 8]), get(3), update(0, 100)].concat();
    for split in 0..=bytes.len() {
        let mut connection = crate::http::h2::Connection::new(Options::default());
        let mut head = crate::http::Head::default();
        assert_eq!(connection.receive(0, &hello, &mut 0, &mut head), None);
        let mut seen = Vec::new();
        for piece in [&bytes[..split], &bytes[split..]] {
            let mut at = 0;
            loop {
                connection.hold(true);
                match connection.receive(0, piece, &mut at, &mut head) {
                    Some(event) => {
                        assert!(matches!(event, Event::Reset { .. }), "{event:?} at {split}");
                        seen.push(event);
                        continue;
                    }
                    None if at == piece.len() => break,
                    None => connection.hold(false),
                }
                seen.extend(connection.receive(0, piece, &mut at, &mut head));
            }
        }
        let [Event::Head { stream: 1, .. }, Event::Reset { stream: 1, .. }, Event::Head { stream: 3, .. }] =
            seen[..]
        else {
            panic!("{seen:?} at {split}")
        };
    }
}

/// Streams that are answered pay for others that are given up.
#[test]
fn a_client_that_is_served_may_give_up_half_of_what_it_asks_for() {
    let mut peer = Peer::server();
    for n in 0..5000 {
        peer.origin = if n % 2 == 0 { Origin::Answers } else { Origin::Silent };
        peer.send(&get(2 * n + 1));
        if n % 2 == 1 {
            peer.send(&frame(RST, 0, 2 * n + 1, &[0, 0, 0, 8]));
        }
    }
    assert!(!peer.connection.is_over());
}

/// fl-ping-noread: a peer that does not read makes us stop reading, and what is owed to it stays small.
#[test]
fn who_does_not_read_is_not_answered() {
    let mut connection = crate::http::h2::Connection::new(Options::default());
    let mut head = crate::http::Head::default();
    let hello = [&crate::http::h2::PREFACE[..], &settings(&[])].concat();
    assert_eq!(connection.receive(0, &hello, &mut 0, &mut head), None);
    let mut now = 0;
    while !connection.is_backed_up() {
        now += 60_000;
        let burst = frame(PING, 0, 0, b"12345678").repeat(500);
        assert_eq!(connection.receive(now, &burst, &mut 0, &mut head), None);
    }
    assert!(connection.output().len() < 80_000);
}

fn with_threshold() -> Peer {
    let mut peer = Peer::server_with(Options { glitches_threshold: 20, ..Options::default() });
    peer.origin = Origin::Silent;
    peer
}

#[test]
fn glitches() {
    const CALM: &str = "ENHANCE_YOUR_CALM)";
    let upper = |n: u32| {
        let one = |n| frame(HEADERS, EH | ES, 2 * n + 1, &get_with(&[("X", "y")]));
        (0..n).flat_map(one).collect::<Vec<u8>>()
    };
    let iws = (0..40u32).flat_map(|n| settings(&[(4, 60_000 - n)])).collect::<Vec<u8>>();
    let rapid = (0..100).flat_map(|n| [get(2 * n + 1), frame(RST, 0, 2 * n + 1, &[0; 4])].concat());
    let wu0 = (0..40).flat_map(|n| [post(2 * n + 1, &[]), update(2 * n + 1, 0)].concat());
    let rows: [(&str, Vec<u8>, bool); 9] = [
        ("gl-upper14", upper(14), false),
        ("gl-upper30", upper(30), true),
        ("gl-settings", settings(&[]).repeat(500), true),
        ("gl-iws-down", iws, true),
        // gl-prio-wu
        ("gl-prio", frame(PRIORITY, 0, 1, b"\0\0\0\0\x01").repeat(500), true),
        ("gl-wu", update(0, 1).repeat(500), true),
        ("gl-empty", [post(1, &[]), frame(DATA, 0, 1, b"").repeat(500)].concat(), true),
        ("gl-rapid, gl-slow-rst", rapid.collect(), true),
        ("gl-wu0", wu0.collect(), true),
    ];
    for (name, bytes, is_killed) in rows {
        let mut peer = with_threshold();
        let saw = peer.send(&bytes).saw();
        assert!(saw.contains("GOAWAY(2147483647,NO_ERROR)"), "{name}: in good order first: {saw}");
        assert_eq!(saw.ends_with(CALM), is_killed, "{name}: {saw}");
        assert_eq!(peer.connection.is_over(), is_killed, "{name}");
    }
}

/// gl-mcs (mcs-150-ack, too): streams over the limit are refused, and the others go on.
#[test]
fn too_many_streams_are_no_glitch() {
    let mut peer = with_threshold();
    peer.send(&(0..130).flat_map(|n| get(2 * n + 1)).collect::<Vec<_>>());
    assert_eq!((peer.connection.glitches(), peer.connection.streams()), (0, 100));
    assert!(!peer.events.iter().any(|e| matches!(e, Event::Over(_))));
}
