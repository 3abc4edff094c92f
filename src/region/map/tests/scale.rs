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
