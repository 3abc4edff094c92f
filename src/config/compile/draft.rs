//! Sections while they are read: what `defaults` hands down and what belongs to one section alone.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::balance;
use crate::base::Millis;
use crate::check;
use crate::filter::cache::Caches;
use crate::filter::compression;
use crate::lang::{Diagnostic, Diagnostics, Frame, Section, Severity, SourceMap, Span, Word};
use crate::model::applet::Applet;
use crate::model::{Address, Caps, Mode};
use crate::resolve::Resolvers;
use crate::rules::{Capture, Captures, Names, PatternRefs, Userlists};
use crate::stick::{Spec, TableRefs};
use crate::tls::{Disk, Library};

use super::super::global::{Global, LogTarget, TlsGlobals};
use super::super::proxy::{Bind, Config, CookieSpec, Options, RetryOn, StatsSpec, Timeouts};
use super::declared::{ServerDraft, ServerSettings, ServiceDraft};
use crate::lang::args::Args;
use crate::model::notation::Surroundings;

/// What the build reads besides the sections.
pub struct Inputs<'a> {
    pub sections: &'a [Section],
    /// For messages that name a second place.
    pub sources: &'a SourceMap,
    pub resolve: &'a dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads error pages, ACL and map files.
    pub files: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Where certificates and what belongs to them come from.
    pub disk: &'a dyn Disk,
    /// Numbers of a user and of a group by name.
    pub user: &'a dyn Fn(&str) -> Option<u32>,
    pub group: &'a dyn Fn(&str) -> Option<u32>,
    /// `use-service NAME`, `mode haterm` (as `haterm`) and the stats page (as `stats`).
    pub services: &'a dyn Fn(&str) -> Option<Arc<dyn Applet>>,
    /// The configuration that runs now: its live cells are kept.
    pub previous: Option<&'a Config>,
    /// What a server that is added while running finds of TLS; `None`: all of it is read.
    pub lent: Option<Lent>,
    /// `-dr`: a name that does not resolve leaves its server down rather than failing the build.
    pub ignore_unresolved: bool,
    /// Process-wide connection limit when the file sets none; 0: not known yet.
    pub default_maxconn: u32,
    /// Number of data workers, for the shards of new cells.
    pub workers: usize,
    pub now: Millis,
}

/// What of the configuration that runs a server finds that is added to it: TLS, and who is asked for names.
pub struct Lent {
    pub library: Library<'static>,
    pub globals: TlsGlobals,
    pub resolvers: Vec<Arc<Resolvers>>,
}

/// What all sections share while they are read.
pub struct Cx<'a> {
    pub inputs: &'a Inputs<'a>,
    pub diags: Diagnostics,
    pub global: Global,
    pub unix_bind: UnixBind,
    /// Addresses of names looked up so far; empty for those that do not resolve.
    pub resolved: HashMap<String, Arc<[IpAddr]>>,
    /// Filled by the rule language for one section, then kept with it.
    pub references: Vec<crate::rules::named::Reference>,
    /// Patterns of ACLs and maps.
    pub patterns: PatternRefs,
    pub userlists: Userlists,
    /// `resolvers` sections, and where they stand.
    pub resolvers: Vec<Arc<Resolvers>>,
    pub resolvers_at: Vec<(Arc<str>, Span)>,
    /// Files of server states that were read.
    pub states: HashMap<PathBuf, Arc<[u8]>>,
    /// `healthcheck` sections.
    pub healthchecks: HashMap<Box<str>, (check::Rules, Span)>,
    /// `cache` sections.
    pub caches: Caches,
    /// The stick tables that rules name.
    pub tables: TableRefs,
    pub named: Vec<Reference<'a>>,
    /// Names of variables.
    pub names: Names,
    /// `set-var` and `set-var-fmt` of `global`.
    pub proc_vars: Vec<Args<'a>>,
    /// `expose-deprecated-directives` and `expose-experimental-directives`.
    pub deprecated_allowed: bool,
    pub experimental_allowed: bool,
    /// `accept-legacy-syntax`: a frontend and a backend may have one name.
    pub legacy_allowed: bool,
    /// The certificates that were read so far; none before the first is asked for.
    pub library: Option<Library<'a>>,
}

