//! HAProxy's address notation (manual 2.9): prefixes, ports, port ranges and offsets, host names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use bitflags::bitflags;

use super::address::Address;

bitflags! {
    /// What a keyword takes as an address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Accept: u16 {
        const PORT = 1;
        const PORT_NEEDED = 2;
        const PORT_RANGE = 4;
        const PORT_OFFSET = 8;
        const STREAM = 16;
        const DATAGRAM = 32;
        /// Without a prefix a datagram address is meant.
        const DATAGRAM_FIRST = 64;
        /// `fd@N` names an inherited socket or file.
        const FD = 128;
        /// A host name is resolved at once; else it is left to the caller.
        const RESOLVE = 256;
    }
}

/// What depends on the machine: names and variables.
pub struct Surroundings<'a> {
    pub resolve: &'a dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// `unix-bind prefix`, put before paths.
    pub unix_prefix: &'a str,
}

/// The part of an address before the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Ip(IpAddr),
    /// Not resolved yet; the family it must resolve to, if any.
    Name(String, Option<Family>),
    Unix(PathBuf),
    Abstract(Box<[u8]>),
    Fd(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn has(self, ip: &IpAddr) -> bool {
        ip.is_ipv4() == (self == Family::V4)
    }
}

/// How the port was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    None,
    Range(u16, u16),
    /// `+n` or `-n`: relative to the client's destination port.
    Offset(i32),
}

/// One address as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub host: Host,
    pub port: Port,
    pub datagram: bool,
}

impl Written {
    /// The lowest port, 0 where there is none.
    pub fn first_port(&self) -> u16 {
        match self.port {
            Port::Range(low, _) => low,
            _ => 0,
        }
    }

    /// The address with `port`; `None` while the name is not resolved.
    pub fn address(&self, port: u16) -> Option<Address> {
        Some(match &self.host {
            Host::Ip(ip) => Address::Inet(SocketAddr::new(*ip, port)),
            Host::Name(..) => return None,
            Host::Unix(path) => Address::Unix(path.clone()),
            Host::Abstract(name) => Address::Abstract(name.clone()),
            Host::Fd(n) => Address::Fd(*n),
        })
    }
}

/// Reads one address. The error is the text that follows `'keyword' : ` in HAProxy's messages.
pub fn parse(text: &str, accept: Accept, around: &Surroundings<'_>) -> Result<Written, String> {
    let full = expand(text, around.env);
    if full.is_empty() {
        return Err(format!("'{text}' resolves to an empty address (environment variable missing?)"));
    }
    let mut datagram = accept.contains(Accept::DATAGRAM)
        && (!accept.contains(Accept::STREAM) || accept.contains(Accept::DATAGRAM_FIRST));
    let mut rest = full.as_str();
    if let Some(after) = rest.strip_prefix("stream+") {
        (rest, datagram) = (after, false);
    } else if let Some(after) = rest.strip_prefix("dgram+") {
        (rest, datagram) = (after, true);
    }
    let (kind, rest) = kind(rest, &mut datagram)?;
    let written = match kind {
        Kind::Unix => Written { host: unix(rest, text, around.unix_prefix)?, port: Port::None, datagram },
        Kind::Abstract => Written { host: abstract_name(rest, text)?, port: Port::None, datagram },
        Kind::Fd => {
            let n = rest
                .parse()
                .ok()
                .filter(|n| *n >= 0)
                .ok_or_else(|| format!("file descriptor '{rest}' is not a valid integer in '{text}'"))?;
            if !accept.contains(Accept::FD) {
                return Err(format!("a file descriptor is not acceptable here in '{text}'"));
            }
            Written { host: Host::Fd(n), port: Port::None, datagram }
        }
        Kind::Ip(family) => inet(rest, family, text, accept, around, datagram)?,
    };
    let (wanted, name) = if datagram { (Accept::DATAGRAM, "dgram") } else { (Accept::STREAM, "stream") };
    if !accept.contains(wanted) {
        return Err(format!("{name}-type address not acceptable in '{text}'"));
    }
    Ok(written)
}

enum Kind {
    Ip(Option<Family>),
    Unix,
    Abstract,
    Fd,
}

