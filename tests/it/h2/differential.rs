//! The same configuration over HTTP/2 through HAProxy and through the program under test: answers, what origins get, what
//! the log says.

use std::process::Command;

use super::raw::{EH, ES, HEADERS, RST, Raw, Seen, block, frame};
use crate::diff::{HTTP, one};
use crate::support::differential::{Run, same};

/// Asks with curl, over HTTP/2 from the first byte on, and notes the whole answer.
fn ask(run: &mut Run, port: &str, path: &str, more: &[&str]) {
    let url = format!("http://{}{path}", run.addr(port));
    let fixed = ["-s", "-i", "-m", "10", "--http2-prior-knowledge", "-A", "test", &url];
    let output = Command::new("curl").args(fixed).args(more).output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "|");
    run.note(&format!("{path} {more:?}"), &format!("{:?} {text}", output.status.code()));
}

#[test]
fn requests_answers_and_logs() {
    let config = format!(
        "{HTTP}
frontend fe
    bind {{ip}}:{{port:fe}} proto h2
    http-request capture req.hdr(host) len 32
    http-request deny if {{ path /deny }}
    http-request return status 200 content-type text/plain lf-string \"%[url] %[path] %[base] %[query] %[req.ver] %[fc_http_major] %[req.hdr_cnt(cookie)] %[req.hdr(cookie)] %[capture.req.uri] %[capture.req.ver]\" if {{ path_beg /show }}
    http-request redirect location /new code 302 if {{ path /redirect }}
    http-request set-path /other if {{ path /path }}
    http-request set-uri /whole?a=b if {{ path /uri }}
    http-request set-header x-a b
    http-response set-header x-b c
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, one, 11, |run| {
        ask(run, "fe", "/x?y=z", &[]);
        ask(run, "fe", "/deny", &[]);
        ask(run, "fe", "/show/this?a=b", &["-H", "cookie: a=1; b=2"]);
        ask(run, "fe", "/redirect", &[]);
        ask(run, "fe", "/path", &["-H", "x-c: d", "-H", "te: trailers"]);
        ask(run, "fe", "/uri", &[]);
        ask(run, "fe", "/up", &["-d", "some data"]);
        ask(run, "fe", "/head", &["-I"]);
        ask(run, "fe", "/", &["-X", "OPTIONS", "--request-target", "*"]);
        ask(run, "fe", "/named", &["-H", "Host: ex.com:80"]);
        ask(run, "fe", "/cookies", &["-H", "cookie: a=1", "-H", "x-d: e", "-H", "cookie: b=2"]);
    });
}

#[test]
fn what_goes_wrong() {
    let config = format!(
        "{HTTP}
    retries 0
frontend fe
    bind {{ip}}:{{port:fe}} proto h2
    use_backend dead if {{ path /dead }}
    default_backend be
backend be
    server s1 {{s1}}
backend dead
    server s1 {{dead}}
"
    );
    same(&config, one, 3, |run| {
        let settled = std::time::Duration::from_millis(200);
        ask(run, "fe", "/dead", &[]);
        ask(run, "fe", "/x", &[]);
        // HAProxy closes a connection a little after its client.
        std::thread::sleep(settled);
        let mut raw = Raw::connect(run.addr("fe"), &[]);
        raw.send(&frame(HEADERS, ES | EH, 1, &block("GET", "/", &[("X-Upper", "y")])));
        raw.until(std::time::Duration::from_secs(5), |seen| seen.iter().any(|s| s.kind == RST));
        let code = raw.seen.iter().find(|s| s.kind == RST).and_then(Seen::code);
        run.note("an upper case name", &format!("{code:?}"));
    });
}

/// Connections in TCP mode that become HTTP.
#[test]
fn switched_to_http() {
    let config = format!(
        "{}
frontend fe
    mode tcp
    bind {{ip}}:{{port:fe}}
    log-format \"%b %s %ST %ts\"
    tcp-request inspect-delay 2s
    tcp-request content switch-mode http if HTTP
    tcp-request content reject
    http-request set-header x-front 1
    default_backend be
frontend by
    mode tcp
    bind {{ip}}:{{port:by}}
    log-format \"%b %s %ST %ts\"
    default_backend be
backend be
    mode http
    server s1 {{s1}}
",
        HTTP.replace("    option httplog\n", "")
    );
    same(&config, one, 4, |run| {
        ask(run, "fe", "/a", &[]);
        run.get("fe", "/b", "Connection: close\r\n");
        ask(run, "by", "/c", &[]);
        run.get("by", "/d", "Connection: close\r\n");
    });
}
