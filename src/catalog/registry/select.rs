//! Which nodes and instances a request asks for, and in what order: `?tag`, `?node-meta`, `?near`.

use crate::catalog::registry::distance::{Coordinates, distance};
use crate::catalog::request::Call;
use crate::region::map::*;

/// Whether a node has every `?node-meta=key:value`.
pub fn node_meta(call: &Call, node: &Node) -> bool {
    call.params.all("node-meta").all(|pair| {
        let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
        node.meta.get(key).is_some_and(|found| &**found == value)
    })
}

/// Whether an instance has every `?tag`, whatever its case.
pub fn tagged(call: &Call, instance: &Instance) -> bool {
    let has = |wanted: &str| instance.tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted));
    call.params.all("tag").filter(|tag| !tag.is_empty()).all(has)
}

/// Sorts by the distance of each row's node from `?near`; rows as near keep their order.
pub fn near<T>(call: &Call, map: &Map, rows: &mut [T], node: impl Fn(&T) -> &str) {
    let Some(origin) = call.params.text("near") else { return };
    let origin = if origin == "_agent" { &*call.api.settings.node_name } else { origin };
    let known = call.api.coordinates.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    sort_by_distance(map, &known, origin, rows, node);
}

pub fn sort_by_distance<T>(
    map: &Map,
    known: &Coordinates,
    origin: &str,
    rows: &mut [T],
    node: impl Fn(&T) -> &str,
) {
    rows.sort_by_cached_key(|row| {
        // Distances are not negative, so their bits are in their order.
        distance(map, known, origin, node(row)).to_bits()
    });
}
