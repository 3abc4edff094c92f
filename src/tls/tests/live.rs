//! Runtime commands: HAProxy's answers, and what clients are shown after them.

use std::sync::Arc;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};

use super::endpoint::{Files, choose, client, crt, shake, words};
use crate::tls::testing::{Issued, Issuer, params, params_of};
use crate::tls::{BindWords, Endpoint, Globals, Library, Live, Options, Source, Told, Verify};

const NOW: i64 = 1_800_000_000;

struct Site {
    live: Live,
    endpoints: Vec<Arc<Endpoint>>,
    issuer: Issuer,
}

impl Site {
    fn new(files: Files, lines: Vec<BindWords>) -> Site {
        let mut library = Library::new(&files, Globals::default(), NOW, None);
        let mut told = Told::default();
        let build = |(n, words): (usize, BindWords)| {
            let name = format!("f/CFG:{}", n + 10);
            Endpoint::build(&name, words, &mut library, &mut told).unwrap_or_else(|| panic!("{told:?}"))
        };
        let endpoints: Vec<_> = lines.into_iter().enumerate().map(build).collect();
        Site { live: Live::new(library, endpoints.clone()), endpoints, issuer: Issuer::new() }
    }

    fn issue(&self, names: &[&str]) -> Issued {
        self.issuer.issue(params(names), &PKCS_ECDSA_P256_SHA256)
    }

    /// The first name of what a client is shown.
    fn shown(&self, endpoint: usize, name: &str) -> String {
        match choose(&self.endpoints[endpoint], &client(), name) {
            Ok(choice) => choice.material.certified.names[0].to_string(),
            Err(alert) => format!("alert {alert}"),
        }
    }
}

fn issued(names: &[&str]) -> Issued {
    Issuer::new().issue(params(names), &PKCS_ECDSA_P256_SHA256)
}

fn site() -> Site {
    let files = Files::default()
        .with("D/a.pem", issued(&["a.test"]).pem())
        .with("D/b.pem", issued(&["b.test"]).pem())
        .with("E/c.pem", issued(&["c.test"]).pem())
        .with("L", "D/a.pem [alpn h2,http/1.1] a.test *.a.test !x.a.test\nD/b.pem\n");
    Site::new(
        files,
        vec![
            words(&[Source::CrtList("L".into())]),
            BindWords { is_strict: true, ..words(&[crt("E"), crt("D/a.pem")]) },
        ],
    )
}

#[test]
fn a_certificate_is_replaced_by_a_transaction() {
    let mut site = site();
    let next = site.issue(&["a.test", "new.test"]);
    let live = &mut site.live;
    assert_eq!(live.commit_cert("D/a.pem"), "No ongoing transaction! !\nCan't commit D/a.pem!\n");
    assert_eq!(live.abort_cert("D/a.pem"), "No ongoing transaction!\n");
    assert_eq!(live.set_cert("D/a.pem", &next.pem(), NOW), "Transaction created for certificate D/a.pem!\n");
    assert_eq!(live.set_cert("D/a.pem", &next.pem(), NOW), "Transaction updated for certificate D/a.pem!\n");
    assert_eq!(
        live.set_cert("D/b.pem", &next.pem(), NOW),
        "The ongoing transaction is about 'D/a.pem' but you are trying to set 'D/b.pem'\nCan't update D/b.pem!\n"
    );
    assert_eq!(live.show_certs(), "# transaction\n*D/a.pem\n# filename\nD/a.pem\nD/b.pem\nE/c.pem\n");
    assert!(live.show_cert("*D/a.pem").contains("Status: Uncommitted\n"));
    assert_eq!(site.shown(1, "new.test"), "alert 112");
    assert_eq!(site.live.commit_cert("D/a.pem"), "Committing D/a.pem..\nSuccess!\n", "a dot for each place");
    assert_eq!(site.shown(1, "new.test"), "a.test");
    assert_eq!(site.shown(0, "z.a.test"), "a.test");
    let choice = choose(&site.endpoints[0], &client(), "z.a.test").unwrap();
    assert!(choice.material.certified.names.contains(&"new.test".into()), "by its line's names too");
    shake(&site.endpoints[0], &client(), "a.test").unwrap();
    assert_eq!(site.live.abort_cert("D/b.pem"), "No ongoing transaction!\n");
}

