//! Isobar's own metrics (`isobar_*`): what HAProxy has no name for. Kept by a recorder of the `metrics` crate and shown
//! behind HAProxy's by the exporter.

use std::sync::OnceLock;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Installs the recorder once for the process. `None` when there is another one.
pub fn install() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let make = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        describe();
        Some(handle)
    };
    HANDLE.get_or_init(make).clone()
}

fn describe() {
    describe_gauge!("isobar_workers", Unit::Count, "Data workers.");
    describe_gauge!(
        "isobar_config_generation",
        Unit::Count,
        "Number of the configuration that runs, from 1."
    );
    describe_counter!(
        "isobar_config_swaps_total",
        Unit::Count,
        "Configurations read while running, by outcome."
    );
    describe_gauge!("isobar_checks", Unit::Count, "Servers whose health is checked.");
    crate::region::raft::figures::describe();
    crate::discovery::figures::describe();
    describe_counter!(
        crate::os::opener::REQUESTS,
        Unit::Count,
        "Files, sockets and names asked of the system, by kind."
    );
}

/// The process carries traffic.
pub fn running(workers: usize, generation: u64) {
    gauge!("isobar_workers").set(workers as f64);
    gauge!("isobar_config_generation").set(generation as f64);
    for outcome in ["applied", "refused"] {
        counter!("isobar_config_swaps_total", "outcome" => outcome).absolute(0);
    }
}

/// A configuration was put in place, or refused.
pub fn swapped(success: bool, generation: u64) {
    let outcome = if success { "applied" } else { "refused" };
    counter!("isobar_config_swaps_total", "outcome" => outcome).increment(1);
    gauge!("isobar_config_generation").set(generation as f64);
}

/// So many health checks run.
pub fn checks(count: usize) {
    gauge!("isobar_checks").set(count as f64);
}