/// A proxy or server that an expression names; it must exist.
#[derive(Clone, Debug)]
pub struct Reference<'a> {
    pub at: Span,
    /// The section of the expression.
    pub from: &'a str,
    /// `""`: that section.
    pub proxy: Box<str>,
    pub wanted: crate::rules::named::Wanted,
}

/// `unix-bind`: what unix sockets get when their line does not say.
#[derive(Clone, Debug, Default)]
pub struct UnixBind {
    pub prefix: String,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl<'a> Cx<'a> {
    pub fn new(inputs: &'a Inputs<'a>) -> Self {
        let tls = inputs.lent.as_ref().map(|lent| lent.globals.clone());
        Cx {
            inputs,
            diags: Diagnostics::default(),
            global: Global { tls: tls.unwrap_or_default(), ..Global::default() },
            unix_bind: UnixBind::default(),
            resolved: HashMap::new(),
            references: Vec::new(),
            patterns: PatternRefs::default(),
            userlists: Userlists::default(),
            resolvers: inputs.lent.as_ref().map(|lent| lent.resolvers.clone()).unwrap_or_default(),
            resolvers_at: Vec::new(),
            states: HashMap::new(),
            healthchecks: HashMap::new(),
            caches: Caches::default(),
            tables: TableRefs::default(),
            named: Vec::new(),
            names: Names::default(),
            proc_vars: Vec::new(),
            deprecated_allowed: false,
            experimental_allowed: false,
            library: inputs.lent.as_ref().map(|lent| lent.library.clone()),
            legacy_allowed: false,
        }
    }

    /// For addresses that take no `unix-bind prefix`.
    pub fn surroundings(&self) -> Surroundings<'a> {
        Surroundings { resolve: self.inputs.resolve, env: self.inputs.env, unix_prefix: "" }
    }

    /// `file:line` of a place.
    pub fn place(&self, at: Span) -> String {
        format!("{}:{}", self.inputs.sources.name(at.file), at.line)
    }
}

impl<'a> Cx<'a> {
    /// The place of a word in the line that stands at `at`: the word itself, else the first that has it within.
    pub fn spot(&self, at: Span, word: &str) -> Span {
        let Some(line) = self.inputs.sources.line(at) else { return at };
        let words = || {
            line.split_whitespace()
                .map(move |found| (found, found.as_ptr() as usize - line.as_ptr() as usize))
        };
        let found = words()
            .find(|(found, _)| *found == word)
            .or_else(|| words().find(|(found, _)| found.contains(word)));
        match found.filter(|_| !word.is_empty()) {
            Some((found, from)) => Span { col: from as u32 + 1, len: found.len() as u32, ..at },
            None => at,
        }
    }

    /// Keeps what the rule language named while it read something of a section.
    pub fn keep_references(&mut self, from: &'a str) {
        let named = std::mem::take(&mut self.references);
        self.named.extend(named.into_iter().map(|(at, proxy, wanted)| Reference { at, from, proxy, wanted }));
    }

    /// The place of the last word of a line, behind its keyword, that a message tells of.
    pub fn blamed(&self, at: Span, message: &str) -> Span {
        let line = self.inputs.sources.line(at).unwrap_or("");
        let told = line.split_whitespace().skip(1).filter(|word| is_told(message, word));
        told.last().map_or(at, |word| self.spot(at, word))
    }

    /// A finding about a section as a whole.
    pub fn whole(&mut self, severity: Severity, at: Span, message: String) {
        self.whole_hint(severity, at, message, None);
    }

    pub fn whole_hint(&mut self, severity: Severity, at: Span, message: String, hint: Option<String>) {
        let (span, frame) = (Some(at), Frame::Whole);
        self.diags.list.push(Diagnostic { severity, span, message, hint, frame });
    }
}

/// Whether a message has this word, and not within another.
fn is_told(message: &str, word: &str) -> bool {
    let is_inner = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    message.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&message[..at], &message[at + word.len()..]);
        !is_inner(before.chars().next_back()) && !is_inner(behind.chars().next())
    })
}

