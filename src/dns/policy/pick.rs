//! Who of a service's instances an answer names: health, load and draws are looked at now, for this client.

use std::net::IpAddr;

use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::order::{Ranked, Step};
use super::view::{Endpoint, InRegion, RegionId, ServiceView, Standing};

/// How instances that are as good as each other share clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Spread {
    /// All of them are named, each query beginning with another.
    #[default]
    All,
    /// One region is drawn by weight: as given, else by what its instances weigh.
    Weighted(Vec<(RegionId, u32)>),
    /// A client network keeps to the same instances as long as they are there (rendezvous hashing by weight).
    Sticky,
}

/// What is answered when nobody is healthy.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LastResort {
    /// As if all were: a check may be wrong, and no answer never helps.
    #[default]
    All,
    None,
    Addresses(Vec<Endpoint>),
}

/// How a record chooses: regions are sorted by steps, loaded ones shed, and so many addresses are taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub steps: Vec<Step>,
    pub spread: Spread,
    /// Above so many percent of its capacity a region sheds clients, all of them at 100.
    pub high_water: Option<u8>,
    /// Addresses at most; without it all of the first region, or of those that rank with it.
    pub take: Option<usize>,
    pub last_resort: LastResort,
}

impl Policy {
    /// Whether the answer hangs on the client's network beyond the order of regions.
    pub fn draws_by_network(&self) -> bool {
        self.high_water.is_some() || self.spread == Spread::Sticky
    }

    /// Part of its clients that a region with this load sheds, 0 to 1.
    pub fn sheds(&self, load: f32) -> f32 {
        self.high_water.map_or(0.0, |mark| shed_part(load, mark))
    }
}

/// Prefix lengths of the networks by which clients are told apart.
pub const NETWORK_V4: u8 = 24;
pub const NETWORK_V6: u8 = 56;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// A hash of the network, at most /24 or /56.
    pub network: u64,
    /// Length of that prefix in the client's family.
    pub len: u8,
    /// Different for each query.
    pub draw: u64,
}

impl Client {
    pub fn new(address: IpAddr, draw: u64) -> Client {
        match address {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Client { network: xxh3_64(&[4, a, b, c]), len: NETWORK_V4, draw }
            }
            IpAddr::V6(ip) => Client { network: xxh3_64(&ip.octets()[..7]), len: NETWORK_V6, draw },
        }
    }
}

/// An instance that is named, and its place: 0 for those that come first.
pub type Chosen<'v> = (&'v Endpoint, u16);

#[derive(Debug, Default)]
pub struct Picked<'v> {
    pub list: SmallVec<[Chosen<'v>; 32]>,
    /// Nobody is healthy.
    pub is_last_resort: bool,
}

/// What becomes of a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It has no healthy instance with what was asked for.
    Unhealthy,
    /// It is passive or drained, and better ones are there.
    StandsBack(Standing),
    /// It is over its high-water mark and this client is among those it sheds.
    Shed(f32),
    /// At this place among those that may be named.
    Candidate(usize),
}

/// Who wants to know why.
pub trait Trace {
    fn fate(&mut self, region: RegionId, fate: Fate);
}

impl Trace for () {
    fn fate(&mut self, _region: RegionId, _fate: Fate) {}
}

type Candidates<'v> = SmallVec<[(&'v InRegion, u16); 16]>;

/// What is asked of instances.
pub struct Wanted<'w> {
    /// Those that can be named at all.
    pub fits: &'w dyn Fn(&Endpoint) -> bool,
    /// All of them, in a stable order: who asks chooses (SRV).
    pub whole: bool,
    pub most: usize,
}

/// Picks for one client. `order`: from [`Preferences`](super::Preferences).
pub fn pick<'v>(
    policy: &'v Policy,
    order: &[Ranked],
    view: &'v ServiceView,
    client: &Client,
    wanted: &Wanted<'_>,
    trace: &mut impl Trace,
) -> Picked<'v> {
    let mut candidates = candidates(order, view, wanted, trace);
    if candidates.is_empty() {
        return last_resort(policy, order, view, wanted);
    }
    if let Some(mark) = policy.high_water.filter(|_| !wanted.whole) {
        shed(&mut candidates, mark, client, trace);
    }
    for (at, (of, _)) in candidates.iter().enumerate() {
        trace.fate(of.region, Fate::Candidate(at));
    }
    if let Spread::Weighted(weights) = &policy.spread
        && !wanted.whole
    {
        draw_first(&mut candidates, weights, client);
    }
    let mut picked = Picked::default();
    let take = policy.take.unwrap_or(usize::MAX).min(wanted.most);
    let mut rest = &candidates[..];
    let mut place = 0;
    while let Some((_, rank)) = rest.first() {
        let grouped = match policy.spread {
            Spread::Weighted(_) if !wanted.whole => 1,
            _ => rest.iter().take_while(|(_, other)| other == rank).count(),
        };
        let (group, after) = rest.split_at(grouped);
        rest = after;
        let room = if wanted.whole { wanted.most } else { take } - picked.list.len();
        gather(group, policy, client, wanted, room, place, &mut picked.list);
        place += 1;
        let enough = !wanted.whole && (policy.take.is_none() || picked.list.len() >= take);
        if enough || picked.list.len() >= wanted.most {
            break;
        }
    }
    picked
}

