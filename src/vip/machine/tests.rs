//! Timers to the millisecond, elections, handovers, trackers and sync groups, driven by hand.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::packet::{Advert, Version};
use super::settings::OWNER;
use super::*;
use crate::base::Nanos;
use crate::base::clock::{MS, SEC};

const NOW: Nanos = 100 * SEC;

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn advert(priority: u8) -> Advert {
    Advert {
        version: Version::V2,
        vrid: 1,
        priority,
        interval_ns: SEC,
        addresses: vec![ip(200)],
        password: None,
    }
}

/// One instance and what it did.
struct Rig {
    instance: Instance,
    out: Vec<Action>,
}

impl Rig {
    fn new(settings: Settings) -> Rig {
        let mut rig = Rig { instance: Instance::new(settings, NOW), out: Vec::new() };
        rig.instance.set_source(Some(ip(5)));
        rig.instance.start(NOW, Cause::Start, &mut rig.out);
        rig
    }

    fn with_priority(priority: u8) -> Rig {
        Rig::new(Settings { priority, ..Settings::default() })
    }

    /// Turns until the time given, and says when it became master.
    fn run_until(&mut self, until: Nanos) -> Option<Nanos> {
        let mut master_at = None;
        while let Some(due) = self.instance.due().filter(|due| *due <= until) {
            let before = self.instance.state();
            self.instance.turn(due, &mut self.out);
            if before != State::Master && self.instance.state() == State::Master {
                master_at = Some(due);
            }
        }
        master_at
    }

    fn hear(&mut self, at: Nanos, priority: u8, from: IpAddr) -> Vec<Action> {
        self.out.clear();
        self.instance.receive(at, &advert(priority), from, &mut self.out);
        std::mem::take(&mut self.out)
    }
}

fn master(priority: u8) -> Rig {
    let mut rig = Rig::with_priority(priority);
    rig.run_until(NOW + 4 * SEC);
    assert_eq!(rig.instance.state(), State::Master);
    rig.out.clear();
    rig
}

#[test]
fn a_backup_takes_over_after_three_intervals_and_its_skew() {
    let cases = [
        (Version::V2, SEC, 100, 3_609),
        (Version::V2, SEC, 254, 3_007),
        (Version::V2, 5 * SEC, 100, 15_609),
        (Version::V3, 100 * MS, 100, 360),
        (Version::V3, 10 * MS, 100, 36),
    ];
    for (version, interval_ns, priority, expected_ms) in cases {
        let mut rig = Rig::new(Settings { version, interval_ns, priority, ..Settings::default() });
        let at = rig.run_until(NOW + 20 * SEC).unwrap();
        assert_eq!((at - NOW) / MS, expected_ms, "{version:?} {interval_ns} {priority}");
    }
}

#[test]
fn a_new_master_speaks_then_takes_the_addresses_then_tells_neighbours() {
    let mut rig = Rig::with_priority(100);
    rig.out.clear();
    rig.run_until(NOW + 3_610 * MS);
    assert!(matches!(rig.out[0], Action::Moved { from: State::Backup, to: State::Master, .. }));
    let rest = [Action::Advert { priority: 100 }, Action::Take, Action::Announce { repeat: 5 }];
    assert_eq!(rig.out[1..], rest);
    rig.out.clear();
    rig.run_until(NOW + 3_610 * MS + 5 * SEC);
    let adverts = rig.out.iter().filter(|a| **a == Action::Advert { priority: 100 }).count();
    assert_eq!(adverts, 5);
    assert_eq!(rig.out.iter().filter(|a| **a == Action::Announce { repeat: 5 }).count(), 1);
}

#[test]
fn adverts_of_a_better_master_hold_a_backup_and_those_of_a_worse_do_not() {
    let mut rig = Rig::with_priority(100);
    for n in 1..30 {
        rig.hear(NOW + n * SEC, 100, ip(4));
        assert_eq!(rig.run_until(NOW + n * SEC), None);
    }
    // The last one counts from when it was heard.
    assert_eq!(rig.run_until(NOW + 60 * SEC), Some(NOW + 29 * SEC + 3 * SEC + 156 * SEC / 256));
    let mut rig = Rig::with_priority(100);
    let heard = |rig: &mut Rig| {
        (1..10).find_map(|n| {
            rig.hear(NOW + n * SEC, 99, ip(4));
            rig.run_until(NOW + n * SEC)
        })
    };
    assert_eq!(heard(&mut rig), Some(NOW + 3 * SEC + 156 * SEC / 256));
}

