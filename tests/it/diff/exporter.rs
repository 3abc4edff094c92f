//! The names of Prometheus's metrics: whoever has dashboards for HAProxy's exporter finds all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::HTTP;
use crate::support::{Client, Origin, Proxy, place, program};

/// Sample names with their labels, and the types of metrics, after some traffic.
fn names(binary: std::path::PathBuf) -> BTreeSet<String> {
    let config = format!(
        "{}
frontend fe
    bind {{ip}}:{{port:fe}}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    default_backend be
frontend apart
    bind {{ip}}:{{port:apart}} name lst
    option socket-stats
    default_backend be
backend be
    server s1 {{s1}} check inter 100ms
listen tcp
    bind {{ip}}:{{port:tcp}}
    mode tcp
    option tcplog
    server s1 {{s1}}
",
        HTTP.replace("    log {log} local0\n", "")
    );
    let origin = Origin::named("one");
    let proxy = Proxy::on(&config).binary(binary).with("s1", origin.addr()).start();
    for port in ["fe", "apart", "tcp"] {
        crate::support::client::get(proxy.addr(port), "/");
    }
    place::wait_until(Duration::from_millis(500), || false);
    let mut client = Client::connect(proxy.addr("fe"));
    client.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let text = String::from_utf8(client.response().expect("a page").body).expect("text");
    let of_sample = |line: &str| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
    let kept = |line: &&str| line.starts_with("# TYPE haproxy_") || line.starts_with("haproxy_");
    let name = |line: &str| if line.starts_with('#') { Some(line.to_owned()) } else { of_sample(line) };
    text.lines().filter(kept).filter_map(name).filter(|name| !name.contains("version=")).collect()
}

#[test]
fn every_metric_of_theirs_is_here() {
    let Some(haproxy) = program::haproxy() else {
        return program::skipped("diff", "no HAProxy on this machine (Debian package: haproxy)");
    };
    let (theirs, ours) = (names(haproxy), names(program::under_test()));
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(theirs.len() > 400, "{}", theirs.len());
}
