//! What readers see: the records of every node, of this one too, as they stand at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::record::{Key, Kind, Load, Record};
use crate::region::map::Name;

/// Shares structure with the one before it: a reader keeps it for as long as it likes.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Rises with each change.
    pub version: u64,
    pub(super) nodes: OrdMap<u64, Records>,
}

/// Those of one node.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The node's name.
    pub node: Name,
    /// Another one with each start of the node.
    pub incarnation: u64,
    pub(super) by_key: OrdMap<Key, Entry>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) bytes: usize,
    pub(super) record: Arc<Record>,
}

impl PartialEq for Entry {
    /// A record that was put again is another one.
    fn eq(&self, other: &Entry) -> bool {
        Arc::ptr_eq(&self.record, &other.record)
    }
}

impl Records {
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn record(&self, kind: Kind, name: &str) -> Option<&Arc<Record>> {
        self.by_key.get(&(kind, Name::from(name))).map(|entry| &entry.record)
    }

    /// By name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Name, &Arc<Record>)> {
        let all = self.by_key.range(kind.first()..);
        all.take_while(move |(key, _)| key.0 == kind).map(|(key, entry)| (&key.1, &entry.record))
    }
}

impl View {
    /// Of each node that has any, by member id.
    pub fn nodes(&self) -> impl Iterator<Item = (u64, &Records)> {
        self.nodes.iter().map(|(id, records)| (*id, records))
    }

    pub fn node(&self, id: u64) -> Option<&Records> {
        self.nodes.get(&id)
    }

    /// Every node's records of a kind: the node's id, the record's name, the record.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (u64, &Name, &Arc<Record>)> {
        self.nodes().flat_map(move |(id, records)| {
            records.of_kind(kind).map(move |(name, record)| (id, name, record))
        })
    }

    /// The records of a kind that are other ones than in the view before: the node's id, the record's name, the record
    /// unless it is gone.
    pub fn news<'v>(&'v self, before: &'v View, kind: Kind) -> Vec<(u64, &'v Name, Option<&'v Arc<Record>>)> {
        let mut news = Vec::new();
        let mut tell = |id: u64, key: &'v Key, entry: Option<&'v Entry>| {
            if key.0 == kind {
                news.push((id, &key.1, entry.map(|entry| &entry.record)));
            }
        };
        for (id, old) in before.nodes.iter().filter(|(id, _)| !self.nodes.contains_key(*id)) {
            old.by_key.keys().for_each(|key| tell(*id, key, None));
        }
        for (id, new) in &self.nodes {
            let Some(old) = before.nodes.get(id) else {
                new.by_key.iter().for_each(|(key, entry)| tell(*id, key, Some(entry)));
                continue;
            };
            for item in old.by_key.diff(&new.by_key) {
                match item {
                    DiffItem::Add(key, entry) | DiffItem::Update { new: (key, entry), .. } => {
                        tell(*id, key, Some(entry));
                    }
                    DiffItem::Remove(key, _) => tell(*id, key, None),
                }
            }
        }
        news
    }

    /// Every node's load, with the node's id.
    pub fn loads(&self) -> impl Iterator<Item = (u64, &Load)> {
        self.of_kind(Kind::Load).filter_map(|(id, _, record)| match &**record {
            Record::Load(load) => Some((id, load)),
            _ => None,
        })
    }

    /// Every [`View::load`] there is, by service and region.
    pub fn sums(&self) -> BTreeMap<(Name, Name), Load> {
        let mut sums: BTreeMap<(Name, Name), (Load, bool)> = BTreeMap::new();
        for (_, load) in self.loads() {
            let of = (load.service.clone(), load.region.clone());
            let (service, region) = of.clone();
            let start = (Load { service, region, ..Load::default() }, true);
            let (sum, limited) = sums.entry(of).or_insert(start);
            sum.sessions = sum.sessions.saturating_add(load.sessions);
            sum.capacity = sum.capacity.saturating_add(load.capacity);
            // Each node sends to the same servers.
            sum.servers = sum.servers.max(load.servers);
            *limited &= load.capacity > 0;
        }
        let whole = |(sum, limited): (Load, bool)| match limited {
            true => sum,
            false => Load { capacity: 0, ..sum },
        };
        sums.into_iter().map(|(of, sum)| (of, whole(sum))).collect()
    }

    /// The load of a service in a region, over all nodes that send traffic there; with an empty service, that of the
    /// nodes that stand in the region. Without a limit on any of them its capacity is 0.
    pub fn load(&self, service: &str, region: &str) -> Load {
        let none = Load { service: service.into(), region: region.into(), ..Load::default() };
        self.sums().remove(&(none.service.clone(), none.region.clone())).unwrap_or(none)
    }
}
