//! Converters and fetches that read other protocols, and those of cryptography that HAProxy 2.6 has not.

use super::support::*;
use crate::rules::*;

fn all(rows: &[(&str, Option<&str>)]) {
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let found = value(text);
        if found.as_deref() != *expected {
            wrong.push(format!("{text}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn forwarded_fields() {
    all(&[
        (
            "str('for=\"unknown:132\";host=\"[::1]:65535\";by=\"_obfs:_port\";proto=https'),rfc7239_is_valid",
            Some("1"),
        ),
        ("str('for=\"127.0.0.1\";host=v.test'),rfc7239_is_valid", Some("1")),
        ("str('fore=\"unknown:132\"'),rfc7239_is_valid", Some("0")),
        ("str(proto=http;proto=http),rfc7239_is_valid", Some("0")),
        ("str(proto=custom),rfc7239_is_valid", Some("0")),
        ("str('\"'),rfc7239_is_valid", Some("0")),
        ("str(by=[::1]),rfc7239_is_valid", Some("0")),
        ("str('by=\"[::1]\"'),rfc7239_is_valid", Some("1")),
        ("str('by=\"[::1]:\"'),rfc7239_is_valid", Some("0")),
        ("str('by=\"[::1]:3\"'),rfc7239_is_valid", Some("1")),
        ("str('proto=https;host=\"haproxy.org:80\"'),rfc7239_field(host)", Some("haproxy.org:80")),
        (
            "str('proto=https;host=\"haproxy.org:80\";for=\"127.0.0.1:9999\"'),rfc7239_field(for)",
            Some("127.0.0.1:9999"),
        ),
        ("str(proto=http),rfc7239_field(for)", None),
        ("str(127.0.0.1:9999),rfc7239_n2nn", Some("127.0.0.1")),
        ("str([ab:cd:ff:ff:ff:ff:ff:ff]:9998),rfc7239_n2nn", Some("ab:cd:ff:ff:ff:ff:ff:ff")),
        ("str(_name:_port),rfc7239_n2nn", Some("_name")),
        ("str(unknown),rfc7239_n2nn", Some("unknown")),
        ("str(nonsense),rfc7239_n2nn", None),
        ("str(127.0.0.1:9999),rfc7239_n2np,add(1)", Some("10000")),
        ("str(_name:_port),rfc7239_n2np", Some("_port")),
        ("str(_name),rfc7239_n2np", None),
        ("ipv6(ab:cd:ff:ff:ff:ff:ff:ff),rfc7239_nn", Some("[ab:cd:ff:ff:ff:ff:ff:ff]")),
        ("src,rfc7239_nn", Some("10.1.2.3")),
        ("str(test),rfc7239_nn", Some("_test")),
        ("str(),rfc7239_nn", Some("unknown")),
        ("str('no way'),rfc7239_nn", None),
        ("int(12),rfc7239_np", Some("12")),
        ("str(test),rfc7239_np", Some("_test")),
        ("str(),rfc7239_np", None),
    ]);
    assert!(complaint("str(x),rfc7239_field(port)").contains("invalid field name"));
}

/// Values of the mode's test vectors (NIST SP 800-38A, F.2.1; for GCM what OpenSSL makes).
#[test]
fn ciphers() {
    let key = "K34VFiiu0qar9xWICc9PPA==";
    let iv = "AAECAwQFBgcICQoLDA0ODw==";
    let enc = format!("bin(6bc1bee22e409f96e93d7e117393172a),aes_cbc_enc(128,{iv},{key}),hex");
    let found = value(&enc).unwrap();
    assert!(found.starts_with("7649ABAC8119B246CEE98E9B12E9197D"), "{found}");
    all(&[
        (&*format!("bin({found}),aes_cbc_dec(128,{iv},{key}),hex"), Some("6BC1BEE22E409F96E93D7E117393172A")),
        (&*format!("bin({found}00),aes_cbc_dec(128,{iv},{key}),hex"), None),
        // The empty message and one block of zeroes under the key of zeroes (test cases 1 and 2 of GCM).
        (
            "bin(00000000000000000000000000000000),aes_gcm_enc(128,AAAAAAAAAAAAAAAA,AAAAAAAAAAAAAAAAAAAAAA==,txn.tag),hex",
            Some("0388DACE60B6A392F328C2B971B2FE78"),
        ),
        (
            "bin(0388dace60b6a392f328c2b971b2fe78),aes_gcm_dec(128,AAAAAAAAAAAAAAAA,AAAAAAAAAAAAAAAAAAAAAA==,q25H1CzsE72vU6Z7nhdd3Q==),hex",
            None,
        ),
        (
            "bin(0388dace60b6a392f328c2b971b2fe78),aes_gcm_dec(128,AAAAAAAAAAAAAAAA,AAAAAAAAAAAAAAAAAAAAAA==,q25H1CzsE73q80YBYyLr3w==),hex",
            None,
        ),
    ]);
    let mut txn = usual();
    let tag = Names::default().var("txn.tag").unwrap();
    let text = "str(hello),aes_gcm_enc(256,MTIzNDU2Nzg5MDEy,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,txn.tag,YWFk),base64";
    let secret = value_in(text, Dir::Request, &txn).unwrap();
    txn.settle();
    assert!(matches!(txn.vars.value(tag), Some(Sample::Str(text)) if text.len() == 24));
    let back = |aad: &str| {
        let text = format!(
            "str({secret}),b64dec,aes_gcm_dec(256,MTIzNDU2Nzg5MDEy,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,txn.tag,{aad})"
        );
        value_in(&text, Dir::Request, &txn)
    };
    assert_eq!(back("YWFk").as_deref(), Some("hello"));
    assert_eq!(back("YWFl"), None);
    assert!(complaint("str(x),aes_gcm_dec(100,AAAA,AAAA,txn.t)").contains("128, 192 or 256"));
    assert!(complaint("str(x),aes_cbc_dec(128,AAAA,###)").contains("base64"));
}

#[test]
fn signatures_of_tokens() {
    let table = include_str!("../../../tests/data/jwt/tokens.tsv");
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let [alg, file, token] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let name = if file == "cert.pem" { "jwt_verify_cert" } else { "jwt_verify" };
        let right = format!("str({token}),{name}({alg},{file})");
        assert_eq!(value(&right).as_deref(), Some("1"), "{right}");
        let wrong = format!("str(f{}),{name}({alg},{file})", &token[1..]);
        assert_eq!(value(&wrong).as_deref(), Some("0"), "{wrong}");
    }
    assert!(complaint("str(x),jwt_verify(RS256,none.pem)").contains("failed to load"));
    assert!(complaint("str(x),jwt_verify(XX,none.pem)").contains("unknown JWT algorithm"));
}

fn raw(bytes: &[u8], is_response: bool) -> Txn {
    let mut txn = Txn::default();
    match is_response {
        true => txn.res_body = bytes.to_vec().into(),
        false => txn.req_body = bytes.to_vec().into(),
    }
    txn
}

#[test]
fn remote_desktops() {
    let packet = b"\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: mstshash=ann\r\n\x01\x00";
    let txn = raw(packet, false);
    for (text, expected) in [
        ("req.rdp_cookie", Some("ann")),
        ("rdp_cookie(mstshash)", Some("ann")),
        ("req.rdp_cookie(other)", None),
        ("req.rdp_cookie_cnt", Some("1")),
        ("rdp_cookie_cnt(other)", Some("0")),
    ] {
        assert_eq!(value_in(text, Dir::Request, &txn).as_deref(), expected, "{text}");
    }
    for (test, expected) in [
        ("req_rdp_cookie(mstshash) ann", true),
        ("req_rdp_cookie(mstshash) bob", false),
        ("req_rdp_cookie_cnt gt 0", true),
        ("req_rdp_cookie_cnt(other) gt 0", false),
    ] {
        let condition = format!("if {{ {test} }}");
        let condition = good(test, |ctx| Condition::parse(&words(&condition), &Acls::default(), ctx));
        let env = FakeEnv::default();
        assert_eq!(condition.eval(Ctx { txn: &txn, env: &env }), expected, "{test}");
    }
}

#[test]
fn distributed_compilers() {
    let txn = raw(b"DIST00000001ARGC00000002ARGV00000002ccARGV00000003-c1", false);
    for (text, expected) in
        [("distcc_param(ARGC)", Some("2")), ("distcc_body(ARGV,2)", Some("-c1")), ("distcc_body(DOTI)", None)]
    {
        assert_eq!(value_in(text, Dir::Request, &txn).as_deref(), expected, "{text}");
    }
    assert!(complaint("distcc_param(AB)").contains("4 characters"));
}

/// A hello of a client with suites 1301 and c02f, groups 1d and 17, shares of 1d, signatures 0403 and 0804, a ticket.
const HELLO: &str = "160301005a010000560303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0000041301\
    c02f01000029000a00060004001d0017000d0006000404030804003300080006001d00020102002300050102030405";

#[test]
fn hellos_of_tls() {
    let bytes = hex(HELLO);
    let txn = raw(&bytes, false);
    for (text, expected) in [
        ("req.ssl_hello_type", Some("1")),
        ("req_ssl_ver", Some("196611")),
        ("req.ssl_ec_ext", Some("1")),
        ("req.ssl_st_ext", Some("2")),
        ("req.ssl_cipherlist,hex", Some("1301C02F")),
        ("req.ssl_supported_groups,hex", Some("001D0017")),
        ("req.ssl_sigalgs,hex", Some("04030804")),
        ("req.ssl_keyshare_groups,hex", Some("001D")),
    ] {
        assert_eq!(value_in(text, Dir::Request, &txn).as_deref(), expected, "{text}");
    }
    let server =
        hex("160303002a020000260303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00130100");
    let txn = raw(&server, true);
    for text in ["res.ssl_hello_type", "rep_ssl_hello_type"] {
        assert_eq!(value_in(text, Dir::Response, &txn).as_deref(), Some("2"), "{text}");
    }
    assert_eq!(value_in("res.ssl_hello_type", Dir::Response, &raw(&server[..20], true)), None);
    assert_eq!(value_in("res.ssl_hello_type", Dir::Response, &raw(b"HTTP/1.1 200", true)), None);
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    let digits: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn fields_as_bytes() {
    let txn = txn("GET / HTTP/1.1\r\nHost: h\r\nX-A: bc\r\n\r\n", Some(RESPONSE));
    let found = value_in("req.hdrs_bin,hex", Dir::Request, &txn).unwrap();
    assert_eq!(found, "04686F7374016803782D610262630000");
    assert!(value_in("res.hdrs_bin,hex", Dir::Response, &txn).unwrap().starts_with("06736572766572"));
}

/// What newer manuals say of arguments and odd inputs.
#[test]
fn later_manuals() {
    all(&[
        ("int(1500),ms_utime(%S.%N)", Some("01.500000000")),
        ("str(a.b.),reverse_dom", Some("b.a")),
        ("str(a..b),reverse_dom", None),
        ("str(a=1;b=2),param(b,0x3b)", Some("2")),
        ("str('{\"a\":[1,2]}'),json_query('$.a')", Some("[1,2]")),
        ("str(eyJhbGciOiJIUzI1NiJ9.e30.x),jwt_header_query", Some("{\"alg\":\"HS256\"}")),
    ]);
}
