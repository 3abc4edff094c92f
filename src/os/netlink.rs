//! Links and addresses of this host over rtnetlink (rtnetlink(7)): what there is, changes as they come, and addresses
//! added with a lifetime that the kernel ends by itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

const HEADER: usize = 16;
/// Longer than any message; a link with many virtual functions is the longest.
const ROOM: usize = 64 * 1024;
/// Messages that are read of one answer: more links and addresses than that no host has.
const MAX_MESSAGES: usize = 1_000_000;
const LINK_MESSAGE: usize = 16;
const ADDRESS_MESSAGE: usize = 8;
/// For ever.
const INFINITE: u32 = u32::MAX;

/// Constants of `linux/rtnetlink.h` and `linux/if_addr.h`.
const RTMGRP_LINK: u32 = 1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 2;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// Administratively up, and with a carrier.
    pub is_up: bool,
    pub is_loopback: bool,
    pub mac: Option<[u8; 6]>,
}

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub index: u32,
    pub address: IpAddr,
    pub prefix: u8,
    /// As in rtnetlink: 0 global, 253 link, 254 host.
    pub scope: u8,
    pub label: Option<String>,
    pub broadcast: Option<Ipv4Addr>,
    /// Seconds after which the kernel takes it away; `None`: never.
    pub lifetime_s: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Link(Link),
    LinkGone(u32),
    Address(Address),
    AddressGone(Address),
    /// Changes came faster than they were read: what there is has to be asked anew.
    Lost,
}

/// Asks and orders; each call waits for the kernel's answer.
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
}

fn open(groups: u32, flags: SockFlag) -> io::Result<OwnedFd> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}

impl Netlink {
    pub fn open() -> io::Result<Netlink> {
        let fd = open(0, SockFlag::empty())?;
        // The kernel answers at once; nothing may hang the agent if it does not.
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(1, 0))?;
        Ok(Netlink { fd, sequence: 0 })
    }

    /// All interfaces.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        let flags = libc::NLM_F_DUMP as u16;
        self.ask(libc::RTM_GETLINK, flags, &[0; LINK_MESSAGE], |kind, body| {
            if kind == libc::RTM_NEWLINK {
                links.extend(link(body));
            }
        })?;
        Ok(links)
    }

    /// All addresses.
    pub fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let mut addresses = Vec::new();
        let flags = libc::NLM_F_DUMP as u16;
        self.ask(libc::RTM_GETADDR, flags, &[0; ADDRESS_MESSAGE], |kind, body| {
            if kind == libc::RTM_NEWADDR {
                addresses.extend(address(body));
            }
        })?;
        Ok(addresses)
    }

    /// Adds an address, or renews its lifetime where it is there. It is usable at once: nobody is asked whether it is
    /// taken.
    pub fn add(&mut self, address: &Address) -> io::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        self.order(libc::RTM_NEWADDR, flags, &address_message(address, true))
    }

    /// Takes an address away; one that is not there is no error.
    pub fn remove(&mut self, address: &Address) -> io::Result<()> {
        match self.order(libc::RTM_DELADDR, 0, &address_message(address, false)) {
            Err(e) if e.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            done => done,
        }
    }

    fn order(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.ask(kind, flags | libc::NLM_F_ACK as u16, body, |_, _| {})
    }

    /// Sends a request, and hands over each message of its answer.
    fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        mut take: impl FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Vec::with_capacity(HEADER + body.len());
        request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend((flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend(0u32.to_ne_bytes());
        request.extend(body);
        send(self.fd.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut room = vec![0; ROOM];
        for _ in 0..MAX_MESSAGES {
            let len = receive(self.fd.as_raw_fd(), &mut room)?;
            for message in messages(&room[..len]) {
                if message.sequence != self.sequence {
                    // An answer that was given up on.
                    continue;
                }
                match i32::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => return error(message.body),
                    _ => take(message.kind, message.body),
                }
            }
        }
        Err(io::Error::other("netlink: an answer without an end"))
    }
}

/// Hears of changes.
pub struct Monitor {
    fd: OwnedFd,
    room: Vec<u8>,
}

impl Monitor {
    pub fn open() -> io::Result<Monitor> {
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
        Ok(Monitor { fd: open(groups, SockFlag::SOCK_NONBLOCK)?, room: vec![0; ROOM] })
    }

    /// What has changed since, as far as one read tells; empty when nothing has.
    pub fn changes(&mut self) -> io::Result<Vec<Event>> {
        let len = match receive(self.fd.as_raw_fd(), &mut self.room) {
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => return Ok(vec![Event::Lost]),
            Err(e) => return Err(e),
        };
        let event = |message: Message<'_>| match message.kind {
            libc::RTM_NEWLINK => link(message.body).map(Event::Link),
            libc::RTM_DELLINK => link(message.body).map(|link| Event::LinkGone(link.index)),
            libc::RTM_NEWADDR => address(message.body).map(Event::Address),
            libc::RTM_DELADDR => address(message.body).map(Event::AddressGone),
            _ => None,
        };
        Ok(messages(&self.room[..len]).filter_map(event).collect())
    }
}

impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn receive(fd: RawFd, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(fd, room, MsgFlags::empty()) {
            Err(nix::errno::Errno::EINTR) => {}
            done => return Ok(done?),
        }
    }
}

struct Message<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

/// Bytes of this machine's order.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let len = u32::from_ne_bytes(number(bytes, 0)?) as usize;
        let kind = u16::from_ne_bytes(number(bytes, 4)?);
        let sequence = u32::from_ne_bytes(number(bytes, 8)?);
        let body = bytes.get(HEADER..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some(Message { kind, sequence, body })
    })
}

