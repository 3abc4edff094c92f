//! Connections: made, accepted and shared out as [`Link`]s, whatever they are made of.

pub mod address;
pub mod dial;
pub mod link;
pub mod proxy_protocol;

pub use dial::{Dial, dial};
pub use link::Link;