#[test]
fn without_preemption_a_worse_master_stays() {
    let mut rig = Rig::new(Settings { preempt: false, ..Settings::default() });
    for n in 1..30 {
        rig.hear(NOW + n * SEC, 1, ip(4));
        assert_eq!(rig.run_until(NOW + n * SEC), None);
    }
}

#[test]
fn preemption_waits_for_its_delay() {
    let mut rig = Rig::new(Settings { preempt_delay_ns: 10 * SEC, ..Settings::default() });
    let at = (1..30).find_map(|n| {
        rig.hear(NOW + n * SEC, 50, ip(4));
        rig.run_until(NOW + n * SEC + 999 * MS)
    });
    // From the first advert of the worse one on; the last that counted was a second before the delay ended.
    assert_eq!(at, Some(NOW + 10 * SEC + 3 * SEC + 156 * SEC / 256));
}

#[test]
fn priority_0_leaves_only_the_skew() {
    let mut rig = Rig::with_priority(100);
    rig.hear(NOW + SEC, 150, ip(9));
    rig.hear(NOW + 2 * SEC, 0, ip(9));
    assert_eq!(rig.run_until(NOW + 10 * SEC), Some(NOW + 2 * SEC + 156 * SEC / 256));
    assert_eq!(*rig.instance.since().1, Cause::GivenUp { by: ip(9) });
    // In version 3 the skew is one of the interval of the master that was.
    let settings = Settings { version: Version::V3, interval_ns: SEC, ..Settings::default() };
    let mut rig = Rig::new(settings);
    let fast = Advert { version: Version::V3, interval_ns: 100 * MS, ..advert(150) };
    rig.instance.receive(NOW, &fast, ip(9), &mut rig.out);
    rig.instance.receive(NOW, &Advert { priority: 0, ..fast }, ip(9), &mut rig.out);
    assert_eq!(rig.run_until(NOW + 10 * SEC), Some(NOW + 156 * 100 * MS / 256));
}

#[test]
fn a_backup_of_version_3_learns_the_interval() {
    let mut rig = Rig::new(Settings { version: Version::V3, ..Settings::default() });
    let slow = Advert { version: Version::V3, interval_ns: 4 * SEC, ..advert(150) };
    rig.instance.receive(NOW, &slow, ip(9), &mut rig.out);
    assert_eq!(rig.run_until(NOW + 60 * SEC), Some(NOW + 12 * SEC + 156 * 4 * SEC / 256));
}

#[test]
fn of_two_masters_the_better_stays_and_tells_neighbours() {
    let mut rig = master(100);
    let out = rig.hear(NOW + 5 * SEC, 99, ip(9));
    assert_eq!(out, [Action::Advert { priority: 100 }, Action::Announce { repeat: 5 }]);
    // The same priority: the higher address wins.
    assert!(matches!(rig.hear(NOW + 5 * SEC, 100, ip(4))[..], [Action::Advert { .. }, _]));
    assert_eq!(rig.instance.state(), State::Master);
    let out = rig.hear(NOW + 6 * SEC, 100, ip(9));
    assert_eq!(rig.instance.state(), State::Backup);
    // Its own advert makes the other one tell the neighbours.
    assert_eq!(out[1..], [Action::Advert { priority: 100 }, Action::Release]);
    assert!(!rig.instance.holds());
    assert_eq!(rig.run_until(NOW + 60 * SEC), Some(NOW + 9 * SEC + 156 * SEC / 256));
}

#[test]
fn an_owner_is_master_at_once_and_its_priority_stands() {
    let mut rig = Rig::with_priority(OWNER);
    assert_eq!(rig.instance.state(), State::Master);
    assert_eq!(rig.out[1], Action::Advert { priority: 255 });
    rig.instance.set_priority(3);
    assert_eq!(rig.instance.priority(), 255);
    let mut rig = Rig::with_priority(100);
    rig.instance.set_priority(255);
    assert_eq!(rig.instance.priority(), 254);
}

