//! The `global` section, compiled.

use std::path::PathBuf;
use std::sync::Arc;

use crate::filter::compression::Limits;
use crate::model::Address;
use crate::tls::{BindWords, Globals, ServerWords};

pub use crate::log::{LogAddress, LogFraming, LogTarget};

/// `stats socket <address> [mode user group level expose-fd ...]`.
#[derive(Clone, Debug, PartialEq)]
pub struct StatsSocket {
    pub address: Address,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub level: CliLevel,
    pub severity: SeverityOutput,
    pub expose_fd: bool,
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CliLevel {
    User,
    #[default]
    Operator,
    Admin,
}

/// How messages of the runtime API show their severity (`severity-output`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SeverityOutput {
    #[default]
    None,
    Number,
    String,
}

impl SeverityOutput {
    pub fn of(word: &str) -> Option<SeverityOutput> {
        Some(match word {
            "none" => SeverityOutput::None,
            "number" => SeverityOutput::Number,
            "string" => SeverityOutput::String,
            _ => return None,
        })
    }
}

/// `global`, with the manual's defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Process-wide connection limit; 0: computed from the descriptor limit at start.
    pub maxconn: u32,
    /// 0: one a core.
    pub nbthread: u16,
    pub user: Option<String>,
    pub uid: Option<u32>,
    pub group: Option<String>,
    pub gid: Option<u32>,
    pub chroot: Option<PathBuf>,
    /// `external-check`: whether it is there, and whether programs get the process's environment.
    pub external_check: Option<bool>,
    /// `insecure-fork-wanted`.
    pub may_fork: bool,
    pub daemon: bool,
    pub master_worker: bool,
    /// `master-worker no-exit-on-failure`.
    pub stay_on_failure: bool,
    pub pidfile: Option<PathBuf>,
    pub ulimit_n: Option<u64>,
    pub logs: Vec<LogTarget>,
    pub log_tag: Option<String>,
    /// `log-send-hostname`: `None` no, `Some(None)` our own.
    pub log_send_hostname: Option<Option<String>>,
    pub stats_sockets: Vec<StatsSocket>,
    pub stats_timeout_ms: u64,
    pub stats_maxconn: u32,
    pub hard_stop_after_ms: Option<u64>,
    /// `close-spread-time`, `u64::MAX` for `infinite`.
    pub close_spread_ms: u64,
    pub grace_ms: u64,
    pub node: Option<String>,
    pub description: Option<String>,
    pub localpeer: Option<String>,
    pub maxconnrate: u32,
    pub maxsessrate: u32,
    /// Percent.
    pub spread_checks: u32,
    pub max_spread_checks_ms: u64,
    pub server_state_file: Option<PathBuf>,
    pub server_state_base: Option<PathBuf>,
    pub strict_limits: bool,
    pub tune: Tune,
    /// `maxcomprate`, `maxzlibmem`, `tune.comp.maxlevel`.
    pub compression: Limits,
    pub h1_case_adjust: Arc<[(String, String)]>,
    pub quiet: bool,
    /// `zero-warning`: warnings are errors.
    pub zero_warning: bool,
    /// `ssl-*`, `ca-base` and the like: what lines say of TLS.
    pub tls: TlsGlobals,
}

/// What `global` says of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsGlobals {
    pub globals: Globals,
    /// `key-base`: of the keys of `crt-store` sections.
    pub key_base: Option<PathBuf>,
    /// `ssl-default-bind-*`: for what lines do not say.
    pub bind: BindWords,
    /// `ssl-default-server-*`, and `ssl-server-verify`.
    pub server: ServerWords,
    /// Most TLS connections of clients; 0: no limit.
    pub maxsslconn: u32,
    /// Most that begin in a second; 0: no limit.
    pub maxsslrate: u32,
}

impl PartialEq for TlsGlobals {
    fn eq(&self, other: &TlsGlobals) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// `tune.*` that have an effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Tune {
    pub bufsize: usize,
    pub maxrewrite: usize,
    /// Counters of a session or stream.
    pub stick_counters: usize,
    pub http_maxhdr: usize,
    pub http_logurilen: usize,
    pub maxaccept: u32,
    pub pipesize: usize,
    pub maxpipes: u32,
    pub rcvbuf_client: Option<usize>,
    pub rcvbuf_server: Option<usize>,
    pub sndbuf_client: Option<usize>,
    pub sndbuf_server: Option<usize>,
    pub chksize: usize,
    pub pool_high_fd_ratio: u32,
    pub pool_low_fd_ratio: u32,
    pub idletimer_ms: u64,
    pub splice: bool,
    pub h2: H2Tune,
}

/// `tune.h2.*`; 0 is what HAProxy does without the word.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct H2Tune {
    pub max_streams: usize,
    pub fe_max_streams: usize,
    pub initial_window: usize,
    pub fe_initial_window: usize,
    pub header_table: usize,
    pub fe_glitches: usize,
    pub fe_most_total: usize,
    pub be_max_streams: usize,
    pub be_initial_window: usize,
    pub be_glitches: usize,
}

impl Default for Tune {
    fn default() -> Self {
        Tune {
            bufsize: 16384,
            maxrewrite: 1024,
            stick_counters: crate::rules::build::STICK_COUNTERS,
            http_maxhdr: 101,
            http_logurilen: 1024,
            maxaccept: 4,
            pipesize: 0,
            maxpipes: 0,
            rcvbuf_client: None,
            rcvbuf_server: None,
            sndbuf_client: None,
            sndbuf_server: None,
            chksize: 16384,
            pool_high_fd_ratio: 25,
            pool_low_fd_ratio: 20,
            idletimer_ms: 1000,
            splice: true,
            h2: H2Tune::default(),
        }
    }
}

impl Default for Global {
    fn default() -> Self {
        Global {
            maxconn: 0,
            nbthread: 0,
            user: None,
            uid: None,
            group: None,
            gid: None,
            chroot: None,
            external_check: None,
            may_fork: false,
            daemon: false,
            master_worker: false,
            stay_on_failure: false,
            pidfile: None,
            ulimit_n: None,
            logs: Vec::new(),
            log_tag: None,
            log_send_hostname: None,
            stats_sockets: Vec::new(),
            stats_timeout_ms: 10_000,
            stats_maxconn: 10,
            hard_stop_after_ms: None,
            close_spread_ms: 0,
            grace_ms: 0,
            node: None,
            description: None,
            localpeer: None,
            maxconnrate: 0,
            maxsessrate: 0,
            spread_checks: 0,
            max_spread_checks_ms: 0,
            server_state_file: None,
            server_state_base: None,
            strict_limits: true,
            tune: Tune::default(),
            compression: Limits::default(),
            h1_case_adjust: Arc::from([]),
            quiet: false,
            zero_warning: false,
            tls: TlsGlobals::default(),
        }
    }
}
