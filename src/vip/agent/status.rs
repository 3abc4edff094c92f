//! What the agent shows of itself.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::machine::State;

/// What an agent shows, for whoever looks. It outlives agents.
pub type Shown = Arc<Mutex<Status>>;

/// All instances, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub instances: Vec<InstanceStatus>,
}

impl Status {
    /// Whether any address that moves is on this node.
    pub fn holds(&self) -> bool {
        self.instances.iter().any(|one| !one.held.is_empty())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub name: Arc<str>,
    pub interface: String,
    pub vrid: u8,
    pub state: State,
    /// As configured, and with what trackers make of it.
    pub priority: u8,
    pub effective_priority: u8,
    /// Of VRRP, and how often a master speaks.
    pub version: u8,
    pub interval: Duration,
    /// What its priority depends on, with weights.
    pub tracks: Vec<String>,
    /// The addresses that are on this node now, and all that move.
    pub held: Vec<IpAddr>,
    pub addresses: Vec<IpAddr>,
    /// When the state began, since the Unix epoch, and why.
    pub since: Duration,
    pub cause: String,
    /// The master that was heard last.
    pub master: Option<(IpAddr, u8)>,
    pub counters: Counters,
}

/// Counts since the agent started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub sent: u64,
    pub received: u64,
    /// Adverts of our VRID that are none for us.
    pub dropped: u64,
    pub became_master: u64,
    pub released_master: u64,
}
