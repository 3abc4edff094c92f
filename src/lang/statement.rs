//! The lines of one file: words, directives, sections, and the keywords that act while reading.

use super::diag::{Frame, Severity};
use super::lexer::{self, EmptyWord, LexError, Place, Words};
use super::load::{DefaultPath, Loader, Whole};
use super::preproc::{Conditions, Outcome};
use super::registry::Kind;
use super::source::{FileId, Line, Section, Span, Word};
use super::suggest;
use super::void::is_void;

/// A file with this many faulty lines is read no further.
const MAX_FATAL: usize = 50;

/// Keywords that `no` and `default` may stand before.
const NEGATABLE: [&str; 7] = [
    "option",
    "log",
    "busy-polling",
    "set-dumpable",
    "strict-limits",
    "insecure-fork-wanted",
    "numa-cpu-mapping",
];

const TOO_EMPTY: &str = "Aborting to prevent all subsequent arguments from being silently ignored. \
     If this is caused by an environment variable expansion, please have a look at section 2.3 of the \
     configuration manual to find solutions to address this.";

/// What helps where something is wrong only because HAProxy is stricter than it was.
pub const LEGACY_HINT: &str = "'--legacy', or 'accept-legacy-syntax' in 'global', accepts it";

/// The state of reading one file.
pub(super) struct Unit {
    file: FileId,
    line: u32,
    conditions: Conditions,
    /// The word that began the section being read.
    kind: Option<String>,
    /// Its name, or its kind when it has none (`.SECTION`).
    section: String,
    /// The last line that began at the margin was out of any section.
    is_stray: bool,
    fatal: usize,
}

impl Unit {
    pub(super) fn new(file: FileId) -> Self {
        let (conditions, section) = (Conditions::default(), String::new());
        Unit { file, line: 0, conditions, kind: None, section, is_stray: false, fatal: 0 }
    }

    pub(super) fn run(mut self, loader: &mut Loader<'_>, bytes: &[u8], whole: Whole) {
        for raw in bytes.split_inclusive(|b| *b == b'\n') {
            self.line += 1;
            if self.fatal >= MAX_FATAL {
                let message = format!("too many fatal errors ({}), stopping now.", self.fatal);
                loader.diagnostics.alert_framed(Frame::Line, self.span(0, 0), message, None);
                return;
            }
            let (line, ended) = match raw.split_last() {
                Some((b'\n', line)) => (line, true),
                _ => (raw, false),
            };
            let nul = line.iter().position(|b| *b == 0);
            self.line(loader, nul.map_or(line, |at| &line[..at]));
            if loader.aborted {
                return;
            }
            let (at, message) = match (nul, ended, whole) {
                (Some(at), ..) => (at, "Stray NUL character at position"),
                (None, false, Whole::Checked) if !loader.is_lenient() => {
                    (line.len(), "Missing LF on last line, file might have been truncated at position")
                }
                _ => continue,
            };
            let message = format!("{message} {}.", at + 1);
            let hint = nul.is_none().then(|| LEGACY_HINT.to_owned());
            loader.diagnostics.alert_framed(Frame::Line, self.span(at, 0), message, hint);
            return;
        }
        if self.conditions.depth() > 0 {
            let message = "non-terminated '.if' block.";
            loader.diagnostics.alert_framed(Frame::Line, self.span(0, 0), message, None);
            loader.aborted = true;
        }
    }

    fn span(&self, at: usize, len: usize) -> Span {
        Span { file: self.file, line: self.line, col: at as u32 + 1, len: len as u32 }
    }

    fn line(&mut self, loader: &mut Loader<'_>, raw: &[u8]) {
        let indent = raw.iter().position(|b| !lexer::is_space(*b)).unwrap_or(raw.len());
        if raw.get(indent) == Some(&b'[') {
            return self.scope(loader, &raw[indent..], indent);
        }
        let file_name = loader.sources.name(self.file).to_owned();
        let place = Place {
            file: self.file,
            file_name: &file_name,
            line: self.line,
            section: &self.section,
            env: &loader.env,
            comments: true,
            quotes: true,
        };
        let read = match lexer::split(raw, place) {
            Err(LexError { fault: lexer::Fault::Quote, at }) if loader.is_lenient() => {
                let message = "a quote that is not closed is a letter, as are all of this line.";
                loader.diagnostics.push(Severity::Warning, Some(self.span(at, 1)), message.to_owned());
                lexer::split(raw, Place { quotes: false, ..place })
            }
            read => read,
        };
        match read {
            Ok(words) => self.statement(loader, words),
            Err(error) => self.unreadable(loader, error),
        }
    }

