//! The mirror at work: the leader's side, each node's, and what they tell each other.

mod figures;
mod keep;
mod leader;
mod look;
mod record;
mod registries;
mod service;
mod shared;
mod survey;
mod webhook;
mod worker;

pub use service::{Asked, Mirror, Refused};
pub use shared::ways;
