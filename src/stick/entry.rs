//! One entry while its shard is locked.

use std::sync::Arc;

use super::data::{Data, Shape};
use super::key::Key;
use super::layout::{EXPIRE, HEADER, REFS};
use super::rate;
use super::table::Table;

/// An entry, at a moment.
pub struct Entry<'e> {
    pub(super) table: &'e Table,
    pub(super) record: &'e mut [u32],
    pub(super) now: u32,
    /// What tells it from other entries of the table.
    pub(super) number: u64,
    /// Something of it was changed.
    pub(super) is_changed: bool,
}

impl Entry<'_> {
    pub fn key(&self) -> Key {
        let kind = self.table.kind();
        kind.read(&self.record[HEADER..HEADER + kind.words()])
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many track it.
    pub fn refs(&self) -> u32 {
        self.record[REFS]
    }

    /// Milliseconds until it expires; 0 in a table whose entries never do.
    pub fn remaining_ms(&self) -> u32 {
        if self.table.expire_ms() == 0 {
            return 0;
        }
        let left = self.record[EXPIRE].wrapping_sub(self.now);
        if left > i32::MAX as u32 { 0 } else { left }
    }

    pub fn has(&self, data: Data, index: usize) -> bool {
        self.table.layout.find(data, index).is_some()
    }

    /// A value; of a rate what happened in the period that ends now. In a table of a cluster with what other nodes
    /// counted. `None`: it is not stored.
    pub fn value(&self, data: Data, index: usize) -> Option<i64> {
        let (data, at, period) = self.table.layout.find(data, index)?;
        let own = self.read(data, at, period);
        let Some(others) = self.table.layout.others(data, at) else { return Some(own) };
        let others = match data.shape() {
            Shape::Long => self.long(others),
            _ => i64::from(self.record[others]),
        };
        Some(match data.shape() {
            Shape::Long => own.wrapping_add(others),
            _ => (own + others).min(i64::from(u32::MAX)),
        })
    }

    fn long(&self, at: usize) -> i64 {
        (u64::from(self.record[at]) << 32 | u64::from(self.record[at + 1])).cast_signed()
    }

    /// What was counted here.
    fn read(&self, data: Data, at: usize, period: u32) -> i64 {
        match data.shape() {
            Shape::Signed => i64::from(self.record[at].cast_signed()),
            Shape::Count | Shape::Name => i64::from(self.record[at]),
            Shape::Long => self.long(at),
            Shape::Rate => {
                let words = [self.record[at], self.record[at + 1], self.record[at + 2]];
                i64::from(rate::read(&words, period, self.now))
            }
        }
    }

    /// What was counted here of one value, as other nodes are told: a number, or the three of [`rate`](Entry::rate), all 0
    /// once nothing of it counts any more.
    pub fn part(&self, data: Data, index: usize) -> Option<[u64; 3]> {
        let (data, at, period) = self.table.layout.find(data, index)?;
        let value = self.read(data, at, period);
        Some(match data.shape() {
            Shape::Rate if value == 0 => [0; 3],
            Shape::Rate => {
                let age_ms = self.now.wrapping_sub(self.record[at]);
                // The clock of another thread may be ahead of this one.
                let age_ms = if age_ms > i32::MAX as u32 { 0 } else { age_ms };
                [age_ms, self.record[at + 1], self.record[at + 2]].map(u64::from)
            }
            _ => [value.cast_unsigned(), 0, 0],
        })
    }

    /// Puts the sum of what other nodes counted of a value beside what is counted here.
    pub fn set_others(&mut self, data: Data, index: usize, sum: u64) {
        let Some((data, at, _)) = self.table.layout.find(data, index) else { return };
        match (self.table.layout.others(data, at), data.shape()) {
            (None, _) => {}
            (Some(others), Shape::Long) => self.put_long(others, sum),
            (Some(others), _) => self.record[others] = u32::try_from(sum).unwrap_or(u32::MAX),
        }
    }

    /// Adds to a value, if it is stored.
    pub fn add(&mut self, data: Data, index: usize, n: u64) {
        let Some((data, at, period)) = self.table.layout.find(data, index) else { return };
        self.is_changed = true;
        let n32 = u32::try_from(n).unwrap_or(u32::MAX);
        match data.shape() {
            Shape::Signed | Shape::Count | Shape::Name => {
                self.record[at] = self.record[at].wrapping_add(n as u32);
            }
            Shape::Long => {
                let old = u64::from(self.record[at]) << 32 | u64::from(self.record[at + 1]);
                self.put_long(at, old.wrapping_add(n));
            }
            Shape::Rate => {
                let mut words = [self.record[at], self.record[at + 1], self.record[at + 2]];
                rate::add(&mut words, period, self.now, n32);
                self.record[at..at + 3].copy_from_slice(&words);
            }
        }
    }

    /// One less, not below 0.
    pub fn take_one(&mut self, data: Data) {
        if let Some((_, at, _)) = self.table.layout.find(data, 0) {
            self.is_changed = true;
            self.record[at] = self.record[at].saturating_sub(1);
        }
    }

    /// Gives a value, to this node's part of it where others count too; of a rate, as if so much had happened at this moment.
    pub fn set(&mut self, data: Data, index: usize, value: u64) {
        let Some((data, at, _)) = self.table.layout.find(data, index) else { return };
        self.is_changed = true;
        match data.shape() {
            Shape::Signed | Shape::Count | Shape::Name => self.record[at] = value as u32,
            Shape::Long => self.put_long(at, value),
            Shape::Rate => self.record[at..at + 3].copy_from_slice(&[self.now.max(1), value as u32, 0]),
        }
    }

    fn put_long(&mut self, at: usize, value: u64) {
        self.record[at] = (value >> 32) as u32;
        self.record[at + 1] = value as u32;
    }

    /// A counter and its rate: both count. Tells the counter, else the rate.
    pub fn count(&mut self, counter: (Data, usize), rate: (Data, usize), n: u64) -> Option<i64> {
        self.add(counter.0, counter.1, n);
        self.add(rate.0, rate.1, n);
        self.value(counter.0, counter.1).or_else(|| self.value(rate.0, rate.1))
    }

    /// `server_key`.
    pub fn server_key(&self) -> Option<Arc<str>> {
        let (_, at, _) = self.table.layout.find(Data::ServerKey, 0)?;
        self.table.names.text(self.record[at])
    }

    pub fn set_server_key(&mut self, text: &str) {
        if let Some((_, at, _)) = self.table.layout.find(Data::ServerKey, 0) {
            self.is_changed = true;
            self.record[at] = self.table.names.number(text);
        }
    }

    /// A rate as it is counted: milliseconds since its period began, events since, events in the period before.
    pub fn rate(&self, data: Data, index: usize) -> Option<[u32; 3]> {
        let (_, at, _) =
            self.table.layout.find(data, index).filter(|(data, ..)| data.shape() == Shape::Rate)?;
        Some([self.now.wrapping_sub(self.record[at]), self.record[at + 1], self.record[at + 2]])
    }

    /// Takes a rate as somebody else has counted it.
    pub fn set_rate(&mut self, data: Data, index: usize, [age_ms, current, before]: [u32; 3]) {
        let Some((data, at, _)) = self.table.layout.find(data, index) else { return };
        if data.shape() == Shape::Rate {
            self.is_changed = true;
            let start = self.now.wrapping_sub(age_ms).max(1);
            self.record[at..at + 3].copy_from_slice(&[start, current, before]);
        }
    }

    /// The version of the entry, which grows with each of its changes; 0 in a table that is told to nobody.
    pub fn version(&self) -> u64 {
        match self.table.layout.shared {
            0 => 0,
            at => u64::from(self.record[at]) << 32 | u64::from(self.record[at + 1]),
        }
    }
}
