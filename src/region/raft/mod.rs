//! Raft over the region map: protocol, network between members, proposals and reads.

pub mod types;
