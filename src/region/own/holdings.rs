//! All that is registered with a node's agent, and what the catalog lacks of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::region::map::*;

/// The id of the service that the servers of the cluster are: in the catalog, but no service of an agent.
pub const SERVER: &str = "consul";

/// All that is registered with an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Holdings {
    pub node: Name,
    /// The node's UUID; empty where it is not known.
    #[serde(default)]
    pub id: Name,
    /// By id.
    pub instances: Vec<Instance>,
    /// By id; not the node's liveness, which is the cluster's.
    pub checks: Vec<Check>,
}

impl Holdings {
    /// What a map says of a node.
    pub fn of(map: &Map, node: &Name) -> Holdings {
        let own = |check: &&Arc<Check>| *check.id != *NODE_LIVENESS;
        Holdings {
            node: node.clone(),
            id: map.node(node).map(|node| node.id.clone()).unwrap_or_default(),
            instances: map
                .instances_on(node)
                .filter(|one| *one.id != *SERVER)
                .map(|one| plain(one))
                .collect(),
            checks: map.checks_on(node).filter(own).map(|check| plain_check(check)).collect(),
        }
    }

    /// Equal for equal holdings, whatever the program's build.
    pub fn digest(&self) -> String {
        // What others may change of an instance does not count.
        let shown = |one: &Instance| {
            let tags = if one.enable_tag_override { Names::default() } else { one.tags.clone() };
            Instance { tags, ..one.clone() }
        };
        let instances: Vec<Instance> = self.instances.iter().map(shown).collect();
        let bytes = serde_json::to_vec(&(&self.node, instances, &self.checks)).unwrap_or_default();
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
    }
}

impl Holdings {
    /// Takes over what changes without anybody registering anything: what checks found, and tags that are others' to
    /// change.
    pub(super) fn follow(&mut self, map: &Map) {
        for check in &mut self.checks {
            if let Some(standing) = map.check(&self.node, &check.id) {
                (check.status, check.output) = (standing.status, standing.output.clone());
            }
        }
        for one in self.instances.iter_mut().filter(|one| one.enable_tag_override) {
            if let Some(standing) = map.instance(&self.node, &one.id) {
                one.tags = standing.tags.clone();
            }
        }
    }

    pub(super) fn rename(&mut self, node: &Name) {
        self.node = node.clone();
        self.instances.iter_mut().for_each(|one| one.node = node.clone());
        self.checks.iter_mut().for_each(|check| check.node = node.clone());
    }

