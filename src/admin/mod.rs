//! Statistics, the runtime API, the stats page, Prometheus, `haterm`.

pub mod cli;
pub mod control;
pub mod haterm;
pub mod stat;
pub mod vocabulary;

pub use control::Control;
pub use haterm::Haterm;

#[cfg(test)]
mod testing;
