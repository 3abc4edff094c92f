//! Command line, start-up, workers, hot swap, drain, explain.

use std::process::ExitCode;

pub mod dump;
pub mod explain;
pub mod keywords;
pub mod vocabulary;

/// The whole program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