#[test]
fn what_cannot_be_committed_is_not() {
    let mut site = site();
    let (next, other) = (site.issue(&["next.test"]), site.issue(&["other.test"]));
    let live = &mut site.live;
    let created = "Transaction created for certificate D/a.pem!\n";
    assert_eq!(live.set_cert("D/a.pem", &next.certificate, NOW), created);
    assert_eq!(
        live.commit_cert("D/a.pem"),
        "Committing D/a.pem\nunable to load SSL private key into SSL Context 'D/a.pem': passed a null parameter.\nFailed!\n"
    );
    assert_eq!(live.abort_cert("D/a.pem"), "No ongoing transaction!\n");
    assert_eq!(live.set_cert("D/a.pem", &format!("{}{}", next.certificate, other.key), NOW), created);
    assert_eq!(
        live.commit_cert("D/a.pem"),
        "inconsistencies between private key and certificate loaded 'D/a.pem'.\nCan't commit D/a.pem!\n"
    );
    // A part is enough to make it right.
    assert!(live.set_cert("D/a.pem.key", &next.key, NOW).starts_with("Transaction updated"));
    assert!(live.commit_cert("D/a.pem").contains("Success!"));
    assert_eq!(
        live.set_cert("D/a.pem", "garbage", NOW),
        "unable to load certificate from file 'D/a.pem': no start line.\nCan't load the payload\nCan't update D/a.pem!\n"
    );
    assert_eq!(
        live.set_cert("nope.pem", &next.pem(), NOW),
        "Can't replace a certificate which is not referenced by the configuration!\nCan't update nope.pem!\n"
    );
    assert_eq!(
        live.set_cert("D/a.pem", "", NOW),
        "'set ssl cert' expects a filename and a certificate as a payload\n"
    );
    assert_eq!(live.set_cert("D/a.pem", &other.pem(), NOW), created);
    assert_eq!(live.abort_cert("D/a.pem"), "Transaction aborted for certificate 'D/a.pem'!\n");
    assert_eq!(
        live.show_cert("nope"),
        "Can't display the certificate: Not found or the certificate is a bundle!\n"
    );
}

