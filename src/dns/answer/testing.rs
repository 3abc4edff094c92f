//! States and queries for tests, and answers as text.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::dns::cookie::Secret;
use crate::dns::name;
use crate::dns::policy::{
    ClientMap, Endpoint, Geography, InRegion, Place, Policy, Preferences, ServiceView, Step,
};
use crate::dns::wire::{HEADER, rtype, skip_name, u16_at, u32_at};
use crate::dns::zone::{ALIAS, Builder, DYNAMIC, Dynamic, FileReader, Zones};

const ZONE: &str = r#"
$TTL 300
@       IN SOA ns1 hostmaster 1 3600 600 86400 60
        NS ns1
        NS ns2.example.net.
        MX 10 mail
ns1     A 192.0.2.53
mail    A 192.0.2.25
        AAAA 2001:db8::25
www     A 192.0.2.1
        A 192.0.2.2
        TXT "hello"
alias   CNAME www
chain   CNAME alias
loop    CNAME loop
away    CNAME www.example.org.
*.wild  A 192.0.2.9
        TXT "wild"
*.cwild CNAME www
a.b.c   A 192.0.2.3
sub     NS ns.sub
        NS ns.example.net.
        DS 1 8 2 ABCDEF
ns.sub  A 192.0.2.54
old     DNAME new
x.new   A 192.0.2.7
big     TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        TXT "1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        TXT "2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        TXT "3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        TXT "4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
_http._tcp SRV 0 5 80 www
$GENERATE 1-3 host-$ A 10.0.0.$
"#;

pub(super) fn zone(apex: &str, text: &str) -> Builder {
    let apex = name::from_text(apex.as_bytes(), None).expect("a name");
    let mut builder = Builder::new(&apex);
    let read = |_: &Path| Ok(text.replace("DS 1 8 2 ABCDEF", "TYPE43 \\# 6 000108020000").into_bytes());
    let mut reader = FileReader::new(&mut builder, &read);
    reader.load(Path::new("zone"));
    assert_eq!(reader.faults, []);
    builder
}

fn endpoint(region: u8, n: u8) -> Endpoint {
    Endpoint { v4: Some([10, region, 0, n]), port: 8080, weight: 2, key: u64::from(n), ..Endpoint::default() }
}

/// `example.com.` of a file, and `live` in it: a service in two regions, one for 203.0.113.0/24, the other for the rest.
pub(super) fn state() -> State {
    let mut builder = zone("example.com.", ZONE);
    let live = name::from_text(b"live.example.com.", None).expect("a name");
    for rtype in [rtype::A, rtype::AAAA] {
        builder.add(&live, DYNAMIC, 30, &Dynamic { id: 0, rtype }.encode()).expect("room");
    }
    let srv = name::from_text(b"_live._tcp.example.com.", None).expect("a name");
    builder.add(&srv, DYNAMIC, 30, &Dynamic { id: 0, rtype: rtype::SRV }.encode()).expect("room");
    let apex = builder.apex().to_vec();
    builder.add(&apex, ALIAS, 60, &live).expect("room");
    let mut zones = Zones::default();
    zones.insert(Arc::new(builder.finish().expect("a zone")));
    let networks = |list: &[&str]| Place {
        networks: list.iter().map(|n| n.parse().expect("a network")).collect(),
        ..Place::default()
    };
    let geography = Geography { regions: vec![networks(&["203.0.113.0/24"]), networks(&[])], own: Some(1) };
    let policy = Policy { steps: vec![Step::Networks], ..Policy::default() };
    let preferences = Arc::new(Preferences::new(&policy.steps, &geography, &ClientMap::default()));
    let of = |region: u16| InRegion {
        region,
        healthy: vec![endpoint(region as u8, 1), endpoint(region as u8, 2)],
        ..InRegion::default()
    };
    State {
        settings: Arc::new(Settings {
            nsid: Some((*b"node-1").into()),
            secret: Secret([7; 16]),
            ecs: true,
            keys: vec![],
            hosts: Arc::default(),
            transfers: vec![],
        }),
        zones: Arc::new(zones),
        records: vec![Record {
            service: 0,
            policy,
            preferences,
            ttl: 30,
            owner: live.into(),
            told: Arc::new(Told { service: "live".to_owned(), policy: "networks".to_owned() }),
            answers: Arc::default(),
        }]
        .into(),
        regions: vec!["east".into(), "west".into()].into(),
        catalog: None,
        views: vec![Arc::new(ServiceView { regions: vec![of(0), of(1)] })].into(),
    }
}

