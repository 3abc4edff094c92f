//! The members of the cluster as Consul's clients know them.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::catalog::api::Api;
use crate::region::map::*;
pub use crate::region::own::SERVER;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MemberView {
    pub name: String,
    pub addr: String,
    pub port: u16,
    pub tags: BTreeMap<&'static str, String>,
    /// 1 alive, 2 leaving, 3 left, 4 failed.
    pub status: u8,
    pub protocol_min: u8,
    pub protocol_max: u8,
    pub protocol_cur: u8,
    pub delegate_min: u8,
    pub delegate_max: u8,
    pub delegate_cur: u8,
}

/// The port that clients expect of a member which says none.
const PORT: u16 = 8301;

/// Every node whose liveness the cluster watches, by name, and this one: it knows itself before the catalog does.
pub fn members(api: &Api, map: &Map) -> Vec<MemberView> {
    let own = &api.settings.node_name;
    let watched = |name: &str| map.check(name, NODE_LIVENESS).is_some();
    let standing = map.nodes().filter(|node| watched(&node.name));
    let mut all: Vec<MemberView> = standing.map(|node| member(api, map, node)).collect();
    if !watched(own) {
        let at = all.partition_point(|one| *one.name < **own);
        all.insert(at, member(api, map, &own_node(api)));
    }
    all
}

/// This node as it stands in the map, or as it would be made by its first registration.
pub fn own_node(api: &Api) -> Node {
    let settings = &api.settings;
    Node {
        id: settings.node_id.clone(),
        name: settings.node_name.clone(),
        address: settings.address.clone(),
        region: api.seat.region().clone(),
        ..Node::default()
    }
}

pub fn is_server(api: &Api, map: &Map, name: &str) -> bool {
    match map.members().find(|member| *member.name == *name) {
        Some(member) => member.role == Role::Manager,
        None => *name == **api.seat.node_name() && api.seat.status().voters.contains(&api.seat.status().id),
    }
}

pub fn member(api: &Api, map: &Map, node: &Node) -> MemberView {
    let seat = map.members().find(|member| member.name == node.name);
    let port = seat.and_then(|member| member.address.rsplit_once(':')?.1.parse().ok()).unwrap_or(PORT);
    let alive = map.check(&node.name, NODE_LIVENESS).is_none_or(|check| check.status != Health::Critical);
    let role = if is_server(api, map, &node.name) { "consul" } else { "node" };
    let mut tags = BTreeMap::from([
        ("role", role.to_owned()),
        ("dc", api.settings.datacenter.to_string()),
        ("id", node.id.to_string()),
        ("build", VERSION.to_owned()),
        ("segment", String::new()),
    ]);
    if !node.region.is_empty() {
        tags.insert("region", node.region.to_string());
    }
    MemberView {
        name: node.name.to_string(),
        addr: node.address.to_string(),
        port,
        tags,
        status: if alive { 1 } else { 4 },
        protocol_min: 1,
        protocol_max: 5,
        protocol_cur: 2,
        delegate_min: 2,
        delegate_max: 5,
        delegate_cur: 4,
    }
}

/// The version of Consul whose API this is; clients choose endpoints by it.
pub const VERSION: &str = "1.22.0";