#[test]
fn a_list_gets_and_loses_lines() {
    let mut site = site();
    let next = site.issue(&["n.test"]);
    let live = &mut site.live;
    assert_eq!(live.new_cert("D/n.pem"), "New empty certificate store 'D/n.pem'!\n");
    assert_eq!(live.new_cert("D/n.pem"), "Certificate 'D/n.pem' already exists!\n");
    assert_eq!(
        live.show_cert("D/n.pem"),
        "Filename: D/n.pem\nOption: ocsp-update off\nOption: jwt off\nStatus: Empty\nOCSP Response Key:\n"
    );
    let empty = "Can't edit the crt-list: certificate 'D/n.pem' is empty!\n";
    assert_eq!(live.add_crt_list("L", "D/n.pem"), empty);
    live.set_cert("D/n.pem", &next.pem(), NOW);
    assert_eq!(live.add_crt_list("L", "D/n.pem"), empty);
    assert_eq!(live.commit_cert("D/n.pem"), "Committing D/n.pem\nSuccess!\n");
    assert!(live.show_cert("D/n.pem").contains("Status: Unused\n"));
    let inserted = "Inserting certificate 'D/n.pem' in crt-list 'L'.\nSuccess!\n";
    assert_eq!(live.add_crt_list("L", "D/n.pem"), inserted);
    assert_eq!(live.add_crt_list("L", "D/n.pem [alpn h2 ssl-min-ver TLSv1.3] k.test !j.test"), inserted);
    for (list, line, why) in [
        ("L", "D/n.pem [foo]", "parsing [CLI:1]: unknown ssl keyword foo"),
        ("nope", "D/a.pem", "crt-list 'nope' does not exist!"),
        ("L", "nope.pem", "certificate 'nope.pem' does not exist!"),
        ("L", "D/n.pem [ciphers none]", "unable to set SSL cipher list to 'none'."),
    ] {
        assert_eq!(live.add_crt_list(list, line), format!("Can't edit the crt-list: {why}\n"));
    }
    assert!(live.add_crt_list("E", "D/n.pem").contains("Success!"), "a directory is a list");
    assert_eq!(live.show_crt_lists(), "E\nL\n");
    assert_eq!(
        live.show_crt_list("L", true),
        "# L\nD/a.pem:1 [alpn h2,http/1.1] a.test *.a.test !x.a.test\nD/b.pem:2\nD/n.pem:3\nD/n.pem:4 [alpn h2 ssl-min-ver TLSv1.3] k.test !j.test\n"
    );
    assert_eq!(live.show_crt_list("nope", false), "didn't find the specified filename\n");
    for (endpoint, name) in [(0, "n.test"), (0, "k.test"), (1, "n.test")] {
        assert_eq!(site.shown(endpoint, name), "n.test", "{name}");
    }
    let config = choose(&site.endpoints[0], &client(), "k.test").unwrap().config;
    assert_eq!(config.alpn_protocols, [b"h2"]);
    let live = &mut site.live;
    let refused = |why: &str| format!("Can't delete the entry: {why}\n");
    assert_eq!(
        live.del_crt_list("L", "D/n.pem"),
        refused(
            "found the certificate 'D/n.pem' in several entries, please specify a line number preceded by colons (3, 4)!"
        )
    );
    assert_eq!(
        live.del_crt_list("L", "D/n.pem:9"),
        refused(
            "found a certificate 'D/n.pem' but the line number is incorrect, please specify a correct line number preceded by colons (3, 4)!"
        )
    );
    let in_use = "Can't remove the certificate: certificate 'D/n.pem' in use, can't be deleted!\n";
    assert_eq!(live.del_cert("D/n.pem"), in_use);
    assert_eq!(live.del_crt_list("L", "D/n.pem:3"), "Entry 'D/n.pem' deleted in crtlist 'L'!\n");
    assert_eq!(live.del_crt_list("L", "D/n.pem"), "Entry 'D/n.pem' deleted in crtlist 'L'!\n");
    assert_eq!(live.del_cert("D/n.pem"), in_use, "the directory has it");
    live.del_crt_list("E", "D/n.pem");
    assert_eq!(live.del_cert("D/n.pem"), "Certificate 'D/n.pem' deleted!\n");
    assert_eq!(
        live.del_crt_list("L", "D/a.pem"),
        refused(
            "certificate 'D/a.pem' cannot be deleted, it is used as default certificate by the following frontends:\n\t- CFG:10"
        )
    );
    assert_eq!(live.del_crt_list("E", "E/c.pem"), "Entry 'E/c.pem' deleted in crtlist 'E'!\n", "strict");
    assert_eq!(site.shown(0, "n.test"), "a.test");
    assert_eq!(site.shown(1, "c.test"), "alert 112");
}

#[test]
fn names_that_are_served_are_listed() {
    let site = site();
    let text = site.live.show_sni();
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows[0][..3], ["# Frontend/Bind", "SNI", "Negative Filter"]);
    assert_eq!(rows[1][..5], ["f/CFG:10", "a.test", "-", "ecdsa", "D/a.pem"]);
    assert_eq!(rows[2][..5], ["f/CFG:10", "*.a.test", "!x.a.test", "ecdsa", "D/a.pem"]);
    assert_eq!(rows.len(), 6);
}

fn with_ca(ca: &Issuer) -> Site {
    let options = Options {
        verify: Some(Verify::Required),
        ca_file: Some("ca".into()),
        crl_file: Some("crl".into()),
        ..Options::default()
    };
    let files = Files::default()
        .with("a", issued(&["a.test"]).pem())
        .with("ca", ca.pem())
        .with("crl", ca.revoke(7, 2100));
    Site::new(files, vec![BindWords { options, ..words(&[crt("a")]) }])
}

fn showing(issued: &Issued) -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(crate::tls::Anyone))
        .with_client_cert_resolver(issued.certified().alone())
}

