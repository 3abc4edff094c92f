//! `ServerName`: the name that a server is asked for with TLS, and what else its connections are told apart by.

use std::hash::BuildHasher;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use crate::config::Backend;
use crate::conn::{Link, Tls};
use crate::model::{Address, Server, ServerSpec, ServerTls};
use crate::rules::{Ctx, Packets, Sample, SampleType};
use crate::tls::server_name;

/// What connections are told apart by is part of what clients send: nobody is to find two of the same hash.
static SEED: LazyLock<foldhash::quality::RandomState> =
    LazyLock::new(foldhash::quality::RandomState::default);

/// The name that a server is asked for with TLS (`sni`); also of servers without TLS, where it is none.
#[derive(Debug, Default)]
pub struct ServerName {
    name: Option<Vec<u8>>,
    /// The port that the client went to, where the server's is reckoned from it.
    port: Option<u16>,
    /// The address that the client went to, where the server has none of its own (`0.0.0.0`).
    ip: Option<IpAddr>,
}

/// What a new connection to a server begins with.
#[derive(Debug, Default)]
pub struct Greeting {
    pub name: ServerName,
    /// The PROXY header, or nothing.
    pub preface: Vec<u8>,
    /// What its packets say.
    pub packets: Packets,
}

impl Greeting {
    /// Connections that began differently have another one: what a header told of one request holds for no other.
    #[inline]
    pub fn hash(&self) -> u64 {
        match self.preface.is_empty() && self.packets == Packets::default() {
            true => self.name.hash(),
            false => self.hash_of_all(),
        }
    }

    #[inline(never)]
    fn hash_of_all(&self) -> u64 {
        SEED.hash_one((self.name.hash(), &self.preface, self.packets)) | 1
    }
}

/// The name for a request to this server.
pub fn name_of(back: Option<&Backend>, ctx: Ctx<'_>, server: &Server) -> ServerName {
    if server.tls().is_none() {
        return ServerName::default();
    }
    let snis = back.map(|back| &back.snis);
    let expr = snis.and_then(|snis| snis.get(&*server.spec.name).or_else(|| snis.get("")));
    let sample = expr.and_then(|expr| expr.eval_as(ctx, SampleType::Str));
    let name = sample.and_then(|sample| match sample {
        Sample::Str(name) | Sample::Bin(name) => Some(without_port(&name).to_vec()),
        _ => None,
    });
    ServerName { name, ..ServerName::default() }
}

/// The name in what may be a Host field: TLS sends no port, and nothing else that is no name.
fn without_port(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        Some(at) if host.iter().skip(at + 1).all(u8::is_ascii_digit) => host.get(..at).unwrap_or(host),
        _ => host,
    }
}

impl ServerName {
    /// Connections that are to be told apart by it have another one; 0: no name.
    #[inline]
    pub fn hash(&self) -> u64 {
        match self {
            ServerName { name: None, port: None, ip: None } => 0,
            all => all.hash_of_all(),
        }
    }

    #[inline(never)]
    fn hash_of_all(&self) -> u64 {
        SEED.hash_one((&self.name, self.port, self.ip)) | 1
    }

    /// The same for a client that came to a port, or, if a rule changed that, to another.
    pub fn towards(self, spec: &ServerSpec, local: Option<SocketAddr>) -> ServerName {
        let port = spec.port_offset.and_then(|_| Some(local?.port()));
        let ip = local.filter(|_| spec.goes_on).map(|local| local.ip());
        ServerName { port, ip, ..self }
    }

    /// The port that the client went to.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The address that the client went to, for a server without one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The connection speaks TLS from here on, after `preface`, and offers the protocol `only`, if there is one.
    /// `Unsupported`: the name is none that can be sent, for which the server is not to blame.
    pub fn secure(
        &self,
        link: Link,
        (how, only): (&ServerTls, Option<&[u8]>),
        to: &Address,
        preface: &[u8],
    ) -> io::Result<Link> {
        let Link::Plain(conn) = link else { return Ok(link) };
        let ip = to.inet().map_or(IpAddr::from(Ipv4Addr::UNSPECIFIED), |to| to.ip());
        let name = server_name(self.name.as_deref(), ip).ok_or(ErrorKind::Unsupported)?;
        let tls = Tls::new(conn);
        let config = match only {
            None => how.upstream.config(),
            Some(protocol) => how.upstream.speaking(&[protocol.to_vec()]),
        };
        let begun = tls.greet(config, name, preface);
        begun.map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?;
        Ok(Link::Tls(Box::new(tls)))
    }
}
