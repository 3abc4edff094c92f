//! Client agents: nodes of the catalog without a seat in the cluster, which say through a member that they live and what
//! is registered with them. `/v1/isobar/agent`.

use std::sync::Arc;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalog::cluster::member::SERVER;
use crate::catalog::request::{Access, Answer, Call, Fault, Outcome, PUT, Resource, Route};
use crate::region::map::*;
use crate::region::raft::ClientHeartbeat;
use crate::region::seat::Consistency;

/// All that is registered with one agent, in bytes.
const HOLDINGS: usize = 4 << 20;

pub const ROUTES: &[Route] = &[
    Route {
        methods: PUT,
        path: "/v1/isobar/agent/alive",
        body: 64 << 10,
        run: |call| Box::pin(alive(call)),
        doc: "A client agent lives: Node, ID, Address, Region, and a Digest of what is registered with it.",
    },
    Route {
        methods: PUT,
        path: "/v1/isobar/agent/holdings",
        body: HOLDINGS,
        run: |call| Box::pin(holdings(call)),
        doc: "All that is registered with a client agent: the catalog is made to say the same of its node.",
    },
];

/// A client agent's heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Heartbeat {
    pub node: String,
    /// A UUID.
    #[serde(rename = "ID")]
    pub id: String,
    pub address: String,
    pub region: String,
    /// See [`Holdings::digest`].
    pub digest: String,
}

/// What is answered to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HeartbeatReply {
    pub datacenter: String,
    /// The leader's name and its address in the cluster.
    pub leader: String,
    pub leader_address: String,
    /// Where the APIs of the members are.
    pub members: Vec<String>,
    /// The catalog says of the node what the digest is of.
    pub current: bool,
    /// When the next heartbeat is due.
    pub interval_ms: u64,
}

/// All that is registered with an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Holdings {
    pub node: Name,
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
            let tags = if one.enable_tag_override { Vec::new() } else { one.tags.clone() };
            Instance { tags, ..one.clone() }
        };
        let instances: Vec<Instance> = self.instances.iter().map(shown).collect();
        let bytes = serde_json::to_vec(&(&self.node, instances, &self.checks)).unwrap_or_default();
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
    }
}

fn plain(one: &Instance) -> Instance {
    Instance { create_index: 0, modify_index: 0, ..one.clone() }
}

/// Without what the map fills in.
fn plain_check(check: &Check) -> Check {
    Check {
        service: Name::default(),
        service_tags: Vec::new(),
        critical_since: 0,
        create_index: 0,
        modify_index: 0,
        ..check.clone()
    }
}

fn decoded<'a, T: Deserialize<'a>>(call: &'a Call) -> Result<T, Fault> {
    serde_json::from_slice(&call.body).map_err(|e| Fault::bad_request(format!("Request decode failed: {e}")))
}

async fn alive(call: &Call) -> Outcome {
    let heartbeat: Heartbeat = decoded(call)?;
    if heartbeat.node.is_empty()
        || heartbeat.address.is_empty()
        || uuid::Uuid::parse_str(&heartbeat.id).is_err()
    {
        return Err(Fault::bad_request("a client agent says its Node, its Address and an ID that is a UUID"));
    }
    call.require(Resource::Node, &heartbeat.node, Access::Write)?;
    let raft = &call.operator()?.raft;
    let said = ClientHeartbeat {
        name: heartbeat.node.clone(),
        address: heartbeat.address,
        region: heartbeat.region,
        node_id: heartbeat.id,
    };
    raft.client_alive(said).await?;
    let (map, leader) = (call.api.seat.map(), call.api.seat.leader().unwrap_or_default());
    let api =
        |member: &Arc<Member>| Some(member.api.to_string()).filter(|api| member.alive && !api.is_empty());
    Answer::json(&HeartbeatReply {
        datacenter: call.api.settings.datacenter.to_string(),
        leader: leader.name.to_string(),
        leader_address: leader.address.to_string(),
        members: map.members().filter_map(api).collect(),
        current: Holdings::of(&map, &heartbeat.node.as_str().into()).digest() == heartbeat.digest,
        interval_ms: (raft.liveness().as_millis() / 4) as u64,
    })
}

async fn holdings(call: &Call) -> Outcome {
    let wanted: Holdings = decoded(call)?;
    call.require(Resource::Node, &wanted.node, Access::Write)?;
    for one in &wanted.instances {
        call.require(Resource::Service, &one.service, Access::Write)?;
    }
    call.api.seat.fresh(Consistency::Default).await?;
    let map = call.api.seat.map();
    if map.members().any(|member| member.name == wanted.node) {
        return Err(Fault::forbidden("that node is a member of the cluster, and speaks for itself"));
    }
    let Some(node) = map.node(&wanted.node) else {
        return Err(Fault::new(StatusCode::CONFLICT, "unknown node: it has to say first that it lives"));
    };
    let commands = differences(&map, node, &wanted);
    for command in &commands {
        call.propose(command.clone()).await?;
    }
    Answer::json(&json!({ "Changed": commands.len() }))
}

/// What makes the catalog say of a node what its agent says.
fn differences(map: &Map, node: &Arc<Node>, wanted: &Holdings) -> Vec<Command> {
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
        theirs.tags = vec!["blue".into()];
        let node = Node { name: name.clone(), ..Node::default() };
        let what =
            Registration { node, skip_node_update: true, instance: Some(theirs), ..Registration::default() };
        world.apply(Command::Register(Box::new(what)));
        assert_eq!(Holdings::of(&world.map, &name).digest(), wanted.digest());
        assert_eq!(settle(&mut world, &wanted), 0);
    }
}
