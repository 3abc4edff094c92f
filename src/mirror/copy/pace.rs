//! Bandwidth: how long who has moved bytes waits before the next. No clock.

use std::sync::{Mutex, PoisonError};

use crate::base::clock::{Nanos, SEC};

/// Shared by all that a rule copies. What was not used is not saved up beyond this.
const BURST: Nanos = SEC / 4;
/// Bytes that are taken at once however low the rate is.
const LEAST: usize = 1 << 10;

#[derive(Debug)]
pub struct Pace {
    /// Bytes in a second; 0: no limit.
    rate: u64,
    /// When all that was taken has gone by at that rate.
    next: Mutex<Nanos>,
}

impl Pace {
    pub fn new(rate: u64) -> Pace {
        Pace { rate, next: Mutex::new(0) }
    }

    /// Bytes to take at once at most, so that who waits for them does not wait for long.
    pub fn most(&self) -> usize {
        match self.rate {
            0 => usize::MAX,
            rate => usize::try_from(rate / 4).unwrap_or(usize::MAX).max(LEAST),
        }
    }

    /// Takes bytes at `now`. Until when to wait before taking more.
    pub fn take(&self, bytes: u64, now: Nanos) -> Nanos {
        if self.rate == 0 {
            return now;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = u128::from(bytes) * u128::from(SEC) / u128::from(self.rate);
        *next =
            (*next).max(now.saturating_sub(BURST)).saturating_add(Nanos::try_from(cost).unwrap_or(SEC * 60));
        *next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_take_so_long() {
        let pace = Pace::new(1000);
        let mut now = 10 * SEC;
        for _ in 0..100 {
            now = pace.take(100, now).max(now);
        }
        let took = now - 10 * SEC;
        assert!((9 * SEC..=10 * SEC).contains(&took), "{took}");
        assert_eq!(Pace::new(0).take(u64::MAX, 7), 7);
        assert_eq!([0, 1000, 1 << 20].map(|rate| Pace::new(rate).most()), [usize::MAX, LEAST, 1 << 18]);
    }
}
