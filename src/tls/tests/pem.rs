//! Every kind of fault of a text in PEM has its sentence and its place.

use std::path::Path;
use std::time::Duration;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};

use crate::tls::testing::{Issuer, params, params_of};
use crate::tls::{Authorities, Certified, Files, Pem, Secure, Validity};

fn pem(text: &str) -> Pem {
    Pem::parse("f.pem", text.as_bytes()).expect("PEM")
}

/// What is said of a file as a chain with its key.
fn fault(text: &str) -> String {
    let certified = Pem::parse("f.pem", text.as_bytes()).and_then(|pem| Certified::of(&pem, &pem));
    certified.expect_err("a fault").to_string()
}

#[test]
fn every_fault_is_told_with_its_place() {
    let issued = Issuer::new().issue(params(&["a.test"]), &PKCS_ECDSA_P256_SHA256);
    let (crt, key) = (&issued.certificate, &issued.key);
    let lines = crt.lines().count();
    for text in ["", "no PEM\n", "\u{30}\u{82}\u{1}\n", key] {
        assert_eq!(fault(text), "f.pem: no certificate in it");
    }
    assert_eq!(fault(crt), "f.pem: no private key in it");
    let unfinished = "f.pem:1: '-----BEGIN CERTIFICATE-----' without its end";
    assert_eq!(fault(crt.split("-----END").next().unwrap()), unfinished);
    assert_eq!(fault(&crt.replace("-----END CERT", "-----END PRIVATE KEY")), unfinished);
    // The next section begins within it.
    assert_eq!(fault(&(crt.split("-----END").next().unwrap().to_owned() + key)), unfinished);
    let second = crt.lines().nth(1).unwrap();
    assert_eq!(
        fault(&format!("# a\n{}", crt.replace(second, &second.replace('M', "?")))),
        "f.pem:3: not base64"
    );
    let cut = "-----BEGIN CERTIFICATE-----\nAAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(fault(&format!("{crt}{cut}")), format!("f.pem:{}: not base64", lines + 1));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let told = fault(&format!("{broken}{key}"));
    assert!(told.starts_with("f.pem:1: a certificate that cannot be read ("), "{told}");
    let told = fault(&format!("{crt}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
    assert!(told.starts_with(&format!("f.pem:{}: a private key that cannot be used (", lines + 1)), "{told}");
    for encrypted in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
    ] {
        let told = fault(&format!("{crt}{encrypted}"));
        assert_eq!(told, format!("f.pem:{}: the private key is encrypted", lines + 1));
    }
    let other = Issuer::new().issue(params(&["b.test"]), &PKCS_ECDSA_P256_SHA256);
    let not_its = format!("f.pem:{}: the private key is not that of the first certificate", lines + 1);
    assert_eq!(fault(&format!("{crt}{}", other.key)), not_its);
}

#[test]
fn a_key_of_another_file_is_named_by_that_file() {
    let (one, two) = (Issuer::new(), Issuer::new());
    let (crt, other) = (one.issue(params(&["a"]), &PKCS_ED25519), two.issue(params(&["b"]), &PKCS_ED25519));
    let chain = Pem::parse("f.crt", crt.certificate.as_bytes()).unwrap();
    let key = Pem::parse("f.key", other.key.as_bytes()).unwrap();
    let told = Certified::of(&chain, &key).unwrap_err().to_string();
    assert_eq!(told, "f.key:1: the private key is not that of the first certificate");
    let told = Certified::of(&chain, &chain).unwrap_err().to_string();
    assert_eq!(told, "f.crt: no private key in it");
}

#[test]
fn what_programs_write_is_read() {
    let issuer = Issuer::new();
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let issued = issuer.issue(params(&["a.test"]), kind);
        let (crt, key) = (issued.certificate.trim_end(), issued.key.trim_end());
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----";
        for text in [
            // Key first, text around, more certificates, no final end of line.
            format!("{key}\nBag Attributes: <none>\nsubject=\n{crt}\n{}", issuer.pem().trim_end()),
            format!("{parameters}\n{key}\n{crt}"),
            format!("{crt}\n{key}\n{}\n", issuer.issue(params(&["b"]), kind).key),
            format!("{crt}\n{key}\n").replace('\n', "\r\n"),
            format!("{crt}\n{key}\n").replace('\n', " \n"),
            format!("{crt}\n{key}\n").replace(" CERTIFICATE", " X509 CERTIFICATE"),
        ] {
            let pem = pem(&text);
            let certified = Certified::of(&pem, &pem).unwrap_or_else(|e| panic!("{e}: {text}"));
            assert_eq!(certified.names, ["a.test".into()]);
        }
    }
}

