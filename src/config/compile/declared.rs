//! Servers and services as their lines declare them, before names are resolved and numbers given.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::check::CheckSpec;
use crate::lang::Span;
use crate::model::ServerSpec;
use crate::model::notation::{Family, Written};
use crate::tls::ServerWords;

use super::super::service::Reach;

/// Options of a server, as `default-server` hands them down.
#[derive(Clone, Debug, Default)]
pub struct ServerSettings {
    /// What balancing and connecting need. Its name, number and address are given when the section is complete.
    pub spec: ServerSpec,
    /// How `check` checks.
    pub checking: CheckSpec,
    /// `healthcheck`: the section that says how it is checked, in place of its backend.
    pub healthcheck: Option<Arc<str>>,
    /// `check-proto`: whether checks speak HTTP/2.
    pub checking_h2: Option<bool>,
    pub init_addr: Vec<InitAddr>,
    pub agent: AgentSettings,
    pub resolving: ResolvingSettings,
    pub id: Option<u32>,
    pub tls: TlsSettings,
    /// `set-proxy-v2-tlv-fmt`: kinds and formats.
    pub proxy_tlvs: Vec<(u8, String, Span)>,
}

/// What a `server` line says of its agent.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// `agent-check`.
    pub is_on: bool,
    pub addr: Option<IpAddr>,
    /// 0: none.
    pub port: u16,
    pub inter_ms: u64,
    pub send: Vec<u8>,
}

impl Default for AgentSettings {
    fn default() -> Self {
        AgentSettings { is_on: false, addr: None, port: 0, inter_ms: 2000, send: Vec::new() }
    }
}

/// What a `server` line says of its name while running.
#[derive(Clone, Debug, Default)]
pub struct ResolvingSettings {
    pub resolvers: Option<String>,
    /// IPv6 unless said.
    pub prefer: Option<Family>,
    pub nets: Vec<IpNet>,
    pub allow_dup_ip: bool,
    pub ignore_weight: bool,
}

/// What a `server` line says of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// `ssl`.
    pub is_on: bool,
    /// `no-ssl` came last.
    pub is_off: bool,
    pub words: ServerWords,
    /// `sni`: an expression.
    pub sni: Option<(String, Span)>,
    /// `check-ssl`, `check-sni`, `check-alpn`.
    pub check: bool,
    pub check_sni: Option<String>,
    pub check_alpn: Option<String>,
}

/// One method of `init-addr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitAddr {
    /// The address of the last run (server-state file).
    Last,
    /// The system's resolver.
    Libc,
    /// Start without an address, in maintenance.
    None,
    Ip(IpAddr),
}

/// A server as its line declares it.
#[derive(Clone, Debug)]
pub struct ServerDraft {
    pub name: Arc<str>,
    pub at: Span,
    pub written: Written,
    pub set: ServerSettings,
}

/// A `service` line while its section is read.
#[derive(Clone, Debug)]
pub struct ServiceDraft<'a> {
    pub at: Span,
    pub name: &'a str,
    pub reach: Reach,
    pub tags: Vec<Arc<str>>,
    pub check: bool,
    pub overflow_percent: u32,
    pub max: usize,
    /// `default-server` as it stood at the line.
    pub set: ServerSettings,
}
