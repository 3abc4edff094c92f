//! `Entrance`: the frontend and the listener that a request comes to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::{Bind, Config, Proxy};
use crate::model::{Mode, ProxyId};

use super::asked::Request;

/// Where a request goes in.
#[derive(Clone, Debug)]
pub struct Entrance {
    pub front: ProxyId,
    pub bind: usize,
    /// Where the client goes to.
    pub to: SocketAddr,
    /// Why this one.
    pub why: String,
}

/// The parts of an absolute URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'u> {
    pub is_https: bool,
    /// With its port, if it has one.
    pub authority: &'u str,
    pub port: u16,
    /// With its query.
    pub path: &'u str,
}

impl<'u> Url<'u> {
    /// `None`: it is a path.
    pub fn of(text: &'u str) -> Option<Url<'u>> {
        let (scheme, rest) = text.split_once("://")?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let is_https = scheme.eq_ignore_ascii_case("https");
        let port = port_of(authority).unwrap_or(if is_https { 443 } else { 80 });
        Some(Url { is_https, authority, port, path: if path.is_empty() { "/" } else { path } })
    }

    /// The name or address without its port.
    pub fn host(&self) -> &'u str {
        match port_of(self.authority) {
            Some(_) => self.authority.rsplit_once(':').map_or(self.authority, |(host, _)| host),
            None => self.authority,
        }
    }
}

fn port_of(authority: &str) -> Option<u16> {
    let (_, port) =
        authority.rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'))?;
    port.parse().ok()
}

fn fronts(config: &Config) -> impl Iterator<Item = (ProxyId, &Proxy, &[Bind])> {
    let all = config.proxies.iter().enumerate();
    all.filter(|(_, proxy)| !proxy.disabled).filter_map(|(id, proxy)| {
        let front = proxy.front.as_ref()?;
        Some((ProxyId(id as u32), proxy, &front.binds[..]))
    })
}

impl Entrance {
    pub fn find(config: &Config, request: &Request) -> Result<Entrance, String> {
        let url = Url::of(&request.url);
        let of_port = |bind: &&Bind| url.is_some_and(|url| bind.address.port() == url.port);
        if let Some(name) = &request.frontend {
            let found = fronts(config).find(|(_, proxy, _)| &*proxy.name == name.as_str());
            let (front, _, binds) = found.ok_or_else(|| format!("there is no frontend '{name}'"))?;
            let wants_tls = url.is_some_and(|url| url.is_https) || request.sni.is_some();
            let bind = binds.iter().position(|bind| of_port(&bind));
            let bind =
                bind.or_else(|| binds.iter().position(|bind| bind.tls.is_on == wants_tls)).unwrap_or(0);
            let why = "asked for by name".to_owned();
            return Entrance::at(config, front, bind, why)
                .ok_or_else(|| format!("frontend '{name}' listens nowhere"));
        }
        if let Some(url) = url {
            for (front, _, binds) in fronts(config) {
                if let Some(bind) = binds.iter().position(|bind| !bind.datagram && of_port(&bind)) {
                    let why = format!("the first that listens on port {}", url.port);
                    return Entrance::at(config, front, bind, why)
                        .ok_or_else(|| "it listens nowhere".to_owned());
                }
            }
        }
        let listens = |binds: &[Bind]| binds.iter().any(|bind| !bind.datagram);
        let mut all = fronts(config).filter(|(_, _, binds)| listens(binds));
        let http = |proxy: &Proxy| proxy.mode.has_messages();
        let mut first = None;
        let found = all.find(|(id, proxy, _)| {
            first = first.or(Some(*id));
            http(proxy)
        });
        let front = found.map(|(id, ..)| id).or(first).ok_or("nothing listens for requests")?;
        let nobody = match url {
            Some(url) => format!("nobody listens on port {}: ", url.port),
            None => String::new(),
        };
        let mode = if found.is_some() { "HTTP frontend" } else { "frontend" };
        let wants_tls = url.is_some_and(|url| url.is_https) || request.sni.is_some();
        let binds = config.proxy(front).front.as_ref().map_or(&[][..], |front| &front.binds);
        let usable = |bind: &Bind| !bind.datagram && bind.tls.is_on == wants_tls;
        let bind = binds.iter().position(usable).or_else(|| binds.iter().position(|bind| !bind.datagram));
        let why = format!("{nobody}the first {mode}");
        Entrance::at(config, front, bind.unwrap_or(0), why).ok_or_else(|| "it listens nowhere".to_owned())
    }

    fn at(config: &Config, front: ProxyId, bind: usize, why: String) -> Option<Entrance> {
        let line = config.proxy(front).front.as_ref()?.binds.get(bind)?;
        let to = line.address.inet().unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        let ip = if to.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { to.ip() };
        Some(Entrance { front, bind, to: (ip, to.port()).into(), why })
    }

    pub fn proxy<'c>(&self, config: &'c Config) -> &'c Proxy {
        config.proxy(self.front)
    }

    pub fn line<'c>(&self, config: &'c Config) -> Option<&'c Bind> {
        self.proxy(config).front.as_ref()?.binds.get(self.bind)
    }

    /// Whether its clients speak HTTP.
    pub fn is_http(&self, config: &Config) -> bool {
        self.proxy(config).mode != Mode::Tcp
    }
}
