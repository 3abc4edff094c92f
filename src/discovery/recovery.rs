//! Regions that were lost and come back: how much they may take again.

use std::collections::HashMap;

use crate::base::Millis;
use crate::region::map::Name;

/// How long a region takes to come back when servers have no `slowstart`.
pub const RAMP_MS: u64 = 10_000;

/// What one backend remembers of regions.
#[derive(Debug, Default)]
pub struct Recovery {
    lost: Vec<Name>,
    /// When each came back.
    back: HashMap<Name, Millis>,
}

impl Recovery {
    /// Takes in which regions are lost now. True when that is another set than before.
    pub fn note(&mut self, lost: Vec<Name>, ramp_ms: u64, now: Millis) -> bool {
        for name in self.lost.iter().filter(|name| !lost.contains(name)) {
            self.back.insert(name.clone(), now);
        }
        self.back.retain(|name, at| !lost.contains(name) && now < at.saturating_add(ramp_ms));
        let changed = self.lost != lost;
        self.lost = lost;
        changed
    }

    pub fn is_lost(&self, region: &str) -> bool {
        self.lost.iter().any(|name| **name == *region)
    }

    /// The part of its traffic that a region may take, growing from a twentieth to all.
    pub fn part(&self, region: &str, ramp_ms: u64, now: Millis) -> f64 {
        let Some(at) = self.back.get(region) else { return 1.0 };
        let elapsed = now.saturating_sub(*at) as f64;
        (elapsed / ramp_ms.max(1) as f64).clamp(0.05, 1.0)
    }

    /// Some region is on its way back.
    pub fn is_ramping(&self) -> bool {
        !self.back.is_empty()
    }
}
