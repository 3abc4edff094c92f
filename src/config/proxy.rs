//! `frontend`, `backend` and `listen` sections, compiled.
//!
//! One type serves the three, as `fe`/`be` of a stream may be the same proxy (`listen`): its rules then run once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::balance;
use crate::base::Live;
use crate::check::{CheckSpec, Hooks, Member};
use crate::filter;
use crate::lang::Span;
use crate::model::applet::Applet;
use crate::model::{Address, Mode, ProxyId, ProxyLive, Server, ServerSet, ServerSpec};
use crate::resolve::Resolvers;
use crate::rules::{
    Candidates, Capture, Condition, ErrorPages, Expr, Forwarded, LogFormat, RuleSet, StickRule, VarId,
};
use crate::tls::{self, BindWords, Endpoint};

use super::global::{Global, LogTarget};
use super::service::ServiceSpec;

impl Backend {
    /// What to check of a server.
    pub fn check_of(&self, name: &str) -> Option<CheckSpec> {
        let declared = self.checks.iter().find(|(of, _)| **of == *name).map(|(_, check)| check.clone());
        declared
            .or_else(|| self.added_checks.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    /// A server of this backend with what its changes of state touch.
    pub fn member(&self, proxy: &Proxy, server: &Server, hooks: Arc<dyn Hooks>) -> Member {
        Member {
            backend: proxy.name.clone(),
            kind: if proxy.front.is_some() { "proxy" } else { "backend" },
            proxy: proxy.live.clone(),
            servers: self.servers.clone(),
            server: server.clone(),
            check: self.check_of(&server.spec.name).map(Arc::new),
            hooks,
        }
    }
}

/// Everything the data plane needs to know of the configuration.
pub struct Config {
    /// Grows with every configuration of this process, from 1.
    pub generation: u64,
    /// Names of the files that it came from, by their number in places.
    pub files: Vec<Box<str>>,
    pub global: Global,
    /// By [`ProxyId`].
    pub proxies: Vec<Proxy>,
    /// Backends (and `listen`) by name; frontends by name.
    pub backends: HashMap<Arc<str>, ProxyId>,
    pub frontends: HashMap<Arc<str>, ProxyId>,
    /// `set-var` of `global`.
    pub proc_vars: Vec<(VarId, crate::rules::Sample<'static>)>,
    /// `cache` sections.
    pub caches: filter::cache::Caches,
    /// Patterns of ACLs and maps, which the runtime API shows and changes.
    pub patterns: crate::rules::PatternRefs,
    /// `resolvers` sections, in file order.
    pub resolvers: Vec<Arc<Resolvers>>,
    pub tables: crate::stick::Tables,
    /// Backend and name of each server that an expression names: they cannot be removed while running.
    pub named_servers: Vec<(Box<str>, Box<str>)>,
    /// `peers` sections, in file order.
    pub peers: Vec<crate::peers::Spec>,
    /// Certificates and what belongs to them, which the runtime API shows and changes.
    pub tls: Mutex<tls::Live>,
}

impl Config {
    pub fn proxy(&self, id: ProxyId) -> &Proxy {
        &self.proxies[id.0 as usize]
    }

    /// How TLS is spoken to servers and by their checks, those of servers that were added while running too.
    pub fn upstreams(&self) -> Vec<tls::Upstream> {
        let mut found = Vec::new();
        for back in self.proxies.iter().filter_map(|proxy| proxy.back.as_ref()) {
            let set = back.servers.load();
            let servers = set.list.iter().filter_map(|server| server.spec.tls.as_ref());
            found.extend(servers.map(|tls| tls.upstream.clone()));
            let services = back.services.iter().filter_map(|service| service.template.tls.as_ref());
            found.extend(services.map(|tls| tls.upstream.clone()));
            let checks = back.checks.iter().filter_map(|(_, check)| check.tls.as_ref());
            found.extend(checks.map(|tls| tls.upstream.clone()));
            let added = back.added_checks.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(added.values().filter_map(|check| Some(check.tls.as_ref()?.upstream.clone())));
        }
        tls::Upstream::distinct(&mut found);
        found
    }
}

/// `timeout ...` in milliseconds; 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub client: u64,
    pub client_fin: u64,
    /// Parsed for show; handshakes are bounded by `client`.
    pub client_hs: u64,
    pub connect: u64,
    pub check: u64,
    pub http_keep_alive: u64,
    pub http_request: u64,
    pub queue: u64,
    pub server: u64,
    pub server_fin: u64,
    pub tarpit: u64,
    pub tunnel: u64,
}

/// `option http-keep-alive | http-server-close | httpclose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HttpConnection {
    #[default]
    KeepAlive,
    ServerClose,
    Close,
}

/// `http-reuse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HttpReuse {
    Never,
    #[default]
    Safe,
    Aggressive,
    Always,
}

