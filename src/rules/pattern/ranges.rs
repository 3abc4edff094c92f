//! The networks of a base, found by a search among the addresses at which the answer changes.

use std::net::IpAddr;

use super::base::Base;
use super::net::{Net, mask4, mask6};

const NONE: u32 = u32::MAX;
/// Of so many addresses one is looked at first: what is searched then lies close together.
const STRIDE: usize = 64;

/// An address of one family, and what a search by it gives.
#[derive(Debug)]
struct Ranges<A> {
    /// Where a range begins that has one answer.
    starts: Vec<A>,
    /// The network of each range.
    owners: Vec<u32>,
    /// Every [`STRIDE`]th start.
    sparse: Vec<A>,
}

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Ranges { starts: Vec::new(), owners: Vec::new(), sparse: Vec::new() }
    }
}

/// A network with the place of its entry, as it is sorted: by its first address, the wider one first.
type Ranked<A> = (A, u32, A, u32);

/// A network that the sweep is inside.
struct Open<A> {
    first: A,
    bits: u32,
    last: A,
    owner: u32,
    /// The last of those that say the same.
    twin: u32,
}

impl<A: Copy + Ord> Ranges<A> {
    /// `next` is the address behind one, unless that was the last.
    fn build(
        mut nets: Vec<Ranked<A>>,
        zero: A,
        next: impl Fn(A) -> Option<A>,
        parents: &mut [u32],
    ) -> Ranges<A> {
        if nets.is_empty() {
            return Ranges::default();
        }
        nets.sort_unstable_by_key(|(first, bits, _, at)| (*first, *bits, *at));
        let mut ranges = Ranges { starts: vec![zero], owners: vec![NONE], sparse: Vec::new() };
        let mut open: Vec<Open<A>> = Vec::new();
        for (first, bits, last, at) in nets {
            while let Some(top) = open.pop_if(|top| top.last < first) {
                let owner = open.last().map_or(NONE, |outer| outer.owner);
                next(top.last).into_iter().for_each(|start| ranges.begin(start, owner));
            }
            match open.last_mut() {
                Some(top) if top.first == first && top.bits == bits => {
                    parents[at as usize] = parents[top.twin as usize];
                    parents[top.twin as usize] = at;
                    top.twin = at;
                }
                outer => {
                    parents[at as usize] = outer.map_or(NONE, |outer| outer.owner);
                    ranges.begin(first, at);
                    open.push(Open { first, bits, last, owner: at, twin: at });
                }
            }
        }
        while let Some(top) = open.pop() {
            let owner = open.last().map_or(NONE, |outer| outer.owner);
            next(top.last).into_iter().for_each(|start| ranges.begin(start, owner));
        }
        ranges.starts.shrink_to_fit();
        ranges.owners.shrink_to_fit();
        ranges.sparse = ranges.starts.iter().step_by(STRIDE).copied().collect();
        ranges
    }

    fn begin(&mut self, start: A, owner: u32) {
        match (self.starts.last(), self.owners.last_mut()) {
            (Some(last), Some(of)) if *last == start => *of = owner,
            _ => {
                self.starts.push(start);
                self.owners.push(owner);
            }
        }
    }

    /// The narrowest network around an address, or [`NONE`].
    fn find(&self, addr: A) -> u32 {
        let Some(block) = self.sparse.partition_point(|start| *start <= addr).checked_sub(1) else {
            return NONE;
        };
        let from = block * STRIDE;
        let to = self.starts.len().min(from + STRIDE);
        let within = self.starts[from..to].partition_point(|start| *start <= addr);
        self.owners[from + within.max(1) - 1]
    }
}

/// The networks of a base.
#[derive(Debug, Default)]
pub struct NetIndex {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// The next wider network around that of an entry, or the next of those that say the same.
    parents: Vec<u32>,
    /// How long the prefix of an entry is; 255: its mask is none.
    bits: Vec<u8>,
    masked: Vec<(u32, Net)>,
}

const NO_PREFIX: u8 = u8::MAX;

impl NetIndex {
    /// Reads all entries; the error is said with the place of the one that is no network.
    pub fn build(base: &Base, resolve: bool) -> Result<NetIndex, (usize, String)> {
        let mut index = NetIndex {
            parents: vec![NONE; base.len()],
            bits: Vec::with_capacity(base.len()),
            ..NetIndex::default()
        };
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for at in 0..base.len() {
            let net = Net::read(base.key(at), resolve).map_err(|e| (at, e))?;
            index.bits.push(net.prefix().map_or(NO_PREFIX, |bits| bits as u8));
            match net {
                Net::V4 { addr, bits } => v4.push((addr, bits, addr | !mask4(bits), at as u32)),
                Net::V6 { addr, bits } => v6.push((addr, bits, addr | !mask6(bits), at as u32)),
                Net::Masked { .. } => index.masked.push((at as u32, net)),
            }
        }
        index.v4 = Ranges::build(v4, 0, |last| last.checked_add(1), &mut index.parents);
        index.v6 = Ranges::build(v6, 0, |last| last.checked_add(1), &mut index.parents);
        Ok(index)
    }

    /// The length of an entry's prefix.
    pub fn prefix(&self, at: usize) -> Option<u32> {
        self.bits.get(at).filter(|bits| **bits != NO_PREFIX).map(|bits| u32::from(*bits))
    }

    /// The narrowest network around an address whose entry is still there.
    pub fn find(&self, addr: IpAddr, is_there: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = match addr {
            IpAddr::V4(addr) => self.v4.find(u32::from(addr)),
            IpAddr::V6(addr) => self.v6.find(u128::from(addr)),
        };
        while at != NONE && !is_there(at as usize) {
            at = self.parents[at as usize];
        }
        (at != NONE).then_some(at as usize)
    }

    /// The first network around it whose mask is no prefix.
    pub fn find_masked(&self, addr: IpAddr, is_there: impl Fn(usize) -> bool) -> Option<usize> {
        let mut around = self.masked.iter().filter(|(_, net)| net.contains(addr)).map(|(at, _)| *at as usize);
        around.find(|at| is_there(*at))
    }
}
