//! What the tasks of all backends share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::check::Hooks;
use crate::region::Seat;
use crate::region::map::{Command, Name};

use super::load::Measured;

/// Finds the address of a host's name; may block.
pub type Resolve = Arc<dyn Fn(&str) -> Option<IpAddr> + Send + Sync>;

/// Longest wait for a change of the map, in case one is missed.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// How often servers that leave are looked at, and a region that comes back gets more.
pub(super) const TURN: Duration = Duration::from_millis(250);

/// What all tasks share.
pub(super) struct Context {
    pub(super) seat: Seat,
    pub(super) hooks: Arc<dyn Hooks>,
    pub(super) workers: usize,
    pub(super) resolve: Resolve,
    /// The cluster does not answer: this node decides by itself.
    pub(super) alone: watch::Sender<bool>,
    /// What this node can check for all, by its configuration; `None` before there is one.
    pub(super) keys: watch::Sender<Option<Vec<Name>>>,
    /// What the others are told of the load of its servers.
    pub(super) measured: Arc<Measured>,
}

impl Context {
    /// Tells the cluster what was found here. What it cannot be told now is found to be missing at a later round.
    pub(super) fn tell(&self, commands: Vec<Command>) {
        for command in commands {
            let seat = self.seat.clone();
            tokio::spawn(async move { seat.propose(command).await });
        }
    }
}
