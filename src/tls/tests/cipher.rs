//! Lists of ciphers: what OpenSSL makes of each was recorded from `openssl ciphers` 3.0.

use crate::tls::cipher::{names, pick, pick13};
use crate::tls::suite::SUITES;

const E256: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";
const R256: &str = "ECDHE-RSA-AES256-GCM-SHA384";
const ECHA: &str = "ECDHE-ECDSA-CHACHA20-POLY1305";
const RCHA: &str = "ECDHE-RSA-CHACHA20-POLY1305";
const E128: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";
const R128: &str = "ECDHE-RSA-AES128-GCM-SHA256";
const ALL: [&str; 6] = [E256, R256, ECHA, RCHA, E128, R128];
const INTERMEDIATE: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384";

/// The names of what is spoken of a list, in its order.
fn left(text: &str) -> Vec<&'static str> {
    let picked = pick(text).suites;
    let name = |id: u16| SUITES.iter().find(|suite| suite.id == id).map(|suite| suite.name);
    picked.iter().filter_map(|suite| name(suite.suite().into())).collect()
}

#[test]
fn what_is_left_of_lists_that_sites_have() {
    assert_eq!(left(INTERMEDIATE), [E128, R128, E256, R256, ECHA, RCHA]);
    assert_eq!(pick(INTERMEDIATE).lost, ["DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384"]);
    for text in ["DEFAULT", "HIGH", "ALL", "HIGH:!aNULL:!MD5", "DEFAULT@SECLEVEL=1"] {
        assert_eq!(left(text), ALL, "{text}");
    }
    assert_eq!(left("EECDH+AESGCM:EDH+AESGCM"), [E256, R256, E128, R128]);
    assert_eq!(left("ECDH+AESGCM:DH+AESGCM:!DSS"), [E256, R256, E128, R128]);
    for text in ["AES128-SHA", "kRSA", "DHE", "aNULL", "nothing", "", "TLS_AES_128_GCM_SHA256"] {
        assert_eq!(left(text), [""; 0], "{text}");
    }
    assert_eq!(pick("DEFAULT:@SECLEVEL=0").level, Some(0));
}

#[test]
fn signs_move_take_out_and_forbid() {
    assert_eq!(left("ALL:!AES256"), [ECHA, RCHA, E128, R128]);
    assert_eq!(left("ALL:!aECDSA"), [R256, RCHA, R128]);
    assert_eq!(left("ALL:+aECDSA"), [R256, RCHA, R128, E256, ECHA, E128]);
    assert_eq!(left("AES128:ALL"), [E128, R128, E256, R256, ECHA, RCHA]);
    assert_eq!(left("ALL:-CHACHA20:AES:CHACHA20"), [E256, R256, E128, R128, ECHA, RCHA]);
    assert_eq!(left("ALL:!CHACHA20:CHACHA20"), [E256, R256, E128, R128], "for ever");
    // What is taken out goes in front of those that are not in the list.
    assert_eq!(left("aRSA:-aRSA:ALL"), [R256, RCHA, R128, E256, ECHA, E128]);
    assert_eq!(left("AES128:CHACHA20:AESGCM:@STRENGTH"), [ECHA, RCHA, E256, R256, E128, R128]);
    assert_eq!(left("ECDHE+aRSA+AESGCM, CHACHA20;!kRSA"), [R256, R128, ECHA, RCHA]);
    assert_eq!(left("SUITEB128"), [E128, E256]);
    assert_eq!(left("SUITEB192"), [E256]);
    assert_eq!(left("ALL:DEFAULT:!DEFAULT"), ALL, "known at the beginning alone");
    assert_eq!(left(&format!("aRSA+{R256}:AESGCM+{E128}:AESGCM+{ECHA}")), [R256, E128]);
    assert_eq!(left(&format!("{R256}+ECDHE")), [R256], "what is like it");
    assert_eq!(left("foo+ECDHE:kGOST:CHACHA20"), [ECHA, RCHA], "unknown words are passed over");
}

#[test]
fn groups_have_the_members_that_openssl_has() {
    for (text, count) in [
        ("ALL", 137),
        ("COMPLEMENTOFALL", 18),
        ("FIPS", 60),
        ("kRSA", 19),
        ("DHE", 29),
        ("ADH", 10),
        ("EECDH", 28),
        ("aPSK", 46),
        ("PSK", 60),
        ("CBC", 76),
        ("AESCCM", 20),
        ("CAMELLIA", 28),
        ("SHA1", 44),
        ("TLSv1", 36),
        ("aNULL", 13),
    ] {
        assert_eq!(names(text).len(), count, "{text}");
    }
    assert_eq!(names("COMPLEMENTOFDEFAULT").len(), 80);
}

#[test]
fn suites_of_the_newest_version_are_named_one_by_one() {
    let picked = pick13("TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:foo:TLS_AES_128_GCM_SHA256:ALL");
    let ids: Vec<u16> = picked.suites.iter().map(|suite| suite.suite().into()).collect();
    assert_eq!(ids, [0x1303, 0x1301]);
    assert_eq!(picked.lost, ["TLS_AES_128_CCM_SHA256"]);
    assert!(pick13("ECDHE-RSA-AES128-GCM-SHA256").suites.is_empty());
}
