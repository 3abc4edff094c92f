//! The PROXY protocol, versions 1 and 2: a client's addresses before its bytes, and fields that tell more of it (HAProxy's
//! doc/proxy-protocol.txt). No I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::base::buf::HEAD_SIZE;

/// What begins version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1.
const LINE_MAX: usize = 107;
const V2_HEAD: usize = 16;
/// What a header of version 2 is for.
const STREAM: u8 = 1;
const DATAGRAM: u8 = 2;

/// Both ends of a client's connection: its address, and the one it is connected to.
pub type Ends = (SocketAddr, SocketAddr);

/// Appends the header for both ends; `None`: not of the Internet.
pub fn write(version: u8, ends: Option<Ends>, out: &mut Vec<u8>) {
    write_with(version, ends, &Fields::default(), out);
}

/// The same with fields, which version 1 has no room for.
pub fn write_with(version: u8, ends: Option<Ends>, fields: &Fields, out: &mut Vec<u8>) {
    let both = ends.map(|(from, to)| same_family(from, to));
    if version < 2 {
        let line = match both {
            Some((from, to)) => {
                let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
                format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port())
            }
            None => "PROXY UNKNOWN\r\n".to_owned(),
        };
        return out.extend_from_slice(line.as_bytes());
    }
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    match both {
        Some(ends) => write_addresses(ends, STREAM, out),
        // PROXY, of a family without addresses.
        None => out.extend_from_slice(&[0x21, 0, 0, 0]),
    }
    if fields.bytes.is_empty() {
        return;
    }
    let first = out.len();
    out.extend_from_slice(&fields.bytes);
    let len = (out.len() - start - V2_HEAD) as u16;
    out[start + 14..start + V2_HEAD].copy_from_slice(&len.to_be_bytes());
    if let Some(at) = fields.checksum {
        let sum = crc32c(&out[start..]);
        out[first + at..first + at + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Appends the header of version 2 for a datagram from the client to the address that it was sent to.
pub fn write_datagram((from, to): Ends, out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    write_addresses(same_family(from, to), DATAGRAM, out);
}

fn write_addresses((from, to): Ends, transport: u8, out: &mut Vec<u8>) {
    let (family, len) = if from.is_ipv4() { (0x10 | transport, 12) } else { (0x20 | transport, 36) };
    out.extend_from_slice(&[0x21, family, 0, len]);
    for ip in [from.ip(), to.ip()] {
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
}

/// Appends the header of version 2 for a connection of the program's own (`LOCAL`).
pub fn write_local(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0x20, 0, 0, 0]);
}

/// Two addresses of one family: as IPv6 where they differ.
fn same_family(from: SocketAddr, to: SocketAddr) -> Ends {
    if from.is_ipv4() == to.is_ipv4() {
        return (from, to);
    }
    let wide = |a: SocketAddr| match a.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), a.port()),
        IpAddr::V6(_) => a,
    };
    (wide(from), wide(to))
}

/// Kinds of fields.
pub mod kind {
    pub const ALPN: u8 = 0x01;
    pub const AUTHORITY: u8 = 0x02;
    pub const CRC32C: u8 = 0x03;
    pub const NOOP: u8 = 0x04;
    pub const UNIQUE_ID: u8 = 0x05;
    pub const SSL: u8 = 0x20;
    /// Within `SSL`.
    pub const SSL_VERSION: u8 = 0x21;
    pub const SSL_CN: u8 = 0x22;
    pub const SSL_CIPHER: u8 = 0x23;
    pub const SSL_SIG_ALG: u8 = 0x24;
    pub const SSL_KEY_ALG: u8 = 0x25;
    pub const NETNS: u8 = 0x30;
}

/// Octets of `SSL` before the fields within: what the client did, and what its certificate is worth.
const SSL_HEAD: usize = 5;
/// Longest values that HAProxy takes.
const AUTHORITY_MOST: usize = 255;
const UNIQUE_ID_MOST: usize = 128;

/// Fields to be written.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    /// Where the checksum goes, which is known when all else is.
    checksum: Option<usize>,
}

