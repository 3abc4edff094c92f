//! The same configuration with TLS through HAProxy and through the program under test: what clients get, which alert
//! they are sent, what the log says.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

use tempfile::TempDir;

use super::certificate::files;
use super::{curl, path, resolve};
use crate::diff::{HTTP, one};
use crate::support::Origin;
use crate::support::differential::{Run, same};

/// For both passes of all tests.
static FILES: LazyLock<TempDir> = LazyLock::new(|| files(&["a", "b"]));

fn pem(name: &str) -> String {
    path(FILES.path(), &format!("{name}.pem"))
}

fn ask(run: &mut Run, port: &str, host: &str, more: &[&str]) {
    let addr = run.addr(port);
    let (resolved, url) = (resolve(host, addr), format!("https://{host}:{}/x", addr.port()));
    let args: Vec<&str> = ["--resolve", &resolved, &url].into_iter().chain(more.iter().copied()).collect();
    let output = curl(&args);
    let body = String::from_utf8_lossy(&output.stdout).into_owned();
    run.note(&format!("{host} {more:?}"), &format!("{:?} {body}", output.status.code()));
}

/// What is answered to bytes that are no handshake.
fn raw(run: &mut Run, port: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(run.addr(port)).expect("connect");
    stream.write_all(bytes).expect("write");
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).map_err(|e| e.kind());
    run.note(&String::from_utf8_lossy(bytes), &format!("{answer:?} {}", end.is_ok()));
}

#[test]
fn names_versions_and_protocols() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt {} crt {} alpn http/1.1
    http-request return status 299 if {{ ssl_fc_sni_end her.test }}
    http-request return status 298 if {{ ssl_fc_sni_reg ^b\\.t }}
    http-request return status 200 content-type text/plain lf-string \"%[ssl_fc] %[ssl_fc_sni] %[ssl_fc_has_sni] %[ssl_fc_alpn] %[ssl_fc_protocol] %[ssl_fc_cipher] %[ssl_fc_is_resumed] %[ssl_fc_use_keysize] %[ssl_fc_alg_keysize] %[ssl_c_used] %[ssl_fc_has_crt] %[ssl_f_s_dn] %[ssl_f_s_dn(CN)] %[ssl_f_version] %[ssl_f_key_alg] %[ssl_f_sig_alg] %[ssl_f_notafter] %[ssl_f_sha1,hex] %[ssl_f_serial,hex] %sslc %sslv %ft\"
",
        pem("a"),
        pem("b")
    );
    same(&config, one, 4, |run| {
        ask(run, "fe", "a.test", &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
        ask(run, "fe", "b.test", &["--http1.1"]);
        ask(run, "fe", "B.TEST", &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"]);
        ask(run, "fe", "other.test", &[]);
    });
}

#[test]
fn handshakes_that_fail() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:strict}} ssl crt {} strict-sni alpn http/1.1
    bind {{ip}}:{{port:new}} name new ssl crt {} ssl-min-ver TLSv1.3 alpn http/1.1
    http-request return status 200
",
        pem("a"),
        pem("a")
    );
    same(&config, one, 5, |run| {
        ask(run, "strict", "b.test", &[]);
        raw(run, "strict", b"GET / HTTP/1.1\r\n\r\n");
        raw(run, "strict", b"no greeting of TLS");
        ask(run, "new", "a.test", &["--tls-max", "1.2"]);
        ask(run, "strict", "a.test", &[]);
    });
}

#[test]
fn errors_of_handshakes() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:strict}} ssl crt {} strict-sni alpn http/1.1
    bind {{ip}}:{{port:new}} ssl crt {} ssl-min-ver TLSv1.3 alpn http/1.1
    bind {{ip}}:{{port:known}} ssl crt {} ca-file {} verify required alpn http/1.1
    error-log-format \"%[fc_err] %[fc_err_str] %[ssl_fc_err,hex] %[ssl_fc_err_str] %[ssl_c_err] %[ssl_c_verify]\"
    http-request return status 200
",
        pem("a"),
        pem("a"),
        pem("a"),
        pem("a")
    );
    same(&config, one, 6, |run| {
        ask(run, "strict", "b.test", &[]);
        raw(run, "strict", b"GET / HTTP/1.1\r\n\r\n");
        raw(run, "strict", b"no greeting of TLS");
        ask(run, "new", "a.test", &["--tls-max", "1.2"]);
        ask(run, "known", "a.test", &["--cert", &pem("b"), "--tls-max", "1.2"]);
        ask(run, "known", "a.test", &[]);
    });
}

