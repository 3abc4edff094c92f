//! Headers of packets as `fc_saved_syn` keeps them: Ethernet, IP, TCP.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::lang::Entry;
use crate::rules::args::{Arg, ArgKind, ArgSpec, Args};
use crate::rules::sample::{Sample, SampleType as T};
use crate::rules::txn::Ctx;

use super::entry::{ConvFn, Converter};
use super::text::bytes;

fn short(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]))
}

fn long(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(short(data, at)?) << 16 | u32::from(short(data, at + 2)?))
}

/// Where a frame's protocol stands, behind tags of VLANs, and the last tag.
fn ethernet(frame: &[u8]) -> Option<(usize, Option<u16>)> {
    let (mut at, mut vlan) = (12, None);
    while matches!(short(frame, at)?, 0x8100 | 0x88a8) {
        vlan = Some(short(frame, at + 2)? & 0xfff);
        at += 4;
    }
    Some((at, vlan))
}

/// An IP header: where what it carries begins, and its protocol.
struct Ip<'p> {
    packet: &'p [u8],
    len: usize,
    protocol: u8,
}

impl<'p> Ip<'p> {
    fn read(packet: &'p [u8]) -> Option<Ip<'p>> {
        let (len, protocol) = match packet.first()? >> 4 {
            4 => (usize::from(packet[0] & 15) * 4, *packet.get(9)?),
            6 => {
                let (mut len, mut next) = (40, *packet.get(6)?);
                // Hop-by-hop, routing, fragment and destination headers.
                while matches!(next, 0 | 43 | 44 | 60) {
                    let size = if next == 44 { 8 } else { usize::from(*packet.get(len + 1)?) * 8 + 8 };
                    next = *packet.get(len)?;
                    len += size;
                }
                (len, next)
            }
            _ => return None,
        };
        (len >= 20 && len <= packet.len()).then_some(Ip { packet, len, protocol })
    }

    fn is_v6(&self) -> bool {
        self.packet[0] >> 4 == 6
    }

    fn tos(&self) -> u8 {
        match self.is_v6() {
            true => self.packet[0] << 4 | self.packet[1] >> 4,
            false => self.packet[1],
        }
    }

    fn ttl(&self) -> u8 {
        self.packet[if self.is_v6() { 7 } else { 8 }]
    }

    /// What is not fragmented: IPv6 never is on its way.
    fn is_whole(&self) -> bool {
        self.is_v6() || self.packet[6] & 0x40 != 0
    }

    fn address(&self, second: bool) -> Option<Sample<'static>> {
        if self.is_v6() {
            let at = if second { 24 } else { 8 };
            let octets: [u8; 16] = self.packet.get(at..at + 16)?.try_into().ok()?;
            return Some(Sample::Ipv6(Ipv6Addr::from(octets)));
        }
        let at = if second { 16 } else { 12 };
        Some(Sample::Ipv4(Ipv4Addr::from(long(self.packet, at)?)))
    }

    fn data(&self) -> &'p [u8] {
        &self.packet[self.len..]
    }
}

/// A TCP header.
struct Tcp<'p> {
    segment: &'p [u8],
    len: usize,
}

impl<'p> Tcp<'p> {
    fn read(segment: &'p [u8]) -> Option<Tcp<'p>> {
        let len = usize::from(segment.get(12)? >> 4) * 4;
        (len >= 20 && len <= segment.len()).then_some(Tcp { segment, len })
    }

    /// Kind and data of each option up to the end of the list.
    fn options(&self) -> impl Iterator<Item = (u8, &'p [u8])> {
        let mut rest = &self.segment[20..self.len];
        std::iter::from_fn(move || match rest {
            [] | [0, ..] => None,
            [1, more @ ..] => {
                rest = more;
                Some((1, &[][..]))
            }
            [kind, len, ..] => {
                let (option, more) = rest.split_at_checked(usize::from(*len).max(2))?;
                rest = more;
                Some((*kind, &option[2..]))
            }
            [_] => None,
        })
    }

    fn option(&self, wanted: u8) -> Option<&'p [u8]> {
        self.options().find(|(kind, _)| *kind == wanted).map(|(_, data)| data)
    }

