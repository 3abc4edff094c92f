//! In what order regions stand for a client: made when geography changes, for every network at once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::geography::{ClientMap, ClientPlace, Country};
use super::ranges::{Key, Ranges};
use super::view::RegionId;

/// What regions are sorted by, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The distance from the client, in percent less or more where a region has a bias from -99 to 99.
    Nearest(Vec<(RegionId, i8)>),
    /// Those that have the client's country among their `countries` come first.
    Country,
    /// Those on the client's continent come first.
    Continent,
    /// Nothing but `networks`: other clients have the order of this node.
    Networks,
    /// These, in this order, and no others.
    Failover(Vec<RegionId>),
}

/// A region as far as geography goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Degrees north and east.
    pub location: Option<(f64, f64)>,
    pub countries: Vec<Country>,
    pub continent: Option<Country>,
    pub networks: Vec<IpNet>,
    pub failover: Vec<RegionId>,
}

/// All regions, and which of them this node stands in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geography {
    pub regions: Vec<Place>,
    pub own: Option<RegionId>,
}

/// A region in an order. Those of one rank are as good as each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ranked {
    pub region: RegionId,
    pub rank: u16,
}

pub type Order = Box<[Ranked]>;

/// The order of regions for each client, by one list of steps.
#[derive(Clone, Debug)]
pub struct Preferences {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    orders: Vec<Order>,
}

const HOLE: u32 = u32::MAX;

impl Preferences {
    pub fn new(steps: &[Step], geography: &Geography, clients: &ClientMap) -> Preferences {
        let mut orders = Orders::default();
        let by_place: Vec<u32> =
            clients.places.iter().map(|place| orders.number(geography.order(steps, place, None))).collect();
        let mut networks4 = Vec::new();
        let mut networks6 = Vec::new();
        let is_geographic = !steps.iter().all(|step| matches!(step, Step::Failover(_)));
        for (id, region) in geography.regions.iter().enumerate().filter(|_| is_geographic) {
            if region.networks.is_empty() {
                continue;
            }
            // The country of such clients is not asked for: the operator knows better where they belong.
            let order = orders.number(geography.order(steps, &ClientPlace::default(), Some(id as RegionId)));
            for network in &region.networks {
                match network {
                    IpNet::V4(n) => networks4.push((n.network().to_bits(), n.prefix_len(), order)),
                    IpNet::V6(n) => networks6.push((n.network().to_bits(), n.prefix_len(), order)),
                }
            }
        }
        let order_of = |place: u32| by_place[place as usize];
        Preferences {
            v4: overlaid(&clients.v4, order_of, &networks4).indexed(),
            v6: overlaid(&clients.v6, order_of, &networks6).indexed(),
            orders: orders.list,
        }
    }

    /// The order for a client, and the length of the widest prefix that has the same.
    pub fn order(&self, client: IpAddr) -> (&[Ranked], u8) {
        let (at, scope) = match client {
            IpAddr::V4(ip) => self.v4.lookup(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.lookup(ip.to_bits()),
        };
        (&self.orders[at as usize], scope)
    }

    /// How many orders there are.
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }
}

fn overlaid<K: Key>(places: &Ranges<K>, order: impl Fn(u32) -> u32, networks: &[(K, u8, u32)]) -> Ranges<K> {
    places.map(order).under(&Ranges::of(networks, HOLE), HOLE)
}

/// Orders that are equal have one number.
#[derive(Default)]
struct Orders {
    list: Vec<Order>,
    numbers: HashMap<Order, u32>,
}

impl Orders {
    fn number(&mut self, order: Order) -> u32 {
        if let Some(number) = self.numbers.get(&order) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(order.clone());
        self.numbers.insert(order, number);
        number
    }
}

/// What a region is sorted by.
#[derive(PartialEq, PartialOrd)]
struct Sorted(Vec<f64>);

