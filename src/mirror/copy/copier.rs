//! What copies from one repository to another, and what it shares with others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::checkpoint::Keeper;
use super::known::Known;
use super::pace::Pace;
use super::tap::Meter;
use crate::mirror::client::{Fault, Registry};
use crate::mirror::manifest::Platform;

/// A registry that is copied to.
pub struct Target {
    pub registry: Arc<Registry>,
    pub known: Known,
}

impl Target {
    pub fn new(registry: Arc<Registry>) -> Arc<Target> {
        Arc::new(Target { registry, known: Known::default() })
    }
}

#[derive(Clone)]
pub struct Copier {
    pub source: Arc<Registry>,
    pub from: Arc<str>,
    pub target: Arc<Target>,
    pub to: Arc<str>,
    /// All where it is empty.
    pub platforms: Arc<[Platform]>,
    /// Blobs of an image at once.
    pub parallel: usize,
    pub keeper: Arc<dyn Keeper>,
    pub meter: Arc<Meter>,
    pub pace: Arc<Pace>,
    /// Pieces that are in memory, of all that this process copies.
    pub room: Arc<Semaphore>,
    pub stop: Arc<AtomicBool>,
}

/// What was done for an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub manifests: u64,
    pub sent: u64,
    pub mounted: u64,
    pub present: u64,
}

impl Copied {
    pub fn add(&mut self, other: Copied) {
        self.manifests += other.manifests;
        self.sent += other.sent;
        self.mounted += other.mounted;
        self.present += other.present;
    }
}

impl Copier {
    /// A place at both registries, always taken in the same order, so that those who copy both ways never wait for each
    /// other.
    pub(super) async fn slots(&self) -> [Option<OwnedSemaphorePermit>; 2] {
        let (a, b) = (&self.source, &self.target.registry);
        if Arc::ptr_eq(a, b) {
            return [a.slot().await, None];
        }
        let (first, second) = if a.access.name <= b.access.name { (a, b) } else { (b, a) };
        [first.slot().await, second.slot().await]
    }

    pub(super) fn check_stop(&self) -> Result<(), Fault> {
        if self.stop.load(Ordering::Relaxed) { Err(Fault::Stopped) } else { Ok(()) }
    }
}
