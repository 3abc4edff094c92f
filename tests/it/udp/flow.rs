//! Where datagrams go, and where flows stay.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use super::peer::{Between, Client, Server};
use crate::support::place;

const TWO: &str = "
listen one
    bind udp@{ip}:{udp}
    balance roundrobin
    server s1 {s1}
    server s2 {s2}
";

fn two(text: &str) -> (Between, Server, Server) {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let between = Between::start(text, |builder| builder.with("s1", a.addr).with("s2", b.addr));
    (between, a, b)
}

/// The name of who answered.
fn who(answer: &str) -> &str {
    answer.split(':').next().unwrap_or("")
}

#[test]
fn a_flow_stays_and_the_next_one_takes_its_turn() {
    let (between, a, b) = two(TWO);
    let clients: Vec<Client> = (0..4).map(|_| Client::new(between.to)).collect();
    let first: Vec<String> = clients.iter().map(|c| c.ask("x")).collect();
    assert_eq!(first, ["a:x", "b:x", "a:x", "b:x"]);
    for round in 0..5 {
        for (client, first) in clients.iter().zip(&first) {
            assert_eq!(client.ask(&format!("{round}")), format!("{}:{round}", who(first)));
        }
    }
    // Each flow has a socket of its own, and keeps it.
    for server in [a, b] {
        let from: HashSet<SocketAddr> = server.came().iter().map(|(from, _)| *from).collect();
        assert_eq!((server.came().len(), from.len()), (12, 2));
    }
}

#[test]
fn bursts_keep_their_borders_and_their_order() {
    let (between, a, _b) = two(TWO);
    let client = Client::new(between.to);
    let sizes = [1, 1200, 1200, 1200, 7, 1200, 1, 1, 1, 1400];
    let texts: Vec<String> =
        sizes.iter().enumerate().map(|(i, n)| format!("{i}{}", "x".repeat(*n))).collect();
    texts.iter().for_each(|text| client.send(text));
    for text in &texts {
        let answer = client.answer(Duration::from_secs(5)).expect("an answer");
        assert_eq!(answer.strip_prefix("a:"), Some(&**text));
    }
    assert_eq!(a.came().len(), sizes.len());
}

#[test]
fn who_comes_from_one_address_goes_to_one_server() {
    for balance in ["source", "source\n    hash-type consistent", "source\n    hash-type maglev", "hash src"]
    {
        let (between, _a, _b) = two(&TWO.replace("roundrobin", balance));
        let mut all = HashSet::new();
        for host in 1..20 {
            let source = Ipv4Addr::new(127, 1, 0, host);
            let names: HashSet<String> =
                (0..3).map(|_| who(&Client::from(source, between.to).ask("x")).to_owned()).collect();
            assert_eq!(names.len(), 1, "{balance}: {source}");
            all.extend(names);
        }
        assert_eq!(all.len(), 2, "{balance}");
    }
}

#[test]
fn the_server_with_fewest_flows_takes_the_next() {
    let (between, _a, _b) =
        two(&TWO.replace("roundrobin", "leastconn").replace("server s1 {s1}", "server s1 {s1} weight 200"));
    let count = |name: &str, flows: &[Client]| flows.iter().filter(|c| who(&c.ask("x")) == name).count();
    let flows: Vec<Client> = (0..8).map(|_| Client::new(between.to)).collect();
    flows.iter().for_each(|c| drop(c.ask("x")));
    assert!(count("a", &flows) >= 7, "by weight");
}

#[test]
fn a_server_that_is_gone_is_left_by_its_own_flows_alone() {
    let (between, mut a, _b) = two(TWO);
    let clients: Vec<Client> = (0..6).map(|_| Client::new(between.to)).collect();
    let first: Vec<String> = clients.iter().map(|c| who(&c.ask("x")).to_owned()).collect();
    a.stop();
    for round in 0..5 {
        for (client, name) in clients.iter().zip(&first) {
            // Those of the other server miss nothing.
            let answer = if name == "a" { client.insist("y") } else { client.ask("y") };
            assert_eq!(who(&answer), "b", "round {round}");
        }
    }
    assert!(between.stat("one", "s1", "wredis").parse::<u32>().unwrap() >= 3);
    assert_eq!(between.stat("one", "s1", "econ"), between.stat("one", "BACKEND", "econ"));
    let pairs: HashSet<&str> = first.iter().map(String::as_str).collect();
    assert_eq!(pairs.len(), 2);
}

