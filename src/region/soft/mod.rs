//! Soft state: small records that each node tells all others over their links. The last value wins; a record is gone
//! with its node, or when its node withdraws it. Nothing of it goes through Raft or to a disk.
//!
//! It is for what changes often and is worth nothing once its node is gone: live sessions and capacity ([`Load`]), a
//! node's shares of cluster-wide stick tables ([`Share`]), progress of jobs ([`Progress`]), what nodes want of each
//! other ([`Work`]), a node's virtual routers ([`Vip`]). What must be agreed on, or
//! outlive its node, belongs into the map; who may do a thing alone, into a [`lease`](super::lease).
//!
//! # How it is used
//!
//! [`Seat::soft`](super::Seat::soft) is the handle. A producer calls [`SoftState::publish`] whenever its value may have
//! changed: what stands like that costs a comparison, and what changes goes to every live member within 50 ms and a
//! round trip, together with all that changed meanwhile. A reader takes [`SoftState::view`], which holds no lock and
//! stays as it is for as long as it is kept, and waits with [`SoftState::changed`] for a later one. A record is found by
//! node (the member's id), [`Kind`] and name; what nodes say of the same thing, the reader adds up ([`View::load`]).
//!
//! A node's records are gone from the view when the map says that it is dead or removed, when it started anew, and when
//! it was not heard for the liveness timeout, which is also what a node sees that is cut off itself. A reader that must
//! not mistake "unknown" for "none" looks whether the node is in the view at all.
//!
//! [`Limits`] bound a record, a node's records and what is on its way; `publish` refuses what exceeds them, and so does
//! every receiver, by name. A new kind of record is a new [`Kind`] with a number of its own, passed over by nodes that
//! do not know it.

mod exchange;
pub(crate) mod message;
mod others;
mod own;
mod record;
mod state;
mod view;

pub use exchange::{Exchange, GATHER};
pub use message::{Answer, Message, decode, encode};
pub use record::{Key, Kind, Limits, Load, Progress, Record, Share, SoftError, Vip, Work};
pub use state::SoftState;
pub use view::{Records, View};

#[cfg(test)]
mod tests;
