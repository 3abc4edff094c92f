//! Nodes, instances and checks as they stand, and the services that the instances make.
//!
//! Everything of a node hangs on its [`Host`], so that what happens on one node costs that node's size and no other's.

use std::cmp::Ordering;
use std::hint::black_box;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use smallvec::SmallVec;

use super::change::Change;
use super::record::*;
use super::shelf::{Kept, Named, Order, Own, Pair, Shelf, first};
use super::tombstone::Tombstones;
use super::topic::Topic;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Catalog {
    pub(super) hosts: Shelf<Named<Arc<Host>>>,
    /// The name of the node that has an id.
    pub(super) node_ids: OrdMap<Name, Name>,
    pub(super) services: Shelf<Named<Arc<Service>>>,
    pub(super) gone_nodes: Tombstones,
    pub(super) gone_services: Tombstones,
    pub(super) nodes_index: Index,
    pub(super) services_index: Index,
    pub(super) checks_index: Index,
}

/// A node and what is on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Host {
    pub(super) node: Arc<Node>,
    pub(super) instances: Shelf<Own<Instance>>,
    pub(super) checks: Shelf<Own<Check>>,
    /// What checks are about: (instance, check), with `""` for the node. Only names, so that a check that changes
    /// leaves it alone.
    pub(super) owned: Shelf<Pair>,
    /// The services of the instances, and how many instances each has here.
    pub(super) services: Shelf<Named<u32>>,
    /// Sessions that live on this node.
    pub(super) sessions: OrdSet<Name>,
    /// Which session ends when a check becomes critical: (check, session).
    pub(super) guards: OrdSet<(Name, Name)>,
    pub(super) index: Index,
}

/// A service: the instances that bear its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    pub(super) instances: Shelf<ByPlace>,
    /// How many instances bear a tag.
    pub(super) tags: OrdMap<Name, u32>,
    pub(super) index: Index,
}

impl Kept for Instance {
    fn kept_as(&self) -> &Name {
        &self.id
    }
}

impl Kept for Check {
    fn kept_as(&self) -> &Name {
        &self.id
    }
}

/// Instances by node, then by id.
pub(super) struct ByPlace;

impl Order for ByPlace {
    type Item = Arc<Instance>;
    type Key<'a> = (&'a str, &'a str);
    type Bound = (Name, Name);

    fn key(item: &Arc<Instance>) -> (&str, &str) {
        (&item.node, &item.id)
    }

    fn bound(item: &Arc<Instance>) -> (Name, Name) {
        (item.node.clone(), item.id.clone())
    }

    fn of(bound: &(Name, Name)) -> (&str, &str) {
        (&bound.0, &bound.1)
    }

    fn compare(one: (&str, &str), other: (&str, &str)) -> Ordering {
        one.cmp(&other)
    }

    fn count(item: &Arc<Instance>) -> usize {
        Arc::strong_count(item)
    }

    fn peek(item: &Arc<Instance>) -> usize {
        first(&item.id)
    }

    fn look(bound: &(Name, Name)) -> usize {
        Arc::strong_count(&bound.0) + Arc::strong_count(&bound.1)
    }
}

/// How many instances of a service are looked at for what a new one may share with them.
const ALIKE: usize = 8;

impl Service {
    /// Tags of any instance, each once, in order.
    pub fn tags(&self) -> impl Iterator<Item = &Name> {
        self.tags.keys()
    }

    /// By node, then by id.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.iter()
    }

    pub fn len(&self) -> usize {
        self.instances.len()
    }

    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }
}

impl Host {
    /// Checks about an instance, or with `""` about the node.
    pub(super) fn checks_about<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a Arc<Check>> {
        let owned = self.owned.from((owner, "")).take_while(move |pair| *pair.0 == *owner);
        owned.filter_map(|pair| self.checks.get(&pair.1))
    }

    /// Fetches what a copy counts up; see [`Shelf`].
    fn warm(&self) {
        let shelves = self.instances.root_count() + self.checks.root_count() + self.owned.root_count();
        black_box(shelves + self.services.root_count() + Arc::strong_count(&self.node));
    }

    fn guards_of(&self, check: &Name) -> impl Iterator<Item = Name> {
        let check = check.clone();
        let guards = self.guards.range((check.clone(), Name::default())..);
        guards.take_while(move |guard| guard.0 == check).map(|guard| guard.1.clone())
    }
}

