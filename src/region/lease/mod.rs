//! Leases: who of the cluster may do a thing alone.
//!
//! A [`Lease`](super::map::Lease) in the map says who holds it, since which term, and how long it lasts without a
//! renewal. Granting, renewing, releasing and expiring go through Raft; the clock is the leader's alone ([`Deadlines`]):
//! a lease ends its length after the leader saw its last renewal, and a new leader gives each its length once more.
//!
//! # How it is used
//!
//! [`acquire`] waits until this node has the lease and returns a [`HeldLease`], which renews it, thrice in its length,
//! as long as it lives, and releases it when it is dropped. Its holder acts only while [`HeldLease::is_held`] says so, or
//! asks [`HeldLease::held_until`] before something that takes time, and stops at [`HeldLease::lost`]. That time is
//! counted by this node's own monotonic clock from before the renewal was *sent*, and a tenth is taken off: so it is over
//! here before it is over at the leader, also for a node that is cut off or whose clock says another time of day. What a
//! process does that was stopped in the middle of an action, or with its whole machine, no clock prevents: who can, gives
//! [`HeldLease::term`] to what it acts on, which lets nothing through of a term below the greatest that it has seen.
//!
//! Who dies is followed after the lease's length and what it takes to agree. While there is no leader nobody can renew:
//! a lease that is to outlast an election is to be several times as long as one (about a second at `lan`). Who waits for
//! others' leases waits for [`Topic::Leases`](super::map::Topic::Leases). A lost lease is not had again by the same
//! handle: [`acquire`] is called anew.

mod deadlines;
mod held;
mod holder;

pub use deadlines::Deadlines;
pub use held::{HeldLease, LeaseError, acquire, acquire_anew};
pub use holder::Holder;

#[cfg(test)]
mod tests;
