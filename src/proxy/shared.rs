//! What all workers and the control plane share of the process's traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use crate::base::rate::Rate;
use crate::model::counters::Peak;

/// What all workers and the control plane share.
#[derive(Debug)]
pub struct Shared {
    /// Process-wide limit and current number of client connections.
    pub maxconn: AtomicU32,
    pub current: AtomicU32,
    pub current_max: Peak,
    pub connections: AtomicU64,
    pub requests: AtomicU64,
    pub conn_rate: Rate,
    pub conn_rate_max: Peak,
    pub sess_rate: Rate,
    pub sess_rate_max: Peak,
    /// Some listener of some worker waits for a connection slot.
    pub parked: AtomicBool,
    /// Soft stop: no new connections, idle ones are closed.
    pub stopping: AtomicBool,
    pub hostname: String,
    pub pid: u32,
}

impl Shared {
    pub fn new(maxconn: u32, hostname: String) -> Arc<Shared> {
        Arc::new(Shared {
            maxconn: AtomicU32::new(maxconn),
            current: AtomicU32::new(0),
            current_max: Peak::default(),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            conn_rate: Rate::default(),
            conn_rate_max: Peak::default(),
            sess_rate: Rate::default(),
            sess_rate_max: Peak::default(),
            parked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            hostname,
            pid: std::process::id(),
        })
    }
}
