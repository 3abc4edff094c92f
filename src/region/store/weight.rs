//! How many bytes of the log lie where, kept by marks, one a megabyte, so that the log can be shortened by its size too.

use std::collections::VecDeque;

/// Bytes between two marks, at least.
const STEP: u64 = 1 << 20;

/// What was appended by this process; what it found when it started is not weighed.
#[derive(Default)]
pub(super) struct Weight {
    marks: VecDeque<Mark>,
    /// Behind the last mark.
    open: u64,
}

struct Mark {
    /// One past the last index that belongs to it.
    end: u64,
    bytes: u64,
}

impl Weight {
    /// An entry was appended.
    pub fn add(&mut self, index: u64, bytes: usize) {
        self.open += bytes as u64;
        if self.open >= STEP {
            self.marks.push_back(Mark { end: index + 1, bytes: std::mem::take(&mut self.open) });
        }
    }

    /// The log ends before `from`.
    pub fn cut(&mut self, from: u64) {
        while self.marks.back().is_some_and(|mark| mark.end > from) {
            self.marks.pop_back();
            self.open = 0;
        }
    }

    /// The log begins behind `upto`.
    pub fn purge(&mut self, upto: u64) {
        while self.marks.front().is_some_and(|mark| mark.end <= upto + 1) {
            self.marks.pop_front();
        }
    }

    /// What lies at `from` and behind it, to a megabyte or an entry.
    pub fn from(&self, from: u64) -> u64 {
        self.open
            + self.marks.iter().rev().take_while(|mark| mark.end > from).map(|mark| mark.bytes).sum::<u64>()
    }

    /// Up to which index entries can go so that of all before `end` no more than `bytes` are left. `None`: there is no
    /// more than that.
    pub fn surplus(&self, bytes: u64, end: u64) -> Option<u64> {
        let mut kept = 0;
        let mut before = self.marks.iter().rev().skip_while(|mark| mark.end > end);
        before.find_map(|mark| {
            let is_over = kept + mark.bytes > bytes;
            kept += mark.bytes;
            is_over.then(|| mark.end.checked_sub(1)).flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries 0 to 99 of a megabyte each.
    fn heavy() -> Weight {
        let mut weight = Weight::default();
        (0..100).for_each(|index| weight.add(index, STEP as usize));
        weight
    }

    #[test]
    fn what_lies_behind_an_index_is_known_to_a_megabyte() {
        let mut weight = heavy();
        assert_eq!(weight.from(0), 100 * STEP);
        assert_eq!(weight.from(90), 10 * STEP);
        weight.add(100, 17);
        assert_eq!(weight.from(101), 17);
        assert_eq!(Weight::default().from(0), 0);
    }

    #[test]
    fn the_oldest_go_until_the_rest_is_small_enough() {
        let weight = heavy();
        // Of the first 50, those up to 39 can go: ten are left.
        assert_eq!(weight.surplus(10 * STEP, 50), Some(39));
        assert_eq!(weight.surplus(50 * STEP, 50), None);
        assert_eq!(weight.surplus(10 * STEP, 5), None);
    }

    #[test]
    fn what_was_cut_or_purged_weighs_nothing() {
        let mut weight = heavy();
        weight.purge(9);
        assert_eq!(weight.from(0), 90 * STEP);
        weight.cut(50);
        assert_eq!(weight.from(0), 40 * STEP);
        assert_eq!(weight.surplus(10 * STEP, 100), Some(39));
    }
}
