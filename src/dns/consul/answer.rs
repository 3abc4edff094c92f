//! What the map has for a name.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::grammar::{Asked, parse, reverse};
use crate::dns::answer::{Ask, Catalog};
use crate::dns::message::{Full, QUESTION, Section, Writer};
use crate::dns::name::{self, MAX_NAME, QName};
use crate::dns::spec::Name;
use crate::dns::wire::{Question, rcode, rtype};
use crate::region::map::{Health, Instance, Map, Node};
use crate::region::query;
use crate::region::seat::View;

/// HAProxy takes the weight of a server from the upper eight bits of that of its SRV record.
const WEIGHT_UNIT: u32 = 256;
/// Name servers that are told.
const SERVERS: usize = 3;

/// The names of a domain.
pub struct Consul {
    /// In wire form and lower case.
    pub domain: Box<[u8]>,
    pub datacenter: Name,
    /// The region this node stands in; it is never lost to itself.
    pub region: Name,
    pub ttl: u32,
    pub view: Arc<View>,
}

/// A name as text: labels joined by dots.
struct Text {
    octets: [u8; MAX_NAME],
    len: usize,
}

impl Text {
    /// The first labels of a name. `None`: one of them has a dot or what is no ASCII, so it names nothing of ours.
    fn of(name: &QName, labels: usize) -> Option<Text> {
        let mut text = Text { octets: [0; MAX_NAME], len: 0 };
        for at in 0..labels {
            let label = name.label(at);
            if label.iter().any(|octet| *octet == b'.' || !octet.is_ascii()) {
                return None;
            }
            if at > 0 {
                text.octets[text.len] = b'.';
                text.len += 1;
            }
            text.octets[text.len..text.len + label.len()].copy_from_slice(label);
            text.len += label.len();
        }
        Some(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..self.len]).unwrap_or_default()
    }
}

/// An instance that may be named.
type Hit<'m> = (&'m Instance, &'m Node);
type Hits<'m> = SmallVec<[Hit<'m>; 32]>;

impl Catalog for Consul {
    fn answer(&self, question: &Question, ask: &Ask, writer: &mut Writer<'_>) -> Option<Result<u16, Full>> {
        let name = &question.name;
        let map = self.view.map();
        let mut answer = Answer { consul: self, map: &map, ask, writer, qtype: question.qtype };
        if !name::is_within(name.as_wire(), &self.domain) {
            let text = Text::of(name, name.labels())?;
            // Without a node of that address it is somebody else's question.
            return answer.pointer(reverse(text.as_str())?);
        }
        let below = name.labels() - name::labels(&self.domain).count();
        let Some(text) = Text::of(name, below) else { return Some(answer.nothing(rcode::NXDOMAIN)) };
        let asked = parse(text.as_str(), question.qtype == rtype::SRV);
        Some(answer.of(asked))
    }
}

struct Answer<'a, 'b> {
    consul: &'a Consul,
    map: &'a Map,
    ask: &'a Ask,
    writer: &'a mut Writer<'b>,
    qtype: u16,
}

type Code = Result<u16, Full>;

