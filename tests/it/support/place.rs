//! Loopback addresses and ports that belong to one test alone.
//!
//! Proxies share a port with SO_REUSEPORT if two bind the same one, and then each gets some of the other's traffic.
//! So each test claims an address of its own from 127.64.0.0/10 for its proxies, and the one 64 higher in the second
//! octet for its origins.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// Who holds this UDP port on an address holds the address.
const CLAIM: u16 = 9;

thread_local! {
    static CLAIMED: (Ipv4Addr, UdpSocket) = claim();
}

/// The loopback address of this test (of the thread that runs it).
pub fn address() -> Ipv4Addr {
    CLAIMED.with(|(address, _)| *address)
}

/// The address of this test's origins.
pub fn origin_address() -> Ipv4Addr {
    let [_, b, c, d] = address().octets();
    Ipv4Addr::new(127, b + 64, c, d)
}

fn claim() -> (Ipv4Addr, UdpSocket) {
    let mut number = std::process::id();
    loop {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, b, c, d] = number.to_be_bytes();
        let address = Ipv4Addr::new(127, 64 + (b & 63), c, d.clamp(1, 254));
        if let Ok(held) = UdpSocket::bind((address, CLAIM)) {
            return (address, held);
        }
    }
}

/// A TCP port that was free a moment ago on [`address`].
pub fn free_port() -> u16 {
    TcpListener::bind((address(), 0)).and_then(|l| l.local_addr()).expect("a free loopback port").port()
}

/// A UDP port that was free a moment ago on [`address`].
pub fn free_udp_port() -> u16 {
    UdpSocket::bind((address(), 0)).and_then(|l| l.local_addr()).expect("a free loopback port").port()
}

/// An address where nobody listens: a connection is refused at once.
pub fn dead() -> SocketAddr {
    SocketAddr::from((address(), free_port()))
}

/// Waits until somebody listens on this port of [`address`], or of every address, without connecting to it.
pub fn wait_listening(port: u16, at_most: Duration) -> bool {
    wait_until(at_most, || listening(port))
}

/// Calls `done` every few milliseconds until it says true; false when `at_most` has passed.
pub fn wait_until(at_most: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + at_most;
    loop {
        if done() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn listening(port: u16) -> bool {
    const LISTEN: &str = "0A";
    let own = u32::from_ne_bytes(address().octets());
    let wanted =
        [format!("{own:08X}:{port:04X}"), format!("{:08X}:{port:04X}", 0), format!("{:032X}:{port:04X}", 0)];
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        std::fs::read_to_string(table).unwrap_or_default().lines().skip(1).any(|line| {
            let mut words = line.split_whitespace();
            let local = words.nth(1).unwrap_or("");
            let state = words.nth(1).unwrap_or("");
            state == LISTEN && wanted.iter().any(|w| w == local)
        })
    })
}
