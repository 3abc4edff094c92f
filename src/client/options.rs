//! The command line of `isobar agent`: Consul's flags where Consul has them.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::os::process;

/// The port of an API that names none, without TLS and with it.
const PORT: u16 = 8500;
const SECURE_PORT: u16 = 8501;

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// APIs of members, `host:port`.
    pub join: Vec<String>,
    /// They speak TLS.
    pub secure: bool,
    /// Who may have signed the members' certificates; without it the system's authorities.
    pub ca_file: Option<String>,
    /// A certificate to show them, and its key unless it is in the same file.
    pub client_cert: Option<String>,
    pub client_key: Option<String>,
    pub node: String,
    /// Empty: none.
    pub region: String,
    pub http_addr: SocketAddr,
    /// `None`: what is registered here is gone with the process.
    pub data_dir: Option<PathBuf>,
    /// For this agent's own requests, and for those that come without one.
    pub token: Option<String>,
    /// Where this node is reached; else the address from which it reaches a member.
    pub advertise: Option<String>,
    pub datacenter: String,
    pub script_checks: bool,
    /// Whoever reaches `http_addr` may use it.
    pub insecure: bool,
}

/// Flags with a value.
const VALUES: [&str; 12] = [
    "join",
    "retry-join",
    "node",
    "region",
    "http-addr",
    "data-dir",
    "token",
    "advertise",
    "datacenter",
    "ca-file",
    "client-cert",
    "client-key",
];

/// Flags without.
const WORDS: [&str; 4] = ["enable-script-checks", "enable-local-script-checks", "insecure", "ui"];

/// Consul's flags that this agent has not, and what is done instead.
const REFUSED: [(&str, &str); 10] = [
    ("server", "a server is a node with a 'region-map' section: isobar -f <file>"),
    ("dev", "a node by itself is one with a 'region-map' section: isobar -f <file>"),
    ("bootstrap-expect", "the first cluster forms by 'expect' in the 'region-map' sections of its members"),
    ("config-dir", "services are registered through the API, and kept in -data-dir"),
    ("config-file", "services are registered through the API, and kept in -data-dir"),
    ("encrypt", "there is no gossip to encrypt"),
    ("client", "the API's address is -http-addr"),
    ("http-port", "the API's address is -http-addr"),
    ("bind", "an agent listens on -http-addr alone"),
    ("node-meta", "metadata of the node is not kept by an agent"),
];

impl Options {
    /// Reads the words after `agent`: `-flag=value`, `-flag value`, `--flag=value`.
    pub fn parse(words: &[String]) -> Result<Options, String> {
        let mut options = Options {
            join: Vec::new(),
            secure: false,
            ca_file: None,
            client_cert: None,
            client_key: None,
            node: process::hostname(),
            region: String::new(),
            http_addr: SocketAddr::from(([127, 0, 0, 1], PORT)),
            data_dir: None,
            token: None,
            advertise: None,
            datacenter: "dc1".into(),
            script_checks: false,
            insecure: false,
        };
        let mut words = words.iter();
        let mut joined = Vec::new();
        while let Some(word) = words.next() {
            let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(flag) = flag.filter(|flag| !flag.is_empty()) else {
                return Err(format!("unexpected argument '{word}'."));
            };
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (flag, None),
            };
            if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
                return Err(format!("-{name}: not here: {instead}."));
            }
            if WORDS.contains(&name) {
                options.word(name, given)?;
            } else if VALUES.contains(&name) {
                let value = given.map(str::to_owned).or_else(|| words.next().cloned());
                let value = value.filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| format!("-{name} expects a value."))?;
                match name {
                    "join" | "retry-join" => joined.push(value),
                    _ => options.value(name, &value)?,
                }
            } else {
                let near = VALUES.iter().chain(&WORDS).find(|known| strsim::levenshtein(known, name) <= 2);
                let hint = near.map(|known| format!(" Did you mean '-{known}'?")).unwrap_or_default();
                return Err(format!("unknown option '{word}'.{hint}"));
            }
        }
        options.join_all(&joined)?;
        options.settle()
    }

    /// Every address is asked in the same way.
    fn join_all(&mut self, joined: &[String]) -> Result<(), String> {
        let all =
            joined.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
        let all: Vec<&str> = all.collect();
        self.secure = self.ca_file.is_some() || all.iter().any(|text| text.starts_with("https://"));
        if let Some(plain) = all.iter().find(|text| self.secure && text.starts_with("http://")) {
            return Err(format!("-join={plain}: all members are asked over TLS, or none."));
        }
        for text in all {
            let address = member(text, self.secure)?;
            if !self.join.contains(&address) {
                self.join.push(address);
            }
        }
        Ok(())
    }

    fn word(&mut self, name: &str, given: Option<&str>) -> Result<(), String> {
        let on = match given {
            None | Some("true") => true,
            Some("false") => false,
            Some(other) => return Err(format!("-{name} expects 'true' or 'false', got '{other}'.")),
        };
        match name {
            "insecure" => self.insecure = on,
            // The page is there whenever a member is.
            "ui" => {}
            _ => self.script_checks |= on,
        }
        Ok(())
    }

    fn value(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "node" => self.node = name_of(name, value)?,
            "region" => self.region = name_of(name, value)?,
            "datacenter" => self.datacenter = name_of(name, value)?,
            "http-addr" => {
                let wrong = |_| format!("-http-addr expects <address>:<port>, got '{value}'.");
                self.http_addr = value.parse().map_err(wrong)?;
            }
            "data-dir" => self.data_dir = Some(value.into()),
            "token" => self.token = Some(value.to_owned()),
            "ca-file" => self.ca_file = Some(value.to_owned()),
            "client-cert" => self.client_cert = Some(value.to_owned()),
            "client-key" => self.client_key = Some(value.to_owned()),
            _ => self.advertise = Some(value.to_owned()),
        }
        Ok(())
    }

    fn settle(mut self) -> Result<Options, String> {
        if self.join.is_empty() {
            return Err("-join=<host>[:<port>],... expects the API of at least one member.".into());
        }
        if self.node.is_empty() {
            return Err("-node expects a name: this host has none.".into());
        }
        if !self.http_addr.ip().is_loopback() && !self.insecure {
            return Err(format!(
                "-http-addr {} can be reached from other hosts, and whoever gets there may register anything here. Use \
                 a loopback address, or add -insecure if the network is trusted.",
                self.http_addr
            ));
        }
        if self.token.is_none() {
            let variable = ["ISOBAR_HTTP_TOKEN", "CONSUL_HTTP_TOKEN"];
            self.token = variable.iter().find_map(|name| std::env::var(name).ok()).filter(|t| !t.is_empty());
        }
        Ok(self)
    }
}

