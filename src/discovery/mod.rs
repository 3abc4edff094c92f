//! Servers from the region map: what `service` lines of backends find there becomes servers, in place; and servers whose
//! addresses come from name servers (`names`).
//!
//! `pool` makes a backend's servers what choices say, without threads or a clock of its own; `recovery` remembers which
//! regions were lost and `regions` tells of it; `examine` checks for all nodes what falls to this one; `shares` sums the tables of a cluster; `follow` has a task for each backend, which waits for what concerns it alone.

mod context;
mod names;
pub mod figures;
pub mod follow;
pub mod pool;
pub mod recovery;
pub mod load;
pub mod shares;
mod regions;
mod examine;

#[cfg(test)]
mod tests;

pub use context::Resolve;
pub use follow::Discovery;
pub use names::Names;
pub use pool::{Pool, Target};