#[test]
fn names_are_those_of_the_certificate_and_its_common_name() {
    let issued =
        Issuer::new().issue(params_of("CN.test", &["*.W.test", "a.test", "127.0.0.1"]), &PKCS_ED25519);
    assert_eq!(issued.certified().names, ["*.w.test".into(), "a.test".into(), "cn.test".into()]);
    let twice = Issuer::new().issue(params_of("a.test", &["a.test"]), &PKCS_ED25519);
    assert_eq!(twice.certified().names, ["a.test".into()]);
}

#[test]
fn an_expired_certificate_is_told() {
    let mut params = params(&["a.test"]);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let certified = Issuer::new().issue(params, &PKCS_ED25519).certified();
    let day = |days: u64| Duration::from_secs(days * 86_400);
    assert_eq!(certified.validity(day(365 * 49)), Validity::NotYet);
    assert_eq!(certified.warning(day(365 * 51)), None);
    assert_eq!(
        certified.warning(day(365 * 52)).as_deref(),
        Some("test.pem:1: the certificate has expired on Fri, 01 Jan 2021 00:00:00 GMT")
    );
    assert_eq!(
        certified.warning(day(1)).as_deref(),
        Some("test.pem:1: the certificate does not hold before Wed, 01 Jan 2020 00:00:00 GMT")
    );
}

#[test]
fn authorities_and_revocations_say_what_is_wrong() {
    let issuer = Issuer::new();
    assert_eq!(Authorities::of(&pem(&format!("{}{}", issuer.pem(), issuer.pem()))).unwrap().roots.len(), 2);
    let told = |ca: &str| Authorities::of(&pem(ca)).unwrap_err().to_string();
    assert_eq!(told("nothing"), "f.pem: no certificate in it");
    let broken =
        told(&format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", issuer.pem()));
    let line = issuer.pem().lines().count() + 1;
    assert!(broken.starts_with(&format!("f.pem:{line}: a certificate that cannot be read (")), "{broken}");
    let revoking = |crl: &str| issuer.authorities().revoking(&pem(crl));
    assert_eq!(revoking(&issuer.revoke(7, 2100)).unwrap().crls.len(), 1);
    assert_eq!(revoking("").unwrap_err().to_string(), "f.pem: no certificate revocation list in it");
    let told = revoking("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----").unwrap_err().to_string();
    assert!(told.starts_with("f.pem:1: a certificate revocation list that cannot be read ("), "{told}");
}

#[test]
fn files_of_a_client_are_named_in_errors() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("none.pem").display().to_string();
    let files = Files { ca: Some(absent.clone()), ..Files::default() };
    assert_eq!(files.client().unwrap_err().to_string(), format!("{absent}: No such file or directory"));
    let told = Pem::open(dir.path()).unwrap_err().to_string();
    assert_eq!(told, format!("{}: Is a directory", dir.path().display()));
    assert!(Pem::open(Path::new("/dev/zero")).unwrap_err().to_string().contains("larger than"));
    let client = Files::default().client().unwrap();
    assert!(Secure::new(client.clone(), "[::1]:8501").is_ok());
    let told = Secure::new(client, "a b:1").err().unwrap().to_string();
    assert_eq!(told, "a b:1: not a host name");
}
