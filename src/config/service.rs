//! `service` lines of a backend: servers that the region map brings rather than the file.

use std::sync::Arc;

use crate::check::CheckSpec;
use crate::model::ServerSpec;

/// Instances of which regions take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those of this node's own region.
    Local,
    /// All, the nearest first.
    #[default]
    Nearest,
    /// All alike.
    Any,
    /// Those of these regions, the first named first.
    Regions(Vec<Arc<str>>),
}

/// One `service` line.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    pub name: Arc<str>,
    pub reach: Reach,
    /// An instance must have them all.
    pub tags: Vec<Arc<str>>,
    /// How the instances are checked by nodes of the cluster; `None`: the checks of the catalog decide alone.
    pub check: Option<CheckSpec>,
    /// Below so many percent of healthy capacity a region begins to spill to the next, 1 to 100.
    pub overflow_percent: u32,
    /// Most instances of each region that become servers; 0: all.
    pub max: usize,
    /// What the servers have in common: the backend's `default-server`.
    pub template: Arc<ServerSpec>,
}

/// `overflow` of a line that does not say.
pub const OVERFLOW_PERCENT: u32 = 70;
