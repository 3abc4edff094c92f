//! Clients that make work: each is cut off with the right code, and meanwhile others are served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::raw::*;
use crate::support::{Origin, Proxy, Step, client, origin};

const CONFIG: &str = "
global
    nbthread 1
defaults
    mode http
    timeout connect 2s
    timeout client 2s
    timeout server 5s
frontend fe
    bind {ip}:{port:fe}
    default_backend be
frontend strict
    bind {ip}:{port:strict}
    http-request return status 200 content-type text/plain lf-string \"%[fc_glitches]\"
backend be
    server s1 {origin}
";

struct Scene {
    proxy: Proxy,
    _origin: Origin,
}

impl Scene {
    fn new(global: &str) -> Scene {
        let large = origin::ok(&"x".repeat(300_000)).into_bytes();
        let small = origin::ok("fine").into_bytes();
        let origin = Origin::serve(move |request| {
            vec![Step::Send(if request.target() == "/large" { large.clone() } else { small.clone() })]
        });
        let config = CONFIG.replace("nbthread 1", &format!("nbthread 1\n    {global}"));
        let proxy = Proxy::on(&config).with("origin", origin.addr()).start();
        Scene { proxy, _origin: origin }
    }

    /// Others are served while `attack` runs, each of them soon.
    fn serves_during<T: Send>(&self, attack: impl FnOnce(SocketAddr) -> T + Send) -> T {
        let addr = self.proxy.addr("fe");
        std::thread::scope(|scope| {
            let attacker = scope.spawn(move || attack(addr));
            let mut served = 0;
            while !attacker.is_finished() || served < 5 {
                let start = Instant::now();
                assert_eq!(client::get(addr, "/").body, b"fine");
                assert!(
                    start.elapsed() < Duration::from_secs(3),
                    "another client waited {:?}",
                    start.elapsed()
                );
                served += 1;
            }
            attacker.join().expect("the attacker")
        })
    }

    fn resident_kib(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.proxy.pid())).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a figure");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }
}

/// Sends `first`, then pieces of a flood until the connection ends. Tells its code.
fn flood(addr: SocketAddr, first: &[u8], mut piece: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut raw = Raw::connect(addr, &[]);
    raw.send(first);
    let end = Instant::now() + Duration::from_secs(10);
    let mut nth = 0;
    while !raw.has_ended && raw.goaway().is_none_or(|code| code == 0) && Instant::now() < end {
        raw.send(&piece(nth));
        nth += 1;
        raw.read(Duration::from_millis(1));
        raw.seen.retain(|s| s.kind == GOAWAY);
    }
    raw.goaway()
}

type Piece = Box<dyn FnMut(u32) -> Vec<u8> + Send>;

fn repeated(one: Vec<u8>) -> Piece {
    Box::new(move |_| one.repeat(100))
}

/// Streams `2 * 50 * n + 1` and on, 50 in each piece.
fn streams(each: fn(u32) -> Vec<u8>) -> Piece {
    Box::new(move |nth| (0..50).flat_map(|k| each(2 * (50 * nth + k) + 1)).collect())
}

#[test]
fn floods_are_cut_off_and_others_are_served() {
    let scene = Scene::new("");
    let before = scene.resident_kib();
    let open = frame(HEADERS, ES, 1, &block("GET", "/", &[]));
    let floods: Vec<(&str, Vec<u8>, Piece)> = vec![
        ("PING", vec![], repeated(frame(PING, 0, 0, b"12345678"))),
        ("SETTINGS", vec![], repeated(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))),
        ("PRIORITY", vec![], repeated(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]))),
        ("unknown frames", vec![], repeated(frame(0x42, 0, 0, b"x"))),
        ("WINDOW_UPDATE", vec![], repeated(frame(UPDATE, 0, 0, &[0, 0, 0, 1]))),
        ("empty DATA", post(1, "/"), repeated(frame(DATA, 0, 1, b""))),
        ("empty CONTINUATION", open.clone(), repeated(frame(CONTINUATION, 0, 1, b""))),
        ("long CONTINUATION", open, repeated(frame(CONTINUATION, 0, 1, &[0x20; 10_000]))),
        ("rapid reset", vec![], streams(|id| [get(id, "/"), frame(RST, 0, id, &[0, 0, 0, 8])].concat())),
        ("made to reset", vec![], streams(|id| [post(id, "/"), frame(UPDATE, 0, id, &[0; 4])].concat())),
        ("malformed requests", vec![], streams(|id| frame(HEADERS, ES | EH, id, &[0, 1, b'X', 1, b'y']))),
    ];
    for (name, first, piece) in floods {
        let code = scene.serves_during(|addr| flood(addr, &first, piece));
        assert_eq!(code, Some(CALM), "{name}");
    }
    let grown = scene.resident_kib().saturating_sub(before);
    assert!(grown < 20_000, "{grown} KiB more");
}

