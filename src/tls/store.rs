//! Certificates by the name that a client asks for (SNI), as HAProxy picks one: bytes rather than DNS rules, a wildcard is
//! one label, and the client's best kind of key wins over the better name.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::certificate::Certified;

/// A name that a certificate is shown for: of the certificate itself, or of the line that lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// This name.
    Exact(Box<str>),
    /// `*.example.com`, without the asterisk: one label more than that.
    Wildcard(Box<str>),
    /// `!www.example.com`: not this name, though a wildcard beside it would match.
    Except(Box<str>),
    /// `*`: when nothing else matches.
    Default,
}

impl Filter {
    /// As a line of a list writes it. `None` for what excludes nothing: `!*.example.com`.
    pub fn parse(text: &str) -> Option<Filter> {
        let name = text.to_ascii_lowercase();
        Some(match (name.as_str(), name.strip_prefix('!')) {
            ("*", _) => Filter::Default,
            (_, Some(name)) if name.starts_with('*') => return None,
            (_, Some(name)) => Filter::Except(name.into()),
            (name, None) => match name.strip_prefix('*') {
                Some(rest) => Filter::Wildcard(rest.into()),
                None => Filter::Exact(name.into()),
            },
        })
    }
}

/// The certificates of one listener. A value: a change makes another one.
#[derive(Debug, Default)]
pub struct Store {
    entries: Vec<Entry>,
    exact: HashMap<Box<str>, Vec<usize>>,
    /// By what follows the asterisk.
    wildcard: HashMap<Box<str>, Vec<usize>>,
    defaults: Vec<usize>,
    /// Shows nothing to who asks for no name, or for one that is not here (`strict-sni`).
    pub is_strict: bool,
}

#[derive(Debug)]
struct Entry {
    key: Arc<CertifiedKey>,
    except: Vec<Box<str>>,
}

impl Store {
    /// Adds one for its own names. What came first wins where two are equal, and the first of all is the default.
    pub fn add(&mut self, certified: &Certified) {
        let filters: Vec<Filter> = certified.names.iter().filter_map(|name| Filter::parse(name)).collect();
        self.add_for(certified, filters);
    }

    /// Adds one for these names instead of its own.
    pub fn add_for(&mut self, certified: &Certified, filters: impl IntoIterator<Item = Filter>) {
        let at = self.entries.len();
        let mut entry = Entry { key: certified.key.clone(), except: Vec::new() };
        let mut is_default = self.entries.is_empty();
        for filter in filters {
            match filter {
                Filter::Exact(name) => self.exact.entry(name).or_default().push(at),
                Filter::Wildcard(rest) => self.wildcard.entry(rest).or_default().push(at),
                Filter::Except(name) => entry.except.push(name),
                Filter::Default => is_default = true,
            }
        }
        if is_default {
            self.defaults.push(at);
        }
        self.entries.push(entry);
    }

    /// Makes the newest a default too: the other half of a bundle, or `default-crt`.
    pub fn default_to_newest(&mut self) {
        if let Some(newest) = self.entries.len().checked_sub(1).filter(|at| !self.defaults.contains(at)) {
            self.defaults.push(newest);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is shown to who asks for a name and can check these signatures.
    pub fn find(&self, name: Option<&str>, offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| self.named(&name.to_ascii_lowercase(), offered));
        let found = match named {
            None if self.is_strict => None,
            None => best(self.listed(Some(&self.defaults)), offered),
            named => named,
        };
        found.cloned()
    }

    /// `name`: in lower case.
    fn named(&self, name: &str, offered: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let exact = self.listed(self.exact.get(name));
        let rest = name.find('.').and_then(|dot| name.get(dot..));
        let wildcard = self.listed(rest.and_then(|rest| self.wildcard.get(rest)));
        let wildcard = wildcard.filter(|entry| !entry.except.iter().any(|except| **except == *name));
        best(exact.chain(wildcard), offered)
    }

    fn listed<'a>(&'a self, list: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a Entry> {
        list.into_iter().flatten().filter_map(|at| self.entries.get(*at))
    }
}

/// The first with an ECDSA key if that can be checked, else the first with RSA, else with any other, else the first at all.
fn best<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    offered: &[SignatureScheme],
) -> Option<&'a Arc<CertifiedKey>> {
    let (mut found, mut first): ([Option<&Arc<CertifiedKey>>; 3], _) = ([None; 3], None);
    for entry in entries {
        first = first.or(Some(&entry.key));
        let place = match entry.key.key.algorithm() {
            SignatureAlgorithm::ECDSA => 0,
            SignatureAlgorithm::RSA => 1,
            _ => 2,
        };
        if entry.key.key.choose_scheme(offered).is_some() {
            found[place] = found[place].or(Some(&entry.key));
        }
    }
    found.into_iter().flatten().next().or(first)
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes())
    }
}
