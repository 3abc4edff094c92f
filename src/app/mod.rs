//! Command line, start-up, workers, hot swap, drain, explain.

pub mod args;
pub mod flags;
pub mod messages;
pub mod permit;
mod program;
pub mod signals;
pub mod version;

pub mod dump;
pub mod explain;
pub mod keywords;
pub mod vocabulary;

pub use program::main;
