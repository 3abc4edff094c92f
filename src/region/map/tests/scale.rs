//! 5,000 services with 50,000 instances on 500 nodes: what a change, a snapshot and a restart cost.

use std::time::Duration;

use super::support::*;
use crate::base::clock;
use crate::region::map::*;

const NODES: usize = 500;
const SERVICES: usize = 5_000;
const INSTANCES: usize = 50_000;

fn at(n: usize) -> (String, String, String) {
    (format!("node-{:03}", n % NODES), format!("web-{n}"), format!("service-{:04}", n % SERVICES))
}

fn big() -> Map {
    let mut map = Map::default();
    let mut index = 0;
    let mut run = |command| {
        index += 1;
        map.apply(index, Proposal { at: index, command }, &mut Vec::new());
    };
    for n in 0..NODES {
        let node = at(n).0;
        run(put_node(&node));
        run(put_checks(&node, vec![check(&node, NODE_LIVENESS, "", Health::Passing)]));
    }
    for n in 0..INSTANCES {
        let (node, id, service) = at(n);
        let check = check(&node, &format!("c-{id}"), &id, Health::Passing);
        run(put(instance(&node, &id, &service), vec![check]));
    }
    map
}

/// How long a change takes when the version before it is held by a reader, as it is in a running node.
fn each(map: &mut Map, times: usize, mut command: impl FnMut(usize) -> Command) -> Duration {
    let mut spent = 0;
    let mut touched = Vec::new();
    for n in 0..times {
        let shown = map.clone();
        let proposal = Proposal { at: n as u64, command: command(n) };
        let start = clock::now_ns();
        map.apply(map.index() + 1, proposal, &mut touched);
        spent += clock::now_ns() - start;
        touched.clear();
        drop(shown);
    }
    Duration::from_nanos(spent / times as u64)
}

fn flip(n: usize) -> Command {
    let n = n * 7919 % INSTANCES;
    let (node, id, _) = at(n);
    status(&node, &format!("c-{id}"), Health::Critical)
}

#[test]
fn a_change_costs_its_own_size() {
    let mut small = Map::default();
    for (index, command) in (1..)
        .zip([put_node("n"), put(instance("n", "web", "web"), vec![check("n", "c", "web", Health::Passing)])])
    {
        small.apply(index, Proposal { at: 0, command }, &mut Vec::new());
    }
    let turn = |n| status("n", "c", [Health::Critical, Health::Passing][n % 2]);
    let alone = each(&mut small, 2_000, turn);
    let mut map = big();
    let among = each(&mut map, 2_000, flip);
    assert!(among < alone * 20 + Duration::from_micros(100), "{alone:?} alone, {among:?} among 50,000");
}

/// A hundredth of what `scripts/lab simulation` fills a map with, or any other share.
fn share(nodes: usize, each: usize) -> Map {
    let mut map = Map::default();
    let mut run = |command| {
        let index = map.index() + 1;
        map.apply(index, Proposal { at: index, command }, &mut Vec::new());
    };
    for node in (0..nodes).map(|n| at(n).0) {
        run(Command::RegionPut(Region { name: node.as_str().into(), ..Region::default() }));
        run(put_node(&node));
        for n in 0..each {
            let id = format!("web-{n}");
            let one = instance(&node, &id, &format!("service-{:03}", n % (nodes * each / 100)));
            run(put(one, vec![check(&node, &format!("c-{id}"), &id, Health::Passing)]));
            run(set(&format!("dir/{node}/{n}"), "value"));
        }
    }
    map
}

type Make = fn(usize, usize, usize) -> Command;

/// Changes of one kind, given which one, how many nodes there are and how many instances each has.
const KINDS: [(&str, Make); 6] = [
    ("an instance registered anew", |n, nodes, each| {
        let (node, one) = (at(n % nodes).0, n * 7919 % each);
        let service = format!("service-{:03}", one % (nodes * each / 100));
        let anew = instance(&node, &format!("web-{one}"), &service);
        put(Instance { port: 1000 + (n % 5000) as u16, ..anew }, vec![])
    }),
    ("an instance gone", |n, nodes, each| {
        gone(&at(n % nodes).0, Some(&format!("web-{}", n * 31 % each)), None)
    }),
    ("a check's verdict", |n, nodes, each| {
        let verdict = [Health::Critical, Health::Warning, Health::Passing][n / 7 % 3];
        status(&at(n % nodes).0, &format!("c-web-{}", n * 7919 % each), verdict)
    }),
    ("a key", |n, nodes, each| set(&format!("dir/{}/{}", at(n % nodes).0, n * 7919 % each), &n.to_string())),
    ("a session", |n, nodes, _| Command::SessionCreate(session(&format!("s-{n}"), &at(n % nodes).0, &[]))),
    ("a region", |n, nodes, _| {
        let name = at(n % nodes).0.as_str().into();
        Command::RegionPut(Region { name, location: Some((n as f64, 0.0)), ..Region::default() })
    }),
];

