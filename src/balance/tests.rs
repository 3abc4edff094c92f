//! Sequences recorded from a real HAProxy (`golden.txt`), and what a recording cannot show: full servers, several
//! workers, slow start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::model::server::ServerSpec;
use crate::model::{Address, AdminState, Balancer, Pick, Server, ServerLive};

const GOLDEN: &str = include_str!("golden.txt");

fn server(index: usize, weight: u32, change: impl Fn(&mut ServerSpec)) -> Server {
    let name = char::from(b'a' + index as u8).to_string();
    let address = Address::Inet(([127, 0, 0, 1], 80).into());
    let mut spec = ServerSpec::new(&name, index as u32 + 1, address);
    spec.weight = weight;
    change(&mut spec);
    let live = ServerLive::new(&spec, 1, 1000);
    Server { spec: Arc::new(spec), live: Arc::new(live) }
}

fn servers(weights: &str, args: &str) -> Vec<Server> {
    let args: Vec<&str> = args.split(',').collect();
    let list = weights.split(',').enumerate();
    list.map(|(i, w)| {
        server(i, w.parse().unwrap(), |spec| match args.get(i) {
            Some(&"B") => spec.backup = true,
            Some(id) => spec.id = id.strip_prefix("id ").map_or(spec.id, |n| n.parse().unwrap()),
            None => {}
        })
    })
    .collect()
}

fn spec(balance: &str) -> Spec {
    let words: Vec<&str> = balance.split(' ').collect();
    Spec::new(parse_balance(&words).unwrap())
}

/// One request after the other: each ends before the next one starts.
fn serve(balancer: &dyn Balancer, list: &[Server], pick: Pick) -> char {
    let i = balancer.pick(list, &pick).expect("a server");
    list[i].live.served.fetch_add(1, Ordering::Relaxed);
    balancer.load_changed(list, i, true);
    list[i].live.served.fetch_sub(1, Ordering::Relaxed);
    balancer.load_changed(list, i, false);
    char::from(b'a' + i as u8)
}

fn sequence(balancer: &dyn Balancer, list: &[Server], n: usize) -> String {
    (0..n).map(|_| serve(balancer, list, Pick::default())).collect()
}

fn named<'a>(list: &'a [Server], name: &str) -> &'a Server {
    list.iter().find(|s| &*s.spec.name == name).unwrap()
}

#[test]
fn turns_are_those_of_haproxy() {
    let mut seen = 0;
    for line in GOLDEN.lines().filter(|l| !l.starts_with(['#', 'k'])) {
        let Some((head, picks)) = line.split_once(" : ") else { continue };
        let (balance, weights) = head.split_once(' ').unwrap();
        let list = servers(weights, "");
        let balancer = build(&spec(balance), &list, 1000);
        assert_eq!(sequence(&*balancer, &list, picks.len()), picks, "{head}");
        seen += 1;
    }
    assert!(seen >= 26, "{seen} lines");
}

#[test]
fn changes_while_running_are_those_of_haproxy() {
    let mut seen = 0;
    for line in GOLDEN.lines().filter(|l| !l.starts_with(['#', 'k'])) {
        let Some((head, events)) = line.split_once(" > ") else { continue };
        let (balance, weights) = head.split_once(' ').unwrap();
        let (weights, args) = weights.split_once(';').unwrap_or((weights, ""));
        let list = servers(weights, args);
        let (balance, all_backups) = match balance.strip_suffix("+allbackups") {
            Some(name) => (name, true),
            None => (balance, false),
        };
        let spec = Spec { all_backups, ..spec(balance) };
        let balancer = build(&spec, &list, 1000);
        for event in events.split(' ') {
            if let Some(name) = event.strip_prefix('-') {
                named(&list, name).live.set_admin(AdminState::FORCED_MAINT);
            } else if let Some(name) = event.strip_prefix('+') {
                named(&list, name).live.set_admin(AdminState::empty());
            } else if let Some((name, weight)) = event.strip_prefix('w').and_then(|e| e.split_once('=')) {
                named(&list, name).live.user_weight.store(weight.parse().unwrap(), Ordering::Relaxed);
            } else {
                let (n, picks) = event.split_once(':').unwrap();
                let ours = sequence(&*balancer, &list, n.parse().unwrap());
                assert_eq!(ours, picks, "in {line}");
                seen += 1;
                continue;
            }
            balancer.refresh(&list, 1000);
        }
    }
    assert!(seen > 100, "{seen} runs");
}

fn uris() -> Vec<Vec<u8>> {
    let mut list: Vec<String> =
        ["/", "/a", "/index.html", "/a/b/c/d?x=1", "/a/b/c/e?x=2", "/img/logo.png?v=3"]
            .map(str::to_owned)
            .into();
    list.push(format!("/{}", "x".repeat(100)));
    list.extend((0..30).map(|i| format!("/p/{}/q{i}?z={i}", i * 37 % 101)));
    list.into_iter().map(String::into_bytes).collect()
}

fn keys(balance: &str, n: usize) -> Vec<Vec<u8>> {
    let hosts = ["www.example.com", "a.b", "localhost", "x.y.z.org:80", "haproxy.1wt.eu", "10.0.0.1"];
    match balance.split(['(', ' ']).next().unwrap() {
        "source" => {
            (0..n).map(|i| vec![127, (i * 7) as u8, (i * 31) as u8, (1 + i * 13 % 250) as u8]).collect()
        }
        "hdr" if balance.contains("absent") => vec![Vec::new(); n],
        "hdr" => hosts.iter().map(|h| h.as_bytes().to_vec()).collect(),
        "hash" => ["5", "77", "abc", "-3"].iter().map(|h| h.as_bytes().to_vec()).collect(),
        _ => uris(),
    }
}

#[test]
fn keys_reach_the_servers_they_reach_with_haproxy() {
    let mut seen = 0;
    for line in GOLDEN.lines().filter(|l| l.starts_with("key|")) {
        let [_, balance, hash_type, weights, args, picks] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let list = servers(weights, args);
        let words: Vec<&str> = hash_type.split(' ').collect();
        let spec = Spec { hash: parse_hash_type(&words).unwrap(), ..spec(balance) };
        let balancer = build(&spec, &list, 1000);
        assert!(balancer.is_keyed());
        let ours: String = keys(balance, picks.len())
            .iter()
            .map(|key| serve(&*balancer, &list, Pick { hash: hash_key(&spec, key), ..Pick::default() }))
            .collect();
        assert_eq!(ours, picks, "{line}");
        seen += 1;
    }
    assert!(seen >= 60, "{seen} lines");
}
