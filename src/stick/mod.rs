//! Stick tables: what is remembered of clients and others by a key, with counters, rates and the server they went to.
//! No I/O and no clock: whoever asks says what time it is.

pub mod changes;
pub mod cluster;
pub mod data;
pub mod entry;
pub mod key;
pub mod rate;
pub mod refs;
pub mod spec;
pub mod table;

mod layout;
mod names;
mod shard;

#[cfg(test)]
mod tests;

pub use changes::{Cursor, Learned, Learning, Walk};
pub use cluster::{Placed, Summed};
pub use data::{Data, Shape};
pub use entry::Entry;
pub use key::{Key, KeyKind};
pub use refs::{TableCell, TableRefs, Tables, Use};
pub use spec::{ServerKey, Spec, Stored};
pub use table::{Table, Tracked};
