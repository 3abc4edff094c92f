//! The region map: what every node knows of regions, nodes, services, keys, sessions and configuration documents,
//! replicated by Raft.

pub mod keyword;
mod keyword_region;
mod keyword_seat;
pub mod language;
pub mod map;
pub mod spec;

#[cfg(test)]
mod tests;
