//! Record data from text to wire form. What most zones consist of is read here, the rest by `hickory-proto`; any type can
//! be written as `\# length hexadecimal` (RFC 3597, 5).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use hickory_proto::serialize::txt::Parser;

use super::token::Token;
use crate::dns::name::{NameError, from_text, to_text, unescape};
use crate::dns::wire::rtype;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    #[error("{0}")]
    Name(#[from] NameError),
    #[error("'{0}' is no {1}")]
    Value(String, &'static str),
    #[error("too few words for a record of this type")]
    Few,
    #[error("too many words for a record of this type")]
    Many,
    #[error("{0}")]
    Other(String),
}

/// The number of a type: a mnemonic or `TYPE123`.
pub(crate) fn type_of(text: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_uppercase();
    let number = match &*text {
        "A" => rtype::A,
        "NS" => rtype::NS,
        "CNAME" => rtype::CNAME,
        "SOA" => rtype::SOA,
        "PTR" => rtype::PTR,
        "MX" => rtype::MX,
        "TXT" => rtype::TXT,
        "AAAA" => rtype::AAAA,
        "SRV" => rtype::SRV,
        "DNAME" => rtype::DNAME,
        "CAA" => rtype::CAA,
        "SPF" => 99,
        "RP" => 17,
        "AFSDB" => 18,
        "DS" => rtype::DS,
        "DNSKEY" => 48,
        "LOC" => 29,
        "URI" => 256,
        other => match other.strip_prefix("TYPE") {
            Some(number) => number.parse().ok()?,
            None => u16::from(RecordType::from_str(other).ok()?),
        },
    };
    (!is_meta(number)).then_some(number)
}

/// The number of a type and the data of a record, from words; `None`: there is no such type.
pub fn rdata_of(rtype: &[u8], words: &[&[u8]], origin: &[u8]) -> Option<Result<(u16, Vec<u8>), RdataError>> {
    let rtype = type_of(rtype)?;
    let is_text = matches!(rtype, rtype::TXT | rtype::CAA | 99);
    let tokens: Vec<Token<'_>> = words.iter().map(|text| Token { text, quoted: is_text }).collect();
    let mut rdata = Vec::new();
    Some(parse(rtype, &tokens, origin, &mut rdata).map(|()| (rtype, rdata)))
}

/// Types that no zone has: of questions and of messages, and those we keep for ourselves.
fn is_meta(rtype: u16) -> bool {
    matches!(rtype, 0 | rtype::OPT | 128..=255 | 65535)
}

/// Reads the data of a record and adds it to `out`, names uncompressed.
pub(crate) fn parse(
    rtype: u16,
    tokens: &[Token<'_>],
    origin: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    if tokens.first().is_some_and(|t| t.text == b"\\#" && !t.quoted) {
        return generic(&tokens[1..], out);
    }
    let mut words = Words { tokens, origin, out };
    match rtype {
        rtype::A => words.parsed::<Ipv4Addr>("IPv4 address", |ip, out| out.extend(ip.octets()))?,
        rtype::AAAA => words.parsed::<Ipv6Addr>("IPv6 address", |ip, out| out.extend(ip.octets()))?,
        rtype::NS | rtype::CNAME | rtype::PTR | rtype::DNAME => words.name()?,
        rtype::MX | 18 => {
            words.u16()?;
            words.name()?;
        }
        17 => {
            words.name()?;
            words.name()?;
        }
        rtype::SRV => {
            (0..3).try_for_each(|_| words.u16())?;
            words.name()?;
        }
        rtype::SOA => {
            words.name()?;
            words.name()?;
            words.parsed::<u32>("serial number", |n, out| out.extend(n.to_be_bytes()))?;
            (0..4).try_for_each(|_| words.time())?;
        }
        rtype::TXT | 99 => {
            words.string()?;
            while !words.tokens.is_empty() {
                words.string()?;
            }
        }
        rtype::CAA => {
            words.parsed::<u8>("number up to 255", |n, out| out.push(n))?;
            words.string()?;
            words.rest_of_string()?;
        }
        256 => {
            words.u16()?;
            words.u16()?;
            words.rest_of_string()?;
        }
        _ => return other(rtype, tokens, origin, words.out),
    }
    if words.tokens.is_empty() { Ok(()) } else { Err(RdataError::Many) }
}

/// `\# length hexadecimal`.
fn generic(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), RdataError> {
    let size = tokens.first().ok_or(RdataError::Few)?;
    let size: u16 = text(size).parse().map_err(|_| RdataError::Value(text(size), "length"))?;
    let digits: Vec<u8> = tokens[1..].iter().flat_map(|t| t.text).copied().collect();
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let octets: Option<Vec<u8>> =
        digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
    match octets {
        Some(octets) if octets.len() == usize::from(size) => out.extend(octets),
        _ => return Err(RdataError::Other(format!("expects {size} octets as hexadecimal digits"))),
    }
    Ok(())
}

fn text(token: &Token<'_>) -> String {
    String::from_utf8_lossy(token.text).into_owned()
}

/// Types that are seldom seen, read by the library as a zone of one record.
fn other(rtype: u16, tokens: &[Token<'_>], origin: &[u8], out: &mut Vec<u8>) -> Result<(), RdataError> {
    let refused = |e: &dyn std::fmt::Display| RdataError::Other(e.to_string());
    let mut line = format!(". 0 IN {} ", RecordType::from(rtype));
    for token in tokens {
        let quote = if token.quoted { "\"" } else { "" };
        line.extend([quote, &text(token), quote, " "]);
    }
    line.push('\n');
    let origin = Name::from_ascii(to_text(origin)).map_err(|e| refused(&e))?;
    let (_, sets) = Parser::new(line, None, Some(origin)).parse().map_err(|e| refused(&e))?;
    let record = sets.values().next().and_then(|set| set.records_without_rrsigs().next());
    let record = record
        .ok_or_else(|| RdataError::Other("a record of this type cannot be read; write it as '\\#'".into()))?;
    out.extend(record.data.to_bytes().map_err(|e| refused(&e))?);
    Ok(())
}

struct Words<'w, 't> {
    tokens: &'w [Token<'t>],
    origin: &'w [u8],
    out: &'w mut Vec<u8>,
}

impl<'t> Words<'_, 't> {
    fn take(&mut self) -> Result<Token<'t>, RdataError> {
        let (first, rest) = self.tokens.split_first().ok_or(RdataError::Few)?;
        self.tokens = rest;
        Ok(*first)
    }

    fn parsed<T: FromStr>(
        &mut self,
        what: &'static str,
        put: impl FnOnce(T, &mut Vec<u8>),
    ) -> Result<(), RdataError> {
        let token = self.take()?;
        let value = std::str::from_utf8(token.text).ok().and_then(|t| t.parse().ok());
        put(value.ok_or_else(|| RdataError::Value(text(&token), what))?, self.out);
        Ok(())
    }

    fn u16(&mut self) -> Result<(), RdataError> {
        self.parsed::<u16>("number up to 65535", |n, out| out.extend(n.to_be_bytes()))
    }

    fn time(&mut self) -> Result<(), RdataError> {
        let token = self.take()?;
        let time = ttl(token.text).ok_or_else(|| RdataError::Value(text(&token), "time"))?;
        self.out.extend(time.to_be_bytes());
        Ok(())
    }

    fn name(&mut self) -> Result<(), RdataError> {
        let token = self.take()?;
        self.out.extend(from_text(token.text, Some(self.origin))?);
        Ok(())
    }

    fn unescaped(&mut self) -> Result<Vec<u8>, RdataError> {
        let token = self.take()?;
        let (mut value, mut at) = (Vec::with_capacity(token.text.len()), 0);
        while let Some(octet) = token.text.get(at).copied() {
            at += 1;
            let octet = match octet {
                b'\\' => unescape(token.text, &mut at).ok_or(NameError::Escape)?,
                _ => octet,
            };
            value.push(octet);
        }
        Ok(value)
    }

    /// A character string: its length and it.
    fn string(&mut self) -> Result<(), RdataError> {
        let value = self.unescaped()?;
        let size = u8::try_from(value.len())
            .map_err(|_| RdataError::Other("a character string has at most 255 octets".into()))?;
        self.out.push(size);
        self.out.extend(value);
        Ok(())
    }

    fn rest_of_string(&mut self) -> Result<(), RdataError> {
        let value = self.unescaped()?;
        self.out.extend(value);
        Ok(())
    }
}

