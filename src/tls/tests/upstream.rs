//! What is checked of servers: chains, names, and what files of authorities make of them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rcgen::PKCS_ECDSA_P256_SHA256;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConfig, ServerConnection};

use super::endpoint::Files;
use crate::tls::testing::{Issued, Issuer, params, params_of};
use crate::tls::{
    Globals, Library, Live, Mismatch, Options, ServerWords, Told, Upstream, Verdict, Verify, server_name,
};
use crate::tls::{provider, take_verdict};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn upstream(files: &Files, words: &ServerWords) -> Result<Upstream, Vec<String>> {
    let mut told = Told::default();
    let mut library = Library::new(files, Globals::default(), 1_800_000_000, None);
    Upstream::build(words, &mut library, &mut told).ok_or(told.errors)
}

fn words(ca: Option<&str>) -> ServerWords {
    let options = Options { ca_file: ca.map(Into::into), ..Options::default() };
    ServerWords { options, ..ServerWords::default() }
}

fn server(issued: &Issued) -> Arc<ServerConfig> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_cert_resolver(issued.certified().alone()))
}

/// What is found of a server.
fn verdict(upstream: &Upstream, shows: &Issued, sni: Option<&str>) -> Option<Verdict> {
    let name = server_name(sni.map(str::as_bytes), ADDRESS).unwrap();
    let mut near = ClientConnection::new(upstream.config(), name).unwrap();
    let mut far = ServerConnection::new(server(shows)).unwrap();
    take_verdict();
    for _ in 0..4 {
        let mut bytes = Vec::new();
        while near.wants_write() {
            near.write_tls(&mut bytes).unwrap();
        }
        far.read_tls(&mut &bytes[..]).unwrap();
        let _ = far.process_new_packets();
        let mut bytes = Vec::new();
        while far.wants_write() {
            far.write_tls(&mut bytes).unwrap();
        }
        near.read_tls(&mut &bytes[..]).unwrap();
        let processed = near.process_new_packets();
        if let Some(verdict) = take_verdict() {
            assert_eq!(processed.is_ok(), verdict.is_accepted, "{processed:?}");
            return Some(verdict);
        }
    }
    None
}

#[test]
fn names_are_checked_by_what_is_sent_then_by_what_is_configured() {
    let issuer = Issuer::new();
    let files = Files::default().with("/ca", issuer.pem());
    let shows =
        issuer.issue(params_of("cn.test", &["a.test", "*.w.test", "f*.p.test"]), &PKCS_ECDSA_P256_SHA256);
    let any = upstream(&files, &words(Some("/ca"))).unwrap();
    let host = |name: &str| ServerWords { verify_host: Some(name.into()), ..words(Some("/ca")) };
    let found = |upstream: &Upstream, sni| verdict(upstream, &shows, sni).unwrap().mismatch;
    assert_eq!(found(&any, None), None, "no name is asked for");
    for (name, mismatch) in [
        ("a.test", None),
        ("A.TEST", None),
        ("x.w.test", None),
        ("foo.p.test", None),
        ("f.p.test", None),
        ("cn.test", None),
        ("x.p.test", Some(Mismatch::Name)),
        ("y.x.w.test", Some(Mismatch::Name)),
        ("w.test", Some(Mismatch::Name)),
    ] {
        assert_eq!(found(&any, Some(name)), mismatch, "{name}");
    }
    assert_eq!(found(&upstream(&files, &host("a.test")).unwrap(), None), None);
    let other = upstream(&files, &host("b.test")).unwrap();
    assert_eq!(found(&other, None), Some(Mismatch::Host));
    assert_eq!(found(&other, Some("a.test")), None, "what is sent counts");
    assert!(matches!(server_name(None, ADDRESS), Some(ServerName::IpAddress(_))));
    assert!(matches!(server_name(Some(b"10.0.0.1"), ADDRESS), Some(ServerName::IpAddress(_))));
    assert!(server_name(Some(b"a b"), ADDRESS).is_none());
    assert!(server_name(Some(b"\xff"), ADDRESS).is_none());
}

#[test]
fn chains_end_at_those_who_are_believed() {
    let (ours, theirs) = (Issuer::new(), Issuer::new());
    let files = Files::default().with("/ca", ours.pem()).with("/d/1.pem", theirs.pem()).with("/d/2", "junk");
    let issued = |issuer: &Issuer| issuer.issue(params(&["a.test"]), &PKCS_ECDSA_P256_SHA256);
    let of = |ca: &str, shows: &Issued| {
        verdict(&upstream(&files, &words(Some(ca))).unwrap(), shows, Some("a.test")).unwrap()
    };
    assert!(of("/ca", &issued(&ours)).is_accepted);
    assert!(of("/d", &issued(&theirs)).is_accepted, "a directory");
    let refused = of("@system-ca", &issued(&ours));
    assert_eq!((refused.is_accepted, refused.last), (false, 20));
    // One that signed itself is believed where a file has it.
    let (own, stranger) = (self_signed(), self_signed());
    let files = Files::default().with("/own", own.certificate.clone());
    let upstream = upstream(&files, &words(Some("/own"))).unwrap();
    assert!(verdict(&upstream, &own, Some("a.test")).unwrap().is_accepted);
    assert_eq!(verdict(&upstream, &stranger, Some("a.test")).unwrap().last, 18);
}

