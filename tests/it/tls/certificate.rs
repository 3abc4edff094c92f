//! Certificates in a directory of their own.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use tempfile::TempDir;

/// Files `NAME.pem` with certificate and key, each for `NAME.test`.
pub fn files(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for name in names {
        let host = format!("{name}.test");
        let mut params = CertificateParams::new(vec![host.clone()]).expect("parameters");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        params.not_before = rcgen::date_time_ymd(2025, 1, 2);
        params.not_after = rcgen::date_time_ymd(2045, 3, 4);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        std::fs::write(dir.path().join(format!("{name}.pem")), pem).expect("write");
    }
    dir
}
