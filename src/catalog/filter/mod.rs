//! `?filter=`: expressions over what is answered, in the language of Consul's API (bexpr).

pub mod evaluate;
pub mod parse;
pub mod token;

pub use parse::{Filter, Schema};
