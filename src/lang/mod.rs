//! The haproxy.cfg language without its meaning: lexer, places, diagnostics, keyword entries.

pub mod diag;
pub mod entry;
pub mod source;

pub use diag::{Diagnostic, Diagnostics, Severity};
pub use entry::{Entry, Status};
pub use source::{FileId, Line, Section, SourceMap, Span, Word};