impl Check {
    /// What is said already is kept once.
    pub(super) fn share(&mut self, standing: Option<&Check>) {
        if let Some(standing) = standing {
            self.id = standing.id.clone();
        }
        if self.name == self.id {
            self.name = self.id.clone();
        }
        without_room([
            &mut self.name,
            &mut self.notes,
            &mut self.output,
            &mut self.service_id,
            &mut self.service,
        ]);
    }
}

/// An empty name that was read takes memory; this one does not.
fn without_room<const N: usize>(names: [&mut Name; N]) {
    for name in names {
        if name.is_empty() {
            *name = Name::default();
        }
    }
}

impl Catalog {
    pub(super) fn host(&self, node: &str) -> Option<&Arc<Host>> {
        self.hosts.value(node)
    }

    pub(super) fn host_mut(&mut self, node: &str) -> Option<&mut Host> {
        let host = self.hosts.value_mut(node)?;
        host.warm();
        Some(Arc::make_mut(host))
    }

    /// Makes or changes a node; what is equal changes nothing. Its id and region stay when the new one names none.
    pub(super) fn put_node(&mut self, mut node: Node, change: &mut Change) {
        let name = node.name.clone();
        let standing = self.hosts.value(&name).map(|host| host.node.clone());
        if let Some(standing) = &standing {
            node.create_index = standing.create_index;
            node.modify_index = standing.modify_index;
            if node.id.is_empty() {
                node.id = standing.id.clone();
            }
            if node.region.is_empty() {
                node.region = standing.region.clone();
            }
            if **standing == node {
                return;
            }
            if standing.id != node.id {
                self.node_ids.remove(&standing.id);
            }
        } else {
            node.create_index = change.index;
            self.gone_nodes.lift(&name);
        }
        node.modify_index = change.index;
        if !node.id.is_empty() {
            self.node_ids.insert(node.id.clone(), name.clone());
        }
        let node = Arc::new(node);
        self.hosts.change(&name, |host| Arc::make_mut(host).node = node);
        self.nodes_index = change.index;
        change.touch(Topic::Nodes);
        self.touch_host(&name, change);
        self.touch_services_on(&name, change);
    }

    /// Makes or changes an instance; its node must stand. Its checks follow its name and tags.
    pub(super) fn put_instance(&mut self, mut instance: Instance, change: &mut Change) {
        let Some(host) = self.hosts.value(&instance.node) else { return };
        let standing = host.instances.get(&instance.id).cloned();
        instance.node = host.node.name.clone();
        instance.create_index = change.index;
        if let Some(standing) = &standing {
            instance.create_index = standing.create_index;
            instance.modify_index = standing.modify_index;
            if **standing == instance {
                return;
            }
        }
        instance.modify_index = change.index;
        self.share(&mut instance, standing.as_deref());
        let instance = Arc::new(instance);
        if let Some(host) = self.host_mut(&instance.node) {
            host.instances.insert(instance.clone());
        }
        match &standing {
            Some(old) if old.service == instance.service => self.replace_in_service(old, &instance, change),
            _ => {
                if let Some(old) = &standing {
                    self.leave_service(old, change);
                }
                self.join_service(&instance, change);
            }
        }
        self.touch_host(&instance.node, change);
        let alike = |old: &Arc<Instance>| old.service == instance.service && old.tags == instance.tags;
        if !standing.as_ref().is_some_and(alike) {
            self.copy_to_checks(&instance, change);
        }
    }

    /// What is said by other records already is kept once.
    pub(super) fn share(&self, instance: &mut Instance, standing: Option<&Instance>) {
        without_room([&mut instance.kind, &mut instance.address]);
        if let Some(standing) = standing {
            instance.id = standing.id.clone();
        }
        let Some((name, service)) = self.services.get(&instance.service) else { return };
        instance.service = name.clone();
        let mut alike: SmallVec<[&Instance; ALIKE]> = SmallVec::new();
        match standing {
            Some(old) if (&old.tags, &old.meta) == (&instance.tags, &instance.meta) => alike.push(old),
            _ => alike.extend(service.instances.iter().take(ALIKE).map(Arc::as_ref)),
        }
        let known = |tag: &Name| service.tags.get_key_value(tag).map(|(tag, _)| tag.clone());
        instance.tags.share(alike.iter().map(|one| &one.tags), known);
        instance.meta.share(alike.iter().map(|one| &one.meta));
    }

