//! The live page.

pub mod live;
