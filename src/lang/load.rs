//! From files to sections: inputs, directories, includes, the environment and `default-path`.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::condition::Facts;
use super::diag::{Diagnostics, Severity};
use super::env::{Env, LOG_FORMATS};
use super::glob;
use super::registry::Kind;
use super::source::{FileId, Section, SourceFile, SourceMap, Span};
use super::statement::Unit;
use super::void::is_void;

/// Deepest nesting of `include`.
const MAX_DEPTH: usize = 16;
/// Most files of one configuration.
const MAX_FILES: usize = 10_000;

/// Where configuration text comes from.
#[derive(Clone, Debug)]
pub enum Input {
    /// A file, or a directory whose `*.cfg` are read in C order (`-f`).
    Path(PathBuf),
    /// Text from memory. `name` is what messages show.
    Text { name: String, text: String },
}

/// Everything that loading needs from outside.
pub struct LoadOptions<'a> {
    pub facts: &'a Facts,
    /// The environment at the start; `HAPROXY_LOCALPEER` and `HAPROXY_MWORKER` are the caller's to set.
    pub env: Env,
    /// The words that begin a section.
    pub section_kinds: &'a [&'a str],
    /// Reads a whole file.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Names of the regular files in a directory, in any order; `None` when the path is no directory.
    pub list: &'a dyn Fn(&Path) -> io::Result<Option<Vec<String>>>,
    /// A document of the region map (`include map:NAME`).
    pub document: &'a dyn Fn(&str) -> Option<String>,
    /// A last line without line feed is a line like others, as old HAProxy had it (`--legacy`).
    pub legacy: bool,
}

/// The line of `global` that asks for old syntax, see [`LoadOptions::legacy`].
pub const ACCEPT_LEGACY: &str = "accept-legacy-syntax";

impl<'a> LoadOptions<'a> {
    /// Options that read the file system and know no documents.
    pub fn new(facts: &'a Facts, env: Env, section_kinds: &'a [&'a str]) -> Self {
        LoadOptions {
            facts,
            env,
            section_kinds,
            read: &|path| std::fs::read(path),
            list: &list_directory,
            document: &|_| None,
            legacy: false,
        }
    }
}

/// The file names in a directory, as [`LoadOptions::list`] wants them.
pub fn list_directory(path: &Path) -> io::Result<Option<Vec<String>>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if std::fs::metadata(entry.path())?.is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(Some(names))
}

/// A configuration cut into sections. Not usable when `diagnostics` has alerts.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub sections: Vec<Section>,
    pub sources: SourceMap,
    /// Directories whose files were looked for (`-f`, `include`).
    pub directories: Vec<PathBuf>,
    /// The environment after `setenv` and its kin, with `HAPROXY_CFGFILES`.
    pub env: Env,
    pub diagnostics: Diagnostics,
}

/// Reads every input in order.
pub fn load(inputs: &[Input], options: LoadOptions<'_>) -> Loaded {
    let mut loader = Loader::new(options);
    for input in inputs {
        if loader.aborted {
            break;
        }
        match input {
            Input::Path(path) => loader.path(path),
            Input::Text { name, text } => {
                loader.text(name.clone(), PathBuf::new(), text.as_bytes(), Whole::Maybe)
            }
        }
    }
    loader.finish()
}

/// Whether a last line without line feed means that the text was cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// A file: its last line must end.
    Checked,
    /// Text from memory.
    Maybe,
}

/// What relative paths in the configuration are relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DefaultPath {
    Current,
    Config,
    Parent,
    Origin(PathBuf),
}

pub(super) struct Loader<'a> {
    pub(super) facts: &'a Facts,
    pub(super) kinds: &'a [&'a str],
    read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    list: &'a dyn Fn(&Path) -> io::Result<Option<Vec<String>>>,
    document: &'a dyn Fn(&str) -> Option<String>,
    legacy: bool,
    pub(super) env: Env,
    pub(super) sections: Vec<Section>,
    pub(super) sources: SourceMap,
    pub(super) diagnostics: Diagnostics,
    pub(super) default_path: DefaultPath,
    /// Nothing more is read.
    pub(super) aborted: bool,
    /// The long explanation of empty arguments was given.
    pub(super) explained_empty: bool,
    /// Files and documents being read, outermost first.
    open: Vec<String>,
    cfgfiles: Vec<String>,
    directories: Vec<PathBuf>,
}

