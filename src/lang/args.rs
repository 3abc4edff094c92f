//! A keyword and its arguments as a parse function sees them.

use super::diag::Diagnostics;
use super::source::{Line, Span, Word};

/// Words of one line from the keyword on (a leading `no` or `default` is already taken off). Missing words read as `""`.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    pub words: &'a [Word],
    /// The whole line, and its place.
    pub line: &'a Line,
    pub span: Span,
}

impl<'a> Args<'a> {
    pub fn of(line: &'a Line) -> Self {
        Args { words: &line.words, line, span: line.span }
    }

    pub fn str(&self, i: usize) -> &'a str {
        self.words.get(i).map_or("", Word::str)
    }

    pub fn bytes(&self, i: usize) -> &'a [u8] {
        self.words.get(i).map_or(&[], Word::bytes)
    }

    /// The place of word `i`, or of the whole line when it is missing.
    pub fn at(&self, i: usize) -> Span {
        self.words.get(i).map_or(self.span, |w| w.span)
    }

    pub fn has(&self, i: usize) -> bool {
        i < self.words.len()
    }

    /// More than `max` arguments are an error. True when there were.
    pub fn too_many(&self, max: usize, diags: &mut Diagnostics) -> bool {
        let extra = self.has(max + 1);
        if extra {
            let message =
                format!("'{}' cannot handle unexpected argument '{}'.", self.str(0), self.str(max + 1));
            diags.alert(self.at(max + 1), message);
        }
        extra
    }

    /// The only argument, or an alert that `what` is missing.
    pub fn only(&self, what: &str, diags: &mut Diagnostics) -> Option<&'a str> {
        if self.too_many(1, diags) {
            return None;
        }
        if self.str(1).is_empty() {
            diags.alert(self.span, format!("'{}' expects {what} as argument.", self.str(0)));
            return None;
        }
        Some(self.str(1))
    }

    /// The same line from word `i` on.
    pub fn from(&self, i: usize) -> Args<'a> {
        Args { words: self.words.get(i..).unwrap_or(&[]), ..*self }
    }

    /// Words `i..` joined with one space, for keywords whose last argument is free text.
    pub fn text_from(&self, i: usize) -> String {
        let words: Vec<&str> = self.from(i).words.iter().map(Word::str).collect();
        words.join(" ")
    }
}

/// What stood before a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Prefix {
    #[default]
    None,
    No,
    Default,
}

/// Reads options of `bind`, `server` and the like one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    pub args: Args<'a>,
    pub next: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(args: Args<'a>, next: usize) -> Self {
        Cursor { args, next }
    }

    /// The word to read next, `""` at the end of the line.
    pub fn peek(&self) -> &'a str {
        self.args.str(self.next)
    }

    /// Takes the next word; `None` at the end of the line.
    pub fn take(&mut self) -> Option<&'a Word> {
        let word = self.args.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    pub fn is_done(&self) -> bool {
        self.next >= self.args.words.len()
    }

    /// The place of the word to read next.
    pub fn at(&self) -> Span {
        self.args.at(self.next)
    }
}

/// A line without the `no` or `default` before it.
pub fn split_prefix(line: &Line) -> (Prefix, Args<'_>) {
    let args = Args::of(line);
    match args.str(0) {
        "no" if args.has(1) => (Prefix::No, args.from(1)),
        "default" if args.has(1) => (Prefix::Default, args.from(1)),
        _ => (Prefix::None, args),
    }
}
