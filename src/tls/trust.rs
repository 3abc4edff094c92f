//! Whom to believe: files of authorities and of revocations as OpenSSL reads them, and what was found wrong with the other
//! side's certificate, in OpenSSL's numbers.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::authority::Authorities;
use super::disk::Disk;
use super::pem::Pem;

/// The certificates of a file of authorities.
#[derive(Debug)]
pub struct CaFile {
    pub name: Box<str>,
    pub certificates: Vec<CertificateDer<'static>>,
}

/// A name that stands for the system's authorities.
pub const SYSTEM_CA: &str = "@system-ca";

impl CaFile {
    /// Reads a file, or every file of a directory.
    pub fn read(disk: &dyn Disk, name: &str, path: &Path) -> Result<CaFile, String> {
        let mut certificates = Vec::new();
        if let Ok(mut files) = disk.list(path) {
            files.sort();
            for file in files {
                let name = path.join(file);
                let shown = name.display().to_string();
                // As for the hashed directories of OpenSSL: what is no certificate is passed over.
                if let Ok(text) = disk.read(&name)
                    && let Ok(found) = Pem::parse(&shown, &text).and_then(|pem| pem.certificates())
                {
                    certificates.extend(found);
                }
            }
        } else {
            let text = disk.read(path).map_err(|e| {
                format!("'ca-file' : unable to load {name}: {}.", crate::lang::load::reason(&e))
            })?;
            let pem = Pem::parse(name, &text).and_then(|pem| pem.certificates());
            certificates = pem.map_err(|e| format!("'ca-file' : unable to load {name}: {}.", e.fault))?;
        }
        Ok(CaFile { name: name.into(), certificates })
    }

    pub fn parse(name: &str, text: &[u8]) -> Result<CaFile, String> {
        let certificates =
            Pem::parse(name, text).and_then(|pem| pem.certificates()).map_err(|e| e.to_string())?;
        Ok(CaFile { name: name.into(), certificates })
    }
}

/// The lists of a file of revocations.
#[derive(Debug)]
pub struct CrlFile {
    pub name: Box<str>,
    pub lists: Vec<CertificateRevocationListDer<'static>>,
}

impl CrlFile {
    pub fn parse(name: &str, text: &[u8]) -> Result<CrlFile, String> {
        let lists = Pem::parse(name, text).and_then(|pem| pem.crls()).map_err(|e| e.to_string())?;
        let lists = lists.into_iter().map(|(_, list)| list).collect();
        Ok(CrlFile { name: name.into(), lists })
    }
}

/// Who may have signed what the other side shows.
#[derive(Clone, Debug)]
pub struct Trust {
    pub roots: Arc<RootCertStore>,
    /// Authorities that another one signed: not believed by themselves, but links of a chain.
    pub links: Vec<CertificateDer<'static>>,
    /// The certificates of the files as they are: one of these may be shown itself.
    pub pinned: Vec<CertificateDer<'static>>,
    pub crls: Vec<CertificateRevocationListDer<'static>>,
}

impl Trust {
    /// Of files of authorities, and `None` for those of the system.
    pub fn of(files: &[Option<Arc<CaFile>>], crls: Option<&CrlFile>) -> Trust {
        let (mut roots, mut links, mut pinned) = (RootCertStore::empty(), Vec::new(), Vec::new());
        for file in files {
            let Some(file) = file else {
                roots.roots.extend(Authorities::system().roots.roots.iter().cloned());
                continue;
            };
            for certificate in &file.certificates {
                let is_root = X509Certificate::from_der(certificate)
                    .is_ok_and(|(_, of)| of.subject().as_raw() == of.issuer().as_raw());
                pinned.push(certificate.clone());
                // One that webpki cannot read signs nothing that it could.
                if !is_root || roots.add(certificate.clone()).is_err() {
                    links.push(certificate.clone());
                }
            }
        }
        let crls = crls.map(|file| newest(&file.lists)).unwrap_or_default();
        Trust { roots: Arc::new(roots), links, pinned, crls }
    }
}

