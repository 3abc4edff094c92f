//! Answers of Consul's names, from maps made by commands.

use super::Consul;
use crate::dns::answer::{Ask, Catalog};
use crate::dns::message::{Section, Writer};
use crate::dns::name;
use crate::dns::wire::{HEADER, Query, rcode, rtype};
use crate::region::map::{self, Command, Health};
use crate::region::seat::Publisher;
use crate::region::testing::{World, registration, status};

use Health::{Critical, Passing};

struct Bench {
    world: World,
}

impl Bench {
    fn consul(&self) -> Consul {
        Consul {
            domain: (*b"\x06consul\0").into(),
            datacenter: "dc1".into(),
            region: "eu".into(),
            ttl: 0,
            view: Publisher::new(self.world.map.clone()).view(),
        }
    }

    /// Code, answers and additional records, and the octets; `None`: not its name.
    fn ask(&self, text: &str, qtype: u16) -> Option<(u16, u16, u16, Vec<u8>)> {
        let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend(name::from_text(text.as_bytes(), None).expect("a name"));
        packet.extend(qtype.to_be_bytes());
        packet.extend([0, 1]);
        let (query, read) = Query::parse(&packet);
        read.expect("readable");
        let question = query.question.expect("a question");
        let mut out = [0; 4096];
        let mut writer = Writer::new(&mut out, 4096);
        writer.question(&packet[HEADER..]).expect("room");
        let ask = Ask {
            client: [127, 0, 0, 1].into(),
            stream: false,
            now_s: 9,
            draw: 0,
            recursion: false,
            key: None,
        };
        let code = self.consul().answer(&question, &ask, &mut writer)?.expect("room");
        Some((
            code,
            writer.count(Section::Answer),
            writer.count(Section::Additional),
            writer.written().to_vec(),
        ))
    }

    fn code(&self, text: &str, qtype: u16) -> (u16, u16) {
        let (code, answers, ..) = self.ask(text, qtype).expect("a name of the domain");
        (code, answers)
    }
}

fn bench() -> Bench {
    let mut world = World::default();
    for (region, id, tags, address) in [
        ("eu", "one", "v1,a.b", "192.0.2.1"),
        ("us", "two", "v2", "192.0.2.2"),
        ("us", "named", "n", "web.example.net"),
    ] {
        let Command::Register(mut registration) = registration((region, region), "web", id, 8080, Passing)
        else {
            panic!("a registration")
        };
        let instance = registration.instance.as_mut().expect("an instance");
        instance.tags = tags.split(',').map(Into::into).collect();
        instance.address = address.into();
        instance.weights.passing = 3;
        world.apply(Command::Register(registration));
    }
    Bench { world }
}

#[test]
fn services_by_name_tag_and_place() {
    let bench = bench();
    assert_eq!(bench.code("web.service.consul.", rtype::A), (0, 2));
    assert_eq!(bench.code("WEB.Service.Consul.", rtype::A), (0, 2));
    assert_eq!(bench.code("web.service.dc1.consul.", rtype::A), (0, 2));
    assert_eq!(bench.code("web.service.eu.consul.", rtype::A), (0, 1), "a region is a place as well");
    assert_eq!(bench.code("web.service.dc2.consul.", rtype::A), (rcode::NXDOMAIN, 0));
    assert_eq!(bench.code("v2.web.service.consul.", rtype::A), (0, 1));
    assert_eq!(bench.code("a.b.web.service.consul.", rtype::A), (0, 1));
    assert_eq!(bench.code("v9.web.service.consul.", rtype::A), (rcode::NXDOMAIN, 0));
    assert_eq!(bench.code("web.service.consul.", rtype::AAAA), (0, 0), "there, but without such an address");
    assert_eq!(bench.code("none.service.consul.", rtype::A), (rcode::NXDOMAIN, 0));
    let (_, answers, _, octets) = bench.ask("n.web.service.consul.", rtype::A).expect("an answer");
    assert!(answers == 1 && octets.ends_with(b"\x03web\x07example\x03net\0"), "a name is an alias");
    assert!(bench.ask("web.example.org.", rtype::A).is_none(), "not of the domain");
}

#[test]
fn servers_have_ports_weights_and_targets() {
    let bench = bench();
    for text in ["_web._tcp.service.consul.", "_web._tcp.consul.", "web.service.consul."] {
        let (code, answers, additional, octets) = bench.ask(text, rtype::SRV).expect("an answer");
        assert_eq!((code, answers, additional), (0, 3, 2), "{text}");
        let target = b"\x00\x01\x03\x00\x1f\x90\x08c0000201\x04addr\x03dc1\x06consul\0";
        assert!(octets.windows(target.len()).any(|w| w == target), "{text}: weight 3 as HAProxy reads it");
    }
    assert_eq!(bench.code("_web._v2.service.consul.", rtype::SRV), (0, 1));
    assert_eq!(bench.code("c0000201.addr.dc1.consul.", rtype::A), (0, 1));
}

#[test]
fn only_the_healthy_are_named() {
    let mut bench = bench();
    bench.world.apply(status("us", "two", Critical));
    assert_eq!(bench.code("web.service.consul.", rtype::A), (0, 1));
    bench.world.apply(status("eu", "one", Critical));
    bench.world.apply(status("us", "named", Critical));
    assert_eq!(bench.code("web.service.consul.", rtype::A), (rcode::NXDOMAIN, 0));
}

#[test]
fn nodes_the_domain_and_pointers() {
    let mut bench = bench();
    assert_eq!(bench.code("eu.node.consul.", rtype::A), (0, 1));
    assert_eq!(bench.code("eu.node.consul.", rtype::TXT), (0, 0));
    assert_eq!(bench.code("xx.node.consul.", rtype::A), (rcode::NXDOMAIN, 0));
    assert_eq!(bench.code("consul.", rtype::SOA), (0, 1));
    bench.world.apply(crate::region::testing::member("eu", "eu", true));
    assert_eq!(bench.code("consul.", rtype::NS), (0, 1));
    let (_, answers, _, octets) = bench.ask("1.0.0.127.in-addr.arpa.", rtype::PTR).expect("a node");
    assert!(answers == 1 && octets.ends_with(b"\x02eu\x04node\x03dc1\x06consul\0"));
    assert!(bench.ask("1.0.0.10.in-addr.arpa.", rtype::PTR).is_none(), "nobody has it");
}

#[test]
fn prepared_queries_are_names_too() {
    let mut bench = bench();
    bench.world.apply(Command::QueryPut(
        map::Query {
            id: "6a8f4b5e-0000-0000-0000-000000000000".into(),
            name: "my".into(),
            definition:
                br#"{"Name": "my", "Service": {"Service": "web", "Tags": ["v1"]}, "DNS": {"TTL": "10s"}}"#
                    .to_vec()
                    .into(),
            ..map::Query::default()
        },
    ));
    assert_eq!(bench.code("my.query.consul.", rtype::A), (0, 1));
    assert_eq!(bench.code("your.query.consul.", rtype::A), (rcode::NXDOMAIN, 0));
}
