//! Policies on maps by hand and by chance.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;

fn ranges(networks: &[(&str, u32)]) -> Ranges<u32> {
    let parse = |(text, value): &(&str, u32)| {
        let net: ipnet::Ipv4Net = text.parse().expect("a network");
        (net.network().to_bits(), net.prefix_len(), *value)
    };
    Ranges::of(&networks.iter().map(parse).collect::<Vec<_>>(), 0)
}

fn at(ranges: &Ranges<u32>, text: &str) -> (u32, u8) {
    ranges.lookup(text.parse::<Ipv4Addr>().expect("an address").to_bits())
}

#[test]
fn the_longest_prefix_wins_and_the_scope_is_the_widest_that_holds() {
    let map = ranges(&[("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.0/24", 1), ("11.0.0.0/8", 1)]);
    assert_eq!(at(&map, "10.1.3.4"), (2, 24), "10.1.2.0/24 beside it is other");
    assert_eq!(at(&map, "10.1.200.1"), (2, 17));
    assert_eq!(at(&map, "10.1.2.9"), (1, 24));
    assert_eq!(at(&map, "11.2.3.4"), (1, 8), "10/8 has a hole, so nothing wider");
    assert_eq!(at(&map, "10.200.0.1"), (1, 9));
    assert_eq!(at(&map, "200.0.0.1"), (0, 1));
    assert_eq!(at(&ranges(&[]), "1.2.3.4"), (0, 0));
    assert_eq!(at(&ranges(&[("10.0.0.0/8", 1), ("11.0.0.0/8", 1)]), "10.0.0.1"), (1, 7), "neighbours merge");
    assert_eq!(at(&ranges(&[("255.255.255.255/32", 1)]), "255.255.255.255"), (1, 32));
}

#[test]
fn an_index_changes_no_answer() {
    let mut draw = 1u32;
    let mut next = || {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        draw ^ draw >> 16
    };
    let networks: Vec<(u32, u8, u32)> =
        (0..3000).map(|_| (next(), (next() % 33) as u8, next() % 5)).collect();
    let plain = Ranges::of(&networks, 9);
    let indexed = plain.clone().indexed();
    assert!(indexed != plain, "it is large enough for one");
    let edges =
        networks.iter().flat_map(|(a, len, _)| [a.network(*len), a.last(*len), a.network(*len).before()]);
    for address in edges.chain((0..20_000).map(|_| next())).chain([0, u32::MAX]) {
        assert_eq!(indexed.lookup(address), plain.lookup(address), "{address:#x}");
    }
    let wide: Vec<(u128, u8, u32)> =
        networks.iter().map(|(a, len, v)| (u128::from(*a) << 90, len * 2, *v)).collect();
    let (plain, indexed) = (Ranges::of(&wide, 9), Ranges::of(&wide, 9).indexed());
    for (address, ..) in wide {
        for near in [address, address + 1, address.before()] {
            assert_eq!(indexed.lookup(near), plain.lookup(near), "{near:#x}");
        }
    }
}

fn networks() -> impl Strategy<Value = Vec<(u32, u8, u32)>> {
    // Few distinct bits, so that networks meet.
    let address =
        prop_oneof![any::<u32>(), (0u32..16).prop_map(|n| n << 28), (0u32..=255).prop_map(|n| n << 20)];
    prop::collection::vec((address, 0u8..=32, 0u32..4), 0..24)
}