/// A time in seconds, or as `1w2d3h4m5s`; at most 2^31 - 1 (RFC 2181, 8).
pub(crate) fn ttl(text: &[u8]) -> Option<u32> {
    let (mut sum, mut number, mut units) = (0u64, None::<u64>, 0);
    for octet in text {
        match octet {
            b'0'..=b'9' => {
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(octet - b'0'))?);
            }
            _ => {
                let unit = match octet.to_ascii_lowercase() {
                    b's' => 1,
                    b'm' => 60,
                    b'h' => 3600,
                    b'd' => 86_400,
                    b'w' => 604_800,
                    _ => return None,
                };
                sum = sum.checked_add(number.take()?.checked_mul(unit)?)?;
                units += 1;
            }
        }
    }
    sum = match number {
        Some(number) => sum.checked_add(number)?,
        None if units == 0 => return None,
        None => sum,
    };
    u32::try_from(sum).ok().filter(|ttl| *ttl <= i32::MAX as u32)
}

#[cfg(test)]
mod tests {
    use super::super::token::{Entry, Tokens};
    use super::*;

    fn read(rtype: &str, data: &str) -> Result<Vec<u8>, String> {
        let (mut entry, mut out) = (Entry::default(), Vec::new());
        Tokens::new(data.as_bytes()).next(&mut entry).expect("words");
        let rtype = type_of(rtype.as_bytes()).expect("a type");
        parse(rtype, &entry.tokens, b"\x01o\0", &mut out).map_err(|e| e.to_string())?;
        Ok(out)
    }

