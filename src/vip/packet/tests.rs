//! Packets against frames that keepalived 2.2.7 sent (captured on a bridge).

use super::advert::PROTOCOL;
use super::*;
use crate::base::clock::SEC;
use std::net::{IpAddr, Ipv4Addr};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter_map(|b| char::from(b).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn advert(version: Version, addresses: &[&str]) -> Advert {
    Advert {
        version,
        vrid: 51,
        priority: 150,
        interval_ns: if version == Version::V2 { SEC } else { SEC / 2 },
        addresses: addresses.iter().map(|a| ip(a)).collect(),
        password: None,
    }
}

const V4: [&str; 2] = ["192.168.1.200", "192.168.1.201"];
const PASS: &str =
    "45c0002c00010000ff7018dbc0a8010be000001221339602010160 84c0a801c8c0a801c93131313100000000";
const V3: &str = "45c0002400010000ff7018e3c0a8010be0000012313396020032116fc0a801c8c0a801c9";
const UNICAST: &str = "45c0002400010000ff703741c0a8010bc0a8010c3133960200322fcdc0a801c8c0a801c9";
const V6: &str = "31339602003227 28fe80000000000000000000000000020020010db8000000000000000000000200";

/// Every advert of the captures, as (settings, source, destination, the packet's bytes).
fn captured() -> Vec<(Advert, IpAddr, IpAddr, Vec<u8>)> {
    let mut pass = advert(Version::V2, &V4);
    pass.password = Some(*b"1111\0\0\0\0");
    let group = ip("224.0.0.18");
    vec![
        (pass, ip("192.168.1.11"), group, hex(PASS)),
        (advert(Version::V3, &V4), ip("192.168.1.11"), group, hex(V3)),
        (advert(Version::V3, &V4), ip("192.168.1.11"), ip("192.168.1.12"), hex(UNICAST)),
    ]
}

#[test]
fn ipv4_packets_equal_captured_ones_and_are_read_back() {
    for (advert, source, destination, packet) in captured() {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source, destination) else { panic!("no IPv4") };
        let message = encode(&advert, source, destination, Checksum::Pseudo);
        assert_eq!(inside_ipv4(&message, from, to, 255, 1), packet);
        assert_eq!(packet[9], PROTOCOL);
        assert_eq!(decode(&packet[20..], source, destination), Ok(advert));
    }
}

#[test]
fn an_ipv6_message_equals_the_captured_one() {
    let advert = advert(Version::V3, &["fe80::200", "2001:db8::200"]);
    let (source, group) = (ip("fe80::948e:66ff:fefc:e87c"), ip("ff02::12"));
    assert_eq!(encode(&advert, source, group, Checksum::Pseudo), hex(V6));
    assert_eq!(encode(&advert, source, group, Checksum::AsV2), hex(V6), "there is no other one over IPv6");
    assert_eq!(decode(&hex(V6), source, group), Ok(advert));
    assert_eq!(decode(&hex(V6), source, ip("ff02::13")), Err(Bad::Checksum));
}

#[test]
fn version_2_has_its_auth_data_always() {
    let (source, group) = (ip("192.168.1.11"), ip("224.0.0.18"));
    let message = encode(&advert(Version::V2, &V4), source, group, Checksum::Pseudo);
    assert_eq!(message.len(), 8 + 8 + 8);
    assert_eq!(decode(&message[..20], source, group), Err(Bad::Length));
    let read = decode(&message, source, group).unwrap();
    assert_eq!((read.password, read.interval_ns), (None, SEC));
}

#[test]
fn both_checksums_of_version_3_are_right_over_ipv4() {
    let (source, group) = (ip("192.168.1.11"), ip("224.0.0.18"));
    let advert = advert(Version::V3, &V4);
    let (with, without) =
        (encode(&advert, source, group, Checksum::Pseudo), encode(&advert, source, group, Checksum::AsV2));
    assert_ne!(with, without);
    for message in [with, without] {
        assert_eq!(decode(&message, source, group).as_ref(), Ok(&advert));
    }
}

#[test]
fn what_is_wrong_is_said() {
    let (source, group) = (ip("192.168.1.11"), ip("224.0.0.18"));
    let good = encode(&advert(Version::V2, &V4), source, group, Checksum::Pseudo);
    let read = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        decode(&message, source, group)
    };
    assert_eq!(decode(&good[..7], source, group), Err(Bad::Short));
    assert_eq!(read(0, 0x22), Err(Bad::Type));
    assert_eq!(read(0, 0x41), Err(Bad::Version(4)));
    assert_eq!(read(3, 9), Err(Bad::Length));
    for (at, byte) in good.iter().enumerate().skip(1) {
        assert!(read(at, byte ^ 0x5a).is_err(), "byte {at}");
    }
    assert_eq!(decode(&good, ip("fe80::1"), ip("ff02::12")), Err(Bad::Version(2)));
}

#[test]
fn every_count_of_addresses_is_read_back() {
    let (source, group) = (ip("192.168.1.11"), ip("224.0.0.18"));
    for count in [0, 1, 20, 255] {
        let mut advert = advert(Version::V3, &[]);
        advert.addresses = (0..count).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into()).collect();
        let message = encode(&advert, source, group, Checksum::Pseudo);
        assert_eq!(decode(&message, source, group), Ok(advert));
    }
}

#[test]
fn neighbours_are_told_as_keepalived_tells_them() {
    let mac: Mac = [0x96, 0x8e, 0x66, 0xfc, 0xe8, 0x7c];
    let arp = "ffffffffffff968e66fce87c08060001080006040001968e66fce87cc0a801c8ffffffffffffc0a801c8";
    assert_eq!(gratuitous_arp(mac, "192.168.1.200".parse().unwrap()), hex(arp));
    let na = "333300000001968e66fce87c86dd6000000000203afffe80000000000000000000000000 0200ff020000000000000000\
              00000000000188006f9620000000fe800000000000000000000000000200 0201968e66fce87c";
    assert_eq!(unsolicited_advertisement(mac, "fe80::200".parse().unwrap(), false), hex(na));
}
