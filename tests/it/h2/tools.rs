//! Clients that others wrote: `curl`, `nghttp`, `h2load`, over clear text and over TLS, where HTTP/2 is agreed on without a
//! word in the configuration.

use std::process::{Command, Output};

use crate::support::{Origin, Proxy, program};

const CONFIG: &str = "
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend fe
    bind {ip}:{port:fe}
    default_backend be
frontend fs
    bind {ip}:{port:fs} ssl crt {cert}
    default_backend be
frontend old
    bind {ip}:{port:old} ssl crt {cert} no-alpn
    default_backend be
backend be
    server s1 {origin}
";

fn scene() -> (Proxy, Origin, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["h2.test".to_owned()]).expect("parameters");
    let cert = params.self_signed(&key).expect("a certificate");
    let file = dir.path().join("h2.pem");
    std::fs::write(&file, format!("{}{}", cert.pem(), key.serialize_pem())).expect("write");
    let origin = Origin::named("fine");
    let proxy = Proxy::on(CONFIG).with("origin", origin.addr()).with("cert", file.display()).start();
    (proxy, origin, dir)
}

/// What a program says; `None`, loudly, where it is not installed.
fn run(test: &str, name: &str, args: &[&str]) -> Option<(Output, String)> {
    if !program::installed(name) {
        program::skipped(test, &format!("{name} is not installed"));
        return None;
    }
    let output = Command::new(name).args(args).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some((output, text))
}

/// alpn-default: HTTP/2 is offered with TLS, unless the line says otherwise.
#[test]
fn curl() {
    let (proxy, _origin, dir) = scene();
    let body = dir.path().join("body");
    std::fs::write(&body, vec![b'x'; 3_000_000]).expect("write");
    let data = format!("@{}", body.display());
    for (scheme, port, more, expected) in [
        ("http", "fe", &["--http2-prior-knowledge"][..], "fine 2 200"),
        ("http", "fe", &["--http2-prior-knowledge", "--data-binary", &data], "fine 2 200"),
        ("http", "fe", &["--http2"], "fine 1.1 200"),
        ("https", "fs", &["-k"], "fine 2 200"),
        ("https", "fs", &["-k", "--http1.1"], "fine 1.1 200"),
        ("https", "fs", &["-k", "--data-binary", &data], "fine 2 200"),
        ("https", "old", &["-k"], "fine 1.1 200"),
    ] {
        let url = format!("{scheme}://{}/x", proxy.addr(port));
        let args = [&["-s", "-m", "20", "-w", " %{http_version} %{http_code}", &url], more].concat();
        let Some((_, text)) = run("h2::tools::curl", "curl", &args) else { return };
        assert_eq!(text, expected, "{url} {more:?}");
    }
}

#[test]
fn nghttp() {
    let (proxy, _origin, _dir) = scene();
    let url = format!("http://{}/x", proxy.addr("fe"));
    let args = ["-v", "-H", "x-a: b", "-H", "cookie: a=1", "-m", "20", &url];
    let Some((output, text)) = run("h2::tools::nghttp", "nghttp", &args) else { return };
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches(":status: 200").count(), 20, "{text}");
    assert!(!text.contains("RST_STREAM"), "{text}");
}

#[test]
fn h2load() {
    let (proxy, _origin, _dir) = scene();
    for (scheme, port) in [("http", "fe"), ("https", "fs")] {
        let url = format!("{scheme}://{}/x", proxy.addr(port));
        let args = ["-n", "5000", "-c", "8", "-m", "100", &url];
        let Some((_, text)) = run("h2::tools::h2load", "h2load", &args) else { return };
        assert!(text.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    }
}
