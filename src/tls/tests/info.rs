//! Values of fetches: a certificate of `openssl req` with what HAProxy 2.6 and `openssl x509` said of it.

use rustls::{AlertDescription, CipherSuite, Error, NamedGroup, PeerIncompatible, ProtocolVersion};

use crate::tls::info::{
    Certificate, cipher, cipher_hash, cipher_names, curve, key_bits, protocol, root_dn, sha1, without_grease,
};
use crate::tls::testing::{Issuer, params};
use crate::tls::{Pem, failure};

fn der() -> Vec<u8> {
    Pem::parse("names.pem", include_bytes!("names.pem")).unwrap().certificate().unwrap().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn a_certificate_says_what_haproxy_says_of_it() {
    let der = der();
    let certificate = Certificate::read(&der).unwrap();
    let line = "/C=FR/ST=Île/L=Paris/O=Example, Org \"x\"/OU=A/OU=B/CN=a.test/emailAddress=x@y.test/DC=z/UID=u1/serialNumber=77/GN=g/title=#t";
    assert_eq!(certificate.subject().line(), line);
    assert_eq!(certificate.issuer().line(), line);
    assert_eq!(root_dn(&[&der]).as_deref(), Some(line));
    assert_eq!(hex(certificate.serial()), "FFAA01");
    assert_eq!(hex(&sha1(&der)), "9EFDD6F8CDBB73DD51F125267A62E5E1BE06E4E0");
    assert_eq!(certificate.not_before().as_deref(), Some("261129133405Z"));
    assert_eq!(certificate.not_after().as_deref(), Some("261229133405Z"));
    assert_eq!((certificate.version(), certificate.key_algorithm().as_str()), (3, "id-ecPublicKey"));
    assert_eq!(certificate.signature_algorithm(), "ecdsa-with-SHA256");
    assert_eq!(
        certificate.alternative_names(),
        "DNS:a.test, DNS:*.w.test, IP Address:1.2.3.4, IP Address:2001:DB8:0:0:0:0:0:1, email:m@x.test, URI:http://u/"
    );
    assert!(Certificate::read(b"junk").is_none());
}

#[test]
fn parts_of_a_name_are_counted_from_either_end() {
    let der = der();
    let certificate = Certificate::read(&der).unwrap();
    let entry = |name: &str, place| {
        certificate.subject().entry(name, place).map(|value| String::from_utf8(value).unwrap())
    };
    for (place, value) in
        [(1, Some("A")), (2, Some("B")), (-1, Some("B")), (-2, Some("A")), (3, None), (0, None)]
    {
        assert_eq!(entry("OU", place).as_deref(), value, "{place}");
    }
    assert_eq!(entry("ou", 1).as_deref(), Some("A"));
    assert_eq!(entry("nothing", 1), None);
    assert_eq!(
        certificate.subject().rfc2253(),
        r##"title=\#t,GN=g,serialNumber=77,UID=u1,DC=z,emailAddress=x@y.test,CN=a.test,OU=B,OU=A,O=Example\, Org \"x\",L=Paris,ST=\C3\8Ele,C=FR"##
    );
}

#[test]
fn times_of_another_century_are_not_told() {
    let of = |from: i32, until: i32| {
        let mut params = params(&["a"]);
        params.not_before = rcgen::date_time_ymd(from, 1, 2);
        params.not_after = rcgen::date_time_ymd(until, 3, 4);
        let issued = Issuer::new().issue(params, &rcgen::PKCS_ECDSA_P256_SHA256);
        let der = Pem::parse("p", issued.certificate.as_bytes()).unwrap().certificate().unwrap();
        let certificate = Certificate::read(&der).unwrap();
        (certificate.not_before(), certificate.not_after())
    };
    assert_eq!(of(1999, 2060), (Some("990102000000Z".into()), Some("600304000000Z".into())));
    assert_eq!(of(2000, 2150), (Some("000102000000Z".into()), None));
}

#[test]
fn connections_are_described_in_openssls_words() {
    assert_eq!(protocol(ProtocolVersion::TLSv1_3), "TLSv1.3");
    assert_eq!(protocol(ProtocolVersion::TLSv1_2), "TLSv1.2");
    let suite = CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256;
    assert_eq!((cipher(suite), key_bits(suite)), ("ECDHE-RSA-CHACHA20-POLY1305", 256));
    let suite = CipherSuite::TLS13_AES_128_GCM_SHA256;
    assert_eq!((cipher(suite), key_bits(suite)), ("TLS_AES_128_GCM_SHA256", 128));
    assert_eq!(curve(NamedGroup::secp256r1), "prime256v1");
    assert_eq!(curve(NamedGroup::X25519), "X25519");
    assert_eq!(curve(NamedGroup::X25519MLKEM768), "X25519MLKEM768");
    let list = [0x2a, 0x2a, 0x13, 0x02, 0xc0, 0x2f, 0, 0xff, 0xee, 0xee, 0, 0x35];
    assert_eq!(without_grease(&list), [0x13, 0x02, 0xc0, 0x2f, 0, 0xff, 0xee, 0xee, 0, 0x35]);
    assert_eq!(
        cipher_names(&list),
        "UNKNOWN(2a2a),TLS_AES_256_GCM_SHA384,ECDHE-RSA-AES128-GCM-SHA256,TLS_EMPTY_RENEGOTIATION_INFO_SCSV,UNKNOWN(eeee),AES256-SHA"
    );
    // Of `curl`'s list, as HAProxy printed it.
    let curl = "130213031301C02CC030009FCCA9CCA8CCAAC02BC02F009EC024C028006BC023C0270067C00AC0140039C009C0130033009D009C003D003C0035002F00FF";
    let curl: Vec<u8> =
        (0..curl.len()).step_by(2).map(|at| u8::from_str_radix(&curl[at..at + 2], 16).unwrap()).collect();
    assert_eq!(cipher_hash(&curl), -8_670_171_557_397_906_448);
}

#[test]
fn failures_have_openssls_numbers() {
    let of = |error: Error| failure::of(&error).code;
    assert_eq!(of(Error::NoCertificatesPresented), 0x0a00_00c7);
    assert_eq!(of(rustls::CertificateError::Expired.into()), 0x0a00_0086);
    assert_eq!(of(PeerIncompatible::NoCipherSuitesInCommon.into()), 0x0a00_00c1);
    assert_eq!(of(PeerIncompatible::Tls12NotOfferedOrEnabled.into()), 0x0a00_0102);
    assert_eq!(failure::HTTP_REQUEST.code, 0x0a00_009c);
    let alerted = failure::of(&Error::AlertReceived(AlertDescription::UnknownCA));
    assert_eq!(alerted.line(), "error:0A000418:SSL routines::tlsv1 alert unknown ca");
}
