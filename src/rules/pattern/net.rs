//! A network as a pattern, IPv4 or IPv6.

use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};

/// A network as a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    V4 {
        addr: u32,
        bits: u32,
    },
    V6 {
        addr: u128,
        bits: u32,
    },
    /// IPv4 with a mask that is no prefix.
    Masked {
        addr: u32,
        mask: u32,
    },
}

pub(super) fn mask4(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

pub(super) fn mask6(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// `a.b.c.d`, or with the zeros before the last part left out (`127.1`, manual section 7.1.6).
fn ipv4(text: &str) -> Option<u32> {
    let (first, last) = text.rsplit_once('.')?;
    let mut addr = 0u32;
    for (i, part) in first.split('.').enumerate() {
        let shift = 24u32.checked_sub(8 * i as u32).filter(|shift| *shift > 0)?;
        addr |= u32::from(part.parse::<u8>().ok()?) << shift;
    }
    Some(addr | u32::from(last.parse::<u8>().ok()?))
}

/// What most lists have: four numbers, and perhaps the length of a prefix.
fn plain(text: &[u8]) -> Option<Net> {
    let mut numbers = [0u32; 5];
    let (mut at, mut digits) = (0, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                numbers[at] = numbers[at] * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if at < 3 && digits > 0 => (at, digits) = (at + 1, 0),
            b'/' if at == 3 && digits > 0 => (at, digits) = (4, 0),
            _ => return None,
        }
    }
    let [a, b, c, d, bits] = numbers;
    let bits = if at == 4 { bits } else { 32 };
    if at < 3 || digits == 0 || (a | b | c | d) > 255 || bits > 32 {
        return None;
    }
    Some(Net::V4 { addr: (a << 24 | b << 16 | c << 8 | d) & mask4(bits), bits })
}

impl Net {
    /// Reads the text of an entry. `resolve`: a name that is no address may be looked up.
    pub fn read(text: &[u8], resolve: bool) -> Result<Net, String> {
        plain(text).map_or_else(|| Net::parse(&String::from_utf8_lossy(text), resolve), Ok)
    }

    pub(super) fn parse(text: &str, resolve: bool) -> Result<Net, String> {
        let bad = || format!("'{text}' is not a valid IPv4 or IPv6 address");
        let (host, mask) = match text.split_once('/') {
            Some((host, mask)) => (host, Some(mask)),
            None => (text, None),
        };
        if host.contains(':') {
            let addr: Ipv6Addr = host.parse().map_err(|_| bad())?;
            let bits: u32 = mask.unwrap_or("128").parse().ok().filter(|b| *b <= 128).ok_or_else(bad)?;
            return Ok(Net::V6 { addr: u128::from(addr) & mask6(bits), bits });
        }
        let addr = match ipv4(host) {
            Some(addr) => addr,
            None if resolve && !host.is_empty() && !host.bytes().all(|c| c.is_ascii_digit() || c == b'.') => {
                lookup(host).ok_or_else(bad)?
            }
            None => return Err(bad()),
        };
        let mask = match mask {
            None => u32::MAX,
            Some(dotted) if dotted.contains('.') => ipv4(dotted).ok_or_else(bad)?,
            Some(bits) => mask4(bits.parse().ok().filter(|b| *b <= 32).ok_or_else(bad)?),
        };
        Ok(match mask.leading_ones() {
            bits if mask4(bits) == mask => Net::V4 { addr: addr & mask, bits },
            _ => Net::Masked { addr: addr & mask, mask },
        })
    }
}

/// The first IPv4 address of a name (`/etc/hosts` or DNS); only while a configuration is built.
fn lookup(name: &str) -> Option<u32> {
    (name, 0).to_socket_addrs().ok()?.find_map(|a| match a.ip() {
        std::net::IpAddr::V4(a) => Some(u32::from(a)),
        std::net::IpAddr::V6(_) => None,
    })
}

impl Net {
    /// Whether the address lies in it.
    pub fn contains(self, addr: IpAddr) -> bool {
        match (self, addr) {
            (Net::V4 { addr, bits }, IpAddr::V4(a)) => u32::from(a) & mask4(bits) == addr,
            (Net::V6 { addr, bits }, IpAddr::V6(a)) => u128::from(a) & mask6(bits) == addr,
            (Net::Masked { addr, mask }, IpAddr::V4(a)) => u32::from(a) & mask == addr,
            _ => false,
        }
    }

    /// Length of its prefix; `None` for a mask that is none.
    pub fn prefix(self) -> Option<u32> {
        match self {
            Net::V4 { bits, .. } | Net::V6 { bits, .. } => Some(bits),
            Net::Masked { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert!(Net::parse("10.0.0.0/33", false).is_err());
        assert!(Net::parse("nonsense", false).is_err());
        assert_eq!(Net::parse("0.0.0.0/0", false), Ok(Net::V4 { addr: 0, bits: 0 }));
        // 192.168.1 is 192.168.0.1, unlike CIDR's short form.
        assert_eq!(Net::parse("192.168.1/32", false), Net::parse("192.168.0.1", false));
        assert_eq!(Net::parse("10.0.0.1/255.0.0.255", false).unwrap().prefix(), None);
    }

    /// The short way says what the long one says, or nothing.
    #[test]
    fn plain_texts() {
        for text in
            ["10.1.2.3", "10.1.2.3/8", "255.255.255.255/32", "010.001.000.9/024", "1.2.3.4/0", "0.0.0.0"]
        {
            assert_eq!(plain(text.as_bytes()), Net::parse(text, false).ok(), "{text}");
            assert!(plain(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            "10",
            "10.1",
            "10.1.2",
            "10.1.2.",
            ".1.2.3",
            "10..2.3",
            "10.1.2.3.4",
            "10.1.2.256",
            "0010.1.2.3",
            "10.1.2.3/",
            "10.1.2.3/33",
            "10.1.2.3/8/8",
            "10.1/8",
            "10.1.2.3/255.0.0.0",
            "::1",
            " 10.1.2.3",
            "10.1.2.3/+8",
            "a.b.c.d",
        ] {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
    }
}
