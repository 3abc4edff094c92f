//! The cluster's own certificate authority: one key, kept in the map, that signs every member's certificate.

use std::time::Duration;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::CertificateDer;

use super::token::{Digest, digest_of};
use crate::tls::{Pem, PemError, pem};

/// The name of the map's record with certificate and key of the authority, as PEM.
pub const RECORD: &str = "authority";
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
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Isobar cluster CA");
        params.distinguished_name.push(DnType::OrganizationName, format!("{cluster:032x}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        hold(&mut params, now.saturating_sub(SKEW), now + AUTHORITY_LIFE);
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Authority { issuer: Issuer::from_ca_cert_der(&certificate, key)?, certificate })
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
