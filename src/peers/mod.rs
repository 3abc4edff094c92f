//! Peers: stick tables that several processes keep alike, by HAProxy's protocol (version 2.1; 2.0 is understood).
//!
//! [`session`] is the protocol as a machine without I/O or clock: bytes in, bytes out, and tables that it reads and
//! changes. [`link`] moves the bytes of one session; [`group`] is a `peers` section that runs: it dials, listens and asks to
//! be taught; [`spec`] is what a section says.
//!
//! [`cluster`] is another thing with the same purpose: tables whose counters are those of all nodes of a region map.
//!
//! # Between two that are the same program
//!
//! HAProxy takes whatever comes last, so that two changes of one key at the same moment swap and stay different. Between
//! two Isobars they do not: each says who it is by one more word in the greeting, and puts the version of an entry
//! ([`crate::stick::changes`]) behind its values, where HAProxy looks at nothing. The higher version stays on both sides.

pub mod cluster;
pub mod definition;
pub mod dictionary;
pub mod group;
pub mod hello;
pub mod link;
pub mod message;
pub mod resync;
pub mod session;
pub mod shown;
pub mod spec;
pub mod update;
pub mod varint;

#[cfg(test)]
mod tests;

pub use group::Group;
pub use spec::{Listen, Remote, Spec};
