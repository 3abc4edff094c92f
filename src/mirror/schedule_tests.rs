//! The scheduler alone, and with nodes that die and come.

use super::*;
use crate::mirror::job::Failure;

fn node(id: u64, region: &str) -> Node {
    Node { id, region: region.into(), slots: 4, drains: false, rules: ["a".into(), "b".into()].into() }
}

fn job(rule: &str, to: &str) -> Job {
    Job {
        rule: rule.into(),
        target: "t".into(),
        from: to.into(),
        to: to.into(),
        copy: vec!["latest".into()],
        delete: Vec::new(),
        part: 0,
    }
}

fn terms(parallel: usize, priority: i32) -> Terms {
    Terms {
        parallel,
        priority,
        most: [("t".into(), 100)].into(),
        from: "s".into(),
        regions: [("t".into(), "eu".into())].into(),
    }
}

fn all(parallel: usize) -> HashMap<Name, Terms> {
    [("a".into(), terms(parallel, 0)), ("b".into(), terms(parallel, 0))].into()
}

fn done(nonce: u64, bytes: u64) -> Outcome {
    Outcome { nonce, fault: None, bytes, images: 1, took_ms: 1 }
}

fn offer(scheduler: &mut Scheduler, rule: &str, count: usize) {
    for n in 0..count {
        let to = format!("{rule}{n}");
        scheduler.offer(rule, "t", &to, vec![job(rule, &to)], 0);
    }
}

#[test]
fn rules_take_turns_and_the_target_s_region_comes_first() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, "us"), node(2, "eu")], 0);
    offer(&mut scheduler, "a", 10);
    offer(&mut scheduler, "b", 10);
    assert_eq!(scheduler.assign(&all(100), 7, 0), 8, "all places");
    let of = |rule: &str| scheduler.assigned().values().filter(|a| &*a.job.rule == rule).count();
    assert_eq!((of("a"), of("b")), (4, 4));
    let mut one = Scheduler::default();
    one.nodes([node(1, "us"), node(2, "eu")], 0);
    offer(&mut one, "a", 4);
    one.assign(&all(100), 7, 0);
    assert!(one.assigned().values().all(|assigned| assigned.node == 2), "near the target");
}

#[test]
fn limits_and_priorities_hold() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, ""), node(2, "")], 0);
    offer(&mut scheduler, "a", 10);
    offer(&mut scheduler, "b", 10);
    let mut terms: HashMap<Name, Terms> = [("a".into(), terms(2, 0)), ("b".into(), terms(3, 5))].into();
    assert_eq!(scheduler.assign(&terms, 7, 0), 5);
    let of = |s: &Scheduler, rule: &str| s.assigned().values().filter(|a| &*a.job.rule == rule).count();
    assert_eq!((of(&scheduler, "a"), of(&scheduler, "b")), (2, 3));
    for terms in terms.values_mut() {
        (terms.parallel, terms.most) = (100, [("s".into(), 6)].into());
    }
    assert_eq!(scheduler.assign(&terms, 7, 0), 1, "six at a source");
    assert_eq!(of(&scheduler, "b"), 4, "the higher priority");
}

#[test]
fn what_failed_waits_longer_each_time_and_as_long_as_it_is_told() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, "")], 0);
    scheduler.offer("a", "t", "x", vec![job("a", "x")], 0);
    let mut now = 0;
    let mut waits = Vec::new();
    for wait_ms in [0, 0, 0, 60_000] {
        assert_eq!(scheduler.assign(&all(9), 7, now), 1);
        let (id, nonce) =
            scheduler.assigned().iter().map(|(id, a)| (id.clone(), a.nonce)).next().expect("one");
        let failure = Failure { cause: "timeout".into(), text: "slow".into(), wait_ms };
        let outcome = Outcome { fault: Some(failure), ..done(nonce, 0) };
        assert!(!scheduler.outcome(&id, 2, &outcome, 0, now), "of another node");
        assert!(scheduler.outcome(&id, 1, &outcome, 0, now) && !scheduler.outcome(&id, 1, &outcome, 0, now));
        assert_eq!(scheduler.assign(&all(9), 7, now), 0);
        let at = scheduler.next_at().expect("waits");
        waits.push(at - now);
        now = at;
    }
    assert_eq!(waits, [1000, 2000, 4000, 60_000]);
    assert_eq!(scheduler.waiting().next().map(|w| w.3), Some("slow"));
}

