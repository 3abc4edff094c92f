//! Filters: what bodies pass on their way, in an order, and what of them is known before one comes. The contract is
//! [`Filter`]; `proxy::passage` is the way through them, and `proxy::filters` says who stands on it.

pub mod cache;
pub mod compression;
mod contract;
mod spec;

pub use contract::{Chain, Filter};
pub use spec::Spec;
