//! Keeps what a responder answers in step with the region map: who is healthy at once, who is loaded as it is told, and
//! the order of regions when geography changes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::answer::{Catalog, Record, State, Told};
use super::consul::Consul;
use super::geoip::continent_at;
use super::name;
use super::policy::{
    Endpoint, Geography, InRegion, Place, Preferences, RegionId, ServiceView, Standing, Step,
};
use super::spec::{Name, Responder, ServiceRef};
use crate::base::Live;
use crate::config::service::{OVERFLOW_PERCENT, Reach, ServiceSpec};
use crate::model::{Address, ServerSpec};
use crate::region::Seat;
use crate::region::checkers::{Checkers, is_refuted};
use crate::region::choice::{self, ChosenInstance, lost_regions};
use crate::region::map::{Index, Instance, Map, RegionState, Topic};
use crate::region::soft;

/// How often the load of regions is looked at.
const LOAD_TURN: Duration = Duration::from_millis(200);
/// How long nothing may happen before the map is looked at anyway.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes states of a responder from maps, and makes anew only what changed.
pub struct Maker {
    responder: Arc<Responder>,
    services: Vec<ServiceSpec>,
    regions: Regions,
    /// What orders were made from.
    geography: Option<Geography>,
    /// Indexes of what views were made from.
    seen: Seen,
    records: Arc<[Record]>,
    views: Vec<Arc<ServiceView>>,
    catalog: Option<Arc<dyn Catalog>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    regions: Index,
    members: Index,
    services: Vec<Index>,
    loads: u64,
}

/// Regions by number: those of the map and those that nodes say they stand in, by name; then one for nodes that say none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    pub names: Vec<Name>,
}

impl Regions {
    fn of(map: &Map, services: &[ServiceSpec]) -> Regions {
        let of_nodes = services.iter().flat_map(|service| map.instances_of(&service.name));
        let of_nodes =
            of_nodes.filter_map(|instance| map.node(&instance.node)).map(|node| node.region.clone());
        let names: BTreeSet<Name> = map.regions().map(|region| region.name.clone()).chain(of_nodes).collect();
        Regions {
            names: names
                .into_iter()
                .filter(|name| !name.is_empty())
                .take(usize::from(RegionId::MAX))
                .collect(),
        }
    }

    pub fn id(&self, name: &str) -> Option<RegionId> {
        self.names.binary_search_by(|known| (**known).cmp(name)).ok().map(|at| at as RegionId)
    }

    fn id_or_last(&self, name: &str) -> RegionId {
        self.id(name).unwrap_or(self.names.len() as RegionId)
    }
}

impl Maker {
    pub fn new(responder: Arc<Responder>) -> Maker {
        let services = responder.services.iter().map(spec_of).collect();
        Maker {
            responder,
            services,
            regions: Regions::default(),
            geography: None,
            seen: Seen::default(),
            records: Arc::from([]),
            views: Vec::new(),
            catalog: None,
        }
    }

    /// With Consul's names of what a seat's map has, where the section wants them.
    pub fn on(mut self, seat: &Seat) -> Maker {
        let consul = self.responder.consul.as_ref().map(|consul| Consul {
            domain: consul.domain.clone(),
            datacenter: consul.datacenter.clone(),
            region: seat.region().clone(),
            ttl: consul.ttl,
            view: seat.view().clone(),
        });
        self.catalog = consul.map(|consul| Arc::new(consul) as Arc<dyn Catalog>);
        self
    }

    /// Before anything is known of the map, and where there is none: nobody is healthy.
    pub fn empty(&mut self) -> State {
        self.make(&Map::default(), &soft::View::default(), "", "");
        self.state()
    }

    fn state(&self) -> State {
        State {
            settings: self.responder.settings.clone(),
            zones: self.responder.zones.clone(),
            records: self.records.clone(),
            views: self.views.clone().into(),
            catalog: self.catalog.clone(),
            regions: self.regions.names.clone().into(),
        }
    }

    /// Whether anything it answers comes from the map.
    pub fn follows(&self) -> bool {
        !self.services.is_empty()
    }

    fn wants_load(&self) -> bool {
        self.responder.records.iter().any(|record| record.policy.high_water.is_some())
    }