    fn mss(&self) -> u16 {
        self.option(2).and_then(|data| short(data, 0)).unwrap_or(0)
    }

    fn scale(&self) -> Option<u8> {
        self.option(3)?.first().copied()
    }

    fn list(&self) -> Vec<u8> {
        self.options().map(|(kind, _)| kind).collect()
    }
}

/// What does not change between the packets of one host (the manual, `ip.fp`).
fn fingerprint(packet: &[u8], mode: i64) -> Option<Vec<u8>> {
    let ip = Ip::read(packet)?;
    (ip.protocol == 6).then_some(())?;
    let tcp = Tcp::read(ip.data())?;
    let flag = |set: bool, bit: u8| u8::from(set) << bit;
    let hops = match ip.ttl() {
        0..=32 => 0,
        33..=64 => 1,
        65..=128 => 2,
        129.. => 3,
    };
    let has_options = ip.len > if ip.is_v6() { 40 } else { 20 };
    let flags = tcp.segment[13];
    let mut out = vec![ip.tos()];
    out.push(
        flag(ip.is_v6(), 7)
            | flag(ip.is_whole(), 6)
            | hops << 4
            | flag(has_options, 3)
            | flag(tcp.segment.len() > tcp.len, 2)
            | flag(flags & 0x80 != 0, 1)
            | flag(flags & 0x40 != 0, 0),
    );
    out.push(((tcp.len / 4) as u8) << 4 | tcp.scale().map_or(0, |s| (s + 1).min(15)));
    out.extend(short(tcp.segment, 14)?.to_be_bytes());
    out.extend(tcp.mss().to_be_bytes());
    out.push(tcp.options().fold(0, |seen, (kind, _)| match kind {
        0 | 1 => seen,
        2..=8 => seen | 1 << (kind - 2),
        9.. => seen | 0x80,
    }));
    if mode & 1 != 0 {
        out.push(ip.ttl());
    }
    if mode & 2 != 0 {
        out.extend(tcp.list());
    }
    if mode & 4 != 0 {
        match ip.address(false)? {
            Sample::Ipv4(a) => out.extend(a.octets()),
            Sample::Ipv6(a) => out.extend(a.octets()),
            _ => {}
        }
    }
    Some(out)
}

fn int<N: Into<i64>>(n: N) -> Option<Sample<'static>> {
    Some(Sample::Int(n.into()))
}

fn bin(data: &[u8]) -> Option<Sample<'static>> {
    Some(Sample::Bin(Cow::Owned(data.to_vec())))
}

const fn row(name: &'static str, doc: &'static str, example: &'static str, out: T, run: ConvFn) -> Converter {
    Converter::new(Entry::full(name, "", doc, example, "3.4"), T::Bin, out, run)
}

macro_rules! rows {
    ($($name:literal $example:literal $out:ident $doc:literal |$data:ident| $value:expr;)*) => {
        &[$(row($name, $doc, concat!("fc_saved_syn,", $example), T::$out, |sample, _, _| {
            let $data = &*bytes(sample);
            $value
        })),*,
        Converter::new(
            Entry::full(
                "ip.fp",
                "[<mode>]",
                "A fingerprint of a host by its packet; <mode> adds the TTL (1), the options (2), the address (4).",
                "fc_saved_syn,ip.fp(5),hex",
                "3.4",
            ),
            T::Bin,
            T::Bin,
            run_fingerprint,
        )
        .args(ArgSpec::new(0, &[ArgKind::Int]))]
    };
}

fn run_fingerprint<'a>(sample: Sample<'a>, args: &'a [Arg], _: Ctx<'a>) -> Option<Sample<'a>> {
    fingerprint(&bytes(sample), args.int(0).unwrap_or(0)).map(|out| Sample::Bin(out.into()))
}

