//! Spans of addresses, each with one answer, found by few looks at memory. Among a million of them a lookup's time is that
//! of the lines of memory it waits for, one after the other. Here the last line has where the spans begin and what they
//! say, and those on the way to it are so few that the processor's cache has them.

use crate::os::pages::prefer_large;

/// Addresses in a node: a line of the cache, of IPv4.
const FAN: usize = 16;
/// Spans in a leaf.
const SPANS: usize = 8;
/// Says that no network is around an address.
pub const NONE: u32 = u32::MAX;

/// An address of one family.
pub trait Address: Copy + Ord + std::fmt::Debug {
    const FIRST: Self;
    const LAST: Self;
}

impl Address for u32 {
    const FIRST: u32 = 0;
    const LAST: u32 = u32::MAX;
}

impl Address for u128 {
    const FIRST: u128 = 0;
    const LAST: u128 = u128::MAX;
}

/// Where the parts begin that lie below.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node<A>([A; FAN]);

/// Where spans begin, and what each says.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Leaf<A> {
    starts: [A; SPANS],
    said: [u32; SPANS],
}

/// What is found for an address.
#[derive(Clone, Copy, Debug)]
pub struct Span<'s> {
    /// The entry of its network. Who does not ask for it does not wait for its memory.
    pub owner: &'s u32,
    pub said: u32,
}

/// Spans that cover all addresses of a family, or none.
#[derive(Debug)]
pub struct Spans<A> {
    leaves: Vec<Leaf<A>>,
    /// The network of each span; [`NONE`] where it has none.
    owners: Vec<u32>,
    /// The way to the leaves, the shortest part of it first.
    tiers: Vec<Vec<Node<A>>>,
}

impl<A> Default for Spans<A> {
    fn default() -> Self {
        Spans { leaves: Vec::new(), owners: Vec::new(), tiers: Vec::new() }
    }
}

/// How many of them are not behind an address. All are looked at, which is faster than to choose.
fn rank<A: Address>(starts: &[A], addr: A) -> usize {
    starts.iter().fold(0u32, |count, start| count + u32::from(*start <= addr)) as usize
}

impl<A: Address> Spans<A> {
    /// Without a span; there is room for so many.
    pub fn with_room(count: usize) -> Spans<A> {
        let spans = Spans {
            leaves: Vec::with_capacity(count.div_ceil(SPANS)),
            owners: Vec::with_capacity(count.next_multiple_of(SPANS)),
            tiers: Vec::new(),
        };
        prefer_large(&spans.leaves);
        prefer_large(&spans.owners);
        spans
    }

    /// A span begins where none has begun yet, or where the last one has, and then takes its place.
    pub fn begin(&mut self, start: A, owner: u32, said: u32) {
        let again = self.last_start() == Some(start);
        let count = self.owners.len() - usize::from(again);
        if count == self.leaves.len() * SPANS {
            // What is behind the last span begins at the last address, and says what that says: see `finish`.
            self.leaves.push(Leaf { starts: [A::LAST; SPANS], said: [NONE; SPANS] });
        }
        let (leaf, at) = (&mut self.leaves[count / SPANS], count % SPANS);
        (leaf.starts[at], leaf.said[at]) = (start, said);
        self.owners.truncate(count);
        self.owners.push(owner);
    }

    fn last_start(&self) -> Option<A> {
        let last = self.owners.len().checked_sub(1)?;
        Some(self.leaves[last / SPANS].starts[last % SPANS])
    }

    /// No span begins any more: makes the way to them.
    pub fn finish(&mut self) {
        let (Some(last), Some(leaf)) = (self.owners.last().copied(), self.leaves.last_mut()) else { return };
        let filled = (self.owners.len() - 1) % SPANS + 1;
        let said = leaf.said[filled - 1];
        leaf.said[filled..].fill(said);
        self.owners.resize(self.leaves.len() * SPANS, last);
        self.leaves.shrink_to_fit();
        self.owners.shrink_to_fit();
        let mut starts: Vec<A> = self.leaves.iter().map(|leaf| leaf.starts[0]).collect();
        while starts.len() > 1 {
            let nodes = starts.chunks(FAN).map(|chunk| {
                let mut node = Node([A::LAST; FAN]);
                node.0[..chunk.len()].copy_from_slice(chunk);
                node
            });
            let nodes: Vec<Node<A>> = nodes.collect();
            starts = nodes.iter().map(|node| node.0[0]).collect();
            self.tiers.insert(0, nodes);
        }
    }

    /// The span around an address, if it has a network.
    pub fn find(&self, addr: A) -> Option<Span<'_>> {
        // What fills the last node up counts for the last address alone, which lies in the last part.
        let mut at = 0usize;
        for tier in &self.tiers {
            let here = at.min(tier.len().checked_sub(1)?);
            at = here * FAN + rank(&tier[here].0, addr).saturating_sub(1);
        }
        let at = at.min(self.leaves.len().checked_sub(1)?);
        let leaf = &self.leaves[at];
        let within = rank(&leaf.starts, addr).saturating_sub(1);
        let (said, owner) = (leaf.said[within], &self.owners[at * SPANS + within]);
        (said != NONE).then_some(Span { owner, said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_and_nodes_are_lines() {
        assert_eq!((size_of::<Leaf<u32>>(), align_of::<Leaf<u32>>()), (64, 64));
        assert_eq!((size_of::<Node<u32>>(), align_of::<Node<u32>>()), (64, 64));
    }

    /// Each address is in the last span that begins at it or before, however many there are and wherever they end.
    fn check<A: Address>(starts: &[A], addrs: impl Iterator<Item = A>) {
        let mut spans = Spans::with_room(starts.len());
        for (at, start) in starts.iter().enumerate() {
            // Another one had begun there.
            spans.begin(*start, NONE, NONE);
            let at = at as u32;
            spans.begin(*start, at, if at % 5 == 4 { NONE } else { at + 1000 });
        }
        spans.finish();
        for addr in addrs {
            let at = starts.partition_point(|start| *start <= addr) as u32 - 1;
            let expected = (at % 5 != 4).then_some((at, at + 1000));
            let found = spans.find(addr).map(|span| (*span.owner, span.said));
            assert_eq!(found, expected, "{addr:?} among {}", starts.len());
        }
    }

    #[test]
    fn every_address_is_in_its_span() {
        for count in [1, 2, 7, 8, 9, 127, 128, 129, 130, 2047, 2048, 2049, 40_000u32] {
            for ends_last in [false, true] {
                let mut starts: Vec<u32> = (0..count).map(|i| i * 97).collect();
                if ends_last && count > 1 {
                    starts[count as usize - 1] = u32::MAX;
                }
                let around = |start: &u32| [start.wrapping_sub(1), *start, start.wrapping_add(1)];
                let addrs = starts.iter().flat_map(around).chain([0, u32::MAX, u32::MAX - 1]);
                check(&starts, addrs.clone());
                let wide =
                    |addr: u32| u128::from(addr) << 96 | if addr == u32::MAX { u128::MAX >> 32 } else { 0 };
                let wides: Vec<u128> = starts.iter().map(|start| wide(*start)).collect();
                check(&wides, addrs.map(wide).chain([u128::MAX]));
            }
        }
        assert!(Spans::<u32>::default().find(7).is_none());
    }
}
