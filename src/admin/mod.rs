//! Statistics, the runtime API, the stats page, Prometheus, `haterm`.

pub mod haterm;
pub mod stat;
pub mod vocabulary;

pub use haterm::Haterm;

#[cfg(test)]
mod testing;
