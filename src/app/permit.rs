//! What the configuration files name: the opener's policy after the privileges were dropped.
//!
//! The privileged process reads the files again, by itself, whenever something is asked for that they did not name
//! the last time. Only words in the places where the language expects a path or an address count, so that a rule
//! like `path_beg /etc/shadow` opens nothing.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::lang::condition::Facts;
use crate::lang::env::Env;
use crate::lang::load::{Input, LoadOptions, Loaded, load};
use crate::lang::{Line, SourceMap, Span};
use crate::os::bind::BindAddress;
use crate::os::opener::{Policy, Request};

/// How many words after a keyword its path or address comes, and the first word that the line must have, if any.
type Place = (&'static str, usize, &'static str);

/// Files that are read; a directory stands for what is in it.
const FILES: &[Place] = &[
    ("crt", 1, ""),
    ("crt-list", 1, ""),
    ("ca-file", 1, ""),
    ("ca-verify-file", 1, ""),
    ("ca-sign-file", 1, ""),
    ("crl-file", 1, ""),
    ("key", 1, "load"),
    ("ocsp", 1, "load"),
    ("issuer", 1, "load"),
    ("sctl", 1, "load"),
    ("account-key", 1, ""),
    ("issuers-chain-path", 1, ""),
    ("ssl-dh-param-file", 1, ""),
    ("tls-ticket-keys", 1, ""),
    ("ech", 1, ""),
    ("errorfile", 1, ""),
    ("errorfile", 2, ""),
    ("errorfiles", 1, ""),
    ("file", 1, "http-request"),
    ("file", 1, "http-response"),
    ("file", 1, "http-error"),
    ("lf-file", 1, ""),
    ("-f", 1, ""),
    ("load-from-file", 1, ""),
    ("server-state-file", 1, ""),
    ("stats-file", 1, ""),
    ("config", 1, "filter"),
    ("zone-file", 1, ""),
    ("zone-file", 2, ""),
    ("geoip-db", 1, ""),
    ("keepalived-config", 1, ""),
];

/// Directories that file names are joined to.
const BASES: &[Place] =
    &[("crt-base", 1, ""), ("ca-base", 1, ""), ("key-base", 1, ""), ("server-state-base", 1, "")];

/// Addresses to listen on, comma-separated.
const BINDS: &[Place] = &[
    ("bind", 1, "bind"),
    ("dgram-bind", 1, "dgram-bind"),
    ("socket", 1, "stats"),
    ("peer", 2, "peer"),
    ("listen", 2, "listen"),
    ("frontend", 2, "frontend"),
    ("http-api", 1, "http-api"),
];

/// In a `peers` section a server may be this node itself.
const PEER_BINDS: &[Place] = &[("server", 2, "server")];

/// Unix sockets to connect to.
const CONNECTS: &[Place] = &[("log", 1, "log"), ("server", 2, "server")];

/// Converters and fetches whose arguments are files.
const FILE_CALLS: &[&str] = &["map", "jwt_", "aes_", "mmdb"];

/// Companions that are looked for beside a certificate.
const SUFFIXES: &[&str] = &["key", "ocsp", "issuer", "sctl", "dh", "rsa", "dsa", "ecdsa", "pem", "crt"];

/// Longest file list that is read.
const LIST_LEN: u64 = 16 << 20;

/// An address to listen on as a configuration writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Path(PathBuf),
    Abstract(Vec<u8>),
    /// No address stands for a name that must be resolved: then the port alone decides.
    Inet {
        ip: Option<IpAddr>,
        first: u16,
        last: u16,
    },
}

/// What one reading of the files found.
#[derive(Debug, Default)]
struct Names {
    files: HashSet<PathBuf>,
    binds: Vec<Named>,
    connects: HashSet<PathBuf>,
}

/// The policy. Holds what is needed to read the files again.
pub struct Permit {
    inputs: Vec<Input>,
    facts: Facts,
    kinds: &'static [&'static str],
    env: Env,
    /// Relative paths start here.
    current: PathBuf,
    names: Names,
    /// Of the files that were read the last time.
    stamps: Vec<(PathBuf, Option<(std::time::SystemTime, u64)>)>,
}

