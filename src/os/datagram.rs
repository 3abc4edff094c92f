//! Datagrams by the batch: received and answered in place, from the address they were sent to (recvmmsg(2), ip(7)).
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::epoll::{check, counted};
use super::socket::{self, Peer, RawAddr};

/// Octets of a cache line.
const LINE: usize = 64;
/// Octets for control messages: one IP_PKTINFO or IPV6_PKTINFO.
const CONTROL: usize = 64;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// Where an answer goes, and from where it comes.
#[derive(Clone)]
pub struct Return {
    peer: RawAddr,
    control: Control,
    control_len: usize,
}

impl Return {
    pub fn peer(&self) -> Option<SocketAddr> {
        match self.peer.peer() {
            Peer::Inet(address) => Some(address),
            Peer::Unix => None,
        }
    }
}

/// Room for so many datagrams, used again and again.
pub struct Batch {
    queries: Vec<u8>,
    answers: Vec<u8>,
    room: usize,
    /// From one query's place to the next.
    stride: usize,
    answer_room: usize,
    returns: Vec<Return>,
    sizes: Vec<usize>,
    /// Of the answer; 0: none.
    replies: Vec<usize>,
    /// Where datagrams are received: made once, and made ready again as far as they were used.
    taking: Headers,
    /// What is sent.
    giving: Headers,
    received: usize,
}

struct Headers {
    vectors: Vec<libc::iovec>,
    list: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers lead to memory that the batch owns, at addresses that do not change when it moves; they are followed
// by the kernel alone, in calls through `&mut self`.
unsafe impl Send for Batch {}

impl Headers {
    fn new(count: usize) -> Headers {
        // SAFETY: all-zero is a valid iovec and mmsghdr.
        unsafe { Headers { vectors: vec![zeroed(); count], list: vec![zeroed(); count] } }
    }
}

impl Batch {
    /// `room`: octets of a datagram; what is longer is cut off. `answer_room`: of an answer.
    pub fn new(count: usize, room: usize, answer_room: usize) -> Batch {
        // An odd number of cache lines: else the beginnings of all places would share the same few.
        let stride = (room.div_ceil(LINE) | 1) * LINE;
        let nobody = Return {
            peer: RawAddr::inet(SocketAddr::from(([0, 0, 0, 0], 0))),
            control: Control([0; CONTROL]),
            control_len: 0,
        };
        let mut batch = Batch {
            queries: vec![0; count * stride],
            answers: vec![0; count * answer_room],
            room,
            stride,
            answer_room,
            returns: vec![nobody; count],
            sizes: vec![0; count],
            replies: vec![0; count],
            taking: Headers::new(count),
            giving: Headers::new(count),
            received: 0,
        };
        for at in 0..count {
            batch.taking.vectors[at] =
                libc::iovec { iov_base: batch.queries[at * stride..].as_mut_ptr().cast(), iov_len: room };
            let back = &mut batch.returns[at];
            let of = &mut batch.taking.list[at].msg_hdr;
            of.msg_name = (&raw mut back.peer.storage).cast();
            of.msg_iov = &raw mut batch.taking.vectors[at];
            of.msg_iovlen = 1;
            of.msg_control = back.control.0.as_mut_ptr().cast();
            batch.rearm(at);
        }
        batch
    }

    /// The kernel writes how much of it was used.
    fn rearm(&mut self, at: usize) {
        let of = &mut self.taking.list[at].msg_hdr;
        of.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        of.msg_controllen = CONTROL;
        of.msg_flags = 0;
    }