/// A name that fits in a path and in a file.
fn name_of(flag: &str, value: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match value.chars().all(fits) && value.len() <= 255 {
        true => Ok(value.to_owned()),
        false => Err(format!("-{flag} expects letters, digits, '.', '_' and '-', got '{value}'.")),
    }
}

/// Where a member's API is, of which `/v1/agent/join` says as much as `-join` would.
pub fn member(text: &str, secure: bool) -> Result<String, String> {
    api_address(text, if secure { SECURE_PORT } else { PORT })
}

/// `host`, `host:port`, `[v6]:port`, with a scheme before it or not.
fn api_address(text: &str, port: u16) -> Result<String, String> {
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let text = text.trim_end_matches('/');
    let wrong = || format!("-join expects <host>[:<port>], got '{text}'.");
    let address = match text.parse::<std::net::IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) if text.contains(':') => text.to_owned(),
        Err(_) => format!("{text}:{port}"),
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '[' | ']' | '%');
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if host.is_empty() || !host.chars().all(plain) || !is_port { Err(wrong()) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn as_it_is_written_in_images() {
        let options = of("-join=consul-node1,10.0.0.2:8501 -node web-1 --region=eu").expect("options");
        assert_eq!(options.join, ["consul-node1:8500", "10.0.0.2:8501"]);
        assert_eq!((options.node.as_str(), options.region.as_str()), ("web-1", "eu"));
        assert_eq!(options.http_addr.to_string(), "127.0.0.1:8500");
        let options = of("-retry-join ::1 -join http://b:1/ -enable-script-checks -ui -data-dir /tmp/x")
            .expect("options");
        assert_eq!(options.join, ["[::1]:8500", "b:1"]);
        assert!(options.script_checks && options.data_dir == Some("/tmp/x".into()));
        let options = of("-join=https://a,b:7 -client-cert c.pem").expect("options");
        assert!(options.secure && options.join == ["a:8501", "b:7"], "{options:?}");
        assert!(of("-join=a -ca-file ca.pem").expect("options").secure);
        assert!(!of("-join=a -enable-script-checks=false").expect("options").script_checks);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, said) in [
            ("", "-join"),
            ("-join=", "expects a value"),
            ("-join=a -nod x", "Did you mean '-node'?"),
            ("-join=a extra", "unexpected argument 'extra'"),
            ("-join=a:0", "-join expects"),
            ("-join=https://a,http://b", "over TLS, or none"),
            ("-join=a -server", "region-map"),
            ("-join=a -http-addr 0.0.0.0:8500", "add -insecure"),
            ("-join=a -node a/b", "-node expects letters"),
            ("-join=a -http-addr x", "-http-addr expects"),
            ("-join=a -ui=maybe", "'true' or 'false'"),
        ] {
            let error = of(line).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
        assert!(of("-join=a -http-addr 0.0.0.0:8500 -insecure").is_ok());
    }
}
