//! The map: everything that the region knows at one index, and questions to it.
//!
//! A clone shares structure with its origin, so a reader keeps one for as long as it likes and a change costs its own
//! size. How it changes is said in `apply` and the files of each kind of record.

use std::sync::Arc;

use bytes::Bytes;

pub use super::catalog::Service;
use super::catalog::{Catalog, Host};
use super::held::Sessions;
use super::kv::Kv;
use super::record::*;
use super::tables::Tables;
use super::topic::Topic;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    pub(super) index: Index,
    /// Of the last proposal that touched anything.
    pub(super) changed: Index,
    /// At which an archive took the place of all there was; 0: none ever did.
    pub(super) restored: Index,
    pub(super) catalog: Catalog,
    pub(super) kv: Kv,
    pub(super) sessions: Sessions,
    pub(super) tables: Tables,
}

impl Map {
    /// Of the last proposal applied: at least the log index of its entry (see [`Map::apply`]).
    pub fn index(&self) -> Index {
        self.index
    }

    /// When a topic last changed; 0 when it never did. It moves when something of it goes, too, and never back: of what
    /// went long ago, and of what was never there, it is the index at which the oldest memories of such things were given up.
    pub fn index_of(&self, topic: &Topic) -> Index {
        let catalog = &self.catalog;
        match topic {
            Topic::Any => self.changed,
            Topic::Nodes => catalog.nodes_index,
            Topic::Node(name) => {
                catalog.hosts.value(name).map_or_else(|| catalog.gone_nodes.index_of(name), |host| host.index)
            }
            Topic::Services => catalog.services_index,
            Topic::Service(name) => {
                let service = catalog.services.value(name);
                service.map_or_else(|| catalog.gone_services.index_of(name), |service| service.index)
            }
            Topic::Checks => catalog.checks_index,
            Topic::Key(key) => self.kv.index_of(key),
            Topic::Prefix(prefix) => self.kv.index_under(prefix),
            Topic::Sessions => self.sessions.index,
            Topic::Session(id) => self
                .session(id)
                .map_or_else(|| self.sessions.gone.index_of(id), |session| session.modify_index),
            Topic::Queries => self.tables.index.queries,
            Topic::Events => self.tables.index.events,
            Topic::Regions => self.tables.index.regions,
            Topic::Members => self.tables.index.members,
            Topic::Documents => self.tables.index.documents,
            Topic::Leases => self.tables.leases_index,
        }
    }

    /// Whether who read these topics up to `after` has not read what is here: one of them changed since, or an archive was
    /// taken over since, and brought indexes below the reader's.
    pub fn has_news(&self, topics: &[Topic], after: Index) -> bool {
        let newest = topics.iter().map(|topic| self.index_of(topic)).max().unwrap_or(0);
        // Of what never changed, readers are told 1.
        newest > after || after > newest.max(1) && after < self.restored
    }

    fn host(&self, node: &str) -> Option<&Host> {
        self.catalog.hosts.value(node).map(Arc::as_ref)
    }

