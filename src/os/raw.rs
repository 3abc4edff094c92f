//! Raw sockets of one IP protocol on one interface, and frames sent as they are (raw(7), packet(7)).
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::epoll::{check, counted};

/// Traffic class CS6, network control.
const CLASS: u32 = 0xc0;

/// A raw socket. Over IPv4 it sends whole packets, whose header the caller made; over IPv6 what follows the header.
#[derive(Debug)]
pub struct RawSocket {
    socket: Socket,
    is_ipv6: bool,
}

/// A packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where the message begins and ends in the room given.
    pub start: usize,
    pub end: usize,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The interface that a link-local source belongs to.
    pub scope: u32,
}

impl RawSocket {
    /// A socket of `protocol` on an interface, or on all of them. Needs CAP_NET_RAW. Its own multicast does not come back.
    pub fn open(ipv6: bool, protocol: u8, interface: Option<(&str, u32)>) -> io::Result<RawSocket> {
        let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
        socket.set_nonblocking(true)?;
        if let Some((name, index)) = interface {
            socket.bind_device(Some(name.as_bytes()))?;
            if ipv6 {
                socket.set_multicast_if_v6(index)?;
            }
        }
        if ipv6 {
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_hops_v6(255)?;
            socket.set_unicast_hops_v6(255)?;
            socket.set_recv_hoplimit_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            socket.set_tclass_v6(CLASS)?;
        } else {
            socket.set_multicast_loop_v4(false)?;
            socket.set_header_included_v4(true)?;
        }
        Ok(RawSocket { socket, is_ipv6: ipv6 })
    }

    /// Hears a multicast group on an interface.
    pub fn join(&self, group: IpAddr, index: u32) -> io::Result<()> {
        let joined = match group {
            IpAddr::V4(group) => {
                self.socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
            }
            IpAddr::V6(group) => self.socket.join_multicast_v6(&group, index),
        };
        match joined {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(()),
            done => done,
        }
    }

    /// The hop limit of unicast packets over IPv6.
    pub fn set_hops(&self, hops: u8) -> io::Result<()> {
        self.socket.set_unicast_hops_v6(u32::from(hops))
    }

    /// Sends a packet. Over IPv6 it comes from `source`, over IPv4 from what its header says. `scope` is the interface.
    pub fn send(&self, packet: &[u8], source: IpAddr, destination: IpAddr, scope: u32) -> io::Result<()> {
        let IpAddr::V6(source) = source else {
            return self.socket.send_to(packet, &address(destination, scope).into()).map(|_| ());
        };
        let info =
            libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: scope };
        let IpAddr::V6(destination) = destination else { return Err(io::ErrorKind::InvalidInput.into()) };
        let to = SockaddrIn6::from(SocketAddrV6::new(destination, 0, 0, scope));
        let control = [ControlMessage::Ipv6PacketInfo(&info)];
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(packet)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// The next packet; `None` when there is none. One that is cut or has a broken header is skipped.
    pub fn receive(&self, room: &mut [u8]) -> io::Result<Option<Received>> {
        loop {
            let mut control = nix::cmsg_space!(libc::c_int, libc::in6_pktinfo);
            let mut parts = [IoSliceMut::new(room)];
            let fd = self.socket.as_raw_fd();
            let message = match recvmsg::<SockaddrStorage>(
                fd,
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                Err(nix::errno::Errno::EINTR) => continue,
                Err(e) => return Err(e.into()),
            };
            let (len, is_cut) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
            let (mut hops, mut to) = (0, None);
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    ControlMessageOwned::Ipv6HopLimit(limit) => hops = limit as u8,
                    ControlMessageOwned::Ipv6PacketInfo(info) => to = Some(info.ipi6_addr.s6_addr),
                    _ => {}
                }
            }
            let from = message.address.and_then(|a| a.as_sockaddr_in6().map(|a| (a.ip(), a.scope_id())));
            let received = match (self.is_ipv6, from, to) {
                (true, Some((source, scope)), Some(to)) => {
                    let (source, destination) = (source.into(), Ipv6Addr::from(to).into());
                    Some(Received { start: 0, end: len, source, destination, ttl: hops, scope })
                }
                (true, ..) => None,
                (false, ..) => ipv4(&room[..len]),
            };
            if let Some(received) = received.filter(|_| !is_cut) {
                return Ok(Some(received));
            }
        }
    }
}

impl AsRawFd for RawSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn address(ip: IpAddr, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::new(ip, 0),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope).into(),
    }
}

/// What an IPv4 header says.
fn ipv4(packet: &[u8]) -> Option<Received> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let start = usize::from(header[0] & 0x0f) * 4;
    let end = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || start < 20 || end < start || end > packet.len() {
        return None;
    }
    let ip = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into();
    Some(Received { start, end, source: ip(12), destination: ip(16), ttl: header[8], scope: 0 })
}

/// Sends Ethernet frames; receives none. Needs CAP_NET_RAW.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    pub fn open() -> io::Result<FrameSocket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers; the returned descriptor is owned by nobody else.
        unsafe { Ok(FrameSocket(OwnedFd::from_raw_fd(check(libc::socket(libc::AF_PACKET, kind, 0))?))) }
    }

    /// Sends a whole frame on an interface. A full queue is [`io::ErrorKind::WouldBlock`].
    pub fn send(&self, frame: &[u8], index: u32) -> io::Result<()> {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut to: libc::sockaddr_ll = unsafe { zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = index as i32;
        let (data, len) = (frame.as_ptr().cast(), frame.len());
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: frame and address are readable for their lengths through the call.
        counted(unsafe {
            libc::sendto(self.0.as_raw_fd(), data, len, 0, (&raw const to).cast(), size) as libc::c_long
        })
        .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_where_the_message_is() {
        let mut packet = vec![0x46, 0xc0, 0, 28, 0, 1, 0, 0, 255, 112, 0, 0, 10, 0, 0, 1, 224, 0, 0, 18];
        packet.extend([0; 8]);
        let read = ipv4(&packet).unwrap();
        assert_eq!((read.start, read.end, read.ttl), (24, 28, 255));
        assert_eq!(read.source, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(read.destination, IpAddr::from([224, 0, 0, 18]));
        for broken in [(0, 0x66), (0, 0x44), (3, 29), (3, 20)] {
            let mut packet = packet.clone();
            packet[broken.0] = broken.1;
            assert_eq!(ipv4(&packet), None, "{broken:?}");
        }
        assert_eq!(ipv4(&packet[..19]), None);
    }
}