/// `option forwardfor` / `originalto`: header name, networks left out, only when the field is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardFor {
    pub header: Box<[u8]>,
    pub except: Vec<ipnet::IpNet>,
    pub if_none: bool,
}

/// Switches of a proxy, defaults merged in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub http_connection: HttpConnection,
    pub http_reuse: HttpReuse,
    pub dontlognull: bool,
    pub dontlog_normal: bool,
    pub log_separate_errors: bool,
    pub log_asap: bool,
    pub log_health_checks: bool,
    pub redispatch: bool,
    /// Without a server, connections go where the client wanted to.
    pub transparent: bool,
    /// Every how many retries `redispatch` applies (-1: the last one only; 0 off).
    pub redispatch_every: i32,
    /// Unless said, as the mode has it: a half-closed connection is nothing unusual in TCP mode alone.
    pub abortonclose: Option<bool>,
    pub allbackups: bool,
    pub http_buffer_request: bool,
    pub http_ignore_probes: bool,
    pub disable_h2_upgrade: bool,
    pub http_no_delay: bool,
    pub http_pretend_keepalive: bool,
    pub http_restrict_req_hdr_names: RestrictNames,
    pub prefer_last_server: bool,
    pub socket_stats: bool,
    pub tcpka_client: bool,
    pub tcpka_server: bool,
    pub independent_streams: bool,
    pub nolinger: bool,
    pub checkcache: bool,
    pub accept_unsafe_request: bool,
    pub accept_unsafe_response: bool,
    pub persist: bool,
    pub forwardfor: Option<ForwardFor>,
    pub originalto: Option<ForwardFor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RestrictNames {
    #[default]
    Default,
    Preserve,
    Delete,
    Reject,
}

/// `retry-on` events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryOn {
    pub conn_failure: bool,
    pub empty_response: bool,
    pub junk_response: bool,
    pub response_timeout: bool,
    pub zero_rtt_rejected: bool,
    pub statuses: Vec<u16>,
}

impl Default for RetryOn {
    fn default() -> Self {
        RetryOn {
            conn_failure: true,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            zero_rtt_rejected: false,
            statuses: Vec::new(),
        }
    }
}

/// Where a proxy's log lines go and what they look like.
#[derive(Default)]
pub struct LogSpec {
    /// `log global` resolved to the global list.
    pub targets: Arc<[LogTarget]>,
    pub tag: Option<String>,
    /// `None`: connection lines only for errors, as HAProxy's default format.
    pub format: Option<Arc<LogFormat>>,
    pub error_format: Option<Arc<LogFormat>>,
    pub sd_format: Option<Arc<LogFormat>>,
    /// Log when the connection ends rather than when the request is known (`%B`, `%Tt` in the format).
    pub needs_end: bool,
}