    fn unreadable(&mut self, loader: &mut Loader<'_>, LexError { fault, at }: LexError) {
        self.fatal += 1;
        let (frame, message) = match fault {
            lexer::Fault::TooManyWords => {
                let max = lexer::MAX_WORDS;
                (Frame::Line, format!("too many words, truncating after word {max}, position {}.", at + 1))
            }
            _ => (Frame::Caret, fault.to_string()),
        };
        loader.diagnostics.alert_framed(frame, self.span(at, 1), message, None);
    }

    fn statement(&mut self, loader: &mut Loader<'_>, Words { list, empty }: Words) {
        if list.first().is_none_or(|first| first.str().is_empty()) {
            return;
        }
        match self.conditions.directive(&list, loader.facts, &loader.env, &mut loader.diagnostics) {
            Outcome::Ignore => return,
            Outcome::Abort => {
                loader.aborted = true;
                return;
            }
            Outcome::Read => {}
        }
        if let Some(empty) = empty {
            return self.empty_word(loader, empty);
        }
        let span = self.whole(&list);
        let line = Line { words: list, span };
        if matches!(line.str(0), "no" | "default") && !NEGATABLE.contains(&line.str(1)) {
            self.fatal += 1;
            let message = "negation/default currently supported only for options, log, busy-polling, \
                 set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping.";
            return loader.diagnostics.alert_framed(Frame::Line, line.at(0), message, None);
        }
        self.place(loader, line);
    }

    fn whole(&self, words: &[Word]) -> Span {
        let (first, last) = (words.first(), words.last());
        let (Some(first), Some(last)) = (first, last) else { return self.span(0, 0) };
        Span { len: last.span.col + last.span.len - first.span.col, ..first.span }
    }

    fn empty_word(&mut self, loader: &mut Loader<'_>, empty: EmptyWord) {
        self.fatal += 1;
        let variable = empty.variable.as_deref();
        let likely = variable.and_then(|name| suggest::nearest(name, loader.env.names()));
        let hint = match likely {
            Some(name) => Some(format!("maybe you meant {name} instead ?")),
            None if loader.explained_empty => None,
            None => Some(TOO_EMPTY.to_owned()),
        };
        loader.explained_empty = true;
        let message = format!(
            "argument number {} at position {} is empty and marks the end of the argument list",
            empty.number,
            empty.at + 1
        );
        let len = variable.map_or(1, str::len);
        loader.diagnostics.alert_framed(Frame::Line, self.span(empty.at, len), message, hint);
    }

    /// `[name]` alone on a line: the scope of filter configurations. Checked and otherwise ignored.
    fn scope(&mut self, loader: &mut Loader<'_>, line: &[u8], indent: usize) {
        let close = line.iter().position(|b| *b == b']').filter(|at| *at > 1);
        let (at, message) = match close {
            None => (0, "empty scope name is forbidden.".to_owned()),
            Some(close) => {
                let valid = |b: &u8| b.is_ascii_alphanumeric() || b".:_-".contains(b);
                let bad = line[1..close].iter().position(|b| !valid(b));
                let after = line[close + 1..].iter().position(|b| !lexer::is_space(*b));
                match (bad, after) {
                    (Some(bad), _) => {
                        let c = char::from(line[bad + 1]);
                        (bad + 1, format!("character '{c}' is not permitted in a scope name."))
                    }
                    (None, Some(after)) if line[close + 1 + after] != b'#' => {
                        let c = char::from(line[close + 1 + after]);
                        (
                            close + 1 + after,
                            format!("character '{c}' is not permitted after scope declaration."),
                        )
                    }
                    _ => return,
                }
            }
        };
        loader.diagnostics.alert(self.span(indent + at, 1), message);
    }

