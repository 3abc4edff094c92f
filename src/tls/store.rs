//! Certificates by the name that a client asks for (SNI), as HAProxy picks one: bytes rather than DNS rules, a wildcard is
//! one label, and the client's best kind of key wins over the better name.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::certificate::Certified;
use super::filter::Filter;
use super::index::Index;

/// The certificates of one listener. A value: a change makes another one.
#[derive(Debug, Default)]
pub struct Store {
    keys: Vec<Arc<CertifiedKey>>,
    index: Index,
    /// Shows nothing to who asks for no name, or for one that is not here (`strict-sni`).
    pub is_strict: bool,
}

impl Store {
    /// Adds one for its own names. What came first wins where two are equal, and the first of all is the default.
    pub fn add(&mut self, certified: &Certified) {
        let filters: Vec<Filter> = certified.names.iter().filter_map(|name| Filter::parse(name)).collect();
        self.add_for(certified, filters);
    }

    /// Adds one for these names instead of its own.
    pub fn add_for(&mut self, certified: &Certified, filters: impl IntoIterator<Item = Filter>) {
        let Ok(number) = u32::try_from(self.keys.len()) else { return };
        if self.keys.is_empty() {
            self.index.default_to(number);
        }
        self.index.add(number, filters);
        self.keys.push(certified.key.clone());
    }

    /// Makes the newest a default too: the other half of a bundle, or `default-crt`.
    pub fn default_to_newest(&mut self) {
        if let Some(Ok(newest)) = self.keys.len().checked_sub(1).map(u32::try_from) {
            self.index.default_to(newest);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What is shown to who asks for a name and can check these signatures.
    pub fn find(&self, name: Option<&str>, offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let can = |key: &Arc<CertifiedKey>| key.key.choose_scheme(offered).is_some();
        let named = name.as_deref().and_then(|name| best(self.keys(self.index.named(name)), kind, can));
        let found = match named {
            None if self.is_strict => None,
            None => best(self.keys(self.index.defaults().iter().copied()), kind, can),
            named => named,
        };
        found.cloned()
    }

    fn keys(&self, numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        numbers.filter_map(|number| self.keys.get(usize::try_from(number).ok()?))
    }
}

fn kind(key: &Arc<CertifiedKey>) -> SignatureAlgorithm {
    key.key.algorithm()
}

/// The first with an ECDSA key if that can be checked, else the first with RSA, else with any other, else the first at all.
pub(super) fn best<T: Copy>(
    found: impl Iterator<Item = T>,
    kind: impl Fn(T) -> SignatureAlgorithm,
    can: impl Fn(T) -> bool,
) -> Option<T> {
    let (mut of_kind, mut first): ([Option<T>; 3], _) = ([None; 3], None);
    for candidate in found {
        first = first.or(Some(candidate));
        let place = match kind(candidate) {
            SignatureAlgorithm::ECDSA => 0,
            SignatureAlgorithm::RSA => 1,
            _ => 2,
        };
        if can(candidate) {
            of_kind[place] = of_kind[place].or(Some(candidate));
        }
    }
    of_kind.into_iter().flatten().next().or(first)
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes())
    }
}
