//! What to check of a server, and how: a value the configuration makes and compares.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::tls::Upstream;

use super::rule::{Action, Connect, Step};

/// `init-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InitState {
    /// As `Up`, and a server that leaves maintenance is up at once.
    #[default]
    None,
    FullyUp,
    Up,
    Down,
    FullyDown,
}

/// `observe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Observe {
    #[default]
    None,
    Layer4,
    Layer7,
}

/// `on-error`: what follows from `error-limit` observed errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    FastInter,
    #[default]
    FailCheck,
    SuddenDeath,
    MarkDown,
}

/// What the steps speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Connecting is all (`check` alone).
    #[default]
    Connect,
    /// `option tcp-check`.
    Tcp,
    /// `option httpchk`.
    Http,
    /// `option redis-check` and its like: steps of the option's own.
    Own,
    /// `option external-check`: a program.
    External,
}

/// How checks speak TLS.
#[derive(Clone, Debug)]
pub struct CheckTls {
    pub upstream: Upstream,
    /// Connections speak it of which no step says whether.
    pub is_default: bool,
    /// `check-alpn`.
    pub alpn: Vec<Vec<u8>>,
    /// `check-sni`.
    pub sni: Option<Box<[u8]>>,
    /// Of all that these come from.
    pub fingerprint: u64,
}

impl CheckSpec {
    /// Whether checks go elsewhere than traffic.
    pub fn has_own_way(&self) -> bool {
        self.addr.is_some() || self.port.is_some()
    }

    /// How a step speaks TLS, if it does.
    pub fn tls_of(&self, connect: &Connect) -> Option<&CheckTls> {
        self.tls.as_ref().filter(|tls| connect.ssl || connect.default && tls.is_default)
    }

    /// Whether a step asks for TLS.
    pub fn asks_for_tls(&self) -> bool {
        self.steps.iter().any(|step| matches!(&step.action, Action::Connect(connect) if connect.ssl))
    }
}

impl PartialEq for CheckTls {
    fn eq(&self, other: &CheckTls) -> bool {
        (self.fingerprint, &self.sni, self.is_default) == (other.fingerprint, &other.sni, other.is_default)
    }
}

/// The program that `option external-check` runs, and what it is told of the proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct External {
    pub command: Arc<str>,
    /// `external-check path`.
    pub path: Arc<str>,
    /// Of the first address that the proxy listens on: an address or a path, and a port. Empty: there is none.
    pub proxy_address: String,
    pub proxy_port: String,
    pub proxy_id: u32,
    pub is_tls: bool,
    /// `h1`, `h2` or `tcp`.
    pub proto: &'static str,
    /// `external-check preserve-env`.
    pub keeps_environment: bool,
    /// `insecure-fork-wanted`, without which only a process of root may run programs.
    pub may_fork: bool,
}

/// The check of one server. Everything here is what the file says, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSpec {
    pub protocol: Protocol,
    /// `option udp-check`: what is sent and expected are datagrams.
    pub datagram: bool,
    /// Connect, send and expect steps in order; made by [`super::Rules::finish`]. Empty: connecting is all.
    pub steps: Vec<Step>,
    /// `option external-check`.
    pub external: Option<External>,
    /// `http-check disable-on-404`.
    pub disable_on_404: bool,
    /// `http-check send-state`.
    pub send_state: bool,
    /// `addr` and `port` of the server line, where they differ from the server's own.
    pub addr: Option<IpAddr>,
    pub port: Option<u16>,
    /// The version (1 or 2) of the PROXY header to begin with; 0: none.
    pub send_proxy: u8,
    /// `socks4`: the proxy that connections may go through, and whether those of checks do (`check-via-socks4`).
    pub socks4: Option<SocketAddr>,
    pub via_socks4: bool,
    /// `check-proto h2`, or `proto h2`: HTTP/2 without having agreed on it.
    pub h2: bool,
    /// `check-ssl`, or `ssl` of a server whose checks go where its traffic goes.
    pub tls: Option<CheckTls>,
    pub inter_ms: u64,
    /// 0: as `inter`.
    pub fastinter_ms: u64,
    pub downinter_ms: u64,
    pub rise: u32,
    pub fall: u32,
    /// `timeout check` and `timeout connect` of the backend; 0: not set.
    pub timeout_check_ms: u64,
    pub timeout_connect_ms: u64,
    pub init_state: InitState,
    pub observe: Observe,
    pub on_error: OnError,
    pub error_limit: u32,
    /// `slowstart` of the server.
    pub slowstart_ms: u64,
    /// `on-marked-down shutdown-sessions` and `on-marked-up shutdown-backup-sessions`.
    pub shutdown_on_down: bool,
    pub shutdown_backups_on_up: bool,
    /// `option log-health-checks` of the backend.
    pub log_health_checks: bool,
    /// `spread-checks` of `global`.
    pub spread_percent: u32,
    /// `tune.chksize`: most bytes of an answer that are looked at.
    pub answer_max: usize,
}

