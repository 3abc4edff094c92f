//! Files in today's syntax: lines that stay as they are, old ones as comments with what stands for them behind.

use std::collections::HashMap;

use crate::lang::lexer::{self, Place};
use crate::lang::load::Loaded;
use crate::lang::{FileId, Line, Word};

use super::change::Change;

/// The text of all files with the changes made.
pub fn print(loaded: &Loaded, changes: &[Change]) -> String {
    let mut out = String::new();
    for (i, file) in loaded.sources.files.iter().enumerate() {
        let id = FileId(i as u16);
        if loaded.sources.files.len() > 1 {
            out.push_str(&format!("# file: {}\n", file.name));
        }
        let mut old: HashMap<u32, &Change> = HashMap::new();
        let mut new: HashMap<u32, Vec<&Change>> = HashMap::new();
        for change in changes.iter().filter(|change| change.at.file == id) {
            old.insert(change.at.line, change);
            new.entry(change.behind).or_default().push(change);
        }
        for (number, text) in (1..).zip(file.text.lines()) {
            match old.get(&number) {
                None => out.push_str(text),
                Some(change) => out.push_str(&comment(text, change)),
            }
            out.push('\n');
            for change in new.get(&number).into_iter().flatten() {
                let is_section = change.made.first().is_some_and(|line| SECTIONS.contains(&line.str(0)));
                for (i, line) in change.made.iter().enumerate() {
                    out.push_str(if is_section && i > 0 { "    " } else { margin(loaded, line) });
                    out.push_str(&written(loaded, line));
                    out.push('\n');
                }
            }
        }
    }
    out
}

/// The old line, out of use, and why.
fn comment(text: &str, change: &Change) -> String {
    let (margin, rest) = text.split_at(text.len() - text.trim_start().len());
    match change.note.as_str() {
        "" => format!("{margin}# {rest}"),
        note => format!("{margin}# {note}; was: {rest}"),
    }
}

/// Words that begin sections, and so no other line.
const SECTIONS: [&str; 5] = ["listen", "frontend", "backend", "defaults", "global"];

/// The blanks before the line that a new one stands for.
fn margin<'l>(loaded: &'l Loaded, line: &Line) -> &'l str {
    let text = loaded.sources.line(line.span).unwrap_or("");
    &text[..text.len() - text.trim_start().len()]
}

/// The words of a line: as they were written where they are the same, quoted where that is needed else.
fn written(loaded: &Loaded, line: &Line) -> String {
    let words: Vec<String> = line.words.iter().map(|word| one(loaded, word)).collect();
    words.join(" ")
}

fn one(loaded: &Loaded, word: &Word) -> String {
    let from = (word.span.col as usize).saturating_sub(1);
    let old = loaded.sources.line(word.span).and_then(|text| text.get(from..from + word.span.len as usize));
    match old {
        Some(old) if reads_as(loaded, old, word) => old.to_owned(),
        _ => quoted(word.str()),
    }
}

/// Whether a piece of a line means this word.
fn reads_as(loaded: &Loaded, text: &str, word: &Word) -> bool {
    let place = Place {
        file: word.span.file,
        file_name: loaded.sources.name(word.span.file),
        line: word.span.line,
        section: "",
        env: &loaded.env,
        comments: true,
        quotes: true,
    };
    let words = lexer::split(text.as_bytes(), place);
    words.is_ok_and(|words| matches!(&words.list[..], [only] if only.bytes() == word.bytes()))
}

/// A word that reads as this text.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() && !" \"'\\#".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if !text.contains(|c: char| c == '\'' || c.is_control()) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