    /// Takes what has come, and says how many; 0 when nothing has. With `wait` it waits for the first as long as the socket
    /// says (see [`wait_inside`]).
    pub fn receive(&mut self, fd: RawFd, wait: bool) -> io::Result<usize> {
        (0..self.received).for_each(|at| self.rearm(at));
        self.received = 0;
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: every header points to memory of `self` that lives through the call, with its true lengths.
        let got = counted(unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                libc::c_long::from(fd),
                self.taking.list.as_mut_ptr(),
                self.taking.list.len(),
                libc::c_long::from(flags),
                std::ptr::null::<libc::timespec>(),
            )
        });
        let got = match got {
            Ok(got) => got,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            // An answer that could not be delivered is told to the next call: nothing to do about it.
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH)
                ) =>
            {
                0
            }
            Err(e) => return Err(e),
        };
        for at in 0..got {
            let header = &self.taking.list[at];
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.sizes[at] = if cut { 0 } else { (header.msg_len as usize).min(self.room) };
            self.returns[at].peer.len = header.msg_hdr.msg_namelen;
            self.returns[at].answer_from(header);
            self.replies[at] = 0;
        }
        self.received = got;
        Ok(got)
    }

    /// A datagram, who sent it, and room for the answer; see [`Batch::reply`]. One that was too long is empty.
    pub fn datagram(&mut self, at: usize) -> (&[u8], &Return, &mut [u8]) {
        let query = &self.queries[at * self.stride..][..self.sizes[at]];
        let answer = &mut self.answers[at * self.answer_room..][..self.answer_room];
        (query, &self.returns[at], answer)
    }

    /// The answer to this datagram has so many octets.
    pub fn reply(&mut self, at: usize, len: usize) {
        self.replies[at] = len.min(self.answer_room);
    }

    /// Sends the answers. What cannot be sent is dropped, as networks do; says how many were.
    pub fn send(&mut self, fd: RawFd) -> usize {
        let mut count = 0;
        for at in (0..self.received).filter(|at| self.replies[*at] > 0) {
            let back = &mut self.returns[at];
            self.giving.vectors[count] = libc::iovec {
                iov_base: self.answers[at * self.answer_room..].as_mut_ptr().cast(),
                iov_len: self.replies[at],
            };
            let of = &mut self.giving.list[count].msg_hdr;
            of.msg_name = (&raw mut back.peer.storage).cast();
            of.msg_namelen = back.peer.len;
            of.msg_iov = &raw mut self.giving.vectors[count];
            of.msg_iovlen = 1;
            of.msg_control =
                if back.control_len > 0 { back.control.0.as_mut_ptr().cast() } else { std::ptr::null_mut() };
            of.msg_controllen = back.control_len;
            of.msg_flags = 0;
            count += 1;
        }
        let (mut sent, mut dropped) = (0, 0);
        while sent < count {
            // SAFETY: every header from `sent` on points to memory of `self` that lives through the call.
            let done = counted(unsafe {
                libc::syscall(
                    libc::SYS_sendmmsg,
                    libc::c_long::from(fd),
                    self.giving.list[sent..].as_mut_ptr(),
                    count - sent,
                    libc::c_long::from(libc::MSG_DONTWAIT),
                )
            });
            match done {
                Ok(n) if n > 0 => sent += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && wait_writable(fd) => {}
                _ => (sent, dropped) = (sent + 1, dropped + 1),
            }
        }
        count - dropped
    }
}

/// Most datagrams of one [`send_batch`].
const MOST_SENT: usize = 64;

/// Sends pieces of `bytes`, each of which ends where `ends` says, as datagrams on a connected socket without waiting: some
/// of them from the `from`th on. The number of those that were sent, or why the first of them was not.
pub fn send_batch(fd: RawFd, bytes: &[u8], ends: &[usize], from: usize) -> io::Result<usize> {
    if from + 1 == ends.len() {
        let begin = from.checked_sub(1).map_or(0, |before| ends[before]);
        return socket::send(fd, &bytes[begin.min(bytes.len())..], false).map(|_| 1);
    }
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; MOST_SENT];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MOST_SENT];
    let mut begin = from.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let mut count = 0;
    let places = vectors.iter_mut().zip(&mut headers);
    for (&end, (vector, header)) in ends.iter().skip(from).zip(places) {
        let Some(piece) = bytes.get(begin..end) else { return Err(io::ErrorKind::InvalidInput.into()) };
        let vector =
            vector.write(libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
        // SAFETY: all-zero is a valid mmsghdr.
        let header = header.write(unsafe { zeroed() });
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        (begin, count) = (end, count + 1);
    }
    // SAFETY: the first `count` headers were written and point to one vector each, and that to a piece of `bytes`; all of
    // them live through the call.
    counted(unsafe {
        libc::syscall(
            libc::SYS_sendmmsg,
            libc::c_long::from(fd),
            headers.as_mut_ptr(),
            count,
            libc::c_long::from(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT),
        )
    })
}

/// Milliseconds that answers wait for room in the socket before one is dropped.
const PATIENCE_MS: libc::c_int = 10;

fn wait_writable(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one element, which lives through the call.
    unsafe { libc::poll(&raw mut poll, 1, PATIENCE_MS) > 0 }
}

impl Return {
    /// Makes of what the kernel said of a datagram what it needs to know of the answer.
    fn answer_from(&mut self, header: &libc::mmsghdr) {
        self.control_len = 0;
        // SAFETY: the kernel wrote the control messages, and the header says how long they are.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
            if first.is_null() {
                return;
            }
            let data = libc::CMSG_DATA(first);
            match ((*first).cmsg_level, (*first).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>();
                    let mut of = info.read_unaligned();
                    // The route decides on the interface, the address that was asked is the source.
                    of.ipi_ifindex = 0;
                    of.ipi_spec_dst = of.ipi_addr;
                    info.write_unaligned(of);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>();
                    let mut of = info.read_unaligned();
                    let is_link_local =
                        of.ipi6_addr.s6_addr[0] == 0xfe && of.ipi6_addr.s6_addr[1] & 0xc0 == 0x80;
                    if !is_link_local {
                        of.ipi6_ifindex = 0;
                        info.write_unaligned(of);
                    }
                }
                _ => return,
            }
            self.control_len = (*first).cmsg_len.next_multiple_of(size_of::<usize>()).min(CONTROL);
        }
    }
}

