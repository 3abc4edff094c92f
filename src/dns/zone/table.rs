//! A zone that does not change any more: nodes, and their names with the records behind them, in flat pieces, so that a
//! million records cost little more than their octets, and a look-up few of the processor's waits for memory.

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::dns::name::{MAX_NAME, QName, labels};
use crate::dns::wire::{rcode, rtype};

/// Types that no message may ask for (both are reserved): records that are made when they are asked for, and those of
/// another name. Their data is ours.
pub const DYNAMIC: u16 = 65535;
pub const ALIAS: u16 = 0;

pub type NodeId = u32;

pub(super) const NONE: NodeId = NodeId::MAX;

/// Bits of a node.
pub(super) mod bit {
    /// It has a child `*`.
    pub const WILD: u8 = 1;
    /// It has NS records and is not the apex: what is there and below is another zone.
    pub const CUT: u8 = 2;
    /// It has a DNAME record: what is below is elsewhere.
    pub const DNAME: u8 = 4;
    pub const DYNAMIC: u8 = 8;
    pub const ALIAS: u8 = 16;
}

/// A name of a zone, with records or only with names below it.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Where its name stands, after its length. The records follow, once the zone is done.
    pub(super) name: u32,
    /// Its record sets.
    pub(super) from: u32,
    pub(super) to: u32,
    /// The topmost delegation or DNAME that it belongs to.
    pub(super) cover: NodeId,
    pub(super) bits: u8,
}

#[derive(Debug)]
pub struct Zone {
    /// In lower case, as all names by which nodes are found.
    pub(super) apex: Box<[u8]>,
    pub(super) apex_labels: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) nodes: Vec<Node>,
    pub(super) octets: Vec<u8>,
    pub(super) count: usize,
    pub answers: Answers,
}

/// Answers of a zone by code, to be taken from here by whoever tells them.
#[derive(Debug, Default)]
pub struct Answers([AtomicU64; 3]);

impl Answers {
    pub fn count(&self, code: u16) {
        let at = match code {
            rcode::NOERROR => 0,
            rcode::NXDOMAIN => 1,
            _ => 2,
        };
        self.0[at].fetch_add(1, Ordering::Relaxed);
    }

    /// Those since it was last asked.
    pub fn take(&self) -> [(&'static str, u64); 3] {
        let taken = |at: usize| self.0[at].swap(0, Ordering::Relaxed);
        [("NOERROR", taken(0)), ("NXDOMAIN", taken(1)), ("other", taken(2))]
    }
}

/// Records of one name and type: `records` are a length of two octets and data each.
#[derive(Clone, Copy, Debug)]
pub struct RrSet<'z> {
    pub rtype: u16,
    pub ttl: u32,
    records: &'z [u8],
}

