//! A mean of times that forgets: a time above it counts whole at once, one below draws it down the more the longer ago the
//! last one was.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Millis;

/// After so long what was known counts half.
const HALF_MS: u64 = 5_000;

/// Microseconds in the upper 40 bits, and in the lower 24 when they were noted, in sixteenths of a second.
#[derive(Debug, Default)]
pub struct Latency(AtomicU64);

const TICK_MS: u64 = 62;
const TICKS: u64 = 1 << 24;
const MOST_US: u64 = (1 << 40) - 1;

impl Latency {
    /// Takes in a time. Of two at once one may be lost: it is a mean.
    pub fn note(&self, us: u64, now: Millis) {
        let before = self.read(now);
        let next = if us >= before { us } else { before - (before - us) / 8 };
        let next = next.min(MOST_US);
        self.0.store((next << 24) | ((now / TICK_MS) % TICKS), Ordering::Relaxed);
    }

    /// The mean in microseconds; 0: nothing is known, or no longer.
    pub fn read(&self, now: Millis) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        let (us, noted) = (word >> 24, word % TICKS);
        let age_ms = ((now / TICK_MS).wrapping_sub(noted) % TICKS) * TICK_MS;
        let halves = age_ms / HALF_MS;
        if halves >= 40 {
            return 0;
        }
        let us = us >> halves;
        // Between two halves in a straight line.
        us - us / 2 * (age_ms % HALF_MS) / HALF_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_count_at_once_and_are_forgotten() {
        let latency = Latency::default();
        assert_eq!(latency.read(1000), 0);
        latency.note(800, 62_000);
        assert_eq!(latency.read(62_000), 800);
        latency.note(10_000, 62_000);
        assert_eq!(latency.read(62_000), 10_000);
        latency.note(2000, 62_000);
        assert_eq!(latency.read(62_000), 9000);
        let later =
            [latency.read(62_000 + 62 * 40), latency.read(62_000 + 62 * 81), latency.read(62_000 + 62 * 162)];
        assert!((6000..8000).contains(&later[0]), "{later:?}");
        assert!((4000..4600).contains(&later[1]), "{later:?}");
        assert!((2000..2400).contains(&later[2]), "{later:?}");
        assert_eq!(latency.read(62_000 + 40 * 5000 + 62), 0);
    }
}
