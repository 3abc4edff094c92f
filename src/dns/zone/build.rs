//! Makes a zone of records in any order.

use super::table::{
    ALIAS, Answers, DYNAMIC, NONE, Node, NodeId, SET_HEAD, Zone, bit, find, grown, insert, name_at,
};
use crate::dns::name::{is_within, labels, parent, to_text};
use crate::dns::wire::rtype;

/// What is wrong with a zone as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    #[error("'{0}' is not in zone '{1}'")]
    Outside(String, String),
    #[error("'{0}' has a CNAME record and others beside it")]
    Cname(String),
    #[error("zone '{0}' has no SOA record at its apex")]
    NoSoa(String),
    #[error("'{0}' has more than one record of a type that may stand only once")]
    Single(String),
    #[error("a zone has at most 4 GiB of records")]
    Size,
    #[error("record data has at most 65535 octets")]
    Rdata,
}

/// A record that is made when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// Number among those of the configuration.
    pub id: u32,
    /// The type it answers for.
    pub rtype: u16,
}

impl Dynamic {
    pub fn encode(self) -> [u8; 6] {
        let mut rdata = [0; 6];
        rdata[..2].copy_from_slice(&self.rtype.to_be_bytes());
        rdata[2..].copy_from_slice(&self.id.to_be_bytes());
        rdata
    }

    pub fn decode(rdata: &[u8]) -> Option<Dynamic> {
        let [a, b, id @ ..] = <[u8; 6]>::try_from(rdata).ok()?;
        Some(Dynamic { id: u32::from_be_bytes(id), rtype: u16::from_be_bytes([a, b]) })
    }
}

struct Record {
    node: NodeId,
    rtype: u16,
    size: u16,
    ttl: u32,
    at: u32,
}

pub struct Builder {
    /// Its octets are names alone until it ends.
    zone: Zone,
    staged: Vec<Record>,
    rdata: Vec<u8>,
    /// Names with their records, as it ends.
    packed: Vec<u8>,
    /// Owners often come in a row.
    last: Option<NodeId>,
}

impl Builder {
    /// `apex`: a name in wire form.
    pub fn new(apex: &[u8]) -> Builder {
        let apex = apex.to_ascii_lowercase();
        let zone = Zone {
            apex_labels: labels(&apex).count(),
            apex: apex.clone().into(),
            slots: vec![0; 16],
            nodes: Vec::new(),
            octets: Vec::new(),
            count: 0,
            answers: Answers::default(),
        };
        let mut builder =
            Builder { zone, staged: Vec::new(), rdata: Vec::new(), packed: Vec::new(), last: None };
        builder.node(&apex);
        builder
    }

    pub fn apex(&self) -> &[u8] {
        &self.zone.apex
    }

    pub fn len(&self) -> usize {
        self.staged.len()
    }

    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// Whether the apex has a record of this type already.
    pub fn has_at_apex(&self, rtype: u16) -> bool {
        self.staged.iter().any(|record| record.node == 0 && record.rtype == rtype)
    }

