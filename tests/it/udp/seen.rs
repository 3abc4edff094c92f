//! What is seen of flows: limits, ends, log lines, statistics, metrics; and what a resolver's client makes of it.

use std::process::Command;
use std::time::Duration;

use super::peer::{Between, Client, SOON, Server};
use crate::support::client::get;
use crate::support::{place, program};

const ONE: &str = "
listen one
    bind udp@{ip}:{udp} name door
    server s1 {s1}
";

fn one(text: &str) -> (Between, Server) {
    let a = Server::start("a");
    let between = Between::start(text, |builder| builder.with("s1", a.addr));
    (between, a)
}

#[test]
fn a_full_table_lets_nobody_in_and_nobody_out() {
    let (between, _a) = one(&ONE.replace("server", "maxconn 2\n    timeout client 1s\n    server"));
    let clients: Vec<Client> = (0..3).map(|_| Client::new(between.to)).collect();
    assert_eq!((clients[0].ask("x"), clients[1].ask("x")), ("a:x".into(), "a:x".into()));
    clients[2].send("x");
    assert_eq!(clients[2].answer(Duration::from_millis(200)), None);
    assert_eq!((clients[0].ask("y"), clients[1].ask("y")), ("a:y".into(), "a:y".into()));
    assert_eq!(between.stat("one", "FRONTEND", "ereq"), "1");
    assert_eq!(between.stat("one", "FRONTEND", "scur"), "2");
    // Who is silent makes room.
    between.until(("one", "FRONTEND", "scur"), "0");
    assert_eq!(clients[2].ask("z"), "a:z");
}

/// `maxconn` of the process bounds flows, and connections beside them: neither takes what is the other's.
#[test]
fn flows_and_connections_have_a_bound_each() {
    let (between, _a) = one(&format!("global\n    maxconn 3\n{ONE}"));
    let clients: Vec<Client> = (0..4).map(|_| Client::new(between.to)).collect();
    for client in &clients[..3] {
        assert_eq!(client.ask("x"), "a:x");
    }
    clients[3].send("x");
    assert_eq!(clients[3].answer(Duration::from_millis(200)), None);
    between.until(("one", "FRONTEND", "ereq"), "1");
    let ready = between.proxy.addr("ready");
    let held: Vec<std::net::TcpStream> =
        (0..2).map(|_| std::net::TcpStream::connect(ready).expect("connect")).collect();
    assert_eq!(get(ready, "/").status(), 200, "a third connection beside two and three flows");
    let info = between.command("show info");
    assert!(info.lines().any(|told| told == "Maxconn: 3"), "{info}");
    assert_eq!(clients[0].ask("y"), "a:y");
    drop(held);
}

#[test]
fn a_flow_is_logged_when_it_is_over() {
    let (between, a) = one(&ONE.replace("server", "timeout client 300ms\n    server"));
    let client = Client::new(between.to);
    client.ask("hello");
    client.ask("again");
    let lines = between.log.wait(1);
    let line = &lines[0];
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|w| *w == client.addr().to_string()).unwrap_or_else(|| panic!("{line}"));
    // Sent back: the name and a colon more.
    assert_eq!(
        (words[at + 2], words[at + 3], words[at + 5], words[at + 6]),
        ("one", "one/s1", "14", "--"),
        "{line}"
    );
    assert_eq!(words[at + 7], "1/1/0/0/0", "{line}");
    let ms: Vec<u64> = words[at + 4].split('/').map(|n| n.parse().expect("a number")).collect();
    assert!(ms[0] <= 1 && ms[1] <= 1 && (300..3000).contains(&ms[2]), "{line}");
    drop(a);
}

#[test]
fn a_server_that_says_nothing_is_told_of() {
    let a = Server::silent();
    let text = ONE.replace("server", "timeout server 300ms\n    server");
    let between = Between::start(&text, |builder| builder.with("s1", a.addr));
    Client::new(between.to).send("x");
    let line = between.log.wait(1).remove(0);
    assert!(line.contains(" one/s1 ") && line.contains(" sD "), "{line}");
    for row in ["FRONTEND", "BACKEND", "s1"] {
        assert_eq!(between.stat("one", row, "scur"), "0", "{row}");
    }
    assert_eq!(between.stat("one", "s1", "srv_abrt"), "1");
}

