//! The zones of a responder, found by the longest apex that a name is below.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::table::Zone;
use crate::dns::name::{QName, labels};

/// Cheap to clone: a change of one zone makes another set.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    by_apex: HashMap<Box<[u8]>, Arc<Zone>, RandomState>,
    /// Bit n: there is an apex of n labels.
    depths: u128,
}

impl Zones {
    pub fn insert(&mut self, zone: Arc<Zone>) {
        self.depths |= 1 << labels(zone.apex()).count().min(127);
        self.by_apex.insert(zone.apex().into(), zone);
    }

    pub fn find(&self, name: &QName) -> Option<&Arc<Zone>> {
        let all = name.labels();
        (0..=all).find_map(|skip| {
            let is_there = self.depths & 1 << (all - skip) != 0;
            if is_there { self.by_apex.get(name.suffix(skip)) } else { None }
        })
    }

    /// The zone with this apex, in lower case.
    pub fn zone(&self, apex: &[u8]) -> Option<&Arc<Zone>> {
        self.by_apex.get(apex)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.by_apex.values()
    }

    pub fn len(&self) -> usize {
        self.by_apex.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_apex.is_empty()
    }
}