/// Takes a family or protocol prefix off.
fn kind<'a>(text: &'a str, datagram: &mut bool) -> Result<(Kind, &'a str), String> {
    if text.starts_with('/') {
        return Ok((Kind::Unix, text));
    }
    let Some((prefix, rest)) = text.split_once('@') else { return Ok((Kind::Ip(None), text)) };
    let kind = match prefix {
        "ip" => Kind::Ip(None),
        "ipv4" => Kind::Ip(Some(Family::V4)),
        "ipv6" => Kind::Ip(Some(Family::V6)),
        "tcp" | "tcp4" | "tcp6" | "udp" | "udp4" | "udp6" => {
            *datagram = prefix.starts_with("udp");
            Kind::Ip(match prefix.as_bytes().last() {
                Some(b'4') => Some(Family::V4),
                Some(b'6') => Some(Family::V6),
                _ => None,
            })
        }
        "unix" => Kind::Unix,
        "uxst" | "uxdg" => {
            *datagram = prefix == "uxdg";
            Kind::Unix
        }
        "abns" => Kind::Abstract,
        "fd" => Kind::Fd,
        "abnsz" | "sockpair" | "rhttp" | "mptcp" | "mptcp4" | "mptcp6" | "quic4" | "quic6" | "quic+ip"
        | "quic+ipv4" | "quic+ipv6" => {
            return Err(format!("'{prefix}@' addresses are not supported by this release, in '{text}'"));
        }
        _ => return Ok((Kind::Ip(None), text)),
    };
    Ok((kind, rest))
}

fn unix(path: &str, text: &str, prefix: &str) -> Result<Host, String> {
    // A temporary name (".<pid>.<tmp>") must fit as well while a socket is replaced.
    let max = 107_usize.saturating_sub(prefix.len() + 10);
    if path.len() > max {
        return Err(format!("socket path '{text}' too long (max {max})"));
    }
    Ok(Host::Unix(PathBuf::from(format!("{prefix}{path}"))))
}

fn abstract_name(name: &str, text: &str) -> Result<Host, String> {
    if name.len() > 107 {
        return Err(format!("socket path '{text}' too long (max 107)"));
    }
    Ok(Host::Abstract(name.as_bytes().into()))
}

fn inet(
    rest: &str,
    family: Option<Family>,
    text: &str,
    accept: Accept,
    around: &Surroundings<'_>,
    datagram: bool,
) -> Result<Written, String> {
    let colon = rest.rfind([':', ']']).filter(|i| rest.as_bytes().get(*i) == Some(&b':'));
    let (host, port) = match colon {
        Some(_) if !accept.contains(Accept::PORT) => {
            return Err(format!("port specification not permitted here in '{text}'"));
        }
        Some(i) => (&rest[..i], port(&rest[i + 1..], text, accept)?),
        None => (rest, Port::None),
    };
    if port == Port::None && accept.contains(Accept::PORT_NEEDED) {
        return Err(format!("missing port specification in '{text}'"));
    }
    let host = match literal(host, family) {
        Some(ip) => Host::Ip(ip),
        None if !is_hostname(host) => return Err(format!("invalid address: '{host}' in '{text}'")),
        None if accept.contains(Accept::RESOLVE) => {
            let found = (around.resolve)(host).unwrap_or_default();
            let ip = found.into_iter().find(|ip| family.is_none_or(|f| f.has(ip)));
            Host::Ip(ip.ok_or_else(|| format!("invalid address: '{host}' in '{text}'"))?)
        }
        None => Host::Name(host.to_owned(), family),
    };
    Ok(Written { host, port, datagram })
}

