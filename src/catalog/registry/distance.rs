//! The distance of two nodes, by their network coordinates or their regions.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::request::{Fault, Fields};
use crate::region::map::*;

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

    pub fn read(fields: &Fields) -> Result<Self, Fault> {
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
