//! The table of sessions, and what each holds.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::record::*;
use super::tombstone::Tombstones;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sessions {
    pub(super) by_id: OrdMap<Name, Arc<Held>>,
    pub(super) gone: Tombstones,
    pub(super) index: Index,
}

/// A session and what ends with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Held {
    pub(super) session: Arc<Session>,
    /// Keys that it has locked.
    pub(super) keys: OrdSet<Name>,
    pub(super) queries: OrdSet<Name>,
}
