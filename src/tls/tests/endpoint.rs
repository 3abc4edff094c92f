//! What an endpoint shows, to messages that rustls itself writes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

use crate::tls::hello::{self, Parsed};
use crate::tls::testing::{Issued, Issuer, params};
use crate::tls::{Anyone, BindWords, Choice, Disk, Endpoint, Globals, Hello, Library, Options, Source, Told};
use crate::tls::{Verify, Version, provider};

/// Files that are not on a disk.
#[derive(Default)]
pub(super) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    pub(super) fn with(mut self, name: &str, text: impl Into<Vec<u8>>) -> Files {
        self.0.insert(name.into(), text.into());
        self
    }
}

impl Disk for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path.to_str().unwrap()).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let start = format!("{}/", path.display().to_string().trim_end_matches('/'));
        // In no order that helps.
        let names: Vec<String> =
            self.0.keys().rev().filter_map(|name| name.strip_prefix(&start)).map(Into::into).collect();
        if names.is_empty() { Err(io::ErrorKind::NotADirectory.into()) } else { Ok(names) }
    }
}

pub(super) fn words(sources: &[Source]) -> BindWords {
    BindWords { certificates: sources.to_vec(), ..BindWords::default() }
}

pub(super) fn crt(name: &str) -> Source {
    Source::Crt(name.into())
}

pub(super) fn build(files: &Files, words: BindWords) -> (Option<Arc<Endpoint>>, Told) {
    let mut told = Told::default();
    let mut library = Library::new(files, Globals::default(), 1_800_000_000, None);
    let endpoint = Endpoint::build("f/b", words, &mut library, &mut told);
    (endpoint, told)
}

pub(super) fn built(files: &Files, words: BindWords) -> Arc<Endpoint> {
    let (endpoint, told) = build(files, words);
    endpoint.unwrap_or_else(|| panic!("{told:?}"))
}

pub(super) fn client() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth()
}

fn only_12() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth()
}

fn connect(config: &ClientConfig, name: &str) -> ClientConnection {
    let name = match name {
        "" => ServerName::try_from("127.0.0.1".to_owned()),
        name => ServerName::try_from(name.to_owned()),
    };
    ClientConnection::new(Arc::new(config.clone()), name.unwrap()).unwrap()
}

fn hello(connection: &mut ClientConnection) -> (Hello, Vec<u8>) {
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    match hello::parse(&bytes) {
        Parsed::Hello(hello) => (hello, bytes),
        other => panic!("{other:?}"),
    }
}

pub(super) fn choose(endpoint: &Endpoint, config: &ClientConfig, name: &str) -> Result<Choice, u8> {
    let (hello, _) = hello(&mut connect(config, name));
    endpoint.choose(&hello).map_err(|refusal| refusal.alert)
}

/// The file that is shown.
fn shown(endpoint: &Endpoint, name: &str) -> Result<String, u8> {
    Ok(choose(endpoint, &client(), name)?.material.name.to_string())
}

/// Shakes hands in memory; what each side says in the end.
pub(super) fn shake(
    endpoint: &Endpoint,
    config: &ClientConfig,
    name: &str,
) -> Result<(ClientConnection, ServerConnection), String> {
    let mut near = connect(config, name);
    let (hello, bytes) = hello(&mut near);
    let choice = endpoint.choose(&hello).map_err(|refusal| format!("alert {}", refusal.alert))?;
    let mut far = ServerConnection::new(choice.config).unwrap();
    let mut flight = bytes;
    for _ in 0..10 {
        let mut rest = &flight[..];
        while !rest.is_empty() {
            far.read_tls(&mut rest).unwrap();
            let processed = far.process_new_packets();
            if let Err(e) = processed {
                return Err(format!("server: {e:?}"));
            }
        }
        let mut back = Vec::new();
        while far.wants_write() {
            far.write_tls(&mut back).unwrap();
        }
        let mut rest = &back[..];
        while !rest.is_empty() {
            near.read_tls(&mut rest).unwrap();
            near.process_new_packets().map_err(|e| format!("client: {e:?}"))?;
        }
        flight = Vec::new();
        while near.wants_write() {
            near.write_tls(&mut flight).unwrap();
        }
        if flight.is_empty() && back.is_empty() {
            break;
        }
    }
    Ok((near, far))
}

