//! What `dns` sections say, every word checked: made by `language`, put to work by `follow` and `server`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use super::answer::Settings;
use super::policy::{ClientMap, LastResort, Policy, RegionId, Spread, Step};
use super::zone::Zones;

pub type Name = Arc<str>;

/// All `dns` sections.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    pub responders: Vec<Responder>,
}

/// One section.
#[derive(Clone, Debug)]
pub struct Responder {
    pub name: Name,
    pub binds: Vec<Listen>,
    /// Threads that answer datagrams.
    pub threads: usize,
    pub settings: Arc<Settings>,
    pub zones: Arc<Zones>,
    /// What records ask for, each once.
    pub services: Vec<ServiceRef>,
    pub records: Vec<RecordSpec>,
    pub consul: Option<ConsulSpec>,
    pub geography: Arc<Geodata>,
    /// Who is told that a zone changed.
    pub notify: Vec<SocketAddr>,
    /// Who is asked for names that are not ours; nobody when it is empty.
    pub forward: Vec<ForwardSpec>,
    /// Clients that may ask for such names.
    pub allow: Vec<IpNet>,
    pub limits: Limits,
}

/// A `bind` line.
#[derive(Clone, Debug)]
pub struct Listen {
    pub address: SocketAddr,
    /// Clients speak TLS over TCP and nothing else.
    pub tls: Option<Secure>,
}

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub struct Secure {
    /// What is shown to clients.
    pub config: Arc<ServerConfig>,
    /// Queries are requests of HTTP for this path (RFC 8484); without it they come as they are (RFC 7858).
    pub path: Option<Arc<str>>,
}

/// A `forward` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSpec {
    /// In wire form and lower case.
    pub domain: Box<[u8]>,
    pub servers: Vec<UpstreamSpec>,
}

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSpec {
    pub address: SocketAddr,
    /// It is asked over TLS.
    pub tls: Option<UpstreamTls>,
}

/// How it is known that it is the right one.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// What its certificate must be for.
    pub name: ServerName<'static>,
    /// Of who may have signed it, to tell whether that changed.
    pub digest: u64,
    pub client: Arc<ClientConfig>,
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.digest == other.digest
    }
}

impl Eq for UpstreamTls {}

/// A domain of Consul's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulSpec {
    /// In wire form and lower case.
    pub domain: Box<[u8]>,
    pub datacenter: Name,
    pub ttl: u32,
}

/// What a geographic database says, as it was when the configuration was read.
#[derive(Clone, Debug, Default)]
pub struct Geodata {
    pub file: Option<PathBuf>,
    pub clients: Arc<ClientMap>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceRef {
    pub name: Name,
    /// An instance must have them all.
    pub tags: Vec<Name>,
}

/// A `record` line whose data comes from the region map.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSpec {
    /// In wire form.
    pub owner: Vec<u8>,
    /// Number among the services.
    pub service: usize,
    pub policy: PolicySpec,
    pub ttl: u32,
}

/// A policy as it is written: regions by name, which may come to be later.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicySpec {
    pub steps: Vec<StepSpec>,
    pub spread: SpreadSpec,
    pub high_water: Option<u8>,
    pub take: Option<usize>,
    pub last_resort: LastResort,
}

#[derive(Clone, Debug, PartialEq)]
pub enum StepSpec {
    Nearest(Vec<(Name, i8)>),
    Country,
    Continent,
    Networks,
    Failover(Vec<Name>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum SpreadSpec {
    #[default]
    All,
    Weighted(Vec<(Name, u32)>),
    Sticky,
}

/// What clients may take of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// How long one may be silent, in milliseconds.
    pub idle_ms: u64,
    /// Answers of a kind to a network in a second, without a cookie; 0: no limit.
    pub rate: u32,
    /// One of so many queries is logged; 0: none.
    pub log_every: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 10_000, idle_ms: 10_000, rate: 0, log_every: 0 }
    }
}

impl std::fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words: Vec<String> = self.steps.iter().map(StepSpec::to_string).collect();
        match &self.spread {
            SpreadSpec::All => {}
            SpreadSpec::Sticky => words.push("sticky".to_owned()),
            SpreadSpec::Weighted(list) if list.is_empty() => words.push("weighted".to_owned()),
            SpreadSpec::Weighted(list) => {
                let list: Vec<String> =
                    list.iter().map(|(region, weight)| format!("{region}={weight}")).collect();
                words.push(format!("weighted {}", list.join(",")));
            }
        }
        words.extend(self.high_water.map(|percent| format!("load {percent}")));
        words.extend(self.take.map(|most| format!("multivalue {most}")));
        f.write_str(if words.is_empty() { "all" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}

impl std::fmt::Display for StepSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StepSpec::Nearest(bias) if bias.is_empty() => f.write_str("nearest"),
            StepSpec::Nearest(bias) => {
                let list: Vec<String> =
                    bias.iter().map(|(region, percent)| format!("{region}={percent}")).collect();
                write!(f, "nearest bias {}", list.join(","))
            }
            StepSpec::Country => f.write_str("country"),
            StepSpec::Continent => f.write_str("continent"),
            StepSpec::Networks => f.write_str("networks"),
            StepSpec::Failover(list) => write!(f, "failover {}", list.join(",")),
        }
    }
}

impl PolicySpec {
    /// With regions by number. What names a region that is not there is left out.
    pub fn compile(&self, id: &dyn Fn(&str) -> Option<RegionId>) -> Policy {
        let step = |step: &StepSpec| match step {
            StepSpec::Nearest(bias) => {
                Step::Nearest(bias.iter().filter_map(|(name, bias)| Some((id(name)?, *bias))).collect())
            }
            StepSpec::Country => Step::Country,
            StepSpec::Continent => Step::Continent,
            StepSpec::Networks => Step::Networks,
            StepSpec::Failover(list) => Step::Failover(list.iter().filter_map(|name| id(name)).collect()),
        };
        Policy {
            steps: self.steps.iter().map(step).collect(),
            spread: match &self.spread {
                SpreadSpec::All => Spread::All,
                SpreadSpec::Sticky => Spread::Sticky,
                SpreadSpec::Weighted(list) => {
                    Spread::Weighted(list.iter().filter_map(|(name, w)| Some((id(name)?, *w))).collect())
                }
            },
            high_water: self.high_water,
            take: self.take,
            last_resort: self.last_resort.clone(),
        }
    }

    /// Every region it names.
    pub fn regions(&self) -> impl Iterator<Item = &Name> {
        let of_steps = self.steps.iter().flat_map(|step| match step {
            StepSpec::Nearest(list) => list.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            StepSpec::Failover(list) => list.iter().collect(),
            _ => Vec::new(),
        });
        let of_spread = match &self.spread {
            SpreadSpec::Weighted(list) => list.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        of_steps.chain(of_spread)
    }
}
