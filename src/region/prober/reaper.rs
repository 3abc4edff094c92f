//! `DeregisterCriticalServiceAfter`: which instances of a node go because they have been critical for too long.

use crate::region::map::{Deregistration, Health, Map, WallMs};

/// What is due now, and when to look again (`None`: when something changes). A prober that was away does not know how
/// its instances did meanwhile: the time before `since` does not count.
pub fn due(map: &Map, node: &str, since: WallMs, now: WallMs) -> (Vec<Deregistration>, Option<WallMs>) {
    let (mut gone, mut next): (Vec<Deregistration>, Option<WallMs>) = (Vec::new(), None);
    for check in map.checks_on(node) {
        let after = check.definition.as_ref().map_or(0, |d| d.deregister_after_ms);
        if after == 0 || check.status != Health::Critical || check.service_id.is_empty() {
            continue;
        }
        let at = check.critical_since.max(since).saturating_add(after);
        if at > now {
            next = Some(next.map_or(at, |n| n.min(at)));
        } else if !gone.iter().any(|g| g.service_id.as_ref() == Some(&check.service_id)) {
            let (node, service_id) = (check.node.clone(), Some(check.service_id.clone()));
            gone.push(Deregistration { node, service_id, check_id: None });
        }
    }
    (gone, next)
}