    #[test]
    fn data_of_the_usual_types() {
        assert_eq!(read("A", "192.0.2.1"), Ok(vec![192, 0, 2, 1]));
        assert_eq!(read("MX", "10 mail"), Ok(b"\x00\x0a\x04mail\x01o\0".to_vec()));
        assert_eq!(read("srv", "0 5 80 @"), Ok(b"\0\0\0\x05\0\x50\x01o\0".to_vec()));
        assert_eq!(read("TXT", "\"a b\" c\\065"), Ok(b"\x03a b\x02cA".to_vec()));
        assert_eq!(read("CAA", "0 issue \"ca.example\""), Ok(b"\0\x05issueca.example".to_vec()));
        let soa = read("SOA", "ns host 7 1h 15m 1w 60").expect("a SOA record");
        assert_eq!(soa[..18], *b"\x02ns\x01o\0\x04host\x01o\0\0\0\0\x07");
        assert_eq!(soa[soa.len() - 16..][..4], [0, 0, 14, 16]);
        assert_eq!(read("TYPE731", "\\# 3 abc d01"), Ok(vec![0xab, 0xcd, 0x01]));
    }

    #[test]
    fn data_of_seldom_types() {
        assert_eq!(read("TLSA", "3 1 1 abcd"), Ok(vec![3, 1, 1, 0xab, 0xcd]));
        assert_eq!(read("SSHFP", "1 1 abcd"), Ok(vec![1, 1, 0xab, 0xcd]));
        let https = read("HTTPS", "1 . alpn=\"h2\" port=8443").expect("an HTTPS record");
        assert_eq!(https, b"\0\x01\0\0\x01\0\x03\x02h2\0\x03\0\x02\x20\xfb");
    }

    #[test]
    fn faults_say_what_is_wrong() {
        assert_eq!(read("A", "1.2.3"), Err("'1.2.3' is no IPv4 address".into()));
        assert_eq!(read("MX", "10"), Err("too few words for a record of this type".into()));
        assert_eq!(read("NS", "a b"), Err("too many words for a record of this type".into()));
        assert_eq!(read("TYPE731", "\\# 2 abcd01"), Err("expects 2 octets as hexadecimal digits".into()));
        assert!(
            type_of(b"ANY").is_none() && type_of(b"TYPE65535").is_none() && type_of(b"nonsense").is_none()
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!((ttl(b"90"), ttl(b"1h30m"), ttl(b"1W")), (Some(90), Some(5400), Some(604_800)));
        assert_eq!((ttl(b""), ttl(b"h"), ttl(b"2147483648"), ttl(b"1x")), (None, None, None, None));
        assert_eq!(ttl(b"99999999999999999999w"), None);
    }
}
