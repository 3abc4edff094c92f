//! The region map: what every node knows of regions, nodes, services, keys, sessions and configuration documents,
//! replicated by Raft.

pub mod map;
pub mod store;
pub mod raft;
