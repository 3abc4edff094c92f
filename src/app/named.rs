//! What a configuration names outside of it, as paths and addresses: what the opener permits and `watch-config` looks at.
//!
//! Only words in the places where the language expects a path or an address count ([`Places`]), so that a rule like
//! `path_beg /etc/shadow` names nothing.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::dns::zone;
use crate::lang::load::Loaded;
use crate::lang::{Mention, Places, SourceMap, Span, What};
use crate::os::bind::BindAddress;

/// Companions that are looked for beside a certificate.
const SUFFIXES: &[&str] = &["key", "ocsp", "issuer", "sctl", "dh", "rsa", "dsa", "ecdsa", "pem", "crt"];

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
pub struct Names {
    /// Files that are read with the configuration, itself included, and directories of such files. A name without a
    /// directory stands here in each that it may be in.
    pub files: BTreeSet<PathBuf>,
    /// Files that are read and written all the time.
    states: HashSet<PathBuf>,
    binds: Vec<Named>,
    /// Unix sockets to connect to.
    pub connects: HashSet<PathBuf>,
}

impl Names {
    /// `current` is where relative paths start. The text of a `crt-list` is read with `read`.
    pub fn of(
        loaded: &Loaded,
        places: &Places,
        current: &Path,
        read: &dyn Fn(&Path) -> Option<Vec<u8>>,
    ) -> Names {
        let mentions = places.mentions(&loaded.sections);
        let of = |what: What| mentions.iter().filter(move |mention| mention.what == what);
        let bases = Bases {
            list: of(What::Base).map(|base| current.join(base.word)).collect(),
            current,
            sources: &loaded.sources,
        };
        let prefixes: Vec<&str> =
            std::iter::once("").chain(of(What::Prefix).map(|prefix| prefix.word)).collect();
        let mut names = Names::default();
        names.files.extend(loaded.sources.files.iter().map(|file| normal(&current.join(&file.path))));
        for mention in &mentions {
            names.add(mention, &bases, &prefixes, read);
        }
        names
    }

    fn add(
        &mut self,
        mention: &Mention<'_>,
        bases: &Bases<'_>,
        prefixes: &[&str],
        read: &dyn Fn(&Path) -> Option<Vec<u8>>,
    ) {
        let (word, span) = (mention.word, mention.span);
        match mention.what {
            What::File => self.files.extend(bases.candidates(word, span)),
            What::State => self.states.extend(bases.candidates(word, span)),
            What::List => {
                let lists = bases.candidates(word, span);
                for text in lists.iter().filter_map(|path| read(path)) {
                    let text = String::from_utf8_lossy(&text);
                    let named = text.lines().filter_map(|line| line.split_whitespace().next());
                    for name in named.filter(|name| !name.starts_with('#')) {
                        self.files.extend(bases.candidates(name, span));
                    }
                }
                self.files.extend(lists);
            }
            What::Zone => {
                for path in bases.candidates(word, span) {
                    self.files.extend(zone::included(&path, read).into_iter().map(|file| normal(&file)));
                    self.files.insert(path);
                }
            }
            What::Bind => {
                let each = |address| prefixes.iter().filter_map(move |p| named(address, p, bases.current));
                self.binds.extend(word.split(',').flat_map(each));
            }
            What::Connect => {
                if let Some(Named::Path(path)) = named(word, "", bases.current) {
                    self.connects.insert(path);
                }
            }
            What::Base | What::Prefix => {}
        }
    }

    /// Whether a file is one of these, in a directory that is one, or the companion of one.
    pub fn reads(&self, path: &Path) -> bool {
        let named = |path: &Path| self.files.contains(path) || self.states.contains(path);
        let companion = || path.extension().and_then(|e| e.to_str()).is_some_and(|e| SUFFIXES.contains(&e));
        // A directory is a name as well: what is in it is meant, but not what is further down.
        named(path) || path.parent().is_some_and(named) || (companion() && named(&path.with_extension("")))
    }

    pub fn binds_to(&self, address: &BindAddress) -> bool {
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

/// Without `.` and `..`, as the opener asks.
pub fn normal(path: &Path) -> PathBuf {
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