impl Fields {
    /// Adds a field. One that the header has no more room for is left out.
    pub fn add(&mut self, kind: u8, value: &[u8]) {
        let after = V2_HEAD + 36 + self.bytes.len() + 3 + value.len();
        if let (Ok(len), true) = (u16::try_from(value.len()), after <= usize::from(u16::MAX)) {
            self.bytes.push(kind);
            self.bytes.extend_from_slice(&len.to_be_bytes());
            self.bytes.extend_from_slice(value);
        }
    }

    /// As they are written, to stand within another one.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds the checksum of the whole header.
    pub fn add_checksum(&mut self) {
        let at = self.bytes.len() + 3;
        self.add(kind::CRC32C, &[0; 4]);
        // Where there is no room it is left out.
        self.checksum = (self.bytes.len() == at + 4).then_some(at);
    }
}

/// Castagnoli's checksum (RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut word, mut bit) = (i as u32, 0);
            while bit < 8 {
                word = (word >> 1) ^ if word & 1 == 1 { 0x82f6_3b78 } else { 0 };
                bit += 1;
            }
            table[i] = word;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |sum, byte| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize])
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ended before it began.
    Empty,
    /// It broke.
    Aborted,
    Timeout,
    /// It ended within the header.
    Truncated,
    NotOne,
    Invalid,
    /// Of a protocol that is none of these.
    Unhandled,
}

impl Fault {
    /// HAProxy's words for it.
    pub fn text(self) -> &'static str {
        match self {
            Fault::Empty => "Connection closed while waiting for PROXY protocol header",
            Fault::Aborted => "Connection error while waiting for PROXY protocol header",
            Fault::Timeout => "Timeout while waiting for PROXY protocol header",
            Fault::Truncated => "Truncated PROXY protocol header received",
            Fault::NotOne => "Received something which does not look like a PROXY protocol header",
            Fault::Invalid => "Received an invalid PROXY protocol header",
            Fault::Unhandled => "Received an unhandled protocol in the PROXY protocol header",
        }
    }
}

/// What stands at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface<'b> {
    /// Not all of it is there.
    More,
    /// None, or a wrong one; and whom it named.
    Bad(Fault, Option<Ends>),
    /// `len` bytes; both ends, unless they are not told; and the fields.
    Whole { len: usize, ends: Option<Ends>, fields: &'b [u8] },
}

/// Reads a header.
pub fn read(bytes: &[u8]) -> Preface<'_> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] {
        return if bytes.len() < V2_HEAD { Preface::More } else { read_binary(bytes) };
    }
    let common = bytes.len().min(6);
    if bytes[..common] != b"PROXY "[..common] {
        return Preface::Bad(Fault::NotOne, None);
    }
    let window = &bytes[..bytes.len().min(LINE_MAX)];
    match memchr::memchr(b'\n', window) {
        Some(end) => match read_line(&window[..end]) {
            Ok(ends) => Preface::Whole { len: end + 1, ends, fields: &[] },
            Err(fault) => Preface::Bad(fault, None),
        },
        None if bytes.len() >= LINE_MAX => Preface::Bad(Fault::Invalid, None),
        None => Preface::More,
    }
}

/// A line of version 1 up to its CR.
fn read_line(line: &[u8]) -> Result<Option<Ends>, Fault> {
    let text = line.strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let mut words = text.ok_or(Fault::Invalid)?.split(' ').skip(1);
    let family = words.next().unwrap_or("");
    match family {
        "UNKNOWN" => return Ok(None),
        "TCP4" | "TCP6" => {}
        _ => return Err(Fault::Unhandled),
    }
    let mut ip = || -> Option<IpAddr> {
        let ip: IpAddr = words.next()?.parse().ok()?;
        (ip.is_ipv4() == (family == "TCP4")).then_some(ip)
    };
    let (from, to) = ip().zip(ip()).ok_or(Fault::Invalid)?;
    let mut port = || words.next()?.parse::<u16>().ok();
    let (first, second) = port().zip(port()).ok_or(Fault::Invalid)?;
    let ends = (SocketAddr::new(from, first), SocketAddr::new(to, second));
    if words.next().is_none() { Ok(Some(ends)) } else { Err(Fault::Invalid) }
}

