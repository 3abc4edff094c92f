//! Numbers of the protocol, and the query as it is read from a datagram: header, question and EDNS (RFC 1035, RFC 6891).

use std::net::IpAddr;

use super::name::QName;

/// Types of records.
pub mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const HTTPS: u16 = 65;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
    pub const CAA: u16 = 257;
}

/// Response codes, the extended ones included.
pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const NOTAUTH: u16 = 9;
    pub const BADVERS: u16 = 16;
    pub const BADCOOKIE: u16 = 23;
}

/// Bits of the header's second word.
pub mod flag {
    pub const QR: u16 = 0x8000;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
    pub const OPCODE: u16 = 0x7800;
}

/// Extended errors (RFC 8914).
pub mod ede {
    pub const STALE: u16 = 3;
    pub const PROHIBITED: u16 = 18;
    pub const NOT_AUTHORITATIVE: u16 = 20;
    pub const NOT_SUPPORTED: u16 = 21;
    pub const NETWORK: u16 = 23;
}

/// Options of EDNS.
pub mod option {
    pub const NSID: u16 = 3;
    pub const ECS: u16 = 8;
    pub const COOKIE: u16 = 10;
    pub const KEEPALIVE: u16 = 11;
    pub const EDE: u16 = 15;
}

pub const CLASS_IN: u16 = 1;
pub const CLASS_CH: u16 = 3;
pub const HEADER: usize = 12;

/// A client's network as the query gives it (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: IpAddr,
    /// SOURCE PREFIX-LENGTH.
    pub source: u8,
}

/// What the OPT record of a query says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'p> {
    pub udp_size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
    pub nsid: bool,
    /// 8 octets of the client, and 8 to 32 of a server.
    pub cookie: Option<&'p [u8]>,
    pub subnet: Option<Subnet>,
    /// The option stands there with family 0 (dig's `+subnet=0`): opted out, and echoed so.
    pub no_family: bool,
    pub keepalive: bool,
}

/// A query with one question, or none.
#[derive(Clone, Debug)]
pub struct Query<'p> {
    pub packet: &'p [u8],
    pub id: u16,
    pub flags: u16,
    pub question: Option<Question>,
    pub edns: Option<Edns<'p>>,
    /// Where a TSIG record, which is the last of all, begins.
    pub tsig_at: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub name: QName,
    pub qtype: u16,
    pub class: u16,
    /// Where it ends.
    pub end: usize,
}

/// Why there is no query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A response, or too short for a header: whoever answers these can be made to answer forever.
    Silent,
    /// To be answered with this code. The question is echoed when it was readable.
    Answer(u16),
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16_at(bytes, at)?) << 16 | u32::from(u16_at(bytes, at + 2)?))
}

impl<'p> Query<'p> {
    pub fn opcode(&self) -> u8 {
        ((self.flags & flag::OPCODE) >> 11) as u8
    }

    pub fn has(&self, bit: u16) -> bool {
        self.flags & bit != 0
    }

    /// Reads header and question into `self`, then the rest. What was read stays there when the rest is faulty, so that
    /// the answer can echo it.
    pub fn parse(packet: &'p [u8]) -> (Query<'p>, Result<(), Unreadable>) {
        let mut query = Query::of(packet);
        let result = query.read();
        (query, result)
    }

