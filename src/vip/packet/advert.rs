//! VRRP advertisements, version 2 (RFC 3768 section 5, the IPv4 header with RFC 2338's PASS data) and version 3
//! (RFC 5798 and RFC 9568 section 5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::base::Nanos;
use crate::base::clock::{MS, SEC};

use super::checksum::Sum;

/// The IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;
/// The unit of version 3's interval.
pub const CENTISECOND: Nanos = 10 * MS;
/// The largest interval of version 3, in centiseconds: the field has 12 bits.
const MAX_CENTISECONDS: u64 = 0xfff;
const TYPE_ADVERTISEMENT: u8 = 1;
const AUTH_NONE: u8 = 0;
const AUTH_PASS: u8 = 1;
const AUTH_DATA: usize = 8;
const HEADER: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    V2,
    V3,
}

impl Version {
    pub fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// How version 3 computes its checksum over IPv4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Checksum {
    /// With a pseudo header, as over IPv6.
    #[default]
    Pseudo,
    /// Over the message alone, as version 2 does and some routers go on doing.
    AsV2,
}

/// A plain-text password of RFC 2338, at most 8 bytes, filled up with zeroes.
pub type Password = [u8; AUTH_DATA];

/// One advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advert {
    pub version: Version,
    pub vrid: u8,
    /// 0: the sender gives up; 255: it owns the addresses.
    pub priority: u8,
    /// Whole seconds in version 2, centiseconds in version 3; what is longer than the field is cut.
    pub interval_ns: Nanos,
    /// All of one family, that of the packet.
    pub addresses: Vec<IpAddr>,
    /// Version 2 only.
    pub password: Option<Password>,
}

/// Why a packet is no advertisement for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    #[error("the packet is too short")]
    Short,
    #[error("it is no VRRP advertisement")]
    Type,
    #[error("version {0} of VRRP is unknown")]
    Version(u8),
    #[error("the checksum is wrong")]
    Checksum,
    #[error("authentication type {0} is unknown")]
    Authentication(u8),
    #[error("the length does not fit the number of addresses")]
    Length,
}

/// The message, without an IP header. `source` and `destination` are those of the packet.
pub fn encode(advert: &Advert, source: IpAddr, destination: IpAddr, checksum: Checksum) -> Vec<u8> {
    // The count has one byte; a configuration has no more addresses than that.
    let addresses = &advert.addresses[..advert.addresses.len().min(usize::from(u8::MAX))];
    let mut out = Vec::with_capacity(HEADER + 16 * addresses.len() + AUTH_DATA);
    out.push(advert.version.number() << 4 | TYPE_ADVERTISEMENT);
    out.extend([advert.vrid, advert.priority, addresses.len() as u8]);
    match advert.version {
        Version::V2 => {
            let auth = if advert.password.is_some() { AUTH_PASS } else { AUTH_NONE };
            out.extend([auth, (advert.interval_ns / SEC).min(u64::from(u8::MAX)) as u8]);
        }
        Version::V3 => {
            let interval = (advert.interval_ns / CENTISECOND).min(MAX_CENTISECONDS) as u16;
            out.extend(interval.to_be_bytes());
        }
    }
    out.extend([0, 0]);
    for address in addresses {
        match address {
            IpAddr::V4(a) => out.extend(a.octets()),
            IpAddr::V6(a) => out.extend(a.octets()),
        }
    }
    if advert.version == Version::V2 {
        out.extend(advert.password.unwrap_or_default());
    }
    let sum = match (advert.version, checksum, source) {
        (Version::V3, Checksum::Pseudo, _) | (Version::V3, _, IpAddr::V6(_)) => {
            Sum::default().pseudo(source, destination, PROTOCOL, out.len())
        }
        _ => Sum::default(),
    };
    let field = sum.add(&out).fold();
    out[6..8].copy_from_slice(&field.to_be_bytes());
    out
}

/// Reads a message. Over IPv4 either checksum of version 3 is right. What follows the addresses is not looked at in
/// version 3 (RFC 9568 section 7.1).
pub fn decode(message: &[u8], source: IpAddr, destination: IpAddr) -> Result<Advert, Bad> {
    let header: &[u8; HEADER] = message.first_chunk().ok_or(Bad::Short)?;
    let version = match header[0] >> 4 {
        2 => Version::V2,
        3 => Version::V3,
        other => return Err(Bad::Version(other)),
    };
    if header[0] & 0x0f != TYPE_ADVERTISEMENT {
        return Err(Bad::Type);
    }
    let (width, tail) = match (version, source) {
        (Version::V2, IpAddr::V6(_)) => return Err(Bad::Version(2)),
        (Version::V2, _) => (4, AUTH_DATA),
        (Version::V3, IpAddr::V4(_)) => (4, 0),
        (Version::V3, IpAddr::V6(_)) => (16, 0),
    };
    let end = HEADER + width * usize::from(header[3]);
    if message.len() < end + tail {
        return Err(Bad::Length);
    }
    let message = &message[..end + tail];
    if !is_right(message, version, source, destination) {
        return Err(Bad::Checksum);
    }
    let mut advert = Advert {
        version,
        vrid: header[1],
        priority: header[2],
        interval_ns: u64::from(header[5]) * SEC,
        addresses: message[HEADER..end].chunks_exact(width).filter_map(address).collect(),
        password: None,
    };
    match version {
        Version::V2 if header[4] == AUTH_PASS => advert.password = message[end..].first_chunk().copied(),
        Version::V2 if header[4] != AUTH_NONE => return Err(Bad::Authentication(header[4])),
        Version::V2 => {}
        Version::V3 => {
            let interval = u64::from(u16::from_be_bytes([header[4], header[5]])) & MAX_CENTISECONDS;
            advert.interval_ns = interval * CENTISECOND;
        }
    }
    Ok(advert)
}

fn is_right(message: &[u8], version: Version, source: IpAddr, destination: IpAddr) -> bool {
    let bare = Sum::default().add(message).fold() == 0;
    let whole =
        || Sum::default().pseudo(source, destination, PROTOCOL, message.len()).add(message).fold() == 0;
    match (version, source) {
        (Version::V2, _) => bare,
        (Version::V3, IpAddr::V4(_)) => whole() || bare,
        (Version::V3, IpAddr::V6(_)) => whole(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|b| Ipv4Addr::from(*b).into()),
        _ => bytes.first_chunk::<16>().map(|b| Ipv6Addr::from(*b).into()),
    }
}

/// The message in an IPv4 packet, with the header as a raw socket sends it: class CS6, TTL as given, `id` counted by
/// the caller. The kernel fills in the header's checksum.
pub fn inside_ipv4(message: &[u8], source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, id: u16) -> Vec<u8> {
    const IPV4_HEADER: usize = 20;
    let len = (IPV4_HEADER + message.len()).min(usize::from(u16::MAX)) as u16;
    let mut out = Vec::with_capacity(usize::from(len));
    out.extend([0x45, 0xc0]);
    out.extend(len.to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend([0, 0, ttl, PROTOCOL, 0, 0]);
    out.extend(source.octets());
    out.extend(destination.octets());
    let sum = Sum::default().add(&out).fold();
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(message);
    out
}
