//! Networks, IPv4 and IPv6, by longest prefix.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use crate::rules::cast::v6_to_v4;
use crate::rules::sample::Sample;

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

fn mask4(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

fn mask6(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// `a.b.c.d`, or with the zeros before the last part left out (`127.1`, manual section 7.1.6).
fn ipv4(text: &str) -> Option<u32> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, first) = parts.split_last()?;
    if first.is_empty() || first.len() > 3 {
        return None;
    }
    let mut addr = 0u32;
    for (i, part) in first.iter().enumerate() {
        addr |= u32::from(part.parse::<u8>().ok()?) << (24 - 8 * i);
    }
    Some(addr | u32::from(last.parse::<u8>().ok()?))
}

impl Net {
    /// `resolve`: a name that is no address may be looked up.
    pub fn parse(text: &str, resolve: bool) -> Result<Net, String> {
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

/// Networks with the index of their pattern, by prefix length from the longest on.
#[derive(Clone, Debug, Default)]
pub struct Nets {
    v4: Vec<(u32, HashMap<u32, usize, foldhash::fast::FixedState>)>,
    v6: Vec<(u32, HashMap<u128, usize, foldhash::fast::FixedState>)>,
    masked: Vec<(u32, u32, usize)>,
}

/// The table of a prefix length in a list kept from the longest on.
fn of_length<K>(
    list: &mut Vec<(u32, HashMap<K, usize, foldhash::fast::FixedState>)>,
    bits: u32,
) -> &mut HashMap<K, usize, foldhash::fast::FixedState> {
    let at = list.partition_point(|(b, _)| *b > bits);
    if list.get(at).is_none_or(|(b, _)| *b != bits) {
        list.insert(at, (bits, HashMap::default()));
    }
    &mut list[at].1
}

impl Nets {
    /// The first pattern of a network keeps it.
    pub fn insert(&mut self, net: Net, index: usize) {
        match net {
            Net::V4 { addr, bits } => {
                of_length(&mut self.v4, bits).entry(addr).or_insert(index);
            }
            Net::V6 { addr, bits } => {
                of_length(&mut self.v6, bits).entry(addr).or_insert(index);
            }
            Net::Masked { addr, mask } => self.masked.push((addr, mask, index)),
        }
    }

    pub fn find(&self, sample: &Sample<'_>) -> Option<usize> {
        match sample {
            Sample::Ipv4(a) => self.v4(*a).or_else(|| self.v6(a.to_ipv6_mapped())),
            Sample::Ipv6(a) => self.v6(*a).or_else(|| self.v4(v6_to_v4(*a)?)),
            _ => None,
        }
    }

    fn v4(&self, addr: Ipv4Addr) -> Option<usize> {
        let addr = u32::from(addr);
        let by_prefix = self.v4.iter().find_map(|(bits, map)| map.get(&(addr & mask4(*bits))).copied());
        by_prefix.or_else(|| self.masked.iter().find(|(a, m, _)| addr & m == *a).map(|(_, _, i)| *i))
    }

    fn v6(&self, addr: Ipv6Addr) -> Option<usize> {
        let addr = u128::from(addr);
        self.v6.iter().find_map(|(bits, map)| map.get(&(addr & mask6(*bits))).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(nets: &[&str], addr: &str) -> Option<usize> {
        let mut table = Nets::default();
        for (i, net) in nets.iter().enumerate() {
            table.insert(Net::parse(net, false).unwrap(), i);
        }
        table.find(&match addr.parse().unwrap() {
            std::net::IpAddr::V4(a) => Sample::Ipv4(a),
            std::net::IpAddr::V6(a) => Sample::Ipv6(a),
        })
    }

    #[test]
    fn longest_prefix_and_mapped_addresses() {
        let nets = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "192.168.1/24", "::ffff:172.16.0.0/108"];
        for (addr, expected) in [
            ("10.2.3.4", Some(0)),
            ("10.1.3.4", Some(1)),
            ("::ffff:10.1.0.1", Some(1)),
            ("2002:a01:203::", Some(1)),
            ("2001:db8::5", Some(2)),
            // 192.168.1 is 192.168.0.1, unlike CIDR's short form.
            ("192.168.0.77", Some(3)),
            ("192.168.1.1", None),
            ("172.16.5.5", Some(4)),
            ("11.0.0.1", None),
        ] {
            assert_eq!(find(&nets, addr), expected, "{addr}");
        }
        assert_eq!(find(&["10.0.0.1/255.0.0.255"], "10.9.9.1"), Some(0));
        assert!(Net::parse("10.0.0.0/33", false).is_err());
        assert!(Net::parse("nonsense", false).is_err());
        assert_eq!(Net::parse("0.0.0.0/0", false), Ok(Net::V4 { addr: 0, bits: 0 }));
    }
}
