//! Traffic under faults, and the verdict. `scripts/lab chaos` runs it for longer and with many seeds.
//!
//! `ISOBAR_SEED`, `ISOBAR_CHAOS_SECONDS` and `ISOBAR_CHAOS_NODES` say what; a seed fixes the choice of faults and
//! operations, not what the processes make of them. Members speak TLS in trials of an odd seed, or as
//! `ISOBAR_CHAOS_TLS` (0, 1) says. `ISOBAR_CHAOS_FAULTS` (`hang,fill`) names the faults, where it is not to be all.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::cluster::{API, Cluster, Node};
use super::contenders::{self, contend};
use super::faults::{Fault, Ground, Lasting, Wires};
use super::leading::{self, Gap};
use super::linear::{Event, Op, Outcome, is_linearizable};
use super::locks::{self, Life};
use super::places::{PREFIX, address, text_of};
use super::traffic::{Client, Dice, Traffic, place, session};
use crate::support::lab::Lab;
use crate::support::program;

const TEST: &str = "region::chaos";
const CLIENTS: u8 = 6;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?}")))
}

/// What a trial consists of.
struct Plan {
    seed: u64,
    time: Duration,
    tls: bool,
    faults: Vec<Fault>,
}

#[test]
fn every_history_is_linearizable_while_nodes_fail() {
    let Some(mut lab) = Lab::with_hub(TEST, &format!("10.77.255.254/{PREFIX}")) else { return };
    let nodes = setting("ISOBAR_CHAOS_NODES", 3) as usize;
    let seed = setting("ISOBAR_SEED", u64::from(std::process::id()));
    let mut plan = Plan {
        seed,
        time: Duration::from_secs(setting("ISOBAR_CHAOS_SECONDS", 20)),
        tls: setting("ISOBAR_CHAOS_TLS", seed % 2) == 1,
        faults: Fault::chosen(std::env::var("ISOBAR_CHAOS_FAULTS").ok().as_deref()),
    };
    let addresses: Vec<IpAddr> = (0..nodes).map(|n| address(n, 0)).collect();
    let hosts: Vec<(String, String)> =
        addresses.iter().map(|a| (lab.host(&format!("{a}/{PREFIX}")), a.to_string())).collect();
    let told = lab.inside(|| {
        let node = |n: usize| Node::new(addresses[n], &text_of(n, &addresses, plan.tls)).netns(&hosts[n].0);
        let mut cluster = Cluster::new((0..nodes).map(node).collect());
        if !cluster.on_disks() {
            program::skipped(TEST, "disks that hang and fill need loop devices, mkfs.ext4 and fsfreeze");
            plan.faults.retain(|fault| !fault.is_of_disks());
        }
        assert!(!plan.faults.is_empty(), "no fault is left");
        cluster.start_all();
        trial(&lab, Wires::new(&lab, &hosts), &mut cluster, &plan)
    });
    judge(seed, &told);
}

type History = BTreeMap<String, Vec<Event>>;

/// What was seen in a trial.
#[derive(Default)]
struct Told {
    history: History,
    lives: Vec<Life>,
    /// When nodes said that they lead.
    led: Vec<u64>,
    harm: Vec<Harm>,
}

/// Faults that began and ended together, in nanoseconds of the trial.
struct Harm {
    from: u64,
    to: u64,
    what: Vec<(Fault, usize)>,
}

/// Traffic and faults for a while; then every key is read once more.
fn trial(lab: &Lab, wires: Wires, cluster: &mut Cluster, plan: &Plan) -> Told {
    let apis = cluster.nodes.iter().map(|node| SocketAddr::new(node.address, API)).collect();
    let traffic = Traffic::new(apis);
    place(&mut cluster.nodes[0].api());
    let sessions: Vec<String> = (0..CLIENTS).map(|_| session(&mut cluster.nodes[0].api())).collect();
    let mut told = Told::default();
    std::thread::scope(|scope| {
        let traffic = &traffic;
        let seed = |of: u64| plan.seed.wrapping_mul(1000) + of;
        for me in 0..CLIENTS {
            let client = Client::new(traffic, me, &sessions);
            scope.spawn(move || client.work(seed(u64::from(me))));
        }
        let wants =
            |n: usize| scope.spawn(move || contend(traffic, n % contenders::LOCKS, seed(100 + n as u64)));
        let contenders: Vec<_> = (0..contenders::LOCKS * contenders::EACH).map(wants).collect();
        let watched = |n: usize| scope.spawn(move || leading::watch(traffic, n));
        let watchers: Vec<_> = (0..cluster.nodes.len()).map(watched).collect();
        // Whatever happens to the faults, the clients are to end.
        let ends = Ends(traffic);
        let mut ground = Ground { lab, cluster, wires, traffic, tls: plan.tls, moves: 0 };
        told.harm = harm(&mut ground, plan);
        drop(ends);
        told.lives = contenders.into_iter().flat_map(|one| one.join().expect("no panic")).collect();
        told.led = watchers.into_iter().flat_map(|one| one.join().expect("no panic")).collect();
    });
    cluster.settle();
    let until = Instant::now() + Duration::from_secs(30);
    let mut reader = Client::new(&traffic, 0, &sessions);
    for key in traffic.history().keys() {
        reader.conclude(key, until);
    }
    told.history = traffic.history();
    told
}

