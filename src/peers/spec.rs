//! What a `peers` section says.

use std::sync::Arc;

use crate::model::Address;
use crate::tls::{Endpoint, Upstream};

use super::session::Shared;

/// Where peers connect to this process.
#[derive(Clone, Debug)]
pub struct Listen {
    pub address: Address,
    /// `ssl`.
    pub tls: Option<Arc<Endpoint>>,
}

/// How TLS is spoken to a peer.
#[derive(Clone, Debug)]
pub struct Secure {
    pub upstream: Upstream,
    /// Changes with its words and with what their files hold.
    pub fingerprint: u64,
    /// `sni`, where it is a plain text.
    pub name: Option<Box<str>>,
}

/// Another process.
#[derive(Clone, Debug)]
pub struct Remote {
    pub name: Box<str>,
    pub address: Address,
    pub tls: Option<Secure>,
}

/// A section.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: Box<str>,
    /// The name of this process.
    pub local: Box<str>,
    /// `disabled`, or this process is none of its peers.
    pub is_off: bool,
    pub listens: Vec<Listen>,
    pub remotes: Vec<Remote>,
    pub tables: Arc<[Shared]>,
}

impl Spec {
    /// Which of its peers this process is, in the order of their names: the same for all of them.
    pub fn rank(&self) -> u8 {
        let before = self.remotes.iter().filter(|remote| remote.name < self.local).count();
        before.min(usize::from(u8::MAX)) as u8
    }

    /// Whoever runs by the other may go on. What a listener shows by TLS may have changed: that is begun anew.
    pub fn is_same(&self, other: &Spec) -> bool {
        let listens =
            |spec: &Spec| spec.listens.iter().map(|listen| listen.address.clone()).collect::<Vec<_>>();
        let remote = |remote: &Remote| {
            let tls = remote.tls.as_ref().map(|tls| (tls.fingerprint, tls.name.clone()));
            (remote.name.clone(), remote.address.clone(), tls)
        };
        let remotes = |spec: &Spec| spec.remotes.iter().map(remote).collect::<Vec<_>>();
        let table = |(a, b): (&Shared, &Shared)| Arc::ptr_eq(&a.table, &b.table) && a.wire == b.wire;
        self.local == other.local
            && self.is_off == other.is_off
            && !self.listens.iter().chain(&other.listens).any(|listen| listen.tls.is_some())
            && listens(self) == listens(other)
            && remotes(self) == remotes(other)
            && self.tables.len() == other.tables.len()
            && self.tables.iter().zip(&*other.tables).all(table)
    }
}
