//! Bursts of datagrams: received by the batch, coalesced where the kernel does that (UDP_GRO), and sent in as few calls as
//! it takes (sendmmsg(2), UDP_SEGMENT), from the address that was asked.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

use super::epoll::counted;
use super::socket::{self, Peer, RawAddr};

/// Messages of one call, and datagrams of one message that the kernel cuts.
pub const MOST: usize = 32;
/// Longest datagram, or what the kernel coalesced.
const ROOM: usize = 65_536;
/// Octets for control messages: an address and a size.
const CONTROL: usize = 96;
/// Longest datagram that one message carries many of: what fits an Ethernet frame whatever the family.
const SEGMENT_MOST: usize = 1452;
/// Most octets and most datagrams of a message that the kernel cuts.
const TRAIN: usize = 60_000;
const TRAIN_MOST: usize = 64;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// Where one message came from, and which address of ours it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub peer: SocketAddr,
    /// It came to a socket of IPv6, whose answers to IPv4 go to an address inside of it.
    pub is_wide: bool,
    /// `None` where the socket is bound to one address.
    pub asked: Option<Asked>,
}

impl Origin {
    fn raw(&self) -> RawAddr {
        RawAddr::inet(match self.peer {
            SocketAddr::V4(peer) if self.is_wide => {
                SocketAddr::new(peer.ip().to_ipv6_mapped().into(), peer.port())
            }
            peer => peer,
        })
    }
}

/// An address of ours, with its interface where that is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub ip: IpAddr,
    pub interface: u32,
}

/// Room for messages, used again and again.
pub struct Intake {
    bytes: Vec<u8>,
    peers: Vec<RawAddr>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers lead to memory that the value owns, at addresses that do not change when it moves; the kernel alone
// follows them, in calls through `&mut self`.
unsafe impl Send for Intake {}

impl Default for Intake {
    fn default() -> Intake {
        let nobody = RawAddr::inet(SocketAddr::from(([0, 0, 0, 0], 0)));
        let mut intake = Intake {
            bytes: vec![0; MOST * ROOM],
            peers: vec![nobody; MOST],
            controls: vec![Control([0; CONTROL]); MOST],
            // SAFETY: all-zero is a valid iovec and mmsghdr.
            vectors: unsafe { vec![zeroed(); MOST] },
            // SAFETY: as above.
            headers: unsafe { vec![zeroed(); MOST] },
        };
        for at in 0..MOST {
            let room = intake.bytes[at * ROOM..].as_mut_ptr();
            intake.vectors[at] = libc::iovec { iov_base: room.cast(), iov_len: ROOM };
            let of = &mut intake.headers[at].msg_hdr;
            of.msg_name = (&raw mut intake.peers[at].storage).cast();
            of.msg_iov = &raw mut intake.vectors[at];
            of.msg_iovlen = 1;
            of.msg_control = intake.controls[at].0.as_mut_ptr().cast();
        }
        intake
    }
}

impl Intake {
    /// Takes what has come, and says how many messages that are. `WouldBlock`: none.
    pub fn receive(&mut self, fd: RawFd) -> io::Result<usize> {
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL;
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: every header points to memory of `self` that lives through the call, with its true lengths.
        counted(unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                libc::c_long::from(fd),
                self.headers.as_mut_ptr(),
                self.headers.len(),
                libc::c_long::from(libc::MSG_DONTWAIT),
                std::ptr::null::<libc::timespec>(),
            )
        })
    }

    /// The datagrams of a message that was received.
    pub fn datagrams(&self, at: usize) -> impl Iterator<Item = &[u8]> {
        let header = &self.headers[at];
        let bytes = &self.bytes[at * ROOM..][..(header.msg_len as usize).min(ROOM)];
        let segment = self.segment(at).filter(|n| *n > 0).unwrap_or(ROOM);
        // A datagram may be empty.
        let empty = bytes.is_empty().then_some(bytes);
        bytes.chunks(segment).chain(empty)
    }

    /// Who sent a message; `None`: nobody of the Internet.
    pub fn origin(&self, at: usize) -> Option<Origin> {
        let raw = RawAddr { storage: self.peers[at].storage, len: self.headers[at].msg_hdr.msg_namelen };
        let Peer::Inet(peer) = raw.peer() else { return None };
        let is_wide = libc::c_int::from(raw.storage.ss_family) == libc::AF_INET6;
        Some(Origin { peer, is_wide, asked: self.asked(at) })
    }

    fn segment(&self, at: usize) -> Option<usize> {
        self.control(at, |kind, data| {
            // SAFETY: the kernel writes an int for this kind.
            (kind == (libc::SOL_UDP, libc::UDP_GRO))
                .then(|| unsafe { data.cast::<libc::c_int>().read_unaligned() })
        })
        .and_then(|n| usize::try_from(n).ok())
    }

    fn asked(&self, at: usize) -> Option<Asked> {
        self.control(at, |kind, data| match kind {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: the kernel writes this structure for this kind.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                let ip = IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes());
                Some(Asked { ip, interface: 0 })
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: the kernel writes this structure for this kind.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                let octets = info.ipi6_addr.s6_addr;
                let is_link_local = octets[0] == 0xfe && octets[1] & 0xc0 == 0x80;
                Some(Asked {
                    ip: octets.into(),
                    interface: if is_link_local { info.ipi6_ifindex } else { 0 },
                })
            }
            _ => None,
        })
    }

    /// What `read` makes of the first control message that it knows.
    fn control<T>(&self, at: usize, read: impl Fn((i32, i32), *const u8) -> Option<T>) -> Option<T> {
        let header = &raw const self.headers[at].msg_hdr;
        // SAFETY: the kernel wrote the control messages, and the header says how long they are.
        unsafe {
            let mut next = libc::CMSG_FIRSTHDR(header);
            while !next.is_null() {
                let found = read(((*next).cmsg_level, (*next).cmsg_type), libc::CMSG_DATA(next));
                if found.is_some() {
                    return found;
                }
                next = libc::CMSG_NXTHDR(header, next);
            }
        }
        None
    }
}

