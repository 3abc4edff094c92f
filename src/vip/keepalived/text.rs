//! `keepalived.conf` cut into words and braces: comments, quotes, conditions, parameters, sequences and includes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::finding::{Findings, Level, Place};
use super::include;

/// Most bytes that parameters and sequences may make, beside those of the files.
const MAX_TEXT: usize = 1 << 20;
/// How deep parameters may contain each other.
const MAX_NESTING: usize = 32;
/// How deep files may include each other.
const MAX_INCLUDES: usize = 16;
/// Most files in all: patterns that match the file they stand in double with each level.
const MAX_FILES: usize = 256;
/// Most turns of one sequence.
const MAX_TURNS: i64 = 100_000;

/// What reading needs from outside.
pub struct Outside<'a> {
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Names of what is in a directory.
    pub list: &'a dyn Fn(&Path) -> io::Result<Vec<String>>,
    /// What `@` conditions compare with: the host's name up to its first dot.
    pub config_id: &'a str,
}

/// A word after quotes and escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub quoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The words of a line, or of a part of it between braces; never empty.
    Line(Vec<Word>),
    Open,
    Close,
}

/// The whole configuration.
#[derive(Debug, Default)]
pub struct Text {
    pub items: Vec<(Place, Item)>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
}

/// Reads a file and what it includes. An error is that of the first file.
pub fn read(path: &Path, outside: &Outside<'_>, findings: &mut Findings) -> io::Result<Text> {
    let bytes = (outside.read)(path)?;
    let mut reader = Reader {
        outside,
        findings,
        text: Text::default(),
        parameters: HashMap::new(),
        bytes: 0,
        depth: 0,
        balance: 0,
        is_full: false,
    };
    reader.file(path, &bytes);
    let (balance, at) = (reader.balance, Place { file: 0, line: 0 });
    if balance != 0 {
        let what = if balance > 0 {
            "'}' is missing or '{' is too much"
        } else {
            "'{' is missing or '}' is too much"
        };
        reader.findings.warning(at, format!("{} times {what}", balance.abs()));
    }
    Ok(reader.text)
}

struct Reader<'a, 'f> {
    outside: &'a Outside<'a>,
    findings: &'f mut Findings,
    text: Text,
    parameters: HashMap<String, Vec<String>>,
    /// What lines that were made had in sum.
    bytes: usize,
    depth: usize,
    balance: i64,
    is_full: bool,
}

impl Reader<'_, '_> {
    fn file(&mut self, path: &Path, bytes: &[u8]) {
        let file = self.findings.file(path);
        self.text.files.push(path.to_path_buf());
        self.set("_PWD", path.parent().map_or(String::new(), |dir| dir.display().to_string()));
        self.set("_INSTANCE", self.outside.config_id.to_owned());
        self.set("_HASH", "#".to_owned());
        self.set("_BANG", "!".to_owned());
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().enumerate();
        while let Some((n, line)) = lines.next() {
            let at = Place { file, line: n as u32 + 1 };
            match definition(line) {
                Some((name, value)) if value.trim_end().ends_with('\\') => {
                    // The value is on the lines that follow.
                    let mut value = vec![cut_backslash(value)];
                    while value.last().is_some_and(|(_, more)| *more) {
                        let Some((_, line)) = lines.next() else { break };
                        value.push(cut_backslash(line));
                    }
                    let value =
                        value.into_iter().map(|(line, _)| line).filter(|line| !line.trim().is_empty());
                    self.parameters.insert(name.to_owned(), value.collect());
                }
                _ => self.line(at, line, 0),
            }
        }
    }

    fn set(&mut self, name: &str, value: String) {
        self.parameters.insert(name.to_owned(), vec![value]);
    }