impl Permit {
    /// `kinds` are the words that begin sections, `env` the environment that the configuration sees at its start.
    pub fn new(files: &[PathBuf], facts: Facts, kinds: &'static [&'static str], env: Env) -> Self {
        Permit {
            inputs: files.iter().cloned().map(Input::Path).collect(),
            facts,
            kinds,
            env,
            current: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            names: Names::default(),
            stamps: Vec::new(),
        }
    }

    fn grants(&self, request: &Request) -> bool {
        match request {
            Request::Open(path) | Request::Stat(path) | Request::List { path, .. } => {
                self.is_input(path) || self.names.reads(path)
            }
            Request::Connect { path, .. } => self.names.connects.contains(path),
            Request::Unlink(path) => self.names.binds_to(&BindAddress::Unix(path.clone())),
            Request::Bind(spec) => self.names.binds_to(&spec.address),
            Request::User(_) | Request::Group(_) | Request::Resolve(_) => true,
        }
    }

    /// The files of the command line themselves, and `*.cfg` in its directories.
    fn is_input(&self, path: &Path) -> bool {
        let is_cfg = path.extension().is_some_and(|e| e == "cfg");
        self.inputs.iter().any(|input| match input {
            Input::Path(named) => {
                let named = normal(&self.current.join(named));
                path == named || (is_cfg && path.parent() == Some(&named))
            }
            Input::Text { .. } => false,
        })
    }

    fn changed(&self) -> bool {
        self.stamps.is_empty() || self.stamps.iter().any(|(path, seen)| stamp(path) != *seen)
    }

    fn read_again(&mut self) {
        let options = LoadOptions::new(&self.facts, self.env.clone(), self.kinds);
        let loaded = load(&self.inputs, options);
        let directories = self.inputs.iter().filter_map(|input| match input {
            Input::Path(path) => Some(path.clone()),
            Input::Text { .. } => None,
        });
        let files = loaded.sources.files.iter().map(|file| file.path.clone());
        self.stamps = directories.chain(files).map(|path| (path.clone(), stamp(&path))).collect();
        self.names = Names::of(&loaded, &self.current);
    }
}

impl Policy for Permit {
    fn permits(&mut self, request: &Request) -> bool {
        if self.grants(request) {
            return true;
        }
        if !self.changed() {
            return false;
        }
        self.read_again();
        self.grants(request)
    }
}

fn stamp(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Without `.` and `..`, as the opener asks.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// The words of a line that stand in one of `places`.
fn at<'a>(line: &'a Line, places: &'a [Place]) -> impl Iterator<Item = (&'a str, Span)> {
    places.iter().filter(move |(_, _, first)| first.is_empty() || line.str(0) == *first).flat_map(
        move |(keyword, skip, _)| {
            let hits = line.words.iter().enumerate().filter(move |(_, word)| word.str() == *keyword);
            hits.filter_map(move |(i, _)| line.words.get(i + skip)).map(|word| (word.str(), word.span))
        },
    )
}

impl Names {
    fn of(loaded: &Loaded, current: &Path) -> Names {
        let mut names = Names::default();
        let lines = || loaded.sections.iter().flat_map(|s| std::iter::once(&s.head).chain(&s.lines));
        let mut bases: Vec<PathBuf> = Vec::new();
        let mut prefixes = vec![String::new()];
        for line in lines() {
            bases.extend(at(line, BASES).map(|(base, _)| current.join(base)));
            prefixes.extend(at(line, &[("prefix", 1, "unix-bind")]).map(|(prefix, _)| prefix.to_owned()));
        }
        let bases = Bases { list: bases, current, sources: &loaded.sources };
        names.files.extend(loaded.sources.files.iter().map(|file| normal(&current.join(&file.path))));
        for section in &loaded.sections {
            let peers = if section.kind() == "peers" { PEER_BINDS } else { &[] };
            for line in std::iter::once(&section.head).chain(&section.lines) {
                names.add_files(line, &bases);
                for (addresses, _) in at(line, BINDS).chain(at(line, peers)) {
                    let each = addresses
                        .split(',')
                        .flat_map(|a| prefixes.iter().filter_map(|p| named(a, p, current)));
                    names.binds.extend(each);
                }
                let sockets = at(line, CONNECTS).filter_map(|(address, _)| named(address, "", current));
                names.connects.extend(sockets.filter_map(|socket| match socket {
                    Named::Path(path) => Some(path),
                    _ => None,
                }));
            }
        }
        names
    }