    /// What it waits for.
    fn topics(&self) -> Vec<Topic> {
        let services = self.services.iter().map(|service| Topic::Service(service.name.clone()));
        services.chain([Topic::Regions, Topic::Members]).collect()
    }

    /// A state of this map, or `None` when it would be the same as before.
    pub fn next(&mut self, map: &Map, load: &soft::View, node: &str, own: &str) -> Option<State> {
        let before = self.seen.clone();
        self.make(map, load, node, own);
        (before != self.seen).then(|| self.state())
    }

    fn make(&mut self, map: &Map, load: &soft::View, node: &str, own: &str) {
        let seen = Seen {
            regions: map.index_of(&Topic::Regions),
            members: map.index_of(&Topic::Members),
            services: self.services.iter().map(|s| map.index_of(&Topic::Service(s.name.clone()))).collect(),
            loads: if self.wants_load() { load.version } else { 0 },
        };
        let regions = Regions::of(map, &self.services);
        let renumbered = regions != self.regions;
        self.regions = regions;
        let geography = geography(map, &self.regions, own);
        if self.geography.as_ref() != Some(&geography) {
            self.records = self.orders(&geography);
            self.geography = Some(geography);
        }
        let all = renumbered
            || (seen.regions, seen.members, seen.loads)
                != (self.seen.regions, self.seen.members, self.seen.loads)
            || self.views.len() != self.services.len();
        let mut views = Vec::with_capacity(self.services.len());
        for (at, service) in self.services.iter().enumerate() {
            let same = !all && self.seen.services.get(at) == seen.services.get(at);
            views.push(match self.views.get(at).filter(|_| same) {
                Some(view) => view.clone(),
                None => Arc::new(self.view(map, load, service, node, own)),
            });
        }
        self.views = views;
        self.seen = seen;
    }

    /// Records with the order of regions for every network; those with the same steps share it.
    fn orders(&self, geography: &Geography) -> Arc<[Record]> {
        let mut made: Vec<(Vec<Step>, Arc<Preferences>)> = Vec::new();
        let record = |record: &super::spec::RecordSpec| {
            let policy = record.policy.compile(&|name| self.regions.id(name));
            let known = made.iter().find(|(steps, _)| *steps == policy.steps).map(|(_, p)| p.clone());
            let preferences = known.unwrap_or_else(|| {
                let made_now =
                    Arc::new(Preferences::new(&policy.steps, geography, &self.responder.geography.clients));
                made.push((policy.steps.clone(), made_now.clone()));
                made_now
            });
            let service = self.responder.services.get(record.service).map_or("", |service| &service.name);
            Record {
                service: record.service,
                policy,
                preferences,
                ttl: record.ttl,
                owner: record.owner.clone().into(),
                told: Arc::new(Told { service: service.to_owned(), policy: record.policy.to_string() }),
                answers: (0..geography.regions.len()).map(|_| AtomicU64::new(0)).collect(),
            }
        };
        self.responder.records.iter().map(record).collect()
    }

    /// The instances of a service, by region.
    fn view(
        &self,
        map: &Map,
        load: &soft::View,
        service: &ServiceSpec,
        node: &str,
        own: &str,
    ) -> ServiceView {
        let lost = lost_regions(map, own);
        let refuted = |instance: &Instance, region: &str| {
            let mut found = map.verdicts_on(instance);
            found.any(|v| is_refuted(Some(v), &Checkers::of(map, &v.key).chosen(region, instance)))
        };
        let place = choice::Place {
            region: own,
            node,
            lost: &|region| lost.iter().any(|name| **name == *region),
            verdict: &|_| None,
            refuted: &refuted,
            recovered: &|_| 1.0,
        };
        let chosen = choice::choose(map, service, &place).list;
        let loads = self.wants_load().then(|| load.sums());
        let mut regions: Vec<InRegion> = Vec::new();
        for one in &chosen {
            let Some(endpoint) = endpoint(one) else { continue };
            let id = self.regions.id_or_last(&one.region);
            let at = regions.iter().position(|of| of.region == id).unwrap_or_else(|| {
                let of = (service.name.clone(), one.region.clone());
                let sum = loads.as_ref().and_then(|loads| loads.get(&of));
                let load =
                    sum.filter(|l| l.capacity > 0).map_or(0.0, |l| l.sessions as f32 / l.capacity as f32);
                let standing = standing(map, &one.region);
                regions.push(InRegion { region: id, standing, load, ..InRegion::default() });
                regions.len() - 1
            });
            let is_drained_node = regions[at].standing != Standing::Drain;
            match one.standing {
                choice::Standing::Up(_) => regions[at].healthy.push(endpoint),
                choice::Standing::Draining if !is_drained_node => regions[at].healthy.push(endpoint),
                _ => regions[at].unhealthy.push(endpoint),
            }
        }
        regions.sort_by_key(|of| of.region);
        ServiceView { regions }
    }
}