pub(super) const ASK: Ask = Ask {
    client: IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)),
    stream: false,
    now_s: 1_700_000_000,
    draw: 0,
    recursion: false,
    key: None,
};

/// A query for a name and type, with RD and these additional octets.
pub(super) fn query(text: &str, qtype: u16, opt: Option<&[u8]>) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())];
    packet.extend(name::from_text(text.as_bytes(), None).expect("a name"));
    packet.extend(qtype.to_be_bytes());
    packet.extend([0, 1]);
    if let Some(options) = opt {
        packet.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0]);
        packet.extend((options.len() as u16).to_be_bytes());
        packet.extend(options);
    }
    packet
}

/// An answer as lines: flags and code, then each record.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) octets: Vec<u8>,
    pub(super) flags: u16,
    pub(super) code: u16,
    /// Section, name, type, TTL, data with names in full.
    pub(super) records: Vec<(usize, String, u16, u32, Vec<u8>)>,
    pub(super) options: Vec<(u16, Vec<u8>)>,
}

impl Answer {
    pub(super) fn section(&self, section: usize) -> Vec<String> {
        let of = self.records.iter().filter(|r| r.0 == section);
        of.map(|(_, name, rtype, ttl, data)| format!("{name} {ttl} {rtype} {}", shown(*rtype, data)))
            .collect()
    }

    pub(super) fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(c, _)| *c == code).map(|(_, value)| &value[..])
    }
}

fn shown(rtype: u16, data: &[u8]) -> String {
    match rtype {
        1 => data.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        2 | 5 | 12 | 39 => name::to_text(data),
        33 => format!("{:?} {}", &data[..6], name::to_text(&data[6..])),
        _ => format!("{} octets", data.len()),
    }
}

pub(super) fn ask(state: &State, packet: &[u8], ask: &Ask) -> Option<Answer> {
    let mut out = [0xaa; 65_535];
    match respond(state, packet, ask, &mut out) {
        Outcome::Sent(sent) => Some(read(&out[..sent.len])),
        _ => None,
    }
}

pub(super) fn read(octets: &[u8]) -> Answer {
    let word = |at| u16_at(octets, at).expect("in the message");
    let flags = word(2);
    let mut answer =
        Answer { octets: octets.to_vec(), flags, code: flags & 15, records: vec![], options: vec![] };
    let mut at = HEADER;
    for _ in 0..word(4) {
        at = skip_name(octets, at).expect("a question") + 4;
    }
    for section in 1..4 {
        for _ in 0..word(4 + 2 * section) {
            let name = expand(octets, at);
            let start = skip_name(octets, at).expect("a name");
            let (rtype, ttl) = (word(start), u32_at(octets, start + 4).expect("a TTL"));
            let size = usize::from(word(start + 8));
            let data = start + 10;
            at = data + size;
            if rtype == rtype::OPT {
                answer.code |= (ttl >> 24) as u16 * 16;
                let mut rest = &octets[data..at];
                while !rest.is_empty() {
                    let size = usize::from(u16_at(rest, 2).expect("a length"));
                    answer.options.push((u16_at(rest, 0).expect("a code"), rest[4..4 + size].to_vec()));
                    rest = &rest[4 + size..];
                }
                continue;
            }
            let value = match rtype {
                2 | 5 | 12 => expand(octets, data),
                15 => [&octets[data..data + 2], &expand(octets, data + 2)].concat(),
                _ => octets[data..at].to_vec(),
            };
            answer.records.push((section, name::to_text(&name), rtype, ttl, value));
        }
    }
    assert_eq!(at, octets.len(), "nothing behind the last record");
    answer
}

fn expand(octets: &[u8], mut at: usize) -> Vec<u8> {
    let (mut wire, mut jumps) = (Vec::new(), 0);
    loop {
        let size = octets[at];
        if size >= 0xc0 {
            let to = usize::from(u16_at(octets, at).expect("a pointer") & 0x3fff);
            assert!(to < at, "pointers lead back");
            (at, jumps) = (to, jumps + 1);
            assert!(jumps < 64);
            continue;
        }
        let end = at + 1 + usize::from(size);
        wire.extend_from_slice(&octets[at..end]);
        at = end;
        if size == 0 {
            return wire;
        }
    }
}
