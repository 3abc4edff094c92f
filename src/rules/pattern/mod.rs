//! Patterns: what ACLs and maps compare samples with.

mod base;
mod cells;
mod content;
mod entry;
mod file;
mod hash;
mod hit;
mod index;
mod list;
mod listing;
mod matcher;
mod method;
mod net;
mod nets;
mod number;
mod ranges;
mod reading;
mod record;
mod reference;
mod registry;
mod spans;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_files;
#[cfg(test)]
mod tests_of_nets;
mod texts;
mod values;
mod word;

pub use entry::{Entry, Key};
pub use file::reference_of_file;
pub use listing::{Listed, Listing};
pub use matcher::Matcher;
pub use method::{MATCHES, Match, MatchKeyword, find};
pub use number::Operator;
pub use reading::{Pattern, Reading};
pub use reference::{Found, Lookup, PatternRef};
pub use registry::PatternRefs;
