//! The words of one line while a parser goes through them.

use crate::lang::{Span, Word};

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

/// A duration in milliseconds: a number and `us`, `ms`, `s`, `m`, `h` or `d`; milliseconds without a unit.
pub fn time_ms(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("invalid time '{text}'"))?;
    let ms = match unit {
        "" | "ms" => Some(number),
        "us" => Some(number.div_ceil(1000)),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        other => return Err(format!("unexpected unit '{other}' in time '{text}'")),
    };
    ms.filter(|ms| *ms <= i32::MAX as u64)
        .ok_or_else(|| format!("time '{text}' is too long (24.8 days at most)"))
}

/// A size in bytes: a number and `k`, `m` or `g`.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("invalid size '{text}'"))?;
    let shift = match unit {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(format!("invalid size '{text}'")),
    };
    number
        .checked_shl(shift)
        .filter(|n| n >> shift == number)
        .ok_or_else(|| format!("size '{text}' is too big"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(time_ms("5s"), Ok(5000));
        assert_eq!(time_ms("250"), Ok(250));
        assert_eq!(time_ms("1500us"), Ok(2));
        assert!(time_ms("5x").is_err() && time_ms("").is_err() && time_ms("99999d").is_err());
        assert!(time_ms("5é").is_err());
        assert_eq!(size("16k"), Ok(16384));
        assert!(size("99999999999g").is_err() && size("1q").is_err());
    }
}
