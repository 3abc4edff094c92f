//! What remains of nodes that leave in the lists of members: "leaving" while one that said so stands in the catalog,
//! "left" for a day after it was taken out of it, as clients of Consul know it.

use serde_json::{Value, json};

use crate::base::clock;
use crate::catalog::api::Api;
use crate::catalog::cluster::member::{LEFT, MemberView, Shown, is_server, port, stands, view};
use crate::catalog::record::{self, LEAVING, Record};
use crate::catalog::request::{Call, Fault};
use crate::region::map::*;
use crate::region::seat::RaftState;

/// As long as Consul lists who left, in milliseconds.
const LISTED_MS: WallMs = 24 * 3_600_000;
/// Who lives so long after it said that it leaves has not left.
const LEAVES_MS: WallMs = 30_000;
/// How many are listed; of more, those that left last.
const MOST: usize = 1_024;
/// Of them, how many are forgotten at a time, or taken out of the catalog.
const OPS: usize = 64;

fn now() -> WallMs {
    clock::wall().as_millis() as WallMs
}

fn at(record: &Record) -> WallMs {
    record.value["At"].as_u64().unwrap_or(0)
}

/// A node leaves.
pub async fn note(call: &Call, map: &Map, node: &Node) -> Result<(), Fault> {
    let value = json!({
        "Node": &*node.name, "ID": &*node.id, "Address": &*node.address, "Region": &*node.region,
        "Port": port(map, &node.name), "Server": is_server(&call.api, map, &node.name), "At": now(),
    });
    let mut ops = vec![record::put_op(LEAVING, &node.name, &value)];
    let mut all = record::list(map, LEAVING, "");
    all.sort_by_key(|one| std::cmp::Reverse(at(one)));
    for (n, one) in all.iter().enumerate() {
        let is_over = n + 1 >= MOST || now().saturating_sub(at(one)) > LISTED_MS;
        if let Some(name) = one.value["Node"].as_str().filter(|name| is_over && **name != *node.name) {
            ops.push(record::delete_op(LEAVING, name));
        }
    }
    ops.truncate(OPS);
    record::change(call, ops).await
}

/// It does not leave, or is to be forgotten. Whether anything was known of it.
pub async fn forget(call: &Call, map: &Map, name: &str) -> Result<bool, Fault> {
    let known = record::get(map, LEAVING, name).is_some();
    if known {
        record::delete(call, LEAVING, name, DeleteWhen::Always).await?;
    }
    Ok(known)
}

/// A node says that it lives: what was said of its leaving before is no longer so.
pub async fn lives(call: &Call, map: &Map, name: &str) -> Result<(), Fault> {
    let Some(said) = record::get(map, LEAVING, name) else { return Ok(()) };
    let is_back = map.node(name).is_some_and(|node| node.create_index > said.modify_index);
    if is_back || now().saturating_sub(at(&said)) > LEAVES_MS {
        forget(call, map, name).await?;
    }
    Ok(())
}

/// Whether a node left that is not there.
pub fn has_left(map: &Map, name: &str) -> bool {
    stands(map, name).is_none() && record::get(map, LEAVING, name).is_some()
}

/// Whether a node that stands in the catalog said that it leaves.
pub fn is_leaving(map: &Map, node: &Node) -> bool {
    let said = record::get(map, LEAVING, &node.name);
    said.is_some_and(|said| said.modify_index > node.create_index)
}

/// What is to be done about those who said that they leave: the leader takes out of the catalog who fell silent since, as a
/// member does that gave up its seat; and a node that is still here has not left.
pub fn due(api: &Api, map: &Map) -> Vec<Command> {
    let own = &*api.settings.node_name;
    if record::get(map, LEAVING, own).is_some_and(|said| now().saturating_sub(at(&said)) > LEAVES_MS) {
        return vec![Command::Txn(vec![record::delete_op(LEAVING, own)])];
    }
    if api.seat.status().state != RaftState::Leader {
        return Vec::new();
    }
    let gone = |one: &Record| {
        let node = map.node(one.value["Node"].as_str()?)?;
        let is_member = map.members().any(|member| member.name == node.name);
        let is_gone = stands(map, &node.name) == Some(false) && one.modify_index > node.create_index;
        (is_gone && !is_member).then(|| node.name.clone())
    };
    let out = |node| Command::Deregister(Deregistration { node, service_id: None, check_id: None });
    record::list(map, LEAVING, "").iter().filter_map(gone).take(OPS).map(out).collect()
}

/// Those that left.
pub fn left(api: &Api, map: &Map) -> Vec<MemberView> {
    let seen = |one: &Record| {
        let name = one.value["Node"].as_str()?;
        let listed = stands(map, name).is_none() && now().saturating_sub(at(one)) <= LISTED_MS;
        listed.then(|| shown(api, name, &one.value))
    };
    record::list(map, LEAVING, "").iter().filter_map(seen).collect()
}

fn shown(api: &Api, name: &str, said: &Value) -> MemberView {
    let text = |field: &str| said[field].as_str().unwrap_or_default();
    let what = Shown {
        name,
        address: text("Address"),
        port: said["Port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        id: text("ID"),
        region: text("Region"),
        is_server: said["Server"].as_bool().unwrap_or(false),
        status: LEFT,
    };
    view(api, &what)
}

/// This node leaves, if the catalog has it. Leaving does not fail for want of words.
pub async fn note_own(call: &Call) {
    let map = call.api.seat.map();
    if let Some(node) = map.node(&call.api.settings.node_name)
        && let Err(fault) = note(call, &map, node).await
    {
        tracing::debug!("region map: nobody knows that this node leaves: {}", fault.text);
    }
}

/// It stays.
pub async fn stays(call: &Call) {
    let map = call.api.seat.map();
    let _ = forget(call, &map, &call.api.settings.node_name).await;
}