    /// Puts a line into the section it belongs to, or begins one with it.
    fn place(&mut self, loader: &mut Loader<'_>, line: Line) {
        let keyword = line.str(0);
        if keyword == "include" && is_void(Kind::Directive, keyword) {
            return;
        }
        if keyword == "include" {
            return self.include(loader, &line);
        }
        if loader.kinds.contains(&keyword) {
            self.kind = Some(keyword.to_owned());
            self.section = line.words.get(1).map_or(keyword, Word::str).to_owned();
            let late = keyword == "global" && loader.sections.iter().any(|s| s.kind() != "global");
            if late {
                let message = "global section detected after a non-global one, \
                     the prevalence of their statements is unspecified";
                loader.diagnostics.diag(line.span, message);
            }
            loader.sections.push(Section { head: line, lines: Vec::new() });
            return;
        }
        let Some(kind) = self.kind.as_deref() else {
            // The lines of a section whose word is wrong are not wrong themselves.
            let is_at_margin = line.at(0).col == 1;
            if self.is_stray && !is_at_margin {
                return;
            }
            self.is_stray = is_at_margin;
            self.fatal += 1;
            let message = format!("unknown keyword '{keyword}' out of section.");
            let names = loader.kinds.iter().copied().chain(["include"]);
            let hint = suggest::hint(keyword, names);
            return loader.diagnostics.alert_framed(Frame::Line, line.at(0), message, hint);
        };
        if kind == "global" {
            let done = match keyword {
                _ if is_void(Kind::Global, keyword) => Ok(()),
                "setenv" | "presetenv" | "unsetenv" | "resetenv" => environment(loader, &line),
                "default-path" => self.default_path(loader, &line),
                _ => Ok(()),
            };
            if let Err((span, message)) = done {
                self.fatal += 1;
                loader.diagnostics.alert(span, message);
            }
        }
        if let Some(section) = loader.sections.last_mut() {
            section.lines.push(line);
        }
    }

    /// `include` ends the section before it, as a new section would.
    fn include(&mut self, loader: &mut Loader<'_>, line: &Line) {
        self.kind = None;
        self.section.clear();
        if line.words.len() < 2 {
            let message = "'include' expects a file, a pattern, a directory or 'map:<name>'.";
            return loader.diagnostics.alert(line.span, message);
        }
        for target in &line.words[1..] {
            let before = loader.default_path.clone();
            loader.include(target.str(), target.span);
            if loader.aborted {
                return;
            }
            if loader.default_path != before {
                loader.rebase(self.file, self.line);
            }
        }
    }

    fn default_path(&self, loader: &mut Loader<'_>, line: &Line) -> Result<(), (Span, String)> {
        let mode = line.str(1);
        loader.default_path = match mode {
            "current" => DefaultPath::Current,
            "config" => DefaultPath::Config,
            "parent" => DefaultPath::Parent,
            "origin" if line.words.len() > 2 => DefaultPath::Origin(line.str(2).into()),
            "origin" => {
                return Err((line.span, "'default-path origin' expects a directory as an argument.".into()));
            }
            _ => {
                let what = if mode.is_empty() { "missing" } else { "unsupported" };
                let message = format!(
                    "{what} default-path mode '{mode}' for 'default-path', supported modes include \
                     'current', 'config', 'parent', and 'origin'."
                );
                return Err((line.at(1), message));
            }
        };
        loader.rebase(self.file, self.line);
        Ok(())
    }
}

/// `setenv`, `presetenv`, `unsetenv`, `resetenv` (manual section 3.1), at once and on the private copy.
fn environment(loader: &mut Loader<'_>, line: &Line) -> Result<(), (Span, String)> {
    let keyword = line.str(0);
    let arguments: Vec<_> = line.words[1..].iter().map(Word::str).collect();
    match (keyword, arguments.as_slice()) {
        ("setenv" | "presetenv", [_, _, extra, ..]) => {
            return Err((line.at(3), format!("'{keyword}' cannot handle unexpected argument '{extra}'.")));
        }
        ("setenv", [name, _]) => loader.env.set(name, line.words[2].bytes()),
        ("presetenv", [name, _]) => loader.env.preset(name, line.words[2].bytes()),
        ("setenv" | "presetenv", [name]) => {
            return Err((line.span, format!("'{keyword}' expects environment variable value for '{name}'.")));
        }
        ("setenv" | "presetenv", []) => {
            return Err((line.span, format!("'{keyword}' expects environment variable name.")));
        }
        ("unsetenv", []) => {
            return Err((line.span, "'unsetenv' expects at least one variable name.".into()));
        }
        ("unsetenv", names) => names.iter().for_each(|name| loader.env.unset(name)),
        (_, names) => loader.env.reset(names),
    }
    Ok(())
}
