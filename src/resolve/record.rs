//! Questions for addresses and services, and the records that answer them (RFC 1035, RFC 2782, RFC 3596).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::response::{skip_name, word};

const HEADER: usize = 12;
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SRV: u16 = 33;
/// Internet.
const CLASS: u16 = 1;
/// Records of a response that are looked at.
const MOST: usize = 4096;
/// Pointers that a name may follow.
const JUMPS: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    A,
    Aaaa,
    Srv,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Kind::A => A,
            Kind::Aaaa => AAAA,
            Kind::Srv => SRV,
        }
    }

    /// What else may give an address.
    pub fn other(self) -> Option<Kind> {
        match self {
            Kind::A => Some(Kind::Aaaa),
            Kind::Aaaa => Some(Kind::A),
            Kind::Srv => None,
        }
    }
}

/// One record, as far as servers need it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    Address(IpAddr),
    Service { target: Box<str>, port: u16, weight: u16 },
}

impl Record {
    /// The same server, whatever its weight is.
    pub fn is_same(&self, other: &Record) -> bool {
        match (self, other) {
            (Record::Service { target, port, .. }, Record::Service { target: t, port: p, .. }) => {
                target == t && port == p
            }
            _ => self == other,
        }
    }
}

/// What a response says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub records: Vec<Record>,
    /// Addresses of targets that came along.
    pub additional: Vec<(Box<str>, IpAddr)>,
    /// A name stands for another one, of which nothing is said.
    pub is_dangling: bool,
}

/// Name, type and class as they are asked; `None` for what is no name.
pub fn question(name: &str, kind: Kind) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut wire = Vec::with_capacity(name.len() + 6);
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    if wire.len() > 255 {
        return None;
    }
    wire.extend(kind.code().to_be_bytes());
    wire.extend(CLASS.to_be_bytes());
    Some(wire)
}

/// Reads the records of a response to `question`; `None` where it cannot be read.
pub fn answer(response: &[u8], question: &[u8], kind: Kind) -> Option<Answer> {
    let counts = [word(response, 6)?, word(response, 8)?, word(response, 10)?];
    if counts.iter().map(|count| usize::from(*count)).sum::<usize>() > MOST {
        return None;
    }
    let mut answer = Answer::default();
    // Aliases stand in front of what they lead to.
    let mut current = name(response, HEADER)?;
    let mut at = HEADER + question.len();
    for (section, count) in counts.iter().enumerate() {
        for _ in 0..*count {
            let (owner, fixed) = (name(response, at)?, skip_name(response, at)?);
            let (rtype, class) = (word(response, fixed)?, word(response, fixed + 2)?);
            let size = usize::from(word(response, fixed + 8)?);
            let data_at = fixed + 10;
            let data = response.get(data_at..data_at + size)?;
            at = data_at + size;
            if class != CLASS {
                continue;
            }
            match section {
                0 if owner == current && rtype == CNAME => {
                    current = name(response, data_at)?;
                    answer.is_dangling = true;
                }
                0 if owner == current && rtype == kind.code() => {
                    answer.is_dangling = false;
                    let record = record(response, data, data_at, rtype)?;
                    if !answer.records.iter().any(|known| known.is_same(&record)) {
                        answer.records.push(record);
                    }
                }
                2 => {
                    if let Some(ip) = address(rtype, data) {
                        answer.additional.push((owner, ip));
                    }
                }
                _ => {}
            }
        }
    }
    Some(answer)
}

fn address(rtype: u16, data: &[u8]) -> Option<IpAddr> {
    match rtype {
        A => <[u8; 4]>::try_from(data).ok().map(|octets| Ipv4Addr::from(octets).into()),
        AAAA => <[u8; 16]>::try_from(data).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

fn record(response: &[u8], data: &[u8], at: usize, rtype: u16) -> Option<Record> {
    if rtype != SRV {
        return address(rtype, data).map(Record::Address);
    }
    let (weight, port) = (word(data, 2)?, word(data, 4)?);
    Some(Record::Service { target: name(response, at + 6)?, port, weight })
}

/// The name at `at` as text in lower case, without the root's dot.
fn name(bytes: &[u8], mut at: usize) -> Option<Box<str>> {
    let mut text = String::new();
    let mut jumps = 0;
    loop {
        match *bytes.get(at)? {
            0 => return Some(text.into()),
            size @ 1..=63 => {
                let label = bytes.get(at + 1..at + 1 + usize::from(size))?;
                if !text.is_empty() {
                    text.push('.');
                }
                // Whatever is no letter of a host's name makes a name that nobody has.
                text.extend(label.iter().map(|octet| match octet {
                    b'!'..=b'~' if *octet != b'.' => char::from(octet.to_ascii_lowercase()),
                    _ => '?',
                }));
                if text.len() > 255 {
                    return None;
                }
                at += usize::from(size) + 1;
            }
            0xc0..=0xff if jumps < JUMPS => {
                jumps += 1;
                at = usize::from(word(bytes, at)? & 0x3fff);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(counts: [u16; 4]) -> Vec<u8> {
        [7, 0x8180].iter().chain(&counts).flat_map(|word: &u16| word.to_be_bytes()).collect()
    }

    fn put(to: &mut Vec<u8>, owner: &[u8], rtype: u16, data: &[u8]) {
        to.extend(owner);
        to.extend(rtype.to_be_bytes());
        to.extend([0, 1, 0, 0, 0, 5]);
        to.extend((data.len() as u16).to_be_bytes());
        to.extend(data);
    }

    #[test]
    fn addresses_behind_an_alias() {
        let asked = question("Web.Test.", Kind::A).expect("a name");
        assert_eq!(asked, b"\x03Web\x04Test\0\0\x01\0\x01");
        let mut response = header([1, 3, 0, 0]);
        response.extend(&asked);
        put(&mut response, &[0xc0, 12], CNAME, b"\x01b\xc0\x10");
        put(&mut response, b"\x01b\xc0\x10", A, &[10, 0, 0, 1]);
        put(&mut response, b"\x01x\xc0\x10", A, &[10, 0, 0, 2]);
        let read = answer(&response, &asked, Kind::A).expect("an answer");
        assert_eq!(read.records, [Record::Address([10, 0, 0, 1].into())]);
        assert!(!read.is_dangling);
        assert_eq!(answer(&response[..response.len() - 1], &asked, Kind::A), None);
    }

    #[test]
    fn services_with_addresses() {
        let asked = question("_http._tcp.test", Kind::Srv).expect("a name");
        let mut response = header([1, 1, 0, 1]);
        response.extend(&asked);
        put(&mut response, &[0xc0, 12], SRV, b"\0\x01\0\x0a\x1f\x40\x01A\x04test\0");
        put(&mut response, b"\x01a\x04test\0", AAAA, &[0; 16]);
        let read = answer(&response, &asked, Kind::Srv).expect("an answer");
        assert_eq!(read.records, [Record::Service { target: "a.test".into(), port: 8000, weight: 10 }]);
        assert_eq!(read.additional, [("a.test".into(), IpAddr::from([0; 16]))]);
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        for wrong in ["", ".", "a..b", &"a.".repeat(130), &"a".repeat(64)] {
            assert_eq!(question(wrong, Kind::A), None, "{wrong}");
        }
        // A name that points at itself ends.
        assert_eq!(name(&[0xc0, 0], 0), None);
    }
}
