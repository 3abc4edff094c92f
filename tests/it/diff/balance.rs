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

#[test]
fn dispatch() {
    let config = format!(
        "{HTTP}
listen fe
    bind {{ip}}:{{port:fe}}
    dispatch {{s1}}
"
    );
    let asks = |run: &mut Run| {
        run.get("fe", "/a", "");
        run.get("fe", "/b", "");
    };
    same(&config, three, 2, asks);
    // Who balances wants servers: the address counts for nothing then.
    for servers in ["", "    server two {s2}\n"] {
        let balanced = format!("    balance roundrobin\n{servers}    dispatch");
        same(&config.replace("    dispatch", &balanced), three, 2, asks);
    }
}

#[test]
fn captured_cookies() {
    let config = with(&format!("    balance roundrobin\n{TWO}"))
        .replace("    default_backend be", "    capture cookie SRV len 8\n    default_backend be");
    same(&config, with_cookies, 13, cookies);
    same(&config.replace("option httplog", "option httplog clf"), with_cookies, 13, cookies);
}

/// An application that sets the cookie itself.
fn with_cookies() -> Vec<(&'static str, crate::support::Origin)> {
    use crate::support::{Origin, Step};
    let setting = |name: &'static str| {
        Origin::serve(move |request| {
            let cookie = match request.target() {
                "/set" => format!("Set-Cookie: SRV=own{name}; path=/app\r\n"),
                "/other" => "Set-Cookie: SRVx=1\r\n".to_string(),
                "/" => "ETag: \"x\"\r\n".to_string(),
                _ => String::new(),
            };
            let text = format!("HTTP/1.1 200 OK\r\n{cookie}X-Origin: {name}\r\nContent-Length: 0\r\n\r\n");
            vec![Step::Send(text.into())]
        })
    };
    vec![("s1", setting("one")), ("s2", setting("two"))]
}

const TWO: &str = "    server s1 {s1} cookie a\n    server s2 {s2} cookie b\n";

fn cookies(run: &mut Run) {
    for path in ["/", "/set", "/other"] {
        run.get("fe", path, "");
        run.get("fe", path, "Cookie: SRV=b\r\n");
        run.get("fe", path, "Cookie: x=1; SRV=b~theirs; y=2\r\n");
        run.get("fe", path, "Cookie: SRV=none; z=1\r\n");
    }
    run.ask("fe", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn cookie_insert() {
    let lines = "    balance roundrobin\n    cookie SRV insert nocache domain a.test httponly secure\n";
    same(&with(&format!("{lines}{TWO}")), with_cookies, 13, cookies);
    let lines = "    balance roundrobin\n    cookie SRV insert postonly preserve\n";
    same(&with(&format!("{lines}{TWO}")), with_cookies, 13, cookies);
}

#[test]
fn cookie_rewrite() {
    same(&with(&format!("    balance roundrobin\n    cookie SRV rewrite\n{TWO}")), with_cookies, 13, cookies);
    same(
        &with(&format!("    balance roundrobin\n    cookie SRV indirect\n{TWO}")),
        with_cookies,
        13,
        cookies,
    );
}

#[test]
fn cookie_prefix() {
    same(&with(&format!("    balance roundrobin\n    cookie SRV prefix\n{TWO}")), with_cookies, 13, cookies);
}

#[test]
fn cookie_of_a_server_that_is_gone() {
    let lines =
        "    balance roundrobin\n    cookie SRV insert indirect\n    option redispatch\n    retries 1\n";
    let servers =
        "    server s1 {dead} cookie a\n    server s2 {s2} cookie b\n    server s3 {s1} cookie c disabled\n";
    same(&with(&format!("{lines}{servers}")), with_cookies, 3, |run| {
        run.get("fe", "/", "Cookie: SRV=a\r\n");
        run.get("fe", "/", "Cookie: SRV=c\r\n");
        run.get("fe", "/", "Cookie: SRV=b\r\n");
    });
}
