//! The networks of a base, found by the addresses at which the answer changes.

use std::net::IpAddr;

use super::base::Base;
use super::net::{Net, mask4, mask6};
use super::spans::{Address, NONE, Span, Spans};
use super::values::{Collector, ELSEWHERE, Values};

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

/// Goes over the networks of a family by their addresses.
struct Sweep<'p, A> {
    spans: Spans<A>,
    /// Those around the address, the widest first.
    open: Vec<Open<A>>,
    parents: &'p mut [u32],
    /// What entries say.
    said: &'p [u32],
    /// The address behind one, unless that was the last.
    next: fn(A) -> Option<A>,
}

impl<A: Address> Sweep<'_, A> {
    fn run(&mut self, mut nets: Vec<Ranked<A>>) {
        if nets.is_empty() {
            return;
        }
        nets.sort_unstable_by_key(|(first, bits, _, at)| (*first, *bits, *at));
        self.spans = Spans::with_room(2 * nets.len() + 1);
        self.begin(A::FIRST, NONE);
        for net in nets {
            while let Some(top) = self.open.pop_if(|top| top.last < net.0) {
                self.close(top.last);
            }
            self.enter(net);
        }
        while let Some(top) = self.open.pop() {
            self.close(top.last);
        }
        self.spans.finish();
    }

    fn begin(&mut self, start: A, owner: u32) {
        let said = if owner == NONE { NONE } else { self.said[owner as usize] };
        self.spans.begin(start, owner, said);
    }

    fn around(&self) -> u32 {
        self.open.last().map_or(NONE, |outer| outer.owner)
    }

    /// Behind the last address of a network that around it counts.
    fn close(&mut self, last: A) {
        if let Some(start) = (self.next)(last) {
            self.begin(start, self.around());
        }
    }

    fn enter(&mut self, (first, bits, last, at): Ranked<A>) {
        let around = self.around();
        match self.open.last_mut() {
            Some(top) if top.first == first && top.bits == bits => {
                self.parents[at as usize] = self.parents[top.twin as usize];
                self.parents[top.twin as usize] = at;
                top.twin = at;
            }
            _ => {
                self.parents[at as usize] = around;
                self.begin(first, at);
                self.open.push(Open { first, bits, last, owner: at, twin: at });
            }
        }
    }
}

fn spans<A: Address>(
    nets: Vec<Ranked<A>>,
    parents: &mut [u32],
    said: &[u32],
    next: fn(A) -> Option<A>,
) -> Spans<A> {
    let mut sweep = Sweep { spans: Spans::default(), open: Vec::new(), parents, said, next };
    sweep.run(nets);
    sweep.spans
}

/// The networks of a base.
#[derive(Debug, Default)]
pub struct NetIndex {
    v4: Spans<u32>,
    v6: Spans<u128>,
    /// The next of those that say the same as an entry, else the next wider network around it.
    parents: Vec<u32>,
    /// How long the prefix of an entry is; 255: its mask is none.
    bits: Vec<u8>,
    masked: Vec<(u32, Net)>,
    /// Entries that are names of hosts.
    hosts: Vec<u32>,
    values: Values,
}

const NO_PREFIX: u8 = u8::MAX;

impl NetIndex {
    /// Reads all entries; the error is said with the place of the one that is no network.
    pub fn build(base: &Base, resolve: bool) -> Result<NetIndex, (usize, String)> {
        let mut index = NetIndex { bits: Vec::with_capacity(base.len()), ..NetIndex::default() };
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let (mut values, mut said) = (Collector::default(), Vec::with_capacity(base.len()));
        for (at, record) in base.records().enumerate() {
            let net = Net::read(record.key, false).or_else(|e| {
                index.hosts.push(at as u32);
                if resolve { Net::read(record.key, true) } else { Err(e) }
            });
            let net = net.map_err(|e| (at, e))?;
            index.bits.push(net.prefix().map_or(NO_PREFIX, |bits| bits as u8));
            said.push(record.value.map_or(ELSEWHERE, |value| values.put(value)));
            match net {
                Net::V4 { addr, bits } => v4.push((addr, bits, addr | !mask4(bits), at as u32)),
                Net::V6 { addr, bits } => v6.push((addr, bits, addr | !mask6(bits), at as u32)),
                Net::Masked { .. } => index.masked.push((at as u32, net)),
            }
        }
        index.parents = vec![NONE; base.len()];
        index.v4 = spans(v4, &mut index.parents, &said, |last| last.checked_add(1));
        index.v6 = spans(v6, &mut index.parents, &said, |last| last.checked_add(1));
        index.values = values.done();
        Ok(index)
    }

    /// The length of an entry's prefix.
    pub fn prefix(&self, at: usize) -> Option<u32> {
        self.bits.get(at).filter(|bits| **bits != NO_PREFIX).map(|bits| u32::from(*bits))
    }

    /// The narrowest network around an address.
    pub fn find(&self, addr: IpAddr) -> Option<Span<'_>> {
        match addr {
            IpAddr::V4(addr) => self.v4.find(u32::from(addr)),
            IpAddr::V6(addr) => self.v6.find(u128::from(addr)),
        }
    }

    /// A value that a span says, unless it lies elsewhere.
    pub fn value(&self, span: Span<'_>) -> Option<&[u8]> {
        self.values.get(span.said)
    }

    /// The entry of a span, then those that say the same, then those of wider networks.
    pub fn outwards(&self, span: Span<'_>) -> impl Iterator<Item = usize> {
        let parent = |at: &usize| self.parents.get(*at).map(|at| *at as usize);
        std::iter::successors(Some(*span.owner as usize), parent).take_while(|at| *at != NONE as usize)
    }

    /// The first network around an address whose mask is no prefix.
    pub fn find_masked(&self, addr: IpAddr, is_there: impl Fn(usize) -> bool) -> Option<usize> {
        let mut around = self.masked.iter().filter(|(_, net)| net.contains(addr)).map(|(at, _)| *at as usize);
        around.find(|at| is_there(*at))
    }

    /// The entries of the base with this key.
    pub fn named(&self, base: &Base, text: &[u8]) -> Vec<usize> {
        let mut found = match Net::read(text, false) {
            Ok(Net::V4 { addr, bits }) => self.same(self.v4.find(addr), bits),
            Ok(Net::V6 { addr, bits }) => self.same(self.v6.find(addr), bits),
            Ok(Net::Masked { .. }) => self.masked.iter().map(|(at, _)| *at as usize).collect(),
            Err(_) => self.hosts.iter().map(|at| *at as usize).collect(),
        };
        found.retain(|at| base.key(*at) == text);
        found
    }

    /// Of the networks around the span of its first address, those that are one.
    fn same(&self, span: Option<Span<'_>>, bits: u32) -> Vec<usize> {
        let around = span.into_iter().flat_map(|span| self.outwards(span));
        let around = around.skip_while(|at| self.prefix(*at).is_some_and(|found| found > bits));
        around.take_while(|at| self.prefix(*at) == Some(bits)).collect()
    }
}
