//! The region map: what every node knows of regions, nodes, services, keys, sessions and configuration documents,
//! replicated by Raft.

pub mod map;
pub mod watch;
pub mod seat;
pub mod direct;
pub mod store;
pub mod raft;
pub mod member;

pub use direct::Direct;
pub use seat::{
    Cluster, Consistency, Freshness, Future, Leader, Publisher, RaftState, Seat, SeatError, Status, View,
};
pub use watch::{WATCHERS, Watches};

#[cfg(test)]
mod tests;