    fn add_files(&mut self, line: &Line, bases: &Bases<'_>) {
        for (word, span) in at(line, FILES) {
            bases.add(&mut self.files, word, span);
        }
        for word in &line.words {
            calls(word.str()).for_each(|file| bases.add(&mut self.files, file, word.span));
        }
        for (list, span) in at(line, &[("crt-list", 1, "")]) {
            bases.add_list(&mut self.files, list, span);
        }
    }

    fn reads(&self, path: &Path) -> bool {
        let named = |path: &Path| self.files.contains(path);
        let companion = || path.extension().and_then(|e| e.to_str()).is_some_and(|e| SUFFIXES.contains(&e));
        // A directory is a name as well: what is in it is meant, but not what is further down.
        named(path) || path.parent().is_some_and(named) || (companion() && named(&path.with_extension("")))
    }

    fn binds_to(&self, address: &BindAddress) -> bool {
        self.binds.iter().any(|named| match (named, address) {
            (Named::Path(a), BindAddress::Unix(b)) => a == b,
            (Named::Abstract(a), BindAddress::Abstract(b)) => a == b,
            (Named::Inet { ip, first, last }, BindAddress::Inet(address)) => {
                (*first..=*last).contains(&address.port()) && ip.is_none_or(|ip| same_ip(ip, address))
            }
            _ => false,
        })
    }
}

/// `0.0.0.0` and `::` stand for each other, for `:80` is one or the other.
fn same_ip(ip: IpAddr, address: &SocketAddr) -> bool {
    ip == address.ip() || (ip.is_unspecified() && address.ip().is_unspecified())
}

/// What relative names of files may be relative to.
struct Bases<'a> {
    list: Vec<PathBuf>,
    current: &'a Path,
    sources: &'a SourceMap,
}

impl Bases<'_> {
    fn candidates(&self, name: &str, span: Span) -> Vec<PathBuf> {
        // `file@`, `opt@`, `virt@` say what to do when the file is missing.
        let name = name.split_once('@').filter(|(kind, _)| kind.len() < 6).map_or(name, |(_, name)| name);
        if name.is_empty() {
            return Vec::new();
        }
        let own = self.current.join(self.sources.resolve(span, name));
        std::iter::once(own)
            .chain(self.list.iter().map(|base| base.join(name)))
            .map(|path| normal(&path))
            .collect()
    }

    fn add(&self, files: &mut HashSet<PathBuf>, name: &str, span: Span) {
        files.extend(self.candidates(name, span));
    }

    /// The certificates that a `crt-list` names.
    fn add_list(&self, files: &mut HashSet<PathBuf>, list: &str, span: Span) {
        for path in self.candidates(list, span) {
            if std::fs::metadata(&path).is_ok_and(|meta| !meta.is_file() || meta.len() > LIST_LEN) {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let names = text.lines().filter_map(|line| line.split_whitespace().next());
            names.filter(|name| !name.starts_with('#')).for_each(|name| self.add(files, name, span));
        }
    }
}

/// The arguments of the calls in an expression that take files: `%[src,map_ip(/etc/geo.map,none)]`.
fn calls(word: &str) -> impl Iterator<Item = &str> {
    word.match_indices('(').flat_map(move |(open, _)| {
        let name = word[..open].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
        let takes = FILE_CALLS.iter().any(|call| name.starts_with(call));
        let arguments = word[open + 1..].split(')').next().filter(|_| takes).unwrap_or("");
        arguments
            .split(',')
            .map(|a| a.trim_matches(|c| matches!(c, '"' | '\'' | ' ')))
            .filter(|a| !a.is_empty())
    })
}

