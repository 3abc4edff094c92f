//! Which certificate a client is shown.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm};
use rustls::SignatureScheme;

use crate::tls::testing::{Issuer, params, params_of};
use crate::tls::{Certified, Filter, Store};

const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
const RSA: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;

fn certified(names: &[&str], kind: &'static SignatureAlgorithm) -> Certified {
    Issuer::new().issue(params(names), kind).certified()
}

/// The place of what is shown in a list.
fn shown(store: &Store, of: &[&Certified], name: Option<&str>, offered: &[SignatureScheme]) -> Option<usize> {
    let found = store.find(name, offered)?;
    of.iter().position(|c| c.key.cert == found.cert)
}

#[test]
fn a_name_is_found_whatever_its_case_and_a_wildcard_is_one_label() {
    let first = certified(&["first.test"], &PKCS_ECDSA_P256_SHA256);
    let exact = certified(&["a.w.test"], &PKCS_ECDSA_P256_SHA256);
    let wild = certified(&["*.w.test"], &PKCS_ECDSA_P256_SHA256);
    let common = Issuer::new().issue(params_of("common.test", &[]), &PKCS_ECDSA_P256_SHA256).certified();
    let odd = certified(&["f*.p.test"], &PKCS_ECDSA_P256_SHA256);
    let all = [&first, &exact, &wild, &common, &odd];
    let mut store = Store::default();
    assert!(store.is_empty() && store.find(None, &[ECDSA]).is_none());
    all.iter().for_each(|certified| store.add(certified));
    for (name, place) in [
        ("a.w.test", 1),
        ("A.W.Test", 1),
        ("b.w.test", 2),
        ("*.w.test", 2),
        (".w.test", 2),
        ("b.a.w.test", 0),
        ("w.test", 0),
        ("common.test", 3),
        ("foo.p.test", 0),
        ("nobody", 0),
        ("", 0),
    ] {
        assert_eq!(shown(&store, &all, Some(name), &[ECDSA]), Some(place), "{name}");
    }
    assert_eq!(shown(&store, &all, None, &[ECDSA]), Some(0));
    store.is_strict = true;
    assert_eq!(shown(&store, &all, None, &[ECDSA]), None);
    assert_eq!(shown(&store, &all, Some("nobody"), &[ECDSA]), None);
    assert_eq!(shown(&store, &all, Some("b.w.test"), &[ECDSA]), Some(2));
}

#[test]
fn the_best_key_that_the_client_can_check_wins() {
    let rsa = certified(&["a.w.test"], &PKCS_RSA_SHA256);
    let ecdsa = certified(&["*.w.test"], &PKCS_ECDSA_P256_SHA256);
    let edwards = certified(&["a.w.test"], &PKCS_ED25519);
    let all = [&rsa, &ecdsa, &edwards];
    let mut store = Store::default();
    all.iter().for_each(|certified| store.add(certified));
    let name = Some("a.w.test");
    // The better key even of the lesser name.
    assert_eq!(shown(&store, &all, name, &[RSA, ECDSA]), Some(1));
    assert_eq!(shown(&store, &all, name, &[RSA]), Some(0));
    assert_eq!(shown(&store, &all, name, &[SignatureScheme::ED25519]), Some(2));
    assert_eq!(shown(&store, &all, name, &[]), Some(0), "the handshake will say what is missing");
    // A default of each kind.
    assert_eq!(shown(&store, &all, None, &[ECDSA]), Some(0));
    store.default_to_newest();
    store.default_to_newest();
    assert_eq!(shown(&store, &all, None, &[SignatureScheme::ED25519]), Some(2));
}

#[test]
fn filters_replace_names_and_except_from_their_own_line() {
    let one = certified(&["own.test"], &PKCS_ECDSA_P256_SHA256);
    let two = certified(&["two.test"], &PKCS_ECDSA_P256_SHA256);
    let all = [&one, &two];
    let filters = |text: &str| text.split(' ').filter_map(Filter::parse).collect::<Vec<_>>();
    let mut store = Store::default();
    store.add_for(&one, filters("*.X.test !no.x.test !*.x.test"));
    store.add_for(&two, filters("* other.test"));
    let name = |name| shown(&store, &all, Some(name), &[ECDSA]);
    assert_eq!((name("a.x.test"), name("other.test")), (Some(0), Some(1)));
    assert_eq!((name("no.x.test"), name("own.test")), (Some(0), Some(0)), "the first default");
    store.is_strict = true;
    let name = |name| shown(&store, &all, Some(name), &[ECDSA]);
    assert_eq!((name("no.x.test"), name("own.test"), name("two.test")), (None, None, None));
    store.add_for(&two, filters("*.x.test"));
    assert_eq!(shown(&store, &all, Some("no.x.test"), &[ECDSA]), Some(1), "another line has it");
}
