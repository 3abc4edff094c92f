//! What reads the arguments of lines, and says what is wrong with them.

use std::io;
use std::path::{Path, PathBuf};

use crate::lang::args::Args;
use crate::lang::{Diagnostics, Section, SourceMap, Span};
use crate::mirror::client::{Credential, Origin};
use crate::mirror::manifest::Platform;
use crate::mirror::rule::{Delete, Glob, Images, Name, When};

/// What the build reads besides the sections.
pub struct Inputs<'a> {
    pub sections: &'a [Section],
    pub sources: &'a SourceMap,
    pub files: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

/// A `registry` section that is being read.
#[derive(Default)]
pub struct OpenRegistry {
    pub origin: Option<Origin>,
    pub region: Name,
    pub user: Option<Credential>,
    pub docker_config: Option<(PathBuf, Span)>,
    pub ca_file: Option<(PathBuf, Span)>,
    pub insecure: bool,
    pub maxconn: Option<usize>,
}

/// A `mirror` section that is being read.
pub struct OpenMirror {
    pub from: Option<(Name, Span)>,
    pub to: Vec<(Name, Span)>,
    pub images: Vec<Images>,
    pub platforms: Vec<Platform>,
    pub when: Option<When>,
    pub on_push: bool,
    pub delete: Delete,
    pub rename: Vec<(Glob, Box<str>)>,
    pub bandwidth: u64,
    pub parallel: usize,
    pub priority: i32,
}

/// What the lines of a section share.
pub struct Reading<'r> {
    pub inputs: &'r Inputs<'r>,
    pub diags: Diagnostics,
}

impl Reading<'_> {
    pub fn alert(&mut self, at: Span, message: impl Into<String>) {
        self.diags.alert(at, message);
    }

    /// `file:line` of a place.
    pub fn place(&self, at: Span) -> String {
        format!("{}:{}", self.inputs.sources.name(at.file), at.line)
    }

    /// More than `max` arguments are an error. True when there were.
    pub fn too_many(&mut self, args: Args<'_>, max: usize) -> bool {
        args.too_many(max, &mut self.diags)
    }

    /// The only argument, or an alert that `what` is missing.
    pub fn one<'a>(&mut self, args: Args<'a>, what: &str) -> Option<&'a str> {
        args.only(what, &mut self.diags)
    }

    /// A whole number within bounds, as word `i`.
    pub fn number(&mut self, args: Args<'_>, i: usize, least: i64, most: i64) -> Option<i64> {
        let value = args.str(i).parse().ok().filter(|n| (least..=most).contains(n));
        if value.is_none() {
            let message =
                format!("'{}' expects a number from {least} to {most}, got '{}'.", args.str(0), args.str(i));
            self.alert(args.at(i), message);
        }
        value
    }

    pub fn glob(&mut self, args: Args<'_>, i: usize) -> Option<Glob> {
        let text = args.str(i);
        match Glob::new(text) {
            Ok(glob) => Some(glob),
            Err(e) => {
                self.alert(args.at(i), format!("'{}': '{text}' is no pattern: {e}.", args.str(0)));
                None
            }
        }
    }
}
