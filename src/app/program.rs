//! The whole program, as `main.rs` calls it.

use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
