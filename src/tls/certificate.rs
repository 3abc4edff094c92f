//! A certificate with its chain and its key, ready to be shown: whom it is for, and when it holds.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::{Fault, PemError};
use super::pem::Pem;
use super::provider::provider;

/// A chain that begins with its owner's certificate, and the key of that.
#[derive(Clone, Debug)]
pub struct Certified {
    pub key: Arc<CertifiedKey>,
    /// Every DNS name of the certificate and its common name, in lower case, each once.
    pub names: Vec<Box<str>>,
    /// Since the Unix epoch.
    pub from: Duration,
    pub until: Duration,
    file: Box<str>,
    line: Option<usize>,
}

/// How a certificate stands to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    NotYet,
    Holds,
    Over,
}

impl Certified {
    /// From the chain of one file and the key of another, which may be the same.
    pub fn of(chain: &Pem, key: &Pem) -> Result<Certified, PemError> {
        let certificates = chain.placed()?;
        let line = certificates.first().map(|(line, _)| *line);
        let (key_line, private) = key.key()?;
        let certificates = certificates.into_iter().map(|(_, certificate)| certificate).collect();
        Certified::new(certificates, private, chain.file(), line).map_err(|fault| match fault {
            Fault::Certificate(_) => chain.fault(line, fault),
            fault => key.fault(Some(key_line), fault),
        })
    }

    /// From a chain and a key that were never in a file; `what` they are, for errors.
    pub fn of_der(
        what: &str,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Certified, PemError> {
        let made = Certified::new(chain, key, what, None);
        made.map_err(|fault| PemError { file: what.into(), line: None, fault })
    }

    /// From a chain and a key that is ready to sign; `file` they are of, for errors.
    pub fn with_key(
        file: &str,
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
    ) -> Result<Certified, PemError> {
        let made = Certified::made(chain, key, file, None);
        made.map_err(|fault| PemError { file: file.into(), line: None, fault })
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        file: &str,
        line: Option<usize>,
    ) -> Result<Certified, Fault> {
        chain.first().ok_or(Fault::NoCertificate)?;
        let key = provider().key_provider.load_private_key(key).map_err(|e| Fault::Key(e.to_string()))?;
        Certified::made(chain, key, file, line)
    }

    fn made(
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
        file: &str,
        line: Option<usize>,
    ) -> Result<Certified, Fault> {
        let unreadable = |e: &dyn std::fmt::Display| Fault::Certificate(e.to_string());
        let own = chain.first().ok_or(Fault::NoCertificate)?;
        let (_, certificate) = X509Certificate::from_der(own).map_err(|e| unreadable(&e))?;
        let seconds = |time: i64| Duration::from_secs(time.max(0).cast_unsigned());
        let validity = certificate.validity();
        let (from, until) =
            (seconds(validity.not_before.timestamp()), seconds(validity.not_after.timestamp()));
        let names = names(&certificate);
        // A key may not be able to say. webpki, which would be asked otherwise, reads no certificate of version 1.
        if key.public_key().is_some_and(|own| own.as_ref() != certificate.public_key().raw) {
            return Err(Fault::OtherKey);
        }
        let key = CertifiedKey::new(chain, key);
        Ok(Certified { key: Arc::new(key), names, from, until, file: file.into(), line })
    }

    /// The same with an answer about it (OCSP) that clients are shown, or without.
    pub fn stapling(mut self, answer: Option<Vec<u8>>) -> Certified {
        let mut key = CertifiedKey::clone(&self.key);
        key.ocsp = answer;
        self.key = Arc::new(key);
        self
    }

    /// `now`: since the Unix epoch.
    pub fn validity(&self, now: Duration) -> Validity {
        match now {
            now if now < self.from => Validity::NotYet,
            now if now > self.until => Validity::Over,
            _ => Validity::Holds,
        }
    }

    /// What is to be told of it though it can be shown: that it does not hold now.
    pub fn warning(&self, now: Duration) -> Option<String> {
        let (what, moment) = match self.validity(now) {
            Validity::Holds => return None,
            Validity::NotYet => ("does not hold before", self.from),
            Validity::Over => ("has expired on", self.until),
        };
        let date = UNIX_EPOCH.checked_add(moment).map(httpdate::fmt_http_date).unwrap_or_default();
        let place = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        Some(format!("{}{place}: the certificate {what} {date}", self.file))
    }

    /// Shows it to everyone, whatever they ask for.
    pub fn alone(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.key.clone()))
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Box<str>> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative.iter().flat_map(|names| &names.value.general_names);
    let dns = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    });
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let mut names: Vec<Box<str>> = Vec::new();
    for name in dns.chain(common) {
        let name = name.to_ascii_lowercase().into_boxed_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
