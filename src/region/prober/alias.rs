//! Checks that are what other checks are.

use crate::region::map::{Check, Health, Map};

use super::machine::Finding;

/// The worst of the checks of an instance and its node (with an empty `service_id`, of the node alone), but for
/// `own` itself.
pub fn look(map: &Map, node: &str, service_id: &str, own: &Check) -> Finding {
    if map.node(node).is_none() {
        return Finding::critical(format!("Node {node:?} is not registered"));
    }
    if !service_id.is_empty() && map.instance(node, service_id).is_none() {
        return Finding::critical(format!("Service {service_id:?} is not registered on node {node:?}"));
    }
    let is_own = |check: &Check| check.node == own.node && check.id == own.id;
    let of_service = map.own_checks(node, service_id).filter(|_| !service_id.is_empty());
    let seen = map.node_checks(node).chain(of_service).filter(|check| !is_own(check));
    match seen.max_by_key(|check| check.status) {
        None => Finding::new(Health::Passing, "No checks found."),
        Some(worst) if worst.status == Health::Passing => {
            Finding::new(Health::Passing, "All checks passing.")
        }
        Some(worst) => {
            Finding::new(worst.status, format!("Aliased check {:?} failing: {}", worst.name, worst.output))
        }
    }
}
