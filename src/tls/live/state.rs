//! What can be changed, and the changes that are prepared and not yet in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::SigningKey;

use crate::tls::endpoint::Endpoint;
use crate::tls::library::{Library, List};
use crate::tls::material::Material;
use crate::tls::trust::{CaFile, CrlFile};
use crate::tls::upstream::Upstream;

/// All that runtime commands act on.
pub struct Live {
    pub(super) library: Library<'static>,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) upstreams: Vec<Upstream>,
    /// By name; one that was made and not yet filled has nothing.
    pub(super) certificates: BTreeMap<String, Option<Arc<Material>>>,
    pub(super) lists: BTreeMap<String, List>,
    pub(super) ca_files: BTreeMap<String, Arc<CaFile>>,
    pub(super) crl_files: BTreeMap<String, Arc<CrlFile>>,
    pub(super) draft: Option<Draft>,
    pub(super) ca_draft: Option<Arc<CaFile>>,
    pub(super) crl_draft: Option<Arc<CrlFile>>,
}

/// A certificate that is being changed.
#[derive(Clone, Default)]
pub(super) struct Draft {
    pub name: String,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Option<Arc<dyn SigningKey>>,
    pub issuer: Option<CertificateDer<'static>>,
    pub ocsp: Option<Vec<u8>>,
    pub sctl: Option<Vec<u8>>,
}

impl Draft {
    /// What a certificate consists of now.
    pub fn of(name: &str, material: Option<&Material>) -> Draft {
        let mut draft = Draft { name: name.to_owned(), ..Draft::default() };
        if let Some(material) = material {
            let key = &material.certified.key;
            draft.chain = key.cert.clone();
            draft.key = Some(key.key.clone());
            draft.ocsp = key.ocsp.clone();
            draft.issuer = material.issuer.clone();
            draft.sctl = material.sctl.clone();
        }
        draft
    }
}

impl Live {
    /// Of a configuration that is in use.
    pub fn new(library: Library<'_>, endpoints: Vec<Arc<Endpoint>>, upstreams: Vec<Upstream>) -> Live {
        let mut library = library.closed();
        let certificates = library.all().map(|of| (of.name.to_string(), Some(of.clone()))).collect();
        let lists = library.lists.iter().map(|(name, list)| (name.clone(), List::clone(list))).collect();
        let ca_files = library.ca_files().iter().map(|(name, file)| (name.clone(), file.clone())).collect();
        let crl_files = library.crl_files().iter().map(|(name, file)| (name.clone(), file.clone())).collect();
        Live {
            library,
            endpoints,
            upstreams,
            certificates,
            lists,
            ca_files,
            crl_files,
            draft: None,
            ca_draft: None,
            crl_draft: None,
        }
    }

    /// Whether a certificate is shown anywhere.
    pub(super) fn is_shown(&self, name: &str) -> bool {
        let shows = |endpoint: &Arc<Endpoint>| {
            endpoint.shelf().entries.values().any(|entry| *entry.material.name == *name)
        };
        self.endpoints.iter().any(shows)
            || self.upstreams.iter().any(|upstream| upstream.uses(name, &self.library))
            || self.lists.values().any(|list| list.lines.iter().any(|line| line.crt == name))
    }
}
