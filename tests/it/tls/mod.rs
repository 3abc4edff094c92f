//! TLS of clients and to servers, by curl and OpenSSL, and beside a real HAProxy.

pub mod certificate;
mod differential;
mod old;
mod runtime;
mod serving;
mod site;
mod sites;
mod websockets;

use std::path::Path;
use std::process::{Command, Output};

/// Runs curl on certificates that nobody signed.
fn curl(args: &[&str]) -> Output {
    let fixed = ["-sk", "--max-time", "10"];
    Command::new("curl").args(fixed).args(args).output().expect("curl")
}

/// What curl wrote, as text.
fn fetched(args: &[&str]) -> String {
    let output = curl(args);
    assert!(output.status.success(), "curl {args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `--resolve` of a name.
fn resolve(name: &str, addr: std::net::SocketAddr) -> String {
    format!("{name}:{}:{}", addr.port(), addr.ip())
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}