/// What a zone has for a name.
#[derive(Clone, Copy, Debug)]
pub enum Found<'z> {
    Node(&'z Node),
    /// The name is not there and a wildcard answers for it.
    Wildcard(&'z Node),
    /// It is in another zone, which begins here.
    Delegation(&'z Node),
    /// It is below a DNAME record; so many of its labels are.
    Dname(&'z Node, usize),
    NoName,
}

pub(super) const SET_HEAD: usize = 10;

impl Zone {
    pub fn apex(&self) -> &[u8] {
        &self.apex
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// In the order in which they were first mentioned; the apex is the first.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub fn name(&self, node: &Node) -> &[u8] {
        name_at(&self.octets, node.name)
    }

    /// A delegation's data and what is below it is not ours: only glue.
    pub fn is_apex(&self, node: &Node) -> bool {
        node.name == 0
    }

    pub fn sets(&self, node: &Node) -> impl Iterator<Item = RrSet<'_>> {
        let mut rest = &self.octets[node.from as usize..node.to as usize];
        std::iter::from_fn(move || {
            let (head, body) = rest.split_at_checked(SET_HEAD)?;
            let size = u32::from_be_bytes([head[6], head[7], head[8], head[9]]) as usize;
            let (records, after) = body.split_at(size);
            rest = after;
            let rtype = u16::from_be_bytes([head[0], head[1]]);
            Some(RrSet { rtype, ttl: u32::from_be_bytes([head[2], head[3], head[4], head[5]]), records })
        })
    }

    pub fn set(&self, node: &Node, rtype: u16) -> Option<RrSet<'_>> {
        self.sets(node).find(|set| set.rtype == rtype)
    }

    /// The SOA record set; every zone has one.
    pub fn soa(&self) -> Option<RrSet<'_>> {
        self.set(self.nodes.first()?, rtype::SOA)
    }

    /// The node of a name as it is written in the zone, wildcards not followed.
    pub fn node(&self, name: &[u8]) -> Option<&Node> {
        find(&self.slots, &self.nodes, &self.octets, name).map(|at| &self.nodes[at as usize])
    }

    /// Finds a name that is in the zone or below it (RFC 1034, 4.3.2; RFC 4592).
    pub fn lookup(&self, name: &QName) -> Found<'_> {
        let below = name.labels() - self.apex_labels.min(name.labels());
        for skip in 0..=below {
            let Some(node) = self.node(name.suffix(skip)) else { continue };
            if node.cover != NONE {
                let cover = &self.nodes[node.cover as usize];
                if cover.bits & bit::CUT != 0 {
                    return Found::Delegation(cover);
                }
                let depth = labels(self.name(cover)).count();
                return Found::Dname(cover, name.labels() - depth);
            }
            return match skip {
                0 => Found::Node(node),
                _ if node.bits & bit::DNAME != 0 => Found::Dname(node, skip),
                _ if node.bits & bit::WILD != 0 => self.wildcard(name.suffix(skip)),
                _ => Found::NoName,
            };
        }
        Found::NoName
    }

    fn wildcard(&self, encloser: &[u8]) -> Found<'_> {
        let mut name = [0; MAX_NAME + 2];
        name[..2].copy_from_slice(b"\x01*");
        name[2..2 + encloser.len()].copy_from_slice(encloser);
        self.node(&name[..2 + encloser.len()]).map_or(Found::NoName, Found::Wildcard)
    }
}

impl Node {
    pub fn has_dynamic(&self) -> bool {
        self.bits & bit::DYNAMIC != 0
    }

    pub fn has_alias(&self) -> bool {
        self.bits & bit::ALIAS != 0
    }

    pub fn is_delegation(&self) -> bool {
        self.bits & bit::CUT != 0
    }

    /// It is part of another zone, or elsewhere: what records it has are glue.
    pub fn is_covered(&self) -> bool {
        self.cover != NONE && self.bits & bit::CUT == 0
    }
}

impl<'z> RrSet<'z> {
    pub fn iter(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        let mut rest = self.records;
        std::iter::from_fn(move || {
            let (size, body) = rest.split_at_checked(2)?;
            let (rdata, after) = body.split_at(usize::from(u16::from_be_bytes([size[0], size[1]])));
            rest = after;
            Some(rdata)
        })
    }
}

pub(super) fn name_at(names: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    &names[at + 1..=at + usize::from(names[at])]
}

/// A place of the table, with open addressing: node number plus one, or 0; above it a part of the name's hash, so that
/// other names are seldom looked at.
pub(super) type Slot = u64;

fn hash_of(name: &[u8]) -> u32 {
    (xxh3_64(name) >> 32) as u32
}

pub(super) fn find(slots: &[Slot], nodes: &[Node], octets: &[u8], name: &[u8]) -> Option<NodeId> {
    let mask = slots.len().checked_sub(1)?;
    let hash = hash_of(name);
    let mut at = hash as usize & mask;
    loop {
        let slot = slots[at];
        let node = (slot as u32).checked_sub(1)?;
        if (slot >> 32) as u32 == hash && name_at(octets, nodes[node as usize].name) == name {
            return Some(node);
        }
        at = (at + 1) & mask;
    }
}

/// Puts a node that is not there into a table with room.
pub(super) fn insert(slots: &mut [Slot], name: &[u8], node: NodeId) {
    put(slots, u64::from(hash_of(name)) << 32 | u64::from(node + 1));
}

fn put(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len() - 1;
    let mut at = (slot >> 32) as usize & mask;
    while slots[at] != 0 {
        at = (at + 1) & mask;
    }
    slots[at] = slot;
}

/// The same in twice the room.
pub(super) fn grown(slots: &[Slot]) -> Vec<Slot> {
    let mut larger = vec![0; slots.len() * 2];
    slots.iter().filter(|slot| **slot != 0).for_each(|slot| put(&mut larger, *slot));
    larger
}
