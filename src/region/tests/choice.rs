//! Shares of regions: in order of distance, with overflow, passive and lost regions; and what always holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::config::service::{Reach, ServiceSpec};
use crate::region::choice::{Choice, Place, Standing, choose, great_circle_km, lost_regions};
use crate::region::map::*;
use crate::region::testing::{World, member, registration, service};

const DUBLIN: (f64, f64) = (53.35, -6.26);
const LONDON: (f64, f64) = (51.51, -0.13);
const NEW_YORK: (f64, f64) = (40.71, -74.01);
const SYDNEY: (f64, f64) = (-33.87, 151.21);

/// Four regions of the world.
fn world() -> World {
    let mut world = World::default();
    for (name, location) in [("eu", DUBLIN), ("uk", LONDON), ("us", NEW_YORK), ("ap", SYDNEY)] {
        world.region(name, Some(location), RegionState::Active);
    }
    world
}

fn choice_at(world: &World, spec: &ServiceSpec, region: &str, lost: &[&str]) -> Choice {
    let (lost, recovered) = (|name: &str| lost.contains(&name), |_: &str| 1.0);
    choose(
        &world.map,
        spec,
        &Place {
            region,
            node: "n1",
            lost: &lost,
            recovered: &recovered,
            verdict: &|_| None,
            refuted: &|_, _| false,
        },
    )
}

/// Shares by region in percent, in the order of levels, from `eu`.
fn shares(world: &World, spec: &ServiceSpec, lost: &[&str]) -> Vec<(String, f64)> {
    let choice = choice_at(world, spec, "eu", lost);
    let mut list: Vec<(String, f64)> = Vec::new();
    for chosen in &choice.list {
        match list.last_mut().filter(|(name, _)| **name == *chosen.region) {
            Some((_, share)) => *share += chosen.share,
            None => list.push((chosen.region.to_string(), chosen.share)),
        }
    }
    list.iter().map(|(name, share)| (name.clone(), (share * 1000.0).round() / 10.0)).collect()
}

fn percent(list: &[(&str, f64)]) -> Vec<(String, f64)> {
    list.iter().map(|(name, share)| (name.to_string(), *share)).collect()
}

#[test]
fn distances_are_those_of_an_atlas() {
    for (a, b, km) in [(DUBLIN, LONDON, 464.0), (DUBLIN, NEW_YORK, 5103.0), (DUBLIN, SYDNEY, 17_200.0)] {
        let got = great_circle_km(a, b);
        assert!((got - km).abs() < km * 0.01, "{got} {km}");
    }
    assert_eq!(great_circle_km(DUBLIN, DUBLIN), 0.0);
    assert!((great_circle_km((0.0, 0.0), (0.0, 180.0)) - 20_015.0).abs() < 1.0);
}

#[test]
fn local_first_and_the_nearest_next() {
    let mut world = world();
    for region in ["ap", "us", "uk", "eu"] {
        world.instances(region, "web", "pp");
    }
    let all = shares(&world, &service("web"), &[]);
    assert_eq!(all, percent(&[("eu", 100.0), ("uk", 0.0), ("us", 0.0), ("ap", 0.0)]));
    let lost = shares(&world, &service("web"), &["eu"]);
    assert_eq!(lost, percent(&[("eu", 0.0), ("uk", 100.0), ("us", 0.0), ("ap", 0.0)]));
    let list = Region { failover: vec!["ap".into()], ..(**world.map.region("eu").expect("eu")).clone() };
    world.apply(Command::RegionPut(list));
    let listed = shares(&world, &service("web"), &["eu"]);
    assert_eq!(listed, percent(&[("eu", 0.0), ("ap", 100.0), ("uk", 0.0), ("us", 0.0)]));
}

#[test]
fn what_exceeds_healthy_capacity_spills() {
    let mut world = world();
    world.instances("eu", "web", "pppppcccccc");
    world.instances("uk", "web", "pc");
    world.instances("us", "web", "p");
    // 5/11 healthy over 0.7 is 64.9 %; uk's 1/2 over 0.7 is 71.4 %, which takes the rest.
    assert_eq!(shares(&world, &service("web"), &[]), percent(&[("eu", 64.9), ("uk", 35.1), ("us", 0.0)]));
    let full = ServiceSpec { overflow_percent: 100, ..service("web") };
    assert_eq!(shares(&world, &full, &[]), percent(&[("eu", 45.5), ("uk", 50.0), ("us", 4.5)]));
    let local = ServiceSpec { reach: Reach::Local, ..service("web") };
    assert_eq!(shares(&world, &local, &[]), percent(&[("eu", 100.0)]));
    // Not enough anywhere: in proportion to what there is.
    let mut poor = self::world();
    poor.instances("eu", "web", "pccc");
    poor.instances("uk", "web", "pccccccc");
    assert_eq!(shares(&poor, &full, &[]), percent(&[("eu", 66.7), ("uk", 33.3)]));
}

