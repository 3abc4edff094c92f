//! A hosts file (hosts(5)): addresses of names, and names of addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::message::{Full, QUESTION, Section, Writer};
use super::name;
use super::wire::{Question, rcode, rtype};

/// Type and data.
type Record = (u16, Box<[u8]>);

/// What the file says, by name in wire form and lower case.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: HashMap<Box<[u8]>, Vec<Record>, RandomState>,
    ttl: u32,
}

impl Hosts {
    /// Reads a file; also the lines that could not be read, and why.
    pub fn parse(text: &[u8], ttl: u32) -> (Hosts, Vec<(usize, String)>) {
        let mut hosts = Hosts { ttl, ..Hosts::default() };
        let mut faults = Vec::new();
        for (at, line) in String::from_utf8_lossy(text).lines().enumerate() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next() else { continue };
            // What is on one link only is nobody else's business.
            if address.contains('%') {
                continue;
            }
            let Ok(address) = address.parse::<IpAddr>() else {
                faults.push((at + 1, format!("'{address}' is no address")));
                continue;
            };
            for (number, word) in words.enumerate() {
                match name::from_text(word.as_bytes(), Some(name::ROOT)) {
                    Ok(wire) => hosts.add(address, wire.to_ascii_lowercase(), number == 0),
                    Err(e) => faults.push((at + 1, format!("'{word}': {e}"))),
                }
            }
        }
        (hosts, faults)
    }

    /// `is_first`: the name that the address goes by.
    fn add(&mut self, address: IpAddr, name: Vec<u8>, is_first: bool) {
        let (kind, octets) = match address {
            IpAddr::V4(ip) => (rtype::A, ip.octets().to_vec()),
            IpAddr::V6(ip) => (rtype::AAAA, ip.octets().to_vec()),
        };
        if is_first {
            let of_address = self.names.entry(reverse(address).into()).or_default();
            if of_address.is_empty() {
                of_address.push((rtype::PTR, name.clone().into()));
            }
        }
        let records = self.names.entry(name.into()).or_default();
        let record = (kind, octets.into());
        if !records.contains(&record) {
            records.push(record);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Writes the records, the question already written, and says the code. `None`: the name is not there.
    pub fn answer(&self, question: &Question, writer: &mut Writer<'_>) -> Option<Result<u16, Full>> {
        let records = self.names.get(question.name.as_wire())?;
        let mut wanted = records.iter().filter(|(kind, _)| *kind == question.qtype);
        let put = wanted
            .try_for_each(|(kind, data)| writer.record(Section::Answer, QUESTION, *kind, self.ttl, data));
        Some(put.map(|()| rcode::NOERROR))
    }
}

/// The name under `in-addr.arpa` or `ip6.arpa`, in wire form.
fn reverse(address: IpAddr) -> Vec<u8> {
    let mut text = String::new();
    match address {
        IpAddr::V4(ip) => {
            ip.octets().iter().rev().for_each(|octet| text.push_str(&format!("{octet}.")));
            text.push_str("in-addr.arpa.");
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.for_each(|nibble| text.push_str(&format!("{nibble:x}.")));
            text.push_str("ip6.arpa.");
        }
    }
    name::from_text(text.as_bytes(), None).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::QName;

    const FILE: &[u8] =
        b"127.0.0.1 localhost\n192.0.2.7\tNas.home nas # the box\n2001:db8::7 nas.home\nfe80::1%lo0 x\n\
                          192.0.2.300 y\n192.0.2.8 a..b nas\n";

    fn ask(hosts: &Hosts, text: &str, qtype: u16) -> Option<Vec<u8>> {
        let wire = name::from_text(text.as_bytes(), Some(name::ROOT)).expect("a name");
        let question = Question { name: QName::of(&wire).expect("a name"), qtype, class: 1, end: 0 };
        let mut room = [0; 512];
        let mut writer = Writer::new(&mut room, 512);
        let code = hosts.answer(&question, &mut writer)?;
        assert_eq!(code, Ok(0));
        Some(writer.written()[12..].to_vec())
    }

    #[test]
    fn names_and_addresses_are_found_both_ways() {
        let (hosts, faults) = Hosts::parse(FILE, 60);
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6], "{faults:?}");
        let a = |address: &[u8]| [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], address].concat();
        assert_eq!(ask(&hosts, "nas.home", rtype::A), Some(a(&[192, 0, 2, 7])));
        let both = [a(&[192, 0, 2, 7]), a(&[192, 0, 2, 8])].concat();
        assert_eq!(ask(&hosts, "nas", rtype::A), Some(both));
        assert_eq!(ask(&hosts, "nas.home", rtype::AAAA).expect("an answer").len(), 28);
        assert_eq!(ask(&hosts, "nas", rtype::TXT), Some(vec![]), "there, but not of that type");
        assert_eq!(ask(&hosts, "x", rtype::A), None);
        let pointer = ask(&hosts, "7.2.0.192.in-addr.arpa", rtype::PTR).expect("an answer");
        assert!(pointer.ends_with(b"\x03nas\x04home\0"), "{pointer:?}");
        let v6 = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert!(ask(&hosts, v6, rtype::PTR).is_some());
    }
}
