//! Words of TLS: each of them changes what its line says.

use super::super::testing::{build_text, messages};

/// What comes of a text: how TLS is spoken by its first `bind` line and its first server, and what `global` says of it; and
/// what was found wrong.
fn outcome(text: &str) -> String {
    let (built, diags) = build_text(text);
    let made = built.map(|built| {
        let config = &built.config;
        let binds =
            config.proxies.iter().filter_map(|proxy| proxy.front.as_ref()).flat_map(|front| &front.binds);
        let binds: Vec<_> = binds.map(|bind| format!("{} {:?}", bind.tls.is_on, bind.tls.words)).collect();
        let backs = config.proxies.iter().filter_map(|proxy| proxy.back.as_ref());
        let servers: Vec<_> = backs
            .flat_map(|back| &back.declared)
            .map(|spec| (spec.tls.as_ref().map(|tls| tls.fingerprint), spec.tls_is_off))
            .collect();
        let backs = config.proxies.iter().filter_map(|proxy| proxy.back.as_ref());
        let checks: Vec<_> =
            backs.flat_map(|back| &back.checks).map(|(_, check)| format!("{:?}", check.tls)).collect();
        format!("{binds:?} {servers:?} {checks:?} {:?}", config.global.tls)
    });
    format!("{made:?} {:?}", messages(&diags))
}

/// Each of these words makes a difference where the text has `{}`.
fn tell(text: &str, words: &[&str]) {
    for word in words {
        // What a word undoes is said before it.
        let (before, word) = word.split_once('|').unwrap_or(("", word));
        let (without, with) = (text.replace("{}", before), text.replace("{}", &format!("{before} {word}")));
        assert_ne!(outcome(&without), outcome(&with), "'{word}' says nothing");
    }
}

const LISTEN: &str = "listen l\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n";

#[test]
fn of_bind_lines() {
    let words = [
        "ssl",
        "crt x.pem",
        "default-crt x.pem",
        "crt-list x.txt",
        "alpn h2",
        "ca-file x.pem",
        "ca-verify-file x.pem",
        "ca-ignore-err all",
        "crt-ignore-err all",
        "crl-file x.pem",
        "ciphers AES128-SHA",
        "ciphersuites x",
        "curves x",
        "ecdhe x",
        "no-alpn",
        "no-ca-names",
        "allow-0rtt",
        "strict-sni",
        "strict-sni|no-strict-sni",
        "no-tls-tickets",
        "no-tls-tickets|tls-tickets",
        "tls-ticket-keys x",
        "prefer-client-ciphers",
        "verify optional",
        "ssl-min-ver TLSv1.2",
        "ssl-max-ver TLSv1.2",
        "no-sslv3",
        "no-tlsv10",
        "no-tlsv11",
        "no-tlsv12",
        "no-tlsv13",
        "force-tlsv12",
        "force-tlsv13",
    ];
    tell(&format!("{LISTEN} bind :1 {{}}\n server s 127.0.0.1:1\n"), &words);
}

#[test]
fn of_server_lines() {
    let words = [
        "crt x.pem",
        "alpn h2",
        "ca-file x.pem",
        "crl-file x.pem",
        "ciphers ECDHE+AES256",
        "ssl-min-ver TLSv1.3",
        "ciphersuites TLS_AES_128_GCM_SHA256",
        "curves P-256",
        "ssl-max-ver TLSv1.2",
        "no-sslv3",
        "no-tlsv10",
        "no-tlsv11",
        "no-tlsv12",
        "no-tlsv13",
        "force-tlsv12",
        "force-tlsv13",
        "no-ssl-reuse",
        "no-ssl-reuse|ssl-reuse",
        "no-tls-tickets",
        "no-tls-tickets|tls-tickets",
        "verify required",
        "verifyhost x",
        "no-ssl",
        "sni no_such_fetch",
    ];
    tell(&format!("{LISTEN} bind :1\n server s 127.0.0.1:1 ssl verify none {{}}\n"), &words);
    tell(&format!("{LISTEN} bind :1\n server s 127.0.0.1:1 verify none {{}}\n"), &["ssl"]);
    let words = ["check-ssl", "check-ssl|no-check-ssl", "check-ssl|check-sni x", "check-ssl|check-alpn h2"];
    tell(&format!("{LISTEN} bind :1\n server s 127.0.0.1:1 verify none check {{}}\n"), &words);
}

#[test]
fn of_global() {
    let words = [
        "ca-base /x",
        "crt-base /x",
        "ssl-default-bind-ciphers AES128-SHA",
        "ssl-default-bind-ciphersuites x",
        "ssl-default-bind-curves x",
        "ssl-default-bind-options no-tlsv12",
        "ssl-default-server-ciphers AES128-SHA",
        "ssl-default-server-ciphersuites x",
        "ssl-default-server-curves x",
        "ssl-default-server-options no-tlsv12",
        "ssl-load-extra-files none",
        "ssl-load-extra-del-ext",
        "ssl-skip-self-issued-ca",
        "ssl-server-verify none",
        "tune.ssl.cachesize 5",
        "tune.ssl.lifetime 5",
        "maxsslconn 5",
    ];
    tell("global\n {}\n", &words);
}
