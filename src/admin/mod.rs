//! Statistics, the runtime API, the stats page, Prometheus, `haterm`.

use crate::lang::Entry;

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

/// What `http-request use-service` can name.
pub static SERVICES: &[Entry] = &[metrics::ENTRY, haterm::ENTRY];

#[cfg(test)]
mod testing;
