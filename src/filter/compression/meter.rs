//! What compression costs the process, and what it may cost.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::Millis;
use crate::base::rate::Rate;

/// Memory of one body's compression: a window and its index, a table of what is to be written.
pub const STATE_SIZE: u64 = 268 * 1024;

/// `maxcomprate`, `maxzlibmem`, `tune.comp.maxlevel`; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that come in, each second.
    pub rate: u64,
    pub memory: u64,
    /// How hard it tries, from 1 to 9; 0: not at all.
    pub level: u32,
    /// Percent of its time that a worker must have to spare.
    pub least_idle: u8,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { rate: 0, memory: 0, level: 1, least_idle: 0 }
    }
}

/// What all workers compress.
#[derive(Debug, Default)]
pub struct Meter {
    came: Rate,
    left: Rate,
    memory: AtomicU64,
}

/// Of this process.
pub static METER: LazyLock<Meter> = LazyLock::new(Meter::default);

impl Meter {
    pub fn add(&self, came: usize, left: usize, now: Millis) {
        self.came.add(now, u32::try_from(came).unwrap_or(u32::MAX));
        self.left.add(now, u32::try_from(left).unwrap_or(u32::MAX));
    }

    /// Bytes of the last second before and after compression.
    pub fn rates(&self, now: Millis) -> (u32, u32) {
        (self.came.read(now), self.left.read(now))
    }

    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Another message may be compressed.
    pub fn has_room(&self, limits: &Limits, now: Millis) -> bool {
        let is_slow = limits.rate == 0 || u64::from(self.came.read(now)) <= limits.rate;
        is_slow && (limits.memory == 0 || self.memory() + STATE_SIZE <= limits.memory)
    }

    pub(super) fn take(&self) {
        self.memory.fetch_add(STATE_SIZE, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self) {
        self.memory.fetch_sub(STATE_SIZE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_rate_and_memory() {
        let meter = Meter::default();
        let limits = Limits { rate: 1000, memory: STATE_SIZE * 3 / 2, ..Limits::default() };
        assert!(meter.has_room(&limits, 10_000));
        meter.add(1001, 10, 10_000);
        assert!(!meter.has_room(&limits, 10_000));
        assert_eq!(meter.rates(10_000), (1001, 10));
        assert!(meter.has_room(&Limits::default(), 10_000));
        assert!(meter.has_room(&limits, 12_500));
        meter.take();
        assert!(!meter.has_room(&limits, 12_500));
        meter.give_back();
        assert!(meter.has_room(&limits, 12_500));
    }
}
