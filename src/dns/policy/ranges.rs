//! A value for each address, as ranges: what a binary trie with equal neighbours merged would say, in two flat lists.

use std::fmt::Debug;

/// An address as a number.
pub trait Key: Copy + Ord + Debug + Default {
    const BITS: u8;
    const MAX: Self;
    fn next(self) -> Option<Self>;
    /// How many leading bits two of them share.
    fn shared(self, other: Self) -> u8;
    /// Without the bits behind the first `len`.
    fn network(self, len: u8) -> Self;
    /// With all bits behind the first `len`.
    fn last(self, len: u8) -> Self;
    fn before(self) -> Self;
    /// The first 16 bits.
    fn top(self) -> usize;
    /// The first address that begins with these.
    fn of_top(top: u16) -> Self;
}

macro_rules! key {
    ($t:ty, $bits:literal) => {
        impl Key for $t {
            const BITS: u8 = $bits;
            const MAX: Self = <$t>::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn shared(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            fn network(self, len: u8) -> Self {
                if len >= $bits { self } else { self & !(<$t>::MAX >> len) }
            }
            fn last(self, len: u8) -> Self {
                if len >= $bits { self } else { self | <$t>::MAX >> len }
            }
            fn before(self) -> Self {
                self.saturating_sub(1)
            }
            fn top(self) -> usize {
                (self >> ($bits - 16)) as usize
            }
            fn of_top(top: u16) -> Self {
                <$t>::from(top) << ($bits - 16)
            }
        }
    };
}
key!(u32, 32);
key!(u128, 128);

/// From so many ranges on an index is worth its room.
const INDEXED: usize = 256;

/// What the index says of the addresses that begin with the same 16 bits: one value and one scope for all of them, or
/// between which ranges to search. One number, because each look at another place of a large table is a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bucket {
    One {
        value: u32,
        scope: u8,
    },
    /// From this range on, among so many as 2 to the power of `log`.
    Search {
        from: u32,
        log: u8,
    },
}

impl Bucket {
    const ONE: u32 = 1 << 31;
    /// Bits of the larger field.
    const WIDE: u32 = 26;
    const MASK: u32 = (1 << Self::WIDE) - 1;

    /// `None`: there is no room for it.
    fn pack(self) -> Option<u32> {
        let (flag, wide, small) = match self {
            Bucket::One { value, scope } => (Self::ONE, value, scope),
            Bucket::Search { from, log } => (0, from, log),
        };
        (wide <= Self::MASK).then_some(flag | u32::from(small) << Self::WIDE | wide)
    }

    fn unpack(packed: u32) -> Bucket {
        let (wide, small) = (packed & Self::MASK, (packed >> Self::WIDE & 31) as u8);
        match packed & Self::ONE {
            0 => Bucket::Search { from: wide, log: small },
            _ => Bucket::One { value: wide, scope: small },
        }
    }
}

/// Each range reaches to the next; the first begins at 0. Neighbours differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges<K> {
    starts: Vec<K>,
    values: Vec<u32>,
    /// A [`Bucket`] for each beginning of 16 bits. Empty where that is not worth its room.
    index: Vec<u32>,
}

impl<K: Key> Ranges<K> {
    /// The same value everywhere.
    pub fn all(value: u32) -> Ranges<K> {
        Ranges { starts: vec![K::default()], values: vec![value], index: Vec::new() }
    }

    /// Of networks (address and prefix length), which may contain each other: the longest prefix wins, of equal ones the
    /// first. Where none is, `default`.
    pub fn of(networks: &[(K, u8, u32)], default: u32) -> Ranges<K> {
        let mut sorted: Vec<(K, u8, u32)> =
            networks.iter().map(|(a, len, v)| (a.network(*len), *len, *v)).collect();
        sorted.sort_by_key(|(address, len, _)| (*address, *len));
        sorted.dedup_by_key(|(address, len, _)| (*address, *len));
        let mut ranges = Ranges { starts: Vec::new(), values: Vec::new(), index: Vec::new() };
        ranges.push(K::default(), default);
        // Those that contain the present place, the innermost last.
        let mut open: Vec<(K, u32)> = Vec::new();
        for (address, len, value) in sorted {
            ranges.close(&mut open, Some(address), default);
            ranges.push(address, value);
            open.push((address.last(len), value));
        }
        ranges.close(&mut open, None, default);
        ranges
    }