    /// One that is yet to be [read](Query::read), where it stands: it is large, and copies cost.
    pub fn of(packet: &'p [u8]) -> Query<'p> {
        Query { packet, id: 0, flags: 0, question: None, edns: None, tsig_at: None }
    }

    pub fn read(&mut self) -> Result<(), Unreadable> {
        let formerr = Unreadable::Answer(rcode::FORMERR);
        if self.packet.len() < HEADER {
            return Err(Unreadable::Silent);
        }
        let word = |at| u16_at(self.packet, at).unwrap_or(0);
        (self.id, self.flags) = (word(0), word(2));
        if self.has(flag::QR) {
            return Err(Unreadable::Silent);
        }
        let counts = [word(4), word(6), word(8), word(10)];
        if self.opcode() != 0 {
            return Err(Unreadable::Answer(rcode::NOTIMP));
        }
        let mut at = HEADER;
        match counts[0] {
            0 => {}
            1 => {
                let question = self.question.insert(Question::EMPTY);
                if question.read(self.packet, at).is_none() {
                    self.question = None;
                    return Err(formerr);
                }
                at = question.end;
            }
            _ => return Err(formerr),
        }
        // A query has neither answers nor authority (that of IXFR and NOTIFY is passed over), and few additional records.
        for (section, count) in counts.iter().enumerate().skip(1) {
            for _ in 0..*count {
                at = self.record(at, section == 3).ok_or(formerr)??;
            }
        }
        // Octets behind the last record are no part of the message: BIND and NSD answer FORMERR too.
        if at != self.packet.len() || self.question.is_none() && self.edns.is_none_or(|e| e.cookie.is_none())
        {
            return Err(formerr);
        }
        Ok(())
    }

    /// Passes over a record, or reads it when it is OPT. `None`: there is none.
    fn record(&mut self, at: usize, additional: bool) -> Option<Result<usize, Unreadable>> {
        let packet = self.packet;
        let start = skip_name(packet, at)?;
        let size = usize::from(u16_at(packet, start + 8)?);
        let end = start + 10 + size;
        let rdata = packet.get(start + 10..end)?;
        let rtype = u16_at(packet, start)?;
        if self.tsig_at.is_some() {
            return None;
        }
        match rtype {
            rtype::OPT if additional => {
                // One, and of the root (RFC 6891, 6.1.1).
                if self.edns.is_some() || packet[at] != 0 {
                    return None;
                }
                let ttl = u32_at(packet, start + 4)?;
                let mut edns = Edns {
                    udp_size: u16_at(packet, start + 2)?,
                    version: (ttl >> 16) as u8,
                    dnssec_ok: ttl & 0x8000 != 0,
                    ..Edns::default()
                };
                // Of another version nothing is known of what the options mean.
                let readable = edns.version > 0 || edns.options(rdata);
                self.edns = Some(edns);
                readable.then_some(Ok(end))
            }
            rtype::TSIG if additional => {
                self.tsig_at = Some(at);
                Some(Ok(end))
            }
            _ => Some(Ok(end)),
        }
    }
}

impl Question {
    const EMPTY: Question = Question { name: QName::EMPTY, qtype: 0, class: 0, end: 0 };

    fn read(&mut self, packet: &[u8], at: usize) -> Option<()> {
        let end = self.name.read(packet, at)?;
        (self.qtype, self.class) = (u16_at(packet, end)?, u16_at(packet, end + 2)?);
        self.end = end + 4;
        Some(())
    }
}

/// Where the name at `at` ends, compressed or not; it is not followed.
pub fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            size @ 1..=63 => at += usize::from(size) + 1,
            0xc0..=0xff => return (at + 2 <= packet.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

impl<'p> Edns<'p> {
    /// Reads the options; false when one that is known is malformed, or when they do not fill the record.
    fn options(&mut self, rdata: &'p [u8]) -> bool {
        let mut rest = rdata;
        while !rest.is_empty() {
            let (Some(code), Some(size)) = (u16_at(rest, 0), u16_at(rest, 2)) else { return false };
            let Some(value) = rest.get(4..4 + usize::from(size)) else { return false };
            rest = &rest[4 + value.len()..];
            match code {
                option::NSID => self.nsid = true,
                option::COOKIE => {
                    if !matches!(value.len(), 8 | 16..=40) {
                        return false;
                    }
                    self.cookie.get_or_insert(value);
                }
                option::ECS => match subnet(value) {
                    Some(Some(subnet)) => self.subnet = Some(subnet),
                    Some(None) => self.no_family = true,
                    None => return false,
                },
                option::KEEPALIVE => self.keepalive = true,
                _ => {}
            }
        }
        true
    }
}

/// Reads a client's network (RFC 7871, 6 and 7.1.2). `Some(None)`: of no family. `None`: malformed.
fn subnet(value: &[u8]) -> Option<Option<Subnet>> {
    let (family, source, scope) = (u16_at(value, 0)?, *value.get(2)?, *value.get(3)?);
    let address = &value[4..];
    let most = match family {
        0 if source == 0 && scope == 0 && address.is_empty() => return Some(None),
        1 => 32,
        2 => 128,
        _ => return None,
    };
    // SCOPE is 0 in queries; the address has as many octets as the prefix needs, and no bit behind it.
    if source > most || scope != 0 || address.len() != usize::from(source).div_ceil(8) {
        return None;
    }
    let mut octets = [0u8; 16];
    octets[..address.len()].copy_from_slice(address);
    if let Some(last) = address.last()
        && !source.is_multiple_of(8)
        && last & (0xff >> (source % 8)) != 0
    {
        return None;
    }
    let address = match family {
        1 => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
        _ => IpAddr::from(octets),
    };
    Some(Some(Subnet { address, source }))
}