/// The rule sets a proxy can have.
#[derive(Default)]
pub struct Rules {
    pub tcp_connection: RuleSet,
    pub tcp_session: RuleSet,
    pub tcp_content: RuleSet,
    pub tcp_inspect_delay_ms: u64,
    pub tcp_response: RuleSet,
    pub tcp_response_inspect_delay_ms: u64,
    pub http_request: RuleSet,
    /// `redirect` lines.
    pub redirect: RuleSet,
    pub http_response: RuleSet,
    pub http_after_response: RuleSet,
}

impl Rules {
    /// All rules are there.
    pub fn seal(&mut self) {
        let requests =
            [&mut self.tcp_connection, &mut self.tcp_session, &mut self.tcp_content, &mut self.http_request];
        let responses = [&mut self.tcp_response, &mut self.http_response, &mut self.http_after_response];
        requests.into_iter().chain(responses).chain([&mut self.redirect]).for_each(RuleSet::seal);
    }

    /// A request has nothing to fear: no rule looks at it.
    pub fn spare_requests(&self) -> bool {
        self.tcp_content.is_empty() && self.http_request.is_empty() && self.redirect.is_empty()
    }

    /// No rule looks at a response.
    pub fn spare_responses(&self) -> bool {
        self.tcp_response.is_empty() && self.http_response.is_empty()
    }
}

/// A `frontend`, `backend` or `listen` section.
pub struct Proxy {
    pub name: Arc<str>,
    /// `id`, unique number (`fe_id`, `be_id`).
    pub uid: u32,
    pub mode: Mode,
    pub disabled: bool,
    pub description: Option<String>,
    pub timeouts: Timeouts,
    pub options: Options,
    pub log: LogSpec,
    pub rules: Rules,
    pub errors: ErrorPages,
    /// What bodies pass, in order.
    pub filters: Vec<filter::Spec>,
    /// `compression ...`.
    pub compression: Option<Arc<filter::compression::Settings>>,
    /// `stats ...`.
    pub stats: Option<Arc<StatsSpec>>,
    /// `stats http-request` rules, and `stats admin` conditions (one that holds is enough).
    pub stats_rules: RuleSet,
    pub stats_admin: Vec<Condition>,
    pub maxconn: u32,
    pub live: Arc<ProxyLive>,
    pub front: Option<Frontend>,
    pub back: Option<Backend>,
    /// Something reads the request line as received (logs, captures).
    pub needs_uri_line: bool,
    /// Something reads our end of the client's (`dst`) or server's (`bc_src`) connection.
    pub needs_local_address: bool,
    pub needs_server_address: bool,
    pub declared_at: Span,
}

/// The client side.
#[derive(Default)]
pub struct Frontend {
    pub binds: Vec<Bind>,
    pub backlog: u32,
    pub rate_limit_sessions: u32,
    /// `use_backend`, in order.
    pub switching: Switching,
    pub default_backend: Option<ProxyId>,
    pub monitor_uri: Option<Box<[u8]>>,
    pub monitor_fail: Vec<Condition>,
    pub unique_id_format: Option<Arc<LogFormat>>,
    pub unique_id_header: Option<Box<[u8]>>,
    /// `capture cookie`: a beginning of names, and how much is kept.
    pub cookie_capture: Option<Capture>,
    pub req_captures: Vec<Capture>,
    pub res_captures: Vec<Capture>,
    /// `mode haterm` or another service that answers every request.
    pub applet: Option<Arc<dyn Applet>>,
}

/// `use_backend` lines, in order.
#[derive(Default)]
pub struct Switching {
    pub lines: Vec<Switch>,
    /// What spares trying each of many.
    pub candidates: Candidates,
    /// `force-be-switch`: when one of these holds, backends that are not in use are switched to all the same.
    pub forced: Vec<Condition>,
}

impl Switching {
    pub fn new(lines: Vec<Switch>, forced: Vec<Condition>) -> Switching {
        let conditions: Vec<_> = lines.iter().map(|line| line.condition.as_ref()).collect();
        let candidates = Candidates::of(&conditions, true);
        Switching { lines, candidates, forced }
    }

