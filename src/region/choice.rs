//! Which instances of a service a node sends traffic to, and in what proportion.
//!
//! Regions are put in levels, the nearest first, and traffic fills them as Envoy fills its priority levels
//! (architecture overview, "Priority levels"): a level takes what its healthy share, stretched by `overflow`, allows;
//! the rest goes to the next. Nothing here reads a clock or touches a server.

use std::sync::Arc;

use crate::config::service::{Reach, ServiceSpec};

use super::map::{Availability, Health, Instance, Map, Member, Name, Region, RegionState};

/// What a node knows besides the map.
pub struct Place<'a> {
    /// The region this node stands in; empty: none.
    pub region: &'a str,
    /// The name of this node: which of many instances it takes depends on it.
    pub node: &'a str,
    /// Regions that are lost.
    pub lost: &'a dyn Fn(&str) -> bool,
    /// What this node found itself, when it has to: whether an instance answers. It wins over what the map says.
    pub verdict: &'a dyn Fn(&Instance) -> Option<bool>,
    /// Whether those that check an instance of a region agree that it does not answer.
    pub refuted: &'a dyn Fn(&Instance, &str) -> bool,
    /// How far a region that came back may take traffic again, 0 to 1; 1 for any other.
    pub recovered: &'a dyn Fn(&str) -> f64,
}

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Up(Health),
    /// A check of it or of its node is critical, or those that check it found that it does not answer.
    Critical,
    /// Its region is lost.
    Lost,
    /// Its node or its region is being emptied: what it has may finish.
    Draining,
}

/// An instance that takes part.
#[derive(Clone, Debug)]
pub struct ChosenInstance {
    pub instance: Arc<Instance>,
    /// Its own address, else its node's.
    pub address: Name,
    pub region: Name,
    /// 0 for the nearest.
    pub level: usize,
    pub standing: Standing,
    /// Its part of the service's traffic; all parts sum to 1 unless nothing is healthy.
    pub share: f64,
}

/// What becomes of a service on a node.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// By level, then by node and id.
    pub list: Vec<ChosenInstance>,
    /// What the chosen ones that take traffic weigh together: makes shares of several services comparable.
    pub weight: f64,
}

/// How a level takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Active,
    /// Only when no active region can.
    Passive,
    /// Only when nothing else can: a request that is there anyway is better served than refused.
    Drain,
}

struct Level {
    rank: Rank,
    /// Part of the level's whole capacity that is healthy, 0 to 1.
    health: f64,
    /// What of its share it may take yet, 0 to 1: less than all while it comes back.
    part: f64,
    /// Weight of its instances that may take traffic.
    weight: f64,
    /// Its part of the traffic.
    share: f64,
}

/// Chooses among the instances that the map has of a service.
pub fn choose(map: &Map, spec: &ServiceSpec, place: &Place<'_>) -> Choice {
    let candidates = candidates(map, spec, place);
    let order = Order::new(map, spec, place, &candidates);
    let mut list: Vec<ChosenInstance> =
        candidates.into_iter().filter_map(|c| Some((order.level(&c.region)?, c))).map(at_level).collect();
    list.sort_by_key(|c| c.level);
    let mut levels: Vec<Level> = (0..order.levels).map(|_| Level::empty()).collect();
    for (at, level) in levels.iter_mut().enumerate() {
        level.measure(list.iter().filter(|c| c.level == at), map, place);
    }
    fill(&mut levels, f64::from(spec.overflow_percent.clamp(1, 100)) / 100.0);
    if spec.max > 0 {
        limit(&mut list, spec.max, place.node);
    }
    let mut choice = Choice { list, weight: 0.0 };
    choice.distribute(&levels);
    choice
}

/// Regions that are lost, by the one word on it that the map has. One's own never is.
pub fn lost_regions(map: &Map, own: &str) -> Vec<Name> {
    let lost = map.outages().filter(|outage| outage.lost && *outage.region != *own);
    lost.map(|outage| outage.region.clone()).collect()
}

fn at_level((level, chosen): (usize, ChosenInstance)) -> ChosenInstance {
    ChosenInstance { level, ..chosen }
}