    fn copy_to_checks(&mut self, instance: &Instance, change: &mut Change) {
        let Some(host) = self.hosts.value(&instance.node) else { return };
        let differs =
            |check: &&Arc<Check>| check.service != instance.service || check.service_tags != instance.tags;
        let stale: Vec<Arc<Check>> = host.checks_about(&instance.id).filter(differs).cloned().collect();
        for check in stale {
            self.put_check(Arc::unwrap_or_clone(check), change);
        }
    }

    /// Makes or changes a check; its node must stand, and its instance if it names one. Tells whether it became critical.
    pub(super) fn put_check(&mut self, mut check: Check, change: &mut Change) -> bool {
        let Some(host) = self.hosts.value(&check.node) else { return false };
        check.node = host.node.name.clone();
        match host.instances.get(&check.service_id) {
            Some(instance) if !check.service_id.is_empty() => {
                check.service_id = instance.id.clone();
                check.service = instance.service.clone();
                check.service_tags = instance.tags.clone();
            }
            _ => {
                check.service = Name::default();
                check.service_tags = Names::default();
            }
        }
        self.place_check(check, change)
    }

    /// The same of a check that says already what its instance does.
    pub(super) fn place_check(&mut self, mut check: Check, change: &mut Change) -> bool {
        let Some(host) = self.hosts.value(&check.node) else { return false };
        let standing = host.checks.get(&check.id).cloned();
        let was_critical = standing.as_ref().filter(|old| old.status == Health::Critical);
        check.critical_since = match check.status {
            Health::Critical => was_critical.map_or(change.at, |old| old.critical_since),
            _ => 0,
        };
        check.create_index = change.index;
        if let Some(standing) = &standing {
            check.create_index = standing.create_index;
            check.modify_index = standing.modify_index;
            if **standing == check {
                return false;
            }
        }
        check.modify_index = change.index;
        check.share(standing.as_deref());
        let became_critical = check.status == Health::Critical && was_critical.is_none();
        let check = Arc::new(check);
        if let Some(host) = self.host_mut(&check.node) {
            let owner = standing.as_ref().map(|old| &old.service_id);
            if owner != Some(&check.service_id) {
                if let Some(owner) = owner {
                    host.owned.remove((owner, &check.id));
                }
                host.owned.insert((check.service_id.clone(), check.id.clone()));
            }
            host.checks.insert(check.clone());
        }
        if let Some(old) = standing.filter(|old| old.service_id != check.service_id) {
            self.touch_owner(&old, change);
        }
        self.touch_check(&check, change);
        became_critical
    }

    /// The sessions that end with that check.
    pub(super) fn guarded_by(&self, node: &str, check: &Name) -> Vec<Name> {
        self.host(node).map(|host| host.guards_of(check).collect()).unwrap_or_default()
    }

    pub(super) fn remove_check(&mut self, node: &str, id: &str, change: &mut Change) {
        if self.hosts.value(node).is_none_or(|host| !host.checks.contains(id)) {
            return;
        }
        let Some(host) = self.host_mut(node) else { return };
        if let Some(check) = host.checks.remove(id) {
            host.owned.remove((&check.service_id, &check.id));
            self.touch_check(&check, change);
        }
    }

    /// The instance alone: its checks must be gone.
    pub(super) fn remove_instance(&mut self, node: &str, id: &str, change: &mut Change) {
        let Some(instance) = self.host(node).and_then(|host| host.instances.get(id)).cloned() else { return };
        if let Some(host) = self.host_mut(node) {
            host.instances.remove(id);
        }
        self.leave_service(&instance, change);
        self.touch_host(&instance.node, change);
    }

    /// The node alone: nothing may be on it any more.
    pub(super) fn remove_node(&mut self, node: &str, change: &mut Change) {
        let Some((_, host)) = self.hosts.remove(node) else { return };
        self.node_ids.remove(&host.node.id);
        self.gone_nodes.add(host.node.name.clone(), change.index);
        self.nodes_index = change.index;
        change.touch(Topic::Nodes);
        change.touch_node(&host.node.name);
    }

