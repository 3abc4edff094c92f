//! What all workers and the control plane share of the process's traffic.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Nanos;
use crate::base::clock::MS;
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
    /// Flows of datagrams now; as many may be as connections.
    pub flows: AtomicU32,
    /// Connections of clients that speak TLS, now and so far.
    pub tls: AtomicU32,
    pub tls_total: AtomicU64,
    pub tls_rate: Rate,
    pub tls_rate_max: Peak,
    /// Handshakes of clients that no earlier session spared.
    pub tls_key_rate: Rate,
    pub tls_key_rate_max: Peak,
    /// Times that the limit of connections was reached, and whether it is now.
    pub maxconn_reached: AtomicU32,
    pub is_full: AtomicBool,
    pub requests: AtomicU64,
    pub conn_rate: Rate,
    pub conn_rate_max: Peak,
    pub sess_rate: Rate,
    pub sess_rate_max: Peak,
    /// Some listener of some worker waits for a connection slot.
    pub parked: AtomicBool,
    /// Soft stop: no new connections, idle ones are closed.
    pub stopping: AtomicBool,
    /// The time within which the connections of clients are to end then (`close-spread-time`); see [`Shared::stop`].
    spread: Mutex<(Nanos, Nanos)>,
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
            flows: AtomicU32::new(0),
            tls: AtomicU32::new(0),
            tls_total: AtomicU64::new(0),
            tls_rate: Rate::default(),
            tls_rate_max: Peak::default(),
            tls_key_rate: Rate::default(),
            tls_key_rate_max: Peak::default(),
            maxconn_reached: AtomicU32::new(0),
            is_full: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            conn_rate: Rate::default(),
            conn_rate_max: Peak::default(),
            sess_rate: Rate::default(),
            sess_rate_max: Peak::default(),
            parked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            spread: Mutex::default(),
            hostname,
            pid: std::process::id(),
        })
    }

    /// The process begins to stop. The connections of clients end at once, or one by one during `spread_ms`.
    pub fn stop(&self, now: Nanos, spread_ms: u64) {
        let until = now.saturating_add(spread_ms.saturating_mul(MS));
        *self.spread.lock().unwrap_or_else(PoisonError::into_inner) = (now, until);
        self.stopping.store(true, Ordering::Release);
    }

    /// When a connection is to end in a process that stops; `draw` is a random number of its own.
    pub fn end_of(&self, draw: u64) -> Nanos {
        let (from, until) = *self.spread.lock().unwrap_or_else(PoisonError::into_inner);
        match until.saturating_sub(from) {
            0 => from,
            _ if until == Nanos::MAX => Nanos::MAX,
            window => from + draw % window,
        }
    }
}
