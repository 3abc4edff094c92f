//! Patterns: what ACLs and maps compare samples with.

mod file;
mod ip;
mod list;
mod method;
mod number;
mod reference;
mod view;
mod word;

pub use file::reference_of_file;
pub use list::Patterns;
pub use method::{MATCHES, Match, MatchKeyword, find};
pub use number::Operator;
pub use reference::{Entry, Key, Lookup, PatternRef, PatternRefs};
pub use view::{Reading, View};