/// Of lists of the same issuer the last that was made, since webpki looks at the first alone.
fn newest(lists: &[CertificateRevocationListDer<'static>]) -> Vec<CertificateRevocationListDer<'static>> {
    let mut found: Vec<(Vec<u8>, i64, CertificateRevocationListDer<'static>)> = Vec::new();
    for list in lists {
        let Ok((_, read)) = CertificateRevocationList::from_der(list) else { continue };
        let (issuer, made) = (read.issuer().as_raw().to_vec(), read.last_update().timestamp());
        match found.iter_mut().find(|(of, ..)| *of == issuer) {
            Some((_, at, kept)) if *at < made => (*at, *kept) = (made, list.clone()),
            Some(_) => {}
            None => found.push((issuer, made, list.clone())),
        }
    }
    found.into_iter().map(|(_, _, list)| list).collect()
}

/// What was found when the other side's certificate was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The last error, ignored or not (`ssl_c_verify`).
    pub last: u32,
    /// The first error of the certificate itself (`ssl_c_err`).
    pub own: u32,
    /// The first error of those who signed it (`ssl_c_ca_err`), and how far from it.
    pub ca: u32,
    pub ca_depth: u32,
    /// Whether the handshake went on in spite of all.
    pub is_accepted: bool,
    /// The name that the certificate is not for.
    pub mismatch: Option<Mismatch>,
}

/// A server's certificate that is for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Than `verifyhost` says.
    Host,
    /// Than was asked for (`sni`).
    Name,
}

thread_local! {
    static VERDICT: Cell<Option<Verdict>> = const { Cell::new(None) };
}

/// What the verifiers of this room found on this thread since the last call: to be taken after each call of rustls that
/// reads from the other side, before another connection has its turn.
pub fn take_verdict() -> Option<Verdict> {
    VERDICT.take()
}

pub(super) fn leave_verdict(verdict: Verdict) {
    VERDICT.set(Some(verdict));
}

/// OpenSSL's numbers.
pub mod code {
    pub const UNABLE_TO_GET_CRL: u32 = 3;
    pub const SIGNATURE: u32 = 7;
    pub const NOT_YET_VALID: u32 = 9;
    pub const EXPIRED: u32 = 10;
    pub const CRL_SIGNATURE: u32 = 8;
    pub const CRL_NOT_YET_VALID: u32 = 11;
    pub const CRL_EXPIRED: u32 = 12;
    pub const OWN_SELF_SIGNED: u32 = 18;
    pub const SELF_SIGNED: u32 = 19;
    pub const NO_ISSUER: u32 = 20;
    pub const UNVERIFIED: u32 = 21;
    pub const TOO_LONG: u32 = 22;
    pub const REVOKED: u32 = 23;
    pub const INVALID_CA: u32 = 24;
    pub const PATH_LENGTH: u32 = 25;
    pub const PURPOSE: u32 = 26;
    pub const UNHANDLED_EXTENSION: u32 = 34;
    pub const UNHANDLED_CRL_EXTENSION: u32 = 36;
    pub const HOST: u32 = 62;
    pub const UNSPECIFIED: u32 = 1;
}

/// An error and how far from the certificate itself it is.
pub(super) type Found = (u32, u32);

/// What OpenSSL calls an error about a chain, from the certificate itself on.
pub(super) fn found(error: &rustls::Error, chain: &[CertificateDer<'_>], now: UnixTime) -> Found {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(error) = error else {
        return (code::UNABLE_TO_GET_CRL, 0);
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match error {
        E::Expired | E::ExpiredContext { .. } => {
            (code::EXPIRED, depth(chain, |of| of.validity().not_after.timestamp() < seconds))
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            (code::NOT_YET_VALID, depth(chain, |of| of.validity().not_before.timestamp() > seconds))
        }
        E::Revoked => (code::REVOKED, 0),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => (code::PURPOSE, 0),
        E::UnknownIssuer => unknown(chain),
        E::UnknownRevocationStatus => (code::UNABLE_TO_GET_CRL, 0),
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => (code::CRL_EXPIRED, 0),
        // A signature by a namesake of one who is believed.
        E::BadSignature => (code::SIGNATURE, 0),
        E::NotValidForName | E::NotValidForNameContext { .. } => (code::HOST, 0),
        // An authority that shows itself, among others.
        _ => match unknown(chain.get(..1).unwrap_or_default()) {
            (code::OWN_SELF_SIGNED, depth) => (code::OWN_SELF_SIGNED, depth),
            _ => (code::UNSPECIFIED, 0),
        },
    }
}

fn depth(chain: &[CertificateDer<'_>], is: impl Fn(&X509Certificate<'_>) -> bool) -> u32 {
    let of = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_ok_and(|(_, of)| is(&of));
    chain.iter().position(of).and_then(|at| u32::try_from(at).ok()).unwrap_or(0)
}

/// Where a chain ends that leads to nobody who is believed.
fn unknown(chain: &[CertificateDer<'_>]) -> Found {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().filter_map(|der| X509Certificate::from_der(der).ok()).map(|(_, of)| of).collect();
    let Some(mut last) = parsed.first() else { return (code::NO_ISSUER, 0) };
    let mut depth = 0;
    loop {
        if last.subject().as_raw() == last.issuer().as_raw() {
            return if depth == 0 { (code::OWN_SELF_SIGNED, 0) } else { (code::SELF_SIGNED, depth) };
        }
        let signs = |of: &&X509Certificate<'_>| of.subject().as_raw() == last.issuer().as_raw();
        match parsed.iter().skip(1).find(signs) {
            Some(next) if (depth as usize) < parsed.len() => (last, depth) = (next, depth + 1),
            _ => return (code::NO_ISSUER, depth),
        }
    }
}
