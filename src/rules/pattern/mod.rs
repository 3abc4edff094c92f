//! Patterns: what ACLs and maps compare samples with.

mod file;
mod ip;
mod list;
mod method;
mod number;
mod word;

pub use file::{lines, read};
pub use list::Patterns;
pub use method::{MATCHES, Match, MatchKeyword, find};
pub use number::Operator;
