//! Command line, start-up, workers, hot swap, drain, explain.

use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
