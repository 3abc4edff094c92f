//! One figure of an entry of a stick table, for fetches and converters.

use crate::stick::{Data, Entry};

#[derive(Clone, Copy, Debug)]
pub enum Figure {
    Value(Data),
    Kilobytes(Data),
    /// Adds 1 to a counter and its rate; the counter then.
    Increment(Data, Data),
    /// Sets to 0; what it was.
    Clear(Data),
    Trackers,
}

impl Figure {
    /// `None`: the table does not store it.
    pub fn of(self, entry: &mut Entry<'_>, index: usize) -> Option<i64> {
        match self {
            Figure::Value(data) => entry.value(data, index),
            Figure::Kilobytes(data) => entry.value(data, index).map(|bytes| bytes >> 10),
            Figure::Increment(counter, rate) => entry.count((counter, index), (rate, index), 1),
            Figure::Clear(data) => {
                let was = entry.value(data, index)?;
                entry.set(data, index, 0);
                Some(was)
            }
            Figure::Trackers => Some(i64::from(entry.refs())),
        }
    }
}
