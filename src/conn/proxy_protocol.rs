//! The PROXY protocol, versions 1 and 2: a client's addresses before its bytes (HAProxy's doc/proxy-protocol.txt).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::base::buf::{Buf, HEAD_SIZE};
use crate::base::clock::Nanos;

use super::link::Link;

/// What begins version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1.
const LINE_MAX: usize = 107;
const V2_HEAD: usize = 16;
/// What a header of version 2 is for.
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// Appends the header for the client's address and the one it is connected to; `None`: not of the Internet.
pub fn write(version: u8, ends: Option<(SocketAddr, SocketAddr)>, out: &mut Vec<u8>) {
    let both = ends.map(|(from, to)| same_family(from, to));
    if version < 2 {
        let line = match both {
            Some((from, to)) => {
                let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
                format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
            }
            None => "PROXY UNKNOWN\r\n".to_owned(),
        };
        return out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(SIGNATURE);
    let Some((from, to)) = both else {
        // PROXY, of a family without addresses.
        return out.extend_from_slice(&[0x21, 0, 0, 0]);
    };
    write_addresses((from, to), STREAM, out);
}

/// Appends the header of version 2 for a datagram from the client to the address that it was sent to.
pub fn write_datagram((from, to): (SocketAddr, SocketAddr), out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    write_addresses(same_family(from, to), DATAGRAM, out);
}

fn write_addresses((from, to): (SocketAddr, SocketAddr), transport: u8, out: &mut Vec<u8>) {
    let (family, len) = if from.is_ipv4() { (0x10 | transport, 12) } else { (0x20 | transport, 36) };
    out.extend_from_slice(&[0x21, family, 0, len]);
    for ip in [from.ip(), to.ip()] {
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
}

/// Appends the header of version 2 for a connection of the program's own (`LOCAL`).
pub fn write_local(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0x20, 0, 0, 0]);
}

/// Two addresses of one family: as IPv6 where they differ.
fn same_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    if from.is_ipv4() == to.is_ipv4() {
        return (from, to);
    }
    let wide = |a: SocketAddr| match a.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), a.port()),
        IpAddr::V6(_) => a,
    };
    (wide(from), wide(to))
}

/// What stands at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// Not all of it is there.
    More,
    /// None, or a wrong one.
    Bad,
    /// `len` bytes; the client's and the proxy's address, unless they are not told.
    Whole { len: usize, ends: Option<(SocketAddr, SocketAddr)> },
}

/// Reads a header.
pub fn read(bytes: &[u8]) -> Preface {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] {
        return if bytes.len() < V2_HEAD { Preface::More } else { read_binary(bytes) };
    }
    let common = bytes.len().min(6);
    if bytes[..common] != b"PROXY "[..common] {
        return Preface::Bad;
    }
    let window = &bytes[..bytes.len().min(LINE_MAX)];
    match memchr::memchr(b'\n', window) {
        Some(end) => {
            read_line(&window[..end]).map_or(Preface::Bad, |ends| Preface::Whole { len: end + 1, ends })
        }
        None if bytes.len() >= LINE_MAX => Preface::Bad,
        None => Preface::More,
    }
}

/// A line of version 1 up to its CR. Outer `None`: it is not one.
fn read_line(line: &[u8]) -> Option<Option<(SocketAddr, SocketAddr)>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\r")?).ok()?;
    let mut words = text.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let mut ip = || -> Option<IpAddr> {
        let ip: IpAddr = words.next()?.parse().ok()?;
        (matches!((family, ip), ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)))).then_some(ip)
    };
    let (from, to) = (ip()?, ip()?);
    let mut port = || words.next()?.parse::<u16>().ok();
    let ends = (SocketAddr::new(from, port()?), SocketAddr::new(to, port()?));
    words.next().is_none().then_some(Some(ends))
}

fn read_binary(bytes: &[u8]) -> Preface {
    let (command, family) = (bytes[12], bytes[13]);
    let len = V2_HEAD + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if !matches!(command, 0x20 | 0x21) || len > HEAD_SIZE {
        return Preface::Bad;
    }
    let Some(body) = bytes.get(V2_HEAD..len) else { return Preface::More };
    // LOCAL: the proxy speaks for itself.
    let ends = match (command, family) {
        (0x21, 0x11) => addresses::<4>(body)
            .map(|(from, to, ports)| (Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into(), ports)),
        (0x21, 0x21) => addresses::<16>(body)
            .map(|(from, to, ports)| (Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into(), ports)),
        (0x21, 0x00) | (0x20, _) => return Preface::Whole { len, ends: None },
        _ => return Preface::Bad,
    };
    match ends {
        Some((from, to, ports)) => {
            let ends = (SocketAddr::new(from, ports[0]), SocketAddr::new(to, ports[1]));
            Preface::Whole { len, ends: Some(ends) }
        }
        None => Preface::Bad,
    }
}

/// Two addresses of `N` bytes and two ports.
fn addresses<const N: usize>(body: &[u8]) -> Option<([u8; N], [u8; N], [u16; 2])> {
    let (from, rest) = body.split_first_chunk::<N>()?;
    let (to, rest) = rest.split_first_chunk::<N>()?;
    let ports = rest.first_chunk::<4>()?;
    Some((*from, *to, [u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])]))
}

/// Takes the header from a connection. `None`: there is none in time, or a wrong one.
pub async fn receive(link: &Link, until: Nanos) -> Option<Option<(SocketAddr, SocketAddr)>> {
    let mut buf = Buf::take(HEAD_SIZE);
    let mut seen = 0;
    loop {
        seen = link.peek_more(buf.room(), seen, until).await.ok().filter(|n| *n > seen)?;
        match read(&buf.room()[..seen]) {
            Preface::More => {}
            Preface::Bad => return None,
            Preface::Whole { len, ends } => {
                let mut left = len;
                while left > 0 {
                    let read = link.recv_unwrapped(&mut buf.room()[..left], until).await;
                    let n = read.ok().filter(|n| *n > 0)?;
                    left -= n;
                }
                return Some(ends);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(from: &str, to: &str) -> (SocketAddr, SocketAddr) {
        (from.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn what_is_written_is_read() {
        for (from, to) in [("10.0.0.1:4000", "10.0.0.2:80"), ("[2001:db8::1]:4000", "[2001:db8::2]:80")] {
            let both = ends(from, to);
            for version in [1, 2] {
                let mut bytes = Vec::new();
                write(version, Some(both), &mut bytes);
                let len = bytes.len();
                for cut in 0..len {
                    assert_eq!(read(&bytes[..cut]), Preface::More, "{version} {cut}");
                }
                bytes.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
                assert_eq!(read(&bytes), Preface::Whole { len, ends: Some(both) });
            }
        }
        for version in [1, 2] {
            let mut bytes = Vec::new();
            write(version, None, &mut bytes);
            assert_eq!(read(&bytes), Preface::Whole { len: bytes.len(), ends: None });
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n",
            b"PROXY TCP4 2001:db8::1 10.0.0.2 1 2\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 65536\r\n",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n",
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        ] {
            assert_eq!(read(bytes), Preface::Bad, "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(read(&[b"PROXY ".as_slice(), &[b'x'; 120]].concat()), Preface::Bad);
    }
}
