//! Lists of certificates (`crt-list`): on each line a file, options of TLS within brackets, and the names that it is for.

use super::filter::Filter;
use super::words::Options;

/// As many words as HAProxy takes on a line.
const WORDS: usize = 2048;

/// A list, or a directory, which is one of all of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub name: String,
    pub lines: Vec<Line>,
    /// The number of the last line that there ever was.
    pub last: usize,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Of the file, from 1.
    pub number: usize,
    pub crt: String,
    pub options: Options,
    /// The options as they were written.
    pub option_words: Vec<String>,
    /// The names as they were written.
    pub filters: Vec<String>,
}

impl Line {
    /// What it says of names; `None` where it says nothing, and those of the certificate count.
    pub fn names(&self) -> Option<Vec<Filter>> {
        (!self.filters.is_empty())
            .then(|| self.filters.iter().filter_map(|text| Filter::parse(text)).collect())
    }
}

/// Reads a list. `file` is for errors, all of which are told.
pub fn parse(file: &str, text: &[u8]) -> Result<Vec<Line>, Vec<String>> {
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    let text = String::from_utf8_lossy(text);
    let count = text.split('\n').count();
    for (n, line) in text.split('\n').enumerate() {
        let number = n + 1;
        let words = line.trim();
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        if number == count {
            errors.push(format!(
                "'crt-list' : parsing [{file}:{number}]: Missing LF on last line, file might have been truncated at position {}.",
                line.len()
            ));
        }
        match parse_line(words) {
            Ok(line) => lines.push(Line { number, ..line }),
            Err(why) => errors.push(format!("'crt-list' : parsing [{file}:{number}]: {why}")),
        }
    }
    if errors.is_empty() { Ok(lines) } else { Err(errors) }
}

/// Reads one line, which is not empty.
pub fn parse_line(text: &str) -> Result<Line, String> {
    let mut words: Vec<&str> = Vec::new();
    let (mut open, mut close) = (None, None);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            '[' if open.is_some() => return Err("too many '['".into()),
            '[' if words.is_empty() => return Err("file name expected before '['".into()),
            '[' => open = Some(words.len()),
            ']' if close.is_some() => return Err("too many ']'".into()),
            ']' if open.is_none() => return Err("missing '['".into()),
            ']' => close = Some(words.len()),
            first if first.is_ascii_whitespace() => {}
            _ => {
                let is_end = |c: char| c.is_ascii_whitespace() || c == '[' || c == ']';
                let (word, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
                if words.len() >= WORDS {
                    return Err("too many args".into());
                }
                words.push(word);
                rest = after;
                continue;
            }
        }
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    let (crt, words) = words.split_first().ok_or("file name expected")?;
    // Counted without the file's name.
    let (open, close) = (open.map(|at| at - 1), close.map(|at| at - 1));
    let within = match (open, close) {
        (Some(open), Some(close)) => open..close,
        // HAProxy takes the rest of a line where the bracket is not closed.
        (Some(open), None) => open..words.len(),
        _ => 0..0,
    };
    let option_words = words.get(within.clone()).unwrap_or_default();
    let filters = words.get(within.end..).unwrap_or_default();
    Ok(Line {
        number: 0,
        crt: (*crt).to_owned(),
        options: options(option_words)?,
        option_words: option_words.iter().map(|word| (*word).to_owned()).collect(),
        filters: filters.iter().map(|word| (*word).to_owned()).collect(),
    })
}

/// The words of a `bind` line that a list does not know.
const OF_BIND: [&str; 2] = ["no-", "force-"];

fn options(words: &[&str]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = words;
    while let Some(word) = rest.first() {
        let unknown = || format!("unknown ssl keyword {word}");
        let is_known =
            !OF_BIND.iter().any(|start| word.starts_with(start)) || ["no-alpn", "no-ca-names"].contains(word);
        // What is asked of an authority's server while running; it is not asked here.
        if *word == "ocsp-update" {
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        let taken = options.read(rest).filter(|_| is_known).ok_or_else(unknown)??;
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(options)
}
