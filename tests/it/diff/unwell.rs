//! Servers that are not there: 503, retries, redispatch, and what the log says of them.

use super::{HTTP, three};
use crate::support::differential::same;
use crate::support::message::Message;
use crate::support::{Origin, Step, origin};

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

/// `retry-on` and what forbids it; nothing else repeats a request that a server may have begun to serve.
#[test]
fn repeated_requests() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    retry-on 503 empty-response
    retries 2
    http-request disable-l7-retry if {{ path_beg /once }}
    http-request set-timeout server 1500ms
    http-request set-header x-server %[cur_server_timeout],%[be_server_timeout]
    http-request set-header x-tunnel %[cur_tunnel_timeout],%[be_tunnel_timeout]
    server s1 {{s1}}
"
    );
    let origins = || {
        let answer = |request: &Message| match request.target().rsplit('/').next() {
            Some("busy") => vec![Step::Send(origin::ok("busy").replace("200 OK", "503 Busy").into())],
            Some("silent") => vec![Step::Close],
            Some("half") => vec![Step::Send(b"HTTP/1.1 200 OK\r\nCont".to_vec()), Step::Close],
            _ => vec![Step::Send(origin::ok("fine").into())],
        };
        vec![("s1", Origin::serve(answer))]
    };
    same(&config, origins, 7, |run| {
        for path in ["/busy", "/silent", "/half", "/once/busy", "/once/silent", "/once/half", "/fine"] {
            run.get("fe", path, "");
        }
    });
}