#[test]
fn authorities_and_revocations_are_replaced() {
    let (before, after) = (Issuer::new(), Issuer::new());
    let mut site = with_ca(&before);
    let numbered = |issuer: &Issuer, serial: u64| {
        let mut params = params(&["client"]);
        params.serial_number = Some(serial.into());
        issuer.issue(params, &PKCS_ECDSA_P256_SHA256)
    };
    let client = showing(&numbered(&before, 5));
    assert!(shake(&site.endpoints[0], &client, "a.test").is_ok());
    assert!(shake(&site.endpoints[0], &showing(&numbered(&before, 7)), "a.test").is_err());
    let live = &mut site.live;
    assert_eq!(live.set_crl_file("crl", &before.revoke(5, 2100)), "transaction created for CRL crl!\n");
    assert_eq!(live.commit_crl_file("crl"), "Committing crl.\nSuccess!\n");
    assert!(shake(&site.endpoints[0], &client, "a.test").is_err());
    let client = showing(&numbered(&before, 7));
    assert!(shake(&site.endpoints[0], &client, "a.test").is_ok());
    let live = &mut site.live;
    assert_eq!(live.set_ca_file("ca", "junk", false), "Invalid payload\nCan't update ca!\n");
    assert_eq!(live.abort_ca_file("ca"), "No ongoing transaction!\n");
    assert_eq!(live.set_ca_file("ca", &after.pem(), false), "transaction created for CA ca!\n");
    assert_eq!(live.show_ca_file("*ca").lines().nth(1), Some("Status: Uncommitted"));
    assert_eq!(live.commit_ca_file("ca"), "Committing ca.\nSuccess!\n");
    assert!(shake(&site.endpoints[0], &client, "a.test").is_err(), "who signed it is believed no more");
    let live = &mut site.live;
    assert_eq!(live.commit_ca_file("ca"), "No ongoing transaction! !\nCan't commit ca!\n");
    live.set_ca_file("ca", &before.pem(), true);
    live.commit_ca_file("ca");
    assert!(live.show_ca_files().contains("ca - 2 certificate(s)\n"));
    assert_eq!(live.show_ca_file("ca:3"), "");
    assert!(live.show_ca_file("ca:2").contains("\nCertificate #2:\nSerial: "));
    assert_eq!(live.show_ca_file("nope"), "Can't display the CA file : Not found!\n");
    assert_eq!(live.del_ca_file("ca"), "Can't remove the CA file: CA file 'ca' in use, can't be deleted!\n");
    assert_eq!(live.new_ca_file("nf"), "New CA file created 'nf'!\n");
    assert_eq!(live.new_ca_file("nf"), "CA file 'nf' already exists!\n");
    live.set_ca_file("nf", &after.pem(), false);
    assert_eq!(live.commit_ca_file("nf"), "Committing nf\nSuccess!\n");
    assert_eq!(live.del_ca_file("nf"), "CA file 'nf' deleted!\n");
    let shown = live.show_crl_file("crl");
    assert!(
        shown.starts_with("Filename: crl\nStatus: Used\n \nCertificate Revocation List #1:\nVersion 2\n"),
        "{shown}"
    );
    assert!(shown.ends_with("Next Update: Jan  1 00:00:00 2100 GMT\nRevoked Certificates:\n    Serial Number: 05\n        Revocation Date: Jan  2 00:00:00 2020 GMT\n"), "{shown}");
    assert_eq!(
        live.del_crl_file("crl"),
        "Can't remove the CRL file: CRL file 'crl' in use, can't be deleted!\n"
    );
    assert_eq!(live.new_crl_file("n"), "New CRL file created 'n'!\n");
    assert_eq!(live.del_crl_file("n"), "CRL file 'n' deleted!\n");
}

