//! The live page.

pub mod live;
pub mod summary;
