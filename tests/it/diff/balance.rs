//! Which server gets which request.

use super::{HTTP, three};
use crate::support::differential::{Run, same};

fn with(backend: &str) -> String {
    format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
{backend}"
    )
}

fn paths(run: &mut Run) {
    for n in 0..24 {
        run.get("fe", &format!("/{}/page{n}?user={}", n % 5, n % 7), &format!("X-Key: key{}\r\n", n % 6));
    }
}

const THREE: &str = "    server s1 {s1}\n    server s2 {s2}\n    server s3 {s3}\n";

#[test]
fn roundrobin() {
    same(&with(&format!("    balance roundrobin\n{THREE}")), three, 24, paths);
}

#[test]
fn roundrobin_with_weights() {
    let servers = "    balance roundrobin
    server s1 {s1} weight 5
    server s2 {s2} weight 2
    server s3 {s3} weight 1
";
    same(&with(servers), three, 24, paths);
}

#[test]
fn static_rr_with_weights() {
    let servers = "    balance static-rr
    server s1 {s1} weight 4
    server s2 {s2} weight 2
    server s3 {s3} weight 3
";
    same(&with(servers), three, 24, paths);
}

#[test]
fn first() {
    same(&with(&format!("    balance first\n{THREE}")), three, 24, paths);
}

#[test]
fn source() {
    same(&with(&format!("    balance source\n{THREE}")), three, 24, paths);
}

#[test]
fn uri() {
    same(&with(&format!("    balance uri\n{THREE}")), three, 24, paths);
    same(&with(&format!("    balance uri whole\n{THREE}")), three, 24, paths);
    same(&with(&format!("    balance uri depth 1\n{THREE}")), three, 24, paths);
    same(&with(&format!("    balance uri len 3\n    hash-type consistent\n{THREE}")), three, 24, paths);
}

#[test]
fn url_param() {
    same(&with(&format!("    balance url_param user\n{THREE}")), three, 24, paths);
}

#[test]
fn header() {
    same(&with(&format!("    balance hdr(X-Key)\n{THREE}")), three, 24, paths);
    same(
        &with(&format!("    balance hdr(X-Key)\n    hash-type consistent sdbm avalanche\n{THREE}")),
        three,
        24,
        paths,
    );
    same(&with(&format!("    balance hdr(X-Key)\n    hash-type map-based djb2\n{THREE}")), three, 24, paths);
    same(&with(&format!("    balance hdr(X-None)\n{THREE}")), three, 24, paths);
}

#[test]
fn backup_and_disabled() {
    let servers = "    balance roundrobin
    server s1 {s1} disabled
    server s2 {s2} backup
    server s3 {s3} weight 0
";
    same(&with(servers), three, 24, paths);
}

#[test]
#[ignore = "known difference: persistence by cookie is not in this release"]
fn use_server_and_cookie() {
    let servers = "    balance roundrobin
    cookie SRV insert indirect nocache
    use-server s3 if { path_beg /3 }
    server s1 {s1} cookie a
    server s2 {s2} cookie b
    server s3 {s3} cookie c
";
    same(&with(servers), three, 8, |run| {
        run.get("fe", "/", "");
        run.get("fe", "/", "");
        run.get("fe", "/", "Cookie: SRV=b\r\n");
        run.get("fe", "/", "Cookie: x=1; SRV=c; y=2\r\n");
        run.get("fe", "/", "Cookie: SRV=nosuch\r\n");
        run.get("fe", "/3", "");
        run.get("fe", "/", "Cookie: SRVx=b\r\n");
        run.get("fe", "/", "Cookie: SRV=\r\n");
    });
}
