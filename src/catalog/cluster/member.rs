//! A member of the cluster as Consul's clients know it.

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
    /// [`ALIVE`], [`LEAVING`], [`LEFT`] or [`FAILED`].
    pub status: u8,
    pub protocol_min: u8,
    pub protocol_max: u8,
    pub protocol_cur: u8,
    pub delegate_min: u8,
    pub delegate_max: u8,
    pub delegate_cur: u8,
}

pub const ALIVE: u8 = 1;
pub const LEAVING: u8 = 2;
pub const LEFT: u8 = 3;
pub const FAILED: u8 = 4;

/// The port that clients expect of a member which says none.
const PORT: u16 = 8301;

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

/// Whether a node whose liveness the cluster watches lives; `None` for any other.
pub fn stands(map: &Map, name: &str) -> Option<bool> {
    map.check(name, NODE_LIVENESS).map(|check| check.status != Health::Critical)
}

/// The port of a member's seat.
pub fn port(map: &Map, name: &str) -> u16 {
    let seat = map.members().find(|member| *member.name == *name);
    seat.and_then(|member| member.address.rsplit_once(':')?.1.parse().ok()).unwrap_or(PORT)
}

/// What is shown of a node among the members.
pub struct Shown<'a> {
    pub name: &'a str,
    pub address: &'a str,
    pub port: u16,
    pub id: &'a str,
    pub region: &'a str,
    pub is_server: bool,
    pub status: u8,
}

pub fn view(api: &Api, what: &Shown<'_>) -> MemberView {
    let role = if what.is_server { "consul" } else { "node" };
    let mut tags = BTreeMap::from([
        ("role", role.to_owned()),
        ("dc", api.settings.datacenter.to_string()),
        ("id", what.id.to_owned()),
        ("build", VERSION.to_owned()),
        ("segment", String::new()),
    ]);
    if !what.region.is_empty() {
        tags.insert("region", what.region.to_owned());
    }
    MemberView {
        name: what.name.to_owned(),
        addr: what.address.to_owned(),
        port: what.port,
        tags,
        status: what.status,
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