    /// One line, after which parameters in it were replaced by lines of theirs.
    fn line(&mut self, at: Place, line: &str, depth: usize) {
        self.bytes += if depth > 0 { line.len() + 1 } else { 0 };
        if self.bytes > MAX_TEXT || depth > MAX_NESTING {
            if !std::mem::replace(&mut self.is_full, true) {
                self.findings
                    .warning(at, "parameters make too much of the configuration: the rest is left out");
            }
            return;
        }
        let Some(line) = self.condition(line) else { return };
        if let Some((name, value)) = definition(line) {
            let value = without_comment(value).trim().to_owned();
            return self.set(name, value);
        }
        if let Some(sequence) = line.trim_start().strip_prefix("~SEQ") {
            return self.sequence(at, sequence, depth);
        }
        let line = without_comment(line);
        match self.replace(line) {
            Some(lines) => lines.iter().for_each(|line| self.line(at, line, depth + 1)),
            None => self.words(at, line),
        }
    }

    /// The rest of a line whose condition holds; a line without one as it is.
    fn condition<'l>(&self, line: &'l str) -> Option<&'l str> {
        let Some(rest) = line.trim_start().strip_prefix('@') else { return Some(line) };
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (id, rest) = rest.split_at(end);
        let holds = match id.strip_prefix('^') {
            Some(id) => id != self.outside.config_id,
            None => id == self.outside.config_id,
        };
        holds.then_some(rest)
    }

    /// `~SEQ(VAR, START, STEP, END) LINE`, `x` before the parenthesis for hexadecimal.
    fn sequence(&mut self, at: Place, text: &str, depth: usize) {
        let (hex, text) = match text.strip_prefix('x') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let parts = text.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((arguments, line)) = parts else {
            return self.findings.warning(at, "'~SEQ' expects (name, start, step, end)");
        };
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        let numbers: Option<Vec<i64>> = arguments[1..].iter().map(|text| number(text)).collect();
        let (start, step, end) = match numbers.as_deref() {
            Some([end]) => (end.signum(), end.signum(), *end),
            Some([start, end]) => (*start, if end < start { -1 } else { 1 }, *end),
            Some([start, step, end]) => (*start, *step, *end),
            _ => return self.findings.warning(at, "'~SEQ' expects one to three numbers after its name"),
        };
        let is_endless = step == 0 || (end - start).signum() * step.signum() < 0;
        if is_endless || (end - start) / step > MAX_TURNS {
            return self.findings.warning(at, "'~SEQ' has no end that it reaches");
        }
        for turn in 0..=(end - start) / step {
            let value = start + turn * step;
            let value = if hex { format!("{value:x}") } else { value.to_string() };
            self.set(arguments[0], value);
            self.line(at, line, depth + 1);
        }
    }

    /// The line with its first known parameter replaced; `None` when there is none.
    fn replace(&self, line: &str) -> Option<Vec<String>> {
        for (dollar, _) in line.match_indices('$') {
            let rest = &line[dollar + 1..];
            let (name, after) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once('}')?,
                None => {
                    let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
                    let (name, after) = rest.split_at(end);
                    if !(after.is_empty() || after.starts_with(char::is_whitespace)) {
                        continue;
                    }
                    (name, after)
                }
            };
            let Some(value) = self.parameters.get(name) else { continue };
            let before = &line[..dollar];
            return Some(match &value[..] {
                [] => vec![format!("{before}{after}")],
                [one] => vec![format!("{before}{one}{after}")],
                [first, middle @ .., last] => {
                    let mut lines = vec![format!("{before}{first}")];
                    lines.extend(middle.iter().cloned());
                    lines.push(format!("{last}{after}"));
                    lines
                }
            });
        }
        None
    }

    /// Words and braces of a line without comment.
    fn words(&mut self, at: Place, line: &str) {
        let mut words = Vec::new();
        let mut rest = line;
        loop {
            rest = rest.trim_start();
            match rest.chars().next() {
                None => break,
                Some(brace @ ('{' | '}')) => {
                    self.flush(at, &mut words);
                    let (item, change) = if brace == '{' { (Item::Open, 1) } else { (Item::Close, -1) };
                    self.balance += change;
                    self.text.items.push((at, item));
                    rest = &rest[1..];
                }
                Some(_) => match word(rest) {
                    Ok((word, after)) => {
                        words.push(word);
                        rest = after;
                    }
                    Err(()) => {
                        self.findings.warning(at, "a quote is not closed: the word is left out");
                        words.push(Word { text: String::new(), quoted: true });
                        break;
                    }
                },
            }
        }
        self.flush(at, &mut words);
    }

    fn flush(&mut self, at: Place, words: &mut Vec<Word>) {
        let Some(first) = words.first() else { return };
        if include::is_keyword(&first.text) && !first.quoted {
            let target = words.get(1).map(|word| word.text.clone()).unwrap_or_default();
            words.clear();
            return self.include(at, &target);
        }
        self.text.items.push((at, Item::Line(std::mem::take(words))));
    }

    fn include(&mut self, at: Place, target: &str) {
        if self.depth >= MAX_INCLUDES || self.text.files.len() >= MAX_FILES {
            return self
                .findings
                .warning(at, format!("files are included too deep, or too many: {target} is left out"));
        }
        let base = self.findings.path(at.file).parent().map_or(PathBuf::new(), Path::to_path_buf);
        let paths = include::matching(&base, target, self.outside.list);
        if paths.is_empty() {
            self.findings.push(Level::Note, at, format!("no file {target} to include"));
        }
        let left = MAX_FILES.saturating_sub(self.text.files.len());
        for path in paths.into_iter().take(left) {
            match (self.outside.read)(&path) {
                Ok(bytes) => {
                    self.depth += 1;
                    self.file(&path, &bytes);
                    self.depth -= 1;
                }
                Err(e) => self.findings.push(Level::Note, at, format!("cannot read {}: {e}", path.display())),
            }
        }
        let own = self.findings.path(at.file).parent().map_or(String::new(), |dir| dir.display().to_string());
        self.set("_PWD", own);
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// `$NAME=VALUE`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start().strip_prefix('$')?.split_once('=')?;
    let starts_well = name.starts_with(|c: char| is_name(c) && !c.is_ascii_digit());
    (starts_well && name.chars().all(is_name)).then_some((name, value))
}

