//! What the kernel knows of a connection, and what it is told of one: TCP_INFO, the saved SYN, marks, types of service.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::RawFd;

use super::epoll::check;
use super::socket::set_option;

/// Figures of a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    pub rtt_us: u32,
    pub rttvar_us: u32,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub fackets: u32,
    pub reordering: u32,
}

/// `None` for what is no TCP connection.
pub fn tcp_info(fd: RawFd) -> Option<TcpInfo> {
    // SAFETY: all-zero is a valid tcp_info.
    let mut info: libc::tcp_info = unsafe { zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` is writable for its size.
    let ret =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut len) };
    (ret == 0).then_some(TcpInfo {
        rtt_us: info.tcpi_rtt,
        rttvar_us: info.tcpi_rttvar,
        unacked: info.tcpi_unacked,
        sacked: info.tcpi_sacked,
        lost: info.tcpi_lost,
        retrans: info.tcpi_retrans,
        fackets: info.tcpi_fackets,
        reordering: info.tcpi_reordering,
    })
}

/// Most bytes of a kept packet: headers of Ethernet (with tags), IP and TCP.
const MOST_SYN: usize = 512;

/// The packet that began a connection of a socket with [`keep_syn`]; the kernel gives it once.
pub fn saved_syn(fd: RawFd) -> Option<Vec<u8>> {
    let mut packet = vec![0u8; MOST_SYN];
    let mut len = MOST_SYN as libc::socklen_t;
    // SAFETY: `packet` is writable for `len` bytes.
    let ret = unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_SAVED_SYN, packet.as_mut_ptr().cast(), &mut len)
    };
    packet.truncate(len as usize);
    (ret == 0 && !packet.is_empty()).then_some(packet)
}

/// Connections of a listening socket keep the packet that they began with: from IP on (1), or from Ethernet on (2).
pub fn keep_syn(fd: RawFd, mode: i32) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_SAVE_SYN, mode)
}

/// Whether an address is one of this machine's: whether a socket could have it.
pub fn is_local(address: IpAddr) -> bool {
    !address.is_unspecified() && UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// Packets of the connection carry this mark (SO_MARK), which firewalls and routes may ask for.
pub fn set_mark(fd: RawFd, mark: u32) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_MARK, mark as i32)
}

/// Packets of the connection say this type of service.
pub fn set_tos(fd: RawFd, tos: u8) {
    // One of them is the socket's family; a socket of IPv6 may carry both.
    let _ = set_option(fd, libc::IPPROTO_IP, libc::IP_TOS, i32::from(tos));
    let _ = set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, i32::from(tos));
}

/// Both, where they are given. What the kernel refuses (marks without the right to) is left as it is.
pub fn say(fd: RawFd, mark: Option<u32>, tos: Option<u8>) {
    if let Some(mark) = mark {
        let _ = set_mark(fd, mark);
    }
    if let Some(tos) = tos {
        set_tos(fd, tos);
    }
}

/// Packets of the connection go this many hops at most.
pub fn set_hops(fd: RawFd, hops: u8) {
    let _ = set_option(fd, libc::IPPROTO_IP, libc::IP_TTL, i32::from(hops));
    let _ = set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, i32::from(hops));
}

/// Forgets a connection: what it sent and received, and that it was (TCP_REPAIR). Only with the right to administer the
/// network.
pub fn forget(fd: RawFd) -> bool {
    let on: libc::c_int = 1;
    // SAFETY: `on` is readable for its size.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn figures_of_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let info = tcp_info(client.as_raw_fd()).unwrap();
        assert!(info.rtt_us < 1_000_000 && info.lost == 0);
        assert_eq!(info.reordering, 3);
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(tcp_info(unix.as_raw_fd()), None);
    }

    #[test]
    fn packets_are_kept_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        keep_syn(listener.as_raw_fd(), 1).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let packet = saved_syn(server.as_raw_fd()).unwrap();
        assert_eq!(packet[0] >> 4, 4);
        assert_eq!(packet[12..16], [127, 0, 0, 1]);
        assert_eq!(saved_syn(server.as_raw_fd()), None);
    }

    #[test]
    fn addresses_of_this_machine() {
        assert!(is_local("127.0.0.1".parse().unwrap()));
        assert!(!is_local("192.0.2.77".parse().unwrap()));
    }
}