fn read_binary(bytes: &[u8]) -> Preface<'_> {
    let (command, family) = (bytes[12], bytes[13]);
    let len = V2_HEAD + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if command >> 4 != 2 {
        return Preface::Bad(Fault::NotOne, None);
    }
    if !matches!(command, 0x20 | 0x21) || len > HEAD_SIZE {
        return Preface::Bad(Fault::Invalid, None);
    }
    let Some(body) = bytes.get(V2_HEAD..len) else { return Preface::More };
    // LOCAL: the proxy speaks for itself.
    if command == 0x20 {
        return Preface::Whole { len, ends: None, fields: &[] };
    }
    let found = match family {
        0x11 => addresses::<4>(body)
            .map(|(from, to, ports)| (Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into(), ports, 12)),
        0x21 => addresses::<16>(body)
            .map(|(from, to, ports)| (Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into(), ports, 36)),
        0x00 => {
            return match check_fields(&bytes[..len], body) {
                true => Preface::Whole { len, ends: None, fields: body },
                false => Preface::Bad(Fault::Invalid, None),
            };
        }
        _ => None,
    };
    let Some((from, to, ports, taken)) = found else { return Preface::Bad(Fault::Invalid, None) };
    let (from, to): (IpAddr, IpAddr) = (from, to);
    let ends = Some((SocketAddr::new(from, ports[0]), SocketAddr::new(to, ports[1])));
    let fields = &body[taken..];
    match check_fields(&bytes[..len], fields) {
        true => Preface::Whole { len, ends, fields },
        false => Preface::Bad(Fault::Invalid, ends),
    }
}

/// Whether the fields fill the rest of the header, none is too long, and the checksum, if there is one, is right.
fn check_fields(header: &[u8], fields: &[u8]) -> bool {
    let mut rest = fields;
    while !rest.is_empty() {
        let Some((kind, value, next)) = first_field(rest) else { return false };
        let fits = match kind {
            kind::AUTHORITY => value.len() <= AUTHORITY_MOST,
            kind::UNIQUE_ID => value.len() <= UNIQUE_ID_MOST,
            kind::CRC32C => {
                let at = header.len() - next.len() - value.len();
                <[u8; 4]>::try_from(value).is_ok_and(|told| {
                    let mut whole = header.to_vec();
                    whole[at..at + 4].fill(0);
                    crc32c(&whole) == u32::from_be_bytes(told)
                })
            }
            _ => true,
        };
        if !fits {
            return false;
        }
        rest = next;
    }
    true
}

/// The first field: its kind, its value, and what follows.
fn first_field(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some((*kind, value, rest))
}

/// The fields that stand behind each other, as far as they are whole.
fn each_field(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (kind, value, rest) = first_field(bytes)?;
        bytes = rest;
        Some((kind, value))
    })
}

/// What a header told besides addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    fields: Box<[u8]>,
}

impl Received {
    pub fn new(fields: &[u8]) -> Received {
        Received { fields: fields.into() }
    }

    /// The values of a kind, in order; those of kinds that stand within `SSL` too.
    pub fn values(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        let is_inner = (kind::SSL_VERSION..=kind::SSL_KEY_ALG).contains(&kind);
        let of = move |(found, value)| (found == kind).then_some(value);
        let inner = each_field(&self.fields)
            .filter(move |(found, _)| is_inner && *found == kind::SSL)
            .flat_map(|(_, value)| each_field(value.get(SSL_HEAD..).unwrap_or_default()));
        each_field(&self.fields).chain(inner).filter_map(of)
    }
}

