//! Answers of `openssl ocsp` about two certificates of `openssl x509`, and what of them is stapled.

use rustls::pki_types::CertificateDer;

use super::endpoint::{Files, build, built, choose, client, crt, words};
use crate::tls::ocsp::{OTHER, State, check, is_issuer};
use crate::tls::{ExtraFiles, Globals, Library, Live, Pem, Told};

const GOOD: &[u8] = include_bytes!("ocsp/good.der");
const REVOKED: &[u8] = include_bytes!("ocsp/revoked.der");
const NO_NEXT: &[u8] = include_bytes!("ocsp/nonext.der");
const TWO: &[u8] = include_bytes!("ocsp/two.der");
const CA: &str = include_str!("ocsp/ca.pem");
const A: &str = include_str!("ocsp/a.pem");
const KEY: &str = include_str!("ocsp/a.key");

/// When the answers were made, and until when they hold.
const MADE: i64 = 1_795_960_404;
const UNTIL: i64 = MADE + 3000 * 86_400;

fn der(pem: &str) -> CertificateDer<'static> {
    Pem::parse("p", pem.as_bytes()).unwrap().certificate().unwrap()
}

#[test]
fn an_answer_counts_while_it_holds_and_for_its_certificate() {
    let (ca, a, b) = (der(CA), der(A), der(include_str!("ocsp/b.pem")));
    assert!(is_issuer(&a, &ca) && !is_issuer(&ca, &a));
    let answer = check(GOOD, &a, &ca, MADE).unwrap();
    assert_eq!((answer.state, answer.serial.as_slice()), (State::Good, &[0x12, 0x34][..]));
    assert_eq!((answer.this_update, answer.next_update), (MADE, UNTIL));
    assert_eq!(check(REVOKED, &b, &ca, MADE).unwrap().state, State::Revoked, "accepted");
    let why = |response: &[u8], now| check(response, &a, &ca, now).unwrap_err();
    assert_eq!(why(REVOKED, MADE), OTHER);
    assert_eq!(check(GOOD, &a, &b, MADE).unwrap_err(), OTHER, "of another issuer");
    assert_eq!(why(NO_NEXT, MADE), "OCSP single response: missing nextupdate");
    assert_eq!(why(TWO, MADE), "OCSP response ignored because contains multiple single responses");
    assert_eq!(why(GOOD, UNTIL + 301), "OCSP single response: no longer valid.");
    assert!(check(GOOD, &a, &ca, UNTIL + 299).is_ok(), "clocks differ");
    assert_eq!(why(GOOD, MADE - 301), "OCSP single response: not yet valid");
    assert_eq!(why(b"junk", MADE), "Unable to parse OCSP response");
    // A status other than successful: try later.
    assert_eq!(why(&[0x30, 3, 0x0a, 1, 3], MADE), "OCSP response status not successful");
    for end in 0..GOOD.len() {
        let _ = check(&GOOD[..end], &a, &ca, MADE);
    }
}

fn files() -> Files {
    Files::default().with("/a", format!("{A}{KEY}{CA}"))
}

#[test]
fn a_file_beside_a_certificate_is_stapled() {
    let staple = |files: &Files| {
        let endpoint = built(files, words(&[crt("/a")]));
        choose(&endpoint, &client(), "a.test").unwrap().material.certified.key.ocsp.clone()
    };
    assert_eq!(staple(&files()), None);
    assert_eq!(staple(&files().with("/a.ocsp", GOOD)).as_deref(), Some(GOOD));
    let alone = Files::default().with("/a", format!("{A}{KEY}")).with("/a.ocsp", GOOD);
    assert_eq!(
        build(&alone, words(&[crt("/a")])).1.errors,
        [
            "'/a.ocsp' is present and activates OCSP but it is impossible to compute the OCSP certificate ID (maybe the issuer could not be found)'."
        ]
    );
    assert_eq!(staple(&alone.with("/a.issuer", CA)).as_deref(), Some(GOOD));
    let (endpoint, told) = build(&files().with("/a.ocsp", "junk"), words(&[crt("/a")]));
    assert!(endpoint.is_some());
    assert_eq!(told.warnings, ["Loading '/a.ocsp': Unable to parse OCSP response. Content will be ignored."]);
}

#[test]
fn what_is_not_to_be_looked_for_is_not_loaded() {
    let files =
        Files::default().with("/a.crt", format!("{A}{CA}")).with("/a.key", KEY).with("/a.crt.ocsp", GOOD);
    let load = |extra: ExtraFiles, is_extension_dropped: bool| {
        let globals = Globals { extra, is_extension_dropped, ..Globals::default() };
        let mut library = Library::new(&files, globals, MADE, None);
        let mut told = Told::default();
        crate::tls::Endpoint::build("b", words(&[crt("/a.crt")]), &mut library, &mut told).ok_or(told.errors)
    };
    assert!(load(ExtraFiles::all(), true).is_ok(), "a.key beside a.crt");
    assert_eq!(load(ExtraFiles::all(), false).unwrap_err(), ["No Private Key found in '/a.crt.key'."]);
    assert_eq!(load(ExtraFiles::empty(), true).unwrap_err(), ["No Private Key found in '/a.crt'."]);
}

#[test]
fn answers_are_replaced_and_go_with_their_certificate() {
    use base64::Engine;
    let encoded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let files = files().with("/a.ocsp", GOOD);
    let mut library = Library::new(&files, Globals::default(), MADE, None);
    let mut told = Told::default();
    let endpoint = crate::tls::Endpoint::build("b", words(&[crt("/a")]), &mut library, &mut told).unwrap();
    let mut live = Live::new(library, vec![endpoint.clone()]);
    let id = "303b300906052b0e03021a050004144ec0b64069d1c3638465e81fe3ae30517b9980ed04144de2ddc32057729676a783856db46b1cf2906e6302021234";
    assert_eq!(
        live.show_ocsp_responses(),
        format!(
            "# Certificate IDs\nCertificate ID key : {id}\nCertificate path : /a\n Certificate ID:\n   Issuer Name Hash: 4EC0B64069D1C3638465E81FE3AE30517B9980ED\n   Issuer Key Hash: 4DE2DDC32057729676A783856DB46B1CF2906E63\n   Serial Number: 1234\n"
        )
    );
    assert!(live.show_cert("/a").ends_with(&format!("OCSP Response Key: {id}\n")));
    assert_eq!(live.set_ocsp_response(&encoded(GOOD), MADE), "OCSP Response updated!\n");
    assert_eq!(
        live.set_ocsp_response(&encoded(GOOD), UNTIL + 400),
        "OCSP single response: no longer valid..\n"
    );
    assert_eq!(
        live.set_ocsp_response("xx!", MADE),
        "'set ssl ocsp-response' received invalid base64 encoded response.\n"
    );
    assert!(live.set_ocsp_response(&encoded(REVOKED), MADE).contains("does not match any certificate"));
    // A new certificate leaves the old one's answer behind.
    live.set_cert("/a", &format!("{A}{KEY}{CA}"), MADE);
    live.commit_cert("/a");
    let shown = |endpoint: &crate::tls::Endpoint| {
        choose(endpoint, &client(), "a.test").unwrap().material.certified.key.ocsp.clone()
    };
    assert_eq!(shown(&endpoint), None);
    assert!(live.set_cert("/a.ocsp", &encoded(GOOD), MADE).starts_with("Transaction created"));
    live.commit_cert("/a");
    assert_eq!(shown(&endpoint).as_deref(), Some(GOOD));
}
