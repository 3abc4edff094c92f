//! Command line, start-up, workers, hot swap, drain, explain.

pub mod args;
pub mod change;
pub mod control;
pub mod documents;
pub mod dump;
pub mod environment;
pub mod explain;
pub mod figures;
pub mod flags;
mod asked;
mod health;
pub mod journal;
pub mod keywords;
pub mod messages;
pub mod named;
pub mod node;
pub mod notifier;
pub mod parts;
pub mod permit;
pub mod program;
pub mod seat;
pub mod services;
pub mod signals;
pub mod sockets;
mod stand_in;
pub mod start;
pub mod trace;
pub mod version;
pub mod vocabulary;
pub mod watch;

mod master;
mod reload;

pub use start::main;