/// Two addresses of `N` bytes and two ports.
fn addresses<const N: usize>(body: &[u8]) -> Option<([u8; N], [u8; N], [u16; 2])> {
    let (from, rest) = body.split_first_chunk::<N>()?;
    let (to, rest) = rest.split_first_chunk::<N>()?;
    let ports = rest.first_chunk::<4>()?;
    Some((*from, *to, [u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(from: &str, to: &str) -> Ends {
        (from.parse().unwrap(), to.parse().unwrap())
    }

    fn v4() -> Ends {
        ends("10.0.0.1:4000", "10.0.0.2:80")
    }

    #[test]
    fn what_is_written_is_read() {
        let mut fields = Fields::default();
        fields.add(0xe0, b"own");
        fields.add_checksum();
        fields.add(kind::AUTHORITY, b"a.example");
        for (from, to) in [("10.0.0.1:4000", "10.0.0.2:80"), ("[2001:db8::1]:4000", "[2001:db8::2]:80")] {
            let both = ends(from, to);
            for (version, with) in [(1, &Fields::default()), (2, &Fields::default()), (2, &fields)] {
                let mut bytes = Vec::new();
                write_with(version, Some(both), with, &mut bytes);
                let len = bytes.len();
                for cut in 0..len {
                    assert_eq!(read(&bytes[..cut]), Preface::More, "{version} {cut}");
                }
                bytes.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
                let Preface::Whole { len: found, ends, fields } = read(&bytes) else { panic!("{bytes:?}") };
                assert_eq!((found, ends, fields.len()), (len, Some(both), with.bytes.len()));
            }
        }
        for version in [1, 2] {
            let mut bytes = Vec::new();
            write(version, None, &mut bytes);
            assert_eq!(read(&bytes), Preface::Whole { len: bytes.len(), ends: None, fields: &[] });
        }
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let mut fields = Fields::default();
        fields.add_checksum();
        let mut bytes = Vec::new();
        write_with(2, Some(v4()), &fields, &mut bytes);
        assert!(matches!(read(&bytes), Preface::Whole { .. }));
        for at in V2_HEAD..bytes.len() {
            // Anything changed is found, unless it makes another field of the checksum.
            if at == V2_HEAD + 12 {
                continue;
            }
            let mut wrong = bytes.clone();
            wrong[at] ^= 4;
            assert!(matches!(read(&wrong), Preface::Bad(Fault::Invalid, Some(_))), "{at}");
        }
    }

    #[test]
    fn fields_are_found_by_kind() {
        let mut inner = Fields::default();
        inner.add(kind::SSL_CN, b"client");
        let mut fields = Fields::default();
        fields.add(kind::NOOP, b"xx");
        fields.add(kind::AUTHORITY, b"one");
        fields.add(kind::SSL, &[&[1, 0, 0, 0, 0], &inner.bytes[..]].concat());
        fields.add(kind::AUTHORITY, b"two");
        let received = Received::new(&fields.bytes);
        let all = |kind| received.values(kind).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(all(kind::AUTHORITY), [b"one", b"two"]);
        assert_eq!(all(kind::SSL_CN), [b"client"]);
        assert_eq!(all(kind::NETNS), Vec::<Vec<u8>>::new());
        // One that finds no room is left out, and the others stay what they are.
        fields.add(0xe0, &[0; 65_500]);
        assert!(fields.bytes.len() < 100);
    }

    #[test]
    fn anything_else_is_refused() {
        use Fault::{Invalid, NotOne, Unhandled};
        for (bytes, fault) in [
            (&b"GET / HTTP/1.1\r\n"[..], NotOne),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n", Invalid),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n", Invalid),
            (b"PROXY TCP4 2001:db8::1 10.0.0.2 1 2\r\n", Invalid),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 65536\r\n", Invalid),
            (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n", Invalid),
            (b"PROXY TCP5 10.0.0.1 10.0.0.2 1 2\r\n", Unhandled),
            (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c", NotOne),
            (b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c", Invalid),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab", Invalid),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c123456789012", Invalid),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", Invalid),
        ] {
            assert_eq!(read(bytes), Preface::Bad(fault, None), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(read(&[b"PROXY ".as_slice(), &[b'x'; 120]].concat()), Preface::Bad(Invalid, None));
        for (kind, len, is_good) in
            [(2, 255, true), (2, 256, false), (5, 128, true), (5, 129, false), (9, 300, true)]
        {
            let mut fields = Fields::default();
            fields.add(kind, &vec![b'a'; len]);
            let mut bytes = Vec::new();
            write_with(2, Some(v4()), &fields, &mut bytes);
            assert_eq!(matches!(read(&bytes), Preface::Whole { .. }), is_good, "{kind} {len}");
        }
        for stub in [&b"\x02"[..], b"\x02\0", b"\x02\0\x09abc"] {
            let mut bytes = Vec::new();
            write(2, Some(v4()), &mut bytes);
            bytes.extend_from_slice(stub);
            bytes[15] += stub.len() as u8;
            assert_eq!(read(&bytes), Preface::Bad(Invalid, Some(v4())), "{stub:?}");
        }
    }
}
