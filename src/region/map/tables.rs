//! What the map keeps beside catalog, keys and sessions: queries, events, regions, members, secrets and documents.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use bytes::Bytes;

use super::record::*;

/// How many events are kept.
pub const EVENTS: usize = 256;
/// How many versions of a document are kept.
pub const DOCUMENT_VERSIONS: usize = 32;
/// Of how many deleted documents the last version is remembered by name.
const RETIRED: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tables {
    pub(super) queries: OrdMap<Name, Arc<Query>>,
    /// The id of the query that has a name.
    pub(super) query_names: OrdMap<Name, Name>,
    pub(super) events: Vector<Arc<Event>>,
    pub(super) regions: OrdMap<Name, Arc<Region>>,
    pub(super) members: OrdMap<u64, Arc<Member>>,
    pub(super) secrets: OrdMap<Name, Bytes>,
    /// Versions of a document, the oldest first; never empty.
    pub(super) documents: OrdMap<Name, Vector<Arc<Document>>>,
    pub(super) retired: Retired,
    /// By region: only of those that were ever lost.
    pub(super) outages: OrdMap<Name, Arc<Outage>>,
    /// By node: only of those that check anything.
    pub(super) checkers: OrdMap<Name, Arc<Checker>>,
    /// By node, instance and key.
    pub(super) verdicts: OrdMap<(Name, Name, Name), Arc<Verdict>>,
    /// Those that are held.
    pub(super) leases: OrdMap<Name, Arc<Lease>>,
    /// When one was granted or ended last.
    pub(super) leases_index: Index,
    /// An archive that is being taken over.
    pub(super) arriving: Arriving,
    pub(super) index: TableIndex,
}

/// The pieces that came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arriving {
    pub(super) archive: Name,
    pub(super) pieces: Vector<Bytes>,
    /// When the last of them came, by its proposer's clock.
    pub(super) at: WallMs,
}

/// When each table last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct TableIndex {
    pub(super) queries: Index,
    pub(super) events: Index,
    pub(super) regions: Index,
    pub(super) members: Index,
    pub(super) documents: Index,
}

/// The last versions of documents that were deleted: a version is never used again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Retired {
    pub(super) by_name: OrdMap<Name, u64>,
    /// No version of a name that is not in `by_name` was above it.
    pub(super) floor: u64,
}

impl Retired {
    pub(super) fn add(&mut self, name: Name, version: u64) {
        self.by_name.insert(name, version);
        if self.by_name.len() > RETIRED
            && let Some((name, version)) = self.by_name.get_min().cloned()
        {
            self.by_name.remove(&name);
            self.floor = self.floor.max(version);
        }
    }

    /// The last version of a document that starts anew.
    pub(super) fn take(&mut self, name: &str) -> u64 {
        self.by_name.remove(name).unwrap_or(self.floor)
    }
}