#[test]
fn a_server_whose_check_fails_is_left() {
    let text = TWO.replace("{s1}", "{s1} check port {check} inter 100ms fall 1 rise 1");
    let (a, b) = (Server::start("a"), Server::start("b"));
    let listener = TcpListener::bind((place::address(), 0)).expect("bound");
    let check = listener.local_addr().expect("bound").port();
    let between =
        Between::start(&text, |builder| builder.with("s1", a.addr).with("s2", b.addr).with("check", check));
    between.until(("one", "s1", "check_status"), "L4OK");
    let clients: Vec<Client> = (0..4).map(|_| Client::new(between.to)).collect();
    assert_eq!(clients.iter().map(|c| c.ask("x")).collect::<Vec<_>>(), ["a:x", "b:x", "a:x", "b:x"]);
    drop(listener);
    between.until(("one", "s1", "status"), "DOWN");
    // It would answer still.
    clients.iter().for_each(|c| assert_eq!(c.ask("y"), "b:y"));
    let _up = TcpListener::bind((place::address(), check)).expect("bound again");
    between.until(("one", "s1", "status"), "UP");
    clients.iter().for_each(|c| assert_eq!(c.ask("z"), "b:z", "who moved stays"));
    // An operator's word holds too.
    between.command("set server one/s2 state maint");
    clients.iter().for_each(|c| assert_eq!(c.ask("z"), "a:z"));
}

#[test]
fn a_server_that_answers_no_datagram_is_left() {
    let text = TWO.replace("balance roundrobin", "balance roundrobin\n    option udp-check\n    tcp-check send ping\n    tcp-check expect string :ping");
    let text = text.replace("{s1}", "{s1} check inter 100ms fall 1 rise 1");
    let text =
        text.replace("{s2}", "{s2} check inter 100ms send-proxy-v2").replace("string :ping", "string ping");
    let (between, mut a, b) = two(&text);
    between.until(("one", "s1", "check_status"), "L7OK");
    between.until(("one", "s2", "check_status"), "L7OK");
    assert!(a.came().iter().any(|(_, bytes)| bytes == b"ping"));
    assert!(b.came().iter().any(|(_, bytes)| bytes == b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0ping"));
    let client = Client::new(between.to);
    assert_eq!(client.ask("x"), "a:x");
    a.stop();
    between.until(("one", "s1", "status"), "DOWN");
    assert!(client.ask("y").starts_with("b:"));
}

#[test]
fn a_reload_keeps_flows() {
    let (between, a, b) = two(TWO);
    let clients: Vec<Client> = (0..4).map(|_| Client::new(between.to)).collect();
    clients.iter().for_each(|c| drop(c.ask("1")));
    let c = Server::start("c");
    between.reload("balance roundrobin", &format!("balance roundrobin\n    server s3 {}", c.addr));
    for (client, name) in clients.iter().zip(["a", "b", "a", "b"]) {
        assert_eq!(client.ask("2"), format!("{name}:2"));
    }
    for server in [&a, &b] {
        let from: HashSet<SocketAddr> = server.came().iter().map(|(from, _)| *from).collect();
        assert_eq!(from.len(), 2, "the sockets are the same");
    }
    assert_eq!(between.stat("one", "s1", "scur"), "2");
    // Another server takes new flows, and those of one that is gone.
    assert!((0..6).any(|_| who(&Client::new(between.to).ask("3")) == "c"));
    between.reload(&format!("server s1 {}", a.addr), "");
    let answers: Vec<String> = clients.iter().map(|c| c.ask("4")).collect();
    assert!(!answers.iter().any(|answer| who(answer) == "a"), "{answers:?}");
    assert_eq!((&*answers[1], &*answers[3]), ("b:4", "b:4"));
}

#[test]
fn a_reload_under_load_loses_nothing() {
    let (between, _a, _b) = two(TWO);
    let to = between.to;
    std::thread::scope(|scope| {
        let load: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let client = Client::new(to);
                    let name = who(&client.ask("x")).to_owned();
                    for n in 0..2000 {
                        assert_eq!(client.ask(&format!("{n}")), format!("{name}:{n}"));
                    }
                })
            })
            .collect();
        for n in 0..5 {
            between.reload("option tcplog", &format!("option tcplog\n    retries {}", n + 2));
        }
        load.into_iter().for_each(|thread| thread.join().expect("nothing lost"));
    });
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    for (any, asked) in [("*", "127.0.0.2"), ("[::]", "127.0.0.2"), ("udp6@", "[::1]")] {
        let bind = if any == "udp6@" { "udp6@:{udp}".to_owned() } else { format!("udp@{any}:{{udp}}") };
        let text = TWO.replace("udp@{ip}:{udp}", &bind);
        let between = Between::start(&text, |builder| builder.with("s1", a.addr).with("s2", b.addr));
        let to: SocketAddr = format!("{asked}:{}", between.to.port()).parse().expect("an address");
        let client = if to.is_ipv6() { v6(to) } else { Client::from(Ipv4Addr::LOCALHOST, to) };
        assert_eq!(client.ask("x"), "a:x", "{bind}");
        assert_eq!(client.ask("y"), "a:y", "{bind}");
        if to.is_ipv4() {
            // One client that asks two addresses has two flows.
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
            socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            let mut room = [0; 10];
            for (host, name) in [(3, "b:z"), (4, "a:z"), (3, "b:z")] {
                let other = SocketAddr::from(([127, 0, 0, host], to.port()));
                socket.send_to(b"z", other).expect("sent");
                let (n, from) = socket.recv_from(&mut room).expect("an answer");
                assert_eq!((&room[..n], from), (name.as_bytes(), other), "{bind}");
            }
        }
    }
}

