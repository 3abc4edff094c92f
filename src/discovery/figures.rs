//! Metrics of regions and of what backends have in them.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// To be called once, before the first of them is set.
pub fn describe() {
    describe_gauge!("isobar_region_up", Unit::Count, "Whether a region is heard from (1) or lost (0).");
    describe_counter!("isobar_region_failovers_total", Unit::Count, "How often a region was lost.");
    describe_gauge!(
        "isobar_service_region_up",
        Unit::Count,
        "Whether a service of a backend has anybody in a region that takes traffic (1) or not (0)."
    );
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
