//! How many connections a server is thought to need: as many as were in use at once, of late.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::base::Millis;

/// What is known of the need of one server.
#[derive(Default, Debug)]
pub struct Need {
    /// Most in use at once since the last round.
    peak: AtomicU32,
    estimate: AtomicU32,
    /// When the next round is due.
    due_ms: AtomicU64,
}

impl Need {
    /// So many are in use now.
    pub fn note(&self, used: u32) {
        self.peak.fetch_max(used, Ordering::Relaxed);
        self.estimate.fetch_max(used, Ordering::Relaxed);
    }

    /// Called now and then, by all workers: once in `every_ms` the estimate comes half the way down to the peak.
    pub fn round(&self, used: u32, now_ms: Millis, every_ms: u64) {
        let due = self.due_ms.load(Ordering::Relaxed);
        let next = now_ms + every_ms;
        if now_ms < due
            || self.due_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let peak = self.peak.swap(used, Ordering::Relaxed);
        let halfway = |estimate: u32| Some((estimate + peak) / 2);
        let _ = self.estimate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, halfway);
        self.estimate.fetch_max(used, Ordering::Relaxed);
    }

    pub fn peak(&self) -> u32 {
        self.peak.load(Ordering::Relaxed)
    }

    pub fn estimate(&self) -> u32 {
        self.estimate.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_peak_up_at_once_and_down_by_halves() {
        let need = Need::default();
        need.round(0, 1000, 5000);
        need.note(3);
        need.note(8);
        need.note(1);
        assert_eq!((need.estimate(), need.peak()), (8, 8));
        need.round(1, 5999, 5000);
        assert_eq!(need.estimate(), 8, "no round is due");
        need.round(1, 6000, 5000);
        assert_eq!((need.estimate(), need.peak()), (8, 1));
        need.round(1, 11_000, 5000);
        assert_eq!(need.estimate(), 4);
        (0..5).for_each(|n| need.round(1, 16_000 + n * 5000, 5000));
        assert_eq!(need.estimate(), 1);
    }
}
