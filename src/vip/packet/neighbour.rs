//! What makes neighbours and switches send an address's traffic here: gratuitous ARP (RFC 5227 section 2.3, the request
//! form) and unsolicited neighbour advertisements (RFC 4861 section 7.2.6), as whole Ethernet frames.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;

pub type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
const ICMPV6: u8 = 58;

/// An ARP request for `address` from `address`.
pub fn gratuitous_arp(mac: Mac, address: Ipv4Addr) -> Vec<u8> {
    let mut out = Vec::with_capacity(42);
    out.extend(BROADCAST);
    out.extend(mac);
    out.extend([0x08, 0x06]);
    // Ethernet and IPv4, addresses of 6 and 4 bytes, a request.
    out.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    out.extend(mac);
    out.extend(address.octets());
    out.extend(BROADCAST);
    out.extend(address.octets());
    out
}

/// A neighbour advertisement of `address` to all nodes, with the override flag. `router` says whether this host forwards.
pub fn unsolicited_advertisement(mac: Mac, address: Ipv6Addr, router: bool) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut message = Vec::with_capacity(32);
    message.extend([136, 0, 0, 0]);
    let flags = if router { 0xa0 } else { 0x20 };
    message.extend([flags, 0, 0, 0]);
    message.extend(address.octets());
    // The target's link-layer address: type 2, one unit of 8 bytes.
    message.extend([2, 1]);
    message.extend(mac);
    let sum = Sum::default().pseudo(address.into(), all_nodes.into(), ICMPV6, message.len());
    let field = sum.add(&message).fold();
    message[2..4].copy_from_slice(&field.to_be_bytes());

    let mut out = Vec::with_capacity(14 + 40 + message.len());
    out.extend([0x33, 0x33, 0, 0, 0, 1]);
    out.extend(mac);
    out.extend([0x86, 0xdd]);
    out.extend([0x60, 0, 0, 0]);
    out.extend((message.len() as u16).to_be_bytes());
    out.extend([ICMPV6, 255]);
    out.extend(address.octets());
    out.extend(all_nodes.octets());
    out.extend(message);
    out
}
