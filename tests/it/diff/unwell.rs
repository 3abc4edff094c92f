//! Servers that are not there: 503, retries, redispatch, and what the log says of them.

use super::{HTTP, three};
use crate::support::differential::same;

#[test]
fn no_server() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    use_backend none if {{ path /none }}
    use_backend disabled if {{ path /disabled }}
    use_backend dead if {{ path /dead }}
    default_backend missing-redispatch
backend none
backend disabled
    server s1 {{s1}} disabled
backend dead
    retries 2
    timeout connect 500ms
    server s1 {{dead}}
backend missing-redispatch
    option redispatch
    retries 3
    balance roundrobin
    server s1 {{dead}}
    server s2 {{s2}}
"
    );
    same(&config, three, 5, |run| {
        for path in ["/none", "/disabled", "/dead", "/1", "/2"] {
            run.get("fe", path, "");
        }
    });
}

#[test]
fn no_backend() {
    let config = format!(
        "{HTTP}
frontend nobody
    bind {{ip}}:{{port:nobody}}
"
    );
    same(&config, Vec::new, 1, |run| {
        run.get("nobody", "/", "");
    });
}

#[test]
fn redispatch_each_time() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    option redispatch 1
    retries 3
    balance roundrobin
    server s1 {{dead}}
    server s2 {{s2}}
    server s3 {{s3}}
"
    );
    same(&config, three, 6, |run| {
        for n in 0..6 {
            run.get("fe", &format!("/{n}"), "");
        }
    });
}

#[test]
fn retry_on() {
    use crate::support::{Origin, Step, origin};
    fn flaky() -> Vec<(&'static str, Origin)> {
        let dying = Origin::serve(|_| vec![Step::Close]);
        let busy = Origin::canned(origin::ok("busy").replace("200 OK", "503 Busy"));
        vec![("s1", dying), ("s2", busy), ("s3", Origin::named("three"))]
    }
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    retry-on empty-response 503 conn-failure
    option redispatch 1
    retries 4
    balance roundrobin
    server s1 {{s1}}
    server s2 {{s2}}
    server s3 {{s3}}
"
    );
    same(&config, flaky, 4, |run| {
        for n in 0..3 {
            run.get("fe", &format!("/{n}"), "");
        }
        run.ask("fe", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    });
}
