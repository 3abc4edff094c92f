//! Whose signatures are believed: CA files, what their owners revoked, and the system's authorities.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::error::{Fault, PemError};
use super::pem::{Item, Pem, Sections};

/// Where distributions keep the authorities; `SSL_CERT_FILE` comes first.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let bundles = named.as_deref().into_iter().chain(BUNDLES);
    let mut roots = RootCertStore::empty();
    if let Some(file) = bundles.map(Path::new).find(|path| path.is_file())
        && let Ok(text) = std::fs::read(file)
    {
        let certificate = |(_, item)| match item {
            Item::Certificate(der) => Some(der),
            _ => None,
        };
        roots.add_parsable_certificates(Sections::new("", &text).flatten().filter_map(certificate));
    }
    Arc::new(roots)
});

/// Authorities, and the lists of certificates that they revoked.
#[derive(Clone, Debug)]
pub struct Authorities {
    pub roots: Arc<RootCertStore>,
    pub crls: Vec<CertificateRevocationListDer<'static>>,
}

impl Authorities {
    /// Those that the system believes; what it has and cannot be read is left out. Blocks when first called.
    pub fn system() -> Authorities {
        SYSTEM.clone().into()
    }

    /// Those of a CA file.
    pub fn of(ca: &Pem) -> Result<Authorities, PemError> {
        let mut roots = RootCertStore::empty();
        for (line, certificate) in ca.placed()? {
            roots.add(certificate).map_err(|e| ca.fault(Some(line), Fault::Certificate(e.to_string())))?;
        }
        Ok(Arc::new(roots).into())
    }

    /// Believes nothing that a file of revocation lists names, nor what a list that is over or missing would have to tell.
    pub fn revoking(mut self, crl: &Pem) -> Result<Authorities, PemError> {
        for (line, list) in crl.crls()? {
            CertificateRevocationList::from_der(&list)
                .map_err(|e| crl.fault(Some(line), Fault::Crl(e.to_string())))?;
            self.crls.push(list);
        }
        Ok(self)
    }
}

impl From<Arc<RootCertStore>> for Authorities {
    fn from(roots: Arc<RootCertStore>) -> Authorities {
        Authorities { roots, crls: Vec::new() }
    }
}