/// Commands between the moment when the next configuration was built and the one when it is used.
#[test]
fn the_next_configuration_catches_up() {
    let files = || {
        let pem = |name: &str| NAMED.with(|named| named[name].clone());
        Files::default()
            .with("D/a.pem", pem("a.test"))
            .with("D/b.pem", pem("b.test"))
            .with("L", "D/a.pem\nD/b.pem\n")
    };
    let lines = || vec![BindWords { is_strict: true, ..words(&[Source::CrtList("L".into())]) }];
    let (mut now, mut next) = (Site::new(files(), lines()), Site::new(files(), lines()));
    let (first, second) = (now.issue(&["n.test"]), now.issue(&["c.test"]));
    let live = &mut now.live;
    live.new_cert("D/n.pem");
    live.set_cert("D/n.pem", &first.pem(), NOW);
    live.commit_cert("D/n.pem");
    assert!(live.add_crt_list("L", "D/n.pem").contains("Success!"));
    assert!(live.del_crt_list("L", "D/b.pem").contains("deleted"));
    live.set_cert("D/a.pem", &second.pem(), NOW);
    live.commit_cert("D/a.pem");
    live.new_ca_file("ca");
    for _ in 0..2 {
        next.live.catch_up(now.live.kept());
        for (name, shown) in
            [("n.test", "n.test"), ("c.test", "c.test"), ("a.test", "alert 112"), ("b.test", "alert 112")]
        {
            assert_eq!(next.shown(0, name), shown);
        }
    }
    assert_eq!(next.live.show_crt_list("L", true), "# L\nD/a.pem:1\nD/n.pem:3\n");
    assert!(next.live.show_ca_files().contains("ca - 0 certificate(s)\n"));
    // A file that says something else wins.
    let other = files().with("D/a.pem", issued(&["x.test"]).pem()).with("L", "D/a.pem\n");
    let mut other = Site::new(other, lines());
    other.live.catch_up(now.live.kept());
    assert_eq!(
        (other.shown(0, "x.test").as_str(), other.shown(0, "n.test").as_str()),
        ("x.test", "alert 112")
    );
}

thread_local! {
    /// The same certificates for whoever reads them.
    static NAMED: std::collections::HashMap<&'static str, String> =
        ["a.test", "b.test"].into_iter().map(|name| (name, issued(&[name]).pem())).collect();
}

#[test]
fn a_certificate_is_shown_with_its_facts() {
    let mut params = params_of("a.test", &["a.test", "10.0.0.1"]);
    params.serial_number = Some(0x00ab_cdef_u64.into());
    params.not_before = rcgen::date_time_ymd(2026, 11, 9);
    params.not_after = rcgen::date_time_ymd(2027, 11, 29);
    let issued = Issuer::new().issue(params, &PKCS_RSA_SHA256);
    let site = Site::new(Files::default().with("a", issued.pem()), vec![words(&[crt("a")])]);
    let shown = site.live.show_cert("a");
    let mut lines = shown.lines().filter(|line| !line.starts_with("SHA1 FingerPrint: "));
    for line in [
        "Filename: a",
        "Crt filename: a",
        "Option: ocsp-update off",
        "Option: jwt off",
        "Status: Used",
        "Serial: ABCDEF",
        "notBefore: Nov  9 00:00:00 2026 GMT",
        "notAfter: Nov 29 00:00:00 2027 GMT",
        "Subject Alternative Name: DNS:a.test, IP Address:10.0.0.1",
        "Algorithm: RSA2048",
        "Subject: /CN=a.test",
        "Issuer: /CN=rcgen self signed cert",
        "OCSP Response Key:",
    ] {
        assert_eq!(lines.next(), Some(line));
    }
}

#[test]
fn keys_of_tickets_are_shown_and_shifted() {
    use base64::Engine;
    let key = |byte: u8| base64::engine::general_purpose::STANDARD.encode([byte; 48]);
    let file: String = (1..4).map(|byte| key(byte) + "\n").collect();
    let files = Files::default().with("a", issued(&["a.test"]).pem()).with("tk", file);
    let mut site = Site::new(files, vec![BindWords { ticket_keys: Some("tk".into()), ..words(&[crt("a")]) }]);
    let live = &mut site.live;
    assert_eq!(live.show_tls_keys(), "# id (file)\n0 (tk)\n");
    let shown = |bytes: [u8; 3]| {
        let [a, b, c] = bytes.map(key);
        format!("# id secret\n# 0 (tk)\n0.0 {a}\n0.1 {b}\n0.2 {c}\n")
    };
    assert_eq!(live.show_tls_key("#0"), shown([1, 2, 3]));
    assert_eq!(live.set_tls_key("tk", &key(9)), "TLS ticket key updated!\n");
    assert_eq!(live.show_tls_key("*"), shown([2, 3, 9]));
    assert_eq!(live.show_tls_key("nope"), "'show tls-keys' unable to locate referenced filename\n");
    assert_eq!(live.set_tls_key("#9", &key(9)), "'set ssl tls-key' unable to locate referenced filename\n");
}
