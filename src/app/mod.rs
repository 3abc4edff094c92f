//! Command line, start-up, workers, hot swap, drain, explain.

pub mod args;
pub mod flags;
pub mod herald;
mod master;
pub mod messages;
pub mod permit;
pub mod program;
mod reload;
pub mod signals;
pub mod start;
pub mod version;

use std::process::ExitCode;

pub mod dump;
pub mod explain;
pub mod keywords;
pub mod vocabulary;

/// The whole program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