    /// Adds a record. `owner` is in wire form, `rdata` with its names uncompressed.
    pub fn add(&mut self, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Result<(), ZoneError> {
        let last = self.last.filter(|last| self.name(*last).eq_ignore_ascii_case(owner));
        let node = match last {
            Some(node) => node,
            None => {
                let owner = owner.to_ascii_lowercase();
                if !is_within(&owner, &self.zone.apex) {
                    return Err(ZoneError::Outside(to_text(&owner), to_text(&self.zone.apex)));
                }
                self.node(&owner)
            }
        };
        self.last = Some(node);
        let size = u16::try_from(rdata.len()).map_err(|_| ZoneError::Rdata)?;
        let at = u32::try_from(self.rdata.len()).map_err(|_| ZoneError::Size)?;
        self.rdata.extend_from_slice(rdata);
        self.staged.push(Record { node, rtype, size, ttl, at });
        Ok(())
    }

    fn name(&self, node: NodeId) -> &[u8] {
        name_at(&self.zone.octets, self.zone.nodes[node as usize].name)
    }

    /// The node of a name, made with all above it when it is not there.
    fn node(&mut self, name: &[u8]) -> NodeId {
        let zone = &mut self.zone;
        if let Some(node) = find(&zone.slots, &zone.nodes, &zone.octets, name) {
            return node;
        }
        if (zone.nodes.len() + 1) * 8 > zone.slots.len() * 5 {
            zone.slots = grown(&zone.slots);
        }
        let id = zone.nodes.len() as NodeId;
        let at = zone.octets.len() as u32;
        zone.octets.push(name.len() as u8);
        zone.octets.extend_from_slice(name);
        zone.nodes.push(Node { name: at, from: 0, to: 0, cover: NONE, bits: 0 });
        insert(&mut zone.slots, name, id);
        if *name != *zone.apex
            && let Some(up) = parent(name)
        {
            let above = self.node(up);
            if name.starts_with(b"\x01*") {
                self.zone.nodes[above as usize].bits |= bit::WILD;
            }
        }
        id
    }

    /// Ends the zone.
    pub fn finish(mut self) -> Result<Zone, ZoneError> {
        self.staged.sort_by_key(|record| (record.node, record.rtype));
        let mut staged = std::mem::take(&mut self.staged);
        let mut rest = &mut staged[..];
        // Each name is followed by its records.
        let mut starts = Vec::with_capacity(self.zone.nodes.len());
        for node in 0..self.zone.nodes.len() as NodeId {
            starts.push(u32::try_from(self.packed.len()).map_err(|_| ZoneError::Size)?);
            let name = name_at(&self.zone.octets, self.zone.nodes[node as usize].name);
            self.packed.push(name.len() as u8);
            self.packed.extend_from_slice(name);
            let of_node = rest.iter().take_while(|record| record.node == node).count();
            let (mine, after) = rest.split_at_mut(of_node);
            self.pack(node, mine)?;
            rest = after;
        }
        let mut zone = self.zone;
        zone.nodes.iter_mut().zip(starts).for_each(|(node, start)| node.name = start);
        zone.octets = self.packed;
        if zone.soa().is_none() {
            return Err(ZoneError::NoSoa(to_text(&zone.apex)));
        }
        cover(&mut zone);
        zone.octets.shrink_to_fit();
        zone.nodes.shrink_to_fit();
        Ok(zone)
    }

    /// Writes the records of a node, by type.
    fn pack(&mut self, node: NodeId, records: &[Record]) -> Result<(), ZoneError> {
        let from = u32::try_from(self.packed.len()).map_err(|_| ZoneError::Size)?;
        let (mut bits, mut types, mut has_cname) = (0, 0, false);
        for set in records.chunk_by(|a, b| a.rtype == b.rtype) {
            let rtype = set[0].rtype;
            let count = self.pack_set(set);
            if count > 1 && matches!(rtype, rtype::CNAME | rtype::SOA | rtype::DNAME | ALIAS) {
                return Err(ZoneError::Single(to_text(self.name(node))));
            }
            types += 1;
            has_cname |= rtype == rtype::CNAME;
            bits |= match rtype {
                rtype::NS if node != 0 => bit::CUT,
                rtype::DNAME => bit::DNAME,
                DYNAMIC => bit::DYNAMIC,
                ALIAS => bit::ALIAS,
                _ => 0,
            };
            self.zone.count += count;
        }
        if has_cname && types > 1 {
            return Err(ZoneError::Cname(to_text(self.name(node))));
        }
        let to = u32::try_from(self.packed.len()).map_err(|_| ZoneError::Size)?;
        let node = &mut self.zone.nodes[node as usize];
        (node.from, node.to, node.bits) = (from, to, node.bits | bits);
        Ok(())
    }

    /// Writes one set; the same data twice is one record, and the lowest TTL is that of all (RFC 2181, 5).
    fn pack_set(&mut self, set: &[Record]) -> usize {
        let data = |record: &Record| {
            let at = record.at as usize;
            &self.rdata[at..at + usize::from(record.size)]
        };
        let out = &mut self.packed;
        let ttl = set.iter().map(|record| record.ttl).min().unwrap_or(0);
        out.extend_from_slice(&set[0].rtype.to_be_bytes());
        out.extend_from_slice(&ttl.to_be_bytes());
        let size_at = out.len();
        out.extend_from_slice(&[0; SET_HEAD - 6]);
        let mut count = 0;
        let mut seen = std::collections::HashSet::new();
        for record in set {
            let rdata = data(record);
            if set.len() > 1 && !seen.insert(rdata) {
                continue;
            }
            out.extend_from_slice(&record.size.to_be_bytes());
            out.extend_from_slice(rdata);
            count += 1;
        }
        let size = (out.len() - size_at - 4) as u32;
        out[size_at..size_at + 4].copy_from_slice(&size.to_be_bytes());
        count
    }
}

/// Says of every node under which delegation or DNAME it is.
fn cover(zone: &mut Zone) {
    if zone.nodes.iter().all(|node| node.bits & (bit::CUT | bit::DNAME) == 0) {
        return;
    }
    for at in 0..zone.nodes.len() {
        let mut name = zone.name(&zone.nodes[at]);
        let mut covering = NONE;
        let mut is_self = true;
        while let Some(id) = find(&zone.slots, &zone.nodes, &zone.octets, name) {
            let bits = zone.nodes[id as usize].bits;
            if bits & bit::CUT != 0 || bits & bit::DNAME != 0 && !is_self {
                covering = id;
            }
            is_self = false;
            match parent(name) {
                Some(up) if *name != *zone.apex => name = up,
                _ => break,
            }
        }
        zone.nodes[at].cover = covering;
    }
}