/// Regions with healthy instances, of the best standing that has any, in order.
fn candidates<'v>(
    order: &[Ranked],
    view: &'v ServiceView,
    wanted: &Wanted<'_>,
    trace: &mut impl Trace,
) -> Candidates<'v> {
    let mut best: Option<Standing> = None;
    let mut list = Candidates::new();
    for ranked in order {
        let Some(at) = view.in_region(ranked.region) else { continue };
        let of = &view.regions[at];
        if !of.healthy.iter().any(wanted.fits) {
            trace.fate(of.region, Fate::Unhealthy);
            continue;
        }
        if best.is_some_and(|best| best < of.standing) {
            trace.fate(of.region, Fate::StandsBack(of.standing));
            continue;
        }
        if best.is_some_and(|best| of.standing < best) {
            list.iter().for_each(|(of, _)| trace.fate(of.region, Fate::StandsBack(of.standing)));
            list.clear();
        }
        best = Some(of.standing);
        list.push((of, ranked.rank));
    }
    list
}

/// Part of its clients that a region sheds, 0 to 1.
fn shed_part(load: f32, mark_percent: u8) -> f32 {
    let mark = f32::from(mark_percent.min(99)) / 100.0;
    ((load - mark) / (1.0 - mark)).clamp(0.0, 1.0)
}

/// Puts those behind that shed this client. Who is shed follows from its network, so that the same ones go first.
fn shed(candidates: &mut Candidates<'_>, mark: u8, client: &Client, trace: &mut impl Trace) {
    let sheds = |of: &InRegion| {
        let part = shed_part(of.load, mark);
        let point =
            xxh3_64_with_seed(&client.network.to_le_bytes(), u64::from(of.region)) as f64 / u64::MAX as f64;
        part > 0.0 && point < f64::from(part)
    };
    let mut behind = Candidates::new();
    let mut kept = Candidates::new();
    for (of, rank) in candidates.drain(..) {
        if sheds(of) {
            trace.fate(of.region, Fate::Shed(of.load));
            behind.push((of, rank));
        } else {
            kept.push((of, rank));
        }
    }
    // All are over it: the order is as good as any.
    kept.extend(behind);
    *candidates = kept;
}

/// Puts one of the first rank first, drawn by weight.
fn draw_first(candidates: &mut Candidates<'_>, weights: &[(RegionId, u32)], client: &Client) {
    let Some((_, rank)) = candidates.first() else { return };
    let group = candidates.iter().take_while(|(_, other)| other == rank).count();
    let weight = |of: &InRegion| match weights.iter().find(|(region, _)| *region == of.region) {
        Some((_, weight)) => u64::from(*weight),
        None if weights.is_empty() => of.healthy.iter().map(|e| u64::from(e.weight)).sum(),
        None => 0,
    };
    let sum: u64 = candidates[..group].iter().map(|(of, _)| weight(of)).sum();
    let Some(mut point) = (client.draw >> 16).checked_rem(sum) else { return };
    for at in 0..group {
        let own = weight(candidates[at].0);
        if point < own {
            candidates[..=at].rotate_right(1);
            return;
        }
        point -= own;
    }
}

/// Takes up to `room` instances of regions that are as good as each other.
fn gather<'v>(
    group: &[(&'v InRegion, u16)],
    policy: &Policy,
    client: &Client,
    wanted: &Wanted<'_>,
    room: usize,
    place: u16,
    out: &mut SmallVec<[Chosen<'v>; 32]>,
) {
    let all = || group.iter().flat_map(|(of, _)| &of.healthy).filter(|e| (wanted.fits)(e));
    if wanted.whole {
        return out.extend(all().take(room).map(|e| (e, place)));
    }
    if policy.spread == Spread::Sticky {
        let mut scored: SmallVec<[(f64, &Endpoint); 32]> = all().map(|e| (score(e, client), e)).collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.key.cmp(&b.1.key)));
        // A client that keeps to one gets one.
        let room = room.min(policy.take.unwrap_or(1));
        return out.extend(scored.into_iter().take(room).map(|(_, e)| (e, place)));
    }
    let count = all().count();
    let start = (client.draw as usize).checked_rem(count).unwrap_or(0);
    out.extend(all().skip(start).chain(all().take(start)).take(room).map(|e| (e, place)));
}

/// Rendezvous hashing with weights: the highest wins, and one that goes moves nobody but its own clients.
fn score(endpoint: &Endpoint, client: &Client) -> f64 {
    let hash = xxh3_64_with_seed(&endpoint.key.to_le_bytes(), client.network);
    let point = (hash as f64 + 1.0) / (u64::MAX as f64 + 2.0);
    -f64::from(endpoint.weight.max(1)) / point.ln()
}

fn last_resort<'v>(
    policy: &'v Policy,
    order: &[Ranked],
    view: &'v ServiceView,
    wanted: &Wanted<'_>,
) -> Picked<'v> {
    let mut picked = Picked { is_last_resort: true, ..Picked::default() };
    let take = policy.take.filter(|_| !wanted.whole).unwrap_or(wanted.most).min(wanted.most);
    match &policy.last_resort {
        LastResort::None => {}
        LastResort::Addresses(list) => {
            picked.list.extend(list.iter().filter(|e| (wanted.fits)(e)).take(take).map(|e| (e, 0)));
        }
        LastResort::All => {
            let regions = order.iter().filter_map(|ranked| view.in_region(ranked.region));
            let all = regions.flat_map(|at| &view.regions[at].unhealthy);
            picked.list.extend(all.filter(|e| (wanted.fits)(e)).take(take).map(|e| (e, 0)));
        }
    }
    picked
}
