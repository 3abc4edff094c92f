//! Clients whose certificates are of X.509 version 1, and lists of revocations of that version, made by OpenSSL.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use super::certificate::files;
use super::{curl, path, resolve};
use crate::diff::{HTTP, one};
use crate::support::differential::{Run, same};

/// An authority, what it signed (`good`, `over`, `revoked`), one of another authority (`foreign`), and a list.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = files(&["a"]);
    let at = dir.path();
    authority(at, "ca");
    authority(at, "other");
    for (name, ca, serial, days) in [
        ("good", "ca", "2", "3650"),
        ("over", "ca", "3", "-1"),
        ("revoked", "ca", "4", "3650"),
        ("foreign", "other", "5", "3650"),
    ] {
        sign(at, name, ca, serial, days);
    }
    list(at);
    dir
});

fn openssl(at: &Path, line: &str) {
    let output = Command::new("openssl").current_dir(at).args(line.split(' ')).output().expect("openssl");
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

fn authority(at: &Path, name: &str) {
    let subject = format!("/O=Old/CN={name}");
    openssl(
        at,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.crt -subj {subject} -days 3650"
        ),
    );
}

/// Without extensions OpenSSL makes it of version 1.
fn sign(at: &Path, name: &str, ca: &str, serial: &str, days: &str) {
    openssl(
        at,
        &format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /O=Old/CN={name}"),
    );
    openssl(
        at,
        &format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -set_serial {serial} -days {days} -out {name}.crt"
        ),
    );
    let read =
        |extension: &str| std::fs::read_to_string(at.join(format!("{name}.{extension}"))).expect("read");
    std::fs::write(at.join(format!("{name}.pem")), read("crt") + &read("key")).expect("write");
}

/// Without a number a list is of version 1 too; it is signed with SHA-1.
fn list(at: &Path) {
    let config =
        "[ca]\ndefault_ca = own\n[own]\ndatabase = index\ndefault_md = sha1\ndefault_crl_days = 3000\n";
    std::fs::write(at.join("ca.cnf"), config).expect("write");
    std::fs::write(at.join("index"), "R\t450101000000Z\t250101000000Z\t04\tunknown\t/O=Old/CN=revoked\n")
        .expect("write");
    openssl(at, "ca -gencrl -config ca.cnf -keyfile ca.key -cert ca.crt -out ca.crl");
}

/// A certificate `good.pem` with who signed it and an answer about it, and an answer that it is revoked (`revoked.ocsp`).
pub fn stapled() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path();
    authority(at, "ca");
    sign(at, "good", "ca", "2", "3650");
    std::fs::copy(at.join("ca.crt"), at.join("good.pem.issuer")).expect("copy");
    for (index, answer) in
        [("V\t450101000000Z\t\t", "good.pem.ocsp"), ("R\t450101000000Z\t250101000000Z\t", "revoked.ocsp")]
    {
        std::fs::write(at.join("index"), format!("{index}02\tunknown\t/O=Old/CN=good\n")).expect("write");
        openssl(
            at,
            &format!(
                "ocsp -index index -CA ca.crt -rsigner ca.crt -rkey ca.key -issuer ca.crt -cert good.crt -ndays 30 -respout {answer}"
            ),
        );
    }
    dir
}

fn ask(run: &mut Run, port: &str, certificate: &str, version: &str) {
    let (addr, pem) = (run.addr(port), path(FILES.path(), &format!("{certificate}.pem")));
    let (resolved, url) = (resolve("a.test", addr), format!("https://a.test:{}/x", addr.port()));
    let output = curl(&["--resolve", &resolved, &url, "--cert", &pem, "--tls-max", version]);
    let body = String::from_utf8_lossy(&output.stdout).into_owned();
    // Which step of TLS 1.3 tells a client that it is refused is not the same.
    let code = if version == "1.2" { format!("{:?}", output.status.code()) } else { String::new() };
    run.note(&format!("{port} {certificate} {version}"), &format!("{code} {body}"));
}

#[test]
fn they_are_judged_as_others_are() {
    let file = |name: &str| path(FILES.path(), name);
    let config = format!(
        "{HTTP}
frontend lenient
    no log
    bind {{ip}}:{{port:lenient}} ssl crt {a} ca-file {ca} verify optional crt-ignore-err all crl-file {crl} alpn http/1.1
    bind {{ip}}:{{port:listless}} ssl crt {a} ca-file {ca} verify optional crt-ignore-err all alpn http/1.1
    http-request return status 200 content-type text/plain lf-string \"%[ssl_c_used] %[ssl_c_verify] %[ssl_c_err] %[ssl_c_ca_err] %[ssl_c_ca_err_depth] %[ssl_c_version] %[ssl_c_serial,hex] %[ssl_c_s_dn] %[ssl_c_i_dn]\"
frontend strict
    bind {{ip}}:{{port:strict}} ssl crt {a} ca-file {ca} verify required crl-file {crl} alpn http/1.1
    http-request return status 200
",
        a = file("a.pem"),
        ca = file("ca.crt"),
        crl = file("ca.crl"),
    );
    same(&config, one, 8, |run| {
        for version in ["1.2", "1.3"] {
            for certificate in ["good", "over", "revoked", "foreign", "a"] {
                ask(run, "lenient", certificate, version);
                ask(run, "listless", certificate, version);
            }
            for certificate in ["good", "over", "revoked", "foreign"] {
                ask(run, "strict", certificate, version);
            }
        }
    });
}
