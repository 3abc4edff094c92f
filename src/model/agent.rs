//! The agent of a server (`agent-check`): a program beside it that tells how much it may take.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use crate::base::Live;

use super::check_state::CheckState;

/// What the configuration says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSpec {
    /// `agent-addr`: elsewhere than the server.
    pub addr: Option<IpAddr>,
    pub port: u16,
    pub inter_ms: u64,
    /// `timeout check` of the backend; 0: as `inter_ms`.
    pub timeout_ms: u64,
    /// `agent-send`.
    pub send: Arc<[u8]>,
    /// `option log-health-checks` of the backend.
    pub log_checks: bool,
}

/// What is true of it now.
#[derive(Debug)]
pub struct AgentLive {
    /// `disable agent`, `enable agent`.
    pub enabled: AtomicBool,
    /// 1 unless it said that the server is down.
    pub health: AtomicU32,
    pub check: Live<CheckState>,
    /// `set server agent-send`, `agent-addr` and `agent-port`: instead of what the file says.
    pub send: Live<Option<Arc<[u8]>>>,
    pub addr: Live<Option<IpAddr>>,
    /// 0: as the file says.
    pub port: AtomicU32,
}

impl AgentLive {
    pub fn new(is_enabled: bool) -> AgentLive {
        AgentLive {
            enabled: AtomicBool::new(is_enabled),
            health: AtomicU32::new(1),
            check: Live::new(CheckState { status: "INI", ..CheckState::default() }),
            send: Live::new(None),
            addr: Live::new(None),
            port: AtomicU32::new(0),
        }
    }
}
