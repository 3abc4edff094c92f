//! A real HAProxy and Isobar share tables.

use std::time::{Duration, Instant};

use super::node::{Node, Ports, soon};
use crate::support::place;
use crate::support::program::{haproxy, skipped};
use crate::tls::certificate;

/// HAProxy as A and Isobar as B, which begins second if `late`.
fn pair(test: &str) -> Option<(Node, Node, Ports)> {
    let Some(binary) = haproxy() else {
        skipped(test, "there is no HAProxy");
        return None;
    };
    let ports = Ports::new();
    let theirs = Node::start("A", &ports.lines(), Some(binary));
    let ours = Node::start("B", &ports.lines(), None);
    Some((theirs, ours, ports))
}

#[test]
fn entries_go_both_ways() {
    let Some(binary) = haproxy() else { return skipped("entries_go_both_ways", "there is no HAProxy") };
    let ports = Ports::new();
    let theirs = Node::start("A", &ports.lines(), Some(binary));
    theirs.set((0..3000).map(|key| (key, u64::from(key) * 3 + 1)));
    let ours = Node::start("B", &ports.lines(), None);
    // Taught at the start.
    soon(&theirs, &ours, "taught", || ours.used("t_int") == 3000);
    assert_eq!(ours.integers(), theirs.integers());
    // Changes made here, and there.
    ours.set((2000..5000).map(|key| (key, u64::from(key) + 7)));
    soon(&theirs, &ours, "told", || theirs.integers() == ours.integers() && theirs.used("t_int") == 5000);
    theirs.set((0..1000).map(|key| (key, 4_000_000_000)));
    soon(&theirs, &ours, "heard", || {
        let heard = ours.integers();
        (0..1000).all(|key| heard.get(&key) == Some(&4_000_000_000)) && heard.len() == 5000
    });
    assert_eq!(ours.integers(), theirs.integers());
}

#[test]
fn all_types_are_understood() {
    let Some((theirs, ours, _)) = pair("all_types_are_understood") else { return };
    soon(&theirs, &ours, "a session", || ours.is_established() && theirs.is_established());
    for (at, from) in [(&theirs, 1), (&ours, 2)] {
        for n in 0..12 {
            at.request(&format!(
                "x-ip: 10.0.{from}.{n}\r\nx-ip6: 2001:db8:{from}::{n}\r\nx-str: key-{from}-{n}\r\n"
            ));
            at.request(&format!("x-b64: AQL/{from}{n:03}\r\nx-stick: client-{from}-{n}\r\n"));
            at.request(&format!("x-stick: client-{from}-{n}\r\n"));
        }
    }
    for table in ["t_ip", "t_ip6", "t_bin", "mine/pt", "bk"] {
        soon(&theirs, &ours, table, || {
            ours.table(table).len() == 24 && ours.table(table) == theirs.table(table)
        });
    }
    let servers = ours.table("bk").join("\n");
    assert!(servers.contains("server_key=s1"), "{servers}");
}

#[test]
fn whoever_begins_again_is_taught_again() {
    let Some((theirs, ours, ports)) = pair("whoever_begins_again_is_taught_again") else { return };
    ours.set((0..500).map(|key| (key, 5)));
    theirs.set((500..1000).map(|key| (key, 6)));
    soon(&theirs, &ours, "alike", || theirs.used("t_int") == 1000 && ours.used("t_int") == 1000);
    let all = ours.integers();
    drop(ours);
    let ours = Node::start("B", &ports.lines(), None);
    soon(&theirs, &ours, "Isobar taught", || ours.integers() == all);
    drop(theirs);
    let theirs = Node::start("A", &ports.lines(), haproxy());
    soon(&theirs, &ours, "HAProxy taught", || theirs.integers() == all);
    // What is changed now is told as before.
    ours.set([(1, 77)]);
    theirs.set([(2, 78)]);
    soon(&theirs, &ours, "told", || {
        theirs.integers().get(&1) == Some(&77) && ours.integers().get(&2) == Some(&78)
    });
}

#[test]
fn peers_over_tls() {
    let Some(binary) = haproxy() else { return skipped("peers_over_tls", "there is no HAProxy") };
    let (ports, ip, dir) = (Ports::new(), place::address(), certificate::files(&["peer"]));
    let crt = dir.path().join("peer.pem").display().to_string();
    let of = |own: &str, own_port: u16, other: &str, other_port: u16| {
        format!(
            "bind {ip}:{own_port} ssl crt {crt}\n    server {own}\n    \
             server {other} {ip}:{other_port} ssl verify required ca-file {crt} verifyhost peer.test"
        )
    };
    let theirs = Node::start("A", &of("A", ports.a, "B", ports.b), Some(binary));
    let ours = Node::start("B", &of("B", ports.b, "A", ports.a), None);
    ours.set((0..200).map(|key| (key, 5)));
    theirs.set((200..400).map(|key| (key, 6)));
    soon(&theirs, &ours, "alike", || ours.used("t_int") == 400 && theirs.integers() == ours.integers());
}

/// The bar: 100,000 entries taught from HAProxy to Isobar and back, then changes both ways for a minute, none lost.
#[test]
#[ignore = "takes two minutes"]
fn a_hundred_thousand_and_a_minute_of_changes() {
    const ENTRIES: u32 = 100_000;
    let Some(binary) = haproxy() else { return };
    let ports = Ports::new();
    let theirs = Node::start("A", &ports.lines(), Some(binary.clone()));
    theirs.set((0..ENTRIES).map(|key| (key, u64::from(key) + 1)));
    let ours = Node::start("B", &ports.lines(), None);
    soon(&theirs, &ours, "taught", || ours.used("t_int") == ENTRIES as usize);
    assert!(ours.integers() == theirs.integers());
    drop(theirs);
    let theirs = Node::start("A", &ports.lines(), Some(binary));
    soon(&theirs, &ours, "taught back", || theirs.used("t_int") == ENTRIES as usize);
    assert!(ours.integers() == theirs.integers());
    let end = Instant::now() + Duration::from_secs(60);
    std::thread::scope(|scope| {
        for (at, half) in [(&theirs, 0), (&ours, 1)] {
            scope.spawn(move || {
                let mut round = 0;
                while Instant::now() < end {
                    round += 1;
                    at.set(
                        (0..500)
                            .map(|n| (2 * ((n + round * 500) % (ENTRIES / 2)) + half, u64::from(round) << 8)),
                    );
                }
                eprintln!("{} changes", round * 500);
            });
        }
    });
    soon(&theirs, &ours, "alike", || theirs.integers() == ours.integers());
}