#[test]
fn a_line_may_name_its_regions() {
    let mut world = world();
    for region in ["ap", "us", "uk", "eu"] {
        world.instances(region, "web", "pp");
    }
    let two = ServiceSpec {
        reach: Reach::Regions(vec!["us".into(), "nowhere".into(), "eu".into()]),
        ..service("web")
    };
    assert_eq!(shares(&world, &two, &[]), percent(&[("us", 100.0), ("eu", 0.0)]));
    assert_eq!(shares(&world, &two, &["us"]), percent(&[("us", 0.0), ("eu", 100.0)]));
    let any = ServiceSpec { reach: Reach::Any, ..service("web") };
    let alike = shares(&world, &any, &["uk"]);
    assert!(alike.iter().all(|(name, share)| *share == if name == "uk" { 0.0 } else { 33.3 }), "{alike:?}");
}

#[test]
fn passive_regions_wait_and_drained_ones_empty() {
    let mut world = world();
    world.region("uk", Some(LONDON), RegionState::Passive);
    world.instances("eu", "web", "pccc");
    world.instances("uk", "web", "pp");
    world.instances("us", "web", "pp");
    assert_eq!(shares(&world, &service("web"), &[]), percent(&[("eu", 35.7), ("uk", 0.0), ("us", 64.3)]));
    assert_eq!(
        shares(&world, &service("web"), &["eu", "us"]),
        percent(&[("eu", 0.0), ("uk", 100.0), ("us", 0.0)])
    );
    world.region("eu", Some(DUBLIN), RegionState::Drain);
    assert_eq!(shares(&world, &service("web"), &[]), percent(&[("eu", 0.0), ("uk", 0.0), ("us", 100.0)]));
    let choice = choice_at(&world, &service("web"), "eu", &[]);
    let first = &choice.list[0];
    assert_eq!((&*first.region, first.standing), ("eu", Standing::Draining), "what it has may finish");
    // Nothing but the drained region is left: better served than refused.
    assert_eq!(shares(&world, &service("web"), &["uk", "us"])[0], ("eu".into(), 100.0));
}

#[test]
fn a_drained_node_takes_nothing_new() {
    let mut world = world();
    world.apply(registration(("n1", "eu"), "web", "a", 80, Health::Passing));
    world.apply(registration(("n2", "eu"), "web", "b", 80, Health::Passing));
    let drained =
        Member { name: "n1".into(), availability: Availability::Drain, alive: true, ..Member::default() };
    world.apply(Command::MemberPut(drained));
    let choice = choice_at(&world, &service("web"), "eu", &[]);
    let seen: Vec<_> = choice.list.iter().map(|c| (&*c.instance.id, c.standing, c.share)).collect();
    assert_eq!(seen, [("a", Standing::Draining, 0.0), ("b", Standing::Up(Health::Passing), 1.0)]);
}

#[test]
fn tags_ports_and_node_checks_count() {
    let mut world = world();
    world.instances("eu", "web", "pwc");
    let tagged = Instance {
        node: "eu".into(),
        id: "tagged".into(),
        service: "web".into(),
        tags: vec!["blue".into(), "v2".into()].into(),
        port: 9000,
        address: "10.9.9.9".into(),
        weights: Weights { passing: 8, warning: 2 },
        ..Instance::default()
    };
    let portless = Instance { id: "portless".into(), port: 0, ..tagged.clone() };
    for instance in [tagged, portless] {
        world.apply(Command::Register(Box::new(Registration {
            node: crate::region::testing::node("eu", "eu"),
            instance: Some(instance),
            ..Registration::default()
        })));
    }
    let blue = ServiceSpec { tags: vec!["v2".into(), "blue".into()], ..service("web") };
    let choice = choice_at(&world, &blue, "eu", &[]);
    assert_eq!((choice.list.len(), &*choice.list[0].address, choice.weight), (1, "10.9.9.9", 8.0));
    let all = choice_at(&world, &service("web"), "eu", &[]);
    let seen: Vec<_> = all.list.iter().map(|c| (&*c.instance.id, (c.share * 10.0).round())).collect();
    assert_eq!(seen, [("eu-0", 1.0), ("eu-1", 1.0), ("eu-2", 0.0), ("tagged", 8.0)]);
    // The node dies: all of its instances with it.
    world.apply(Command::Register(Box::new(Registration {
        node: crate::region::testing::node("eu", "eu"),
        checks: vec![crate::region::testing::check("eu", "serfHealth", "", Health::Critical)],
        ..Registration::default()
    })));
    let dead = choice_at(&world, &service("web"), "eu", &[]);
    assert!(dead.list.iter().all(|c| c.standing == Standing::Critical && c.share == 0.0));
    assert_eq!(dead.weight, 0.0);
}

