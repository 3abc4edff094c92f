//! Traffic under faults, and the verdict. `scripts/lab chaos` runs it for longer and with many seeds.
//!
//! `ISOBAR_SEED`, `ISOBAR_CHAOS_SECONDS` and `ISOBAR_CHAOS_NODES` say what; a seed fixes the choice of faults and
//! operations, not what the processes make of them. Members speak TLS in trials of an odd seed, or as
//! `ISOBAR_CHAOS_TLS` (0, 1) says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::cluster::{API, Cluster, Node};
use super::faults::{FAULTS, Fault, Lasting, Wires, spell};
use super::linear::{Event, Op, Outcome, is_linearizable};
use super::traffic::{Client, Dice, Traffic, session};
use crate::support::lab::Lab;

const CLIENTS: u8 = 6;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?}")))
}

fn text_of(n: usize, nodes: usize, tls: bool) -> String {
    let address = address(n);
    let join: Vec<String> = (0..nodes).map(|peer| format!("{}:7400", self::address(peer))).collect();
    let trust = if tls { "ssl\n join-token 0123456789abcdef0123456789abcdef" } else { "insecure" };
    format!(
        "region-map\n node n{n}\n bind {address}:7400 {trust}\n data-dir \"${{ISOBAR_DATA}}/n{n}\"\n \
         retry-join {}\n expect {nodes}\n http-api {address}:{API} insecure\n",
        join.join(" ")
    )
}

fn address(n: usize) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, n as u8 + 1).into()
}

#[test]
fn every_history_is_linearizable_while_nodes_fail() {
    let Some(mut lab) = Lab::with_hub("region::chaos", "10.77.0.254/24") else { return };
    let nodes = setting("ISOBAR_CHAOS_NODES", 3) as usize;
    let seed = setting("ISOBAR_SEED", u64::from(std::process::id()));
    let tls = setting("ISOBAR_CHAOS_TLS", seed % 2) == 1;
    let time = Duration::from_secs(setting("ISOBAR_CHAOS_SECONDS", 20));
    let hosts: Vec<(String, String)> =
        (0..nodes).map(|n| (lab.host(&format!("{}/24", address(n))), address(n).to_string())).collect();
    let history = lab.inside(|| {
        let node = |n: usize| Node::new(address(n), &text_of(n, nodes, tls)).netns(&hosts[n].0);
        let mut cluster = Cluster::new((0..nodes).map(node).collect());
        cluster.start_all();
        let wires = Wires::new(&lab, &hosts);
        trial(&lab, &wires, &mut cluster, seed, time)
    });
    judge(seed, &history);
}

type History = BTreeMap<String, Vec<Event>>;

/// Traffic and faults for a while; then every key is read once more.
fn trial(lab: &Lab, wires: &Wires, cluster: &mut Cluster, seed: u64, time: Duration) -> History {
    let apis = cluster.nodes.iter().map(|node| SocketAddr::new(node.address, API)).collect();
    let traffic = Traffic::new(apis);
    let sessions: Vec<String> = (0..CLIENTS).map(|_| session(&mut cluster.nodes[0].api())).collect();
    let faults = std::thread::scope(|scope| {
        for me in 0..CLIENTS {
            let client = Client::new(&traffic, me, &sessions);
            let seed = seed.wrapping_mul(1000) + u64::from(me);
            scope.spawn(move || client.work(seed));
        }
        let faults = harm(lab, wires, cluster, seed, time);
        traffic.over.store(true, Ordering::Relaxed);
        faults
    });
    eprintln!("seed {seed}: {faults:?}");
    cluster.settle();
    let until = Instant::now() + Duration::from_secs(30);
    let mut reader = Client::new(&traffic, 0, &sessions);
    for key in traffic.history().keys() {
        reader.conclude(key, until);
    }
    traffic.history()
}

/// One fault, or two at once, after another.
fn harm(
    lab: &Lab,
    wires: &Wires,
    cluster: &mut Cluster,
    seed: u64,
    time: Duration,
) -> Vec<(u64, Vec<(Fault, usize)>)> {
    let mut dice = Dice(seed);
    let mut told = Vec::new();
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    while start.elapsed() < time {
        let (lasts, calm) = spell(&mut dice);
        let count = if dice.below(4) == 0 { 2 } else { 1 };
        let (mut lasting, mut what) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let fault = FAULTS[dice.below(FAULTS.len() as u64) as usize];
            let node = victim(cluster, &mut dice);
            if what.iter().all(|(_, other)| *other != node) {
                lasting.push(Lasting::begin(lab, wires, cluster, fault, node, &mut dice));
                what.push((fault, node));
            }
        }
        told.push((start.elapsed().as_millis() as u64, what));
        std::thread::sleep(lasts);
        lasting.into_iter().for_each(|fault| fault.end(lab, wires, cluster));
        std::thread::sleep(calm);
    }
    told
}

/// Any node, the leader more often than others.
fn victim(cluster: &Cluster, dice: &mut Dice) -> usize {
    let any = dice.below(cluster.nodes.len() as u64) as usize;
    if dice.below(2) == 0 {
        return any;
    }
    let leader = cluster.nodes[any].leader();
    cluster.nodes.iter().position(|node| leader == format!("{}:7400", node.address)).unwrap_or(any)
}

fn judge(seed: u64, history: &History) {
    let events = || history.values().flatten();
    let answered = events().filter(|e| e.outcome != Outcome::Unknown);
    let writes = answered.clone().filter(|e| e.op != Op::Read).count();
    let unknown = events().count() - answered.count();
    eprintln!(
        "seed {seed}: {} operations on {} keys, {writes} writes answered, {unknown} of unknown outcome",
        events().count(),
        history.len()
    );
    let wrong: Vec<&String> =
        history.iter().filter(|(_, events)| !is_linearizable(events)).map(|(key, _)| key).collect();
    for key in &wrong {
        eprintln!("--- {key}");
        let mut events = history[*key].clone();
        events.sort_by_key(|e| e.called);
        events.iter().for_each(|e| eprintln!("{e}"));
    }
    assert!(wrong.is_empty(), "seed {seed}: not linearizable: {wrong:?}");
    assert!(writes >= 50, "too little was written to say anything");
}