    /// No line has a say: the default backend is it, if it is in use.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.forced.is_empty()
    }
}

/// One `use_backend` line.
pub struct Switch {
    pub at: Span,
    pub target: SwitchTarget,
    pub condition: Option<Condition>,
}

pub enum SwitchTarget {
    Backend(ProxyId),
    /// A log-format evaluated for each request; an unknown name goes on to the next rule.
    Dynamic(LogFormat),
}

/// The server side.
pub struct Backend {
    pub balance: balance::Spec,
    /// `option forwarded`.
    pub forwarded: Option<Forwarded>,
    /// The value hashed by `balance hash <expr>` / `hdr()` when it is an expression.
    pub balance_expr: Option<Expr>,
    /// `sni` of servers by name, and of those that `default-server` stands for by no name.
    pub snis: HashMap<Arc<str>, Expr>,
    /// `set-proxy-v2-tlv-fmt`, in the same way.
    pub proxy_tlvs: HashMap<Arc<str>, Vec<(u8, LogFormat)>>,
    pub servers: Arc<Live<ServerSet>>,
    /// The servers as the file declares them, in order: what a reload compares with. The set beside it may differ.
    pub declared: Vec<Arc<ServerSpec>>,
    /// Whose instances are servers too.
    pub services: Vec<ServiceSpec>,
    /// What to check, by server name.
    pub checks: Vec<(Arc<str>, CheckSpec)>,
    /// The same of servers that were added while running; stays over a change of configuration.
    pub added_checks: Arc<Mutex<HashMap<Arc<str>, CheckSpec>>>,
    /// What the section says of checks, for a server that says nothing itself.
    pub check_template: CheckSpec,
    pub retries: u32,
    pub retry_on: RetryOn,
    pub fullconn: u32,
    pub source: Option<Address>,
    /// `source ... interface <name>`.
    pub source_interface: Option<Arc<str>>,
    /// `force-persist` and `ignore-persist`, in file order: the first that applies counts.
    pub persist: Vec<PersistRule>,
    /// `persist rdp-cookie`: the cookie that has the address of a server.
    pub desktop_cookie: Option<Box<[u8]>>,
    /// `use-server <name> if ...`
    pub use_server: Vec<UseServer>,
    /// `stick ...`, in order.
    pub sticking: Vec<StickRule>,
    pub cookie: Option<Box<CookieSpec>>,
    /// `http-send-name-header`.
    pub send_name_header: Option<Box<[u8]>>,
    pub max_keep_alive_queue: i32,
    /// `load-server-state-from-file`: `None` no, else the file.
    pub state_file: Option<std::path::PathBuf>,
}

/// What `cookie` makes of the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CookieMode {
    /// The application sets it, the proxy reads it.
    #[default]
    Passive,
    Rewrite,
    Insert,
    Prefix,
}

/// `cookie`: persistence.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CookieSpec {
    pub name: Box<[u8]>,
    pub mode: CookieMode,
    pub indirect: bool,
    pub nocache: bool,
    pub postonly: bool,
    pub preserve: bool,
    /// Servers without a value of their own have one made of their address.
    pub dynamic: bool,
    /// `maxidle` and `maxlife`: how long a cookie counts after it was last set, and after it first was; 0: for ever.
    pub max_idle_s: u64,
    pub max_life_s: u64,
    /// What follows the value where the proxy sets it: `; path=/` and more.
    pub attributes: Box<[u8]>,
}

/// `force-persist` or `ignore-persist`.
pub struct PersistRule {
    pub is_forced: bool,
    pub condition: Condition,
}

/// One `use-server` line.
pub struct UseServer {
    pub target: ServerTarget,
    pub condition: Condition,
}