/// Half of them take no longer.
fn median(map: &mut Map, times: usize, mut command: impl FnMut(usize) -> Command) -> Duration {
    let mut spent: Vec<Duration> = (0..times).map(|n| each(map, 1, |_| command(n))).collect();
    spent.sort_unstable();
    spent[times / 2]
}

/// A walk over 10,000 of anything takes this build far longer than the bar.
#[test]
fn no_change_walks_the_map() {
    let (mut small, mut full) = (share(1, 100), share(10, 1_000));
    for (kind, make) in KINDS {
        let among_few = median(&mut small, 301, |n| make(n, 1, 100));
        let among_all = median(&mut full, 301, |n| make(n, 10, 1_000));
        let bar = among_few * 5 + Duration::from_micros(200);
        assert!(among_all < bar, "{kind}: {among_few:?} among 100, {among_all:?} among 10,000");
    }
}

#[test]
fn what_records_say_alike_is_kept_once() {
    let pairs = |value: &str| Pairs::from([(name("version"), name(value))]);
    let mut map = Map::default();
    let mut run = |command: Command| {
        // As it comes from the log, where everybody has strings of their own.
        let bytes = codec::encode(&Proposal { at: 1, command }).unwrap();
        let proposal = codec::decode(&bytes).unwrap();
        map.apply(map.index() + 1, proposal, &mut Vec::new());
    };
    run(put_node("n"));
    for (id, meta) in [("a", "1"), ("b", "1"), ("c", "2")] {
        let tags = names(&["blue", "v2"]).into();
        let one = Instance { tags, meta: pairs(meta), ..instance("n", id, "web") };
        run(put(one, vec![check("n", id, id, Health::Passing)]));
    }
    let mut bytes = Vec::new();
    map.write_snapshot(&mut bytes).unwrap();
    let followed = Map::read_snapshot(&bytes[..]).unwrap();
    assert_eq!(followed, map);
    for map in [map, followed] {
        let one = |id: &str| map.instance("n", id).unwrap();
        let check = map.check("n", "b").unwrap();
        let once = |a: &Name, b: &Name| assert!(Name::ptr_eq(a, b), "{a}");
        once(&one("a").service, &one("b").service);
        once(&one("a").node, &one("b").node);
        once(&one("b").id, &check.service_id);
        once(&check.id, &check.name);
        assert_eq!(one("a").tags.as_ptr(), one("b").tags.as_ptr());
        assert_eq!(one("b").tags.as_ptr(), check.service_tags.as_ptr());
        let first = |id: &str| one(id).meta.iter().next().unwrap();
        assert!(std::ptr::eq(first("a").0, first("b").0), "the whole list");
        once(first("a").0, first("c").0);
    }
    assert!(size_of::<Instance>() <= 160 && size_of::<Check>() <= 168);
}

#[test]
#[ignore = "prints figures; run it in release"]
fn figures() {
    let start = clock::now_ns();
    let since = |start| Duration::from_nanos(clock::now_ns() - start);
    let mut map = big();
    println!("{INSTANCES} registrations: {:?}", since(start));
    println!("check flip: {:?}", each(&mut map, 20_000, flip));
    println!(
        "node check flip ({} services): {:?}",
        SERVICES / NODES,
        each(&mut map, 1_000, |n| {
            status(&at(n % NODES).0, NODE_LIVENESS, [Health::Critical, Health::Passing][n / NODES % 2])
        })
    );
    println!("kv put: {:?}", each(&mut map, 20_000, |n| set(&format!("dir/{}", n % 5_000), &n.to_string())));
    println!(
        "registration anew: {:?}",
        each(&mut map, 20_000, |n| {
            let (node, id, service) = at(n);
            put(Instance { port: 81, ..instance(&node, &id, &service) }, vec![])
        })
    );
    let start = clock::now_ns();
    let mut bytes = Vec::new();
    map.write_snapshot(&mut bytes).unwrap();
    println!("snapshot of {} bytes: {:?}", bytes.len(), since(start));
    let start = clock::now_ns();
    let read = Map::read_snapshot(&bytes[..]).unwrap();
    println!("read back: {:?}", since(start));
    assert_eq!(read, map);
    let start = clock::now_ns();
    let instances: usize = read.services().map(|(_, service)| service.len()).sum();
    println!("all {instances} instances walked: {:?}", since(start));
}
