//! A service as it stands at one moment: its instances by region, who of them is healthy, and how loaded regions are.

/// A region among those of the map, by name; the last stands for instances of no known region.
pub type RegionId = u16;

/// What a region takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    #[default]
    Active,
    /// Only when no active region can.
    Passive,
    /// Only when nothing else can.
    Drain,
}

/// An instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    pub v4: Option<[u8; 4]>,
    pub v6: Option<[u8; 16]>,
    /// A host's name in wire form, where the instance has no address but that.
    pub host: Option<Box<[u8]>>,
    pub port: u16,
    /// What it gets in proportion to others; at least 1 while it is healthy.
    pub weight: u32,
    /// The same on every node: consistent choices come from it.
    pub key: u64,
}

/// The instances of a region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InRegion {
    pub region: RegionId,
    pub standing: Standing,
    pub healthy: Vec<Endpoint>,
    /// For when nobody is healthy.
    pub unhealthy: Vec<Endpoint>,
    /// Live sessions by what the region can take, 0 when it has no limit; more than 1 when it is over it.
    pub load: f32,
}

/// By region.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceView {
    pub regions: Vec<InRegion>,
}

impl ServiceView {
    pub fn in_region(&self, region: RegionId) -> Option<usize> {
        self.regions.binary_search_by_key(&region, |of| of.region).ok()
    }

    pub fn has_healthy(&self) -> bool {
        self.regions.iter().any(|of| !of.healthy.is_empty())
    }

    /// It is registered at all.
    pub fn is_known(&self) -> bool {
        !self.regions.is_empty()
    }
}