#[test]
fn the_log_of_https() {
    let config = format!(
        "{HTTP}
frontend fe
    option httpslog
    bind {{ip}}:{{port:fe}} ssl crt {} ca-file {} verify optional crt-ignore-err all alpn http/1.1
    http-request return status 200
",
        pem("a"),
        pem("b")
    );
    same(&config, one, 2, |run| {
        ask(run, "fe", "a.test", &["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
        ask(run, "fe", "a.test", &["--cert", &pem("a"), "--http1.1"]);
    });
}

/// `PRE_*` of a certificate.
fn certificate(pre: &str) -> String {
    let names = [
        "der,hex",
        "sha1,hex",
        "serial,hex",
        "version",
        "key_alg",
        "sig_alg",
        "notbefore",
        "notafter",
        "s_dn",
        "s_dn(cn)",
        "i_dn",
        "i_dn(CN,1)",
        "s_dn(,0,rfc2253)",
    ];
    names.map(|name| format!("%[{pre}_{name}]")).join(" ")
}

#[test]
fn certificates_of_clients() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}} ssl crt {} ca-file {} verify optional crt-ignore-err all alpn http/1.1
    http-request return status 200 content-type text/plain lf-string \"%[ssl_c_used] %[ssl_fc_has_crt] %[ssl_c_verify] %[ssl_c_err] %[ssl_c_ca_err] %[ssl_c_ca_err_depth] %[ssl_c_chain_der,hex] {} / {}\"
",
        pem("a"),
        pem("b"),
        certificate("ssl_c"),
        certificate("ssl_f")
    );
    same(&config, one, 3, |run| {
        ask(run, "fe", "a.test", &[]);
        ask(run, "fe", "a.test", &["--cert", &pem("b")]);
        ask(run, "fe", "a.test", &["--cert", &pem("b"), "--tls-max", "1.2"]);
    });
}

#[test]
fn certificates_of_servers() {
    let config = format!(
        "{HTTP}
frontend inner
    no log
    bind {{ip}}:{{port:inner}} ssl crt {} crt {} alpn http/1.1
    http-request return status 200
listen outer
    bind {{ip}}:{{port:outer}}
    server s1 {{ip}}:{{port:inner}} ssl verify none sni str(b.test) alpn http/1.1
    http-response set-header x-tls \"%[ssl_bc] %[ssl_bc_protocol] %[ssl_bc_cipher] %[ssl_bc_alpn] %[ssl_bc_is_resumed] %[ssl_bc_use_keysize] %[ssl_bc_alg_keysize] %[ssl_bc_err] %[ssl_s_chain_der,hex] {}\"
",
        pem("a"),
        pem("b"),
        certificate("ssl_s")
    );
    same(&config, one, 1, |run| {
        run.get("outer", "/1", "");
    });
}

#[test]
fn to_servers() {
    let config = format!(
        "{HTTP}
frontend inner
    no log
    bind {{ip}}:{{port:inner}} ssl crt {} crt {} strict-sni
    http-request return status 200 content-type text/plain lf-string \"%[ssl_fc_sni] %[req.hdr(x)]\"
listen named
    log-format \"%ft %b/%s %ST %ts %rc\"
    bind {{ip}}:{{port:named}}
    server s1 {{ip}}:{{port:inner}} ssl verify none sni str(b.test)
listen signed
    log-format \"%ft %b/%s %ST %ts %rc\"
    bind {{ip}}:{{port:signed}}
    server s1 {{ip}}:{{port:inner}} ssl ca-file {} sni str(a.test)
listen unsigned
    log-format \"%ft %b/%s %ST %ts %rc\"
    retries 0
    bind {{ip}}:{{port:unsigned}}
    server s1 {{ip}}:{{port:inner}} ssl verify required ca-file {} sni str(a.test)
",
        pem("a"),
        pem("b"),
        pem("a"),
        pem("b"),
    );
    same(&config, one, 3, |run| {
        run.get("named", "/1", "");
        run.get("signed", "/2", "X: y\r\n");
        run.get("unsigned", "/3", "");
    });
}

/// What stands in a PROXY header behind the addresses, as the body of an answer.
fn telling() -> Vec<(&'static str, Origin)> {
    let origin = Origin::raw(|mut stream, _| {
        let (mut all, mut room) = (Vec::new(), [0; 4096]);
        let header =
            |all: &[u8]| all.get(14..16).map(|len| 16 + usize::from(u16::from_be_bytes([len[0], len[1]])));
        while !header(&all).is_some_and(|len| all.len() > len && all.ends_with(b"\r\n\r\n")) {
            match stream.read(&mut room) {
                Ok(n) if n > 0 => all.extend_from_slice(&room[..n]),
                _ => return,
            }
        }
        let fields = &all[28..header(&all).unwrap_or(28)];
        let hex: String = fields.iter().map(|b| format!("{b:02x}")).collect();
        let text: String =
            fields.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        let body = format!("{hex} {text}");
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    });
    vec![("s1", origin)]
}

#[test]
fn the_proxy_protocol_tells_of_it() {
    let config = format!(
        "{HTTP}
listen all
    bind {{ip}}:{{port:all}} ssl crt {pem} ca-file {ca} verify optional crt-ignore-err all alpn http/1.1
    server s1 {{s1}} send-proxy-v2 proxy-v2-options cert-cn,ssl-cipher,cert-sig,cert-key,authority
listen some
    bind {{ip}}:{{port:some}} ssl crt {pem} alpn http/1.1
    server s1 {{s1}} send-proxy-v2-ssl
",
        pem = pem("a"),
        ca = pem("b")
    );
    same(&config, telling, 4, |run| {
        let fixed = ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"];
        ask(run, "all", "a.test", &fixed);
        ask(run, "all", "a.test", &[&fixed[..], &["--cert", &pem("b")]].concat());
        ask(run, "some", "b.test", &fixed);
        ask(run, "some", "b.test", &[]);
    });
}
