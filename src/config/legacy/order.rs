//! Rules run in the order of their lines; what old HAProxy ran by kind has to stand in that order.

use std::collections::HashSet;

/// When the rules of a line ran, among those of the same message: the smaller, the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `block` and `monitor-net`.
    First,
    /// `http-request` and `http-response` as they are today.
    Rules,
    /// What looked at lines: replaced, removed, denied.
    Lines,
    /// What added lines.
    Added,
}

/// Which of these lines, given in file order, must move behind the last of them, and in what order. A line only moves
/// down: ACLs stand before the rules that use them.
pub fn moved(ranks: &[Rank]) -> Vec<usize> {
    let late = |i: &usize| ranks[i + 1..].iter().any(|later| *later < ranks[*i]);
    let mut moved: HashSet<usize> = (0..ranks.len()).filter(late).collect();
    if let Some(least) = moved.iter().map(|i| ranks[*i]).min() {
        moved.extend((0..ranks.len()).filter(|i| ranks[*i] > least));
    }
    let mut list: Vec<usize> = moved.into_iter().collect();
    list.sort_by_key(|i| (ranks[*i], *i));
    list
}
