//! Where text came from: files, places in them, and the words and sections cut from them.

use std::path::{Path, PathBuf};

/// Index of a file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u16);

/// A place in a configuration: line and columns are 1-based; `len` is in bytes of the source line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: FileId,
    pub line: u32,
    pub col: u32,
    pub len: u32,
}

/// One loaded file. `name` is what diagnostics show (the path as the user gave it, or `map:NAME`).
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

/// From this line of this file on, relative paths start at `dir` (`default-path`, manual section 3.1).
#[derive(Clone, Debug)]
struct Base {
    file: FileId,
    line: u32,
    dir: PathBuf,
}

/// Every file of one configuration, in loading order.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    pub files: Vec<SourceFile>,
    bases: Vec<Base>,
}

impl SourceMap {
    pub fn add(&mut self, file: SourceFile) -> FileId {
        self.files.push(file);
        FileId((self.files.len() - 1) as u16)
    }

    /// Notes that relative paths start at `dir` from a line of a file on. Empty: the working directory.
    pub fn rebase(&mut self, file: FileId, line: u32, dir: PathBuf) {
        self.bases.push(Base { file, line, dir });
    }

    /// A path written at `span`, made relative to what `default-path` said there.
    pub fn resolve(&self, span: Span, path: &str) -> PathBuf {
        let base = self.bases.iter().rev().find(|b| b.file == span.file && b.line <= span.line);
        base.map_or(Path::new(""), |b| b.dir.as_path()).join(path)
    }

    /// The name shown for a file; `"?"` for an unknown id.
    pub fn name(&self, id: FileId) -> &str {
        self.files.get(id.0 as usize).map_or("?", |f| f.name.as_str())
    }

    /// The text of a 1-based line without its end of line.
    pub fn line(&self, span: Span) -> Option<&str> {
        self.files.get(span.file.0 as usize)?.text.lines().nth(span.line.checked_sub(1)? as usize)
    }
}

/// One argument after quotes, escapes and variables were resolved.
///
/// `\xHH` escapes can make bytes that are not UTF-8: [`Word::bytes`] is exact, [`Word::str`] is lossy then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    text: String,
    raw: Option<Box<[u8]>>,
    pub span: Span,
}

impl Word {
    pub fn new(bytes: Vec<u8>, span: Span) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Word { text, raw: None, span },
            Err(e) => {
                let bytes = e.into_bytes();
                Word { text: String::from_utf8_lossy(&bytes).into_owned(), raw: Some(bytes.into()), span }
            }
        }
    }

    pub fn str(&self) -> &str {
        &self.text
    }

    pub fn bytes(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.text.as_bytes())
    }
}

/// One logical line of a section: never empty, `words[0]` is the keyword.
/// A leading `no` or `default` stays in `words[0]`, as written.
#[derive(Clone, Debug)]
pub struct Line {
    pub words: Vec<Word>,
    pub span: Span,
}

impl Line {
    /// The text of word `i`, or `""`.
    pub fn str(&self, i: usize) -> &str {
        self.words.get(i).map_or("", Word::str)
    }

    /// The place of word `i`, or of the whole line when it is missing.
    pub fn at(&self, i: usize) -> Span {
        self.words.get(i).map_or(self.span, |w| w.span)
    }
}

/// A section header (`frontend web from base`) and its lines, in file order.
#[derive(Clone, Debug)]
pub struct Section {
    pub head: Line,
    pub lines: Vec<Line>,
}

impl Section {
    /// `frontend`, `backend`, `global`...
    pub fn kind(&self) -> &str {
        self.head.str(0)
    }
}