pub(super) fn ecdsa(names: &[&str]) -> Issued {
    Issuer::new().issue(params(names), &PKCS_ECDSA_P256_SHA256)
}

fn rsa(names: &[&str]) -> Issued {
    Issuer::new().issue(params(names), &PKCS_RSA_SHA256)
}

#[test]
fn a_directory_is_shown_by_name_and_its_first_file_to_others() {
    let files = Files::default()
        .with("/d/b.pem", ecdsa(&["b.test"]).pem())
        .with("/d/a.pem", ecdsa(&["a.test", "*.w.test"]).pem())
        .with("/d/.hidden", "junk")
        .with("/d/a.pem.sctl", "junk that is not looked at")
        .with("/d/x.issuer", "junk");
    let (endpoint, told) = build(&files, words(&[crt("/d")]));
    assert_eq!(told.errors, ["'/d/a.pem.sctl' is present but cannot be read or parsed'."]);
    assert!(endpoint.is_none());
    let files = files.with("/d/a.pem.sctl", [0, 4, 0, 2, 1, 1]);
    let endpoint = built(&files, words(&[crt("/d/")]));
    assert_eq!(shown(&endpoint, "b.test").unwrap(), "/d/b.pem");
    assert_eq!(shown(&endpoint, "X.w.test").unwrap(), "/d/a.pem");
    assert_eq!(shown(&endpoint, "nobody.test").unwrap(), "/d/a.pem");
    assert_eq!(shown(&endpoint, "").unwrap(), "/d/a.pem");
    let strict = built(&files, BindWords { is_strict: true, ..words(&[crt("/d")]) });
    assert_eq!(shown(&strict, "b.test").unwrap(), "/d/b.pem");
    assert_eq!(shown(&strict, "nobody.test"), Err(112));
    assert_eq!(shown(&strict, ""), Err(112));
}

#[test]
fn a_bundle_is_two_certificates_and_the_client_decides() {
    let files = Files::default()
        .with("/x.pem.rsa", rsa(&["a.test"]).pem())
        .with("/x.pem.ecdsa", ecdsa(&["a.test"]).pem());
    let endpoint = built(&files, words(&[crt("/x.pem")]));
    assert_eq!(shown(&endpoint, "a.test").unwrap(), "/x.pem.ecdsa");
    let mut provider = rustls::crypto::CryptoProvider::clone(&provider());
    provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("RSA_WITH"));
    provider.cipher_suites.retain(|suite| !format!("{:?}", suite.suite()).contains("ECDSA"));
    let no_ecdsa = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    for name in ["a.test", ""] {
        let choice = choose(&endpoint, &no_ecdsa, name).unwrap();
        assert_eq!(&*choice.material.name, "/x.pem.rsa", "'{name}': both halves are defaults");
        shake(&endpoint, &no_ecdsa, name).unwrap();
    }
}

#[test]
fn the_better_key_wins_over_the_better_name() {
    let files = Files::default().with("/r", rsa(&["y.w.test"]).pem()).with("/e", ecdsa(&["*.w.test"]).pem());
    let endpoint = built(&files, words(&[crt("/r"), crt("/e")]));
    assert_eq!(shown(&endpoint, "y.w.test").unwrap(), "/e");
}