#[test]
fn a_stopping_master_keeps_the_addresses_until_the_next_one_speaks() {
    let mut rig = master(100);
    let at = NOW + 10 * SEC;
    rig.instance.stop(at, true, &mut rig.out);
    assert_eq!(rig.out[1..], [Action::Advert { priority: 0 }]);
    assert!(rig.instance.holds() && !rig.instance.is_over());
    assert_eq!(rig.hear(at + 600 * MS, 90, ip(4)), []);
    rig.run_until(at + 619 * MS);
    assert_eq!(rig.out, [], "what is on its way still finds somebody");
    rig.run_until(at + 620 * MS);
    assert_eq!(rig.out, [Action::Release]);
    assert!(rig.instance.is_over());
    // Nobody there: as long as the slowest would take.
    let mut rig = master(100);
    rig.instance.stop(at, true, &mut rig.out);
    rig.out.clear();
    rig.run_until(at + 1_099 * MS);
    assert_eq!(rig.out, []);
    rig.run_until(at + 1_100 * MS);
    assert_eq!(rig.out, [Action::Release]);
    assert!(rig.instance.is_over());
}

#[test]
fn an_operator_moves_it_away_and_it_stays_there() {
    let mut rig = master(150);
    let at = NOW + 10 * SEC;
    rig.instance.move_away(at, &mut rig.out);
    assert!(rig.instance.state() == State::Backup && rig.out.contains(&Action::Advert { priority: 0 }));
    // The next master has a lower priority, and keeps the addresses until it falls silent.
    for n in 1..20 {
        rig.hear(at + n * SEC, 100, ip(4));
        assert_eq!(rig.run_until(at + n * SEC + 999 * MS), None);
    }
    let taken = rig.run_until(at + 60 * SEC);
    assert_eq!(taken, Some(at + 19 * SEC + 3 * SEC + 106 * SEC / 256));
    // From then on it preempts as ever.
    rig.hear(at + 60 * SEC, 200, ip(4));
    rig.hear(at + 61 * SEC, 100, ip(4));
    assert!(rig.run_until(at + 70 * SEC).is_some());
}

#[test]
fn an_operator_moves_it_here_above_the_master_there_is() {
    let mut rig = Rig::with_priority(100);
    rig.hear(NOW + SEC, 150, ip(9));
    assert!(rig.instance.move_here(NOW + 2 * SEC, &mut rig.out));
    assert_eq!((rig.instance.state(), rig.instance.priority()), (State::Master, 151));
    assert_eq!(rig.hear(NOW + 3 * SEC, 150, ip(9))[0], Action::Advert { priority: 151 });
    // It is over with the mastership.
    rig.hear(NOW + 4 * SEC, 200, ip(9));
    assert_eq!((rig.instance.state(), rig.instance.priority()), (State::Backup, 100));
    rig.hear(NOW + 5 * SEC, 254, ip(9));
    assert!(!rig.instance.move_here(NOW + 6 * SEC, &mut rig.out), "nothing is above 254");
}

#[test]
fn a_fenced_router_is_master_under_a_lease_alone() {
    let settings = Settings { fenced: true, preempt: false, ..Settings::default() };
    let mut rig = Rig::new(settings);
    rig.out.clear();
    assert_eq!(rig.run_until(NOW + 60 * SEC), None);
    assert_eq!(rig.out, [Action::Claim], "it asks once");
    let at = NOW + 60 * SEC;
    rig.out.clear();
    rig.instance.lease(at, Some(at + 4 * SEC), &mut rig.out);
    assert_eq!(rig.instance.state(), State::Master);
    rig.instance.lease(at + SEC, Some(at + 5 * SEC), &mut rig.out);
    // Nothing is heard any more: it lets go while the kernel still would.
    rig.out.clear();
    rig.run_until(at + 3_499 * MS);
    assert_eq!(rig.instance.state(), State::Master);
    rig.out.clear();
    rig.run_until(at + 3_500 * MS);
    assert!(matches!(rig.out[0], Action::Moved { cause: Cause::LeaseEnded, .. }));
    assert_eq!(rig.out[1..], [Action::Release, Action::Advert { priority: 0 }, Action::Yield]);
    assert!(!rig.instance.holds());
    // Another one speaks while it asks: it asks no more, and a lease that comes too late goes back.
    rig.run_until(at + 20 * SEC);
    assert_eq!(rig.hear(at + 21 * SEC, 1, ip(9)), [Action::Yield]);
    rig.instance.lease(at + 22 * SEC, Some(at + 30 * SEC), &mut rig.out);
    assert_eq!((rig.instance.state(), &rig.out[..]), (State::Backup, &[Action::Yield][..]));
}

