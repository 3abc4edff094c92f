//! Servers ordered by a key, first come first among equal keys: the ordered tree of HAProxy's dynamic algorithms,
//! as a binary heap that knows where each server is. Nothing is allocated after [`Order::new`].

const OUT: u32 = u32::MAX;

/// A key and the turn in which it was given.
type Rank = (u64, u64);

#[derive(Debug, Default)]
pub struct Order {
    /// Server indices, smallest rank first.
    heap: Vec<u32>,
    /// By server: its position in `heap`, or `OUT`.
    at: Vec<u32>,
    /// By server.
    rank: Vec<Rank>,
    turn: u64,
}

impl Order {
    /// For servers `0..n`, none of them in.
    pub fn new(n: usize) -> Order {
        Order { heap: Vec::with_capacity(n), at: vec![OUT; n], rank: vec![(0, 0); n], turn: 0 }
    }

    pub fn first(&self) -> Option<usize> {
        self.heap.first().map(|&s| s as usize)
    }

    pub fn contains(&self, server: usize) -> bool {
        self.at[server] != OUT
    }

    pub fn key(&self, server: usize) -> u64 {
        self.rank[server].0
    }

    /// Places `server` behind those with the same key, taking it from its present place if it has one.
    pub fn insert(&mut self, server: usize, key: u64) {
        self.turn += 1;
        self.rank[server] = (key, self.turn);
        let at = match self.at[server] {
            OUT => {
                self.heap.push(server as u32);
                self.heap.len() - 1
            }
            at => at as usize,
        };
        self.at[server] = at as u32;
        let at = self.rise(at);
        self.sink(at);
    }

    pub fn remove(&mut self, server: usize) {
        let at = std::mem::replace(&mut self.at[server], OUT);
        if at == OUT {
            return;
        }
        let at = at as usize;
        self.heap.swap_remove(at);
        if let Some(&moved) = self.heap.get(at) {
            self.at[moved as usize] = at as u32;
            let at = self.rise(at);
            self.sink(at);
        }
    }

    /// The first server in order for which `accept` holds.
    pub fn first_such(&self, accept: impl Fn(usize) -> bool) -> Option<usize> {
        self.heap.iter().map(|&s| s as usize).filter(|&s| accept(s)).min_by_key(|&s| self.rank[s])
    }

    fn rank_at(&self, at: usize) -> Rank {
        self.rank[self.heap[at] as usize]
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.at[self.heap[a] as usize] = a as u32;
        self.at[self.heap[b] as usize] = b as u32;
    }

    fn rise(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.rank_at(parent) <= self.rank_at(at) {
                break;
            }
            self.swap(at, parent);
            at = parent;
        }
        at
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            if left >= self.heap.len() {
                return;
            }
            let right = left + 1;
            let least = if right < self.heap.len() && self.rank_at(right) < self.rank_at(left) {
                right
            } else {
                left
            };
            if self.rank_at(at) <= self.rank_at(least) {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a sorted list.
        #[test]
        fn behaves_as_a_sorted_list(steps in proptest::collection::vec((0usize..8, 0u64..6, any::<bool>()), 0..200)) {
            let mut order = Order::new(8);
            let mut model: Vec<(u64, usize, usize)> = Vec::new();
            for (turn, (server, key, put)) in steps.into_iter().enumerate() {
                model.retain(|m| m.2 != server);
                if put {
                    order.insert(server, key);
                    model.push((key, turn, server));
                } else {
                    order.remove(server);
                }
                model.sort();
                prop_assert_eq!(order.first(), model.first().map(|m| m.2));
                prop_assert_eq!(order.first_such(|s| s > 3), model.iter().find(|m| m.2 > 3).map(|m| m.2));
                for s in 0..8 {
                    prop_assert_eq!(order.contains(s), model.iter().any(|m| m.2 == s));
                }
            }
        }
    }
}
