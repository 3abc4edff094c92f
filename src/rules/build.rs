//! What the parsers of the rule language work with while a configuration is built: [`BuildCtx`] and the direction
//! of the message that an expression reads.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::filter::cache::Caches;
use crate::lang::{Diagnostics, Span};
use crate::model::Caps;
use crate::model::applet::Applet;
use crate::resolve::Resolvers;

use super::account::Userlists;
use super::capture::Captures;
use super::holds::Holds;
use super::http_errors::HttpErrors;
use super::named::Reference;
use super::pattern::PatternRefs;
use super::vars::Names;
use crate::stick::TableRefs;

/// Which message fetches without a prefix of their own (`hdr`, `ver`...) read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dir {
    #[default]
    Request,
    Response,
}

/// `tune.stick-counters` unless the file says otherwise.
pub const STICK_COUNTERS: usize = 3;

/// Everything a parser of the rule language needs. One is made for each proxy (or other user of rules).
///
/// Every parse is total: it reports into `diags` and goes on.
pub struct BuildCtx<'a> {
    pub diags: &'a mut Diagnostics,
    pub names: &'a mut Names,
    /// Reads ACL, map and error files (through the privileged opener).
    pub files: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    pub mode_http: bool,
    pub caps: Caps,
    /// For messages: `frontend 'x'`.
    pub section: &'a str,
    /// The `http-errors` sections of this configuration.
    pub http_errors: &'a HttpErrors,
    /// The `userlist` sections.
    pub userlists: &'a Userlists,
    /// The ACLs of the section so far, for the fetch `acl`.
    pub acls: HashMap<Box<str>, Arc<dyn Holds>>,
    /// `use-service NAME`.
    pub services: &'a dyn Fn(&str) -> Option<Arc<dyn Applet>>,
    /// `resolvers` sections.
    pub resolvers: &'a [Arc<Resolvers>],
    /// `cache` sections.
    pub caches: &'a Caches,
    /// Capture slots declared so far; `http-request capture ... len` adds one.
    pub captures: &'a mut Captures,
    /// `tune.maxrewrite` and `tune.bufsize` in bytes.
    pub maxrewrite: usize,
    pub bufsize: usize,
    /// Backends, frontends and servers that expressions name and that must exist when everything was read.
    pub references: &'a mut Vec<Reference>,
    /// The ACLs' and maps' patterns, for the runtime API.
    pub patterns: &'a mut PatternRefs,
    /// The stick tables that expressions and rules name.
    pub tables: &'a mut TableRefs,
    /// The table that is meant where none is named: that of the section. `""`: there can be none.
    pub table_here: &'a str,
    /// `tune.stick-counters`.
    pub stick_counters: usize,
    /// Set by [`super::RuleSet::push`] for its rules; [`Dir::Request`] elsewhere unless said otherwise.
    pub dir: Dir,
}

impl BuildCtx<'_> {
    /// Runs `build` with a context that knows nothing: no files, no sections, no services. For built-in texts.
    pub fn with_nothing<R>(diags: &mut Diagnostics, build: impl FnOnce(&mut BuildCtx<'_>) -> R) -> R {
        build(&mut BuildCtx {
            diags,
            names: &mut Names::default(),
            files: &|_| Err(io::ErrorKind::NotFound.into()),
            mode_http: true,
            caps: Caps { front: true, back: true },
            section: "",
            http_errors: &HttpErrors::default(),
            userlists: &Userlists::default(),
            acls: HashMap::new(),
            services: &|_| None,
            resolvers: &[],
            caches: &Caches::default(),
            captures: &mut Captures::default(),
            maxrewrite: 1024,
            bufsize: 16384,
            references: &mut Vec::new(),
            patterns: &mut PatternRefs::default(),
            tables: &mut TableRefs::default(),
            table_here: "",
            stick_counters: STICK_COUNTERS,
            dir: Dir::Request,
        })
    }

    /// Reports an error at `span` with HAProxy's wording of the place.
    pub fn error(&mut self, span: Span, message: impl Into<String>) {
        self.diags.alert(span, message);
    }

    pub fn warning(&mut self, span: Span, message: impl Into<String>) {
        self.diags.warning(span, message);
    }
}
