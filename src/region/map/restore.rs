//! A map built again from the records of a snapshot.

use std::sync::Arc;

use super::map::Map;
use super::record::*;
use super::snapshot::{Gone, Item};

impl Map {
    /// Puts one record in its places, or says which record it should stand on and does not.
    pub(super) fn restore(&mut self, item: Item) -> Result<(), String> {
        match item {
            Item::Head { index, changed, nodes, services, checks, sessions, tables } => {
                self.index = index;
                self.changed = changed;
                self.catalog.nodes_index = nodes;
                self.catalog.services_index = services;
                self.catalog.checks_index = checks;
                self.sessions.index = sessions;
                self.tables.index = tables;
            }
            Item::Node { node, index } => {
                if !node.id.is_empty() {
                    self.catalog.node_ids.insert(node.id.clone(), node.name.clone());
                }
                self.catalog.hosts.change(&node.name.clone(), |host| {
                    let host = Arc::make_mut(host);
                    host.node = node;
                    host.index = index;
                });
            }
            Item::Instance(instance) => self.catalog.restore_instance(Arc::unwrap_or_clone(instance))?,
            Item::Check(check) => self.catalog.restore_check(Arc::unwrap_or_clone(check))?,
            Item::Service { name, index } => {
                let service = self.catalog.services.value_mut(&name);
                Arc::make_mut(service.ok_or_else(|| format!("no instance of service {name:?}"))?).index =
                    index;
            }
            Item::Session(session) => {
                if self.node(&session.node).is_none() {
                    return Err(format!("a session of unknown node {:?}", session.node));
                }
                self.session_store(session);
            }
            Item::Entry(entry) => {
                let holder = entry.session.as_ref();
                if holder.is_some_and(|id| self.session(id).is_none()) {
                    return Err(format!("key {:?} is locked by an unknown session", entry.key));
                }
                self.move_lock(&entry.key, None, holder);
                self.kv.index = self.kv.index.max(entry.modify_index);
                self.kv.entries.insert(entry);
            }
            Item::Delay { key, until } => self.kv.delays.set(key, until),
            Item::Restored(index) => self.restored = index,
            item => self.restore_table(item)?,
        }
        Ok(())
    }

    fn restore_table(&mut self, item: Item) -> Result<(), String> {
        let tables = &mut self.tables;
        match item {
            Item::Query(query) => self.query_bind(query),
            Item::Event(event) => tables.events.push_back(event),
            Item::Region(region) => {
                tables.regions.insert(region.name.clone(), region);
            }
            Item::Member(member) => {
                tables.members.insert(member.id, member);
            }
            Item::Secret { name, value } => {
                tables.secrets.insert(name, value);
            }
            Item::Document(document) => {
                tables.documents.entry(document.name.clone()).or_default().push_back(document);
            }
            Item::Retired { name, version } => {
                tables.retired.by_name.insert(name, version);
            }
            Item::RetiredFloor(floor) => tables.retired.floor = floor,
            Item::Outage(outage) => {
                tables.outages.insert(outage.region.clone(), outage);
            }
            Item::Checker(checker) => {
                tables.checkers.insert(checker.node.clone(), checker);
            }
            Item::Verdict(verdict) => {
                let of = (verdict.node.clone(), verdict.service_id.clone(), verdict.key.clone());
                tables.verdicts.insert(of, verdict);
            }
            Item::Lease(lease) => {
                tables.leases.insert(lease.name.clone(), lease);
            }
            Item::Arriving { archive, piece } => {
                tables.arriving.archive = archive;
                tables.arriving.pieces.push_back(piece);
            }
            Item::ArrivingAt(at) => tables.arriving.at = at,
            Item::LeasesIndex(index) => tables.leases_index = index,
            Item::Gone { kind, tombstone } => {
                self.restore_key_index(kind, tombstone.index);
                self.tombstones_mut(kind).add(tombstone.name, tombstone.index);
            }
            Item::GoneFloor { kind, index } => {
                self.restore_key_index(kind, index);
                self.tombstones_mut(kind).restore(index);
            }
            other => return Err(format!("a record out of place: {other:?}")),
        }
        Ok(())
    }

    fn restore_key_index(&mut self, kind: Gone, index: Index) {
        if kind == Gone::Key {
            self.kv.index = self.kv.index.max(index);
        }
    }
}

impl super::catalog::Catalog {
    fn restore_instance(&mut self, mut instance: Instance) -> Result<(), String> {
        let Some(host) = self.host_mut(&instance.node) else {
            return Err(format!("an instance on unknown node {:?}", instance.node));
        };
        instance.node = host.node.name.clone();
        self.share(&mut instance, None);
        let instance = Arc::new(instance);
        if let Some(host) = self.host_mut(&instance.node) {
            host.instances.insert(instance.clone());
            host.services.change(&instance.service, |count| *count += 1);
        }
        self.services.change(&instance.service, |service| {
            let service = Arc::make_mut(service);
            service.instances.insert(instance.clone());
            super::catalog::add_tags(&mut service.tags, &instance.tags);
        });
        Ok(())
    }

    fn restore_check(&mut self, mut check: Check) -> Result<(), String> {
        let Some(host) = self.host_mut(&check.node) else {
            return Err(format!("a check on unknown node {:?}", check.node));
        };
        check.node = host.node.name.clone();
        if let Some(instance) = host.instances.get(&check.service_id) {
            check.service_id = instance.id.clone();
            check.service = instance.service.clone();
            if check.service_tags == instance.tags {
                check.service_tags = instance.tags.clone();
            }
        }
        check.share(None);
        let check = Arc::new(check);
        host.owned.insert((check.service_id.clone(), check.id.clone()));
        host.checks.insert(check);
        Ok(())
    }
}
