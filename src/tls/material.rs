//! What a certificate's files hold together: its chain and key, a staple (`.ocsp`), whoever signed it (`.issuer`) and its
//! timestamps (`.sctl`), found as `ssl-load-extra-files` says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::SignatureAlgorithm;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::certificate::Certified;
use super::disk::Disk;
use super::error::{Fault, PemError};
use super::ocsp;
use super::pem::Pem;
use super::words::{ExtraFiles, Globals, StoreLine};

/// A weaker key of RSA is refused, as OpenSSL does at its second level.
const RSA_BITS: usize = 2048;

/// A certificate that can be shown.
#[derive(Debug)]
pub struct Material {
    /// Its path in the configuration.
    pub name: Box<str>,
    pub certified: Certified,
    /// Of a file of its own.
    pub issuer: Option<CertificateDer<'static>>,
    pub sctl: Option<Vec<u8>>,
}

impl Material {
    /// The kind of its key, as the runtime API calls it.
    pub fn kind(&self) -> &'static str {
        match self.certified.key.key.algorithm() {
            SignatureAlgorithm::ECDSA => "ecdsa",
            SignatureAlgorithm::RSA => "rsa",
            // As HAProxy calls all others.
            _ => "dsa",
        }
    }
}

/// What was wrong with a file: told, and what forbids to go on.
#[derive(Debug, Default)]
pub struct Told {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

impl Told {
    pub fn append(&mut self, mut other: Told) {
        self.errors.append(&mut other.errors);
        self.warnings.append(&mut other.warnings);
    }
}

/// Where the parts of a certificate are.
struct Parts {
    crt: PathBuf,
    key: Option<PathBuf>,
    ocsp: Option<PathBuf>,
    issuer: Option<PathBuf>,
    sctl: Option<PathBuf>,
    /// Named by a `crt-store`: then they must exist.
    is_explicit: bool,
}

/// What tells whether a file is there, for who has seen its directory.
pub type Seen<'a> = Option<&'a dyn Fn(&Path) -> bool>;

/// Reads a certificate and what belongs to it. `now`: since the Unix epoch, in seconds.
pub fn load(
    disk: &dyn Disk,
    globals: &Globals,
    name: &str,
    seen: Seen<'_>,
    now: i64,
) -> (Option<Arc<Material>>, Told) {
    let mut told = Told::default();
    let parts = parts(globals, name);
    let loaded = read(disk, globals, name, &parts, seen, now, &mut told);
    (loaded.map_err(|text| told.errors.push(text)).ok().map(Arc::new), told)
}

fn parts(globals: &Globals, name: &str) -> Parts {
    if let Some(line) = globals.stored.iter().find(|line| line.names.iter().any(|own| own == name)) {
        let StoreLine { crt, key, ocsp, issuer, sctl, .. } = line.clone();
        return Parts { crt, key, ocsp, issuer, sctl, is_explicit: true };
    }
    let base = match name.strip_suffix(".crt") {
        Some(base) if globals.is_extension_dropped => base,
        _ => name,
    };
    let beside = |flag, extension: &str| {
        globals.extra.contains(flag).then(|| PathBuf::from(format!("{base}.{extension}")))
    };
    Parts {
        crt: PathBuf::from(name),
        key: beside(ExtraFiles::KEY, "key"),
        ocsp: beside(ExtraFiles::OCSP, "ocsp"),
        issuer: beside(ExtraFiles::ISSUER, "issuer"),
        sctl: beside(ExtraFiles::SCTL, "sctl"),
        is_explicit: false,
    }
}

#[allow(clippy::too_many_arguments)] // One step of many, which share all of it.
fn read(
    disk: &dyn Disk,
    globals: &Globals,
    name: &str,
    parts: &Parts,
    seen: Seen<'_>,
    now: i64,
    told: &mut Told,
) -> Result<Material, String> {
    let text = disk.read(&parts.crt).map_err(|e| unreadable(name, &e))?;
    let pem = Pem::parse(name, &text).map_err(|e| unloadable(name, &e))?;
    let optional = |path: &Option<PathBuf>| -> Result<Option<(PathBuf, Vec<u8>)>, String> {
        let Some(path) = path else { return Ok(None) };
        if seen.is_some_and(|seen| !seen(path)) {
            return Ok(None);
        }
        match disk.read(path) {
            Ok(text) => Ok(Some((path.clone(), text))),
            Err(e) if !parts.is_explicit && e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(&path.display().to_string(), &e)),
        }
    };
    pem.certificates().map_err(|e| unloadable(name, &e))?;
    let key = match pem.key() {
        Ok(_) => None,
        Err(own) => {
            let Some((path, text)) = optional(&parts.key)? else { return Err(keyless(name, parts, &own)) };
            let path = path.display().to_string();
            let key = Pem::parse(&path, &text).and_then(|pem| pem.key().map(|_| pem));
            Some(key.map_err(|e| keyless(name, parts, &e))?)
        }
    };
    let mut certified = certified(name, &pem, key.as_ref().unwrap_or(&pem))?;
    let issuer = optional(&parts.issuer)?.map(|(path, text)| {
        let path = path.display().to_string();
        Pem::parse(&path, &text).and_then(|pem| pem.certificate()).map_err(|e| unloadable(&path, &e))
    });
    let issuer = issuer.transpose()?;
    if let Some((path, text)) = optional(&parts.ocsp)? {
        let path = path.display().to_string();
        staple(&path, &text, &mut certified, issuer.as_ref(), now, told)?;
    }
    let sctl = match optional(&parts.sctl)? {
        Some((path, list)) => Some(timestamps(&path, list)?),
        None => None,
    };
    if globals.skips_self_issued {
        drop_self_issued(&mut certified);
    }
    Ok(Material { name: name.into(), certified, issuer, sctl })
}