fn spec_of(service: &ServiceRef) -> ServiceSpec {
    let nowhere = Address::Inet(([0, 0, 0, 0], 0).into());
    ServiceSpec {
        name: service.name.clone(),
        reach: Reach::Any,
        tags: service.tags.clone(),
        check: None,
        overflow_percent: OVERFLOW_PERCENT,
        max: 0,
        template: Arc::new(ServerSpec::new("", 0, nowhere)),
    }
}

fn standing(map: &Map, region: &str) -> Standing {
    match map.region(region).map_or(RegionState::Active, |region| region.state) {
        RegionState::Active => Standing::Active,
        RegionState::Passive => Standing::Passive,
        RegionState::Drain => Standing::Drain,
    }
}

/// An instance by address, or by its host's name. `None`: it has neither.
fn endpoint(chosen: &ChosenInstance) -> Option<Endpoint> {
    let instance = &chosen.instance;
    let key = [&*instance.node, "\0", &instance.id].concat();
    let weight = match chosen.standing {
        choice::Standing::Up(crate::region::map::Health::Warning) => instance.weights.warning,
        _ => instance.weights.passing,
    };
    let mut endpoint =
        Endpoint { port: instance.port, weight, key: xxh3_64(key.as_bytes()), ..Endpoint::default() };
    match chosen.address.parse() {
        Ok(IpAddr::V4(ip)) => endpoint.v4 = Some(ip.octets()),
        Ok(IpAddr::V6(ip)) => endpoint.v6 = Some(ip.octets()),
        Err(_) => {
            endpoint.host = Some(name::from_text(chosen.address.as_bytes(), Some(name::ROOT)).ok()?.into())
        }
    }
    Some(endpoint)
}

fn geography(map: &Map, regions: &Regions, own: &str) -> Geography {
    let place = |name: &Name| {
        let Some(region) = map.region(name) else { return Place::default() };
        let countries = region.countries.iter().filter_map(|code| code.as_bytes().try_into().ok());
        Place {
            location: region.location,
            countries: countries.collect(),
            continent: region.location.and_then(continent_at),
            networks: region.networks.iter().filter_map(|network| network.parse().ok()).collect(),
            failover: region.failover.iter().filter_map(|name| regions.id(name)).collect(),
        }
    };
    // The last stands for instances of no region, anywhere.
    let places = regions.names.iter().map(place).chain([Place::default()]).collect();
    Geography { regions: places, own: regions.id(own) }
}

/// Follows the map until it is dropped: each change is a new state, in place before the next query is read.
pub async fn follow(mut maker: Maker, seat: Seat, state: Arc<Live<State>>) {
    let topics = maker.topics();
    loop {
        let (map, load) = (seat.map(), seat.soft().view());
        let (node, own) = (seat.node_name().clone(), seat.region().clone());
        let after = topics.iter().map(|topic| map.index_of(topic)).max().unwrap_or(0);
        // The order of regions for all networks of a large database takes a while: not on a thread that others need.
        let made = tokio::task::spawn_blocking(move || {
            let next = maker.next(&map, &load, &node, &own);
            (maker, next)
        });
        let Ok((back, next)) = made.await else { return };
        maker = back;
        if let Some(next) = next {
            state.store(Arc::new(next));
        }
        let turn = if maker.wants_load() { LOAD_TURN } else { PATIENCE };
        let until = tokio::time::sleep(turn).deadline();
        if seat.changed(&topics, after, until).await.is_err() {
            tokio::time::sleep(LOAD_TURN).await;
        }
    }
}