/// An address without a name to resolve. Empty and `*` stand for every address.
fn literal(host: &str, family: Option<Family>) -> Option<IpAddr> {
    let inner = match host.strip_prefix('[') {
        Some(after) => after.strip_suffix(']')?,
        None => host,
    };
    if matches!(inner, "" | "*") {
        return Some(match family {
            Some(Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        });
    }
    inner.parse::<IpAddr>().ok().filter(|ip| family.is_none_or(|f| f.has(ip)))
}

/// Labels of letters, digits, `-` and `_`, as HAProxy lets through to the resolver.
fn is_hostname(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() <= 255
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

fn port(port: &str, text: &str, accept: Accept) -> Result<Port, String> {
    let number = |part: &str| -> Result<u32, String> {
        if let Some(c) = part.chars().find(|c| !c.is_ascii_digit()) {
            return Err(format!("invalid character '{c}' in port number '{part}' in '{text}'"));
        }
        Ok(part.parse().unwrap_or(u32::MAX))
    };
    let Some(first) = port.chars().next() else { return Ok(Port::None) };
    if first == '+' || first == '-' {
        if !accept.contains(Accept::PORT_OFFSET) {
            return Err(format!("port offset not permitted here in '{text}'"));
        }
        let n = number(&port[1..])?;
        let n = i32::try_from(n).ok().filter(|n| *n <= 65535);
        let n = n.ok_or_else(|| format!("invalid port '{port}'"))?;
        return Ok(Port::Offset(if first == '-' { -n } else { n }));
    }
    let (low, high) = match port.split_once('-') {
        Some(_) if !accept.contains(Accept::PORT_RANGE) => {
            return Err(format!("port range not permitted here in '{text}'"));
        }
        Some(pair) => pair,
        None => (port, port),
    };
    let lowest = u32::from(accept.contains(Accept::PORT_NEEDED));
    let check = |part: &str| -> Result<u16, String> {
        let n = number(part)?;
        u16::try_from(n)
            .ok()
            .filter(|p| u32::from(*p) >= lowest)
            .ok_or_else(|| format!("invalid port '{part}'"))
    };
    let (low, high) = (check(low)?, check(high)?);
    if low > high {
        return Err(format!("invalid port range '{low}-{high}'"));
    }
    Ok(Port::Range(low, high))
}

/// `$NAME` and `${NAME}` are replaced even without quotes, in addresses only.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, next) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(pair) => pair,
            None => after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len())),
        };
        out.push_str(&env(name).unwrap_or_default());
        rest = next;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIND: Accept = Accept::PORT
        .union(Accept::PORT_NEEDED)
        .union(Accept::PORT_RANGE)
        .union(Accept::FD)
        .union(Accept::STREAM)
        .union(Accept::RESOLVE);
    const SERVER: Accept =
        Accept::PORT.union(Accept::PORT_OFFSET).union(Accept::STREAM).union(Accept::DATAGRAM);

    fn read(text: &str, accept: Accept) -> Result<Written, String> {
        let around = Surroundings {
            resolve: &|name| match name {
                "localhost" => Ok(vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()]),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            env: &|name| (name == "FD").then(|| "7".to_owned()),
            unix_prefix: "",
        };
        parse(text, accept, &around)
    }

    #[test]
    fn binds() {
        for (text, expected) in [
            ("*:80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80"),
            (":::80", ":::80"),
            ("[::1]:8080", "::1:8080"),
            ("::1:8080", "::1:8080"),
            ("ipv6@:80", ":::80"),
            ("ipv4@localhost:80", "127.0.0.1:80"),
            ("tcp6@localhost:80", "::1:80"),
            ("/run/a.sock", "unix@/run/a.sock"),
            ("unix@run/a", "unix@run/a"),
            ("abns@x", "abns@x"),
            ("fd@${FD}", "fd@7"),
        ] {
            let written = read(text, BIND).unwrap_or_else(|e| panic!("{text}: {e}"));
            let address = written.address(written.first_port()).expect("resolved");
            assert_eq!(address.to_string(), expected, "{text}");
        }
        assert_eq!(read(":80-90", BIND).unwrap().port, Port::Range(80, 90));
    }

    #[test]
    fn wrong_binds() {
        for (text, expected) in [
            ("127.0.0.1", "missing port specification in '127.0.0.1'"),
            (":0", "invalid port '0'"),
            (":65536", "invalid port '65536'"),
            (":90-80", "invalid port range '90-80'"),
            (":8x", "invalid character 'x' in port number '8x' in ':8x'"),
            (":+80", "port offset not permitted here in ':+80'"),
            ("nowhere:80", "invalid address: 'nowhere' in 'nowhere:80'"),
            ("ipv4@[::1]:80", "invalid address: '[::1]' in 'ipv4@[::1]:80'"),
            ("udp@:53", "dgram-type address not acceptable in 'udp@:53'"),
            ("fd@x", "file descriptor 'x' is not a valid integer in 'fd@x'"),
            ("$NONE", "'$NONE' resolves to an empty address (environment variable missing?)"),
        ] {
            assert_eq!(read(text, BIND), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn servers() {
        assert_eq!(read("10.0.0.1:+100", SERVER).unwrap().port, Port::Offset(100));
        assert_eq!(read("10.0.0.1", SERVER).unwrap().port, Port::None);
        assert_eq!(read("web.example:80", SERVER).unwrap().host, Host::Name("web.example".to_owned(), None));
        assert!(read("1.2.3.4:80-90", SERVER).is_err());
    }
}
