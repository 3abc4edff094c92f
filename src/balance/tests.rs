//! Sequences recorded from a real HAProxy (`golden.txt`), and what a recording cannot show: full servers, several
//! workers, slow start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::model::server::ServerSpec;
use crate::model::{Address, AdminState, Balancer, OperState, Pick, Server, ServerLive};

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
    for line in GOLDEN.lines().filter(|l| !l.starts_with(['#', 'k', 'h'])) {
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
    for line in GOLDEN.lines().filter(|l| !l.starts_with(['#', 'k', 'h'])) {
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

#[test]
fn load_and_full_servers_count_as_with_haproxy() {
    let mut seen = 0;
    for line in GOLDEN.lines().filter(|l| l.starts_with("held ")) {
        let (head, events) = line.split_once(" : ").unwrap();
        let [_, balance, weights, maxconns] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let list = servers(weights, "");
        for (server, maxconn) in list.iter().zip(maxconns.split(',')) {
            server.live.maxconn.store(maxconn.parse().unwrap(), Ordering::Relaxed);
        }
        let balancer = build(&spec(balance), &list, 1000);
        let mut held = Vec::new();
        for (n, event) in events.split(' ').enumerate() {
            let (i, taken) = match event.strip_prefix('-') {
                Some(k) => (held.remove(k.parse().unwrap()), false),
                None => (balancer.pick(&list, &Pick::default()).unwrap(), true),
            };
            if taken {
                assert_eq!(*list[i].spec.name, *event, "event {n} of {line}");
                held.push(i);
                list[i].live.served.fetch_add(1, Ordering::Relaxed);
            } else {
                list[i].live.served.fetch_sub(1, Ordering::Relaxed);
            }
            balancer.load_changed(&list, i, taken);
        }
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn four_workers_spread_exactly() {
    for balance in ["roundrobin", "static-rr", "leastconn"] {
        let list = servers("1,1,1,1,1", "");
        let balancer = build(&spec(balance), &list, 1000);
        let picks: Vec<usize> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000).map(|_| balancer.pick(&list, &Pick::default()).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
        });
        for i in 0..5 {
            assert_eq!(picks.iter().filter(|&&p| p == i).count(), 800, "{balance} {i}");
        }
    }
}

#[test]
fn maglev_spreads_by_weight_and_moves_few() {
    let mut kind = spec("source");
    kind.hash = parse_hash_type(&["maglev"]).unwrap();
    let list = servers("1,1,2,1", "");
    let balancer = build(&kind, &list, 1000);
    let keys: Vec<u32> = (0..20_000).map(|n| hash_key(&kind, &u32::to_be_bytes(n * 7919)).unwrap()).collect();
    let picks = |avoid| -> Vec<usize> {
        let pick = |hash: &u32| Pick { hash: Some(*hash), avoid, ..Pick::default() };
        keys.iter().map(|hash| balancer.pick(&list, &pick(hash)).unwrap()).collect()
    };
    let before = picks(None);
    let share = |picks: &[usize], i| picks.iter().filter(|p| **p == i).count() as f64 / picks.len() as f64;
    for (i, due) in [(0, 0.2), (1, 0.2), (2, 0.4), (3, 0.2)] {
        assert!((share(&before, i) - due).abs() < 0.02, "{i}: {}", share(&before, i));
    }
    assert!(picks(Some(1)).iter().zip(&before).all(|(now, then)| *now != 1 && (*then == 1 || now == then)));
    list[1].live.set_oper(OperState::Stopped);
    balancer.refresh(&list, 1000);
    let after = picks(None);
    assert_eq!(share(&after, 1), 0.0);
    let moved = before.iter().zip(&after).filter(|(then, now)| **then != 1 && then != now).count();
    assert!(moved < keys.len() / 20, "{moved} keys of others moved");
    list[1].live.set_oper(OperState::Running);
    balancer.refresh(&list, 1000);
    assert_eq!(picks(None), before);
    list.iter().for_each(|s| s.live.set_oper(OperState::Stopped));
    balancer.refresh(&list, 1000);
    assert_eq!(balancer.pick(&list, &Pick { hash: Some(7), ..Pick::default() }), None);
}

#[test]
fn the_server_to_avoid_is_taken_only_when_alone() {
    for balance in ["roundrobin", "static-rr", "leastconn", "first", "source", "random"] {
        let list = servers("1,1", "");
        let mut kind = spec(balance);
        let avoid = Pick { avoid: Some(0), ..Pick::default() };
        let balancer = build(&kind, &list, 1000);
        for _ in 0..4 {
            assert_eq!(balancer.pick(&list, &avoid), Some(1), "{balance}");
        }
        list[1].live.set_oper(OperState::Stopped);
        balancer.refresh(&list, 1000);
        assert_eq!(balancer.pick(&list, &avoid), Some(0), "{balance}");
        list[0].live.set_oper(OperState::Stopped);
        balancer.refresh(&list, 1000);
        assert_eq!(balancer.pick(&list, &avoid), None, "{balance}");
        kind.hash.consistent = true;
        assert_eq!(build(&kind, &list, 1000).pick(&list, &avoid), None, "{balance}");
    }
}

#[test]
fn nobody_is_picked_while_all_are_full() {
    for balance in ["roundrobin", "static-rr", "leastconn", "first", "random"] {
        let list = servers("1,1", "");
        for s in &list {
            s.live.maxconn.store(2, Ordering::Relaxed);
            s.live.served.store(2, Ordering::Relaxed);
        }
        let balancer = build(&spec(balance), &list, 1000);
        assert_eq!(balancer.pick(&list, &Pick::default()), None, "{balance}");
        list[1].live.served.store(1, Ordering::Relaxed);
        balancer.load_changed(&list, 1, false);
        let hits = (0..50).filter_map(|random| balancer.pick(&list, &Pick { random, ..Pick::default() }));
        assert!(hits.into_iter().all(|i| i == 1), "{balance}");
    }
}

#[test]
fn slow_start_raises_weight_and_limit() {
    let list = [server(0, 10, |s| (s.slowstart_ms, s.maxconn) = (16_000, 100)), server(1, 10, |_| {})];
    list[0].live.set_oper(OperState::Starting);
    list[0].live.slowstart_from_ms.store(1000, Ordering::Relaxed);
    let share = |now: u64| {
        let balancer = build(&spec("roundrobin"), &list, now);
        (0..170).filter(|_| serve(&*balancer, &list, Pick { now, ..Pick::default() }) == 'a').count()
    };
    assert_eq!(effective_weight(&list[0], 1000), 10);
    assert_eq!(share(1000), 10, "one part in seventeen");
    assert_eq!(effective_weight(&list[0], 9000), 90);
    assert_eq!(throttle(&list[0], 9000), Some(50));
    assert_eq!(effective_maxconn(&list[0], 0, 0, 9000), 50);
    assert_eq!(effective_maxconn(&list[0], 0, 0, 1000), 1);
    assert!(settle(&list[0], 16_999) && !settle(&list[0], 17_000));
    assert_eq!(list[0].live.oper(), OperState::Running);
    assert_eq!((effective_weight(&list[0], 17_000), share(17_000)), (160, 85));
}

#[test]
fn minconn_grows_with_the_backend() {
    let a = server(0, 1, |s| (s.minconn, s.maxconn) = (10, 100));
    assert_eq!(effective_maxconn(&a, 0, 1000, 0), 10);
    assert_eq!(effective_maxconn(&a, 500, 1000, 0), 50);
    assert_eq!(effective_maxconn(&a, 1000, 1000, 0), 100);
    assert_eq!(effective_maxconn(&server(0, 1, |s| s.minconn = 7), 0, 9, 0), 7);
    assert_eq!(effective_maxconn(&server(0, 1, |_| {}), 5, 9, 0), 0);
}

#[test]
fn a_bounded_ring_passes_over_the_loaded_server() {
    let list = servers("1,1,1", "");
    let hash = HashType { consistent: true, avalanche: true, ..HashType::default() };
    let mut bounded = Spec { hash, balance_factor: 150, ..spec("uri") };
    let pick = Pick { hash: hash_key(&bounded, b"/x"), ..Pick::default() };
    let first = build(&bounded, &list, 1000).pick(&list, &pick).unwrap();
    list[first].live.served.store(5, Ordering::Relaxed);
    assert_ne!(build(&bounded, &list, 1000).pick(&list, &pick), Some(first), "holds all the load already");
    bounded.balance_factor = 0;
    assert_eq!(build(&bounded, &list, 1000).pick(&list, &pick), Some(first));
    list[first].live.maxconn.store(5, Ordering::Relaxed);
    bounded.affinity = Affinity::MaxConn;
    assert_ne!(build(&bounded, &list, 1000).pick(&list, &pick), Some(first));
    bounded.affinity = Affinity::MaxQueue;
    assert_eq!(build(&bounded, &list, 1000).pick(&list, &pick), Some(first));
}

#[test]
fn random_respects_weights_and_load() {
    let list = servers("1,3", "");
    let count = |balancer: &dyn Balancer| {
        (0..4000u64)
            .filter(|r| balancer.pick(&list, &Pick { random: r * 7919, ..Pick::default() }) == Some(0))
            .count()
    };
    let one = build(&spec("random(1)"), &list, 1000);
    assert!((700..1500).contains(&count(&*one)), "{}", count(&*one));
    list[1].live.served.store(30, Ordering::Relaxed);
    let many = build(&spec("random(9)"), &list, 1000);
    assert!(count(&*many) > 3500, "the idle one wins");
}

/// A simulation: requests come one after the other and each server answers in its own time. Spread, weight and what
/// happens when a server becomes slow.
#[test]
fn peak_ewma_goes_by_speed() {
    let run = |weights: &str, slow_from: usize| {
        let list = servers(weights, "");
        let balancer = build(&spec("peak-ewma"), &list, 1000);
        let mut counts = [[0_u32; 3]; 2];
        let mut busy: Vec<(u64, usize, u64)> = Vec::new();
        for request in 0..6000_u64 {
            let now = 1000 + request;
            busy.retain(|(end, i, us)| {
                if *end <= now {
                    list[*i].live.served.fetch_sub(1, Ordering::Relaxed);
                    list[*i].live.latency.note(*us, *end);
                }
                *end > now
            });
            let pick = Pick { random: request.wrapping_mul(7919), now, ..Pick::default() };
            let i = balancer.pick(&list, &pick).expect("a server");
            list[i].live.served.fetch_add(1, Ordering::Relaxed);
            let is_late = usize::from(request >= 3000);
            let ms = if i == 0 && is_late >= slow_from { 40 } else { 4 };
            busy.push((now + ms, i, ms * 1000));
            counts[is_late][i] += 1;
        }
        counts
    };
    let [even, slow] = run("1,1,1", 1);
    assert!(even.iter().all(|n| (800..1200).contains(n)), "as many to each: {even:?}");
    // Where both draws are the slow one, there is no other: a ninth.
    assert!(slow[0] < 450, "the slow one gets little: {slow:?}");
    let [weighed, _] = run("1,3,0", 2);
    assert!((500..1100).contains(&weighed[0]) && weighed[2] == 0, "by weight: {weighed:?}");
}

#[test]
fn every_example_parses_and_refusals_say_why() {
    for a in ALGORITHMS {
        let words: Vec<&str> = a.entry.example.split(' ').collect();
        assert_eq!(words[0], "balance");
        match a.entry.status {
            crate::lang::Status::Refused(why) => {
                assert!(parse_balance(&words[1..]).unwrap_err().contains(why))
            }
            _ => assert!(parse_balance(&words[1..]).is_ok(), "{}", a.entry.example),
        }
    }
    assert!(parse_balance(&["uri", "len", "0"]).is_err());
    assert!(parse_balance(&["hdr()"]).is_err());
    assert!(parse_balance(&["random(0)"]).is_err());
    assert!(parse_balance(&["roundrobin(2)"]).is_err());
    assert!(parse_hash_type(&["consistent", "sha1"]).is_err());
    assert_eq!(parse_balance(&[]), Ok(Method::Random { draws: 2 }));
    assert!(!spec("static-rr").is_dynamic() && !spec("uri").is_dynamic() && spec("leastconn").is_dynamic());
}