/// With it the trial is over.
struct Ends<'a>(&'a Traffic);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// One fault, or two at once, after another.
fn harm(ground: &mut Ground<'_>, plan: &Plan) -> Vec<Harm> {
    let mut dice = Dice(plan.seed);
    let mut told = Vec::new();
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    while start.elapsed() < plan.time {
        let from = ground.traffic.now();
        let (mut lasting, mut what) = (Vec::new(), Vec::<(Fault, usize)>::new());
        let mut spell = (Duration::ZERO, Duration::ZERO);
        let count = if dice.below(4) == 0 { 2 } else { 1 };
        for _ in 0..count {
            let fault = plan.faults[dice.below(plan.faults.len() as u64) as usize];
            let node = victim(ground.cluster, &mut dice);
            let alone = fault.comes_alone() && !what.is_empty();
            if alone || what.iter().any(|(other, at)| other.comes_alone() || *at == node) {
                continue;
            }
            let (lasts, calm) = fault.spell(&mut dice);
            spell = (spell.0.max(lasts), spell.1.max(calm));
            what.push((fault, node));
            lasting.push(Lasting::begin(ground, fault, node, &mut dice));
        }
        std::thread::sleep(spell.0);
        lasting.into_iter().for_each(|fault| fault.end(ground));
        told.push(Harm { from, to: ground.traffic.now(), what });
        std::thread::sleep(spell.1);
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

fn judge(seed: u64, told: &Told) {
    let ms = |ns: u64| ns / 1_000_000;
    let faults: Vec<String> =
        told.harm.iter().map(|h| format!("{}..{} {:?}", ms(h.from), ms(h.to), h.what)).collect();
    eprintln!("seed {seed}: faults, in ms: {}", faults.join(", "));
    let gaps = leading::gaps(told.led.clone());
    tell_longest(seed, &gaps, &told.harm);
    let history = &told.history;
    let events = || history.values().flatten();
    let answered = events().filter(|e| e.outcome != Outcome::Unknown);
    let writes = answered.clone().filter(|e| e.op != Op::Read).count();
    let unknown = events().count() - answered.count();
    eprintln!(
        "seed {seed}: {} operations on {} keys, {writes} writes answered, {unknown} of unknown outcome",
        events().count(),
        history.len()
    );
    let verdict = locks::judge(&told.lives, &gaps);
    eprintln!("seed {seed}: {verdict}");
    verdict.wrong.iter().for_each(|one| eprintln!("--- {one}"));
    let wrong: Vec<&String> =
        history.iter().filter(|(_, events)| !is_linearizable(events)).map(|(key, _)| key).collect();
    for key in &wrong {
        eprintln!("--- {key}");
        let mut events = history[*key].clone();
        events.sort_by_key(|e| e.called);
        events.iter().for_each(|e| eprintln!("{e}"));
    }
    assert!(wrong.is_empty(), "seed {seed}: not linearizable: {wrong:?}");
    assert!(verdict.wrong.is_empty(), "seed {seed}: locks: {:?}", verdict.wrong);
    assert!(writes >= 50 && verdict.grants > 0, "too little was done to say anything");
}

/// The longest time without a leader, and the faults that fell into it or ended shortly before.
fn tell_longest(seed: u64, gaps: &[Gap], harm: &[Harm]) {
    const SHORTLY: u64 = 500_000_000;
    let Some(longest) = gaps.iter().max_by_key(|gap| gap.length()) else {
        return eprintln!("seed {seed}: there was a leader all the time");
    };
    let cause = |h: &&Harm| h.from < longest.to && h.to + SHORTLY > longest.from;
    let causes: Vec<String> = harm.iter().filter(cause).map(|h| format!("{:?}", h.what)).collect();
    let all: Duration = gaps.iter().map(|gap| gap.length()).sum();
    eprintln!(
        "seed {seed}: longest without a leader: {:.1} s at {:.1} s, with {}; {:.1} s in all, in {} pieces",
        longest.length().as_secs_f64(),
        longest.from as f64 / 1e9,
        if causes.is_empty() { "no fault".into() } else { causes.join(", ") },
        all.as_secs_f64(),
        gaps.len()
    );
}
