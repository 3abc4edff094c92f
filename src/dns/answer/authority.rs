//! Answers of our own zones: records, wildcards, delegations, CNAME and DNAME, and that there is nothing (RFC 1034, 4.3.2).

use std::net::IpAddr;

use super::ask::Ask;
use super::state::State;
use crate::dns::message::{Full, Owner, QUESTION, Section, Writer};
use crate::dns::name::{self, MAX_NAME, QName};
use crate::dns::wire::{Question, rcode, rtype, u32_at};
use crate::dns::zone::{ALIAS, DYNAMIC, Dynamic, Found, Node, RrSet, Zone};

/// CNAME and DNAME records that are followed in one answer.
const HOPS: usize = 8;

/// `ANY` gets this (RFC 8482, 4.2): an HINFO record with the RFC's name.
const ANY_RDATA: &[u8] = b"\x07RFC8482\x00";
const ANY_TTL: u32 = 3600;

/// One answer in the making.
pub(super) struct Run<'r, 'b> {
    pub(super) state: &'r State,
    pub(super) ask: &'r Ask,
    pub(super) writer: &'r mut Writer<'b>,
    /// Whose network decides: the client's, or the one that the query carries.
    pub(super) from: IpAddr,
    pub(super) code: u16,
    pub(super) authoritative: bool,
    /// How long the prefix is inside which the answer is the same; 0 when the network did not matter.
    pub(super) scope: u8,
    pub(super) chosen: Option<(u32, u16)>,
}

/// Where the run goes on. It lives for one step, on the stack.
#[allow(clippy::large_enum_variant)]
enum Next {
    Done,
    Follow(QName, Owner),
}

impl<'r, 'b> Run<'r, 'b> {
    pub(super) fn new(state: &'r State, ask: &'r Ask, writer: &'r mut Writer<'b>, from: IpAddr) -> Self {
        Run { state, ask, writer, from, code: rcode::NOERROR, authoritative: true, scope: 0, chosen: None }
    }

    /// Writes all sections. What is missing when there is no room would change what the answer says.
    pub(super) fn resolve(&mut self, zone: &'r Zone, question: &Question) -> Result<(), Full> {
        let mut next = self.step(zone, &question.name, QUESTION, question.qtype)?;
        for _ in 0..HOPS {
            let Next::Follow(target, owner) = next else { return Ok(()) };
            let Some(zone) = self.state.zones.find(&target) else { return Ok(()) };
            next = self.step(zone, &target, owner, question.qtype)?;
        }
        Ok(())
    }

    fn step(&mut self, zone: &'r Zone, name: &QName, owner: Owner, qtype: u16) -> Result<Next, Full> {
        match zone.lookup(name) {
            Found::Node(node) | Found::Wildcard(node) => self.node(zone, node, name, owner, qtype),
            // What a delegation signs belongs to the parent (RFC 4035, 3.1.4.1).
            Found::Delegation(node) if qtype == rtype::DS && zone.name(node) == name.as_wire() => {
                self.node(zone, node, name, owner, qtype)
            }
            Found::Delegation(node) => self.referral(zone, node).map(|()| Next::Done),
            Found::Dname(node, below) => self.dname(zone, node, name, below, owner),
            Found::NoName => match self.synthetic(zone, name, owner, qtype)? {
                true => Ok(Next::Done),
                false => {
                    self.code = rcode::NXDOMAIN;
                    self.negative(zone, u32::MAX).map(|()| Next::Done)
                }
            },
        }
    }

    fn node(
        &mut self,
        zone: &'r Zone,
        node: &'r Node,
        name: &QName,
        owner: Owner,
        qtype: u16,
    ) -> Result<Next, Full> {
        if qtype == rtype::ANY {
            return self.any(zone, node, owner).map(|()| Next::Done);
        }
        if node.has_dynamic()
            && let Some(record) = dynamic_of(zone, node, qtype)
        {
            return self.dynamic(zone, record, name, owner, qtype).map(|()| Next::Done);
        }
        if let Some(set) = zone.set(node, qtype).filter(|_| qtype != DYNAMIC && qtype != ALIAS) {
            self.set(owner, &set)?;
            self.additional(zone, &set);
            return Ok(Next::Done);
        }
        if let Some(set) = zone.set(node, rtype::CNAME)
            && let Some(target) = set.iter().next()
        {
            let at = self.writer.cname(owner, set.ttl, target)?;
            return Ok(QName::of(target).map_or(Next::Done, |target| Next::Follow(target, at)));
        }
        if matches!(qtype, rtype::A | rtype::AAAA)
            && node.has_alias()
            && let Some(target) = zone.set(node, ALIAS)
            && self.alias(&target, owner, qtype)?
        {
            return Ok(Next::Done);
        }
        self.negative(zone, u32::MAX).map(|()| Next::Done)
    }

