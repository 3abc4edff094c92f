//! What is wrong with a `keepalived.conf`, and what `keepalived -t` would make of it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Most findings that are kept; a file of another kind has one for each of its lines.
const MAX_FINDINGS: usize = 200;

/// A line of a file; line 0 is the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub file: u16,
    pub line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Said, and nothing more: keepalived says nothing, or does not count it.
    Note,
    /// Our own: a warning that keepalived does not have.
    Ours,
    /// keepalived warns too, and goes on.
    Warning,
    /// The file cannot be used.
    Fatal,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub at: Place,
    pub message: String,
}

/// The exit status of `keepalived -t` 2.2.7, measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Clean = 0,
    Unusable = 2,
    Warned = 5,
    /// Programs run as root, and `enable_script_security` is not there.
    Insecure = 6,
}

#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub list: Vec<Finding>,
    /// Programs would run as root without `enable_script_security`.
    pub is_insecure: bool,
    /// Something makes keepalived stop before it looks at programs.
    pub(super) stops_early: bool,
    files: Vec<PathBuf>,
    /// Whether there were more than are kept.
    is_cut: bool,
    worst: Option<Level>,
}

impl Findings {
    /// The number of a file, for places in it.
    pub(super) fn file(&mut self, path: &Path) -> u16 {
        self.files.push(path.to_path_buf());
        // A thousand patterns of a thousand files: the last number stands for all that follow.
        (self.files.len() - 1).min(usize::from(u16::MAX)) as u16
    }

    pub fn path(&self, file: u16) -> &Path {
        self.files.get(usize::from(file)).map_or(Path::new(""), PathBuf::as_path)
    }

    pub(super) fn push(&mut self, level: Level, at: Place, message: impl Into<String>) {
        self.worst = self.worst.max(Some(level));
        if self.list.len() < MAX_FINDINGS || level == Level::Fatal {
            self.list.push(Finding { level, at, message: message.into() });
        } else if !std::mem::replace(&mut self.is_cut, true) {
            self.list.push(Finding { level, at, message: "there is more that is not said".into() });
        }
    }

    pub(super) fn warning(&mut self, at: Place, message: impl Into<String>) {
        self.push(Level::Warning, at, message);
    }

    pub fn is_fatal(&self) -> bool {
        self.worst == Some(Level::Fatal)
    }

    pub fn verdict(&self) -> Verdict {
        match self.worst {
            Some(Level::Fatal) => Verdict::Unusable,
            _ if self.is_insecure && !self.stops_early => Verdict::Insecure,
            Some(Level::Warning) => Verdict::Warned,
            _ => Verdict::Clean,
        }
    }

    /// A finding as `path:line: message`.
    pub fn show<'a>(&'a self, finding: &'a Finding) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            write!(f, "{}", self.path(finding.at.file).display())?;
            if finding.at.line > 0 {
                write!(f, ":{}", finding.at.line)?;
            }
            write!(f, ": {}", finding.message)
        })
    }
}
