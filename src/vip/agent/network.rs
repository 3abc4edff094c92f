//! Links, addresses and sockets of this host as the agent sees them.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use crate::os::capability;
use crate::os::epoll::{self, Epoll};
use crate::os::netlink::{Address, Event, Link, Monitor, Netlink};
use crate::os::raw::{FrameSocket, RawSocket};

use super::super::packet;
use super::super::spec::{Family, InstanceSpec};

/// What the agent needs of the kernel, opened while there are privileges.
pub struct Kernel {
    pub(super) netlink: Netlink,
    pub(super) monitor: Monitor,
    pub(super) frames: FrameSocket,
}

impl Kernel {
    /// An error names the capability that is missing.
    pub fn open() -> io::Result<Kernel> {
        let missing = capability::missing(&[capability::NET_ADMIN, capability::NET_RAW]);
        if !missing.is_empty() {
            let text = format!(
                "moving addresses needs {}, which this process does not have (any more: see 'user')",
                missing.join(" and ")
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        let named = |what: &'static str| {
            move |e: io::Error| match e.kind() {
                io::ErrorKind::PermissionDenied => io::Error::new(
                    e.kind(),
                    format!("{what} needs CAP_NET_RAW, which this process does not have"),
                ),
                _ => e,
            }
        };
        let frames = FrameSocket::open().map_err(named("sending gratuitous ARP"))?;
        // The sockets of interfaces are opened as these come and go.
        RawSocket::open(false, packet::PROTOCOL, None).map_err(named("VRRP"))?;
        Ok(Kernel { netlink: Netlink::open()?, monitor: Monitor::open()?, frames })
    }
}

/// A socket of VRRP: an interface (by name; empty: all) and a family.
type Key = (String, Family);

pub(super) struct Network {
    pub(super) kernel: Kernel,
    pub(super) links: BTreeMap<u32, Link>,
    pub(super) addresses: Vec<Address>,
    sockets: BTreeMap<Key, Wire>,
    next_token: u64,
}

struct Wire {
    socket: RawSocket,
    index: u32,
    token: u64,
    joined: HashSet<IpAddr>,
}

/// Tokens below this are the loop's own.
pub(super) const FIRST_TOKEN: u64 = 16;

impl Network {
    pub(super) fn new(kernel: Kernel) -> io::Result<Network> {
        let (links, addresses, sockets) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let mut network = Network { kernel, links, addresses, sockets, next_token: FIRST_TOKEN };
        network.look()?;
        Ok(network)
    }

    /// Asks for all links and addresses.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let links = self.kernel.netlink.links()?;
        self.links = links.into_iter().map(|link| (link.index, link)).collect();
        self.addresses = self.kernel.netlink.addresses()?;
        Ok(())
    }

    /// Takes in what has changed.
    pub(super) fn apply(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Link(link) => {
                self.links.insert(link.index, link);
            }
            Event::LinkGone(index) => {
                self.links.remove(&index);
            }
            Event::Address(address) => {
                self.addresses.retain(|known| !is_same(known, &address));
                self.addresses.push(address);
            }
            Event::AddressGone(address) => self.addresses.retain(|known| !is_same(known, &address)),
            Event::Lost => self.look()?,
        }
        Ok(())
    }

    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// What adverts of an instance come from: what is configured, an address of the interface that does not move, or what
    /// the kernel would take for the first peer.
    pub(super) fn source(&self, spec: &InstanceSpec, moving: &HashSet<IpAddr>) -> Option<IpAddr> {
        if spec.source.is_some() {
            return spec.source;
        }
        if let (true, Some(peer)) =
            (spec.interface.is_empty() || spec.family == Family::V6, spec.peers.first())
        {
            return route_to(peer.address);
        }
        let index = self.link(&spec.interface)?.index;
        let fits = |address: &&Address| {
            address.index == index
                && Family::of(address.address) == spec.family
                && !moving.contains(&address.address)
                && match address.address {
                    IpAddr::V4(_) => true,
                    IpAddr::V6(ip) => ip.is_unicast_link_local(),
                }
        };
        self.addresses.iter().filter(fits).min_by_key(|address| address.scope).map(|address| address.address)
    }

    /// Opens the sockets of these instances where their links are, and closes those of links that are gone.
    pub(super) fn open(&mut self, specs: &[InstanceSpec], epoll: &Epoll) -> io::Result<()> {
        let index_of = |name: &str, links: &BTreeMap<u32, Link>| match name {
            "" => Some(0),
            name => links.values().find(|link| link.name == name).map(|link| link.index),
        };
        let key = |spec: &InstanceSpec| (spec.interface.clone(), spec.family);
        let wanted: HashSet<Key> = specs.iter().map(key).collect();
        let links = &self.links;
        self.sockets.retain(|key, wire| wanted.contains(key) && index_of(&key.0, links) == Some(wire.index));
        for spec in specs {
            let Some(index) = index_of(&spec.interface, &self.links) else { continue };
            let wire = match self.sockets.entry(key(spec)) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let interface = (index > 0).then_some((&*spec.interface, index));
                    let ipv6 = spec.family == Family::V6;
                    let socket = RawSocket::open(ipv6, packet::PROTOCOL, interface)?;
                    let token = self.next_token;
                    self.next_token += 1;
                    epoll.add(socket.as_raw_fd(), epoll::IN, token)?;
                    entry.insert(Wire { socket, index, token, joined: HashSet::new() })
                }
            };
            if spec.is_unicast() {
                if spec.family == Family::V6 {
                    wire.socket.set_hops(spec.ttl)?;
                }
            } else if wire.joined.insert(spec.group) {
                wire.socket.join(spec.group, index)?;
            }
        }
        Ok(())
    }

    /// Interface and family of the socket with this token.
    pub(super) fn key_of(&self, token: u64) -> Option<Key> {
        self.sockets.iter().find(|(_, wire)| wire.token == token).map(|(key, _)| key.clone())
    }

    pub(super) fn socket(&self, interface: &str, family: Family) -> Option<&RawSocket> {
        self.sockets.get(&(interface.to_owned(), family)).map(|wire| &wire.socket)
    }

    pub(super) fn index(&self, interface: &str) -> u32 {
        self.link(interface).map_or(0, |link| link.index)
    }
}

/// The same address on the same interface.
pub(super) fn is_same(one: &Address, other: &Address) -> bool {
    (one.index, one.address, one.prefix) == (other.index, other.address, other.prefix)
}

/// What the kernel sends from to reach an address; nothing is sent.
fn route_to(peer: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match peer {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((peer, 112)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