/// Sends one answer, later than the batch it belongs to.
pub fn send_back(fd: RawFd, back: &Return, answer: &[u8]) -> io::Result<()> {
    let mut back = back.clone();
    let mut vector = libc::iovec { iov_base: answer.as_ptr().cast_mut().cast(), iov_len: answer.len() };
    // SAFETY: all-zero is a valid msghdr; what it points to lives through the call, and `answer` is only read.
    counted(unsafe {
        let mut header: libc::msghdr = zeroed();
        header.msg_name = (&raw mut back.peer.storage).cast();
        header.msg_namelen = back.peer.len;
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        if back.control_len > 0 {
            header.msg_control = back.control.0.as_mut_ptr().cast();
            header.msg_controllen = back.control_len;
        }
        libc::sendmsg(fd, &raw const header, libc::MSG_DONTWAIT) as libc::c_long
    })?;
    Ok(())
}

/// Makes the kernel say to which address a datagram was sent: for sockets that are bound to all.
pub fn want_destination(fd: RawFd, is_v6: bool) -> io::Result<()> {
    if is_v6 {
        socket::set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        socket::set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Asks for room for so many octets of datagrams that wait, as far as the system allows.
pub fn set_buffers(fd: RawFd, bytes: i32) {
    let _ = socket::set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes);
    let _ = socket::set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes);
}

/// Makes [`Batch::receive`] wait by itself, at most so long: one call less for each batch of who has but one socket.
pub fn wait_inside(fd: RawFd, timeout_ms: u32) -> io::Result<()> {
    // SAFETY: the descriptor is open, and its flags are numbers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::fcntl(fd, libc::F_GETFL) & !libc::O_NONBLOCK) })?;
    let timeout =
        libc::timeval { tv_sec: i64::from(timeout_ms / 1000), tv_usec: i64::from(timeout_ms % 1000) * 1000 };
    // SAFETY: the option's value lives through the call, with its true length.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const timeout).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Waits until one of the descriptors can be read, at most so long; says which, by bit.
pub fn wait_readable(fds: &[RawFd], timeout_ms: i32) -> io::Result<u64> {
    let mut polls: smallvec::SmallVec<[libc::pollfd; 16]> =
        fds.iter().take(64).map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: the array has that many elements and lives through the call.
    match check(unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout_ms) }) {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
        Err(_) => Ok(0),
        Ok(_) => Ok(polls.iter().enumerate().fold(0, |bits, (at, p)| bits | u64::from(p.revents != 0) << at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    fn exchange(bind: &str, asked: &str, from: &str) {
        let server = UdpSocket::bind(bind).expect("bound");
        server.set_nonblocking(true).expect("non-blocking");
        let fd = server.as_raw_fd();
        want_destination(fd, bind.starts_with('[')).expect("an option");
        wait_inside(fd, 5000).expect("an option");
        let port = server.local_addr().expect("bound").port();
        let client = UdpSocket::bind(from).expect("bound");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let asked: SocketAddr = format!("{asked}:{port}").parse().expect("an address");
        for text in ["one", "two"] {
            client.send_to(text.as_bytes(), asked).expect("sent");
        }
        client.send_to(&[0; 100], asked).expect("sent");
        let mut batch = Batch::new(8, 64, 32);
        let mut late = None;
        let mut got = 0;
        while got < 3 {
            let n = batch.receive(fd, true).expect("received");
            for at in 0..n {
                let (query, back, answer) = batch.datagram(at);
                let size = query.len();
                answer[..size].copy_from_slice(query);
                late = Some(back.clone());
                assert_eq!(back.peer(), client.local_addr().ok());
                batch.reply(at, size);
            }
            assert!(batch.send(fd) <= n);
            got += n;
        }
        send_back(fd, &late.expect("one at least"), b"late").expect("sent");
        let mut buf = [0; 64];
        for text in ["one", "two", "late"] {
            let (size, from) = client.recv_from(&mut buf).expect("an answer");
            assert_eq!((&buf[..size], from), (text.as_bytes(), asked), "from the address that was asked");
        }
    }

    #[test]
    fn answers_come_from_where_was_asked() {
        exchange("0.0.0.0:0", "127.9.8.7", "127.0.0.1:0");
        exchange("[::]:0", "[::1]", "[::1]:0");
    }
}
