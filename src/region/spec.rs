//! What the configuration says of the region map: a value, from the `region` and `region-map` sections.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::map::{Index, Name, Region, RegionState};
use super::member::Admission;

/// How far the nodes of a cluster are from each other: what Raft's timers follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Round trips of a few milliseconds.
    #[default]
    Lan,
    /// Round trips up to half a second.
    Wan,
}

/// TLS of an address that listens, and of connections that its node makes to its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate chain and private key in one PEM file. `None`: the certificate of the cluster's own CA.
    pub crt: Option<PathBuf>,
    /// Who may have signed the other side's certificate.
    pub ca_file: Option<PathBuf>,
    /// The other side must show a certificate (`verify required`).
    pub verify: bool,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// Said to be without TLS (or without tokens) on purpose.
    pub insecure: bool,
}

/// A `region` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionSpec {
    pub name: Name,
    /// Degrees north and east.
    pub location: Option<(f64, f64)>,
    /// ISO 3166 codes of two letters, upper case.
    pub countries: Vec<Name>,
    /// CIDR.
    pub networks: Vec<Name>,
    /// `None`: not said, so what stands in the map holds (and `active` for a new region).
    pub state: Option<RegionState>,
    pub failover: Vec<Name>,
}

impl RegionSpec {
    /// The record of the map, with `state` as it stands there when the file does not say.
    pub fn record(&self, standing: Option<&Region>) -> Region {
        let index: Index = 0;
        Region {
            name: self.name.clone(),
            location: self.location,
            countries: self.countries.clone(),
            networks: self.networks.clone(),
            state: self.state.or(standing.map(|r| r.state)).unwrap_or_default(),
            failover: self.failover.clone(),
            create_index: index,
            modify_index: index,
        }
    }
}

/// The `region-map` section: this node's seat in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatSpec {
    /// Unique in the cluster; without `node` the host's name.
    pub node: Option<Name>,
    /// Empty: no region.
    pub region: Name,
    /// Where peers reach it; `None` for a lone node.
    pub bind: Option<Listen>,
    /// `None`: in memory.
    pub data_dir: Option<PathBuf>,
    /// Addresses of nodes to join, `host:port`.
    pub retry_join: Vec<String>,
    /// The first cluster forms once so many nodes have met; 0: not said.
    pub expect: u32,
    /// What admits this node to a cluster with an authority of its own, or lets it form the first with others.
    pub admission: Option<Admission>,
    pub http_api: Option<Listen>,
    pub read_token: Option<String>,
    pub write_token: Option<String>,
    /// A region none of whose nodes was heard for so long is lost.
    pub region_timeout: Duration,
    /// A node not heard for so long is dead.
    pub liveness_timeout: Duration,
    pub profile: Profile,
    /// Checks may run programs.
    pub script_checks: bool,
    /// `Datacenter` of the API.
    pub datacenter: Name,
}

impl Default for SeatSpec {
    fn default() -> Self {
        SeatSpec {
            node: None,
            region: Name::default(),
            bind: None,
            data_dir: None,
            retry_join: Vec::new(),
            expect: 0,
            admission: None,
            http_api: None,
            read_token: None,
            write_token: None,
            region_timeout: Duration::from_secs(5),
            liveness_timeout: Duration::from_secs(3),
            profile: Profile::Lan,
            script_checks: false,
            datacenter: Name::from("dc1"),
        }
    }
}

impl SeatSpec {
    /// Whether the cluster has an authority of its own, which gives members their certificates: `bind ... ssl` without
    /// `crt`.
    pub fn has_authority(&self) -> bool {
        self.bind.as_ref().and_then(|bind| bind.tls.as_ref()).is_some_and(|tls| tls.crt.is_none())
    }

    /// A node that has nobody to meet: its map is embedded.
    pub fn is_lone(&self) -> bool {
        self.retry_join.is_empty() && self.expect <= 1
    }
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    pub regions: Vec<RegionSpec>,
    /// `None` without a `region-map` section: the map is in memory and its API off.
    pub seat: Option<SeatSpec>,
}

impl Spec {
    /// Whether the node listens on something for the map: then it is of use without a proxy.
    pub fn listens(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.bind.is_some() || seat.http_api.is_some())
    }
}