pub static CONVERTERS: &[Converter] = rows! {
    "eth.data" "eth.data" Bin "What an Ethernet frame carries." |d| bin(d.get(ethernet(d)?.0 + 2..)?);
    "eth.dst" "eth.dst" Bin "The destination of an Ethernet frame." |d| bin(d.get(..6)?);
    "eth.hdr" "eth.hdr" Bin "The header of an Ethernet frame, tags of VLANs included." |d| bin(d.get(..ethernet(d)?.0 + 2)?);
    "eth.proto" "eth.proto" Int "The protocol of what an Ethernet frame carries." |d| int(short(d, ethernet(d)?.0)?);
    "eth.src" "eth.src" Bin "The source of an Ethernet frame." |d| bin(d.get(6..12)?);
    "eth.vlan" "eth.vlan" Int "The last VLAN of an Ethernet frame." |d| int(ethernet(d)?.1?);
    "ip.data" "eth.data,ip.data" Bin "What an IP packet carries." |d| bin(Ip::read(d)?.data());
    "ip.df" "eth.data,ip.df" Int "1 where an IP packet must not be fragmented." |d| int(Ip::read(d)?.is_whole());
    "ip.dst" "eth.data,ip.dst" Addr "The destination of an IP packet." |d| Ip::read(d)?.address(true);
    "ip.hdr" "eth.data,ip.hdr" Bin "The header of an IP packet with its options." |d| bin(&d[..Ip::read(d)?.len]);
    "ip.proto" "eth.data,ip.proto" Int "The protocol of what an IP packet carries." |d| int(Ip::read(d)?.protocol);
    "ip.src" "eth.data,ip.src" Addr "The source of an IP packet." |d| Ip::read(d)?.address(false);
    "ip.tos" "eth.data,ip.tos" Int "Type of service or traffic class of an IP packet." |d| int(Ip::read(d)?.tos());
    "ip.ttl" "eth.data,ip.ttl" Int "How many hops an IP packet may still go." |d| int(Ip::read(d)?.ttl());
    "ip.ver" "eth.data,ip.ver" Int "The version of an IP packet." |d| int(d.first()? >> 4);
    "tcp.dst" "ip.data,tcp.dst" Int "The destination port of a TCP segment." |d| int(short(Tcp::read(d)?.segment, 2)?);
    "tcp.flags" "ip.data,tcp.flags" Int "The flags of a TCP segment, FIN to CWR." |d| int(Tcp::read(d)?.segment[13]);
    "tcp.options.mss" "ip.data,tcp.options.mss" Int "The largest segment that the peer takes, or 0." |d| int(Tcp::read(d)?.mss());
    "tcp.options.sack" "ip.data,tcp.options.sack" Int "1 where selective acknowledgements are permitted." |d| int(Tcp::read(d)?.option(4).is_some());
    "tcp.options.tsopt" "ip.data,tcp.options.tsopt" Int "1 where a TCP segment has a timestamp." |d| int(Tcp::read(d)?.option(8).is_some());
    "tcp.options.tsval" "ip.data,tcp.options.tsval" Int "The timestamp of a TCP segment." |d| int(long(Tcp::read(d)?.option(8)?, 0)?);
    "tcp.options.wscale" "ip.data,tcp.options.wscale" Int "By how much windows are scaled, or 0." |d| int(Tcp::read(d)?.scale().unwrap_or(0));
    "tcp.options.wsopt" "ip.data,tcp.options.wsopt" Int "1 where windows are scaled." |d| int(Tcp::read(d)?.option(3).is_some());
    "tcp.options_list" "ip.data,tcp.options_list" Bin "The kinds of a TCP segment's options." |d| bin(&Tcp::read(d)?.list());
    "tcp.seq" "ip.data,tcp.seq" Int "The sequence number of a TCP segment." |d| int(long(Tcp::read(d)?.segment, 4)?);
    "tcp.src" "ip.data,tcp.src" Int "The source port of a TCP segment." |d| int(short(Tcp::read(d)?.segment, 0)?);
    "tcp.win" "ip.data,tcp.win" Int "The window of a TCP segment as it is written." |d| int(short(Tcp::read(d)?.segment, 14)?);
};
