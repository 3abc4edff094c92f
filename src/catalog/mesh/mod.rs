//! What there is of a service mesh: entries that are kept, and empty answers.

pub mod absent;
pub mod chain;
pub mod entry;
pub mod intention;
