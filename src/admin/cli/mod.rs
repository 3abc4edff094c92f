//! The runtime API: commands over `stats socket` (management manual 9.3) and the master's socket (9.4).

pub mod cache;
pub mod command;
mod lookup;
pub mod serve;
pub mod session;
pub mod words;

mod agent;
mod counters;
mod dynamic;
mod frontend;
mod invalid;
mod mode;
mod pattern;
mod peers;
mod server;
mod servers;
mod resolvers;
mod show;
mod table;
mod tls;
mod variable;
mod vip;

#[cfg(test)]
mod tests;

pub use lookup::entries;
pub use serve::{Listener, Socket, serve};
pub use session::{Answer, Session};