/// Responses for which no window is opened: their streams end after `timeout client`, and hold nobody meanwhile.
#[test]
fn windows_that_stay_shut_cost_little() {
    let scene = Scene::new("");
    let before = scene.resident_kib();
    let seen = scene.serves_during(|addr| {
        let mut raw = Raw::connect(addr, &[0, 4, 0, 0, 0, 0]);
        let all: Vec<u8> = (0..100).flat_map(|n| get(2 * n + 1, "/large")).collect();
        raw.send(&all);
        let resets = |seen: &[Seen]| seen.iter().filter(|s| s.kind == RST).count();
        raw.until(Duration::from_secs(8), |seen| resets(seen) == 100);
        raw.seen
    });
    let codes: Vec<u32> = seen.iter().filter(|s| s.kind == RST).filter_map(Seen::code).collect();
    assert_eq!(codes, [CANCEL; 100]);
    assert_eq!(seen.iter().filter(|s| s.kind == HEADERS).count(), 100);
    assert!(!seen.iter().any(|s| s.kind == DATA && !s.payload.is_empty()));
    let grown = scene.resident_kib().saturating_sub(before);
    assert!(grown < 40_000, "{grown} KiB more");
}

/// A client that asks and never reads: its connection ends after `timeout client`.
#[test]
fn a_client_that_does_not_read() {
    let scene = Scene::new("");
    scene.serves_during(|addr| {
        let mut raw = Raw::connect(addr, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
        raw.send(&frame(UPDATE, 0, 0, &[0x7f, 0, 0, 0]));
        let all: Vec<u8> = (0..50).flat_map(|n| get(2 * n + 1, "/large")).collect();
        raw.send(&all);
        std::thread::sleep(Duration::from_secs(4));
        assert!(raw.until(Duration::from_secs(4), |_| false) || raw.has_ended, "it was closed");
    });
}

/// `tune.h2.fe.glitches-threshold`: faults are counted where rules see them, GOAWAY comes in good order first, and
/// the end is one of calm.
#[test]
fn glitches_are_counted_and_limited() {
    let scene = Scene::new("tune.h2.fe.glitches-threshold 20");
    let mut raw = Raw::connect(scene.proxy.addr("strict"), &[]);
    raw.send(&[frame(SETTINGS, 0, 0, &[]).repeat(5), get(1, "/")].concat());
    assert!(raw.answered(1));
    let mut raw = {
        assert!(raw.seen.iter().any(|s| s.kind == DATA && s.payload == b"5"), "{:?}", raw.seen);
        Raw::connect(scene.proxy.addr("fe"), &[])
    };
    // A request that is not whole keeps the connection.
    raw.send(&[frame(SETTINGS, 0, 0, &[]).repeat(5), post(1, "/")].concat());
    raw.send(&frame(SETTINGS, 0, 0, &[]).repeat(10));
    assert!(raw.until(Duration::from_secs(5), |seen| seen.iter().any(|s| s.kind == GOAWAY)));
    assert_eq!(raw.goaway(), Some(0));
    raw.send(&[frame(SETTINGS, 0, 0, &[]).repeat(10), get(3, "/")].concat());
    raw.until(Duration::from_secs(5), |_| false);
    assert!(raw.has_ended);
    assert_eq!(raw.goaway(), Some(CALM));
}