/// The four sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Defaults,
    Frontend,
    Backend,
    Listen,
}

impl Kind {
    pub fn of(word: &str) -> Option<Kind> {
        Some(match word {
            "defaults" => Kind::Defaults,
            "frontend" => Kind::Frontend,
            "backend" => Kind::Backend,
            "listen" => Kind::Listen,
            _ => return None,
        })
    }

    /// As HAProxy's messages call it: a `listen` section is a proxy.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Defaults => "defaults",
            Kind::Frontend => "frontend",
            Kind::Backend => "backend",
            Kind::Listen => "proxy",
        }
    }

    /// The word that starts the section.
    pub fn word(self) -> &'static str {
        if self == Kind::Listen { "listen" } else { self.noun() }
    }
}

/// Where a log format came from; compiled when the section is complete.
#[derive(Clone, Copy, Debug)]
pub enum FormatSource<'a> {
    Httplog,
    Httpslog,
    HttplogClf,
    Tcplog,
    TcplogClf,
    Custom(&'a Word),
}

/// `log ...` lines and formats of a section.
#[derive(Clone, Debug, Default)]
pub struct LogDraft<'a> {
    pub targets: Vec<LogTarget>,
    /// `log global` was taken.
    pub global: bool,
    pub tag: Option<String>,
    pub format: Option<(FormatSource<'a>, Span)>,
    pub error_format: Option<&'a Word>,
    pub sd_format: Option<&'a Word>,
}

/// How servers of a backend are checked.
#[derive(Clone, Debug, Default)]
pub struct CheckDraft {
    pub rules: check::Rules,
    /// `httpchk` or `tcp-check`, when such an `option` was read.
    pub method: &'static str,
    /// This very section has `http-check`, `tcp-check` lines.
    pub has_http_rules: bool,
    pub has_tcp_rules: bool,
    /// A script names the ports it connects to.
    pub has_connect: bool,
    /// `external-check command` and `external-check path`.
    pub command: Option<Arc<str>>,
    pub command_path: Arc<str>,
}

/// Everything that a section takes from its `defaults`.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    pub mode: Mode,
    pub disabled: bool,
    pub timeouts: Timeouts,
    pub options: Options,
    pub maxconn: u32,
    pub backlog: u32,
    pub rate_limit_sessions: u32,
    pub retries: u32,
    pub retry_on: RetryOn,
    pub fullconn: u32,
    pub balance: balance::Spec,
    /// The last word of the line that says so.
    pub balance_at: Option<Span>,
    pub log: LogDraft<'a>,
    /// `errorfile`, `errorloc*`, `errorfiles`, `http-error` lines.
    pub errors: Vec<Args<'a>>,
    pub stats: Option<StatsSpec>,
    pub monitor_uri: Option<&'a Word>,
    pub unique_id_format: Option<&'a Word>,
    pub unique_id_header: Option<&'a Word>,
    /// The words behind `option forwarded`.
    pub forwarded: Option<&'a [Word]>,
    pub default_backend: Option<&'a Word>,
    pub default_server: ServerSettings,
    pub check: CheckDraft,
    pub source: Option<Address>,
    pub source_interface: Option<&'a str>,
    pub send_name_header: Option<&'a Word>,
    pub cookie: Option<Box<CookieSpec>>,
    pub compression: Option<compression::Settings>,
    pub dynamic_cookie_key: Option<&'a str>,
    /// `persist rdp-cookie`.
    pub desktop_cookie: Option<&'a str>,
    pub max_keep_alive_queue: i32,
    pub tcp_inspect_delay_ms: u64,
    pub tcp_response_inspect_delay_ms: u64,
    pub state_file: StateFile,
    pub state_file_name: Option<&'a str>,
}

