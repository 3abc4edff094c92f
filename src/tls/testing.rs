//! Certificates of tests: an authority, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rcgen::{KeyUsagePurpose, SignatureAlgorithm};

use super::authority::Authorities;
use super::certificate::Certified;
use super::pem::Pem;

/// Signs certificates.
pub struct Issuer(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    pub fn pem(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }

    pub fn certified(&self) -> Certified {
        let pem = Pem::parse("test.pem", self.pem().as_bytes()).expect("PEM");
        Certified::of(&pem, &pem).expect("a certificate")
    }
}

/// What a certificate is for, by name.
pub fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name = DistinguishedName::new();
    params
}

/// The same with a common name.
pub fn params_of(common: &str, names: &[&str]) -> CertificateParams {
    let mut params = params(names);
    params.distinguished_name.push(DnType::CommonName, common);
    params
}

impl Issuer {
    #[allow(clippy::new_without_default)] // Each is another one.
    pub fn new() -> Issuer {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Issuer(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA"))
    }

    /// The authority itself, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn authorities(&self) -> Authorities {
        Authorities::of(&Pem::parse("ca.pem", self.pem().as_bytes()).expect("PEM")).expect("a CA")
    }

    pub fn issue(&self, params: CertificateParams, kind: &'static SignatureAlgorithm) -> Issued {
        let key = KeyPair::generate_for(kind).expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate").pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// For these names, with a key of P-256.
    pub fn certified(&self, names: &[&str]) -> Certified {
        self.issue(params(names), &rcgen::PKCS_ECDSA_P256_SHA256).certified()
    }

    /// A list that revokes the certificate with this serial number until the given year.
    pub fn revoke(&self, serial: u64, until: i32) -> String {
        let revoked = rcgen::RevokedCertParams {
            serial_number: serial.into(),
            revocation_time: rcgen::date_time_ymd(2020, 1, 2),
            reason_code: None,
            invalidity_date: None,
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 3),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).expect("a list").pem().expect("PEM")
    }
}
