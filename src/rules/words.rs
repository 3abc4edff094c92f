//! The words of one line while a parser goes through them.

use crate::lang::time::{Unit, time};
use crate::lang::{Span, Word};

use super::build::BuildCtx;

/// What is wrong and where.
pub type Failed = (Span, String);

/// Words of a line from a position on.
pub struct Words<'w> {
    list: &'w [Word],
    at: usize,
    /// The place of the keyword before the words, for what is missing.
    start: Span,
}

impl<'w> Words<'w> {
    pub fn new(list: &'w [Word], start: Span) -> Self {
        Words { list, at: 0, start }
    }

    /// The next word, `""` at the end.
    pub fn peek(&self) -> &'w str {
        self.list.get(self.at).map_or("", Word::str)
    }

    pub fn pop(&mut self) -> Option<&'w Word> {
        let word = self.list.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    /// The next word if it is this one.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.list.get(self.at).is_some_and(|w| w.str() == word);
        self.at += usize::from(found);
        found
    }

    /// The next word, or an error that says what was expected.
    pub fn want(&mut self, what: &str) -> Result<&'w Word, Failed> {
        self.pop().ok_or_else(|| (self.place(), format!("expects {what}")))
    }

    /// Nothing is left, or a condition begins.
    pub fn at_end(&self) -> bool {
        self.at >= self.list.len() || matches!(self.peek(), "if" | "unless")
    }

    /// The place of the next word, or of the last one at the end.
    pub fn place(&self) -> Span {
        self.list.get(self.at).or(self.list.last()).map_or(self.start, |w| w.span)
    }

    /// The place of the keyword before the words.
    pub fn start(&self) -> Span {
        self.start
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Result<T, Failed> {
        Err((self.place(), message.into()))
    }

    /// All words, and the position among them, for parsers that take slices.
    pub fn slice(&self) -> (&'w [Word], usize) {
        (self.list, self.at)
    }

    pub fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// What was not read.
    pub fn rest(&self) -> &'w [Word] {
        self.list.get(self.at..).unwrap_or_default()
    }
}

/// A duration in milliseconds; letters behind its unit draw a warning.
pub fn time_ms(word: &Word, ctx: &mut BuildCtx<'_>) -> Result<u64, Failed> {
    let read = time(word.str(), Unit::Milliseconds).map_err(|e| (word.span, e.about(word.str())))?;
    if let Some(message) = read.warning(word.str()) {
        ctx.warning(word.span, message);
    }
    Ok(read.value)
}
