//! Raft over the region map: protocol, network between members, proposals and reads.
//!
//! Everything here runs on one thread with a runtime of its own, so that neither a big build nor a slow disk (which has
//! a thread of its own, see [`store`](super::store)) starts an election.

pub mod types;
pub mod told;
pub mod callee;
pub mod call;
pub mod timing;
pub mod frame;
pub mod figures;
pub mod lease;
pub mod connection;
pub mod guest;
pub mod network;
pub mod machine;
pub mod keeper;
pub mod node;
pub mod proposer;
pub mod read;
pub mod server;
pub mod cluster;
pub mod tls;
pub mod alone;
pub mod start;
pub mod belonging;
mod election;
mod expiry;
mod leases;
pub mod renewals;
mod shortening;
mod soft;

pub use callee::{CALL_BYTES, CallError, Called, Callee};
pub use frame::{ClientHeartbeat, Denial, MemberError, Operation};
pub use start::{Options, RaftHandle, StartError, start};
pub use timing::{Profile, Timing};
pub use tls::Tls;

#[cfg(test)]
mod tests;
