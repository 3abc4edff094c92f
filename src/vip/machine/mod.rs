//! The protocol without I/O: time and packets in, actions out. One [`Instance`] is a virtual router on one network; the
//! [`Router`] has all of this node's, with what they track and the groups in which they move together.

#[cfg(test)]
mod fencing;
mod instance;
mod router;
mod settings;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use instance::{Action, Cause, Instance, Master, State};
pub use router::{Group, Member, Router, Step, Track, Verdict};
pub use settings::{Announcing, Settings};
