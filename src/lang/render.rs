//! Diagnostics as text: HAProxy's one-line form, and an annotated snippet for `--pretty`.

use std::io::IsTerminal;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::diag::{Diagnostic, Diagnostics, Frame, Severity};
use super::source::{FileId, SourceMap, Span};
use super::suggest;

/// How messages are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// The process id in HAProxy's prefix.
    pub pid: u32,
    /// An annotated snippet instead of one line.
    pub pretty: bool,
    /// Colours in snippets.
    pub color: bool,
    /// Show remarks too (`-dD`).
    pub diag: bool,
}

/// Whether colours on standard error would be seen, and are wanted (`NO_COLOR`).
pub fn wants_color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `[ALERT]    (pid) : ` before a message of any room.
pub fn prefix(severity: Severity, pid: u32) -> String {
    format!("{:<10} ({pid}) : ", format!("[{}]", label(severity)))
}

/// What HAProxy prints once before its first message.
pub fn preamble(version: &str, executable: &str, pid: u32) -> String {
    let prefix = prefix(Severity::Notice, pid);
    format!("{prefix}haproxy version is {version}\n{prefix}path to executable is {executable}\n")
}

/// One finding with its line feed.
pub fn one(diagnostic: &Diagnostic, sources: &SourceMap, style: &Style) -> String {
    let diagnostic = &explained(diagnostic, sources);
    if style.pretty { snippet(diagnostic, sources, style) } else { line(diagnostic, sources, style.pid) }
}

/// An alert about one word names it, and says which word was meant where the message has a list of what there is.
fn explained(diagnostic: &Diagnostic, sources: &SourceMap) -> Diagnostic {
    let mut explained = diagnostic.clone();
    let is_of_word =
        diagnostic.severity == Severity::Alert && matches!(diagnostic.frame, Frame::Keyword | Frame::Object);
    let Some(word) = diagnostic.span.filter(|_| is_of_word).and_then(|span| word_at(span, sources)) else {
        return explained;
    };
    if explained.hint.is_none() && !explained.message.contains("did you mean") {
        explained.hint = suggest::hint_within(word, &explained.message);
    }
    if !explained.message.contains(word) && !suggest::names_part_of(word, &explained.message) {
        explained.message = format!("{} (got '{word}')", explained.message.trim_end_matches('.'));
    }
    explained
}

/// The word that a place is, unless it is a whole line or more than a word.
fn word_at(span: Span, sources: &SourceMap) -> Option<&str> {
    let line = sources.line(span)?;
    let from = (span.col as usize).checked_sub(1)?;
    let word = line.get(from..from + span.len as usize)?;
    let is_whole = line.trim() == word.trim();
    let word = word.trim_matches(['"', '\'']);
    let is_word = word.contains(char::is_alphanumeric) && !word.contains(char::is_whitespace);
    (!is_whole && is_word).then_some(word)
}

/// All findings in the order of their places, those without one last, and after each file with alerts
/// HAProxy's concluding line. Empty when there is nothing to show.
pub fn report(diagnostics: &Diagnostics, sources: &SourceMap, style: &Style) -> String {
    let mut shown: Vec<_> =
        diagnostics.list.iter().filter(|d| style.diag || d.severity != Severity::Diag).collect();
    let order = |d: &Diagnostic| d.span.map_or((FileId(u16::MAX), u32::MAX), |s| (s.file, s.line));
    shown.sort_by_key(|d| order(d));
    let mut out = String::new();
    for of_file in shown.chunk_by(|a, b| a.span.map(|s| s.file) == b.span.map(|s| s.file)) {
        for diagnostic in of_file {
            out += &one(diagnostic, sources, style);
        }
        let failed = of_file.iter().find(|d| d.severity == Severity::Alert);
        if let Some(span) = failed.and_then(|d| d.span) {
            let message = format!("Error(s) found in configuration file : {}", sources.name(span.file));
            out += &format!("{}config : {message}\n", prefix(Severity::Alert, style.pid));
        }
    }
    if diagnostics.has_alerts() {
        let prefix = prefix(Severity::Alert, style.pid);
        out += &format!("{prefix}config : Fatal errors found in configuration.\n");
    }
    out
}