#[test]
fn max_bounds_each_region_and_prefers_what_is_up() {
    let mut world = world();
    world.instances("eu", "web", "cccpppp");
    world.instances("uk", "web", "ppppp");
    let two = ServiceSpec { max: 2, ..service("web") };
    let at = |node: &str| {
        let place = Place {
            region: "eu",
            node,
            lost: &|_| false,
            recovered: &|_| 1.0,
            verdict: &|_| None,
            refuted: &|_, _| false,
        };
        choose(&world.map, &two, &place)
    };
    let mut taken = std::collections::BTreeSet::new();
    for i in 0..30 {
        let choice = at(&format!("n{i}"));
        let regions: Vec<&str> = choice.list.iter().map(|c| &*c.region).collect();
        assert_eq!(regions, ["eu", "eu", "uk", "uk"]);
        assert!(choice.list.iter().all(|c| c.standing == Standing::Up(Health::Passing)));
        taken.extend(choice.list.iter().map(|c| c.instance.id.clone()));
    }
    assert_eq!(taken.len(), 9, "nodes spread over all that are up: {taken:?}");
}

/// In eu, with all regions there again.
fn after_a_loss<'a>(recovered: &'a dyn Fn(&str) -> f64) -> Place<'a> {
    Place { region: "eu", node: "n", lost: &|_| false, recovered, verdict: &|_| None, refuted: &|_, _| false }
}

#[test]
fn a_region_that_comes_back_takes_traffic_bit_by_bit() {
    let mut world = world();
    world.instances("eu", "web", "pp");
    world.instances("uk", "web", "pp");
    let share = |recovered: f64| {
        let recovered = |name: &str| if name == "eu" { recovered } else { 1.0 };
        let all = ServiceSpec { overflow_percent: 100, ..service("web") };
        let choice = choose(&world.map, &all, &after_a_loss(&recovered));
        choice.list.iter().filter(|c| &*c.region == "eu").map(|c| c.share).sum::<f64>()
    };
    assert_eq!((share(0.0), share(0.25), share(1.0)), (0.0, 0.25, 1.0));
}

#[test]
fn what_a_region_does_not_take_yet_goes_on_and_not_back() {
    let mut world = world();
    for (region, states) in [("eu", "pc"), ("uk", "pp"), ("us", "pp")] {
        world.instances(region, "web", states);
    }
    let recovered = |name: &str| if name == "uk" { 0.25 } else { 1.0 };
    let shares = by_region(&choose(&world.map, &service("web"), &after_a_loss(&recovered)));
    let permille = |name: &str| (shares[name] * 1000.0).round();
    // 1/2 over 0.7 is 71.4 % as ever; a quarter of the rest is uk's for now.
    assert_eq!(["eu", "uk", "us"].map(permille), [714.0, 71.0, 214.0]);
}

#[test]
fn what_a_node_found_itself_wins() {
    let mut world = world();
    world.instances("eu", "web", "ppc");
    world.instances("us", "web", "p");
    let verdict = |instance: &Instance| match &*instance.id {
        "eu-0" => Some(false),
        "eu-2" | "us-0" => Some(true),
        _ => None,
    };
    let lost = |name: &str| name == "us";
    let place = Place {
        region: "eu",
        node: "n",
        lost: &lost,
        recovered: &|_| 1.0,
        verdict: &verdict,
        refuted: &|_, _| false,
    };
    let choice = choose(&world.map, &service("web"), &place);
    let seen: Vec<_> = choice.list.iter().map(|c| (&*c.instance.id, c.standing)).collect();
    let up = Standing::Up(Health::Passing);
    assert_eq!(seen, [("eu-0", Standing::Critical), ("eu-1", up), ("eu-2", up), ("us-0", up)]);
}

#[test]
fn what_its_checkers_agree_on_counts_unless_this_node_found_otherwise() {
    let mut world = world();
    world.instances("eu", "web", "pp");
    world.instances("us", "web", "p");
    let refuted = |instance: &Instance, region: &str| &*instance.id == "eu-0" && region == "eu";
    let standings = |verdict: &dyn Fn(&Instance) -> Option<bool>| {
        let place = Place {
            region: "eu",
            node: "n",
            lost: &|_| false,
            recovered: &|_| 1.0,
            verdict,
            refuted: &refuted,
        };
        let choice = choose(&world.map, &service("web"), &place);
        choice.list.iter().map(|c| c.standing).collect::<Vec<_>>()
    };
    let up = Standing::Up(Health::Passing);
    assert_eq!(standings(&|_| None), [Standing::Critical, up, up]);
    assert_eq!(standings(&|_| Some(true)), [up, up, up]);
}

