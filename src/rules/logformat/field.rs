//! What a `%` field is to the table, and the flags that change how fields are written.

use bitflags::bitflags;

use crate::lang::registry::Kind;
use crate::lang::void::is_void;
use crate::lang::{Entry, Status};
use crate::rules::txn::Ctx;

bitflags! {
    /// `%{+Q,+X,+E}` and what the format's use implies.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Flags: u8 {
        const QUOTE = 1;
        const HEX = 2;
        const ESCAPE = 4;
        /// `-` stands for nothing.
        const MANDATORY = 8;
        /// For a header's value: control characters become `%XX`.
        const HTTP = 16;
        /// Runs of spaces become one.
        const MERGE = 32;
        const BIN = 64;
        /// Where it writes nothing it is as if it were not there: the spaces around it become one.
        const VANISHES = 128;
    }
}

/// When a field is known, in order: a log line is written when the last of its fields is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogStage {
    #[default]
    Accept,
    Request,
    Connect,
    Response,
    End,
}

/// Appends a field.
pub type TagFn = fn(Ctx<'_>, Flags, &mut Vec<u8>);

/// One `%` field.
pub struct LogTag {
    pub entry: Entry,
    pub stage: LogStage,
    pub http_only: bool,
    pub run: TagFn,
}

impl LogTag {
    pub const fn new(
        name: &'static str,
        doc: &'static str,
        example: &'static str,
        stage: LogStage,
        run: TagFn,
    ) -> Self {
        LogTag { entry: Entry::full(name, "", doc, example, "1.5"), stage, http_only: false, run }
    }

    pub const fn http(self) -> Self {
        LogTag { http_only: true, ..self }
    }

    /// The function that a format runs.
    pub fn function(&self) -> TagFn {
        if is_void(Kind::LogAlias, self.entry.name) { |_, _, _| {} } else { self.run }
    }

    pub const fn partial(self, why: &'static str) -> Self {
        LogTag { entry: self.entry.with(Status::Partial(why)), ..self }
    }
}
