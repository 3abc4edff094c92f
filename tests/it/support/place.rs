//! Loopback addresses and ports that belong to one test process alone.
//!
//! Each process takes an address of its own from 127.64.0.0/10, made of its pid, so that ports of tests running
//! side by side cannot collide.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// The loopback address of this process.
pub fn address() -> Ipv4Addr {
    let pid = std::process::id();
    Ipv4Addr::new(127, 64 + ((pid >> 16) & 63) as u8, (pid >> 8) as u8, (pid as u8).clamp(1, 254))
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

/// Waits until somebody listens on the TCP port, without connecting to it: on any address but those of other tests.
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
    let wanted = format!("{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        std::fs::read_to_string(table).unwrap_or_default().lines().skip(1).any(|line| {
            let mut words = line.split_whitespace();
            let local = words.nth(1).unwrap_or("");
            let state = words.nth(1).unwrap_or("");
            let (host, port) = local.rsplit_once(':').unwrap_or_default();
            state == LISTEN && port == wanted && !is_of_another(host)
        })
    })
}

/// Whether an address of /proc/net/tcp is one that [`address`] gives to another process.
fn is_of_another(host: &str) -> bool {
    let Some(ip) = u32::from_str_radix(host, 16).ok().filter(|_| host.len() == 8) else { return false };
    let ip = Ipv4Addr::from(ip.to_ne_bytes());
    let [first, second, ..] = ip.octets();
    first == 127 && second & 0xc0 == 64 && ip != address()
}
