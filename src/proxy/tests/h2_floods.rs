//! HTTP/2 clients that make work: what it costs, and what others feel of it.

use std::cell::Cell;
use std::rc::Rc;

use crate::http::h2::PREFACE;

use super::rig::{GET as ASK, OK, Rig, Wire, answers};

const HEADERS: u8 = 1;
const RST: u8 = 3;
const SETTINGS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A client that was greeted. `settings`: its own.
fn client(rig: &Rig, settings: &[u8]) -> Wire {
    let mut wire = rig.client();
    wire.send([&PREFACE[..], &frame(SETTINGS, 0, 0, settings)].concat());
    wire.take_bytes();
    wire
}

/// GET for `/`, with END_STREAM and END_HEADERS.
fn get(stream: u32) -> Vec<u8> {
    // Of the static table: GET, http, `/`; and an authority.
    frame(HEADERS, 5, stream, &[&[0x82, 0x86, 0x84, 0x01, 1][..], b"h"].concat())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST, 0, stream, &[0, 0, 0, 8])
}

/// The numbers of so many streams.
fn numbers(n: u32) -> impl Iterator<Item = u32> {
    (0..n).map(|n| 2 * n + 1)
}

/// A request that was taken back before anybody served it asks no server for anything; rules see it, it is counted and
/// logged, as HAProxy does it.
#[test]
fn what_is_taken_back_at_once_costs_no_server() {
    let pairs: Vec<u8> = numbers(50).flat_map(|n| [get(n), reset(n)].concat()).collect();
    let apart: Vec<u8> = numbers(50).flat_map(get).chain(numbers(50).flat_map(reset)).collect();
    for bytes in [pairs, apart] {
        let rig = Rig::listen(&["http-request set-header x-seen yes", "server s1 10.0.0.1:80"]);
        let mut wire = client(&rig, &[]);
        wire.send(bytes);
        assert_eq!(rig.opened("s1"), 0);
        assert_eq!(rig.log(), ["p/<NOSRV> -1 CR 0"; 50]);
        let (front, back) = (rig.front("p"), rig.back("p"));
        assert_eq!((front.http_req, front.err_req, front.rsp_other), (50, 50, 50));
        assert_eq!((back.http_req, back.cli_aborts, back.rsp_other), (50, 50, 50));
        wire.send(get(101));
        rig.server("s1").send(OK);
        assert_eq!(rig.log(), ["p/s1 200 -- 0"], "the connection lives");
    }
}

/// Streams that were reset count against the limit for as long as somebody is busy with them.
#[test]
fn streams_that_were_reset_count_until_they_have_ended() {
    let rig = Rig::listen_in(" tune.h2.fe.max-concurrent-streams 4", &["server s1 10.0.0.1:80"]);
    let mut wire = client(&rig, &[]);
    let rt = rig.worker.rt;
    let (before, most) = (rt.task_count(), Rc::new(Cell::new(0)));
    let record = most.clone();
    let watcher = async move {
        for _ in 0..20 {
            record.set(rt.task_count().max(record.get()));
            rt.yield_now().await;
        }
    };
    rt.spawn(watcher);
    rt.turn_once();
    // The watcher looks behind the connection, and before those that it begins.
    wire.put(&numbers(40).flat_map(|n| [get(n), reset(n)].concat()).collect::<Vec<u8>>());
    rig.settle();
    assert_eq!(rig.log().len(), 40, "none is lost");
    let tasks = most.get() - before - 1;
    assert!((1..=4).contains(&tasks), "{tasks} at once");
}

/// However many requests come at once, others have their turn before all of them have begun.
#[test]
fn requests_that_come_at_once_begin_a_few_at_a_time() {
    let rig = Rig::listen(&["server s1 10.0.0.1:80"]);
    let (mut many, mut other) = (client(&rig, &[]), rig.client());
    many.put(&numbers(100).flat_map(get).collect::<Vec<u8>>());
    let rt = rig.worker.rt;
    // The first turn hears of them.
    rt.turn_once();
    other.put(ASK.as_bytes());
    rt.turn_once();
    let begun = rig.opened("s1");
    assert!((1..100).contains(&begun), "{begun} of them");
    rig.settle();
    assert_eq!(rig.opened("s1"), 101);
    let mut servers: Vec<Wire> = (0..101).map(|_| rig.server("s1")).collect();
    let place = servers.iter_mut().position(|server| server.take() == ASK).expect("it was asked");
    assert!(place < 100, "behind all others");
    servers[place].send(OK);
    assert_eq!(answers(&other.take()), [200]);
}

/// A response for which no window is open stays with its server, and comes whole once there is one.
#[test]
fn a_response_waits_for_its_window() {
    let rig = Rig::listen(&["log-format \"%HM %HP %ST %ts\"", "server s1 10.0.0.1:80"]);
    let mut wire = client(&rig, &[0, 4, 0, 0, 0, 0]);
    wire.send(get(1));
    let mut server = rig.server("s1");
    let size = 60_000;
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nx: {}\r\n\r\n", "y".repeat(6_000)));
    server.send(vec![b'x'; size]);
    let head = wire.take_bytes();
    assert_eq!(head[head.len().saturating_sub(6_000)..].iter().filter(|b| **b > 0).count(), 6_000);
    let mut got = 0;
    for step in [1, 5_000, 10_000, 40_000, 4_999] {
        wire.send(frame(8, 0, 1, &u32::to_be_bytes(step)));
        let mut bytes = &wire.take_bytes()[..];
        while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            assert!(*kind == 0 && rest[..length].iter().all(|b| *b == b'x'), "DATA");
            (got, bytes) = (got + length, &rest[length..]);
        }
        rig.settle();
    }
    assert_eq!(got, size);
    assert_eq!(rig.log(), ["GET http://h/ 200 --"], "the request is still known");
}
