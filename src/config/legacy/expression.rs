//! Regular expressions as far as old lines must be taken apart: where they begin, where their groups are.

use std::ops::Range;

/// What a piece of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open {
        captures: bool,
    },
    Close,
    Or,
    /// `[...]`
    Set,
    Literal(char),
    /// `.`
    Any,
    /// `^`
    Begin,
    /// `$`
    End,
    /// `*`, `+`, `?`, `{...}` and what makes them lazy.
    Repeat,
    /// `\s`, `\d`, `\1` and so on.
    Class(char),
}

/// One piece, and how many groups are open around it.
#[derive(Clone, Debug)]
pub struct Piece {
    pub kind: Kind,
    pub range: Range<usize>,
    pub depth: usize,
}

impl Piece {
    pub fn is_literal(&self, wanted: char) -> bool {
        self.kind == Kind::Literal(wanted)
    }
}

/// Takes an expression apart; `None` when its groups or sets do not close.
pub fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut list = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(c) = text[at..].chars().next() {
        let (kind, len) = one(&text[at..], c)?;
        if kind == Kind::Close {
            depth = depth.checked_sub(1)?;
        }
        list.push(Piece { kind, range: at..at + len, depth });
        depth += usize::from(matches!(kind, Kind::Open { .. }));
        at += len;
    }
    (depth == 0).then_some(list)
}

/// The piece that `rest`, which begins with `c`, begins with.
fn one(rest: &str, c: char) -> Option<(Kind, usize)> {
    Some(match c {
        '\\' => {
            let escaped = rest[1..].chars().next()?;
            let is_class = escaped.is_ascii_alphanumeric();
            let kind = if is_class { Kind::Class(escaped) } else { Kind::Literal(escaped) };
            (kind, 1 + escaped.len_utf8())
        }
        '[' => {
            // A bracket that comes first, or first behind `^`, is a member.
            let skip = if rest[1..].starts_with('^') { 3 } else { 2 };
            let close = rest.get(skip..)?.find(']')?;
            (Kind::Set, skip + close + 1)
        }
        '(' if rest.starts_with("(?") => (Kind::Open { captures: false }, opening(rest)),
        '(' => (Kind::Open { captures: true }, 1),
        ')' => (Kind::Close, 1),
        '|' => (Kind::Or, 1),
        '.' => (Kind::Any, 1),
        '^' => (Kind::Begin, 1),
        '$' => (Kind::End, 1),
        '*' | '+' | '?' => (Kind::Repeat, if rest[1..].starts_with(['?', '+']) { 2 } else { 1 }),
        '{' => (Kind::Repeat, rest.find('}')? + 1),
        other => (Kind::Literal(other), other.len_utf8()),
    })
}

/// The length of `(?:`, `(?=`, `(?!`, `(?<=`, `(?<!`.
fn opening(rest: &str) -> usize {
    ["(?:", "(?=", "(?!", "(?<=", "(?<!"].iter().find(|open| rest.starts_with(**open)).map_or(2, |o| o.len())
}

/// Number of groups that capture.
pub fn groups(list: &[Piece]) -> usize {
    list.iter().filter(|p| p.kind == Kind::Open { captures: true }).count()
}

/// Whether there are alternatives outside of groups.
pub fn is_choice(list: &[Piece]) -> bool {
    list.iter().any(|p| p.depth == 0 && p.kind == Kind::Or)
}

/// An expression that is anchored at the name of a header field.
pub struct Named {
    pub name: String,
    /// What the first group holds: the name alone, or the line from the name on.
    pub group: Group,
    /// The expression behind the colon and the blanks after it.
    pub rest: String,
    /// Whether blanks were among what was taken off.
    pub had_blank: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    None,
    Name,
    Line,
}

/// `^Name: rest`, `^(Name:) rest` or `^(Name: rest)...`.
pub fn named(text: &str) -> Option<Named> {
    let list = pieces(text)?;
    if list.first()?.kind != Kind::Begin || is_choice(&list) {
        return None;
    }
    let mut at = 1;
    let is_grouped = list.get(at)?.kind == Kind::Open { captures: true };
    at += usize::from(is_grouped);
    let mut name = String::new();
    while let Some(c) = list.get(at).and_then(|piece| name_letter(text, piece)) {
        name.push(c);
        at += 1;
    }
    if name.is_empty() || !list.get(at)?.is_literal(':') {
        return None;
    }
    at += 1;
    let (mut had_blank, mut group) = (skip_blanks(text, &list, &mut at), Group::None);
    if is_grouped {
        group = Group::Line;
        if list.get(at).is_some_and(|p| p.kind == Kind::Close) {
            group = Group::Name;
            at += 1;
            if list.get(at).is_some_and(|p| p.kind == Kind::Repeat) {
                return None;
            }
            had_blank |= skip_blanks(text, &list, &mut at);
        }
    }
    let rest = list.get(at).map_or("", |piece| &text[piece.range.start..]);
    Some(Named { name, group, rest: rest.to_owned(), had_blank })
}

/// A letter of a field's name: itself, or `[Hh]`.
fn name_letter(text: &str, piece: &Piece) -> Option<char> {
    match piece.kind {
        Kind::Literal(c) if c.is_ascii_alphanumeric() || c == '-' || c == '_' => Some(c),
        Kind::Set => {
            let inside = &text[piece.range.start + 1..piece.range.end - 1];
            let mut letters = inside.chars();
            let (a, b) = (letters.next()?, letters.next()?);
            (letters.next().is_none() && a != b && a.eq_ignore_ascii_case(&b)).then_some(a)
        }
        _ => None,
    }
}

/// Steps over what matches the blank behind the colon; true when there was something.
fn skip_blanks(text: &str, list: &[Piece], at: &mut usize) -> bool {
    let from = *at;
    while let Some(piece) = list.get(*at) {
        let is_blank = match piece.kind {
            Kind::Literal(' ' | '\t') | Kind::Class('s' | 't') => true,
            Kind::Set => text[piece.range.start + 1..piece.range.end - 1].chars().all(|c| " \t".contains(c)),
            // A dot that is not repeated stands for the blank.
            Kind::Any => *at == from && list.get(*at + 1).is_none_or(|p| p.kind != Kind::Repeat),
            _ => false,
        };
        if !is_blank {
            break;
        }
        *at += 1 + usize::from(list.get(*at + 1).is_some_and(|p| p.kind == Kind::Repeat));
    }
    *at > from
}

/// Whether what follows a name matches every value.
pub fn is_anything(rest: &str) -> bool {
    matches!(rest, "" | ".*" | ".*$" | "(.*)" | "(.*)$" | ".+" | "(.+)" | ".*?" | ".+$" | "(.+)$")
}

/// The expression, taking letters as they come when it did.
pub fn caseless(text: String, ignore_case: bool) -> String {
    if ignore_case { format!("(?i){text}") } else { text }
}

/// References to groups, `by` less each. `None` when one is to a group that is gone or to the whole match.
pub fn renumber(replacement: &str, by: usize) -> Option<String> {
    let mut out = String::new();
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c != '\\' {
            continue;
        }
        let Some(next) = chars.next() else { break };
        match next.to_digit(10) {
            Some(number) => {
                let number = (number as usize).checked_sub(by).filter(|n| *n > 0)?;
                out.push_str(&number.to_string());
            }
            None => out.push(next),
        }
    }
    Some(out)
}

/// Text where a log-format is expected.
pub fn literal(text: &str) -> String {
    text.replace('%', "%%")
}