/// `load-server-state-from-file`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateFile {
    #[default]
    None,
    Global,
    Local,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Settings {
            mode: Mode::Tcp,
            disabled: false,
            timeouts: Timeouts::default(),
            options: Options::default(),
            maxconn: 0,
            backlog: 0,
            rate_limit_sessions: 0,
            retries: 3,
            retry_on: RetryOn::default(),
            fullconn: 0,
            balance_at: None,
            balance: balance::Spec::default(),
            log: LogDraft::default(),
            errors: Vec::new(),
            stats: None,
            monitor_uri: None,
            unique_id_format: None,
            unique_id_header: None,
            forwarded: None,
            default_backend: None,
            default_server: ServerSettings::default(),
            check: CheckDraft::default(),
            source: None,
            source_interface: None,
            send_name_header: None,
            cookie: None,
            compression: None,
            dynamic_cookie_key: None,
            desktop_cookie: None,
            max_keep_alive_queue: -1,
            tcp_inspect_delay_ms: 0,
            tcp_response_inspect_delay_ms: 0,
            state_file: StateFile::None,
            state_file_name: None,
        }
    }
}

impl Settings<'_> {
    /// What a section that starts from these settings gets.
    fn handed_down(&self) -> Self {
        let mut set = self.clone();
        set.check.rules = set.check.rules.inherit();
        (set.check.has_http_rules, set.check.has_tcp_rules) = (false, false);
        set
    }
}

/// Lines that the rule language reads, kept in file order: an ACL must stand before the rule that uses it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    Acl(Args<'a>),
    TcpRequest(Args<'a>),
    TcpResponse(Args<'a>),
    HttpRequest(Args<'a>),
    HttpResponse(Args<'a>),
    HttpAfterResponse(Args<'a>),
    Redirect(Args<'a>),
    UseBackend(Args<'a>),
    UseServer(Args<'a>),
    Stick(Args<'a>),
    MonitorFail(Args<'a>),
    Persist(Args<'a>),
    ForceSwitch(Args<'a>),
    StatsAdmin(Args<'a>),
    StatsHttpRequest(Args<'a>),
}

/// A section while it is read.
pub struct Draft<'a> {
    pub kind: Kind,
    pub name: &'a str,
    pub at: Span,
    /// Index of its `defaults` among those read.
    pub from: Option<usize>,
    pub set: Settings<'a>,
    pub steps: Vec<Step<'a>>,
    pub id: Option<u32>,
    pub description: Option<String>,
    pub guid: Option<&'a str>,
    /// `be-unpublished`.
    pub unpublished: bool,
    pub binds: Vec<Bind>,
    /// There is a `bind` line, good or not.
    pub has_bind: bool,
    pub servers: Vec<ServerDraft>,
    pub dispatch: Option<Address>,
    pub services: Vec<ServiceDraft<'a>>,
    /// `filter` lines, in order.
    pub filters: Vec<Args<'a>>,
    /// `stick-table`, and where it stands.
    pub table: Option<(Spec, Span)>,
    pub captures: Captures,
    pub cookie_capture: Option<Capture>,
    /// What `defaults` gave, to warn of a second `timeout` line.
    pub inherited_timeouts: Timeouts,
    pub inherited_rate_limit: u32,
    /// The `stats` settings still are those of the `defaults` section.
    pub stats_inherited: bool,
}

impl<'a> Draft<'a> {
    pub fn new(kind: Kind, name: &'a str, at: Span, from: Option<(usize, &Draft<'a>)>) -> Self {
        Draft {
            kind,
            name,
            at,
            from: from.map(|(i, _)| i),
            set: from.map_or_else(Settings::default, |(_, d)| d.set.handed_down()),
            steps: Vec::new(),
            id: None,
            description: None,
            unpublished: false,
            guid: None,
            binds: Vec::new(),
            has_bind: false,
            servers: Vec::new(),
            dispatch: None,
            services: Vec::new(),
            filters: Vec::new(),
            table: None,
            captures: Captures::default(),
            cookie_capture: None,
            inherited_timeouts: from.map_or_else(Timeouts::default, |(_, d)| d.set.timeouts),
            inherited_rate_limit: from.map_or(0, |(_, d)| d.set.rate_limit_sessions),
            stats_inherited: from.is_some(),
        }
    }

    pub fn caps(&self) -> Caps {
        Caps { front: self.kind != Kind::Backend, back: self.kind != Kind::Frontend }
    }

    pub fn title(&self) -> String {
        format!("{} '{}'", self.kind.noun(), self.name)
    }
}