/// Lets the kernel hand over datagrams of one sender coalesced, where it can.
pub fn coalesce(fd: RawFd) {
    let _ = socket::set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
}

/// A datagram to send: what stands before it, and itself.
#[derive(Clone, Copy)]
pub struct Piece<'p> {
    pub before: &'p [u8],
    pub bytes: &'p [u8],
}

impl Piece<'_> {
    fn len(&self) -> usize {
        self.before.len() + self.bytes.len()
    }
}

/// What sending uses again and again.
#[derive(Default)]
pub struct Outlet {
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    controls: Vec<Control>,
    /// How many datagrams each message has.
    trains: Vec<usize>,
    /// The kernel does not cut messages for us.
    is_plain: bool,
}

// SAFETY: as for `Intake`: what the pointers lead to is only used within a call.
unsafe impl Send for Outlet {}

impl Outlet {
    /// Sends datagrams in order: over a connected socket, or with `to` back to who sent. Says how many left; what does not
    /// fit into the socket's buffer is dropped, as networks do. An error is told only while nothing was sent: that of an
    /// earlier datagram (`ConnectionRefused`), or of this one.
    pub fn send(&mut self, fd: RawFd, to: Option<&Origin>, pieces: &[Piece<'_>]) -> io::Result<usize> {
        if let (None, [piece]) = (to, pieces)
            && piece.before.is_empty()
        {
            return socket::send(fd, piece.bytes, false).map(|_| 1);
        }
        let (mut sent, mut tried) = (0, false);
        while sent < pieces.len() {
            match self.burst(fd, to, &pieces[sent..]) {
                Ok(0) => break,
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // It may be a single datagram that is refused: only what goes better without trains is gone on with so.
                Err(e)
                    if !self.is_plain
                        && self.trains.first().is_some_and(|n| *n > 1)
                        && refuses_trains(&e) =>
                {
                    (self.is_plain, tried) = (true, true);
                }
                Err(e) if sent == 0 => {
                    self.is_plain &= !tried;
                    return Err(e);
                }
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// One call: how many datagrams it took.
    fn burst(&mut self, fd: RawFd, to: Option<&Origin>, pieces: &[Piece<'_>]) -> io::Result<usize> {
        self.couple(pieces);
        let mut peer = to.map(Origin::raw);
        self.controls.clear();
        self.controls.resize(self.trains.len(), Control([0; CONTROL]));
        self.headers.clear();
        let mut first = 0;
        for at in 0..self.trains.len() {
            let count = self.trains[at];
            // SAFETY: all-zero is a valid mmsghdr.
            let mut message: libc::mmsghdr = unsafe { zeroed() };
            let header = &mut message.msg_hdr;
            header.msg_iov = self.vectors[first * 2..].as_mut_ptr();
            header.msg_iovlen = count * 2;
            if let Some(peer) = &mut peer {
                header.msg_name = (&raw mut peer.storage).cast();
                header.msg_namelen = peer.len;
            }
            let segment = (count > 1).then(|| pieces[first].len() as u16);
            let asked = to.and_then(|origin| origin.asked);
            let used = write_control(&mut self.controls[at], asked, segment);
            if used > 0 {
                header.msg_control = self.controls[at].0.as_mut_ptr().cast();
                header.msg_controllen = used;
            }
            self.headers.push(message);
            first += count;
        }
        // SAFETY: every header points to vectors, controls and an address that live through the call; what the vectors lead to
        // is only read.
        let done = counted(unsafe {
            libc::syscall(
                libc::SYS_sendmmsg,
                libc::c_long::from(fd),
                self.headers.as_mut_ptr(),
                self.headers.len(),
                libc::c_long::from(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT),
            )
        })?;
        Ok(self.trains.iter().take(done).sum())
    }

    /// Puts datagrams of one size behind each other into one message, with a shorter one at its end.
    fn couple(&mut self, pieces: &[Piece<'_>]) {
        self.vectors.clear();
        self.trains.clear();
        let vector =
            |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // The size of the open message's datagrams, and octets so far; 0: no message is open.
        let (mut size, mut total) = (0, 0);
        for piece in pieces.iter().take(MOST * TRAIN_MOST) {
            let len = piece.len();
            self.vectors.extend([vector(piece.before), vector(piece.bytes)]);
            let fits = size > 0 && len > 0 && len <= size && total + len <= TRAIN;
            match self.trains.last_mut().filter(|n| fits && **n < TRAIN_MOST) {
                Some(count) => {
                    *count += 1;
                    total += len;
                    if len < size {
                        size = 0;
                    }
                }
                None => {
                    if self.trains.len() == MOST {
                        self.vectors.truncate(self.vectors.len() - 2);
                        return;
                    }
                    self.trains.push(1);
                    size = if self.is_plain || len > SEGMENT_MOST { 0 } else { len };
                    total = len;
                }
            }
        }
    }
}

/// The kernel or the way out does not cut messages.
fn refuses_trains(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE | libc::EOPNOTSUPP))
}

/// Writes which address a message comes from, and into datagrams of which size it is cut. Says how long that is.
fn write_control(control: &mut Control, asked: Option<Asked>, segment: Option<u16>) -> usize {
    // SAFETY: all-zero is a valid msghdr.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL;
    let mut used = 0;
    // SAFETY: the buffer has room for both messages, whose places the macros compute.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(&raw const header);
        if let Some(asked) = asked {
            used += put_asked(next, asked);
            next = libc::CMSG_NXTHDR(&raw const header, next);
        }
        if let Some(size) = segment {
            used += put(next, (libc::SOL_UDP, libc::UDP_SEGMENT), size);
        }
    }
    used
}

/// # Safety
/// `place` is one of a buffer with room for `value`.
unsafe fn put<T>(place: *mut libc::cmsghdr, (level, kind): (i32, i32), value: T) -> usize {
    let size = size_of::<T>() as u32;
    // SAFETY: the caller's.
    unsafe {
        (*place).cmsg_level = level;
        (*place).cmsg_type = kind;
        (*place).cmsg_len = libc::CMSG_LEN(size) as usize;
        libc::CMSG_DATA(place).cast::<T>().write_unaligned(value);
        libc::CMSG_SPACE(size) as usize
    }
}

/// # Safety
/// As [`put`]'s.
unsafe fn put_asked(place: *mut libc::cmsghdr, asked: Asked) -> usize {
    match asked.ip {
        IpAddr::V4(ip) => {
            let s_addr = u32::from_ne_bytes(ip.octets());
            let info = libc::in_pktinfo {
                ipi_ifindex: asked.interface as i32,
                ipi_spec_dst: libc::in_addr { s_addr },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            // SAFETY: the caller's.
            unsafe { put(place, (libc::IPPROTO_IP, libc::IP_PKTINFO), info) }
        }
        IpAddr::V6(ip) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: asked.interface,
            };
            // SAFETY: the caller's.
            unsafe { put(place, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use crate::os::datagram::want_destination;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).expect("bound");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        socket
    }

    fn pieces<'p>(list: &'p [Vec<u8>], before: &'p [u8]) -> Vec<Piece<'p>> {
        list.iter().map(|bytes| Piece { before, bytes }).collect()
    }

    /// Receives until there are `count` datagrams.
    fn take(fd: RawFd, count: usize) -> (Vec<Vec<u8>>, Option<Origin>) {
        let (mut intake, mut all, mut origin) = (Intake::default(), Vec::new(), None);
        while all.len() < count {
            let Ok(n) = intake.receive(fd) else { continue };
            for at in 0..n {
                all.extend(intake.datagrams(at).map(<[u8]>::to_vec));
                origin = intake.origin(at);
            }
        }
        (all, origin)
    }

    #[test]
    fn datagrams_keep_their_borders() {
        let to = socket("127.0.0.1:0");
        let from = socket("127.0.0.1:0");
        from.connect(to.local_addr().expect("an address")).expect("connected");
        let sizes = [100, 100, 100, 7, 100, 0, 3000, 3000, 40, 60, 60];
        let list: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
        let mut outlet = Outlet::default();
        for is_plain in [false, true] {
            outlet.is_plain |= is_plain;
            for coalesced in [0, 1] {
                socket::set_option(to.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, coalesced).expect("known");
                for before in [&b""[..], b"head"] {
                    let sent = outlet.send(from.as_raw_fd(), None, &pieces(&list, before)).expect("sent");
                    assert_eq!(sent, list.len());
                    let whole: Vec<Vec<u8>> = list.iter().map(|part| [before, part].concat()).collect();
                    let (got, origin) = take(to.as_raw_fd(), list.len());
                    assert!(got == whole, "{is_plain} {coalesced}");
                    assert_eq!(origin.map(|o| o.peer), from.local_addr().ok());
                }
            }
        }
    }

    #[test]
    fn many_go_in_several_calls() {
        let (to, from) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        coalesce(to.as_raw_fd());
        from.connect(to.local_addr().expect("an address")).expect("connected");
        let list: Vec<Vec<u8>> = (0..300).map(|i| vec![i as u8; 1 + i % 3]).collect();
        let sent = Outlet::default().send(from.as_raw_fd(), None, &pieces(&list, b"")).expect("sent");
        assert_eq!(sent, 300);
        assert!(take(to.as_raw_fd(), 300).0 == list);
    }

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        for (bound, asked, client) in [
            ("0.0.0.0:0", "127.9.8.7", "127.0.0.1:0"),
            ("[::]:0", "[::1]", "[::1]:0"),
            ("[::]:0", "127.9.8.7", "127.0.0.1:0"),
        ] {
            let server = socket(bound);
            want_destination(server.as_raw_fd(), bound.starts_with('[')).expect("known");
            let client = socket(client);
            let asked = format!("{asked}:{}", server.local_addr().expect("an address").port());
            client.send_to(b"one", &asked).expect("sent");
            let (_, origin) = take(server.as_raw_fd(), 1);
            let list = [b"two".to_vec(), b"six".to_vec()];
            let sent = Outlet::default().send(server.as_raw_fd(), origin.as_ref(), &pieces(&list, b""));
            assert_eq!(sent.expect("sent"), 2, "{bound}");
            let mut room = [0; 10];
            for text in ["two", "six"] {
                let (n, from) = client.recv_from(&mut room).expect("an answer");
                assert_eq!((&room[..n], from.to_string()), (text.as_bytes(), asked.clone()));
            }
        }
    }

    #[test]
    fn nobody_there_is_told_of_once() {
        let gone = socket("127.0.0.1:0");
        let from = socket("127.0.0.1:0");
        from.connect(gone.local_addr().expect("an address")).expect("connected");
        drop(gone);
        let list = [vec![1; 10], vec![2; 10]];
        let mut outlet = Outlet::default();
        assert_eq!(outlet.send(from.as_raw_fd(), None, &pieces(&list, b"")).expect("sent"), 2);
        std::thread::sleep(Duration::from_millis(50));
        let error = outlet.send(from.as_raw_fd(), None, &pieces(&list, b"")).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