    /// Ends the networks that end before `before`.
    fn close(&mut self, open: &mut Vec<(K, u32)>, before: Option<K>, default: u32) {
        while let Some((last, _)) = open.last().copied().filter(|(last, _)| before.is_none_or(|b| *last < b))
        {
            open.pop();
            let outer = open.last().map_or(default, |(_, value)| *value);
            if let Some(next) = last.next() {
                self.push(next, outer);
            }
        }
    }

    fn push(&mut self, start: K, value: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// Each value replaced.
    pub fn map(&self, f: impl Fn(u32) -> u32) -> Ranges<K> {
        let mut ranges = Ranges { starts: Vec::new(), values: Vec::new(), index: Vec::new() };
        for (start, value) in self.starts.iter().zip(&self.values) {
            ranges.push(*start, f(*value));
        }
        ranges
    }

    /// `top` where it has a value other than `hole`, else this.
    pub fn under(&self, top: &Ranges<K>, hole: u32) -> Ranges<K> {
        let mut ranges = Ranges { starts: Vec::new(), values: Vec::new(), index: Vec::new() };
        let (mut low, mut high) = (0, 0);
        loop {
            let start = self.starts[low].max(top.starts[high]);
            let value = if top.values[high] == hole { self.values[low] } else { top.values[high] };
            ranges.push(start, value);
            match (self.starts.get(low + 1), top.starts.get(high + 1)) {
                (None, None) => return ranges,
                (Some(_), None) => low += 1,
                (None, Some(_)) => high += 1,
                (Some(a), Some(b)) => {
                    let (a, b) = (*a, *b);
                    low += usize::from(a <= b);
                    high += usize::from(b <= a);
                }
            }
        }
    }

    /// The same, faster to look addresses up in.
    pub fn indexed(mut self) -> Ranges<K> {
        if self.starts.len() < INDEXED {
            return self;
        }
        let mut index = Vec::with_capacity(usize::from(u16::MAX) + 1);
        let mut at = 0;
        for top in 0..=u16::MAX {
            let (first, last) = (K::of_top(top), K::of_top(top).last(16));
            let begins_by = |n: usize, address: K| self.starts.get(n).is_some_and(|start| *start <= address);
            while begins_by(at + 1, first) {
                at += 1;
            }
            let mut end = at;
            while begins_by(end + 1, last) {
                end += 1;
            }
            let (value, scope) = (self.values[at], self.scope(at, first));
            let log = (end - at + 1).next_power_of_two().trailing_zeros() as u8;
            let search = Bucket::Search { from: at as u32, log };
            let one = Bucket::One { value, scope };
            let packed = if at == end { one.pack().or(search.pack()) } else { search.pack() };
            let Some(packed) = packed else { return self };
            index.push(packed);
        }
        self.index = index;
        self
    }

    /// The last range of these that begins at an address or before it.
    fn find(&self, address: K, from: usize, to: usize) -> usize {
        (from + self.starts[from..to].partition_point(|start| *start <= address)).saturating_sub(1)
    }

    /// The length of the widest prefix around an address inside which the range reaches.
    fn scope(&self, at: usize, address: K) -> u8 {
        // The prefix must neither contain the address before the range nor the one behind it.
        let left = if at == 0 { None } else { Some(address.shared(self.starts[at].before())) };
        let right = self.starts.get(at + 1).map(|next| address.shared(*next));
        left.max(right).map_or(0, |shared| (shared + 1).min(K::BITS))
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The value of an address, and the length of the widest prefix around it inside which it is the same.
    pub fn lookup(&self, address: K) -> (u32, u8) {
        let at = match self.index.get(address.top()).copied().map(Bucket::unpack) {
            Some(Bucket::One { value, scope }) => return (value, scope),
            Some(Bucket::Search { from, log }) => {
                let from = from as usize;
                self.find(address, from, self.starts.len().min(from + (1 << log)))
            }
            None => self.find(address, 0, self.starts.len()),
        };
        (self.values[at], self.scope(at, address))
    }
}
