//! Records whose data comes from the region map: addresses and SRV records of services, chosen for this client.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::authority::Run;
use crate::dns::message::{Full, Owner, Section};
use crate::dns::name::{self, MAX_NAME, QName};
use crate::dns::policy::{Client, Endpoint, Wanted, pick};
use crate::dns::wire::rtype;
use crate::dns::zone::Zone;

/// Addresses in an answer at most, where the policy says no less: more of them would not fit into a datagram.
const ADDRESSES: usize = 32;
/// SRV records in an answer at most.
const SERVERS: usize = 1024;

/// HAProxy takes the weight of a server from the upper eight bits of that of its SRV record.
const WEIGHT_UNIT: u32 = 256;

/// Below this label of a zone, hexadecimal names stand for addresses: targets of SRV records need a name.
const ADDRESS_LABEL: &[u8] = b"addr";

impl<'r> Run<'r, '_> {
    pub(super) fn dynamic(
        &mut self,
        zone: &'r Zone,
        id: u32,
        _name: &QName,
        owner: Owner,
        qtype: u16,
    ) -> Result<(), Full> {
        let state = self.state;
        let Some(record) = state.records.get(id as usize) else { return self.negative(zone, 0) };
        let Some(view) = state.views.get(record.service) else { return self.negative(zone, 0) };
        let client = Client::new(self.from, self.ask.draw);
        let (order, scope) = record.preferences.order(self.from);
        let own = if record.policy.draws_by_network() { client.len } else { 0 };
        self.scope = self.scope.max(scope).max(own);
        let is_srv = qtype == rtype::SRV;
        let fits = |e: &Endpoint| match qtype {
            rtype::A => e.v4.is_some(),
            rtype::AAAA => e.v6.is_some(),
            _ => e.port > 0,
        };
        let most = if is_srv { SERVERS } else { ADDRESSES };
        let wanted = Wanted { fits: &fits, whole: is_srv, most };
        let picked = pick(&record.policy, order, view, &client, &wanted, &mut ());
        if let Some((first, _)) = picked.list.first() {
            let first: *const Endpoint = *first;
            let region = view.regions.iter().find(|of| {
                of.healthy.as_ptr_range().contains(&first) || of.unhealthy.as_ptr_range().contains(&first)
            });
            self.chosen = region.map(|of| (id, of.region));
        }
        for (endpoint, place) in &picked.list {
            match qtype {
                rtype::A => {
                    self.address(owner, rtype::A, record.ttl, endpoint.v4.as_ref().map(<[u8; 4]>::as_slice))?
                }
                rtype::AAAA => self.address(
                    owner,
                    rtype::AAAA,
                    record.ttl,
                    endpoint.v6.as_ref().map(<[u8; 16]>::as_slice),
                )?,
                _ => self.server(zone, owner, record.ttl, endpoint, *place)?,
            }
        }
        if picked.list.is_empty() {
            return self.negative(zone, record.ttl);
        }
        if is_srv {
            for (endpoint, _) in &picked.list {
                self.server_address(zone, record.ttl, endpoint);
            }
        }
        Ok(())
    }

    fn address(&mut self, owner: Owner, rtype: u16, ttl: u32, octets: Option<&[u8]>) -> Result<(), Full> {
        octets.map_or(Ok(()), |octets| self.writer.record(Section::Answer, owner, rtype, ttl, octets))
    }

    /// Regions that come first have the lower priority (RFC 2782).
    fn server(
        &mut self,
        zone: &Zone,
        owner: Owner,
        ttl: u32,
        endpoint: &Endpoint,
        place: u16,
    ) -> Result<(), Full> {
        let mut rdata = [0; 6 + MAX_NAME];
        let weight = endpoint.weight.saturating_mul(WEIGHT_UNIT).min(0xffff) as u16;
        rdata[..2].copy_from_slice(&(place + 1).to_be_bytes());
        rdata[2..4].copy_from_slice(&weight.to_be_bytes());
        rdata[4..6].copy_from_slice(&endpoint.port.to_be_bytes());
        let size = target(zone, endpoint, &mut rdata[6..]);
        self.writer.record(Section::Answer, owner, rtype::SRV, ttl, &rdata[..6 + size])
    }

    /// Saves a second question; not worth a truncated answer.
    fn server_address(&mut self, zone: &Zone, ttl: u32, endpoint: &Endpoint) {
        if endpoint.host.is_some() {
            return;
        }
        let mut name = [0; MAX_NAME];
        let size = target(zone, endpoint, &mut name);
        let (rtype, octets) = match (&endpoint.v4, &endpoint.v6) {
            (Some(v4), _) => (rtype::A, &v4[..]),
            (None, Some(v6)) => (rtype::AAAA, &v6[..]),
            _ => return,
        };
        let _ = self.writer.record_of(Section::Additional, &name[..size], rtype, ttl, octets);
    }

    /// The address that a name of [`ADDRESS_LABEL`] stands for. False: it is no such name.
    pub(super) fn synthetic(
        &mut self,
        zone: &'r Zone,
        name: &QName,
        owner: Owner,
        qtype: u16,
    ) -> Result<bool, Full> {
        let apex = name::labels(zone.apex()).count();
        let is_below = name.labels() == apex + 2 && name.label(1) == ADDRESS_LABEL;
        if !is_below || self.state.records.is_empty() {
            return Ok(false);
        }
        let Ok(text) = std::str::from_utf8(name.label(0)) else { return Ok(false) };
        let v4 = u32::from_str_radix(text, 16).ok().filter(|_| text.len() == 8).map(Ipv4Addr::from_bits);
        let v6 = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(Ipv6Addr::from_bits);
        const TTL: u32 = 3600;
        match (v4, v6, qtype) {
            (Some(ip), _, rtype::A) => {
                self.writer.record(Section::Answer, owner, qtype, TTL, &ip.octets())?
            }
            (_, Some(ip), rtype::AAAA) => {
                self.writer.record(Section::Answer, owner, qtype, TTL, &ip.octets())?
            }
            (None, None, _) => return Ok(false),
            _ => self.negative(zone, u32::MAX)?,
        }
        Ok(true)
    }
}

/// Writes the name by which an instance is reached, and says how long it is.
fn target(zone: &Zone, endpoint: &Endpoint, out: &mut [u8]) -> usize {
    if let Some(host) = &endpoint.host {
        let size = host.len().min(out.len());
        out[..size].copy_from_slice(&host[..size]);
        return size;
    }
    let octets = match (&endpoint.v4, &endpoint.v6) {
        (Some(v4), _) => &v4[..],
        (None, Some(v6)) => &v6[..],
        (None, None) => &[],
    };
    let suffix = zone.apex();
    let size = 1 + octets.len() * 2 + 1 + ADDRESS_LABEL.len() + suffix.len();
    // A zone with so long a name has no room for such names: the root stands for "no such service".
    if octets.is_empty() || size > MAX_NAME {
        out[0] = 0;
        return 1;
    }
    out[0] = (octets.len() * 2) as u8;
    for (pair, octet) in out[1..].chunks_exact_mut(2).zip(octets) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        pair.copy_from_slice(&[DIGITS[usize::from(octet >> 4)], DIGITS[usize::from(octet & 15)]]);
    }
    let mut at = 1 + octets.len() * 2;
    out[at] = ADDRESS_LABEL.len() as u8;
    out[at + 1..=at + ADDRESS_LABEL.len()].copy_from_slice(ADDRESS_LABEL);
    at += 1 + ADDRESS_LABEL.len();
    out[at..at + suffix.len()].copy_from_slice(suffix);
    size
}
