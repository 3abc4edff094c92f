//! Whether a packet is an advert for one of our virtual routers (RFC 9568 section 7.1).

use std::fmt;
use std::net::IpAddr;

use super::super::packet::{Advert, Version};
use super::super::spec::InstanceSpec;

/// Why an advert of our VRID is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drop {
    /// It came back to us.
    Own,
    Version(u8),
    Ttl(u8),
    NoPeer,
    /// Multicast where unicast is expected, or the other way round.
    Destination,
    Authentication,
    /// Version 2: another interval than ours.
    Interval,
    Addresses,
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drop::Own => f.write_str("it is our own"),
            Drop::Version(version) => write!(f, "it is of version {version}"),
            Drop::Ttl(ttl) => write!(f, "its TTL is {ttl}"),
            Drop::NoPeer => f.write_str("its sender is no peer"),
            Drop::Destination => f.write_str("it was not sent to us the way that is configured"),
            Drop::Authentication => f.write_str("its authentication is another"),
            Drop::Interval => f.write_str("its interval is another"),
            Drop::Addresses => f.write_str("its addresses are others"),
        }
    }
}

/// What came with an advert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ttl: u8,
}

/// Checks an advert whose interface, family and VRID are those of `spec`. `own` is the address that we send from.
pub(super) fn check(
    spec: &InstanceSpec,
    own: Option<IpAddr>,
    advert: &Advert,
    envelope: Envelope,
) -> Result<(), Drop> {
    if own == Some(envelope.source) {
        return Err(Drop::Own);
    }
    if advert.version != spec.settings.version {
        return Err(Drop::Version(advert.version.number()));
    }
    if spec.is_unicast() == envelope.destination.is_multicast() {
        return Err(Drop::Destination);
    }
    let peer = spec.peers.iter().find(|peer| peer.address == envelope.source);
    if spec.peers_only && peer.is_none() {
        return Err(Drop::NoPeer);
    }
    let (min, max) = match (spec.is_unicast(), peer) {
        (false, _) => (255, 255),
        (true, Some(peer)) => (peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255)),
        (true, None) => (0, 255),
    };
    if !(min..=max).contains(&envelope.ttl) {
        return Err(Drop::Ttl(envelope.ttl));
    }
    if !same_password(spec, advert) {
        return Err(Drop::Authentication);
    }
    if advert.version == Version::V2 && advert.interval_ns != spec.settings.interval_ns {
        return Err(Drop::Interval);
    }
    let same_addresses = || {
        let is_ours = |address: &IpAddr| spec.addresses.iter().any(|known| known.address == *address);
        advert.addresses.len() == spec.addresses.len() && advert.addresses.iter().all(is_ours)
    };
    if !spec.any_addresses && !same_addresses() {
        return Err(Drop::Addresses);
    }
    Ok(())
}

fn same_password(spec: &InstanceSpec, advert: &Advert) -> bool {
    match (spec.password, advert.password) {
        (None, None) => true,
        // All bytes are compared, so that the time tells nothing.
        (Some(own), Some(other)) => own.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::spec::{AddressSpec, PeerSpec};
    use super::*;
    use crate::base::clock::SEC;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn spec() -> InstanceSpec {
        let addresses = vec![AddressSpec::new(ip(100)), AddressSpec::new(ip(101))];
        InstanceSpec { vrid: 7, addresses, ..InstanceSpec::new("VI".into()) }
    }

    fn advert() -> Advert {
        let addresses = vec![ip(101), ip(100)];
        Advert { version: Version::V2, vrid: 7, priority: 9, interval_ns: SEC, addresses, password: None }
    }

    fn checked(
        change_spec: impl FnOnce(&mut InstanceSpec),
        change: impl FnOnce(&mut Advert, &mut Envelope),
    ) -> Result<(), Drop> {
        let (mut spec, mut advert) = (spec(), advert());
        let mut envelope = Envelope { source: ip(2), destination: IpAddr::from([224, 0, 0, 18]), ttl: 255 };
        change_spec(&mut spec);
        change(&mut advert, &mut envelope);
        check(&spec, Some(ip(1)), &advert, envelope)
    }

    #[test]
    fn each_field_is_looked_at() {
        let with = |change: fn(&mut Advert, &mut Envelope)| checked(|_| {}, change);
        assert_eq!(with(|_, _| {}), Ok(()));
        assert_eq!(with(|_, e| e.source = ip(1)), Err(Drop::Own));
        assert_eq!(with(|a, _| a.version = Version::V3), Err(Drop::Version(3)));
        assert_eq!(with(|_, e| e.ttl = 254), Err(Drop::Ttl(254)));
        assert_eq!(with(|_, e| e.destination = ip(1)), Err(Drop::Destination));
        assert_eq!(with(|a, _| a.password = Some(*b"1111\0\0\0\0")), Err(Drop::Authentication));
        assert_eq!(with(|a, _| a.interval_ns = 2 * SEC), Err(Drop::Interval));
        assert_eq!(with(|a, _| a.addresses[0] = ip(9)), Err(Drop::Addresses));
        assert_eq!(with(|a, _| a.addresses.truncate(1)), Err(Drop::Addresses));
        assert_eq!(checked(|s| s.any_addresses = true, |a, _| a.addresses.clear()), Ok(()));
        let v3 = |s: &mut InstanceSpec| s.settings.version = Version::V3;
        let slow = |a: &mut Advert, _: &mut Envelope| (a.version, a.interval_ns) = (Version::V3, 9 * SEC);
        assert_eq!(checked(v3, slow), Ok(()), "a backup of version 3 learns the interval");
    }

    #[test]
    fn passwords_are_compared_whole() {
        let own = |s: &mut InstanceSpec| s.password = Some(*b"secret\0\0");
        assert_eq!(checked(own, |a, _| a.password = Some(*b"secret\0\0")), Ok(()));
        for other in [None, Some(*b"secret\0x"), Some(*b"\0\0\0\0\0\0\0\0")] {
            assert_eq!(checked(own, |a, _| a.password = other), Err(Drop::Authentication));
        }
    }

    #[test]
    fn unicast_comes_from_peers_with_the_ttl_that_they_have() {
        let peer = |min_ttl| {
            move |s: &mut InstanceSpec| {
                s.peers = vec![PeerSpec { address: ip(2), min_ttl, max_ttl: None }];
                s.peers_only = true;
            }
        };
        let to_us = |ttl, from| {
            move |_: &mut Advert, e: &mut Envelope| {
                (e.destination, e.ttl, e.source) = (ip(1), ttl, from);
            }
        };
        assert_eq!(checked(peer(None), to_us(3, ip(2))), Ok(()));
        assert_eq!(checked(peer(Some(4)), to_us(3, ip(2))), Err(Drop::Ttl(3)));
        assert_eq!(checked(peer(None), to_us(3, ip(3))), Err(Drop::NoPeer));
        assert_eq!(checked(peer(None), |_, _| {}), Err(Drop::Destination));
    }
}
