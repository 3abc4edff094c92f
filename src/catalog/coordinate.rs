//! Network coordinates: `/v1/coordinate`, and the distance of two nodes.
//!
//! Coordinates that clients report stay on this node and are gone when it restarts: nothing but the order of answers
//! depends on them. Nodes without any are as far apart as their regions.

use std::collections::BTreeMap;

use serde::Serialize;

use super::access::{Access, Resource};
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::fields::Fields;
use super::route::{DOCUMENT, GET, Outcome, PUT, Route};
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

/// Vivaldi coordinates: distances are round-trip times in seconds.
#[derive(Serialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Coordinate {
    pub vec: [f64; DIMENSIONS],
    pub error: f64,
    pub adjustment: f64,
    pub height: f64,
}

const DIMENSIONS: usize = 8;

impl Default for Coordinate {
    fn default() -> Self {
        Coordinate { vec: [0.0; DIMENSIONS], error: 1.5, adjustment: 0.0, height: 1e-5 }
    }
}

impl Coordinate {
    /// The round-trip time to another, in seconds.
    fn distance(&self, other: &Coordinate) -> f64 {
        let square: f64 = self.vec.iter().zip(other.vec).map(|(a, b)| (a - b) * (a - b)).sum();
        let raw = square.sqrt() + self.height + other.height;
        let adjusted = raw + self.adjustment + other.adjustment;
        if adjusted > 0.0 { adjusted } else { raw }
    }

    fn read(fields: &Fields) -> Result<Self, Fault> {
        let number = |name: &str| {
            let value = fields.value(name).map_or(Some(0.0), |v| v.as_f64());
            value.filter(|v| v.is_finite()).ok_or_else(|| Fault::bad_request(format!("Invalid {name}")))
        };
        let given = fields.value("Vec").and_then(|v| v.as_array()).cloned().unwrap_or_default();
        let mut vec = [0.0; DIMENSIONS];
        if given.len() != DIMENSIONS {
            return Err(Fault::bad_request("Invalid coordinate: it has eight dimensions"));
        }
        for (to, from) in vec.iter_mut().zip(&given) {
            *to = from.as_f64().filter(|v| v.is_finite()).ok_or_else(|| Fault::bad_request("Invalid Vec"))?;
        }
        let (error, adjustment, height) = (number("Error")?, number("Adjustment")?, number("Height")?);
        if height < 0.0 {
            return Err(Fault::bad_request("Invalid Height"));
        }
        Ok(Coordinate { vec, error, adjustment, height })
    }
}

/// What was reported, by node: only of nodes of the catalog, so that it is bounded by them.
pub type Coordinates = BTreeMap<Name, Coordinate>;

/// Seconds between two nodes, never negative; infinite when nothing is known.
pub fn distance(map: &Map, known: &Coordinates, from: &str, to: &str) -> f64 {
    if from == to {
        return 0.0;
    }
    if let (Some(a), Some(b)) = (known.get(from), known.get(to)) {
        return a.distance(b).max(0.0);
    }
    let region = |node: &str| map.node(node).and_then(|node| map.region(&node.region));
    match (region(from), region(to)) {
        (Some(a), Some(b)) if a.name == b.name => NEIGHBOURS_S,
        (Some(a), Some(b)) => match (a.location, b.location) {
            (Some(a), Some(b)) => NEIGHBOURS_S + kilometres(a, b) * SECONDS_PER_KM,
            _ => f64::INFINITY,
        },
        _ => f64::INFINITY,
    }
}

/// A round trip within a region.
const NEIGHBOURS_S: f64 = 0.000_5;
/// There and back in fibre, which is seldom straight.
const SECONDS_PER_KM: f64 = 0.000_015;

/// Along a great circle, between degrees north and east.
fn kilometres(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (lat_a, lat_b) = (a.0.to_radians(), b.0.to_radians());
    let (half_lat, half_lon) = ((lat_b - lat_a) / 2.0, (b.1 - a.1).to_radians() / 2.0);
    let square = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
    2.0 * 6371.0 * square.clamp(0.0, 1.0).sqrt().asin()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_vectors_heights_and_adjustments() {
        let at = |x: f64| Coordinate { vec: [x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], ..Coordinate::default() };
        assert!((at(0.0).distance(&at(0.02)) - 0.02002).abs() < 1e-9);
        let close = Coordinate { adjustment: -1.0, ..at(0.0) };
        assert!((close.distance(&at(0.02)) - 0.02002).abs() < 1e-9, "never below zero");
    }

    #[test]
    fn the_earth_is_round() {
        let (dublin, sydney) = ((53.35, -6.26), (-33.87, 151.21));
        assert!((kilometres(dublin, sydney) - 17_200.0).abs() < 100.0);
        assert_eq!(kilometres(dublin, dublin), 0.0);
    }
}
