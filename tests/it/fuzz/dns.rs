//! Datagrams: whatever comes, there is an answer that fits into a datagram and has the query's id, or none.

use std::sync::Arc;

use isobar::dns::answer::{Ask, Outcome, Settings, State, respond};
use isobar::dns::cookie::Secret;
use isobar::dns::name::from_text;
use isobar::dns::wire::rtype;
use isobar::dns::zone::{Builder, Zones};

use super::mutate::drive;

fn state() -> State {
    let name = |text: &str| from_text(text.as_bytes(), None).expect("a name");
    let mut builder = Builder::new(&name("example.com."));
    let soa = [name("ns.example.com."), name("h.example.com."), vec![0; 20]].concat();
    let records: [(&str, u16, Vec<u8>); 9] = [
        ("example.com.", rtype::SOA, soa),
        ("example.com.", rtype::NS, name("ns.example.com.")),
        ("www.example.com.", rtype::A, vec![192, 0, 2, 1]),
        ("c.example.com.", rtype::CNAME, name("www.example.com.")),
        ("*.w.example.com.", rtype::CNAME, name("c.example.com.")),
        ("sub.example.com.", rtype::NS, name("ns.sub.example.com.")),
        ("ns.sub.example.com.", rtype::A, vec![192, 0, 2, 2]),
        ("d.example.com.", rtype::DNAME, name("w.example.com.")),
        ("s.example.com.", rtype::SRV, [vec![0; 6], name("www.example.com.")].concat()),
    ];
    for (owner, rtype, rdata) in records {
        builder.add(&name(owner), rtype, 60, &rdata).expect("room");
    }
    let mut zones = Zones::default();
    zones.insert(Arc::new(builder.finish().expect("a zone")));
    State {
        settings: Settings {
            nsid: Some((*b"n").into()),
            secret: Secret([1; 16]),
            ecs: true,
            keys: vec![],
            transfers: vec![],
            hosts: Default::default(),
        }
        .into(),
        zones: zones.into(),
        records: Arc::from([]),
        views: Arc::from([]),
        regions: Arc::from([]),
        catalog: None,
    }
}

fn query(name: &str, qtype: u16) -> Vec<u8> {
    let mut packet = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend(from_text(name.as_bytes(), None).expect("a name"));
    packet.extend(qtype.to_be_bytes());
    packet.extend([0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 27, 0, 8, 0, 7, 0, 1, 24, 0, 203, 0, 113]);
    packet.extend(b"\0\x0a\0\x0812345678\0\x03\0\0");
    packet
}

#[test]
fn any_datagram() {
    let names = [
        "www.example.com.",
        "c.example.com.",
        "x.w.example.com.",
        "a.sub.example.com.",
        "x.d.example.com.",
        "s.example.com.",
        "example.com.",
    ];
    let seeds: Vec<Vec<u8>> =
        names.iter().flat_map(|name| [1, 33, 255, 43].map(|qtype| query(name, qtype))).collect();
    let state = state();
    drive("datagrams", &seeds, |packet, random| {
        let ask = Ask {
            client: [127, 0, 0, 1].into(),
            stream: false,
            now_s: 1_700_000_000,
            draw: random.below(1 << 20) as u64,
            recursion: false,
            key: None,
        };
        let mut out = [0; 1232];
        if let Outcome::Sent(sent) = respond(&state, packet, &ask, &mut out) {
            assert!(sent.len >= 12 && sent.len <= 1232);
            assert_eq!((&out[..2], out[2] & 0x80), (&packet[..2], 0x80));
        }
    });
}
