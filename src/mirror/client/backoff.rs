//! How long to wait before the next try: twice as long each time, and by chance a part of it, so that those who failed
//! together do not come back together. No clock; chance is a number that is handed in.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
    /// Tries at most, the first one too.
    pub tries: u32,
}

/// Between tries of one request.
pub const REQUEST: Backoff =
    Backoff { first: Duration::from_millis(200), most: Duration::from_secs(20), tries: 6 };
/// Between tries of a job; it is tried for ever.
pub const JOB: Backoff =
    Backoff { first: Duration::from_secs(2), most: Duration::from_secs(60), tries: u32::MAX };

impl Backoff {
    /// After so many tries that failed. `None`: it is given up.
    pub fn after(&self, failed: u32, chance: u64) -> Option<Duration> {
        if failed >= self.tries {
            return None;
        }
        let doubled = self.first.saturating_mul(1 << failed.saturating_sub(1).min(20));
        let whole = doubled.min(self.most).as_millis() as u64;
        // Half of it at least.
        let half = whole / 2;
        Some(Duration::from_millis(half + chance % (whole - half + 1)))
    }
}

/// A number by chance.
pub fn chance() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_differ() {
        for (failed, least, most) in [(1, 100, 200), (2, 200, 400), (4, 800, 1600), (5, 1600, 3200)] {
            for chance in [0, 7, u64::MAX] {
                let wait = REQUEST.after(failed, chance).expect("another").as_millis();
                assert!((least..=most).contains(&wait), "{failed} {wait}");
            }
        }
        assert_eq!(REQUEST.after(6, 0), None);
        assert_eq!(JOB.after(1000, 0), Some(Duration::from_secs(30)));
        assert_ne!(REQUEST.after(3, 1), REQUEST.after(3, 2));
    }
}