#[test]
fn a_master_without_link_lets_go_at_once() {
    let mut rig = master(100);
    rig.instance.fail(NOW + 9 * SEC, Cause::Down("eth0".into()), false, &mut rig.out);
    assert_eq!(rig.out[1..], [Action::Release]);
    let mut rig = master(100);
    rig.instance.fail(NOW + 9 * SEC, Cause::Down("chk".into()), true, &mut rig.out);
    assert_eq!(rig.out[1..], [Action::Advert { priority: 0 }]);
    // The link goes while it waits for the next one.
    rig.out.clear();
    rig.instance.fail(NOW + 9 * SEC, Cause::Down("eth0".into()), false, &mut rig.out);
    assert_eq!(rig.out, [Action::Release]);
}

#[test]
fn a_master_that_slept_sends_one_advert_not_many() {
    let mut rig = master(100);
    rig.run_until(NOW + 4 * SEC);
    rig.out.clear();
    rig.instance.turn(NOW + 60 * SEC, &mut rig.out);
    assert_eq!(rig.out.iter().filter(|a| matches!(a, Action::Advert { .. })).count(), 1);
    assert_eq!(rig.instance.due(), Some(NOW + 61 * SEC));
}

fn member(name: &str, tracks: Vec<Track>) -> Member {
    Member { name: name.into(), settings: Settings::default(), tracks, link: None }
}

fn track(tracker: usize, weight: i32) -> Track {
    Track { tracker, weight, reverse: false }
}

fn router(members: Vec<Member>, groups: Vec<Group>, trackers: &[&str]) -> Router {
    let names: Vec<Arc<str>> = trackers.iter().map(|name| Arc::from(*name)).collect();
    let mut router = Router::new(members, groups, names, NOW);
    router.start(NOW, &mut Vec::new());
    router
}

fn states(router: &Router) -> Vec<State> {
    router.instances().iter().map(Instance::state).collect()
}

fn run_until(router: &mut Router, until: Nanos, out: &mut Vec<Step>) {
    while let Some(due) = router.due().filter(|due| *due <= until) {
        router.turn(due, out);
    }
}

#[test]
fn what_is_tracked_moves_the_priority_within_bounds() {
    let tracks = vec![track(0, 20), track(1, -30), track(2, 0)];
    let mut router = router(vec![member("a", tracks)], vec![], &["t0", "t1", "t2"]);
    let mut out = Vec::new();
    assert_eq!(states(&router), [State::Init], "it waits until all is known");
    let mut priority = |tracker, verdict| {
        router.observe(NOW, tracker, verdict, &mut out);
        router.instances()[0].priority()
    };
    assert_eq!(priority(0, Verdict::Down), 100);
    assert_eq!(priority(1, Verdict::Up), 100);
    assert_eq!(priority(2, Verdict::Up), 100);
    assert_eq!(priority(0, Verdict::Up), 120);
    assert_eq!(priority(1, Verdict::Down), 90);
    assert_eq!(states(&router), [State::Backup]);
    let out = &mut Vec::new();
    router.observe(NOW, 2, Verdict::Down, out);
    let cause = Cause::Down("t2".into());
    let moved = Action::Moved { from: State::Backup, to: State::Fault, cause };
    assert_eq!(*out, [Step { member: 0, action: moved }]);
    router.observe(NOW, 2, Verdict::Up, out);
    assert_eq!(states(&router), [State::Backup]);

    let extreme = [(1, 250), (1, -250)].map(|(tracker, weight)| {
        let mut router = self::router(vec![member("a", vec![track(tracker, weight)])], vec![], &["", "t"]);
        router.observe(NOW, 1, if weight > 0 { Verdict::Up } else { Verdict::Down }, &mut Vec::new());
        router.instances()[0].priority()
    });
    assert_eq!(extreme, [254, 1]);
}