#[test]
fn lines_of_a_list_have_names_and_options_of_their_own() {
    let list = "# comment\n/a [alpn h2 ssl-min-ver TLSv1.3] *.x.test !no.x.test\n\n/b\n/c !*\r\n";
    let files = Files::default()
        .with("/l", list)
        .with("/a", ecdsa(&["own.test"]).pem())
        .with("/b", ecdsa(&["b.test"]).pem())
        .with("/c", ecdsa(&["c.test"]).pem());
    let mut of_bind = words(&[Source::CrtList("/l".into())]);
    of_bind.options.alpn = Some("http/1.1".into());
    let endpoint = built(&files, of_bind.clone());
    for (name, file) in [("z.x.test", "/a"), ("b.test", "/b"), ("no.x.test", "/a"), ("c.test", "/a")] {
        assert_eq!(shown(&endpoint, name).unwrap(), file, "{name}");
    }
    let strict = built(&files, BindWords { is_strict: true, ..of_bind });
    for name in ["no.x.test", "own.test", "c.test"] {
        assert_eq!(shown(&strict, name), Err(112), "{name}");
    }
    let protocols = |config: &Choice| config.config.alpn_protocols.clone();
    let mut both = client();
    both.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    assert_eq!(protocols(&choose(&endpoint, &both, "z.x.test").unwrap()), [b"h2"]);
    assert_eq!(protocols(&choose(&endpoint, &both, "b.test").unwrap()), [b"http/1.1"]);
    // Who speaks none of them is served without.
    both.alpn_protocols = vec![b"spdy".to_vec()];
    let (near, _) = shake(&endpoint, &both, "b.test").unwrap();
    assert_eq!(near.alpn_protocol(), None);
    let refused = shake(&endpoint, &only_12(), "z.x.test").err().unwrap();
    assert!(refused.contains("Tls13RequiredForQuic") || refused.contains("PeerIncompatible"), "{refused}");
    shake(&endpoint, &only_12(), "b.test").unwrap();
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let good = ecdsa(&["a.test"]);
    let other = ecdsa(&["b.test"]);
    let list = "/ok [foo]\n/ok ]\n/ok [alpn";
    let files = Files::default()
        .with("/ok", good.pem())
        .with("/nokey", good.certificate.clone())
        .with("/wrong", format!("{}{}", good.certificate, other.key))
        .with("/text", "hello")
        .with("/base64", good.pem().replacen("MII", "M?I", 1))
        .with("/l", list)
        .with("/key.key", good.key.clone())
        .with("/key", good.certificate.clone());
    let mut all: Vec<Source> =
        ["/ok", "/nokey", "/wrong", "/text", "/base64", "/absent", "/key"].map(crt).to_vec();
    all.push(Source::CrtList("/l".into()));
    let (endpoint, told) = build(&files, words(&all));
    assert!(endpoint.is_none());
    assert_eq!(
        told.errors,
        [
            "'crt-list' : parsing [/l:1]: unknown ssl keyword foo",
            "'crt-list' : parsing [/l:2]: missing '['",
            "'crt-list' : parsing [/l:3]: Missing LF on last line, file might have been truncated at position 9.",
            "'crt-list' : parsing [/l:3]: 'alpn' : missing the comma-delimited protocol suite",
            "No Private Key found in '/nokey.key'.",
            "inconsistencies between private key and certificate loaded '/wrong'.",
            "unable to load certificate from file '/text': no start line.",
            "unable to load certificate from file '/base64': bad base64 decode (line 2).",
            "unable to stat SSL certificate from file '/absent' : No such file or directory.",
        ]
    );
    let (_, told) = build(&files, words(&[]));
    assert_eq!(told.errors, ["no SSL certificate specified (use 'crt')."]);
    let (endpoint, told) = build(&files, BindWords { is_strict: true, ..words(&[]) });
    assert!(endpoint.is_some() && told.errors.is_empty() && told.warnings.len() == 1);
}