fn certified(name: &str, chain: &Pem, key: &Pem) -> Result<Certified, String> {
    Certified::of(chain, key).map_err(|e| match &e.fault {
        Fault::OtherKey => format!("inconsistencies between private key and certificate loaded '{name}'."),
        Fault::Key(_) if chain.certificate().is_ok_and(|own| is_weak(&own)) => {
            format!("unable to load SSL certificate into SSL Context '{name}': ee key too small.")
        }
        Fault::Key(why) => format!("unable to load SSL private key into SSL Context '{name}': {why}."),
        _ => unloadable(name, &e),
    })
}

/// Whether the key of a certificate is one of RSA that is too short.
fn is_weak(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    matches!(certificate.public_key().parsed(), Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS)
}

fn keyless(name: &str, parts: &Parts, fault: &PemError) -> String {
    let file = parts.key.as_ref().map_or(name.into(), |path| path.display().to_string());
    match fault.fault {
        Fault::Encrypted => {
            format!("No Private Key found in '{file}': that of '{}' is encrypted.", fault.file)
        }
        _ => format!("No Private Key found in '{file}'."),
    }
}

/// What is said of a file that cannot be read.
pub fn unreadable(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("unable to stat SSL certificate from file '{name}' : No such file or directory.")
        }
        io::ErrorKind::PermissionDenied => format!("cannot open the file '{name}'."),
        _ => format!("cannot open the file '{name}': {}.", crate::lang::load::reason(error)),
    }
}

/// What is said of a text that is no certificate.
pub fn unloadable(name: &str, error: &PemError) -> String {
    let why = match &error.fault {
        Fault::NoCertificate | Fault::NoKey | Fault::NoCrl => "no start line".to_owned(),
        Fault::Base64 => "bad base64 decode".to_owned(),
        Fault::Unfinished(_) => "bad end line".to_owned(),
        other => other.to_string(),
    };
    let line = error.line.map(|line| format!(" (line {line})")).unwrap_or_default();
    format!("unable to load certificate from file '{name}': {why}{line}.")
}

fn staple(
    path: &str,
    response: &[u8],
    certified: &mut Certified,
    issuer: Option<&CertificateDer<'static>>,
    now: i64,
    told: &mut Told,
) -> Result<(), String> {
    let Some((own, issuer)) = ocsp::pair(&certified.key.cert, issuer) else {
        return Err(format!(
            "'{path}' is present and activates OCSP but it is impossible to compute the OCSP certificate ID (maybe the issuer could not be found)'."
        ));
    };
    match ocsp::check(response, own, issuer, now) {
        Ok(_) => *certified = certified.clone().stapling(Some(response.to_vec())),
        Err(why) => told.warnings.push(format!("Loading '{path}': {why}. Content will be ignored.")),
    }
    Ok(())
}

/// A list of certificates' timestamps (RFC 6962 section 3.3), whose form is checked; rustls cannot send it.
fn timestamps(path: &Path, list: Vec<u8>) -> Result<Vec<u8>, String> {
    let bad = || format!("'{}' is present but cannot be read or parsed'.", path.display());
    let vector = |bytes: &[u8]| -> Option<(usize, usize)> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        Some((length, rest.len()))
    };
    let (length, left) = vector(&list).ok_or_else(bad)?;
    if length == 0 || length != left {
        return Err(bad());
    }
    let mut rest = list.get(2..).unwrap_or_default();
    while !rest.is_empty() {
        let (length, left) = vector(rest).ok_or_else(bad)?;
        if length == 0 || length > left {
            return Err(bad());
        }
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    Ok(list)
}

fn drop_self_issued(certified: &mut Certified) {
    let is_kept = |(at, der): &(usize, &CertificateDer<'static>)| {
        *at == 0 || X509Certificate::from_der(der).is_ok_and(|(_, of)| of.subject() != of.issuer())
    };
    let kept: Vec<_> =
        certified.key.cert.iter().enumerate().filter(is_kept).map(|(_, der)| der.clone()).collect();
    if kept.len() < certified.key.cert.len() {
        let mut key = CertifiedKey::clone(&certified.key);
        key.cert = kept;
        certified.key = Arc::new(key);
    }
}