#[test]
fn a_region_is_lost_when_the_map_says_so_and_one_s_own_never_is() {
    let mut world = world();
    for (name, region) in [("a", "eu"), ("b", "uk"), ("d", "us")] {
        world.apply(member(name, region, false));
    }
    assert!(lost_regions(&world.map, "ap").is_empty(), "dead nodes are no lost region yet");
    for name in ["eu", "us", "uk"] {
        world.apply(Command::RegionStands { name: name.into(), lost: true, cause: "silence".into() });
    }
    world.apply(Command::RegionStands { name: "uk".into(), lost: false, cause: "heard".into() });
    assert_eq!(lost_regions(&world.map, "eu"), ["us".into()]);
    assert_eq!(lost_regions(&world.map, "ap"), ["eu".into(), "us".into()]);
}

/// What the property tests draw: the state of every region, and letters for its instances.
fn drawn() -> impl Strategy<Value = Vec<(u8, String, bool)>> {
    proptest::collection::vec((0..3_u8, "[pwc]{0,6}", proptest::bool::weighted(0.2)), 4)
}

fn build(drawn: &[(u8, String, bool)]) -> (World, Vec<&'static str>) {
    let mut world = World::default();
    let mut lost = Vec::new();
    let places = [("eu", Some(DUBLIN)), ("uk", Some(LONDON)), ("us", None), ("ap", Some(SYDNEY))];
    for ((name, location), (state, letters, is_lost)) in places.into_iter().zip(drawn) {
        let state = [RegionState::Active, RegionState::Passive, RegionState::Drain][usize::from(*state % 3)];
        world.region(name, location, state);
        world.instances(name, "web", letters);
        lost.extend(is_lost.then_some(name));
    }
    (world, lost)
}

fn by_region(choice: &Choice) -> BTreeMap<Name, f64> {
    let mut shares = BTreeMap::new();
    choice.list.iter().for_each(|c| *shares.entry(c.region.clone()).or_default() += c.share);
    shares
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn shares_sum_to_one_whenever_anything_is_healthy(
        drawn in drawn(), overflow in 1..=100_u32, max in 0..4_usize, ramp in 0.0..=1.0_f64, any in any::<bool>(),
    ) {
        let (world, lost) = build(&drawn);
        let reach = if any { Reach::Any } else { Reach::Nearest };
        let spec = ServiceSpec { overflow_percent: overflow, max, reach, ..service("web") };
        let (is_lost, recovered) = (|name: &str| lost.contains(&name), |name: &str| if name == "uk" { ramp } else { 1.0 });
        let place = Place { region: "eu", node: "n", lost: &is_lost, recovered: &recovered, verdict: &|_| None, refuted: &|_, _| false };
        let choice = choose(&world.map, &spec, &place);
        let sum: f64 = choice.list.iter().map(|c| c.share).sum();
        prop_assert!(choice.list.iter().all(|c| c.share.is_finite() && (0.0..=1.0).contains(&c.share)));
        let is_up = |c: &crate::region::choice::ChosenInstance| !matches!(c.standing, Standing::Critical | Standing::Lost);
        let healthy = drawn.iter().zip(["eu", "uk", "us", "ap"]).any(|((_, letters, _), name)| {
            !lost.contains(&name) && letters.contains(['p', 'w'])
        });
        prop_assert_eq!(choice.list.iter().any(is_up), healthy);
        prop_assert!((sum - if healthy { 1.0 } else { 0.0 }).abs() < 1e-9, "{}", sum);
        prop_assert!(choice.list.iter().all(|c| c.share == 0.0 || is_up(c)));
    }

    /// An instance that recovers never takes traffic away from its region.
    #[test]
    fn more_health_is_never_less_traffic(drawn in drawn(), region in 0..4_usize, overflow in 1..=100_u32) {
        let (before, lost) = build(&drawn);
        let mut better = drawn.clone();
        better[region].1 = better[region].1.replacen('c', "p", 1);
        let (after, _) = build(&better);
        let spec = ServiceSpec { overflow_percent: overflow, ..service("web") };
        let name: Name = ["eu", "uk", "us", "ap"][region].into();
        let share = |world: &World| by_region(&choice_at(world, &spec, "eu", &lost)).get(&name).copied().unwrap_or(0.0);
        prop_assert!(share(&after) + 1e-9 >= share(&before), "{} {}", share(&after), share(&before));
    }

    /// Where anybody stands does not depend on the order in which they came.
    #[test]
    fn equal_instances_get_equal_shares(drawn in drawn()) {
        let (world, lost) = build(&drawn);
        let choice = choice_at(&world, &service("web"), "eu", &lost);
        for a in &choice.list {
            for b in &choice.list {
                if a.region == b.region && a.standing == b.standing {
                    prop_assert!((a.share - b.share).abs() < 1e-12);
                }
            }
        }
    }
}
