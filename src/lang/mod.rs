//! The haproxy.cfg language without its meaning: lexer, places, diagnostics, keyword entries, arguments and times.

pub mod args;
pub mod condition;
pub mod diag;
pub mod entry;
pub mod env;
mod glob;
pub mod keywords;
pub mod lexer;
pub mod load;
pub mod named;
pub mod preproc;
pub mod registry;
pub mod render;
pub mod source;
mod statement;
pub mod suggest;
#[cfg(test)]
mod tests;
pub mod time;
pub mod version;
pub mod void;

pub use condition::{CondError, Facts, check, evaluate};
pub use diag::{Diagnostic, Diagnostics, Frame, Severity};
pub use entry::{Entry, Place, Status, What};
pub use env::Env;
pub use load::{Input, LoadOptions, Loaded, load};
pub use named::{Mention, Places};
pub use source::{FileId, Line, Section, SourceMap, Span, Word};
pub use statement::LEGACY_HINT;