impl Default for CheckSpec {
    fn default() -> Self {
        CheckSpec {
            protocol: Protocol::Connect,
            datagram: false,
            steps: Vec::new(),
            external: None,
            disable_on_404: false,
            send_state: false,
            addr: None,
            port: None,
            send_proxy: 0,
            socks4: None,
            via_socks4: false,
            h2: false,
            tls: None,
            inter_ms: 2000,
            fastinter_ms: 0,
            downinter_ms: 0,
            rise: 2,
            fall: 3,
            timeout_check_ms: 0,
            timeout_connect_ms: 0,
            init_state: InitState::None,
            observe: Observe::None,
            on_error: OnError::FailCheck,
            error_limit: 10,
            slowstart_ms: 0,
            shutdown_on_down: false,
            shutdown_backups_on_up: false,
            log_health_checks: false,
            spread_percent: 0,
            answer_max: 16384,
        }
    }
}

impl CheckSpec {
    /// The health of a server that passed enough checks.
    pub fn full_health(&self) -> u32 {
        self.rise + self.fall - 1
    }

    /// The state of a server that comes up.
    pub fn oper_when_up(&self) -> crate::model::OperState {
        if self.slowstart_ms > 0 {
            crate::model::OperState::Starting
        } else {
            crate::model::OperState::Running
        }
    }

    /// How long connecting may take: the interval, and `timeout connect` when there is a `timeout check` too.
    pub fn connect_timeout_ms(&self) -> u64 {
        if self.timeout_check_ms > 0 && self.timeout_connect_ms > 0 {
            self.inter_ms.min(self.timeout_connect_ms)
        } else {
            self.inter_ms
        }
    }
}

/// `init-state <state>`.
pub fn parse_init_state(word: &str) -> Result<InitState, String> {
    match word {
        "none" => Ok(InitState::None),
        "fully-up" => Ok(InitState::FullyUp),
        "up" => Ok(InitState::Up),
        "down" => Ok(InitState::Down),
        "fully-down" => Ok(InitState::FullyDown),
        _ => Err(format!(
            "'init-state' expects one of 'none', 'fully-up', 'up', 'down', or 'fully-down' but got '{word}'"
        )),
    }
}

/// `observe <mode>`. `layer7` needs `mode http`.
pub fn parse_observe(word: &str, is_http: bool) -> Result<Observe, String> {
    match word {
        "" => Err("'observe' expects <mode> as argument.".to_owned()),
        "none" => Ok(Observe::None),
        "layer4" => Ok(Observe::Layer4),
        "layer7" if is_http => Ok(Observe::Layer7),
        "layer7" => Err("'layer7' can only be used in http proxies.".to_owned()),
        _ => Err(format!("'observe' expects one of 'none', 'layer4', 'layer7' but got '{word}'")),
    }
}

/// `on-error <mode>`.
pub fn parse_on_error(word: &str) -> Result<OnError, String> {
    match word {
        "fastinter" => Ok(OnError::FastInter),
        "fail-check" => Ok(OnError::FailCheck),
        "sudden-death" => Ok(OnError::SuddenDeath),
        "mark-down" => Ok(OnError::MarkDown),
        _ => Err(format!(
            "'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or 'mark-down' but got '{word}'"
        )),
    }
}
