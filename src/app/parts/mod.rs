//! The configuration as parts: what a change goes through, for each of them alike, whole or not at all.
//!
//! # To add a part
//!
//! 1. The room of its own has the language (keyword entries, the words that begin sections), a builder that makes a value
//!    of sections, and whatever runs with that value.
//! 2. One file here wires it: an implementation of [`Part`], and its [`Row`], which names the part, its sections and its
//!    entries and makes the part of what all share ([`Handles`]).
//! 3. One line of [`PARTS`](table::PARTS).
//!
//! From there on `-c`, reload, `watch-config`, documents of the region map, `explain`, `-dK` and the shutdown know the part.
//! `testing` is such a file in tests: it counts what it goes through and refuses to prepare when it is told to.
//!
//! # What a part may rely on
//!
//! [`Configuration`] calls the steps in the order that [`Part`] says, from one thread, and never commits one part without
//! all others. What it built and prepared is held by the part itself until then, so at most one value waits beside the one
//! that runs.

mod admin;
mod checks;
mod configuration;
mod dns;
mod fence;
mod mirror;
mod names;
mod part;
mod peers;
mod preview;
mod proxy;
mod region;
pub mod table;
mod vip;
mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use configuration::{Configuration, Outcome};
pub use part::{Handles, Means, Order, Part, Plan, Process, Reading, Row};
pub use preview::Preview;
pub use table::section_kinds;
