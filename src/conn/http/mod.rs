//! HTTP/1 of the control plane: the one client and the one server, on tokio. Every limit is said by who uses them: there
//! are no defaults that let something wait or grow without end.

mod body;
mod client;
mod guard;
mod lengths;
mod server;

#[cfg(test)]
mod tests;

pub use body::{BodyError, Bounds, beginning, read};
pub use client::{AskError, ConnectError, Connection, Ending, Peer};
pub use lengths::TwoLengths;
pub use server::{Limits, Listener, serve};