    fn join_service(&mut self, instance: &Arc<Instance>, change: &mut Change) {
        let name = &instance.service;
        if let Some(host) = self.host_mut(&instance.node) {
            host.services.change(name, |count| *count += 1);
        }
        let new = !self.services.contains(name);
        if new {
            self.gone_services.lift(name);
        }
        let mut tagged = false;
        self.services.change(name, |service| {
            let service = Arc::make_mut(service);
            service.instances.insert(instance.clone());
            service.index = change.index;
            tagged = add_tags(&mut service.tags, &instance.tags);
        });
        self.touch_names(new || tagged, change);
        change.touch(Topic::Service(name.clone()));
    }

    fn leave_service(&mut self, instance: &Instance, change: &mut Change) {
        let name = &instance.service;
        if let Some(host) = self.host_mut(&instance.node) {
            match host.services.value(name).map_or(0, |count| count.saturating_sub(1)) {
                0 => drop(host.services.remove(name)),
                left => host.services.change(name, |count| *count = left),
            }
        }
        let Some(service) = self.services.value_mut(name).map(Arc::make_mut) else { return };
        service.instances.remove((&instance.node, &instance.id));
        service.index = change.index;
        let tagged = drop_tags(&mut service.tags, &instance.tags);
        let last = service.instances.is_empty();
        if last {
            self.services.remove(name);
            self.gone_services.add(name.clone(), change.index);
        }
        self.touch_names(last || tagged, change);
        change.touch(Topic::Service(name.clone()));
    }

    fn replace_in_service(&mut self, old: &Instance, instance: &Arc<Instance>, change: &mut Change) {
        let name = &instance.service;
        let Some(service) = self.services.value_mut(name).map(Arc::make_mut) else { return };
        service.instances.insert(instance.clone());
        service.index = change.index;
        let mut tagged = false;
        if old.tags != instance.tags {
            let before: OrdSet<Name> = service.tags.keys().cloned().collect();
            drop_tags(&mut service.tags, &old.tags);
            add_tags(&mut service.tags, &instance.tags);
            tagged = !before.iter().eq(service.tags.keys());
        }
        self.touch_names(tagged, change);
        change.touch(Topic::Service(name.clone()));
    }

    /// The names of services, or their tags.
    fn touch_names(&mut self, changed: bool, change: &mut Change) {
        if changed {
            self.services_index = change.index;
            change.touch(Topic::Services);
        }
    }

    fn touch_host(&mut self, node: &Name, change: &mut Change) {
        if let Some(host) = self.host_mut(node) {
            host.index = change.index;
        }
        change.touch_node(node);
    }

    fn touch_check(&mut self, check: &Check, change: &mut Change) {
        self.checks_index = change.index;
        change.touch(Topic::Checks);
        self.touch_host(&check.node, change);
        self.touch_owner(check, change);
    }

    /// Where a check is seen: in its own service, or in every service of its node.
    fn touch_owner(&mut self, check: &Check, change: &mut Change) {
        if check.service_id.is_empty() {
            self.touch_services_on(&check.node, change);
        } else {
            self.touch_service(&check.service, change);
        }
    }

    fn touch_services_on(&mut self, node: &Name, change: &mut Change) {
        let Some(host) = self.hosts.value(node) else { return };
        let names: Vec<Name> = host.services.iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            self.touch_service(&name, change);
        }
    }

    pub(super) fn touch_service(&mut self, name: &Name, change: &mut Change) {
        if let Some(service) = self.services.value_mut(name) {
            Arc::make_mut(service).index = change.index;
            change.touch(Topic::Service(name.clone()));
        }
    }
}

/// Whether a tag is new to the service.
pub(super) fn add_tags(counts: &mut OrdMap<Name, u32>, tags: &[Name]) -> bool {
    let mut new = false;
    for tag in tags {
        let count = counts.entry(tag.clone()).or_insert(0);
        new |= *count == 0;
        *count += 1;
    }
    new
}

/// Whether a tag left the service.
fn drop_tags(counts: &mut OrdMap<Name, u32>, tags: &[Name]) -> bool {
    let mut gone = false;
    for tag in tags {
        match counts.get(tag).map_or(0, |count| count.saturating_sub(1)) {
            0 => gone |= counts.remove(tag).is_some(),
            left => *counts.entry(tag.clone()).or_insert(left) = left,
        }
    }
    gone
}
