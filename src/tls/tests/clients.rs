//! What is made of clients' certificates, in OpenSSL's numbers, and which of that is ignored.

use std::sync::Arc;

use rcgen::{ExtendedKeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::ClientConfig;

use super::endpoint::{Files, built, crt, ecdsa, shake, words};
use crate::tls::testing::{Issued, Issuer, params};
use crate::tls::{Anyone, BindWords, Ignored, Options, Verdict, Verify, provider, take_verdict};

fn showing(issued: Option<&Issued>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone));
    match issued {
        Some(issued) => builder.with_client_cert_resolver(issued.certified().alone()),
        None => builder.with_no_client_auth(),
    }
}

struct Case {
    files: Files,
    words: BindWords,
}

impl Case {
    fn of(issuer: &Issuer, verify: Verify) -> Case {
        let files = Files::default().with("/a", ecdsa(&["a.test"]).pem()).with("/ca", issuer.pem());
        let options = Options { verify: Some(verify), ca_file: Some("/ca".into()), ..Options::default() };
        Case { files, words: BindWords { options, ..words(&[crt("/a")]) } }
    }

    fn ignoring(mut self, codes: &str) -> Case {
        self.words.crt_ignore_err = Ignored::parse(codes).unwrap();
        self
    }

    fn revoking(mut self, list: String) -> Case {
        self.files = self.files.with("/crl", list);
        self.words.options.crl_file = Some("/crl".into());
        self
    }

    /// What was found, and how the handshake ended.
    fn meet(&self, shows: Option<&Issued>) -> (Option<Verdict>, Option<String>) {
        let endpoint = built(&self.files, self.words.clone());
        take_verdict();
        let ended = shake(&endpoint, &showing(shows), "a.test").err();
        (take_verdict(), ended)
    }

    fn last(&self, shows: &Issued) -> (u32, bool) {
        let (verdict, ended) = self.meet(Some(shows));
        let verdict = verdict.unwrap();
        assert_eq!(verdict.is_accepted, ended.is_none(), "{ended:?}");
        assert_eq!(verdict.own != 0, verdict.last != 0);
        (verdict.last, verdict.is_accepted)
    }
}

fn issued(issuer: &Issuer, change: impl Fn(&mut rcgen::CertificateParams)) -> Issued {
    let mut params = params(&["client"]);
    change(&mut params);
    issuer.issue(params, &PKCS_ECDSA_P256_SHA256)
}

#[test]
fn each_fault_of_a_client_has_openssls_number() {
    let issuer = Issuer::new();
    let case = || Case::of(&issuer, Verify::Required);
    let expired = issued(&issuer, |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let future = issued(&issuer, |params| params.not_before = rcgen::date_time_ymd(2090, 1, 1));
    let server = issued(&issuer, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let seventh = issued(&issuer, |params| params.serial_number = Some(7.into()));
    let good = issued(&issuer, |_| ());
    assert_eq!(case().last(&good), (0, true));
    assert_eq!(case().last(&expired), (10, false));
    assert_eq!(case().last(&future), (9, false));
    assert_eq!(case().last(&server), (26, false));
    let stranger = stranger(|_| ());
    assert_eq!(case().last(&stranger), (20, false));
    assert_eq!(case().revoking(issuer.revoke(7, 2100)).last(&seventh), (23, false));
    assert_eq!(case().revoking(issuer.revoke(8, 2100)).last(&seventh), (0, true));
    assert_eq!(case().revoking(issuer.revoke(8, 2021)).last(&seventh), (12, false));
    assert_eq!(case().revoking(other_list()).last(&seventh), (3, false));
    let (verdict, ended) = case().meet(None);
    assert!(verdict.is_none() && ended.unwrap().contains("NoCertificatesPresented"));
    assert_eq!(Case::of(&issuer, Verify::Optional).meet(None), (None, None));
    assert_eq!(Case::of(&issuer, Verify::Optional).last(&expired), (10, false));
}

/// Of an authority with another name.
fn stranger(change: impl Fn(&mut rcgen::CertificateParams)) -> Issued {
    let mut authority = params(&[]);
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Other CA");
    let authority =
        rcgen::CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap();
    let mut params = params(&["client"]);
    params.distinguished_name.push(rcgen::DnType::CommonName, "client");
    change(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap().pem();
    Issued { certificate, key: key.serialize_pem() }
}

fn other_list() -> String {
    let mut authority = params(&[]);
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(rcgen::DnType::CommonName, "Other CA");
    let authority =
        rcgen::CertifiedIssuer::self_signed(authority, rcgen::KeyPair::generate().unwrap()).unwrap();
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 3),
        next_update: rcgen::date_time_ymd(2100, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&authority).unwrap().pem().unwrap()
}

#[test]
fn what_is_ignored_does_not_hide_what_is_not() {
    let issuer = Issuer::new();
    let case = |codes: &str| Case::of(&issuer, Verify::Required).ignoring(codes);
    let expired = issued(&issuer, |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    assert_eq!(case("10").last(&expired), (10, true));
    assert_eq!(case("9,20").last(&expired), (10, false));
    let stranger_then = stranger(|params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    // Expired, and of somebody who is not believed.
    assert_eq!(case("10").last(&stranger_then), (20, false));
    assert_eq!(case("10,20").last(&stranger_then), (21, false));
    assert!(case("10,20,21").last(&stranger_then).1);
    assert_eq!(case("20,21").last(&stranger_then), (10, false));
    assert!(case("all").last(&stranger_then).1);
    let now = stranger(|_| ());
    let (verdict, _) = case("all").meet(Some(&now));
    let verdict = verdict.unwrap();
    assert_eq!((verdict.own, verdict.last, verdict.ca), (20, 21, 0));
    let revoked = issued(&issuer, |params| {
        params.serial_number = Some(7.into());
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    assert_eq!(case("10").revoking(issuer.revoke(7, 2100)).last(&revoked), (23, false));
}

#[test]
fn words_of_ignored_errors_are_numbers_or_names() {
    assert!(Ignored::parse("all").unwrap().has(77));
    let some = Ignored::parse("10,X509_V_ERR_CERT_REVOKED").unwrap();
    assert!(some.has(10) && some.has(23) && !some.has(20));
    assert!(Ignored::parse("10,foo").is_err() && Ignored::parse("0").is_err());
}
