//! Log formats: strings with `%` fields and `%[expressions]` (manual section 8.2.6).

mod date;
mod field;
mod format;
mod parse;
mod tags;
mod text;

pub use field::{Flags, LogStage, LogTag};
pub use format::{LogFormat, LogUse};
pub use tags::LOG_TAGS;
