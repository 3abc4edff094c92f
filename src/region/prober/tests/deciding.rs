//! Thresholds, outputs, times to live, aliases and reaping: no I/O, no clock.

use std::sync::Arc;

use crate::region::map::*;
use crate::region::prober::machine::*;
use crate::region::prober::{alias, reaper};
use crate::region::testing::{World, check, node, registration, status};

use Health::{Critical, Passing, Warning};

fn standing(status: Health, output: &str) -> Check {
    Check { output: output.into(), ..check("n", "c", "", status) }
}

#[test]
fn thresholds_count_in_a_row() {
    let definition = Definition {
        success_before_passing: 2,
        failures_before_warning: 2,
        failures_before_critical: 3,
        ..Definition::default()
    };
    let mut machine = Machine::default();
    let run = [Passing, Critical, Critical, Critical, Passing, Warning, Critical, Passing, Passing];
    let seen: Vec<_> = run.map(|found| machine.conclude(&definition, found)).into();
    let some = Some;
    let expected =
        [None, None, some(Warning), some(Critical), None, some(Warning), None, None, some(Passing)];
    assert_eq!(seen, expected);
    // Without thresholds every result counts; a warning threshold that is not set is the critical one.
    let mut plain = Machine::default();
    assert_eq!(plain.conclude(&Definition::default(), Critical), Some(Critical));
    assert_eq!(plain.conclude(&Definition::default(), Passing), Some(Passing));
    let late = Definition { failures_before_critical: 2, ..Definition::default() };
    assert_eq!([Critical, Critical].map(|s| plain.conclude(&late, s)), [None, Some(Critical)]);
}

#[test]
fn only_what_is_new_is_told() {
    let mut machine = Machine::default();
    let finding = |status, output: &str| Finding::new(status, output);
    let mut tells = |old: Check, new: Finding, now| machine.tells(&old, &new, now, 1000);
    assert!(tells(standing(Critical, ""), finding(Passing, "200 OK"), 10), "a change of status");
    assert!(!tells(standing(Passing, "200 OK"), finding(Passing, "200 OK"), 20), "the same");
    assert!(
        !tells(standing(Passing, "200 OK"), finding(Passing, "200 Fine"), 1009),
        "another output, too soon"
    );
    assert!(tells(standing(Passing, "200 OK"), finding(Passing, "200 Fine"), 1010));
    assert!(!tells(standing(Passing, "200 Fine"), finding(Passing, "200 OK"), 1500));
    assert!(tells(standing(Critical, "down"), finding(Passing, "200 OK"), 1501), "a status never waits");
    assert!(tells(standing(Passing, ""), finding(Passing, "200 OK"), 1502), "a first output neither");
}

#[test]
fn outputs_are_bounded_between_characters() {
    assert_eq!(Finding::new(Passing, "x".repeat(OUTPUT_MAX)).output.len(), OUTPUT_MAX);
    let long = Finding::new(Passing, format!("x{}", "é".repeat(OUTPUT_MAX))).output;
    assert_eq!((long.len(), long.ends_with('é')), (OUTPUT_MAX - 1, true));
}

#[test]
fn a_time_to_live_starts_again() {
    let mut ttl = Ttl::new(100, 1000);
    assert_eq!((ttl.is_expired(1099), ttl.is_expired(1100)), (false, true));
    ttl.heard(1090);
    assert_eq!((ttl.expires_ms(), ttl.is_expired(1189)), (1190, false));
    assert_eq!(Ttl::new(u64::MAX, 5).expires_ms(), u64::MAX);
}

#[test]
fn times_follow_the_definition() {
    let of = |interval_ms, timeout_ms, probe| Definition {
        interval_ms,
        timeout_ms,
        probe,
        ..Definition::default()
    };
    let tcp = || Probe::Tcp { address: "x:1".into(), tls: false };
    assert_eq!(timeout_ms(&of(60_000, 0, tcp())), 10_000);
    assert_eq!(timeout_ms(&of(2000, 0, tcp())), 2000);
    assert_eq!(timeout_ms(&of(2000, 500, tcp())), 500);
    assert_eq!(timeout_ms(&of(2000, 0, Probe::Script { args: vec![] })), 30_000);
    assert_eq!(interval_ms(&of(0, 0, tcp())), INTERVAL_MIN_MS);
    let spread = |random| first_delay_ms(&of(5000, 0, tcp()), false, random);
    assert_eq!((spread(0), spread(4999), spread(5000)), (0, 4999, 0));
    assert!((0..1000).all(|random| first_delay_ms(&of(60_000, 0, tcp()), true, random) < 50));
}

#[test]
fn an_alias_is_the_worst_of_what_it_stands_for() {
    let mut world = World::default();
    world.apply(registration(("n", "eu"), "web", "web1", 80, Passing));
    let own = Check { id: "alias".into(), ..check("n", "alias", "other", Critical) };
    let look = |world: &World, node: &str, service: &str| {
        let finding = alias::look(&world.map, node, service, &own);
        (finding.status, finding.output)
    };
    assert_eq!(look(&world, "n", "web1"), (Passing, "All checks passing.".into()));
    assert_eq!(look(&world, "n", ""), (Passing, "No checks found.".into()));
    assert_eq!(look(&world, "n", "gone").0, Critical);
    assert_eq!(look(&world, "gone", "").0, Critical);
    world.apply(status("n", "web1", Warning));
    assert_eq!(look(&world, "n", "web1"), (Warning, "Aliased check \"web1\" failing: ".into()));
    world.apply(Command::Register(Box::new(Registration {
        node: node("n", "eu"),
        checks: vec![check("n", "disk", "", Critical), check("n", "alias", "", Critical)],
        ..Registration::default()
    })));
    assert_eq!(look(&world, "n", "web1").0, Critical, "its node counts, the alias itself does not");
    world.apply(status("n", "disk", Passing));
    assert_eq!(look(&world, "n", "").0, Passing);
}

#[test]
fn what_stays_critical_is_reaped() {
    let mut world = World::default();
    for (id, after) in [("a", 500), ("b", 2000), ("never", 0)] {
        world.apply(registration(("n", "eu"), "web", id, 80, Passing));
        let definition = Definition { deregister_after_ms: after, ..Definition::default() };
        let mut critical = check("n", id, id, Critical);
        critical.definition = Some(definition.into());
        world.apply(Command::Register(Box::new(Registration {
            node: node("n", "eu"),
            checks: vec![critical],
            ..Registration::default()
        })));
    }
    // Commands of the world are of the moment 1000.
    let due = |since, now| {
        let (gone, next) = reaper::due(&world.map, "n", since, now);
        let ids: Vec<_> =
            gone.into_iter().map(|g| (g.node, g.service_id.expect("a service"), g.check_id)).collect();
        (ids, next)
    };
    let a = || ("n".into(), Name::from("a"), None);
    let b = || ("n".into(), Name::from("b"), None);
    assert_eq!(due(0, 1499), (vec![], Some(1500)));
    assert_eq!(due(0, 1500), (vec![a()], Some(3000)));
    assert_eq!(due(0, 3000), (vec![a(), b()], None));
    assert_eq!(due(2000, 2400), (vec![], Some(2500)), "a prober that was away knows nothing of before");
    let map = Arc::new(world.map.clone());
    assert_eq!(reaper::due(&map, "other", 0, 9000), (vec![], None));
}