#[test]
fn an_authority_that_another_one_signed_is_a_link_and_no_end() {
    let named = |name: &str| {
        let mut params = params_of(name, &[]);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
    };
    let key = || rcgen::KeyPair::generate().unwrap();
    let root = rcgen::CertifiedIssuer::self_signed(named("Root"), key()).unwrap();
    let link = rcgen::CertifiedIssuer::signed_by(named("Link"), key(), &root).unwrap();
    let own = key();
    let leaf = params(&["a.test"]).signed_by(&own, &link).unwrap().pem();
    // It shows its own certificate alone.
    let shows = Issued { certificate: leaf, key: own.serialize_pem() };
    let files = Files::default()
        .with("/both", format!("{}{}", root.pem(), link.pem()))
        .with("/link", link.pem())
        .with("/root", root.pem());
    let of =
        |ca: &str| verdict(&upstream(&files, &words(Some(ca))).unwrap(), &shows, Some("a.test")).unwrap();
    assert!(of("/both").is_accepted);
    assert_eq!((of("/link").last, of("/root").last), (20, 20));
}

#[test]
fn what_servers_are_shown_and_judged_by_is_replaced() {
    let (before, after) = (Issuer::new(), Issuer::new());
    let issued = |issuer: &Issuer| issuer.issue(params(&["a.test"]), &PKCS_ECDSA_P256_SHA256);
    let files = Files::default().with("/ca", before.pem()).with("/own", issued(&before).pem());
    let words = ServerWords { crt: Some("/own".into()), ..words(Some("/ca")) };
    let mut told = Told::default();
    let mut library = Library::new(&files, Globals::default(), 1_800_000_000, None);
    let upstream = Upstream::build(&words, &mut library, &mut told).unwrap();
    let mut live = Live::new(library, Vec::new());
    live.reaching(vec![upstream.clone()]);
    let is_accepted = |shows: &Issued| verdict(&upstream, shows, Some("a.test")).unwrap().is_accepted;
    assert!(is_accepted(&issued(&before)) && !is_accepted(&issued(&after)));
    live.set_ca_file("/ca", &after.pem(), false);
    assert_eq!(live.commit_ca_file("/ca"), "Committing /ca.\nSuccess!\n");
    assert!(!is_accepted(&issued(&before)) && is_accepted(&issued(&after)));
    assert!(live.del_cert("/own").contains("in use"));
    let config = upstream.config();
    live.set_cert("/own", &issued(&after).pem(), 1_800_000_000);
    assert_eq!(live.commit_cert("/own"), "Committing /own.\nSuccess!\n");
    assert!(!Arc::ptr_eq(&config.client_auth_cert_resolver, &upstream.config().client_auth_cert_resolver));
}

fn self_signed() -> Issued {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = params_of("self.test", &["a.test"]);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    Issued { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

#[test]
fn verification_is_on_unless_it_is_said_to_be_off() {
    let files = Files::default().with("/ca", Issuer::new().pem());
    assert!(
        upstream(&files, &words(None)).unwrap_err()[0].starts_with("verify is enabled by default but no CA")
    );
    let mut off = words(None);
    off.options.verify = Some(Verify::None);
    let shows = Issuer::new().issue(params(&["b.test"]), &PKCS_ECDSA_P256_SHA256);
    assert_eq!(verdict(&upstream(&files, &off).unwrap(), &shows, Some("a.test")), None);
    let told = upstream(&files, &ServerWords { crt: Some("/none".into()), ..off }).unwrap_err();
    assert_eq!(told, ["unable to stat SSL certificate from file '/none' : No such file or directory."]);
    assert_eq!(
        upstream(&files, &words(Some("/x"))).unwrap_err(),
        ["'ca-file' : unable to load /x: entity not found."]
    );
}

#[test]
fn protocols_are_those_of_the_line_or_of_a_check() {
    let files = Files::default();
    let mut words = words(None);
    words.options.verify = Some(Verify::None);
    words.options.alpn = Some("h2,http/1.1".into());
    let upstream = upstream(&files, &words).unwrap();
    assert_eq!(upstream.config().alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    assert!(upstream.speaking(&[]).alpn_protocols.is_empty());
    assert_eq!(upstream.speaking(&[b"h2".to_vec()]).alpn_protocols, [b"h2"]);
}