/// Every instance with the tags and a port, and how it stands.
fn candidates(map: &Map, spec: &ServiceSpec, place: &Place<'_>) -> Vec<ChosenInstance> {
    let is_drained = |m: &&Arc<Member>| m.availability == Availability::Drain;
    let drained: Vec<Name> = map.members().filter(is_drained).map(|m| m.name.clone()).collect();
    let mut list = Vec::new();
    for instance in map.instances_of(&spec.name) {
        if instance.port == 0 || !spec.tags.iter().all(|tag| instance.tags.contains(tag)) {
            continue;
        }
        let Some(node) = map.node(&instance.node) else { continue };
        let health = map.checks_of(instance).map(|c| c.status).max().unwrap_or(Health::Passing);
        let own = (place.verdict)(instance);
        // Found to answer, it is up whatever was last heard of it.
        let health = if own == Some(true) && health == Health::Critical { Health::Passing } else { health };
        let standing = if own == Some(false) {
            Standing::Critical
        } else if own.is_none() && (place.lost)(&node.region) {
            Standing::Lost
        } else if health == Health::Critical || own.is_none() && (place.refuted)(instance, &node.region) {
            Standing::Critical
        } else if drained.contains(&node.name) {
            Standing::Draining
        } else {
            Standing::Up(health)
        };
        let address = if instance.address.is_empty() { &node.address } else { &instance.address };
        list.push(ChosenInstance {
            instance: instance.clone(),
            address: address.clone(),
            region: node.region.clone(),
            level: 0,
            standing,
            share: 0.0,
        });
    }
    list
}

/// Which region is in which level.
struct Order {
    regions: Vec<(Name, usize)>,
    levels: usize,
}

impl Order {
    fn new(map: &Map, spec: &ServiceSpec, place: &Place<'_>, candidates: &[ChosenInstance]) -> Order {
        let mut names: Vec<Name> = candidates.iter().map(|c| c.region.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let groups: Vec<Vec<Name>> = match &spec.reach {
            Reach::Local => vec![names.into_iter().filter(|name| **name == *place.region).collect()],
            Reach::Any => vec![names],
            Reach::Regions(list) => {
                list.iter().filter(|r| names.contains(r)).map(|r| vec![r.clone()]).collect()
            }
            Reach::Nearest => nearest(map, place.region, names),
        };
        // A level has one rank, so that passive regions among `any` stand back.
        let mut regions = Vec::new();
        let mut levels = 0;
        for group in groups {
            for rank in [Rank::Active, Rank::Passive, Rank::Drain] {
                let of_rank: Vec<Name> =
                    group.iter().filter(|name| self::rank(map, name) == rank).cloned().collect();
                if !of_rank.is_empty() {
                    regions.extend(of_rank.into_iter().map(|name| (name, levels)));
                    levels += 1;
                }
            }
        }
        Order { regions, levels }
    }

    fn level(&self, region: &str) -> Option<usize> {
        self.regions.iter().find(|(name, _)| **name == *region).map(|(_, level)| *level)
    }
}

fn rank(map: &Map, region: &str) -> Rank {
    match map.region(region).map_or(RegionState::Active, |r| r.state) {
        RegionState::Active => Rank::Active,
        RegionState::Passive => Rank::Passive,
        RegionState::Drain => Rank::Drain,
    }
}

/// One's own region, those of its `failover` list, then the others by distance; those whose distance is not known
/// are the last, together.
fn nearest(map: &Map, own: &str, names: Vec<Name>) -> Vec<Vec<Name>> {
    let here = map.region(own);
    let mut rest = names;
    let mut groups = Vec::new();
    let mut take = |rest: &mut Vec<Name>, name: &str| {
        if let Some(at) = rest.iter().position(|n| **n == *name) {
            groups.push(vec![rest.remove(at)]);
        }
    };
    take(&mut rest, own);
    for name in here.map_or(&[][..], |region| &region.failover) {
        take(&mut rest, name);
    }
    let away = |name: &Name| distance_km(here?, map.region(name)?);
    let (mut known, unknown): (Vec<_>, Vec<_>) =
        rest.into_iter().map(|name| (away(&name), name)).partition(|(distance, _)| distance.is_some());
    known.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1)));
    groups.extend(known.into_iter().map(|(_, name)| vec![name]));
    let unknown: Vec<Name> = unknown.into_iter().map(|(_, name)| name).collect();
    if !unknown.is_empty() {
        groups.push(unknown);
    }
    groups
}

/// Along the great circle; `None` unless both say where they are.
fn distance_km(a: &Region, b: &Region) -> Option<f64> {
    Some(great_circle_km(a.location?, b.location?))
}

/// Between two points in degrees north and east (the haversine formula).
pub fn great_circle_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    const EARTH_RADIUS_KM: f64 = 6371.0;
    let (north_a, north_b) = (a.0.to_radians(), b.0.to_radians());
    let (north, east) = ((north_b - north_a) / 2.0, (b.1 - a.1).to_radians() / 2.0);
    let h = north.sin().powi(2) + north_a.cos() * north_b.cos() * east.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
}

