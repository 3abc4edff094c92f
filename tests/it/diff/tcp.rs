//! mode tcp.

use std::io::Write;
use std::time::Duration;

use crate::support::differential::same;
use crate::support::message::Reader;
use crate::support::{Client, Origin};

const TCP: &str = "
global
    nbthread 1
    log {log} local0
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 5s
    timeout client 5s
    timeout server 5s
";

fn echoing(name: &'static str) -> Origin {
    Origin::raw(move |mut stream, _| {
        let Ok(half) = stream.try_clone() else { return };
        let mut reader = Reader::new(half);
        let _ = stream.write_all(format!("{name}:").as_bytes());
        let (all, _) = reader.within(Duration::from_secs(5)).rest();
        let _ = stream.write_all(&all);
    })
}

fn two() -> Vec<(&'static str, Origin)> {
    vec![("s1", echoing("one")), ("s2", echoing("two"))]
}

fn exchange(run: &mut crate::support::differential::Run, port: &str, bytes: &str) {
    let answer = match Client::try_connect(run.addr(port)) {
        Some(mut client) => client.send(bytes).half_close().rest().0,
        // A proxy that rejects at once may do so before the client knows that it was connected.
        None => Vec::new(),
    };
    run.note(bytes, &String::from_utf8_lossy(&answer));
}

#[test]
fn plain() {
    let config = format!(
        "{TCP}
frontend fe
    bind {{ip}}:{{port:fe}}
    default_backend be
backend be
    balance roundrobin
    server s1 {{s1}}
    server s2 {{s2}}
"
    );
    same(&config, two, 4, |run| {
        for word in ["hello", "world", "and", "again"] {
            exchange(run, "fe", word);
        }
    });
}

#[test]
fn inspected() {
    let config = format!(
        "{TCP}
frontend fe
    bind {{ip}}:{{port:fe}}
    tcp-request inspect-delay 2s
    tcp-request content accept if {{ req.len ge 3 }}
    acl letter_b req.payload(0,1) -m str b
    use_backend two if letter_b
    default_backend one
frontend closed
    bind {{ip}}:{{port:closed}}
    tcp-request connection reject if {{ src 127.0.0.0/8 }}
    default_backend one
frontend refused
    bind {{ip}}:{{port:refused}}
    tcp-request inspect-delay 1s
    tcp-request content reject if {{ req.payload(0,3) -m str bad }}
    tcp-request content accept if {{ req.len gt 2 }}
    default_backend one
backend one
    server s1 {{s1}}
backend two
    server s2 {{s2}}
"
    );
    same(&config, two, 4, |run| {
        exchange(run, "fe", "abc");
        exchange(run, "fe", "bcd");
        exchange(run, "closed", "abc");
        exchange(run, "refused", "bad guys");
        exchange(run, "refused", "good guys");
    });
}

#[test]
fn no_server() {
    let config = format!(
        "{TCP}
listen none
    bind {{ip}}:{{port:none}}
listen dead
    bind {{ip}}:{{port:dead}}
    retries 1
    timeout connect 1s
    server s1 {{dead}}
listen spoken
    bind {{ip}}:{{port:spoken}}
    option dontlognull
    retries 1
    timeout connect 1s
    server s1 {{dead}}
"
    );
    // What the client said is read though nobody gets it: it counts as spoken.
    same(&config, two, 3, |run| {
        exchange(run, "none", "abc");
        exchange(run, "dead", "abc");
        exchange(run, "spoken", "abc");
    });
}

#[test]
fn redispatch() {
    let config = format!(
        "{TCP}
listen first-dead
    bind {{ip}}:{{port:fe}}
    option redispatch
    retries 2
    balance roundrobin
    server s1 {{dead}}
    server s2 {{s2}}
"
    );
    same(&config, two, 1, |run| exchange(run, "fe", "abc"));
}

#[test]
fn log_format_of_tcp() {
    let config = format!(
        "{TCP}
frontend fe
    bind {{ip}}:{{port:fe}}
    log-format \"%ci %f %b/%s %U/%B %ts %ac %[src] %[dst_port] %sc/%rc\"
    default_backend be
backend be
    server s1 {{s1}}
"
    );
    same(&config, two, 1, |run| exchange(run, "fe", "hello"));
}

/// `tcp-response content`: on what the server says first, at once where nothing may be waited for.
#[test]
fn response_rules() {
    let config = format!(
        "{TCP}
frontend f1
    bind {{ip}}:{{port:f1}}
    default_backend b1
frontend f2
    bind {{ip}}:{{port:f2}}
    default_backend b2
frontend f3
    bind {{ip}}:{{port:f3}}
    default_backend b3
backend b1
    balance roundrobin
    tcp-response inspect-delay 4s
    tcp-response content reject if {{ res.payload(0,9) -m beg one: }}
    server s1 {{s1}}
    server s2 {{s2}}
backend b2
    tcp-response inspect-delay 4s
    tcp-response content accept if {{ res.len gt 1000 }}
    server s1 {{s1}}
backend b3
    tcp-response content accept if {{ always_true }}
    tcp-response content reject
    server s1 {{s1}}
"
    );
    same(&config, two, 4, |run| {
        for port in ["f1", "f1", "f2", "f3"] {
            exchange(run, port, "hello");
        }
    });
}