fn label(severity: Severity) -> &'static str {
    match severity {
        Severity::Diag => "DIAG",
        Severity::Notice => "NOTICE",
        Severity::Warning => "WARNING",
        Severity::Alert => "ALERT",
    }
}

fn line(d: &Diagnostic, sources: &SourceMap, pid: u32) -> String {
    let prefix = prefix(d.severity, pid);
    let mut message = d.message.clone();
    if let Some(hint) = &d.hint {
        message = format!("{}; {hint}", message.trim_end_matches('.'));
    }
    let Some(span) = d.span else { return format!("{prefix}config : {message}\n") };
    let (name, number) = (sources.name(span.file), span.line);
    match d.frame {
        Frame::Keyword => format!("{prefix}config : parsing [{name}:{number}] : {message}\n"),
        Frame::Line => format!("{prefix}config : parsing [{name}:{number}]: {message}\n"),
        Frame::Object => format!("{prefix}config : [{name}:{number}] : {message}\n"),
        Frame::Whole if d.severity == Severity::Alert => {
            format!("{prefix}config : [{name}:{number}] : {message}\n")
        }
        Frame::Whole => format!("{prefix}config : {message}\n"),
        Frame::Caret => {
            let (text, at) = window(sources.line(span).unwrap_or(""), span.col as usize - 1, 80);
            let (col, caret) = (span.col, " ".repeat(at + 2));
            format!(
                "{prefix}config : parsing [{name}:{number}]: {message} at position {col}:\n  {text}\n{caret}^\n"
            )
        }
    }
}

/// At most `width` columns of a line around byte `at`, without its indentation and with every byte printable,
/// and where `at` is in them.
fn window(line: &str, at: usize, width: usize) -> (String, usize) {
    let indent = line.len() - line.trim_start().len();
    let at = at.saturating_sub(indent);
    let bytes: Vec<char> = line.as_bytes()[indent..]
        .iter()
        .map(|b| match b {
            b if b.is_ascii_whitespace() => ' ',
            b if b.is_ascii_graphic() => char::from(*b),
            _ => '?',
        })
        .collect();
    if at < width && bytes.len() <= width {
        return (bytes.into_iter().collect(), at);
    }
    let from = if at < width { 0 } else { (at - width / 2).min(bytes.len()) };
    let to = (from + width).min(bytes.len());
    let mut text: Vec<char> = bytes[from..to].to_vec();
    if from > 0 {
        text.iter_mut().take(3).for_each(|c| *c = '.');
    }
    if to < bytes.len() {
        text.iter_mut().rev().take(3).for_each(|c| *c = '.');
    }
    (text.into_iter().collect(), at - from)
}

fn snippet(d: &Diagnostic, sources: &SourceMap, style: &Style) -> String {
    let level = match d.severity {
        Severity::Alert => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Notice => Level::NOTE,
        Severity::Diag => Level::INFO,
    };
    // Further lines of a message repeat the source for terminals without snippets.
    let first = d.message.lines().next().unwrap_or("").trim_end_matches(':');
    // Messages of other rooms may carry their suggestion along.
    let (title, within) = match first.split_once("; did you mean ") {
        Some((before, rest)) => {
            let (name, after) = rest.split_once(" maybe ?").unwrap_or((rest, ""));
            let title = format!("{before}{}", after.trim_end_matches('.'));
            (title, Some(format!("did you mean {name} maybe ?")))
        }
        None => (first.to_owned(), None),
    };
    let hint = d.hint.as_ref().or(within.as_ref());
    let place = d.span.and_then(|span| Some((span, sources.line(span)?)));
    let mut group = match place {
        Some((span, text)) => {
            let from = boundary(text, (span.col as usize).saturating_sub(1));
            let to = boundary(text, from + (span.len as usize).max(1)).max(from);
            let source = Snippet::source(text)
                .path(sources.name(span.file))
                .line_start(span.line as usize)
                .annotation(AnnotationKind::Primary.span(from..to));
            level.primary_title(title).element(source)
        }
        None => Group::with_title(level.primary_title(title)),
    };
    if let Some(hint) = hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]) + "\n"
}

/// The nearest character boundary at or before a byte offset.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
