//! What the agent is told, wherever it was written: a `vrrp` section or `keepalived.conf`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Nanos;

use super::machine::{Announcing, Settings};
use super::packet::{Checksum, Password, Version};

/// Where adverts go when nothing else is said (RFC 9568 sections 5.1.1.2 and 5.1.2.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// Everything the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The name of this node in mails.
    pub router_id: String,
    pub instances: Vec<InstanceSpec>,
    pub groups: Vec<GroupSpec>,
    pub trackers: Vec<TrackerSpec>,
    pub mail: Option<MailSpec>,
    /// A named pipe that every transition is written to.
    pub fifo: Option<FifoSpec>,
    /// Nothing starts before so long after the agent does.
    pub start_delay: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    #[default]
    V4,
    V6,
}

impl Family {
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// A virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    pub name: Arc<str>,
    pub interface: String,
    /// 1 to 255.
    pub vrid: u8,
    pub family: Family,
    pub settings: Settings,
    /// `state MASTER`: it is to be master as soon as nothing speaks against it.
    pub wants_master: bool,
    pub password: Option<Password>,
    pub checksum: Checksum,
    /// What adverts are sent from; without it an address of the interface.
    pub source: Option<IpAddr>,
    /// The multicast group, unless there are peers.
    pub group: IpAddr,
    /// Unicast: adverts go to each of these.
    pub peers: Vec<PeerSpec>,
    /// Adverts from others than peers are dropped.
    pub peers_only: bool,
    /// TTL or hop limit of what is sent.
    pub ttl: u8,
    /// In adverts.
    pub addresses: Vec<AddressSpec>,
    /// On the interface, but not in adverts.
    pub excluded: Vec<AddressSpec>,
    pub tracks: Vec<TrackSpec>,
    /// Its own interface going down is a fault.
    pub tracks_interface: bool,
    /// Adverts with other addresses than ours count too.
    pub any_addresses: bool,
    pub notify: NotifySpec,
    pub heartbeat: Option<HeartbeatSpec>,
    /// The addresses are held under a lease of the region map of this length alone.
    pub fence: Option<Duration>,
}

impl InstanceSpec {
    /// Whether packets come one by one to peers.
    pub fn is_unicast(&self) -> bool {
        !self.peers.is_empty()
    }

    /// An instance with the defaults of version 2 over IPv4.
    pub fn new(name: Arc<str>) -> InstanceSpec {
        InstanceSpec {
            name,
            interface: String::new(),
            vrid: 0,
            family: Family::V4,
            settings: Settings {
                version: Version::V2,
                announcing: Announcing::default(),
                ..Settings::default()
            },
            wants_master: false,
            password: None,
            checksum: Checksum::Pseudo,
            source: None,
            group: GROUP_V4.into(),
            peers: Vec::new(),
            peers_only: false,
            ttl: 255,
            addresses: Vec::new(),
            excluded: Vec::new(),
            tracks: Vec::new(),
            tracks_interface: true,
            any_addresses: false,
            notify: NotifySpec::default(),
            heartbeat: None,
            fence: None,
        }
    }
}

/// A heartbeat with another Isobar node, beside VRRP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatSpec {
    /// Both nodes listen on this port.
    pub peer: SocketAddr,
    /// What both have.
    pub key: String,
    pub interval_ns: Nanos,
}

/// A router that adverts are sent to, and the TTL that its own must come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSpec {
    pub address: IpAddr,
    pub min_ttl: Option<u8>,
    pub max_ttl: Option<u8>,
}

/// An address that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpec {
    pub address: IpAddr,
    pub prefix: u8,
    /// Another interface than the instance's.
    pub interface: Option<String>,
    pub label: Option<String>,
    pub broadcast: Option<Ipv4Addr>,
    /// As in rtnetlink: 0 global, 200 site, 253 link, 254 host, 255 nowhere.
    pub scope: u8,
}

impl AddressSpec {
    pub fn new(address: IpAddr) -> AddressSpec {
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        AddressSpec { address, prefix, interface: None, label: None, broadcast: None, scope: 0 }
    }
}

/// How something depends on a tracker; see [`Track`](super::machine::Track).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackSpec {
    /// Index among the trackers of the [`Spec`].
    pub tracker: usize,
    pub weight: i32,
    pub reverse: bool,
}

/// Instances that move together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSpec {
    pub name: String,
    /// Indices of instances.
    pub members: Vec<usize>,
    pub tracks: Vec<TrackSpec>,
    /// Weights of what members track hold.
    pub weights: bool,
    pub notify: NotifySpec,
}

/// Something that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackerSpec {
    pub name: Arc<str>,
    pub kind: TrackerKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrackerKind {
    Script(ScriptSpec),
    /// Up while the link is.
    Interface,
    /// Up while enough processes of this name run.
    Process {
        process: String,
        quorum: u32,
    },
    /// A number that is added to priorities: 0 counts as up, what is below -253 as down.
    File {
        path: String,
    },
    /// A backend of the proxy has a usable server.
    Backend(String),
    /// A frontend of the proxy is open.
    Frontend(String),
    /// This node sees a leader of the region map.
    RegionMap,
    /// A service of the region map has a healthy instance.
    Service(String),
}

/// A program that is run every so often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptSpec {
    pub command: Command,
    pub interval: Duration,
    /// After this it is ended, which counts as a failure.
    pub timeout: Duration,
    /// So many successes in a row mean up.
    pub rise: u32,
    /// So many failures in a row mean down.
    pub fall: u32,
    /// Down until it has succeeded.
    pub starts_down: bool,
}

/// A program and who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments; a shell and its script where that was written for one.
    pub words: Vec<String>,
    /// User and group; `None`: as this process.
    pub owner: Option<(u32, u32)>,
}

/// A program that hears of a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    pub command: Command,
    /// So often it is run again when it fails.
    pub retries: u32,
    /// All its runs together end after this.
    pub within: Option<Duration>,
}

impl Hook {
    /// One that is run once, however long it takes.
    pub fn new(command: Command) -> Hook {
        Hook { command, retries: 0, within: None }
    }

    /// Whether it matters how it ends.
    pub fn is_watched(&self) -> bool {
        self.retries > 0 || self.within.is_some()
    }
}

/// Who is told of transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifySpec {
    pub master: Option<Hook>,
    pub backup: Option<Hook>,
    pub fault: Option<Hook>,
    pub stop: Option<Hook>,
    /// Any of them, with four arguments more.
    pub any: Option<Hook>,
    pub mail: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailSpec {
    pub to: Vec<String>,
    pub from: String,
    pub server: String,
    pub port: u16,
    pub helo: String,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FifoSpec {
    pub path: String,
    pub owner: Option<(u32, u32)>,
}
