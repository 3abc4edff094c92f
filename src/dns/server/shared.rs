//! What threads and connections of a responder look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

use tokio::sync::Semaphore;

use super::figures::Figures;
use super::room::Room;
use super::told::QueryLog;
use crate::base::Live;
use crate::dns::answer::State;
use crate::dns::forward::Forwarder;

/// A new configuration, and what the map says, is seen here.
pub(super) struct Shared {
    pub(super) state: Arc<Live<State>>,
    pub(super) stopping: AtomicBool,
    /// Where names are to be asked for that are not ours.
    pub(super) forwarder: Live<Option<Arc<Forwarder>>>,
    /// Counts answers that came later than their batch.
    pub(super) later: Arc<Figures>,
    pub(super) log: QueryLog,
    /// Of each thread, in a second.
    pub(super) rate: AtomicU32,
    pub(super) connections: AtomicUsize,
    pub(super) connected: AtomicUsize,
    pub(super) idle_ms: AtomicU64,
    /// Places for requests over HTTPS.
    pub(super) requests: Semaphore,
    /// Octets of answers over HTTPS that may wait for who reads them.
    pub(super) waiting: Arc<Room>,
}