#[test]
fn a_new_plan_takes_the_place_of_what_waits_and_follows_what_runs() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, "")], 0);
    let with = |tags: &[&str]| Job { copy: tags.iter().map(|t| (*t).to_owned()).collect(), ..job("a", "x") };
    scheduler.offer("a", "t", "x", vec![with(&["1"])], 0);
    scheduler.offer("a", "t", "x", vec![with(&["1", "2"])], 0);
    scheduler.assign(&all(9), 7, 0);
    let (id, assigned) =
        scheduler.assigned().iter().map(|(id, a)| (id.clone(), a.clone())).next().expect("one");
    assert_eq!(assigned.job.copy, ["1", "2"]);
    scheduler.offer("a", "t", "x", vec![with(&["1", "2"])], 0);
    scheduler.outcome(&id, 1, &done(assigned.nonce, 1), 0, 0);
    assert!(scheduler.is_idle("a", "t"), "the same again is nothing new");
    scheduler.offer("a", "t", "x", vec![with(&["1"])], 0);
    scheduler.assign(&all(9), 7, 0);
    scheduler.offer("a", "t", "x", vec![with(&["3"])], 0);
    let nonce = scheduler.assigned().values().next().expect("one").nonce;
    scheduler.outcome(&id, 1, &done(nonce, 1), 0, 0);
    assert_eq!(scheduler.assign(&all(9), 7, 0), 1);
    assert_eq!(scheduler.assigned().values().next().expect("one").job.copy, ["3"]);
    scheduler.keep(|_| false);
    assert!(scheduler.is_idle("a", "t"));
}

#[test]
fn a_node_that_drains_gives_up_its_jobs() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, ""), node(2, "")], 0);
    offer(&mut scheduler, "a", 6);
    scheduler.assign(&all(9), 7, 0);
    scheduler.nodes([Node { drains: true, ..node(1, "") }, node(2, "")], 1);
    assert!(scheduler.assigned().values().all(|assigned| assigned.node == 2));
    scheduler.assign(&all(9), 7, 1);
    assert_eq!(scheduler.assigned().len(), 4, "as many as the other takes");
}

/// A number by chance, the same for a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % most
    }
}

/// Jobs run on nodes that hold their leases, as long as these nodes live and a lease longer; nodes die and come again.
#[test]
fn all_jobs_are_done_and_none_twice_at_once_whatever_nodes_do() {
    const LEASE: Millis = 10_000;
    for seed in 0..200 {
        let mut chance = Chance(seed);
        let mut scheduler = Scheduler::default();
        offer(&mut scheduler, "a", 60);
        offer(&mut scheduler, "b", 40);
        let mut alive: BTreeSet<u64> = [1, 2, 3].into();
        // By job: who holds its lease, until when if nobody renews it, when the work ends.
        let mut leases: HashMap<String, (u64, Millis, Millis)> = HashMap::new();
        let mut completed: HashMap<String, usize> = HashMap::new();
        let (mut now, mut crashes) = (0, 0);
        while completed.len() < 100 {
            now += 100;
            assert!(now < 5_000_000, "seed {seed}: {} of 100", completed.len());
            if chance.below(100) == 0 && crashes < 20 {
                crashes += 1;
                let id = 1 + chance.below(4);
                if !alive.remove(&id) || alive.is_empty() {
                    alive.insert(id);
                }
            }
            scheduler.nodes(alive.iter().map(|id| node(*id, "")), now);
            scheduler.assign(&all(50), chance.0, now);
            leases.retain(|_, (_, until, _)| *until > now);
            let assigned: Vec<(String, Assigned)> =
                scheduler.assigned().iter().map(|(id, a)| (id.clone(), a.clone())).collect();
            for (id, assigned) in assigned {
                let ends = now + 500 + chance.below(3000);
                let lease = leases.entry(id.clone()).or_insert((assigned.node, now + LEASE, ends));
                if lease.0 != assigned.node {
                    continue;
                }
                assert!(alive.contains(&lease.0), "seed {seed}: the dead run nothing");
                lease.1 = now + LEASE;
                if now >= lease.2 {
                    leases.remove(&id);
                    *completed.entry(id.clone()).or_default() += 1;
                    assert!(scheduler.outcome(&id, assigned.node, &done(assigned.nonce, 1), 0, now));
                }
            }
        }
        assert!(completed.values().all(|times| *times == 1), "seed {seed}");
    }
}

