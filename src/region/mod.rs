//! The region map: what every node knows of regions, nodes, services, keys, sessions and configuration documents,
//! replicated by Raft.

pub mod prober;
pub mod checkers;
pub mod choice;
pub mod keyword;
pub mod language;
pub mod map;
pub mod spec;
pub mod soft;
pub mod watch;
pub mod seat;
pub mod own;
pub mod direct;
pub mod expiry;
pub mod lease;
pub mod store;
pub mod raft;
pub mod member;
pub mod rollout;
pub mod query;

mod keyword_region;
mod keyword_seat;
mod reading;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use direct::Direct;
pub use seat::{
    Cluster, Consistency, Freshness, Future, Leader, Publisher, RaftState, Seat, SeatError, Status, View,
};
pub use watch::{WATCHERS, Watches};