    /// By id, as a map has them.
    pub(super) fn sort(&mut self) {
        self.instances.sort_by(|a, b| a.id.cmp(&b.id));
        self.checks.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

pub(super) fn plain(one: &Instance) -> Instance {
    Instance { create_index: 0, modify_index: 0, ..one.clone() }
}

/// Without what the map fills in.
pub(super) fn plain_check(check: &Check) -> Check {
    Check {
        service: Name::default(),
        service_tags: Names::default(),
        critical_since: 0,
        create_index: 0,
        modify_index: 0,
        ..check.clone()
    }
}

/// What makes the catalog say of a node what its agent says.
pub fn differences(map: &Map, node: &Arc<Node>, wanted: &Holdings) -> Vec<Command> {
    let standing = Holdings::of(map, &node.name);
    let register = |instance: Option<Instance>, checks: Vec<Check>| {
        let (node, skip_node_update) = ((**node).clone(), true);
        let what = Registration { node, skip_node_update, instance, checks, replace_checks: false };
        Command::Register(Box::new(what))
    };
    let news = |check: &&Check| {
        *check.id != *NODE_LIVENESS && !standing.checks.iter().any(|old| *old == plain_check(check))
    };
    let mut commands = Vec::new();
    for one in wanted.instances.iter().filter(|one| *one.id != *SERVER) {
        let mut one = plain(one);
        one.node = node.name.clone();
        let old = standing.instances.iter().find(|old| old.id == one.id);
        if let Some(old) = old.filter(|_| one.enable_tag_override) {
            one.tags = old.tags.clone();
        }
        let of_it = wanted.checks.iter().filter(|check| check.service_id == one.id).filter(news);
        let checks: Vec<Check> = of_it.map(plain_check).collect();
        if old != Some(&one) || !checks.is_empty() {
            commands.push(register(Some(one), checks));
        }
    }
    let of_node = wanted.checks.iter().filter(|check| check.service_id.is_empty()).filter(news);
    let of_node: Vec<Check> = of_node.map(plain_check).collect();
    if !of_node.is_empty() {
        commands.push(register(None, of_node));
    }
    let gone = |service_id: Option<Name>, check_id: Option<Name>| {
        Command::Deregister(Deregistration { node: node.name.clone(), service_id, check_id })
    };
    let holds = |id: &Name| wanted.instances.iter().any(|one| one.id == *id);
    commands.extend(
        standing.instances.iter().filter(|old| !holds(&old.id)).map(|old| gone(Some(old.id.clone()), None)),
    );
    let checked = |id: &Name| wanted.checks.iter().any(|check| check.id == *id);
    let lone = standing.checks.iter().filter(|old| !checked(&old.id));
    // The checks of an instance that goes go with it.
    let lone = lone.filter(|old| old.service_id.is_empty() || holds(&old.service_id));
    commands.extend(lone.map(|old| gone(None, Some(old.id.clone()))));
    commands
}

/// The same, but what the agent does not know of stays: others may have put it there.
pub(super) fn lacking(map: &Map, node: &Arc<Node>, held: &Holdings) -> Vec<Command> {
    let commands = differences(map, node, held);
    commands.into_iter().filter(|command| matches!(command, Command::Register(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::testing::{World, registration};

    fn world() -> World {
        let mut world = World::default();
        for (id, port) in [("a", 80), ("b", 81)] {
            world.apply(registration(("box", "eu"), "web", id, port, Health::Passing));
        }
        let lives = Check { id: NODE_LIVENESS.into(), node: "box".into(), ..Check::default() };
        let node = Node { name: "box".into(), ..Node::default() };
        let what =
            Registration { node, skip_node_update: true, checks: vec![lives], ..Registration::default() };
        world.apply(Command::Register(Box::new(what)));
        world
    }

    fn settle(world: &mut World, wanted: &Holdings) -> usize {
        let node = world.map.node("box").expect("a node").clone();
        let commands = differences(&world.map, &node, wanted);
        let count = commands.len();
        for command in commands {
            world.apply(command);
        }
        count
    }

    #[test]
    fn the_catalog_comes_to_say_what_the_agent_says_and_then_nothing_changes() {
        let mut world = world();
        let name: Name = "box".into();
        let mut wanted = Holdings::of(&world.map, &name);
        assert_eq!((wanted.instances.len(), wanted.checks.len()), (2, 2), "its liveness is not the agent's");
        assert_eq!(settle(&mut world, &wanted), 0);
        wanted.instances.remove(0);
        wanted.checks.retain(|check| &*check.service_id == "b");
        wanted.checks[0].status = Health::Critical;
        wanted.checks.insert(0, Check { id: "_node".into(), node: name.clone(), ..Check::default() });
        wanted.instances.push(Instance {
            id: "c".into(),
            service: "db".into(),
            node: name.clone(),
            ..Instance::default()
        });
        assert_ne!(Holdings::of(&world.map, &name).digest(), wanted.digest());
        assert_eq!(settle(&mut world, &wanted), 4, "b's check, the node's, c, and a goes");
        assert_eq!(Holdings::of(&world.map, &name).digest(), wanted.digest());
        assert_eq!(settle(&mut world, &wanted), 0);
        assert!(world.map.check("box", NODE_LIVENESS).is_some());
        wanted.checks.remove(0);
        assert_eq!(settle(&mut world, &wanted), 1);
        assert!(world.map.check("box", "_node").is_none());
    }

    #[test]
    fn tags_that_others_may_change_are_theirs() {
        let mut world = world();
        let name: Name = "box".into();
        let mut wanted = Holdings::of(&world.map, &name);
        wanted.instances[0].enable_tag_override = true;
        settle(&mut world, &wanted);
        let mut theirs = (**world.map.instance("box", "a").expect("a")).clone();
        theirs.tags = vec!["blue".into()].into();
        let node = Node { name: name.clone(), ..Node::default() };
        let what =
            Registration { node, skip_node_update: true, instance: Some(theirs), ..Registration::default() };
        world.apply(Command::Register(Box::new(what)));
        assert_eq!(Holdings::of(&world.map, &name).digest(), wanted.digest());
        assert_eq!(settle(&mut world, &wanted), 0);
    }
}
