//! What shows that a node is a member: its key, and the certificate that the cluster's authority gave for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::authority::MEMBER;
use super::token::{Digest, digest_of};
use crate::region::store::snapshot::write_private;
use crate::tls::{Certified, Pem, PemError, provider};

const KEY: &str = "member.key";
const CHAIN: &str = "member.pem";
/// No file of these is larger.
const FILE_BYTES: u64 = 64 << 10;

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    #[error("{0}")]
    Broken(&'static str),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error(transparent)]
    Key(#[from] rcgen::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// The name that a certificate of a member is looked at under.
pub fn member_name() -> ServerName<'static> {
    // Cannot fail: a constant that is a host name.
    ServerName::try_from(MEMBER).unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()))
}

/// A node's key, drawn once for its `data-dir`.
pub struct Key(KeyPair);

impl Key {
    pub fn generate() -> Result<Key, CredentialError> {
        Ok(Key(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// The key in a directory, which is made, with one, if it is not there.
    pub fn open(dir: &Path) -> Result<Key, CredentialError> {
        let path = dir.join(KEY);
        match read(&path)? {
            Some(text) => {
                let (_, key) = Pem::parse(&path.display().to_string(), &text)?.key()?;
                Ok(Key(KeyPair::from_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?))
            }
            None => {
                let key = Key::generate()?;
                let made = std::fs::create_dir_all(dir)
                    .and_then(|()| write_private(&path, key.0.serialize_pem().as_bytes()));
                made.map_err(|e| CredentialError::Io(path.display().to_string(), e))?;
                Ok(key)
            }
        }
    }

    /// A request for a certificate (PKCS #10, DER). Who it is for is not in it: whoever signs knows.
    pub fn request(&self) -> Result<Bytes, CredentialError> {
        let params = CertificateParams::new(Vec::new())?;
        Ok(params.serialize_request(&self.0)?.der().to_vec().into())
    }

    /// SHA-256 of its public half.
    pub fn digest(&self) -> Digest {
        digest_of(self.0.der_bytes())
    }

    /// A certificate that shows nothing but the key.
    pub fn self_signed(&self) -> Result<CertificateDer<'static>, CredentialError> {
        Ok(CertificateParams::new(vec![MEMBER.to_owned()])?.self_signed(&self.0)?.der().clone())
    }

    /// With a chain that is for it, ready to be shown.
    pub fn certified(&self, chain: Vec<CertificateDer<'static>>) -> Result<Certified, CredentialError> {
        let private: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(self.0.serialize_der()).into();
        Ok(Certified::of_der("member", chain, private)?)
    }
}

/// A member's certificate and that of the authority that signed it.
#[derive(Clone, Debug)]
pub struct Credential {
    pub chain: Vec<CertificateDer<'static>>,
    /// The member's.
    pub id: u64,
    /// Since the Unix epoch.
    pub from: Duration,
    pub until: Duration,
}

impl Credential {
    pub fn from_pem(text: &[u8]) -> Result<Credential, CredentialError> {
        Credential::parse("certificate", text)
    }

    /// `file`: where the text is, for errors.
    fn parse(file: &str, text: &[u8]) -> Result<Credential, CredentialError> {
        let chain = Pem::parse(file, text)?.certificates()?;
        let [own, _authority] = chain.as_slice() else {
            return Err(CredentialError::Broken("not a certificate of a member with that of its authority"));
        };
        let unreadable = |_| CredentialError::Broken("a certificate that cannot be read");
        let (_, certificate) = X509Certificate::from_der(own).map_err(unreadable)?;
        let validity = certificate.validity();
        let seconds = |time: i64| Duration::from_secs(time.max(0) as u64);
        let (from, until) =
            (seconds(validity.not_before.timestamp()), seconds(validity.not_after.timestamp()));
        let id = member_of(own).ok_or(CredentialError::Broken("a certificate without a member's id"))?;
        Ok(Credential { chain, id, from, until })
    }

    /// What is kept in a directory, if anything.
    pub fn open(dir: &Path) -> Result<Option<Credential>, CredentialError> {
        let path = dir.join(CHAIN);
        read(&path)?.map(|text| Credential::parse(&path.display().to_string(), &text)).transpose()
    }

    /// Keeps it in a directory.
    pub fn keep(dir: &Path, text: &[u8]) -> Result<(), CredentialError> {
        let path = dir.join(CHAIN);
        write_private(&path, text).map_err(|e| CredentialError::Io(path.display().to_string(), e))
    }

    /// Whether it is for this key.
    pub fn is_of(&self, key: &Key) -> bool {
        let Some(Ok((_, certificate))) = self.chain.first().map(|own| X509Certificate::from_der(own)) else {
            return false;
        };
        certificate.public_key().subject_public_key.data.as_ref() == key.0.der_bytes()
    }

    /// Who signed it.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, CredentialError> {
        roots_of(self.chain.get(1).as_slice().iter().copied())
    }

    /// Whether the authority in it signed it, and it holds now.
    pub fn check(&self, now: Duration) -> Result<(), CredentialError> {
        let own = self.chain.first().ok_or(CredentialError::Broken("no certificate"))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        verifier.verify_server_cert(own, &[], &member_name(), &[], UnixTime::since_unix_epoch(now))?;
        Ok(())
    }

    /// Whether it is time for the next one: two thirds of its life are over.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.from + self.until.saturating_sub(self.from) * 2 / 3
    }
}

/// Those of whom these are the certificates.
pub fn roots_of<'a>(
    authorities: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> Result<Arc<RootCertStore>, CredentialError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(Arc::new(roots))
}

/// SHA-256 of the key of a certificate.
pub fn key_of(certificate: &CertificateDer<'_>) -> Option<Digest> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(digest_of(&certificate.public_key().subject_public_key.data))
}

/// The id in a member's certificate, which must have been verified.
pub fn member_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => name.strip_suffix(MEMBER)?.strip_suffix('.')?.parse().ok(),
        _ => None,
    })
}

/// A small file, if it is there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, CredentialError> {
    use std::io::Read;
    let failed = |e| CredentialError::Io(path.display().to_string(), e);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut text).map_err(failed)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::authority::{Authority, Holder, LIFE};
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_key_is_drawn_once_for_a_directory_and_for_nobody_else_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("data");
        let key = Key::open(&inside).unwrap();
        let again = Key::open(&inside).unwrap();
        assert_eq!(key.0.serialize_der(), again.0.serialize_der());
        let mode = std::fs::metadata(inside.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(inside.join(KEY), "nothing").unwrap();
        assert!(Key::open(&inside).is_err(), "never another one in its place");
    }

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_life() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Credential::open(dir.path()).unwrap().is_none());
        let (authority, key) = (Authority::found(1, NOW).unwrap(), Key::generate().unwrap());
        let text = authority.issue(&key.request().unwrap(), Holder { id: 3, name: "n" }, NOW).unwrap();
        Credential::keep(dir.path(), &text).unwrap();
        let kept = Credential::open(dir.path()).unwrap().unwrap();
        assert_eq!((kept.id, kept.until), (3, NOW + LIFE));
        assert!(!kept.is_due(NOW + LIFE / 2));
        assert!(kept.is_due(NOW + LIFE * 2 / 3));
    }

    #[test]
    fn a_certificate_of_no_member_has_no_id() {
        let key = Key::generate().unwrap();
        assert_eq!(member_of(&key.self_signed().unwrap()), None);
    }
}