/// Kind and value of each attribute.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_ne_bytes(number(bytes, 0)?));
        let kind = u16::from_ne_bytes(number(bytes, 2)?);
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        // The two highest bits are flags.
        Some((kind & 0x3fff, value))
    })
}

fn error(body: &[u8]) -> io::Result<()> {
    match number(body, 0).map_or(0, i32::from_ne_bytes) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

fn link(body: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(number(body, 4)?);
    let flags = u32::from_ne_bytes(number(body, 8)?);
    let running = (libc::IFF_UP | libc::IFF_RUNNING) as u32;
    let mut link = Link {
        index,
        name: String::new(),
        is_up: flags & running == running,
        is_loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
        mac: None,
    };
    for (kind, value) in attributes(body.get(LINK_MESSAGE..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_ADDRESS if value.len() == 6 => link.mac = value.first_chunk().copied(),
            _ => {}
        }
    }
    Some(link)
}

fn address(body: &[u8]) -> Option<Address> {
    let (prefix, scope) = (*body.get(1)?, *body.get(3)?);
    let index = u32::from_ne_bytes(number(body, 4)?);
    let (mut local, mut remote, mut label, mut broadcast, mut lifetime_s) = (None, None, None, None, None);
    for (kind, value) in attributes(body.get(ADDRESS_MESSAGE..)?) {
        match kind {
            IFA_LOCAL => local = ip(value),
            IFA_ADDRESS => remote = ip(value),
            IFA_LABEL => label = Some(text(value)),
            IFA_BROADCAST => broadcast = number(value, 0).map(Ipv4Addr::from),
            IFA_CACHEINFO => {
                lifetime_s = number(value, 4).map(u32::from_ne_bytes).filter(|s| *s != INFINITE);
            }
            _ => {}
        }
    }
    Some(Address { index, address: local.or(remote)?, prefix, scope, label, broadcast, lifetime_s })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => number::<4>(value, 0).map(|b| Ipv4Addr::from(b).into()),
        16 => number::<16>(value, 0).map(|b| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

/// The body of a message about an address; what it should be like is said only when it is added.
fn address_message(address: &Address, with_details: bool) -> Vec<u8> {
    let family = if address.address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let flags = if address.address.is_ipv6() && with_details { IFA_F_NODAD } else { 0 };
    let mut body = vec![family as u8, address.prefix, flags as u8, address.scope];
    body.extend(address.index.to_ne_bytes());
    match address.address {
        IpAddr::V4(ip) => {
            attribute(&mut body, IFA_LOCAL, &ip.octets());
            attribute(&mut body, IFA_ADDRESS, &ip.octets());
        }
        IpAddr::V6(ip) => {
            attribute(&mut body, IFA_LOCAL, &ip.octets());
            attribute(&mut body, IFA_ADDRESS, &ip.octets());
        }
    }
    if !with_details {
        return body;
    }
    if let Some(label) = &address.label {
        attribute(&mut body, IFA_LABEL, &[label.as_bytes(), b"\0"].concat());
    }
    if let Some(broadcast) = address.broadcast {
        attribute(&mut body, IFA_BROADCAST, &broadcast.octets());
    }
    if flags != 0 {
        attribute(&mut body, IFA_FLAGS, &flags.to_ne_bytes());
    }
    let valid = address.lifetime_s.unwrap_or(INFINITE);
    // An IPv6 host address is never chosen for what this host begins itself.
    let preferred = if address.address.is_ipv6() && address.prefix == 128 { 0 } else { valid };
    let times = [preferred, valid, 0, 0].map(u32::to_ne_bytes).concat();
    attribute(&mut body, IFA_CACHEINFO, &times);
    body
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(((4 + value.len()) as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_there() {
        let mut netlink = Netlink::open().unwrap();
        let links = netlink.links().unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert!(lo.is_loopback);
        let addresses = netlink.addresses().unwrap();
        let local = addresses.iter().find(|a| a.index == lo.index && a.address.is_ipv4());
        assert!(
            local.is_none_or(|a| a.address == Ipv4Addr::LOCALHOST && a.prefix == 8 && a.lifetime_s.is_none())
        );
    }

    #[test]
    fn what_is_sent_is_read_back() {
        let sent = Address {
            index: 7,
            address: "192.0.2.1".parse().unwrap(),
            prefix: 24,
            scope: 0,
            label: Some("eth0:1".into()),
            broadcast: Some("192.0.2.255".parse().unwrap()),
            lifetime_s: Some(2),
        };
        assert_eq!(address(&address_message(&sent, true)), Some(sent.clone()));
        let v6 = Address {
            address: "2001:db8::1".parse().unwrap(),
            prefix: 128,
            label: None,
            broadcast: None,
            lifetime_s: None,
            ..sent
        };
        assert_eq!(address(&address_message(&v6, true)), Some(v6));
    }

    #[test]
    fn messages_that_are_cut_are_left_out() {
        let sent = Address {
            index: 7,
            address: "192.0.2.1".parse().unwrap(),
            prefix: 24,
            scope: 0,
            label: None,
            broadcast: None,
            lifetime_s: None,
        };
        let whole = address_message(&sent, true);
        for len in 0..whole.len() {
            let read = address(&whole[..len]);
            assert!(read.is_none_or(|a| a.address == sent.address));
        }
        for len in 0..HEADER {
            assert_eq!(messages(&vec![0xff; len]).count(), 0);
        }
    }
}