#[test]
fn without_a_server_a_flow_is_over_at_once() {
    let (between, _a) = one(ONE);
    between.command("set server one/s1 state maint");
    Client::new(between.to).send("x");
    // The first two lines tell of the server and of its backend.
    let line = between.log.wait(3).remove(2);
    assert!(line.contains(" one/<NOSRV> ") && line.contains(" SC "), "{line}");
    assert_eq!(between.stat("one", "BACKEND", "econ"), "1");
    between.command("set server one/s1 state ready");
    assert_eq!(Client::new(between.to).ask("x"), "a:x");
}

#[test]
fn flows_are_counted_everywhere() {
    let (between, _a) = one(&ONE.replace("server", "option socket-stats\n    server"));
    let client = Client::new(between.to);
    client.ask("hello");
    client.ask("hello");
    between.until(("one", "FRONTEND", "bout"), "14");
    for (row, columns) in [
        ("FRONTEND", "mode=udp stot=1 scur=1 conn_tot=1 bin=10 bout=14 ereq=0"),
        ("door", "stot=1 scur=1 bin=10 bout=14"),
        ("s1", "stot=1 scur=1 bin=10 bout=14 lbtot=1"),
        ("BACKEND", "mode=udp stot=1 scur=1 bin=10 bout=14 lbtot=1"),
    ] {
        for column in columns.split(' ') {
            let (name, value) = column.split_once('=').expect("a pair");
            assert_eq!(between.stat("one", row, name), value, "{row} {name}");
        }
    }
    let metrics = String::from_utf8_lossy(&get(between.proxy.addr("ready"), "/metrics").body).into_owned();
    for line in [
        "haproxy_frontend_bytes_in_total{proxy=\"one\"} 10",
        "haproxy_frontend_current_sessions{proxy=\"one\"} 1",
        "haproxy_server_sessions_total{proxy=\"one\",server=\"s1\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    assert!(between.command("show stat typed").contains("udp"));
}

#[test]
fn a_paused_frontend_keeps_its_flows() {
    let (between, _a) = one(ONE);
    let client = Client::new(between.to);
    client.ask("x");
    between.command("disable frontend one");
    assert_eq!(client.ask("y"), "a:y");
    let other = Client::new(between.to);
    other.send("x");
    assert_eq!(other.answer(Duration::from_millis(200)), None);
    between.command("enable frontend one");
    assert_eq!(other.ask("z"), "a:z");
}

#[test]
fn a_stop_ends_flows() {
    let (mut between, _a) = one(ONE);
    Client::new(between.to).ask("x");
    between.proxy.signal(nix::sys::signal::Signal::SIGUSR1);
    assert!(between.proxy.exit(SOON).is_some_and(|status| status.success()));
    let line = between.log.wait(1).remove(0);
    assert!(line.contains(" one/s1 ") && line.contains(" KD "), "{line}");
}

#[test]
fn names_are_asked_through_it() {
    if !program::installed("dig") {
        return program::skipped("udp", "dig is not installed");
    }
    let dns = place::free_udp_port();
    let text = "
dns here
    bind {ip}:{dns}
    zone a.test
    record www A 192.0.2.1
    record long TXT \"{long}\"
listen one
    bind udp@{ip}:{udp}
    server s1 {ip}:{dns} send-proxy-off
";
    let text = text.replace(" send-proxy-off", "");
    let between = Between::start(&text, |builder| builder.with("dns", dns).with("long", "x".repeat(200)));
    let dig = |args: &[&str]| {
        let to = format!("@{}", between.to.ip());
        let port = between.to.port().to_string();
        let mut command = Command::new("dig");
        command.args([&to, "-p", &port, "+short", "+tries=1", "+time=5"]).args(args);
        String::from_utf8_lossy(&command.output().expect("dig runs").stdout).trim().to_owned()
    };
    assert_eq!(dig(&["www.a.test", "A"]), "192.0.2.1");
    assert_eq!(dig(&["long.a.test", "TXT"]).len(), 202);
    for _ in 0..10 {
        assert_eq!(dig(&["www.a.test"]), "192.0.2.1");
    }
}