impl Geography {
    /// The order for clients of a place, or for those that belong to a region.
    fn order(&self, steps: &[Step], place: &ClientPlace, home: Option<RegionId>) -> Order {
        let from = self.origin(place, home);
        let allowed = |id: RegionId| {
            steps.iter().all(|step| !matches!(step, Step::Failover(list) if !list.contains(&id)))
        };
        let ids = (0..self.regions.len() as RegionId).filter(|id| allowed(*id));
        let mut keyed: Vec<(Sorted, RegionId)> =
            ids.map(|id| (self.key(steps, place, home, from, id), id)).collect();
        keyed.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1)));
        let mut order: Vec<Ranked> = Vec::with_capacity(keyed.len());
        for (at, (key, region)) in keyed.iter().enumerate() {
            let same = at > 0 && keyed[at - 1].0 == *key;
            let rank = if same { order[at - 1].rank } else { at as u16 };
            order.push(Ranked { region: *region, rank });
        }
        let is_listed = steps.iter().any(|step| matches!(step, Step::Failover(_)));
        if !is_listed && !steps.is_empty() {
            self.put_failover_first(&mut order);
        }
        order.into()
    }

    /// From where distances are measured.
    fn origin(&self, place: &ClientPlace, home: Option<RegionId>) -> Option<(f64, f64)> {
        let of = |id: RegionId| self.regions.get(usize::from(id))?.location;
        match home {
            Some(home) => of(home),
            None => place.location.or_else(|| of(self.own?)),
        }
    }

    fn key(
        &self,
        steps: &[Step],
        place: &ClientPlace,
        home: Option<RegionId>,
        from: Option<(f64, f64)>,
        id: RegionId,
    ) -> Sorted {
        let region = &self.regions[usize::from(id)];
        let mut key = Vec::with_capacity(steps.len() + 1);
        let is_geographic = steps.iter().any(|step| !matches!(step, Step::Failover(_)));
        if is_geographic {
            let is_home = match home {
                Some(home) => home == id,
                // Nothing is known of the client: it is nearer to this node than to anybody else.
                None => place.location.is_none() && place.country.is_none() && self.own == Some(id),
            };
            key.push(f64::from(u8::from(!is_home)));
        }
        let distance = || match (from, region.location) {
            (Some(from), Some(to)) => great_circle_km(from, to),
            _ => f64::MAX,
        };
        let first = |is_first: bool| f64::from(u8::from(!is_first));
        for step in steps {
            key.push(match step {
                Step::Nearest(bias) => {
                    let bias = bias.iter().find(|(of, _)| *of == id).map_or(0, |(_, bias)| *bias);
                    distance() * f64::from(100 - i32::from(bias)) / 100.0
                }
                Step::Networks => distance(),
                Step::Country => {
                    first(place.country.is_some_and(|country| region.countries.contains(&country)))
                }
                Step::Continent => first(place.continent.is_some() && place.continent == region.continent),
                Step::Failover(list) => {
                    list.iter().position(|other| *other == id).unwrap_or(usize::MAX) as f64
                }
            });
        }
        Sorted(key)
    }

    /// Those that a region names take over from it before all others.
    fn put_failover_first(&self, order: &mut Vec<Ranked>) {
        let Some(first) = order.first().copied() else { return };
        let alone = order.get(1).is_none_or(|second| second.rank != first.rank);
        let named = &self.regions[usize::from(first.region)].failover;
        if named.is_empty() || !alone {
            return;
        }
        let mut moved = vec![first];
        moved.extend(
            named
                .iter()
                .filter_map(|id| order.iter().find(|r| r.region == *id && *id != first.region))
                .copied(),
        );
        moved
            .extend(order.iter().filter(|r| r.region != first.region && !named.contains(&r.region)).copied());
        // Ranks rise with the place; equal ones stay together only where nothing moved.
        let old: Vec<u16> = moved.iter().map(|ranked| ranked.rank).collect();
        for at in 0..moved.len() {
            let same = at > named.len() && old[at] == old[at - 1];
            moved[at].rank = if same { moved[at - 1].rank } else { at as u16 };
        }
        *order = moved;
    }
}

/// Between two points in degrees north and east (the haversine formula).
pub(super) fn great_circle_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    const EARTH_RADIUS_KM: f64 = 6371.0;
    let (north_a, north_b) = (a.0.to_radians(), b.0.to_radians());
    let (north, east) = ((north_b - north_a) / 2.0, (b.1 - a.1).to_radians() / 2.0);
    let h = north.sin().powi(2) + north_a.cos() * north_b.cos() * east.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
}
