//! Certificates that are refused for their strength, those of a `crt-store`, and many at once.

use super::endpoint::{Files, build, built, choose, client, crt, ecdsa, words};
use crate::tls::{Endpoint, Globals, Library, Source, StoreLine, Told};

#[test]
fn a_key_of_rsa_with_1024_bits_is_too_small() {
    let files = Files::default().with("/w", include_str!("rsa1024.pem"));
    let told = build(&files, words(&[crt("/w")])).1;
    assert_eq!(told.errors, ["unable to load SSL certificate into SSL Context '/w': ee key too small."]);
}

#[test]
fn a_store_says_where_the_parts_are() {
    let issued = ecdsa(&["a.test"]);
    let files =
        Files::default().with("/c/a.crt", issued.certificate.clone()).with("/k/a.key", issued.key.clone());
    let line = StoreLine {
        names: vec!["@s/a.crt".into(), "@s/alias".into()],
        crt: "/c/a.crt".into(),
        key: Some("/k/a.key".into()),
        ..StoreLine::default()
    };
    let load = |name: &str, line: &StoreLine| {
        let globals =
            Globals { stored: vec![line.clone()], crt_base: Some("/base".into()), ..Globals::default() };
        let mut library = Library::new(&files, globals, 0, None);
        let mut told = Told::default();
        Endpoint::build("b", words(&[crt(name)]), &mut library, &mut told).ok_or(told.errors)
    };
    for name in ["@s/a.crt", "@s/alias"] {
        let endpoint = load(name, &line).unwrap();
        assert_eq!(&*choose(&endpoint, &client(), "a.test").unwrap().material.name, name);
    }
    let missing = StoreLine { ocsp: Some("/none".into()), ..line.clone() };
    assert_eq!(
        load("@s/alias", &missing).unwrap_err(),
        ["unable to stat SSL certificate from file '/none' : No such file or directory."]
    );
    assert!(load("@s/other", &line).is_err());
}

#[test]
fn many_are_loaded_at_once_and_keep_their_order() {
    let mut files = Files::default().with("/d/000-first", ecdsa(&["first.test"]).pem());
    for n in 0..40 {
        files = files.with(&format!("/d/{n:03}"), ecdsa(&[&format!("{n}.test"), "same.test"]).pem());
    }
    let files = files.with("/d/bad1", "x").with("/d/bad2", "y");
    let (_, told) = build(&files, words(&[crt("/d")]));
    assert_eq!(
        told.errors,
        [
            "unable to load certificate from file '/d/bad1': no start line.",
            "unable to load certificate from file '/d/bad2': no start line.",
        ],
        "each bad one is told"
    );
    let files = files.with("/d/bad1", ecdsa(&["x"]).pem()).with("/d/bad2", ecdsa(&["y"]).pem());
    let endpoint = built(&files, words(&[crt("/d")]));
    let shown = |name: &str| choose(&endpoint, &client(), name).unwrap().material.name.to_string();
    assert_eq!((shown("same.test").as_str(), shown("39.test").as_str()), ("/d/000", "/d/039"));
    assert_eq!(shown("nobody"), "/d/000");
}

#[test]
fn a_directory_is_no_line_of_a_list() {
    let files = Files::default().with("/d/a", ecdsa(&["a"]).pem()).with("/l", "/d\n");
    assert!(build(&files, words(&[Source::CrtList("/l".into())])).0.is_none());
}