#[test]
fn versions_ciphers_and_curves_say_what_is_spoken() {
    let files = Files::default().with("/a", ecdsa(&["a.test"]).pem());
    let with = |options: Options| build(&files, BindWords { options, ..words(&[crt("/a")]) });
    let versions = |min, max| Options { min, max, ..Options::default() };
    let (endpoint, told) = with(versions(Some(Version::Tls10), None));
    assert_eq!(told.warnings, ["TLSv1.0, TLSv1.1 is not spoken: TLSv1.2 is the oldest version here."]);
    shake(&endpoint.unwrap(), &only_12(), "a.test").unwrap();
    let (_, told) = with(versions(Some(Version::Tls13), Some(Version::Tls12)));
    assert_eq!(told.errors, ["all SSL/TLS versions are disabled."]);
    let (_, told) = with(versions(Some(Version::Tls10), Some(Version::Tls11)));
    assert_eq!(
        told.errors,
        ["nothing but TLSv1.0, TLSv1.1 is allowed, and TLSv1.2 is the oldest version here."]
    );
    let (endpoint, _) = with(Options { without: vec![Version::Tls13], ..Options::default() });
    let (near, _) = shake(&endpoint.unwrap(), &client(), "a.test").unwrap();
    assert_eq!(near.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));

    let ciphers = |text: &str| Options { ciphers: Some(text.into()), ..Options::default() };
    let (endpoint, told) = with(ciphers("ECDHE-ECDSA-CHACHA20-POLY1305:AES128-SHA"));
    assert_eq!(told.warnings, ["'ciphers': AES128-SHA are not spoken here."]);
    let (near, _) = shake(&endpoint.unwrap(), &only_12(), "a.test").unwrap();
    assert_eq!(u16::from(near.negotiated_cipher_suite().unwrap().suite()), 0xcca9);
    let (endpoint, _) = with(ciphers("kRSA"));
    let endpoint = endpoint.unwrap();
    shake(&endpoint, &client(), "a.test").unwrap();
    assert!(shake(&endpoint, &only_12(), "a.test").is_err());
    let (_, told) = with(Options { max: Some(Version::Tls12), ..ciphers("kRSA") });
    assert!(told.errors[0].starts_with("unable to set SSL cipher list to 'kRSA': none of its suites"));
    let (_, told) = with(ciphers("TLS_AES_128_GCM_SHA256"));
    assert_eq!(told.errors, ["unable to set SSL cipher list to 'TLS_AES_128_GCM_SHA256'."]);
    let (endpoint, _) =
        with(Options { ciphersuites: Some("TLS_AES_128_GCM_SHA256".into()), ..Options::default() });
    let (near, _) = shake(&endpoint.unwrap(), &client(), "a.test").unwrap();
    assert_eq!(u16::from(near.negotiated_cipher_suite().unwrap().suite()), 0x1301);

    let curves = |text: &str| Options { curves: Some(text.into()), ..Options::default() };
    let (endpoint, told) = with(curves("P-384:secp521r1"));
    assert_eq!(told.warnings, ["'curves': secp521r1 is not spoken here."]);
    let (near, _) = shake(&endpoint.unwrap(), &client(), "a.test").unwrap();
    assert_eq!(near.negotiated_key_exchange_group().unwrap().name(), rustls::NamedGroup::secp384r1);
    let (_, told) = with(curves("P-256:nothing"));
    assert_eq!(told.errors, ["unable to set SSL curves list to 'P-256:nothing'."]);
    // Post-quantum by default.
    let mut provider = rustls::crypto::CryptoProvider::clone(&provider());
    provider.kx_groups.insert(0, rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768);
    let hybrid = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let (near, _) = shake(&with(Options::default()).0.unwrap(), &hybrid, "a.test").unwrap();
    assert_eq!(near.negotiated_key_exchange_group().unwrap().name(), rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn the_servers_order_counts_unless_it_prefers_the_clients() {
    let files = Files::default().with("/a", ecdsa(&["a.test"]).pem());
    let mut provider = rustls::crypto::CryptoProvider::clone(&provider());
    provider.cipher_suites.sort_by_key(|suite| u16::from(suite.suite()) != 0x1301);
    let liking_128 = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    for (prefer_client_ciphers, id) in [(false, 0x1302), (true, 0x1301)] {
        let endpoint = built(&files, BindWords { prefer_client_ciphers, ..words(&[crt("/a")]) });
        let (near, _) = shake(&endpoint, &liking_128, "a.test").unwrap();
        assert_eq!(u16::from(near.negotiated_cipher_suite().unwrap().suite()), id);
    }
}

#[test]
fn verify_needs_authorities() {
    let files = Files::default().with("/a", ecdsa(&["a.test"]).pem()).with("/ca", Issuer::new().pem());
    let with = |ca: Option<&str>| {
        let options =
            Options { verify: Some(Verify::Required), ca_file: ca.map(Into::into), ..Options::default() };
        build(&files, BindWords { options, ..words(&[crt("/a")]) })
    };
    assert_eq!(with(None).1.errors, ["verify is enabled but no CA file specified."]);
    assert_eq!(with(Some("/none")).1.errors, ["'ca-file' : unable to load /none: entity not found."]);
    let endpoint = with(Some("/ca")).0.unwrap();
    assert!(shake(&endpoint, &client(), "a.test").is_err(), "no certificate");
    assert!(with(Some("@system-ca")).0.is_some());
}
