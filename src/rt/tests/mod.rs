//! The runtime without a process: socket pairs, a clock that stands still, and turns by hand.

mod conn;
mod runtime;
