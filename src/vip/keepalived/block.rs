//! Walking through blocks as keepalived does: an unknown word opens none, so that what follows it is read on its level.

use super::finding::{Findings, Level, Place};
use super::text::{Item, Word};

/// What a line says.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) words: &'a [Word],
    pub(super) at: Place,
}

impl<'a> Line<'a> {
    pub(super) fn keyword(&self) -> &'a str {
        self.str(0)
    }

    /// The text of word `i`, or `""`.
    pub(super) fn str(&self, i: usize) -> &'a str {
        self.words.get(i).map_or("", |word| &word.text)
    }
}

/// How a keyword of a block of type `T` is read.
pub(super) enum Shape<T: 'static> {
    /// Needs a word after it: without one the file cannot be used.
    Value(fn(&mut T, &mut Findings, Line<'_>)),
    /// Is left out without a word after it.
    Wanted(fn(&mut T, &mut Findings, Line<'_>)),
    /// Nothing has to follow.
    Flag(fn(&mut T, &mut Findings, Line<'_>)),
    /// A block of entries, one a line.
    List(fn(&mut T, &mut Findings, Line<'_>)),
    /// A block with keywords of its own, which is read into the same value.
    Block(&'static [Keyword<T>]),
    /// Known, and without effect here.
    Ignored(&'static str),
    /// A block that is known, and without effect here.
    Foreign(&'static str),
}

pub(super) struct Keyword<T: 'static> {
    pub(super) name: &'static str,
    pub(super) shape: Shape<T>,
}

pub(super) const fn keyword<T>(name: &'static str, shape: Shape<T>) -> Keyword<T> {
    Keyword { name, shape }
}

pub(super) struct Cursor<'a> {
    items: &'a [(Place, Item)],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(items: &'a [(Place, Item)]) -> Cursor<'a> {
        Cursor { items, at: 0 }
    }

    pub(super) fn next(&mut self) -> Option<(Place, &'a Item)> {
        let (place, item) = self.items.get(self.at)?;
        self.at += 1;
        Some((*place, item))
    }

    /// Takes an opening brace if it comes next.
    pub(super) fn opens(&mut self) -> bool {
        let opens = matches!(self.items.get(self.at), Some((_, Item::Open)));
        self.at += usize::from(opens);
        opens
    }

    /// Takes a brace that belongs to nothing.
    pub(super) fn no_block(&mut self, findings: &mut Findings, at: Place) {
        if self.opens() {
            findings.warning(at, "unexpected '{'");
        }
    }

    pub(super) fn unknown(&mut self, findings: &mut Findings, line: Line<'_>) {
        findings.warning(line.at, format!("unknown keyword '{}'", line.keyword()));
        self.no_block(findings, line.at);
    }

    /// Skips a block that was begun, with all blocks in it.
    pub(super) fn skip(&mut self) {
        let mut depth = 1;
        while depth > 0
            && let Some((_, item)) = self.next()
        {
            match item {
                Item::Open => depth += 1,
                Item::Close => depth -= 1,
                Item::Line(_) => {}
            }
        }
    }

    /// Reads a block that was begun into `value`.
    pub(super) fn block<T>(&mut self, table: &'static [Keyword<T>], value: &mut T, findings: &mut Findings) {
        while let Some((at, item)) = self.next() {
            match item {
                Item::Close => return,
                Item::Open => findings.warning(at, "unexpected '{'"),
                Item::Line(words) => self.line(table, value, findings, Line { words, at }),
            }
        }
    }

    fn line<T>(
        &mut self,
        table: &'static [Keyword<T>],
        value: &mut T,
        findings: &mut Findings,
        line: Line<'_>,
    ) {
        let word = line.keyword();
        let Some(keyword) = table.iter().find(|keyword| keyword.name == word) else {
            return self.unknown(findings, line);
        };
        match &keyword.shape {
            Shape::Value(_) if line.words.len() < 2 => {
                findings.push(Level::Fatal, line.at, format!("'{word}' expects a value"));
                self.no_block(findings, line.at);
            }
            Shape::Wanted(_) if line.words.len() < 2 => {
                findings.warning(line.at, format!("'{word}' expects a value: it is left out"));
                self.no_block(findings, line.at);
            }
            Shape::Value(read) | Shape::Wanted(read) | Shape::Flag(read) => {
                read(value, findings, line);
                self.no_block(findings, line.at);
            }
            Shape::Ignored(why) => {
                findings.push(Level::Ours, line.at, format!("'{word}' has no effect: {why}"));
                self.no_block(findings, line.at);
            }
            Shape::List(read) => {
                self.extra(findings, line);
                // Without its brace too what follows is the block.
                self.opens();
                let is_empty = self.list(value, findings, *read) == 0;
                if is_empty && matches!(word, "notification_email" | "group" | "unicast_peer") {
                    findings.warning(line.at, format!("block '{word}' is empty"));
                }
            }
            Shape::Block(table) => {
                self.extra(findings, line);
                self.opens();
                self.block(table, value, findings);
            }
            Shape::Foreign(why) => {
                findings.push(Level::Ours, line.at, format!("block '{word}' is left out: {why}"));
                self.opens();
                self.skip();
            }
        }
    }

    fn extra(&self, findings: &mut Findings, line: Line<'_>) {
        if line.words.len() > 1 {
            let message =
                format!("'{}' takes nothing before its '{{', got '{}'", line.keyword(), line.str(1));
            findings.warning(line.at, message);
        }
    }

    /// Reads entries, and says how many there were.
    fn list<T>(
        &mut self,
        value: &mut T,
        findings: &mut Findings,
        read: fn(&mut T, &mut Findings, Line<'_>),
    ) -> usize {
        let mut count = 0;
        while let Some((at, item)) = self.next() {
            match item {
                Item::Close => break,
                Item::Open => findings.warning(at, "unexpected '{'"),
                Item::Line(words) => {
                    count += 1;
                    read(value, findings, Line { words, at });
                }
            }
        }
        count
    }
}

/// A whole number within bounds, or a warning.
pub(super) fn whole<T: TryFrom<i64>>(
    findings: &mut Findings,
    line: Line<'_>,
    i: usize,
    min: i64,
    max: i64,
) -> Option<T> {
    let text = line.str(i);
    let number = text.strip_prefix('+').unwrap_or(text).parse::<i64>().ok();
    let fitting = number.filter(|n| (min..=max).contains(n)).and_then(|n| T::try_from(n).ok());
    if fitting.is_none() {
        let message =
            format!("'{}' expects a whole number from {min} to {max}, got '{text}'", line.keyword());
        findings.warning(line.at, message);
    }
    fitting
}

/// Seconds with a fraction, in microseconds, or a warning.
pub(super) fn seconds(
    findings: &mut Findings,
    line: Line<'_>,
    i: usize,
    min_us: u64,
    max_us: u64,
) -> Option<u64> {
    let text = line.str(i);
    let fitting = microseconds(text).filter(|us| (min_us..=max_us).contains(us));
    if fitting.is_none() {
        let (min, max) = (min_us as f64 / 1e6, max_us as f64 / 1e6);
        let message = format!("'{}' expects seconds from {min} to {max}, got '{text}'", line.keyword());
        findings.warning(line.at, message);
    }
    fitting
}

/// Digits with one point at most; what is finer than a microsecond is cut.
fn microseconds(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) || whole.len() > 9 {
        return None;
    }
    let fraction: String = format!("{fraction:0<6}").chars().take(6).collect();
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some(whole * 1_000_000 + fraction.parse::<u64>().ok()?)
}

/// `on`, `true`, `yes` and nothing mean yes.
pub(super) fn flag(findings: &mut Findings, line: Line<'_>) -> Option<bool> {
    match line.str(1) {
        "" | "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        other => {
            let message = format!("'{}' expects on or off, got '{other}'", line.keyword());
            findings.warning(line.at, message);
            None
        }
    }
}