impl<'a> Loader<'a> {
    fn new(options: LoadOptions<'a>) -> Self {
        let mut env = options.env;
        for (name, format) in LOG_FORMATS {
            env.set(name, format);
        }
        let version = options.facts.version;
        env.preset("HAPROXY_STARTUP_VERSION", version);
        env.set("HAPROXY_BRANCH", version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."));
        Loader {
            facts: options.facts,
            kinds: options.section_kinds,
            read: options.read,
            list: options.list,
            document: options.document,
            legacy: options.legacy,
            env,
            sections: Vec::new(),
            sources: SourceMap::default(),
            diagnostics: Diagnostics::default(),
            default_path: DefaultPath::Current,
            aborted: false,
            explained_empty: false,
            open: Vec::new(),
            cfgfiles: Vec::new(),
            directories: Vec::new(),
        }
    }

    fn finish(mut self) -> Loaded {
        // The formats are there for the configuration only, save the two key log ones.
        for (name, _) in LOG_FORMATS.iter().filter(|(name, _)| !name.contains("KEYLOG")) {
            self.env.unset(name);
        }
        self.env.set("HAPROXY_CFGFILES", self.cfgfiles.join(";"));
        Loaded {
            sections: self.sections,
            sources: self.sources,
            directories: self.directories,
            env: self.env,
            diagnostics: self.diagnostics,
        }
    }

    /// Whether the last line of a file may end without line feed.
    pub(super) fn is_lenient(&self) -> bool {
        let asks = |section: &Section| {
            section.kind() == "global" && section.lines.iter().any(|l| l.str(0) == ACCEPT_LEGACY)
        };
        self.legacy || self.sections.iter().any(asks) && !is_void(Kind::Global, ACCEPT_LEGACY)
    }

    /// A path of the command line.
    fn path(&mut self, path: &Path) {
        match (self.list)(path) {
            Ok(Some(names)) => {
                self.directories.push(path.to_path_buf());
                for name in configuration_files(names) {
                    self.file(&path.join(name), None);
                }
            }
            Ok(None) => self.file(path, None),
            Err(error) => {
                let (path, error) = (path.display(), reason(&error));
                self.lost(None, format!("Cannot open configuration file/directory {path} : {error}"));
            }
        }
    }

    /// Stops the whole loading.
    fn lost(&mut self, span: Option<Span>, message: String) {
        self.diagnostics.push(Severity::Alert, span, message);
        self.aborted = true;
    }

    fn file(&mut self, path: &Path, from: Option<Span>) {
        if self.aborted {
            return;
        }
        let name = path.display().to_string();
        match (self.read)(path) {
            Ok(bytes) => self.text(name, path.to_path_buf(), &bytes, Whole::Checked),
            Err(error) => {
                let message = format!("Could not open configuration file {name} : {}", reason(&error));
                match from {
                    Some(span) => self.diagnostics.alert(span, message),
                    None => self.lost(None, message),
                }
            }
        }
    }

    fn text(&mut self, name: String, path: PathBuf, bytes: &[u8], whole: Whole) {
        if self.sources.files.len() >= MAX_FILES {
            return self.lost(None, format!("too many configuration files, max is {MAX_FILES}."));
        }
        self.cfgfiles.push(name.clone());
        let text = String::from_utf8_lossy(bytes).into_owned();
        let key = key_of(&name, &path);
        let file = self.sources.add(SourceFile { name, path, text });
        self.rebase(file, 0);
        self.open.push(key);
        Unit::new(file).run(self, bytes, whole);
        self.open.pop();
    }

    /// Applies `default-path` from a line of a file on.
    pub(super) fn rebase(&mut self, file: FileId, line: u32) {
        let directory = self.directory(file);
        let dir = match &self.default_path {
            DefaultPath::Current => PathBuf::new(),
            DefaultPath::Config => directory,
            DefaultPath::Parent => directory.join(".."),
            DefaultPath::Origin(origin) => origin.clone(),
        };
        self.sources.rebase(file, line, dir);
    }

    fn directory(&self, file: FileId) -> PathBuf {
        let file = self.sources.files.get(usize::from(file.0));
        file.and_then(|f| f.path.parent()).map_or_else(PathBuf::new, Path::to_path_buf)
    }

    /// `include TARGET`: a file, a pattern or directory, or `map:NAME`. Faults are alerts at `span`.
    pub(super) fn include(&mut self, target: &str, span: Span) {
        if self.open.len() >= MAX_DEPTH {
            return self.diagnostics.alert(span, format!("'include' nested too deep, max is {MAX_DEPTH}."));
        }
        if let Some(name) = target.strip_prefix("map:") {
            return match (self.document)(name) {
                _ if self.includes_itself(target, span) => {}
                Some(text) => self.text(target.to_owned(), PathBuf::new(), text.as_bytes(), Whole::Maybe),
                None => self.diagnostics.alert(span, format!("no document '{name}' in the region map.")),
            };
        }
        let path = self.directory(span.file).join(target);
        let (directory, last) = (path.parent().unwrap_or(Path::new("")), path.file_name());
        match last.and_then(|l| l.to_str()).filter(|l| glob::is_pattern(l)) {
            Some(pattern) => self.include_matching(directory, |name| glob::matches(pattern, name), span),
            None => match (self.list)(&path) {
                Ok(Some(_)) => self.include_matching(&path, is_configuration_file, span),
                _ => self.include_file(&path, span),
            },
        }
    }

    fn include_matching(&mut self, directory: &Path, wanted: impl Fn(&str) -> bool, span: Span) {
        let listed = if directory.as_os_str().is_empty() {
            (self.list)(Path::new("."))
        } else {
            (self.list)(directory)
        };
        self.directories.push(directory.to_path_buf());
        match listed {
            Ok(names) => {
                let mut names = names.unwrap_or_default();
                names.retain(|name| wanted(name));
                names.sort_unstable();
                if names.is_empty() {
                    self.diagnostics.diag(span, "'include' matches no file.");
                }
                for name in names {
                    self.include_file(&directory.join(name), span);
                }
            }
            Err(error) => {
                let (path, error) = (directory.display(), reason(&error));
                self.diagnostics.alert(span, format!("Cannot open configuration directory {path} : {error}"));
            }
        }
    }

    fn include_file(&mut self, path: &Path, span: Span) {
        if !self.includes_itself(&key_of("", path), span) {
            self.file(path, Some(span));
        }
    }

    fn includes_itself(&mut self, key: &str, span: Span) -> bool {
        let looping = self.open.iter().any(|open| open == key);
        if looping {
            self.diagnostics.alert(span, format!("'{key}' includes itself."));
        }
        looping
    }
}

/// What tells one open file from another: its path without `.` and `..`, or the name of a text.
pub(super) fn key_of(name: &str, path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return name.to_owned();
    }
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean.display().to_string()
}

fn is_configuration_file(name: &str) -> bool {
    !name.starts_with('.') && name.ends_with(".cfg")
}

fn configuration_files(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| is_configuration_file(name));
    names.sort_unstable();
    names
}

/// An I/O error as C's `strerror` words it.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
