//! The cache of responses (`cache` sections): what may be stored and for how long, who gets it, and the memory that it is
//! in, which all workers share.

mod entry;
mod keep;
mod lookup;
mod rules;
mod storage;
mod vary;

pub use entry::Entry;
pub use keep::{Keep, Keeper, consider};
pub use lookup::{Hit, Request};
pub use storage::{Cache, Caches, Settings};
