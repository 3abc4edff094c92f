//! Log formats.

use std::time::Duration;

use super::one;
use crate::support::differential::{Run, same};
use crate::support::message::Message;
use crate::support::{Client, Origin, Step};

fn with(global: &str, frontend: &str) -> String {
    format!(
        "
global
    nbthread 1
    log {{log}} local0
{global}
defaults
    mode http
    log global
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend fe
    bind {{ip}}:{{port:fe}}
{frontend}
    default_backend be
backend be
    server s1 {{s1}}
"
    )
}

fn asks(run: &mut Run) {
    run.get("fe", "/a?b=c", "User-Agent: test \"quoted\"\r\nReferer: http://r.test/\r\n");
    run.ask("fe", "POST /p HTTP/1.0\r\nHost: h.test\r\nContent-Length: 2\r\n\r\nab");
    run.get("fe", "/b", "X-Cap: \u{e4}\t\"[]{}\r\n");
}

#[test]
fn httplog() {
    same(&with("", "    option httplog\n"), one, 2, |run| {
        run.get("fe", "/a", "");
        run.get("fe", "/b?x=\"y\"", "");
    });
}

#[test]
fn httplog_clf() {
    same(&with("", "    option httplog clf\n"), one, 1, |run| {
        run.get("fe", "/a", "");
    });
}

#[test]
fn default_log() {
    same(&with("", ""), one, 1, |run| {
        run.get("fe", "/a", "");
    });
}

#[test]
fn captures() {
    let captures = "
    option httplog
    capture request header Host len 20
    capture request header User-Agent len 6
    capture request header X-Cap len 30
    capture response header X-Origin len 10
    capture response header X-None len 10
";
    same(&with("", captures), one, 3, asks);
}

#[test]
fn log_format() {
    let format = "
    log-format \"%ci %fi %fp %f %b %s %ST %tsc %HM %HP %HQ %HV %HU %hr %hs %r %ac-%rc %{+Q}r %{+X}ac %{+E}HP %ft %CC %CS %sq/%bq %%\"
";
    same(&with("", format), one, 2, |run| {
        run.get("fe", "/a?b=c", "");
        run.ask("fe", "HEAD /p?q HTTP/1.0\r\nHost: h.test\r\n\r\n");
    });
}

#[test]
fn log_format_with_an_empty_part() {
    same(&with("", "    log-format \"%f %HP %HQ %HV %ST %tsc\"\n"), one, 1, |run| {
        run.get("fe", "/p", "");
    });
}

#[test]
fn log_format_in_pieces() {
    let format = "
    http-request capture req.hdr(host) len 10
    http-request set-var(txn.x) path,upper
    log-format \"%{+Q}o %hrl %[var(txn.x)] %[status] %[src] %[capture.req.method] %[capture.req.uri] %[capture.req.hdr(0)] %[capture.res.ver]\"
    error-log-format \"ERR %ci %ST %tsc %r\"
";
    same(&with("", format), one, 2, |run| {
        run.get("fe", "/low", "");
        run.ask("fe", "GET / HTTP/1.1\r\nbad header\r\n\r\n");
    });
}

#[test]
fn formats_of_syslog() {
    for format in ["rfc3164", "raw", "short", "priority"] {
        let config = with("", "    option httplog\n")
            .replace("{log} local0", &format!("{{log}} format {format} local3 info"));
        same(&config, one, 1, |run| {
            run.get("fe", "/a", "");
        });
    }
}

#[test]
fn tag_level_and_dontlog() {
    let more = "
    option httplog
    option dontlog-normal
    http-request set-log-level err if { path /err }
    http-request set-log-level silent if { path /silent }
    http-request deny if { path /deny }
";
    same(&with("    log-tag edge\n", more), one, 1, |run| {
        run.get("fe", "/a", "");
        run.get("fe", "/silent", "");
        run.get("fe", "/deny", "");
    });
    let more = more.replace("    option dontlog-normal\n", "");
    same(&with("    log-send-hostname node1\n", &more), one, 2, |run| {
        run.get("fe", "/err", "");
        run.get("fe", "/a", "");
    });
}

#[test]
fn a_request_that_is_none() {
    same(&with("", "    option httplog\n"), one, 2, |run| {
        run.ask("fe", "GET / HTTP/1.1\r\nbad header\r\n\r\n");
        run.ask("fe", "\r\n\r\nNONSENSE\r\n\r\n");
    });
}

/// `%B` is what the client got, `%U` what it sent.
#[test]
fn bytes_are_what_went_over_the_wire() {
    use crate::support::{Client, LogSink, Origin, Proxy, program};
    if program::is_haproxy() {
        return;
    }
    let (log, origin) = (LogSink::start(), Origin::named("some words"));
    let config = with("", "    log-format \"%B %U\"\n");
    let proxy = Proxy::on(&config).with("log", log.addr()).with("s1", origin.addr()).start();
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let answer = Client::connect(proxy.addr("fe")).ask(request);
    let sent = answer.raw_head.len() + answer.raw_body.len();
    let lines = log.wait(1);
    let wanted = format!(": {sent} {}", request.len());
    assert!(lines[0].ends_with(&wanted), "wanted {wanted:?} at the end of {:?}", lines[0]);
}

/// The line is written when the response begins: figures that still grow say so.
#[test]
fn logasap() {
    let slow = || {
        let steps = |_: &Message| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab".to_vec();
            vec![Step::Send(head), Step::Sleep(Duration::from_millis(300)), Step::Send(b"cd".to_vec())]
        };
        vec![("s1", Origin::serve(steps))]
    };
    same(&with("", "    option httplog\n    option logasap\n"), slow, 1, |run| {
        let mut client = Client::connect(run.addr("fe"));
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        std::thread::sleep(Duration::from_millis(150));
        let early = run.log.wait(1).len();
        run.note("lines while the body comes", &early.to_string());
        run.note_response(&mut client, "GET", "/");
    });
}