#[test]
fn bytes_are_spread_evenly_over_nodes() {
    let mut chance = Chance(7);
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, ""), node(2, ""), node(3, "")], 0);
    offer(&mut scheduler, "a", 500);
    let mut ends: HashMap<String, (Millis, u64)> = HashMap::new();
    let mut moved: BTreeMap<u64, u64> = BTreeMap::new();
    let mut now = 0;
    while !scheduler.is_idle("a", "t") {
        now += 10;
        scheduler.assign(&all(50), chance.0, now);
        let assigned: Vec<(String, Assigned)> =
            scheduler.assigned().iter().map(|(id, a)| (id.clone(), a.clone())).collect();
        for (id, assigned) in assigned {
            let (end, bytes) = *ends.entry(id.clone()).or_insert_with(|| {
                let bytes = 1 + chance.below(50);
                (now + bytes * 20, bytes)
            });
            if now >= end {
                *moved.entry(assigned.node).or_default() += bytes;
                scheduler.outcome(&id, assigned.node, &done(assigned.nonce, bytes), 0, now);
            }
        }
    }
    let (least, most) = (moved.values().min().expect("three"), moved.values().max().expect("three"));
    assert!(most * 100 <= least * 115, "{moved:?}");
}

/// Whatever keeps a node (a task that broke off, a record that it never had): nobody need kill it.
#[test]
fn a_job_of_which_its_node_says_nothing_goes_to_another() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, "eu"), node(2, "us")], 0);
    offer(&mut scheduler, "a", 1);
    scheduler.assign(&all(9), 7, 0);
    let of = |s: &Scheduler| s.assigned().values().map(|a| (a.node, a.nonce)).next();
    let id = scheduler.assigned().keys().next().expect("one").clone();
    let first = of(&scheduler).expect("one");
    assert_eq!(first.0, 1, "near the target");
    // It is slow, but says so; what another says of it is nothing.
    scheduler.hear(&id, 1, 20_000);
    scheduler.hear(&id, 2, 49_000);
    assert!(scheduler.take_back(SILENCE + 19_999).is_empty());
    let now = SILENCE + 20_000;
    assert_eq!(scheduler.take_back(now), [(id.clone(), 1)]);
    assert!(of(&scheduler).is_none() && scheduler.take_back(now).is_empty());
    assert_eq!(scheduler.assign(&all(9), 7, now), 1, "at once");
    assert_eq!(of(&scheduler).expect("one").0, 2, "the other, though it is far");
    assert!(!scheduler.outcome(&id, 1, &done(first.1, 1), 0, now), "what the first says then is too late");
    // With nobody else it gets it again.
    scheduler.nodes([node(1, "eu")], now);
    assert_eq!(scheduler.assign(&all(9), 7, now), 1);
    scheduler.take_back(now + SILENCE);
    scheduler.nodes([node(1, "eu"), node(2, "us")], now + SHUNNED);
    scheduler.take_back(now + SHUNNED + SILENCE);
    scheduler.assign(&all(9), 7, now + SHUNNED + SILENCE);
    assert_eq!(of(&scheduler).expect("one").0, 1, "forgiven");
}

#[test]
fn a_job_does_not_wait_the_longer_because_nodes_lose_its_lease() {
    let mut scheduler = Scheduler::default();
    scheduler.nodes([node(1, "")], 0);
    scheduler.offer("a", "t", "x", vec![job("a", "x")], 0);
    let mut now = 0;
    let mut waits = Vec::new();
    for cause in [UNHELD, UNHELD, "timeout", "timeout", UNHELD, "timeout"] {
        scheduler.assign(&all(9), 7, now);
        let (id, nonce) =
            scheduler.assigned().iter().map(|(id, a)| (id.clone(), a.nonce)).next().expect("one");
        let failure = Failure { cause: cause.into(), text: "x".into(), wait_ms: 0 };
        scheduler.outcome(&id, 1, &Outcome { fault: Some(failure), ..done(nonce, 0) }, 0, now);
        let at = scheduler.next_at().expect("waits");
        waits.push(at - now);
        now = at;
    }
    assert_eq!(waits, [1000, 1000, 1000, 2000, 1000, 4000]);
}
