//! A node's prober: runs the checks that were registered with this node, and reaps what stays critical.
//!
//! `machine` decides what a result means and `reaper` what goes, both without I/O; `runner` has a task for each check
//! and tells the cluster what changed; the others are what checks do.

pub mod alias;
pub mod machine;
pub mod reaper;
pub mod runner;

mod grpc;
mod http;
mod probe;
mod script;
mod socket;
mod tls;

#[cfg(test)]
mod tests;

pub use machine::Finding;
pub use runner::{Prober, Settings};