fn naive(networks: &[(u32, u8, u32)], address: u32) -> u32 {
    let mut best: Option<(u8, u32)> = None;
    for (network, len, value) in networks {
        let is_in = address.network(*len) == network.network(*len);
        if is_in && best.is_none_or(|(longest, _)| *len > longest) {
            best = Some((*len, *value));
        }
    }
    best.map_or(9, |(_, value)| value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_scope_is_constant_and_widest(networks in networks(), address: u32, others: [u32; 16]) {
        let map = Ranges::of(&networks, 9);
        let (value, scope) = map.lookup(address);
        prop_assert_eq!(value, naive(&networks, address));
        let inside = |len: u8, other: u32| address.network(len) | (other & !u32::MAX.network(len));
        let edges = [address.network(scope), address.last(scope)];
        for other in others.iter().map(|o| inside(scope, *o)).chain(edges) {
            prop_assert_eq!(naive(&networks, other), value);
            prop_assert_eq!(map.lookup(other), (value, scope), "the same prefix has the same scope");
        }
        if scope > 0 {
            // One bit wider it is not constant: some network ends or begins in there.
            let wide = scope - 1;
            let marks = networks.iter().flat_map(|(a, len, _)| [a.network(*len), a.last(*len), a.network(*len).wrapping_sub(1), a.last(*len).wrapping_add(1)]);
            let marks = marks.chain([address.network(wide), address.last(wide)]);
            let differs = marks.filter(|m| m.network(wide) == address.network(wide)).any(|m| naive(&networks, m) != value);
            prop_assert!(differs, "the scope could be wider");
        }
    }

    #[test]
    fn what_lies_on_top_wins_where_it_is(low in networks(), top in networks(), address: u32) {
        let (below, above) = (Ranges::of(&low, 9), Ranges::of(&top, 7));
        let both = below.under(&above, 7);
        let expected = match naive(&top, address) {
            9 => naive(&low, address),
            value => value,
        };
        prop_assert_eq!(both.lookup(address).0, expected);
    }

    #[test]
    fn an_answer_is_constant_inside_its_scope(
        networks in networks(),
        loads in prop::collection::vec(0f32..1.5, 4),
        healthy in prop::collection::vec(any::<bool>(), 4),
        steps in 0usize..4,
        sticky: bool,
        draw: u64,
        address: u32,
        others: [u32; 8],
    ) {
        let geography = geography();
        let mut clients = ClientMap { v4: Ranges::of(&networks, 0), ..ClientMap::default() };
        clients.places.extend([place("IE", 53.0, -6.0), place("US", 40.0, -74.0), place("SG", 1.3, 103.8)]);
        let clients = ClientMap { v4: clients.v4.map(|v| v.min(3)), ..clients };
        let steps = [vec![Step::Nearest(vec![])], vec![Step::Country, Step::Nearest(vec![])], vec![Step::Continent], vec![]][steps].clone();
        let preferences = Preferences::new(&steps, &geography, &clients);
        let spread = if sticky { Spread::Sticky } else { Spread::All };
        let policy = Policy { steps, spread, high_water: Some(80), ..Policy::default() };
        let mut view = view(&[0, 1, 2, 3]);
        for (of, (load, up)) in view.regions.iter_mut().zip(loads.iter().zip(&healthy)) {
            of.load = *load;
            if !up { of.unhealthy.append(&mut of.healthy) }
        }
        let answer = |address: u32| {
            let ip = IpAddr::V4(Ipv4Addr::from_bits(address));
            let client = Client::new(ip, draw);
            let (order, scope) = preferences.order(ip);
            (keys(&policy, order, &view, &client), scope.max(client.len))
        };
        let (value, scope) = answer(address);
        for other in others {
            let other = address.network(scope) | (other & !u32::MAX.network(scope));
            prop_assert_eq!(answer(other), (value.clone(), scope));
        }
    }
}

fn place(country: &str, north: f64, east: f64) -> ClientPlace {
    let country = <[u8; 2]>::try_from(country.as_bytes()).expect("two letters");
    ClientPlace { country: Some(country), continent: None, location: Some((north, east)) }
}

/// Dublin, New York, Singapore, Frankfurt.
fn geography() -> Geography {
    let region = |north, east, country: &[u8; 2]| Place {
        location: Some((north, east)),
        countries: vec![*country],
        ..Place::default()
    };
    let regions = vec![
        region(53.3, -6.3, b"IE"),
        region(40.7, -74.0, b"US"),
        region(1.3, 103.8, b"SG"),
        region(50.1, 8.7, b"DE"),
    ];
    Geography { regions, own: Some(3) }
}

/// Two instances in each of these regions; the key says region and number.
fn view(regions: &[RegionId]) -> ServiceView {
    let endpoint = |region: RegionId, n: u64| Endpoint {
        v4: Some([10, region as u8, 0, n as u8]),
        port: 80,
        weight: 1,
        key: u64::from(region) * 10 + n,
        ..Endpoint::default()
    };
    let of = |region: &RegionId| InRegion {
        region: *region,
        healthy: (1..3).map(|n| endpoint(*region, n)).collect(),
        ..InRegion::default()
    };
    ServiceView { regions: regions.iter().map(of).collect() }
}

const ANY: Wanted<'static> = Wanted { fits: &|_| true, whole: false, most: 32 };

fn keys(policy: &Policy, order: &[Ranked], view: &ServiceView, client: &Client) -> Vec<u64> {
    pick(policy, order, view, client, &ANY, &mut ()).list.iter().map(|(e, _)| e.key).collect()
}

fn client(ip: &str, draw: u64) -> Client {
    Client::new(ip.parse().expect("an address"), draw)
}

fn sorted(mut keys: Vec<u64>) -> Vec<u64> {
    keys.sort_unstable();
    keys
}

fn order_of(steps: &[Step], place: ClientPlace) -> Vec<RegionId> {
    let clients =
        ClientMap { v4: Ranges::all(1), places: vec![ClientPlace::default(), place], ..ClientMap::default() };
    let preferences = Preferences::new(steps, &geography(), &clients);
    preferences.order("198.51.100.1".parse().expect("an address")).0.iter().map(|r| r.region).collect()
}

#[test]
fn regions_are_sorted_by_what_is_known() {
    let dublin = place("IE", 53.0, -6.0);
    assert_eq!(order_of(&[Step::Nearest(vec![])], dublin), [0, 3, 1, 2]);
    assert_eq!(order_of(&[Step::Nearest(vec![(3, 99)])], dublin), [3, 0, 1, 2], "a bias draws clients");
    assert_eq!(order_of(&[Step::Country, Step::Nearest(vec![])], place("SG", 53.0, -6.0)), [2, 0, 3, 1]);
    assert_eq!(order_of(&[Step::Failover(vec![2, 1])], dublin), [2, 1]);
    assert_eq!(
        order_of(&[Step::Nearest(vec![])], ClientPlace::default()),
        [3, 0, 1, 2],
        "unknown: from here"
    );
}

#[test]
fn networks_win_over_places_and_failover_over_distance() {
    let mut geography = geography();
    geography.regions[2].networks = vec!["198.51.100.0/24".parse().expect("a network")];
    geography.regions[2].failover = vec![1];
    let preferences = Preferences::new(&[Step::Nearest(vec![])], &geography, &ClientMap::default());
    let (order, scope) = preferences.order("198.51.100.9".parse().expect("an address"));
    let regions: Vec<RegionId> = order.iter().map(|r| r.region).collect();
    assert_eq!((regions, scope), (vec![2, 1, 3, 0], 24));
}

#[test]
fn the_nearest_healthy_region_answers() {
    let clients = ClientMap::default();
    let policy = Policy { steps: vec![Step::Nearest(vec![])], ..Policy::default() };
    let preferences = Preferences::new(&policy.steps, &geography(), &clients);
    let (order, _) = preferences.order("198.51.100.1".parse().expect("an address"));
    let who = client("198.51.100.1", 0);
    let mut view = view(&[0, 2, 3]);
    assert_eq!(sorted(keys(&policy, order, &view, &who)), [31, 32]);
    let mut gone = std::mem::take(&mut view.regions[2].healthy);
    assert_eq!(sorted(keys(&policy, order, &view, &who)), [1, 2], "the next one, at once");
    view.regions[0].standing = Standing::Drain;
    assert_eq!(sorted(keys(&policy, order, &view, &who)), [21, 22], "drained ones come last");
    let three = Policy { take: Some(3), ..policy.clone() };
    view.regions[0].standing = Standing::Active;
    assert_eq!(sorted(keys(&three, order, &view, &who)).len(), 3);
    for of in &mut view.regions {
        gone.append(&mut of.healthy);
    }
    view.regions[0].unhealthy = gone;
    assert_eq!(keys(&policy, order, &view, &who).len(), 6, "the last resort: all");
    let none = Policy { last_resort: LastResort::None, ..policy.clone() };
    assert_eq!(keys(&none, order, &view, &who), Vec::<u64>::new());
}

#[test]
fn a_loaded_region_sheds_a_share_of_networks() {
    let policy = Policy { steps: vec![Step::Nearest(vec![])], high_water: Some(80), ..Policy::default() };
    let preferences = Preferences::new(&policy.steps, &geography(), &ClientMap::default());
    let mut view = view(&[0, 3]);
    let mut kept = |load: f32| {
        view.regions[1].load = load;
        let stays = |n: u32| {
            let ip = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | n << 8));
            let order = preferences.order(ip).0;
            keys(&policy, order, &view, &Client::new(ip, 0))[0] > 30
        };
        (0..1000).filter(|n| stays(*n)).count()
    };
    assert_eq!((kept(0.0), kept(0.8), kept(1.0)), (1000, 1000, 0));
    let half = kept(0.9);
    assert!((400..600).contains(&half), "{half} of 1000 stay at half of what is above the mark");
}

#[test]
fn weights_are_kept_and_sticky_moves_nobody_without_cause() {
    let view = view(&[0, 1]);
    let order: Vec<Ranked> = [0, 1].map(|region| Ranked { region, rank: 0 }).to_vec();
    let policy =
        Policy { spread: Spread::Weighted(vec![(0, 3), (1, 1)]), take: Some(1), ..Policy::default() };
    let mut state = 1u64;
    let mut firsts = [0; 2];
    for _ in 0..4000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = keys(&policy, &order, &view, &client("10.0.0.1", state))[0];
        firsts[usize::from(key > 10)] += 1;
    }
    assert!((2850..3150).contains(&firsts[0]), "{firsts:?}");
    let sticky = Policy { spread: Spread::Sticky, ..Policy::default() };
    let mut less = view.clone();
    less.regions[0].healthy.remove(0);
    for n in 0..200u32 {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(n << 8));
        let (before, again) = (Client::new(ip, 1), Client::new(ip, 99));
        let own = keys(&sticky, &order, &view, &before);
        assert_eq!((own.len(), keys(&sticky, &order, &view, &again)), (1, own.clone()));
        if own != [1] {
            assert_eq!(keys(&sticky, &order, &less, &before), own, "its instance is still there");
        }
    }
}