    fn set(&mut self, owner: Owner, set: &RrSet<'_>) -> Result<(), Full> {
        set.iter().try_for_each(|rdata| self.writer.record(Section::Answer, owner, set.rtype, set.ttl, rdata))
    }

    /// The addresses of another name of ours, as if they were this one's. False: it has none here.
    fn alias(&mut self, set: &RrSet<'_>, owner: Owner, qtype: u16) -> Result<bool, Full> {
        let mut target = set.iter().next().and_then(QName::of);
        for _ in 0..HOPS {
            let Some(name) = target.take() else { return Ok(false) };
            let Some(zone) = self.state.zones.find(&name) else { return Ok(false) };
            let (Found::Node(node) | Found::Wildcard(node)) = zone.lookup(&name) else { return Ok(false) };
            if node.has_dynamic()
                && let Some(record) = dynamic_of(zone, node, qtype)
            {
                return self.dynamic(zone, record, &name, owner, qtype).map(|()| true);
            }
            if let Some(found) = zone.set(node, qtype) {
                let ttl = found.ttl.min(set.ttl);
                let mut records = found.iter();
                records
                    .try_for_each(|rdata| self.writer.record(Section::Answer, owner, qtype, ttl, rdata))?;
                return Ok(true);
            }
            let further = zone.set(node, rtype::CNAME).or_else(|| zone.set(node, ALIAS));
            target = further.and_then(|set| set.iter().next().and_then(QName::of));
        }
        Ok(false)
    }

    /// One small record in place of all there are.
    fn any(&mut self, zone: &'r Zone, node: &Node, owner: Owner) -> Result<(), Full> {
        if zone.sets(node).next().is_none() {
            return self.negative(zone, u32::MAX);
        }
        self.writer.record(Section::Answer, owner, rtype::HINFO, ANY_TTL, ANY_RDATA)
    }

    /// That there is nothing: the SOA record says for how long (RFC 2308, 3).
    pub(super) fn negative(&mut self, zone: &'r Zone, most: u32) -> Result<(), Full> {
        let Some(soa) = zone.soa() else { return Ok(()) };
        let Some(rdata) = soa.iter().next() else { return Ok(()) };
        let minimum = u32_at(rdata, rdata.len().saturating_sub(4)).unwrap_or(0);
        let ttl = soa.ttl.min(minimum).min(most);
        self.writer.record_of(Section::Authority, zone.apex(), rtype::SOA, ttl, rdata)
    }

    /// Who has the zone below, and where they are.
    fn referral(&mut self, zone: &'r Zone, node: &'r Node) -> Result<(), Full> {
        self.authoritative = false;
        let cut = zone.name(node);
        let Some(set) = zone.set(node, rtype::NS) else { return Ok(()) };
        for rdata in set.iter() {
            self.writer.record_of(Section::Authority, cut, rtype::NS, set.ttl, rdata)?;
        }
        // Without the addresses of those below the cut the referral leads nowhere (RFC 9471).
        for rdata in set.iter() {
            let Some(target) = QName::of(rdata) else { continue };
            let Some(glue) = zone.node(target.as_wire()) else { continue };
            let needed = name::is_within(target.as_wire(), cut);
            for set in zone.sets(glue).filter(|set| matches!(set.rtype, rtype::A | rtype::AAAA)) {
                for data in set.iter() {
                    let put = self.writer.record_of(Section::Additional, rdata, set.rtype, set.ttl, data);
                    if needed {
                        put?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The record, and the CNAME that it makes of this name (RFC 6672, 3.1).
    fn dname(
        &mut self,
        zone: &'r Zone,
        node: &'r Node,
        name: &QName,
        below: usize,
        owner: Owner,
    ) -> Result<Next, Full> {
        let Some(set) = zone.set(node, rtype::DNAME) else { return Ok(Next::Done) };
        let Some(target) = set.iter().next() else { return Ok(Next::Done) };
        self.writer.record_of(Section::Answer, zone.name(node), rtype::DNAME, set.ttl, target)?;
        let kept = name.as_wire().len() - name.suffix(below).len();
        let mut made = [0; 2 * MAX_NAME];
        made[..kept].copy_from_slice(&name.as_wire()[..kept]);
        made[kept..kept + target.len()].copy_from_slice(target);
        let made = &made[..kept + target.len()];
        let Some(next) = QName::of(made) else {
            // Too long a name: YXDOMAIN.
            self.code = 6;
            return Ok(Next::Done);
        };
        let at = self.writer.cname(owner, set.ttl, made)?;
        Ok(Next::Follow(next, at))
    }
}

/// The number of the record that answers for a type at a node.
pub fn dynamic_of(zone: &Zone, node: &Node, qtype: u16) -> Option<u32> {
    let set = zone.set(node, DYNAMIC)?;
    set.iter().filter_map(Dynamic::decode).find(|dynamic| dynamic.rtype == qtype).map(|dynamic| dynamic.id)
}
