//! Statistics, the runtime API, the stats page, Prometheus, `haterm`.

pub mod cli;
pub mod control;
pub mod haterm;
pub mod metrics;
pub mod page;
pub mod stat;
pub mod vocabulary;

pub use control::Control;
pub use haterm::Haterm;
pub use metrics::Metrics;
pub use page::StatsPage;

#[cfg(test)]
mod testing;