impl<'a> Answer<'a, '_> {
    fn of(&mut self, asked: Option<Asked<'_>>) -> Code {
        match asked {
            None => self.nothing(rcode::NXDOMAIN),
            Some(Asked::Domain) => self.domain(),
            Some(Asked::Address(ip)) => self.host(Some(ip), ""),
            Some(Asked::Node { name, place }) => {
                let node = self.map.node(name).filter(|node| self.is_at(place, &node.region));
                match node {
                    Some(node) => self.host(node.address.parse().ok(), &node.address),
                    None => self.nothing(rcode::NXDOMAIN),
                }
            }
            Some(Asked::Service { name, tag, place }) => {
                let map = self.map;
                let fits = |instance: &&Arc<Instance>| {
                    tag.is_none_or(|tag| instance.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
                };
                let hits = self.healthy(map.instances_of(name).filter(fits), place);
                self.instances(hits, self.consul.ttl)
            }
            Some(Asked::Query { name, place }) => self.query(name, place),
        }
    }

    fn query(&mut self, name: &str, place: Option<&str>) -> Code {
        let Some(found) = query::lookup(self.map, name) else { return self.nothing(rcode::NXDOMAIN) };
        // Seconds alone; what else Go's durations can say is rounded down to none.
        let ttl = found
            .definition
            .dns
            .ttl
            .strip_suffix('s')
            .and_then(|s| s.parse().ok())
            .unwrap_or(self.consul.ttl);
        let map = self.map;
        let hits = self.healthy(query::execute(map, &found.definition.service), place);
        self.instances(hits, ttl)
    }

    /// Whether a region is meant by the place in a name: the datacenter is all of them.
    fn is_at(&self, place: Option<&str>, region: &str) -> bool {
        place.is_none_or(|place| {
            self.consul.datacenter.eq_ignore_ascii_case(place) || region.eq_ignore_ascii_case(place)
        })
    }

    fn healthy<'m>(&self, instances: impl Iterator<Item = &'m Arc<Instance>>, place: Option<&str>) -> Hits<'m>
    where
        'a: 'm,
    {
        let map = self.map;
        let lost = |region: &str| {
            *region != *self.consul.region && map.outage(region).is_some_and(|outage| outage.lost)
        };
        instances
            .filter_map(|instance| Some((&**instance, &**map.node(&instance.node)?)))
            .filter(|(_, node)| self.is_at(place, &node.region) && !lost(&node.region))
            .filter(|(instance, _)| map.checks_of(instance).all(|check| check.status != Health::Critical))
            .collect()
    }

    fn instances(&mut self, hits: Hits<'_>, ttl: u32) -> Code {
        if hits.is_empty() {
            return self.nothing(rcode::NXDOMAIN);
        }
        if self.qtype == rtype::SRV {
            for hit in &hits {
                self.server(hit, ttl)?;
            }
            for hit in &hits {
                self.server_address(hit, ttl);
            }
            return Ok(rcode::NOERROR);
        }
        let start = self.ask.draw as usize % hits.len();
        let mut seen: SmallVec<[IpAddr; 32]> = SmallVec::new();
        let mut alias = None;
        for hit in hits.iter().cycle().skip(start).take(hits.len()) {
            let address = address_of(hit);
            match address.parse() {
                Ok(ip) if !seen.contains(&ip) => {
                    seen.push(ip);
                    self.address(ip, ttl)?;
                }
                Ok(_) => {}
                Err(_) => alias = Some(address),
            }
        }
        // An instance that is a name is an alias, where nothing else is there.
        if let Some(host) = alias.filter(|_| seen.is_empty() && matches!(self.qtype, rtype::A | rtype::AAAA))
        {
            return self.cname(host, ttl);
        }
        if self.writer.count(Section::Answer) == 0 {
            self.nothing(rcode::NOERROR)
        } else {
            Ok(rcode::NOERROR)
        }
    }

    /// A record of the address when it is of the family that is asked for.
    fn address(&mut self, ip: IpAddr, ttl: u32) -> Result<(), Full> {
        match (ip, self.qtype) {
            (IpAddr::V4(ip), rtype::A) => {
                self.writer.record(Section::Answer, QUESTION, rtype::A, ttl, &ip.octets())
            }
            (IpAddr::V6(ip), rtype::AAAA) => {
                self.writer.record(Section::Answer, QUESTION, rtype::AAAA, ttl, &ip.octets())
            }
            _ => Ok(()),
        }
    }

    fn cname(&mut self, host: &str, ttl: u32) -> Code {
        match name::from_text(host.as_bytes(), Some(name::ROOT)) {
            Ok(target) => self.writer.cname(QUESTION, ttl, &target).map(|_| rcode::NOERROR),
            Err(_) => self.nothing(rcode::NOERROR),
        }
    }

    /// One host: by address, else by its name.
    fn host(&mut self, ip: Option<IpAddr>, text: &str) -> Code {
        match ip {
            Some(ip) => self.address(ip, self.consul.ttl)?,
            None if matches!(self.qtype, rtype::A | rtype::AAAA | rtype::CNAME) && !text.is_empty() => {
                return self.cname(text, self.consul.ttl);
            }
            None => {}
        }
        if self.writer.count(Section::Answer) == 0 {
            self.nothing(rcode::NOERROR)
        } else {
            Ok(rcode::NOERROR)
        }
    }

    fn server(&mut self, hit: &Hit<'_>, ttl: u32) -> Result<(), Full> {
        let (instance, _) = hit;
        let Some(target) = self.target(hit) else { return Ok(()) };
        let is_warning = self.map.checks_of(instance).any(|check| check.status == Health::Warning);
        let weight = if is_warning { instance.weights.warning } else { instance.weights.passing };
        let weight = weight.saturating_mul(WEIGHT_UNIT).min(0xffff) as u16;
        let mut rdata: SmallVec<[u8; 128]> = SmallVec::new();
        for number in [1, weight, instance.port] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        rdata.extend_from_slice(&target);
        self.writer.record(Section::Answer, QUESTION, rtype::SRV, ttl, &rdata)
    }

    /// Saves a second question; what does not fit is not needed.
    fn server_address(&mut self, hit: &Hit<'_>, ttl: u32) {
        let (Some(target), Ok(ip)) = (self.target(hit), address_of(hit).parse()) else { return };
        let _ = match ip {
            IpAddr::V4(ip) => {
                self.writer.record_of(Section::Additional, &target, rtype::A, ttl, &ip.octets())
            }
            IpAddr::V6(ip) => {
                self.writer.record_of(Section::Additional, &target, rtype::AAAA, ttl, &ip.octets())
            }
        };
    }

    /// The name by which an instance is reached: its node's, or one for its own address.
    fn target(&self, (instance, node): &Hit<'_>) -> Option<SmallVec<[u8; 128]>> {
        if instance.address.is_empty() {
            return self.node_name(&node.name);
        }
        match instance.address.parse() {
            Ok(IpAddr::V4(ip)) => self.below(&[&format!("{:08x}", ip.to_bits()), "addr"]),
            Ok(IpAddr::V6(ip)) => self.below(&[&format!("{:032x}", ip.to_bits()), "addr"]),
            Err(_) => {
                let host = name::from_text(instance.address.as_bytes(), Some(name::ROOT)).ok()?;
                Some(SmallVec::from_vec(host))
            }
        }
    }

    fn node_name(&self, node: &str) -> Option<SmallVec<[u8; 128]>> {
        let labels: SmallVec<[&str; 8]> = node.split('.').chain(["node"]).collect();
        self.below(&labels)
    }

    /// A name below the datacenter's.
    fn below(&self, labels: &[&str]) -> Option<SmallVec<[u8; 128]>> {
        let labels = labels.iter().copied().chain([&*self.consul.datacenter]).map(str::as_bytes);
        name::join(labels, &self.consul.domain).map(SmallVec::from_vec)
    }

    /// The domain itself: its servers, and that it is one.
    fn domain(&mut self) -> Code {
        match self.qtype {
            rtype::SOA => {
                let soa = self.soa();
                self.writer.record(Section::Answer, QUESTION, rtype::SOA, self.consul.ttl, &soa)?;
            }
            rtype::NS => {
                let map = self.map;
                for member in map.members().filter(|member| member.alive).take(SERVERS) {
                    if let Some(target) = self.node_name(&member.name) {
                        self.writer.record(Section::Answer, QUESTION, rtype::NS, self.consul.ttl, &target)?;
                    }
                }
                if self.writer.count(Section::Answer) == 0 {
                    return self.nothing(rcode::NOERROR);
                }
            }
            _ => return self.nothing(rcode::NOERROR),
        }
        Ok(rcode::NOERROR)
    }

    fn soa(&self) -> SmallVec<[u8; 128]> {
        let mut soa: SmallVec<[u8; 128]> = SmallVec::new();
        for label in [&b"ns"[..], b"hostmaster"] {
            soa.push(label.len() as u8);
            soa.extend_from_slice(label);
            soa.extend_from_slice(&self.consul.domain);
        }
        for number in [self.ask.now_s, 3600, 600, 86_400, 0] {
            soa.extend_from_slice(&number.to_be_bytes());
        }
        soa
    }

    fn nothing(&mut self, code: u16) -> Code {
        let soa = self.soa();
        self.writer.record_of(Section::Authority, &self.consul.domain, rtype::SOA, 0, &soa)?;
        Ok(code)
    }

    /// The node, else the instance, that has an address.
    fn pointer(&mut self, ip: IpAddr) -> Option<Code> {
        let has = |text: &str| text.parse() == Ok(ip);
        let node = self.map.nodes().find(|node| has(&node.address))?;
        let target = self.node_name(&node.name)?;
        if self.qtype != rtype::PTR && self.qtype != rtype::ANY {
            return None;
        }
        let put = self.writer.record(Section::Answer, QUESTION, rtype::PTR, self.consul.ttl, &target);
        Some(put.map(|()| rcode::NOERROR))
    }
}

/// Its own address, else its node's.
fn address_of<'m>((instance, node): &Hit<'m>) -> &'m str {
    if instance.address.is_empty() { &node.address } else { &instance.address }
}
