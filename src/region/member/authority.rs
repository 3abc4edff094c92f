//! The cluster's own certificate authority: one key, sealed in the map, that signs every member's certificate.
//!
//! One that follows another is signed by that one too, so that members who have not heard of it yet believe it.

use std::time::Duration;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::CertificateDer;

use super::token::{Digest, digest_of};
use crate::tls::{Pem, PemError, pem};

/// The name of the map's record with certificate and key of the authority, as PEM; sealed.
pub const RECORD: &str = "authority";
/// The record with the certificates of those that are believed, the present one first, as PEM.
pub const ROOTS: &str = "authority-roots";
/// The record with the certificates that those before gave to those after them, as PEM.
pub const CROSS: &str = "authority-cross";
/// The name that every member's certificate bears; before it, with a dot, the member's id.
pub const MEMBER: &str = "member.isobar";

/// Of a member's certificate.
pub const LIFE: Duration = Duration::from_secs(90 * 86_400);
/// Of the authority's own.
const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);
/// Clocks differ.
const SKEW: Duration = Duration::from_secs(3600);
/// The label of a certificate's section.
const CERTIFICATE: &str = "CERTIFICATE";
/// Of a common name (X.520).
const NAME: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("the cluster's authority: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the cluster's {0}")]
    Pem(#[from] PemError),
}

/// To whom a certificate is given.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    pub id: u64,
    pub name: &'a str,
}

pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one. `now`: since the Unix epoch, here and below.
    pub fn found(cluster: u128, now: Duration) -> Result<Authority, AuthorityError> {
        Ok(Authority::follow(cluster, now, None)?.0)
    }

    /// A new one that takes the place of another, and what that one says of it: a certificate for its key.
    pub fn follow(
        cluster: u128,
        now: Duration,
        before: Option<&Authority>,
    ) -> Result<(Authority, Option<CertificateDer<'static>>), AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        // Each has a name of its own, so that a chain leads to one alone.
        let which = hex(&digest_of(key.der_bytes())[..8]);
        params.distinguished_name.push(DnType::CommonName, format!("Isobar cluster CA {which}"));
        params.distinguished_name.push(DnType::OrganizationName, format!("{cluster:032x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        hold(&mut params, now.saturating_sub(SKEW), now + AUTHORITY_LIFE);
        let certificate = params.self_signed(&key)?.der().clone();
        let said = before.map(|before| params.signed_by(&key, &before.issuer)).transpose()?;
        let said = said.map(|certificate| certificate.der().clone());
        Ok((Authority { issuer: Issuer::from_ca_cert_der(&certificate, key)?, certificate }, said))
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// From what [`Authority::to_pem`] made.
    pub fn from_pem(text: &[u8]) -> Result<Authority, AuthorityError> {
        let pem = Pem::parse("authority", text)?;
        let (certificate, key) = (pem.certificate()?, pem.key()?.1);
        let key = KeyPair::from_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)?;
        Ok(Authority { issuer: Issuer::from_ca_cert_der(&certificate, key)?, certificate })
    }

    pub fn to_pem(&self) -> Bytes {
        let text = pem::encode(CERTIFICATE, &self.certificate) + &self.issuer.key().serialize_pem();
        text.into()
    }

    /// By which join tokens name it.
    pub fn digest(&self) -> Digest {
        digest_of(&self.certificate)
    }

    /// A certificate for the key of a request (PKCS #10, DER), followed by the authority's own, as PEM. Nothing but the
    /// key is taken from the request, which must be signed with it.
    pub fn issue(&self, request: &[u8], to: Holder<'_>, now: Duration) -> Result<Bytes, AuthorityError> {
        let mut request = CertificateSigningRequestParams::from_der(&request.into())?;
        let names = vec![MEMBER.to_owned(), format!("{}.{MEMBER}", to.id)];
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, to.name.chars().take(NAME).collect::<String>());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        hold(&mut params, now.saturating_sub(SKEW), now + LIFE);
        request.params = params;
        let certificate = request.signed_by(&self.issuer)?;
        let own = pem::encode(CERTIFICATE, certificate.der());
        Ok((own + &pem::encode(CERTIFICATE, &self.certificate)).into())
    }
}