#[test]
fn a_reversed_tracker_counts_the_other_way_round() {
    let reversed = Track { reverse: true, ..track(0, 0) };
    let mut router = router(vec![member("a", vec![reversed])], vec![], &["t"]);
    router.observe(NOW, 0, Verdict::Up, &mut Vec::new());
    assert_eq!(states(&router), [State::Fault]);
    router.observe(NOW, 0, Verdict::Down, &mut Vec::new());
    assert_eq!(states(&router), [State::Backup]);
}

#[test]
fn a_level_counts_as_often_as_its_weight() {
    let priority = |weight, reverse, level| {
        let tracks = vec![Track { tracker: 0, weight, reverse }];
        let mut router = router(vec![member("a", tracks)], vec![], &["t"]);
        router.observe(NOW, 0, Verdict::Level(level), &mut Vec::new());
        (router.instances()[0].priority(), router.instances()[0].state())
    };
    assert_eq!(priority(1, false, -30), (70, State::Backup));
    assert_eq!(priority(2, false, 20), (140, State::Backup));
    assert_eq!(priority(2, true, 20), (60, State::Backup));
    assert_eq!(priority(250, false, i32::MIN).0, 1);
    assert_eq!(priority(0, false, 0).1, State::Backup);
    assert_eq!(priority(0, false, 1).1, State::Fault);
}

fn group(weights: bool) -> Group {
    Group { name: "G".into(), members: vec![0, 1], tracks: vec![], weights }
}

#[test]
fn a_group_is_master_together() {
    let mut router = router(vec![member("a", vec![]), member("b", vec![])], vec![group(false)], &[]);
    let out = &mut Vec::new();
    // Only the first is not held by adverts.
    for n in 1..=4 {
        router.receive(NOW + n * SEC, 1, &advert(200), ip(9), out);
        run_until(&mut router, NOW + n * SEC, out);
    }
    assert_eq!(states(&router), [State::Master; 2]);
    router.receive(NOW + 5 * SEC, 1, &advert(200), ip(9), out);
    assert_eq!(states(&router), [State::Backup; 2]);
    let zero = Step { member: 0, action: Action::Advert { priority: 0 } };
    assert!(out.contains(&zero), "the other master has to learn of it");
}

#[test]
fn a_fault_of_one_member_is_a_fault_of_the_group() {
    let members = || vec![member("a", vec![track(0, -20)]), member("b", vec![])];
    // Without weights what is tracked is a matter of life and death.
    for (weights, expected) in [(false, State::Fault), (true, State::Backup)] {
        let mut router = router(members(), vec![group(weights)], &["t"]);
        assert_eq!(states(&router), [State::Init; 2], "all wait for one");
        router.observe(NOW, 0, Verdict::Down, &mut Vec::new());
        assert_eq!(states(&router), [expected; 2]);
        router.observe(NOW, 0, Verdict::Up, &mut Vec::new());
        assert_eq!(states(&router), [State::Backup; 2]);
        assert_eq!(router.instances()[0].priority(), 100);
    }
}

#[test]
fn an_owner_takes_its_group_along() {
    let mut members = vec![member("a", vec![]), member("b", vec![])];
    members[1].settings.priority = OWNER;
    assert_eq!(states(&router(members, vec![group(false)], &[])), [State::Master; 2]);
}

#[test]
fn what_stops_is_over_when_the_last_address_is_gone() {
    let mut router = router(vec![member("a", vec![]), member("b", vec![])], vec![], &[]);
    let out = &mut Vec::new();
    run_until(&mut router, NOW + 4 * SEC, out);
    out.clear();
    router.stop(NOW + 5 * SEC, out);
    assert!(!router.is_over());
    router.receive(NOW + 5 * SEC, 0, &advert(1), ip(9), out);
    assert!(!router.is_over());
    run_until(&mut router, NOW + 7 * SEC, out);
    assert!(router.is_over());
    let released: Vec<usize> = out.iter().filter(|s| s.action == Action::Release).map(|s| s.member).collect();
    assert_eq!(released, [0, 1]);
}
