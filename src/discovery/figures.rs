//! Metrics of regions and of what backends have in them.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::region::map::Name;
use crate::region::soft::Load;

/// To be called once, before the first of them is set.
pub fn describe() {
    describe_gauge!("isobar_region_up", Unit::Count, "Whether a region is heard from (1) or lost (0).");
    describe_counter!("isobar_region_failovers_total", Unit::Count, "How often a region was lost.");
    describe_gauge!(
        "isobar_service_region_up",
        Unit::Count,
        "Whether a service of a backend has anybody in a region that takes traffic (1) or not (0)."
    );
    describe_gauge!(
        "isobar_region_sessions",
        Unit::Count,
        "Sessions of the nodes in a region, as these say."
    );
    describe_gauge!(
        "isobar_region_capacity",
        Unit::Count,
        "Sessions that the nodes in a region may have at most; 0: not limited."
    );
    describe_gauge!(
        "isobar_service_region_sessions",
        Unit::Count,
        "Sessions that all nodes have on the servers of a service in a region, as these say."
    );
    describe_gauge!(
        "isobar_service_region_capacity",
        Unit::Count,
        "Sessions that all nodes may have at most on the servers of a service in a region; 0: not limited."
    );
}

/// What all nodes say together of a service in a region, or of the nodes there.
pub(super) fn load((service, region): &(Name, Name), load: &Load) {
    let (sessions, capacity) = (load.sessions as f64, load.capacity as f64);
    let region = ("region", region.to_string());
    if service.is_empty() {
        gauge!("isobar_region_sessions", std::slice::from_ref(&region)).set(sessions);
        gauge!("isobar_region_capacity", &[region]).set(capacity);
    } else {
        let labels = [("service", service.to_string()), region];
        gauge!("isobar_service_region_sessions", &labels).set(sessions);
        gauge!("isobar_service_region_capacity", &labels).set(capacity);
    }
}

/// How a region stands, by the region map.
pub(super) fn region(name: &str, up: bool, failovers: u64) {
    gauge!("isobar_region_up", "region" => name.to_owned()).set(f64::from(u8::from(up)));
    counter!("isobar_region_failovers_total", "region" => name.to_owned()).absolute(failovers);
}

/// Whether a backend has anybody of a service in a region.
pub(super) fn service_region(backend: &str, service: &str, region: &str, up: bool) {
    let labels =
        [("backend", backend.to_owned()), ("service", service.to_owned()), ("region", region.to_owned())];
    gauge!("isobar_service_region_up", &labels).set(f64::from(u8::from(up)));
}