/// One address of `bind` and its kin. `prefix` is that of `unix-bind`.
fn named(text: &str, prefix: &str, current: &Path) -> Option<Named> {
    let (family, address) = text.split_once('@').unwrap_or(("", text));
    if family.ends_with("abns") || family.ends_with("abnsz") {
        return Some(Named::Abstract(address.as_bytes().to_vec()));
    }
    if address.starts_with('/') || ["unix", "uxst", "uxdg"].iter().any(|f| family.ends_with(f)) {
        return Some(Named::Path(normal(&current.join(format!("{prefix}{address}")))));
    }
    let (host, ports) = address.rsplit_once(':')?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = match host {
        "" | "*" => Some(IpAddr::from([0, 0, 0, 0])),
        _ => host.parse().ok(),
    };
    Some(Named::Inet { ip, first, last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::bind::{BindSpec, SocketKind};

    const KINDS: &[&str] = &["global", "defaults", "frontend", "backend", "listen", "crt-store"];

    fn permit(dir: &Path, text: &str) -> Permit {
        std::fs::write(dir.join("haproxy.cfg"), text).unwrap();
        let mut permit = Permit::new(&[dir.join("haproxy.cfg")], Facts::default(), KINDS, Env::default());
        permit.current = dir.into();
        permit
    }

    fn tcp(address: &str) -> Request {
        Request::Bind(BindSpec::tcp(address.parse().unwrap()))
    }

    #[test]
    fn files_by_place() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("list.txt"), "# comment\nlisted.pem [alpn h2] a.example\n").unwrap();
        let text = "global\n crt-base /etc/ssl/mine\nfrontend f\n bind :443 ssl crt site.pem crt-list list.txt\n \
                    acl secret path_beg /etc/shadow\n acl known src -f /etc/nets.lst\n \
                    http-request set-var(txn.x) src,map_ip(/etc/geo.map,none)\n \
                    http-request redirect location /etc/passwd\n errorfile 503 err/503.http\n";
        let mut permit = permit(dir.path(), text);
        let mut opens = |path: PathBuf| permit.permits(&Request::Open(path));
        for path in ["/etc/ssl/mine/site.pem", "/etc/ssl/mine/site.pem.key", "/etc/nets.lst", "/etc/geo.map"]
        {
            assert!(opens(path.into()), "{path}");
        }
        for name in ["haproxy.cfg", "site.pem", "list.txt", "listed.pem", "err/503.http"] {
            assert!(opens(at(name)), "{name}");
        }
        for path in ["/etc/shadow", "/etc/passwd", "/etc/ssl/mine", "/", "/etc/nets.lst.bak", "/etc"] {
            assert!(!opens(path.into()), "{path}");
        }
    }

    #[test]
    fn a_directory_of_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let mut permit = permit(dir.path(), "frontend f\n bind :443 ssl crt /etc/certs/\n");
        assert!(permit.permits(&Request::List { path: "/etc/certs".into(), after: None }));
        assert!(permit.permits(&Request::Open("/etc/certs/a.pem".into())));
        assert!(!permit.permits(&Request::Open("/etc/certs/deep/a.pem".into())));
    }

    #[test]
    fn addresses() {
        let dir = tempfile::tempdir().unwrap();
        let text = "global\n stats socket /run/admin.sock mode 600\n log /dev/log local0\n \
                    log unix@/run/log2 local0\nfrontend f\n bind :80,[::1]:8000-8010\n bind 10.0.0.1:443 ssl\n \
                    bind name.example:25\n bind abns@here\n";
        let mut permit = permit(dir.path(), text);
        for good in ["0.0.0.0:80", "[::]:80", "[::1]:8005", "10.0.0.1:443", "192.0.2.9:25"] {
            assert!(permit.permits(&tcp(good)), "{good}");
        }
        for bad in ["10.0.0.1:80", "[::1]:8011", "0.0.0.0:443", "10.0.0.1:22"] {
            assert!(!permit.permits(&tcp(bad)), "{bad}");
        }
        let connect = |path: &str| Request::Connect { path: path.into(), kind: SocketKind::Datagram };
        assert!(permit.permits(&connect("/dev/log")) && permit.permits(&connect("/run/log2")));
        assert!(
            !permit.permits(&connect("/run/docker.sock")) && !permit.permits(&connect("/run/admin.sock"))
        );
        assert!(permit.permits(&Request::Unlink("/run/admin.sock".into())));
        assert!(!permit.permits(&Request::Bind(BindSpec::unix("/dev/log"))));
        let here = BindSpec::new(BindAddress::Abstract(b"here".to_vec()), SocketKind::Stream);
        assert!(permit.permits(&Request::Bind(here)));
    }

    #[test]
    fn an_edited_file_grants_more_and_then_less() {
        let dir = tempfile::tempdir().unwrap();
        let mut permit = permit(dir.path(), "frontend f\n bind 127.0.0.1:1001\n");
        assert!(permit.permits(&tcp("127.0.0.1:1001")) && !permit.permits(&tcp("127.0.0.1:1002")));
        std::fs::write(dir.path().join("haproxy.cfg"), "frontend f\n bind 127.0.0.1:1002 # moved\n").unwrap();
        assert!(permit.permits(&tcp("127.0.0.1:1002")));
        assert!(!permit.permits(&tcp("127.0.0.1:1001")));
    }
}
