//! Which certificate, version, cipher and protocol a client gets.

use std::io::Write;
use std::process::{Command, Stdio};

use super::harness::{OLD, Site, ask, each};
use crate::diff::one;
use crate::support::differential::Run;
use crate::tls::path;

pub const NAMES: Site = Site {
    name: "names_and_a_default",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem crt {files}/b.pem crt {files}/wild.pem alpn h2,http/1.1
    http-request return status 200 {told}
",
    logs: 7,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/1", "--http2"),
            ("https://b.test/2", "--http1.1"),
            ("https://x.wild.test/3", "--http2"),
            ("https://Y.WILD.test/4", "--http1.1 --tls-max 1.2 --ciphers ECDHE-ECDSA-AES256-GCM-SHA384"),
            ("https://x.y.wild.test/5", "--http1.1"),
            ("https://other.test/6", "--http2"),
            ("https://wild.test/7", "--http1.1"),
        ];
        each(run, "fe", &rows);
    },
};

pub const STRICT: Site = Site {
    name: "strict_names",
    text: "
frontend fe
    bind {ip}:{port:fe} name strict ssl crt {files}/a.pem crt {files}/wild.pem strict-sni alpn h2,http/1.1
    http-request return status 200 {told}
",
    logs: 5,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/1", "--http2"),
            ("https://b.test/2", "--http2"),
            ("https://x.wild.test/3", "--http1.1"),
            ("https://wild.test/4", "--http1.1 --tls-max 1.2"),
            ("https://A.Test/5", "--http1.1 --tls-max 1.2"),
        ];
        each(run, "fe", &rows);
    },
};

pub const LIST: Site = Site {
    name: "a_list_with_filters_and_options",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt-list {files}/list.txt strict-sni alpn h2,http/1.1 ciphers ECDHE-ECDSA-AES128-GCM-SHA256
    http-request return status 200 {told}
",
    logs: 8,
    origins: one,
    traffic: |run| {
        let rows = [
            ("https://a.test/1", ""),
            ("https://a.test/2", OLD),
            ("https://x.wild.test/3", ""),
            ("https://x.wild.test/4", OLD),
            ("https://secret.wild.test/5", OLD),
            ("https://b.test/6", "--tls-max 1.2"),
            ("https://b.test/7", "--tls-max 1.2 --cert @alice.pem"),
            ("https://b.test/8", "--cert @alice.pem"),
        ];
        each(run, "fe", &rows);
    },
};

pub const PROTOCOLS: Site = Site {
    name: "protocols_agreed_on",
    text: "
frontend fe
    bind {ip}:{port:both} ssl crt {files}/a.pem alpn h2,http/1.1
    bind {ip}:{port:first} ssl crt {files}/a.pem alpn http/1.1,h2
    bind {ip}:{port:old} ssl crt {files}/a.pem alpn http/1.1
    bind {ip}:{port:new} ssl crt {files}/a.pem alpn h2
    bind {ip}:{port:none} ssl crt {files}/a.pem
    http-request return status 200 {told}
",
    logs: 11,
    origins: one,
    traffic: |run| {
        for port in ["both", "first", "old"] {
            for more in ["--http2", "--http1.1", "--no-alpn"] {
                ask(run, port, "https://a.test/1", more);
            }
        }
        ask(run, "new", "https://a.test/4", "--http2");
        ask(run, "none", "https://a.test/5", "--http1.1 --no-alpn");
    },
};

pub const VERSIONS: Site = Site {
    name: "versions_that_are_allowed",
    text: "
frontend fe
    bind {ip}:{port:new} name new ssl crt {files}/a.pem ssl-min-ver TLSv1.3 alpn http/1.1
    bind {ip}:{port:old} name old ssl crt {files}/a.pem ssl-max-ver TLSv1.2 alpn http/1.1
    bind {ip}:{port:force} name force ssl crt {files}/a.pem force-tlsv12 alpn http/1.1
    bind {ip}:{port:no} name no ssl crt {files}/a.pem no-tlsv13 no-sslv3 no-tlsv10 no-tlsv11 alpn http/1.1
    http-request return status 200 {told}
",
    logs: 8,
    origins: one,
    traffic: |run| {
        for port in ["new", "old", "force", "no"] {
            ask(run, port, "https://a.test/2", OLD);
            ask(run, port, "https://a.test/3", "--tlsv1.3");
        }
    },
};

pub const CIPHERS: Site = Site {
    name: "ciphers_and_curves",
    text: "
frontend fe
    bind {ip}:{port:one} name one ssl crt {files}/a.pem ciphers ECDHE-ECDSA-AES256-GCM-SHA384 ciphersuites TLS_CHACHA20_POLY1305_SHA256 alpn http/1.1
    bind {ip}:{port:mine} name mine ssl crt {files}/a.pem ciphers ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256 ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384 alpn http/1.1
    bind {ip}:{port:theirs} name theirs ssl crt {files}/a.pem prefer-client-ciphers alpn http/1.1
    bind {ip}:{port:curve} name curve ssl crt {files}/a.pem curves P-384 alpn http/1.1
    http-request return status 200 {told}
",
    logs: 10,
    origins: one,
    traffic: |run| {
        for port in ["one", "mine", "curve"] {
            ask(run, port, "https://a.test/1", "--tls-max 1.2");
            ask(run, port, "https://a.test/2", "");
        }
        let old = "--tls-max 1.2 --ciphers ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256";
        let new = "--tls13-ciphers TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
        ask(run, "one", "https://a.test/3", OLD);
        each(run, "theirs", &[("https://a.test/4", old), ("https://a.test/5", new)]);
        ask(run, "curve", "https://a.test/6", "--curves X25519 --tls-max 1.2");
    },
};

/// A session that OpenSSL keeps, and goes on with.
fn sessions(run: &mut Run, port: &str, version: &str) {
    let session = path(run.proxy.dir(), "session");
    for option in ["-sess_out", "-sess_in"] {
        let connect = run.addr(port).to_string();
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-connect", &connect, "-servername", "a.test", version, option, &session])
            .arg("-ign_eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let request = b"GET /s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        openssl.stdin.as_mut().expect("its input").write_all(request).expect("write");
        let output = openssl.wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let body = text.lines().find(|line| line.starts_with("1 a.test")).unwrap_or("no answer");
        run.note(&format!("{port} {version} {option}"), body);
    }
}

pub const SESSIONS: Site = Site {
    name: "sessions_with_and_without_tickets",
    text: "
frontend fe
    bind {ip}:{port:fe} ssl crt {files}/a.pem alpn http/1.1
    bind {ip}:{port:bare} ssl crt {files}/a.pem no-tls-tickets alpn http/1.1
    http-request return status 200 {told}
",
    logs: 8,
    origins: one,
    traffic: |run| {
        for port in ["fe", "bare"] {
            sessions(run, port, "-tls1_2");
            sessions(run, port, "-tls1_3");
        }
    },
};
