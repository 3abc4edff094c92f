//! The API over TLS, and `isobar` as its client.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::cluster::{API, Cluster, Node, SOON, loopback};
use crate::support::place::wait_until;
use crate::support::program;

/// A CA and what it signed, as files.
struct Files {
    dir: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Files {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        let files = Files { dir: tempfile::tempdir().expect("a directory"), ca };
        std::fs::write(files.path("ca.pem"), files.ca.pem()).expect("written");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn signed(&self, name: &str, host: String) -> PathBuf {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host]).expect("parameters");
        let certificate = params.signed_by(&key, &self.ca).expect("a certificate");
        std::fs::write(self.path(name), certificate.pem() + &key.serialize_pem()).expect("written");
        self.path(name)
    }
}

fn isobar(address: &str, more: &[String]) -> Result<String, String> {
    let mut command = Command::new(program::under_test());
    command.args(["node", "ls", &format!("--http-addr={address}")]).args(more);
    let out = command.output().expect("isobar runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

#[test]
fn the_api_speaks_tls_and_asks_for_a_certificate_when_it_is_told_to() {
    let (files, foreign) = (Files::new(), Files::new());
    let (address, client) = (loopback(0), files.signed("client.pem", "client".into()));
    let crt = files.signed("node.pem", address.to_string());
    let text = format!(
        "region-map\n    node n0\n    http-api {address}:{API} ssl crt {} ca-file {} verify required\n",
        crt.display(),
        files.path("ca.pem").display()
    );
    let mut cluster = Cluster::new(vec![Node::new(address, &text)]);
    cluster.start(0);
    let https = format!("https://{address}:{API}");
    let ca = flag("ca-file", &files.path("ca.pem"));
    let mut last = Err(String::new());
    let done = wait_until(SOON, || {
        last = isobar(&https, &[ca.clone(), flag("crt", &client)]);
        last.as_ref().is_ok_and(|list| list.contains("n0"))
    });
    assert!(done, "{last:?}; it said:\n{}", cluster.nodes[0].said());
    // No certificate, one of another CA, another CA to believe, no TLS.
    assert!(isobar(&https, std::slice::from_ref(&ca)).is_err());
    let theirs = foreign.signed("client.pem", "client".into());
    assert!(isobar(&https, &[ca.clone(), flag("crt", &theirs)]).is_err());
    let refused = isobar(&https, &[flag("ca-file", &foreign.path("ca.pem")), flag("crt", &client)]);
    assert!(refused.unwrap_err().contains("certificate"));
    assert!(isobar(&format!("http://{address}:{API}"), &[]).is_err());
    assert!(cluster.nodes[0].is_up());
}

#[test]
fn an_agent_joins_over_tls_with_a_token_or_not_at_all() {
    let files = Files::new();
    let (address, own) = (loopback(1), loopback(2));
    let crt = files.signed("node.pem", address.to_string());
    let text = format!(
        "region-map\n    node n0\n    write-token secret\n    read-token reader\n    http-api {address}:{API} ssl crt {}\n",
        crt.display(),
    );
    let mut cluster = Cluster::new(vec![Node::new(address, &text)]);
    cluster.start(0);
    let agent = |node: &str, token: &str, port: u16| {
        let mut command = Command::new(program::under_test());
        command.arg("agent").arg(format!("-join=https://{address}:{API}")).args(["-node", node]);
        command
            .arg(format!("-ca-file={}", files.path("ca.pem").display()))
            .arg(format!("-http-addr={own}:{port}"));
        command.env("CONSUL_HTTP_TOKEN", token).stdin(std::process::Stdio::null());
        command.spawn().expect("an agent")
    };
    let (mut good, mut bad) = (agent("good", "secret", 8500), agent("bad", "reader", 8501));
    let ask = |port: u16, path: &str| {
        let reply = super::api::Api::new(std::net::SocketAddr::new(own, port)).get(path);
        reply.map(|r| (r.status, r.body)).unwrap_or_default()
    };
    let known = wait_until(SOON, || ask(8500, "/v1/catalog/nodes").1.contains("\"good\""));
    let seen = (ask(8500, "/v1/catalog/nodes"), ask(8501, "/v1/catalog/nodes"));
    let health = ask(8500, "/v1/health/node/good");
    for child in [&mut good, &mut bad] {
        let _ = child.kill();
        let _ = child.wait();
    }
    assert!(known, "{seen:?}; it said:\n{}", cluster.nodes[0].said());
    assert!(health.1.contains("serfHealth"), "{health:?}");
    // Who may only read is no node of the cluster, and reads.
    assert_eq!(seen.1.0, 200);
    assert!(!seen.1.1.contains("\"bad\"") && seen.1.1.contains("\"good\""), "{seen:?}");
}