/// A line without the backslash that says that more follows, and whether it was there.
fn cut_backslash(line: &str) -> (String, bool) {
    match line.trim_end().strip_suffix('\\') {
        Some(rest) => (rest.to_owned(), true),
        None => (line.to_owned(), false),
    }
}

fn number(text: &str) -> Option<i64> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => text.parse().ok()?,
    };
    (number.abs() < 1 << 40).then_some(number)
}

/// The line up to `#` or `!` outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => {
                chars.next();
            }
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('#' | '!', None) => return &line[..at],
            _ => {}
        }
    }
    line
}

/// The word at the beginning and what follows it; an error is a quote that is not closed.
fn word(text: &str) -> Result<(Word, &str), ()> {
    let mut word = Word::default();
    let mut quote = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('"' | '\'', None) => (quote, word.quoted) = (Some(c), true),
            (c, Some(open)) if c == open => quote = None,
            ('\\', Some(_)) => match chars.next() {
                Some((_, escaped)) => word.text.push(escape(escaped, &mut chars)),
                None => return Err(()),
            },
            ('{' | '}', None) => return Ok((word, &text[at..])),
            (c, None) if c.is_whitespace() => return Ok((word, &text[at..])),
            (c, _) => word.text.push(c),
        }
    }
    if quote.is_some() { Err(()) } else { Ok((word, "")) }
}

fn escape(c: char, more: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> char {
    let mut digits = |radix, most: usize, first: u32| {
        let (mut value, mut count) = (first, 0);
        while count < most
            && let Some(digit) = more.peek().and_then(|(_, c)| c.to_digit(radix))
        {
            more.next();
            (value, count) = ((value * radix + digit) & 0xff, count + 1);
        }
        char::from_u32(value).unwrap_or('?')
    };
    match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'E' => '\u{1b}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => digits(16, usize::MAX, 0),
        '0'..='7' => digits(8, 2, c.to_digit(8).unwrap_or(0)),
        other => other,
    }
}