impl ChosenInstance {
    /// What it weighs as it stands, and what it would if it were well.
    fn weights(&self) -> (f64, f64) {
        let weights = &self.instance.weights;
        let whole = f64::from(weights.passing);
        let now = match self.standing {
            Standing::Up(Health::Warning) => f64::from(weights.warning).min(whole),
            Standing::Up(_) => whole,
            _ => 0.0,
        };
        (now, if self.standing == Standing::Draining { 0.0 } else { whole })
    }
}

impl Level {
    fn empty() -> Level {
        Level { rank: Rank::Active, health: 0.0, part: 1.0, weight: 0.0, share: 0.0 }
    }

    fn measure<'c>(
        &mut self,
        members: impl Iterator<Item = &'c ChosenInstance>,
        map: &Map,
        place: &Place<'_>,
    ) {
        let (mut now, mut whole, mut able) = (0.0, 0.0, 0.0);
        for chosen in members {
            self.rank = rank(map, &chosen.region);
            let (weight, all) = chosen.weights();
            now += weight;
            whole += all;
            able += weight * (place.recovered)(&chosen.region).clamp(0.0, 1.0);
        }
        self.weight = now;
        self.health = if whole > 0.0 { now / whole } else { 0.0 };
        self.part = if now > 0.0 { able / now } else { 1.0 };
    }

    /// It has somebody to send traffic to.
    fn is_able(&self) -> bool {
        self.weight > 0.0
    }
}

/// Gives each level its share: those of the best rank that has anybody fill up in order. What one that comes back does
/// not take yet goes on to the next, so that nobody before it gets more than before.
fn fill(levels: &mut [Level], overflow: f64) {
    let Some(rank) = levels.iter().filter(|l| l.is_able()).map(|l| l.rank).min() else { return };
    let takes = |level: &Level| {
        if level.rank == rank && level.is_able() { (level.health / overflow).min(1.0) } else { 0.0 }
    };
    let scale = levels.iter().map(takes).sum::<f64>().min(1.0);
    let mut left = 1.0;
    for level in levels.iter_mut().filter(|_| scale > 0.0) {
        level.share = level.part * (takes(level) / scale).min(left);
        left = f64::max(left - level.share, 0.0);
    }
    let taken: f64 = levels.iter().map(|level| level.share).sum();
    if taken > 0.0 {
        // Nobody is behind those that come back: all get the more.
        levels.iter_mut().for_each(|level| level.share /= taken);
    } else if let Some(first) = levels.iter_mut().find(|l| l.rank == rank && l.is_able()) {
        // All of them only just come back: the first takes all.
        first.share = 1.0;
    }
}

impl Choice {
    fn distribute(&mut self, levels: &[Level]) {
        // `max` may have left out some of those whose health counted.
        let mut weights = vec![0.0; levels.len()];
        for chosen in &self.list {
            weights[chosen.level] += chosen.weights().0;
        }
        for chosen in &mut self.list {
            let level = &levels[chosen.level];
            let (weight, sum) = (chosen.weights().0, weights[chosen.level]);
            if weight > 0.0 && sum > 0.0 && level.share > 0.0 {
                chosen.share = level.share * weight / sum;
                self.weight += weight;
            } else if level.rank == Rank::Drain && matches!(chosen.standing, Standing::Up(_)) {
                chosen.standing = Standing::Draining;
            }
        }
    }
}

/// Keeps `max` instances of each region: those that are up before others, then by rendezvous hashing, so that nodes
/// spread over the instances and each keeps to its own.
fn limit(list: &mut Vec<ChosenInstance>, max: usize, node: &str) {
    let mut regions: Vec<Name> = list.iter().map(|c| c.region.clone()).collect();
    regions.sort_unstable();
    regions.dedup();
    let mut kept = vec![false; list.len()];
    for region in regions {
        let mut of_region: Vec<(bool, u64, usize)> = list
            .iter()
            .enumerate()
            .filter(|(_, c)| c.region == region)
            .map(|(i, c)| (c.weights().0 <= 0.0, affinity(node, &c.instance), i))
            .collect();
        of_region.sort_unstable();
        of_region.iter().take(max).for_each(|(_, _, i)| kept[*i] = true);
    }
    let mut kept = kept.into_iter();
    list.retain(|_| kept.next().unwrap_or(false));
}

fn affinity(node: &str, instance: &Instance) -> u64 {
    let key = [node, "\0", &instance.node, "\0", &instance.id].concat();
    xxhash_rust::xxh3::xxh3_64(key.as_bytes())
}