/// SHA-256 of the key for which a request asks for a certificate, and so of who signed it.
pub fn key_of_request(request: &[u8]) -> Result<Digest, AuthorityError> {
    let request = CertificateSigningRequestParams::from_der(&request.into())?;
    Ok(digest_of(request.public_key.der_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Certificates as PEM, one after the other.
pub fn to_pem(certificates: &[CertificateDer<'static>]) -> Bytes {
    certificates.iter().map(|certificate| pem::encode(CERTIFICATE, certificate)).collect::<String>().into()
}

/// What [`to_pem`] made; none of nothing.
pub fn from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
    match text.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(Pem::parse("authorities", text)?.certificates()?),
    }
}

/// Sets from when until when it holds.
fn hold(params: &mut CertificateParams, from: Duration, until: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.as_secs());
    params.not_after = epoch + Duration::from_secs(until.as_secs());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::member::credential::{Credential, Key};

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn it_issues_to_whom_it_is_told_and_takes_nothing_else_from_the_request() {
        let authority = Authority::found(7, NOW).unwrap();
        let key = Key::generate().unwrap();
        let chain = authority.issue(&key.request().unwrap(), Holder { id: 17, name: "eu1" }, NOW).unwrap();
        let credential = Credential::from_pem(&chain).unwrap();
        assert_eq!(credential.id, 17);
        assert_eq!(credential.until, NOW + LIFE);
        assert!(credential.is_of(&key) && !credential.is_of(&Key::generate().unwrap()));
        assert_eq!(digest_of(&credential.chain[1]), authority.digest());
        credential.check(NOW).unwrap();
        assert!(credential.check(NOW + LIFE + Duration::from_secs(1)).is_err(), "it is over");
        // A request that was changed is not signed any more.
        let mut request = key.request().unwrap().to_vec();
        let last = request.len() - 1;
        request[last] ^= 1;
        assert!(authority.issue(&request, Holder { id: 17, name: "eu1" }, NOW).is_err());
    }

    #[test]
    fn the_next_one_is_believed_by_who_believes_the_one_before() {
        let old = Authority::found(7, NOW).unwrap();
        let (new, said) = Authority::follow(7, NOW, Some(&old)).unwrap();
        let key = Key::generate().unwrap();
        let chain = new.issue(&key.request().unwrap(), Holder { id: 1, name: "n" }, NOW).unwrap();
        let mut credential = Credential::from_pem(&chain).unwrap();
        credential.check(NOW).unwrap();
        let believes = |roots: &[CertificateDer<'static>], others: &[CertificateDer<'static>]| {
            let mut store = rustls::RootCertStore::empty();
            roots.iter().for_each(|root| store.add(root.clone()).unwrap());
            let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
                std::sync::Arc::new(store),
                crate::tls::provider(),
            );
            use rustls::client::danger::ServerCertVerifier;
            let at = rustls::pki_types::UnixTime::since_unix_epoch(NOW);
            let name = crate::region::member::credential::member_name();
            let verifier = verifier.build().unwrap();
            verifier.verify_server_cert(&credential.chain[0], others, &name, &[], at).is_ok()
        };
        let only_old = [old.certificate().clone()];
        assert!(!believes(&only_old, &[]));
        assert!(believes(&only_old, &[new.certificate().clone(), said.clone().unwrap()]));
        assert!(believes(&only_old, &[said.unwrap()]));
        assert_eq!(from_pem(&to_pem(&only_old)).unwrap(), only_old);
        credential.chain[1] = old.certificate().clone();
        assert!(credential.check(NOW).is_err(), "the old one alone did not sign it");
    }

    #[test]
    fn it_is_the_same_when_it_is_read_again() {
        let authority = Authority::found(7, NOW).unwrap();
        let again = Authority::from_pem(&authority.to_pem()).unwrap();
        assert_eq!(again.digest(), authority.digest());
        let key = Key::generate().unwrap();
        let holder = Holder { id: 1, name: &"long".repeat(40) };
        let chain = again.issue(&key.request().unwrap(), holder, NOW).unwrap();
        Credential::from_pem(&chain).unwrap().check(NOW).unwrap();
        assert!(Authority::from_pem(b"nothing").is_err());
        // Of another authority.
        let mut mixed = Credential::from_pem(&chain).unwrap();
        mixed.chain[1] = Authority::found(7, NOW).unwrap().certificate;
        assert!(mixed.check(NOW).is_err());
    }
}
