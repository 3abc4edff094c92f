//! `registry` and `mirror` sections: their keywords, and the value that they make.

mod build;
pub mod keyword;
mod keyword_mirror;
mod keyword_registry;
mod reading;

pub use build::build;
pub use reading::Inputs;

#[cfg(test)]
mod tests;