    /// By name.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.catalog.hosts.values().map(|host| &host.node)
    }

    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.host(name).map(|host| &host.node)
    }

    /// By the UUID with which it was registered.
    pub fn node_by_id(&self, id: &str) -> Option<&Arc<Node>> {
        self.catalog.node_ids.get(id).and_then(|name| self.node(name))
    }

    /// By id.
    pub fn instances_on(&self, node: &str) -> impl Iterator<Item = &Arc<Instance>> {
        self.host(node).into_iter().flat_map(|host| host.instances.iter())
    }

    pub fn instance(&self, node: &str, id: &str) -> Option<&Arc<Instance>> {
        self.host(node)?.instances.get(id)
    }

    /// Those of the node and of its instances, by id.
    pub fn checks_on(&self, node: &str) -> impl Iterator<Item = &Arc<Check>> {
        self.host(node).into_iter().flat_map(|host| host.checks.iter())
    }

    /// Those of the node itself.
    pub fn node_checks<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Check>> {
        self.own_checks(node, "")
    }

    /// Those of one instance; with `""`, of the node itself.
    pub fn own_checks<'a>(&'a self, node: &str, instance: &'a str) -> impl Iterator<Item = &'a Arc<Check>> {
        let host = self.host(node);
        host.into_iter().flat_map(move |host| host.checks_about(instance))
    }

    /// What decides whether an instance may be used: the checks of its node, then its own.
    pub fn checks_of<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = &'a Arc<Check>> {
        self.node_checks(&instance.node).chain(self.own_checks(&instance.node, &instance.id))
    }

    pub fn check(&self, node: &str, id: &str) -> Option<&Arc<Check>> {
        self.host(node)?.checks.get(id)
    }

    /// All there are, by node and id.
    pub fn checks(&self) -> impl Iterator<Item = &Arc<Check>> {
        self.catalog.hosts.values().flat_map(|host| host.checks.iter())
    }

    /// Every service that has an instance, by name.
    pub fn services(&self) -> impl Iterator<Item = (&Name, &Service)> {
        self.catalog.services.iter().map(|(name, service)| (name, service.as_ref()))
    }

    pub fn service(&self, name: &str) -> Option<&Service> {
        self.catalog.services.value(name).map(Arc::as_ref)
    }

    /// By node, then by id.
    pub fn instances_of(&self, service: &str) -> impl Iterator<Item = &Arc<Instance>> {
        self.service(service).into_iter().flat_map(Service::instances)
    }

    pub fn entry(&self, key: &str) -> Option<&Arc<Entry>> {
        self.kv.entries.get(key)
    }

    /// Every key that begins so, in order.
    pub fn entries<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.kv.under(prefix)
    }

    /// Until when the lock on a key may not be taken.
    pub fn lock_delay(&self, key: &str) -> Option<WallMs> {
        self.kv.delays.by_key.get(key).copied()
    }

    /// By id.
    pub fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.by_id.values().map(|held| &held.session)
    }

    pub fn session(&self, id: &str) -> Option<&Arc<Session>> {
        self.sessions.by_id.get(id).map(|held| &held.session)
    }

    pub fn sessions_on(&self, node: &str) -> impl Iterator<Item = &Arc<Session>> {
        let ids = self.host(node).into_iter().flat_map(|host| &host.sessions);
        ids.filter_map(|id| self.session(id))
    }

    /// By id.
    pub fn queries(&self) -> impl Iterator<Item = &Arc<Query>> {
        self.tables.queries.values()
    }

    pub fn query(&self, id_or_name: &str) -> Option<&Arc<Query>> {
        let queries = &self.tables.queries;
        queries
            .get(id_or_name)
            .or_else(|| self.tables.query_names.get(id_or_name).and_then(|id| queries.get(id)))
    }

    /// The oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.tables.events.iter()
    }

    pub fn regions(&self) -> impl Iterator<Item = &Arc<Region>> {
        self.tables.regions.values()
    }

    pub fn region(&self, name: &str) -> Option<&Arc<Region>> {
        self.tables.regions.get(name)
    }

    /// How a region last changed between heard and lost; `None` for one that never was lost.
    pub fn outage(&self, region: &str) -> Option<&Arc<Outage>> {
        self.tables.outages.get(region)
    }

    /// By region.
    pub fn outages(&self) -> impl Iterator<Item = &Arc<Outage>> {
        self.tables.outages.values()
    }

    /// What a node checks for others.
    pub fn checker(&self, node: &str) -> Option<&Arc<Checker>> {
        self.tables.checkers.get(node)
    }

    /// By node.
    pub fn checkers(&self) -> impl Iterator<Item = &Arc<Checker>> {
        self.tables.checkers.values()
    }

    /// What was found of an instance that is checked so.
    pub fn verdict(&self, instance: &Instance, key: &Name) -> Option<&Arc<Verdict>> {
        self.tables.verdicts.get(&(instance.node.clone(), instance.id.clone(), key.clone()))
    }

    /// What was found of an instance, however it is checked.
    pub fn verdicts_on<'a>(&'a self, instance: &'a Instance) -> impl Iterator<Item = &'a Arc<Verdict>> {
        let from = (instance.node.clone(), instance.id.clone(), Name::default());
        let all = self.tables.verdicts.range(from..);
        let of_it = all.take_while(|(of, _)| of.0 == instance.node && of.1 == instance.id);
        of_it.map(|(_, verdict)| verdict)
    }

    /// By node, instance and key.
    pub fn verdicts(&self) -> impl Iterator<Item = &Arc<Verdict>> {
        self.tables.verdicts.values()
    }

    /// By id, so in the order in which they came.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.tables.members.values()
    }

    pub fn member(&self, id: u64) -> Option<&Arc<Member>> {
        self.tables.members.get(&id)
    }

    /// By name: those that are held.
    pub fn leases(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.tables.leases.values()
    }

    /// `None`: nobody holds it.
    pub fn lease(&self, name: &str) -> Option<&Arc<Lease>> {
        self.tables.leases.get(name)
    }

    /// What members keep for themselves, by name.
    pub fn secrets(&self) -> impl Iterator<Item = (&Name, &Bytes)> {
        self.tables.secrets.iter()
    }

    pub fn secret(&self, name: &str) -> Option<&Bytes> {
        self.tables.secrets.get(name)
    }

    /// Each at its present version.
    pub fn documents(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.tables.documents.values().filter_map(|history| history.last())
    }

    pub fn document(&self, name: &str) -> Option<&Arc<Document>> {
        self.tables.documents.get(name)?.last()
    }

    /// The versions that are kept, the newest first.
    pub fn history(&self, name: &str) -> impl Iterator<Item = &Arc<Document>> {
        self.tables.documents.get(name).into_iter().flat_map(|history| history.iter().rev())
    }
}