pub enum ServerTarget {
    /// By name: its index in the set may change.
    Server(Arc<str>),
    /// A log-format evaluated for each request; an unknown name goes on to the next rule.
    Dynamic(LogFormat),
}

/// One listening address; a port range makes several.
#[derive(Clone, Debug, PartialEq)]
pub struct Bind {
    pub address: Address,
    /// `udp@`: it takes datagrams.
    pub datagram: bool,
    /// `name`, else none.
    pub name: Option<Arc<str>>,
    /// `id` (`so_id`).
    pub id: u32,
    pub interface: Option<String>,
    pub maxconn: u32,
    pub backlog: u32,
    pub defer_accept: bool,
    pub v4v6: bool,
    pub v6only: bool,
    pub transparent: bool,
    pub accept_proxy: bool,
    /// Clients speak HTTP/2 from the first byte on.
    pub proto_h2: bool,
    /// It speaks HTTP/1 alone (`proto h1`).
    pub proto_h1: bool,
    pub tfo: bool,
    pub mss: Option<i32>,
    /// `tcp-ss`.
    pub tcp_ss: u8,
    pub tcp_ut_ms: u32,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub nice: i32,
    pub level: super::global::CliLevel,
    pub severity: super::global::SeverityOutput,
    /// Old processes may hand this socket over (`expose-fd listeners`; runtime sockets only).
    pub expose_fd: bool,
    pub label: Option<Arc<str>>,
    /// `cc`: TCP congestion control algorithm.
    pub congestion: Option<Arc<str>>,
    pub tls: BindTls,
    pub declared_at: Span,
}

/// What a `bind` line says of TLS, and what is made of it.
#[derive(Clone, Debug, Default)]
pub struct BindTls {
    /// `ssl`: without it the other words mean nothing.
    pub is_on: bool,
    pub words: BindWords,
    /// There where `is_on`.
    pub endpoint: Option<Arc<Endpoint>>,
    /// The addresses as the line has them.
    pub written: Box<str>,
}

/// The socket is the same one, whatever is shown on it.
impl PartialEq for BindTls {
    fn eq(&self, other: &BindTls) -> bool {
        self.is_on == other.is_on
    }
}

impl Bind {
    /// An address with every option at its default.
    pub fn new(address: Address, declared_at: Span) -> Self {
        Bind {
            address,
            datagram: false,
            name: None,
            id: 0,
            interface: None,
            maxconn: 0,
            backlog: 0,
            defer_accept: false,
            v4v6: false,
            v6only: false,
            transparent: false,
            accept_proxy: false,
            proto_h2: false,
            proto_h1: false,
            tfo: false,
            mss: None,
            tcp_ss: 0,
            tcp_ut_ms: 0,
            mode: None,
            uid: None,
            gid: None,
            nice: 0,
            level: super::global::CliLevel::default(),
            severity: super::global::SeverityOutput::default(),
            expose_fd: false,
            label: None,
            congestion: None,
            tls: BindTls::default(),
            declared_at,
        }
    }
}

/// `stats enable|uri|realm|auth|...`.
#[derive(Clone, Debug)]
pub struct StatsSpec {
    pub uri: Box<[u8]>,
    pub realm: String,
    /// `user:password` pairs; empty: no authentication.
    pub auth: Vec<(String, String)>,
    pub refresh_s: Option<u32>,
    pub hide_version: bool,
    pub show_node: Option<String>,
    pub show_desc: Option<String>,
    pub show_legends: bool,
    pub scope: Vec<String>,
    /// `stats admin`: 0 never, 1 always (`if TRUE`); conditions are evaluated by rules when they come.
    pub admin: bool,
    /// What answers; handed in when the configuration is built.
    pub applet: Option<Arc<dyn Applet>>,
}

impl StatsSpec {
    /// Whether a request's target is the page (`uri` and what follows it).
    pub fn serves(&self, path_and_query: &[u8]) -> bool {
        path_and_query.starts_with(&self.uri)
    }
}
