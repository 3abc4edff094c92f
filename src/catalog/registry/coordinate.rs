//! Network coordinates: `/v1/coordinate`.
//!
//! Coordinates that clients report stay on this node and are gone when it restarts: nothing but the order of answers
//! depends on them. Nodes without any are as far apart as their regions.

use serde::Serialize;

use crate::catalog::registry::distance::{Coordinate, Coordinates};
use crate::catalog::request::{Access, Answer, Call, DOCUMENT, Fault, GET, Outcome, PUT, Resource, Route};
use crate::region::map::*;

pub const ROUTES: &[Route] = &[
    Route {
        methods: GET,
        path: "/v1/coordinate/datacenters",
        body: 0,
        run: |call| Box::pin(datacenters(call)),
        doc: "The coordinates of the servers, by datacenter.",
    },
    Route {
        methods: GET,
        path: "/v1/coordinate/nodes",
        body: 0,
        run: |call| Box::pin(nodes(call)),
        doc: "The coordinates that were reported, by node.",
    },
    Route {
        methods: GET,
        path: "/v1/coordinate/node/*name",
        body: 0,
        run: |call| Box::pin(node(call)),
        doc: "The coordinates that were reported for a node.",
    },
    Route {
        methods: PUT,
        path: "/v1/coordinate/update",
        body: DOCUMENT,
        run: |call| Box::pin(update(call)),
        doc: "Reports a node's coordinates, to this node alone.",
    },
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Placed<'a> {
    node: &'a str,
    segment: &'a str,
    coord: Coordinate,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Datacenter<'a> {
    datacenter: &'a str,
    #[serde(rename = "AreaID")]
    area: &'a str,
    coordinates: Vec<Placed<'a>>,
}

fn snapshot(call: &Call) -> Coordinates {
    call.api.coordinates.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

async fn datacenters(call: &Call) -> Outcome {
    let map = call.read_own().await?;
    let known = snapshot(call);
    let alive = map.nodes().filter(|node| map.check(&node.name, NODE_LIVENESS).is_some());
    let placed = alive.map(|node| Placed {
        node: &node.name,
        segment: "",
        coord: known.get(&node.name).cloned().unwrap_or_default(),
    });
    let datacenter = &call.api.settings.datacenter;
    Answer::json(&[Datacenter { datacenter, area: "wan", coordinates: placed.collect() }])
}

async fn nodes(call: &Call) -> Outcome {
    let known = snapshot(call);
    call.read(&[Topic::Nodes], |map| {
        let standing = known
            .iter()
            .filter(|(node, _)| map.node(node).is_some() && call.allows(Resource::Node, node, Access::Read));
        let rows: Vec<_> =
            standing.map(|(node, coord)| Placed { node, segment: "", coord: coord.clone() }).collect();
        Answer::json(&rows)
    })
    .await
}

async fn node(call: &Call) -> Outcome {
    let name: Name = call.arg("Missing node name")?.into();
    call.require(Resource::Node, &name, Access::Read)?;
    let known = snapshot(call);
    call.read(&[Topic::Node(name.clone())], |map| match known.get(&name) {
        Some(coord) if map.node(&name).is_some() => {
            Answer::json(&[Placed { node: &name, segment: "", coord: coord.clone() }])
        }
        _ => Ok(Answer::absent()),
    })
    .await
}

async fn update(call: &Call) -> Outcome {
    let fields = call.fields()?;
    call.in_datacenter(&fields.text("Datacenter")?)?;
    let name = fields.text("Node")?;
    call.require(Resource::Node, &name, Access::Write)?;
    let coord = fields.object("Coord")?.ok_or_else(|| Fault::bad_request("Missing Coord"))?;
    let coord = Coordinate::read(&coord)?;
    let map = call.read_own().await?;
    if map.node(&name).is_none() {
        return Err(Fault::internal(format!("unknown node {name:?}")));
    }
    let mut known = call.api.coordinates.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    known.retain(|node, _| map.node(node).is_some());
    known.insert(name, coord);
    Ok(Answer::done())
}
