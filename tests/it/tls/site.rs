//! The files of a site with TLS: an authority, certificates of servers and of clients, a revocation list, a `crt-list`.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rcgen::{KeyIdMethod, KeyUsagePurpose};
use tempfile::TempDir;

type Issuer = CertifiedIssuer<'static, KeyPair>;

const REVOKED: u64 = 77;

/// `ca.pem`, `ca.crl` and `other-ca.pem`; of servers `a.pem`, `b.pem`, `wild.pem`; of clients `alice.pem`, `revoked.pem`,
/// `expired.pem`, and `stranger.pem` of the other authority; `list.txt`, a `crt-list`.
pub fn files() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let (ours, others) = (authority("Ours"), authority("Others"));
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("write");
    write("ca.pem", &ours.pem());
    write("other-ca.pem", &others.pem());
    write("ca.crl", &revoking(&ours));
    let until =
        |year| move |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(year, 3, 4);
    for (file, issuer, name, host) in [
        ("a", &ours, "a.test", "a.test"),
        ("b", &ours, "b.test", "b.test"),
        ("wild", &ours, "*.wild.test", "*.wild.test"),
        ("alice", &ours, "alice", "alice.test"),
        ("stranger", &others, "stranger", "stranger.test"),
    ] {
        write(&format!("{file}.pem"), &issued(issuer, name, host, until(2045)));
    }
    write("expired.pem", &issued(&ours, "expired", "expired.test", until(2026)));
    let revoked = |params: &mut CertificateParams| params.serial_number = Some(REVOKED.into());
    write("revoked.pem", &issued(&ours, "revoked", "revoked.test", revoked));
    write("list.txt", &list(dir.path()));
    dir
}

fn list(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "{dir}/a.pem [alpn http/1.1 ssl-min-ver TLSv1.3] a.test
# The wildcard, but for one name.
{dir}/wild.pem *.wild.test !secret.wild.test
{dir}/b.pem [verify required ca-file {dir}/ca.pem] b.test
"
    )
}

fn named(common: &str, host: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = host.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("parameters");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "NL");
    params.distinguished_name.push(DnType::OrganizationName, "Test & Sons");
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = rcgen::date_time_ymd(2025, 1, 2);
    params.not_after = rcgen::date_time_ymd(2045, 3, 4);
    params
}

fn authority(name: &str) -> Issuer {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn issued(issuer: &Issuer, common: &str, host: &str, change: impl Fn(&mut CertificateParams)) -> String {
    let mut params = named(common, &[host]);
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

fn revoking(issuer: &Issuer) -> String {
    let revoked = rcgen::RevokedCertParams {
        serial_number: REVOKED.into(),
        revocation_time: rcgen::date_time_ymd(2026, 1, 2),
        reason_code: None,
        invalidity_date: None,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 3),
        next_update: rcgen::date_time_ymd(2045, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).expect("a list").pem().expect("PEM")
}
