//! Event rates over a sliding second, as HAProxy counts them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::Millis;

/// Events during the current second and the one before it; reading blends the two.
///
/// One word: second (32 bits), and in `pair` current and previous counts (32 bits each). Writers from several
/// threads may lose an event at a change of second, which a rate may.
#[derive(Default, Debug)]
pub struct Rate {
    second: AtomicU64,
    pair: AtomicU64,
}

impl Rate {
    fn turn(&self, now: Millis) {
        let second = now / 1000;
        let seen = self.second.load(Ordering::Relaxed);
        if seen == second
            || self.second.compare_exchange(seen, second, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let current = self.pair.load(Ordering::Relaxed) >> 32;
        self.pair.store(if second == seen + 1 { current } else { 0 }, Ordering::Relaxed);
    }

    /// Counts `n` events at `now`. Tells the rate with them.
    #[inline]
    pub fn add(&self, now: Millis, n: u32) -> u32 {
        self.turn(now);
        let n = u64::from(n) << 32;
        blend(self.pair.fetch_add(n, Ordering::Relaxed).wrapping_add(n), now)
    }

    /// Events per second, over the second that ends at `now`.
    pub fn read(&self, now: Millis) -> u32 {
        self.turn(now);
        blend(self.pair.load(Ordering::Relaxed), now)
    }
}

fn blend(pair: u64, now: Millis) -> u32 {
    let (current, previous) = (pair >> 32, pair & 0xffff_ffff);
    (current + previous * (999 - now % 1000) / 1000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_ago_still_counts_and_two_do_not() {
        let rate = Rate::default();
        assert_eq!(rate.add(10_000, 100), 100);
        assert_eq!(rate.read(10_500), 100);
        assert_eq!(rate.read(11_499), 50);
        assert_eq!(rate.read(12_500), 0);
    }
}