fn v6(to: SocketAddr) -> Client {
    Client::over("[::1]:0", to)
}

#[test]
fn ports_rules_and_backends() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let low = place::free_udp_port() & !1;
    let text = "
frontend front
    bind udp@{ip}:{low}-{high}
    tcp-request connection reject if { src 127.1.0.9 }
    use_backend odd if { dst_port {high} }
    default_backend even
backend even
    server s1 {s1}
backend odd
    server s2 {s2}
";
    let between = Between::start(text, |builder| {
        builder.with("s1", a.addr).with("s2", b.addr).with("low", low).with("high", low + 1)
    });
    let at = |port| SocketAddr::from((place::address(), port));
    assert_eq!(Client::new(at(low)).ask("x"), "a:x");
    assert_eq!(Client::new(at(low + 1)).ask("x"), "b:x");
    let unwanted = Client::from(Ipv4Addr::new(127, 1, 0, 9), at(low));
    unwanted.send("x");
    assert_eq!(unwanted.answer(Duration::from_millis(300)), None);
    assert_eq!(between.stat("front", "FRONTEND", "dcon"), "1");
    assert_eq!(a.came().len(), 1);
}

#[test]
fn servers_learn_who_asks() {
    let text = "
listen one
    bind udp@{ip}:{udp}
    server s1 {s1} send-proxy-v2
";
    let a = Server::start("a");
    let between = Between::start(text, |builder| builder.with("s1", a.addr));
    let client = Client::new(between.to);
    client.ask("one");
    client.ask("two");
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (client.addr(), between.to) else { panic!() };
    let header = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c"[..],
        &from.ip().octets(),
        &to.ip().octets(),
        &from.port().to_be_bytes(),
        &to.port().to_be_bytes(),
    ]
    .concat();
    let came: Vec<Vec<u8>> = a.came().into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(came, [[&header[..], b"one"].concat(), [&header[..], b"two"].concat()]);
}
