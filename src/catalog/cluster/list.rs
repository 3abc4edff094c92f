//! The list of members: those that stand in the catalog, and those that left.

use crate::catalog::api::Api;
use crate::catalog::cluster::leaving;
use crate::catalog::cluster::member::{
    ALIVE, FAILED, LEAVING, LEFT, MemberView, Shown, is_server, own_node, port, stands, view,
};
use crate::region::map::*;

/// Every node whose liveness the cluster watches, this one, which knows itself before the catalog does, and those that
/// left; by name.
pub fn members(api: &Api, map: &Map) -> Vec<MemberView> {
    let own = &api.settings.node_name;
    let standing = map.nodes().filter(|node| stands(map, &node.name).is_some());
    let mut all: Vec<MemberView> = standing.map(|node| member(api, map, node)).collect();
    all.extend(leaving::left(api, map).into_iter().filter(|one| *one.name != **own));
    if stands(map, own).is_none() {
        all.push(member(api, map, &own_node(api)));
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

pub fn member(api: &Api, map: &Map, node: &Node) -> MemberView {
    let status = match (stands(map, &node.name), leaving::is_leaving(map, node)) {
        (Some(false), false) => FAILED,
        // It said so before it fell silent.
        (Some(false), true) => LEFT,
        (_, true) => LEAVING,
        (_, false) => ALIVE,
    };
    let what = Shown {
        name: &node.name,
        address: &node.address,
        port: port(map, &node.name),
        id: &node.id,
        region: &node.region,
        is_server: is_server(api, map, &node.name),
        status,
    };
    view(api, &what)
}
