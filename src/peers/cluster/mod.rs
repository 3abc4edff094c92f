//! Tables whose counters and rates are those of all nodes of a cluster (`stick-table ... cluster`), without I/O or clock.
//!
//! Each node counts its own part, at once and exactly. [`Parts`] says what of it the others are to be told; [`Sums`] takes
//! what they tell and puts the sum beside the own part in the entry ([`crate::stick::cluster`]), where a request reads
//! both as it reads one. A part is never told on, so that nothing is counted twice, and it leaves with its node.
//!
//! A rate is told as it is counted: the age of its period, the events since, those of the period before. Who hears it
//! lets it fade by that, a little late ([`sums`]): until the next word it stands as it was told, so that what all
//! nodes see of a steady rate is neither too low nor too high.

mod parts;
mod sums;

pub use parts::{MOST_KEYS, Parts, Word};
pub use sums::Sums;
